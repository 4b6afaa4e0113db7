"""Records framed many at once are those framed one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.im2rec.frames import RecordLabels, frame_block
from components.shared.recordio_format import MAGIC, frame, pack, read_payload, unpack

WORD = MAGIC.to_bytes(4, "little")
MAGIC_LABEL = float(np.frombuffer(WORD, "<f4")[0])

# Bytes in which the format's own magic number is frequent, at every alignment.
images = st.lists(st.sampled_from([WORD, b"a", b"bc", b"def", b"\0", b""]), max_size=12).map(
    b"".join
)
numbers = st.one_of(st.integers(0, 1000).map(float), st.just(MAGIC_LABEL))
ids = st.one_of(st.integers(0, 2**40), st.just(MAGIC))


def labels_of(given: list[float | list[float]]) -> RecordLabels:
    return RecordLabels(
        np.array([0 if isinstance(label, list) else label for label in given], np.float32),
        np.array([len(label) if isinstance(label, list) else 0 for label in given], np.int64),
        np.array([v for label in given if isinstance(label, list) for v in label], np.float32),
    )


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(ids, st.one_of(numbers, st.lists(numbers, min_size=1, max_size=7)), images),
        max_size=8,
    )
)
def test_a_block_is_its_records_framed_one_by_one(
    rows: list[tuple[int, float | list[float], bytes]],
) -> None:
    block = frame_block(
        np.array([row[0] for row in rows], np.int64),
        labels_of([row[1] for row in rows]),
        [memoryview(row[2]) for row in rows],
    )
    assert bytes(block.data) == b"".join(frame(pack(*row)) for row in rows)
    for start, (index, _, image) in zip(block.starts.tolist(), rows, strict=True):
        record = unpack(read_payload(bytes(block.data), start))
        assert (record.index, record.image) == (index, image)


def test_a_record_too_long_for_the_format_is_refused() -> None:
    one = np.zeros(1, np.int64)
    with pytest.raises(ValueError, match="RecordIO holds up to"):
        frame_block(one, labels_of([0.0]), [memoryview(bytes(2**29 - 24))])
