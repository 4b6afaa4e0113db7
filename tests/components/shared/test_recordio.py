"""RecordIO against MXNet itself: what it writes we read, what we write it reads."""

import json
import pickle
import struct
from pathlib import Path

import mxnet as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.shared.errors import UserError
from components.shared.recordio import (
    RecordReader,
    RecordSet,
    RecordWriter,
    detection_boxes,
    detection_label,
    part_stems,
    read_list,
)
from components.shared.recordio_format import MAGIC, Record, frame, framed_pieces, pack, unpack

WORD = struct.pack("<I", MAGIC)

# Bytes in which the format's own magic number is frequent, at every alignment.
payloads = st.lists(st.sampled_from([WORD, b"a", b"bc", b"def", b"\0", b""]), max_size=12).map(
    b"".join
)
labels = st.one_of(
    st.integers(0, 1000).map(float),
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=12),
)


def header(index: int, label: float | list[float]) -> "mx.recordio.IRHeader":
    if isinstance(label, float):
        return mx.recordio.IRHeader(0, label, index, 0)
    return mx.recordio.IRHeader(0, np.array(label, dtype=np.float32), index, 0)


def test_files_are_byte_for_byte_mxnets(tmp_path: Path) -> None:
    magic_label = float(np.frombuffer(WORD, "<f4")[0])
    rows: list[tuple[int, float | list[float], bytes]] = [
        (0, 3.0, b"jpeg"),
        (1, [2, 5, 0, 0.1, 0.2, 0.3, 0.4], WORD + b"x" + WORD * 2),
        (2, 0.0, b""),
        (3, magic_label, b"the header is cut"),
        (4, [magic_label, 1, magic_label], WORD),
        (MAGIC, 1.0, b"the id is cut"),
    ]
    with RecordWriter(tmp_path / "ours.rec", tmp_path / "ours.idx") as writer:
        for index, label, image in rows:
            writer.write(index, label, image)
    theirs = mx.recordio.MXIndexedRecordIO(
        str(tmp_path / "theirs.idx"), str(tmp_path / "theirs.rec"), "w"
    )
    for index, label, image in rows:
        theirs.write_idx(index, mx.recordio.pack(header(index, label), image))
    theirs.close()
    reader = RecordReader(tmp_path / "theirs.rec")
    assert [(reader[i].index, reader[i].image) for i in range(6)] == [(r[0], r[2]) for r in rows]
    assert (tmp_path / "ours.rec").read_bytes() == (tmp_path / "theirs.rec").read_bytes()
    assert (tmp_path / "ours.idx").read_text() == (tmp_path / "theirs.idx").read_text()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(labels, payloads), min_size=1, max_size=8))
def test_mxnet_and_we_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float | list[float], bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("records")
    with RecordWriter(folder / "a.rec", folder / "a.idx") as writer:
        for index, (label, image) in enumerate(rows):
            writer.write(index, label, image)
    ours = RecordReader(folder / "a.rec")
    theirs = mx.recordio.MXIndexedRecordIO(str(folder / "a.idx"), str(folder / "a.rec"), "r")
    assert len(ours) == len(rows)
    for index, (label, image) in enumerate(rows):
        found, (their_header, their_image) = ours[index], mx.recordio.unpack(theirs.read_idx(index))
        assert found.image == their_image == image
        assert found.index == their_header.id == index
        np.testing.assert_array_equal(found.label, np.atleast_1d(np.array(label, dtype=np.float32)))
        np.testing.assert_array_equal(found.label, np.atleast_1d(their_header.label))


@settings(max_examples=60, deadline=None)
@given(labels, payloads)
def test_pieces_are_the_framed_record(label: float | list[float], image: bytes) -> None:
    assert b"".join(framed_pieces(3, label, image)) == frame(pack(3, label, image))


@pytest.fixture
def three(tmp_path: Path) -> Path:
    rec = tmp_path / "three.rec"
    with RecordWriter(rec, rec.with_suffix(".idx")) as writer:
        for index in (2, 0, 1):
            writer.write(index, float(index), b"image %d" % index * 10)
    return rec


def test_the_index_is_in_the_order_of_ids_whatever_was_written_first(three: Path) -> None:
    reader = RecordReader(three)
    assert [reader[i].index for i in range(3)] == [0, 1, 2]


