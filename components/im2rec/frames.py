"""Many records framed at once, into one block of bytes.

The format is `components.shared.recordio_format`'s. Framing a record at a time costs Python more
than the copying itself; here all headers of a block are written by a few array operations, and
only the image bytes are copied one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.shared.recordio_format import MAGIC, MOST_BYTES, frame, pack

_HEAD = 8  # words before the label's values: two of the part, six of the image record


@dataclass(frozen=True)
class RecordLabels:
    """Labels of some records, in their order.

    Attributes:
        single: float32 (N,), the label of a record without values; 0 for the others.
        sizes: int64 (N,), how many values each has; 0: `single` is the label.
        values: float32 (sum of sizes,).
    """

    single: npt.NDArray[np.float32]
    sizes: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Block:
    """Framed records.

    Attributes:
        data: the bytes, one record after the other.
        starts: int64 (N,), where each begins.
    """

    data: memoryview
    starts: npt.NDArray[np.int64]


def frame_block(
    indices: npt.NDArray[np.int64], labels: RecordLabels, images: Sequence[memoryview]
) -> Block:
    """Return the records `(index, label, image)` as `RecordWriter` would write them.

    Raises:
        ValueError: if a record is longer than the format can hold.
    """
    sizes = np.fromiter((image.nbytes for image in images), np.int64, len(images))
    payloads = 4 * (_HEAD - 2 + labels.sizes) + sizes
    if payloads.size and payloads.max() > MOST_BYTES:
        raise ValueError(f"a record of {payloads.max()} bytes; RecordIO holds up to {MOST_BYTES}")
    framed = 8 + (payloads + 3) // 4 * 4
    ends = np.cumsum(framed)
    starts = ends - framed
    # Arrow keeps freed memory at hand; new memory of this size costs as much as filling it.
    words = np.frombuffer(pa.allocate_buffer(int(framed.sum())), "<u4")
    words[ends // 4 - 1] = 0  # the padding; a longer image covers it again
    _write_heads(words, starts // 4, payloads, indices, labels)
    data = words.view(np.uint8).data
    places = (starts + 4 * (_HEAD + labels.sizes)).tolist()
    for place, image in zip(places, images, strict=True):
        data[place : place + image.nbytes] = image
    if np.count_nonzero(words == MAGIC) != len(images):
        return _cut(indices, labels, images)
    return Block(data, starts)


def _write_heads(
    words: npt.NDArray[np.uint32],
    starts: npt.NDArray[np.int64],
    payloads: npt.NDArray[np.int64],
    indices: npt.NDArray[np.int64],
    labels: RecordLabels,
) -> None:
    words[starts] = MAGIC
    words[starts + 1] = payloads
    words[starts + 2] = labels.sizes
    words[starts + 3] = labels.single.astype("<f4").view("<u4")
    words[starts + 4] = indices & 0xFFFFFFFF
    words[starts + 5] = indices >> 32
    words[starts + 6] = words[starts + 7] = 0
    before = np.cumsum(labels.sizes) - labels.sizes
    places = np.repeat(starts + _HEAD - before, labels.sizes) + np.arange(labels.values.size)
    words[places] = labels.values.astype("<f4").view("<u4")


def _cut(
    indices: npt.NDArray[np.int64], labels: RecordLabels, images: Sequence[memoryview]
) -> Block:
    """Frame a record at a time: one of them holds the magic number, and is cut there."""
    ends = np.cumsum(labels.sizes).tolist()
    framed = []
    for row, image in enumerate(images):
        size = int(labels.sizes[row])
        values = labels.values[ends[row] - size : ends[row]]
        label = values if size else float(labels.single[row])
        framed.append(frame(pack(int(indices[row]), label, bytes(image))))
    lengths = np.cumsum([0, *(len(record) for record in framed)])
    return Block(memoryview(b"".join(framed)), lengths[:-1].astype(np.int64))