def test_several_files_are_one_in_the_order_of_ids(tmp_path: Path) -> None:
    names = part_stems("train", 3)
    assert names[1] == "train-00001-of-00003"
    for stem, ids in zip(names, ((5, 1), (0, 4), (3, 2)), strict=True):
        with RecordWriter(tmp_path / f"{stem}.rec", tmp_path / f"{stem}.idx") as writer:
            for index in ids:
                writer.write(index, float(index), b"image %d" % index)
        lines = [f"{index}\t{index}\tid {index}.jpg\n" for index in sorted(ids)]
        (tmp_path / f"{stem}.lst").write_text("".join(lines))
    meta = {"version": "1", "task": "count", "classes": [], "counts": {"train": 6}}
    (tmp_path / "meta.json").write_text(
        json.dumps({**meta, "fingerprint": "", "parts": {"train": 3}})
    )
    records = RecordSet(tmp_path)
    reader: RecordReader = pickle.loads(pickle.dumps(records.reader("train")))  # noqa: S301
    assert len(reader) == 6
    assert [reader[index].index for index in range(6)] == list(range(6))
    assert reader[4].image == b"image 4"
    assert records.ids("train") == [f"id {index}" for index in range(6)]
    before = records.digest(["train"])
    (tmp_path / f"{names[2]}.idx").write_text("2\t0\n3\t48\n")
    assert records.digest(["train"]) != before
    (tmp_path / f"{names[2]}.rec").write_bytes(b"")
    with pytest.raises(UserError, match=r"train-00002-of-00003\.rec: cannot be read"):
        records.reader("train")[2]


def test_a_record_beyond_four_gibibytes_is_found(three: Path) -> None:
    start = (5 << 30) + 4
    with three.open("r+b") as file:  # a sparse file: it takes no room
        file.seek(start)
        file.write(frame(pack(3, 7.0, b"far")))
    with three.with_suffix(".idx").open("a") as index:
        index.write(f"3\t{start}\n")
    assert RecordReader(three)[3].image == b"far"


def test_an_empty_index_has_no_records(three: Path) -> None:
    three.with_suffix(".idx").write_text("")
    assert len(RecordReader(three)) == 0


def test_a_reader_travels_to_worker_processes(three: Path) -> None:
    reader = RecordReader(three)
    before = reader[1]
    copied: RecordReader = pickle.loads(pickle.dumps(reader))  # noqa: S301 - our own object
    assert isinstance(before, Record)
    assert copied[1].image == before.image


@pytest.mark.parametrize("keep", [3, 20, 60])
def test_a_cut_file_is_named_with_the_place(three: Path, keep: int) -> None:
    three.write_bytes(three.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"three\.rec: damaged at byte \d+"):
        RecordReader(three)[0]


def test_a_wrong_offset_is_no_record(three: Path) -> None:
    three.with_suffix(".idx").write_text("0\t4\n1\t-8\n2\t9999\n")
    for place, problem in enumerate(("no record starts here", "the file has", "the file has")):
        with pytest.raises(UserError, match=problem):
            RecordReader(three)[place]


@pytest.mark.parametrize(
    "text", ["0\n", "a\tb\n", "0\t1\t2\n", "0\t1\n\n", "0\t1\n2\t\n", "0\t1.5\n"]
)
def test_a_wrong_index_is_named(three: Path, text: str) -> None:
    three.with_suffix(".idx").write_text(text)
    with pytest.raises(UserError, match=r"three\.idx: not an index"):
        RecordReader(three)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.idx: cannot be read"):
        RecordReader(tmp_path / "none.rec")
    with pytest.raises(UserError, match=r"none\.lst: cannot be read"):
        read_list(tmp_path / "none.lst")
    (tmp_path / "damaged.lst").write_text("first\t1\ta.jpg\n")
    with pytest.raises(UserError, match=r"damaged\.lst: a line is not index, labels and path"):
        read_list(tmp_path / "damaged.lst")
    with pytest.raises(UserError, match="no records here"):
        RecordSet(tmp_path)


def test_a_record_too_long_for_the_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="RecordIO holds up to"):
        frame(bytes(1 << 29))
    with (
        RecordWriter(tmp_path / "a.rec", tmp_path / "a.idx") as writer,
        pytest.raises(ValueError, match="RecordIO holds up to"),
    ):
        writer.write(0, 0.0, bytes((1 << 29) - 24))


@pytest.mark.parametrize("payload", [b"", b"\1\0\0\0" + bytes(20)])
def test_a_payload_shorter_than_its_header_says_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"no image record|does not fit"):
        unpack(payload)


def test_boxes_survive_the_label() -> None:
    boxes = [(0, 0.1, 0.2, 0.3, 0.4), (2, 0.0, 0.0, 1.0, 1.0)]
    label = unpack(pack(7, detection_label(boxes), b"")).label
    assert label[:2].tolist() == [2, 5]
    np.testing.assert_allclose(detection_boxes(label), np.array(boxes, dtype=np.float32))
    assert detection_boxes(detection_label([])).shape == (0, 5)


def test_a_class_label_is_no_box_label() -> None:
    with pytest.raises(ValueError, match="not a detection label"):
        detection_boxes(np.array([3], dtype=np.float32))


def test_ids_come_from_the_last_column_without_their_extension(tmp_path: Path) -> None:
    (tmp_path / "a.lst").write_text("0\t1\ttrain/001.Breed/x.y.jpg\n1\t2\t5\t0\tb.png\n")
    assert read_list(tmp_path / "a.lst") == ["train/001.Breed/x.y", "b"]
