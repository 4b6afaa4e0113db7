"""im2rec, read back by MXNet itself."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import mxnet as mx
import numpy as np
import numpy.typing as npt
import pytest

from components.im2rec.config import Im2RecSection
from components.im2rec.im2rec import im2rec
from components.shared import parallel
from components.shared.errors import UserError
from components.shared.recordio import RecordSet
from components.shared.shards import read_images
from components.shared.table import fingerprint, iter_rows, read_info, write_rows
from components.shared.task import SPLITS, Task

Dataset = Callable[[Task, Sequence[dict[str, Any]]], Path]


def run(folder: Path, task: Task, **settings: Any) -> Path:
    records = folder / "records"
    section = Im2RecSection(**settings)
    im2rec(section, task, folder / "images", folder / "augmented", folder / "table", records)
    return records


def read_by_mxnet(records: Path, split: str) -> dict[int, tuple[npt.NDArray[np.float32], bytes]]:
    """All records of a split as MXNet reads them: label and image bytes by id."""
    stem = records / split
    reader = mx.recordio.MXIndexedRecordIO(f"{stem}.idx", f"{stem}.rec", "r")
    found = {}
    for key in reader.keys:
        header, image = mx.recordio.unpack(reader.read_idx(key))
        assert header.id == key
        found[key] = (np.atleast_1d(header.label), image)
    return found


def boxes(*values: Sequence[float]) -> list[dict[str, float]]:
    keys = ("label", "xmin", "ymin", "xmax", "ymax")
    return [dict(zip(keys, box, strict=True)) for box in values]


DETECT: list[dict[str, Any]] = [
    {"image_id": "b", "split": "train", "boxes": boxes((0, 0.1, 0.2, 0.5, 0.6), (1, 0, 0, 1, 1))},
    {"image_id": "a", "split": "val", "boxes": boxes((1, 0.25, 0.25, 0.75, 0.75))},
    {"image_id": "dir/c.d", "split": "test", "boxes": []},
    {"image_id": "e", "split": "train", "boxes": boxes((0, 1 / 3, 0.2, 2 / 3, 0.6))},
]
COUNT: list[dict[str, Any]] = [
    {"image_id": f"{n:05d}", "split": split, "count": n}
    for n, split in enumerate(("train", "train", "val", "test", "train"))
]
CLASSIFY: list[dict[str, Any]] = [
    {"image_id": f"i{n}", "split": split, "label": n % 2}
    for n, split in enumerate(("train", "val", "test", "train"))
]


def assert_mxnet_reads_the_table(folder: Path, records: Path, task: Task) -> None:
    """Every record of every split: its id, its place, its label, and its image, untouched."""
    rows = list(iter_rows(folder / "table"))
    images = read_images(folder / "images", [row["image_id"] for row in rows])
    for split in SPLITS:
        expected = [row for row in rows if row["split"] == split]
        found = read_by_mxnet(records, split)
        assert RecordSet(records).ids(split) == [row["image_id"] for row in expected]
        assert list(found) == list(range(len(expected)))
        for index, row in enumerate(expected):
            label, image = found[index]
            assert image == images[row["image_id"]]
            if task == "detect":
                assert label[:2].tolist() == [2, 5]
                flat = [
                    [b[k] for k in ("label", "xmin", "ymin", "xmax", "ymax")] for b in row["boxes"]
                ]
                np.testing.assert_allclose(
                    label[2:].reshape(-1, 5), np.array(flat).reshape(-1, 5), rtol=0, atol=1e-6
                )
            else:
                assert label.tolist() == [row["count" if task == "count" else "label"]]


@pytest.mark.parametrize(
    ("task", "rows"), [("detect", DETECT), ("count", COUNT), ("classify", CLASSIFY)]
)
def test_every_record_equals_its_row(
    dataset: Dataset, task: Task, rows: list[dict[str, Any]]
) -> None:
    folder = dataset(task, rows)
    assert_mxnet_reads_the_table(folder, run(folder, task), task)


@pytest.mark.parametrize("task", ["detect", "count", "classify"])
def test_every_record_of_a_real_dataset_equals_its_row(
    dataset: Dataset, real_rows: Callable[[Task], list[dict[str, Any]]], task: Task
) -> None:
    rows = real_rows(task)
    assert len(rows) >= 80
    folder = dataset(task, rows)
    assert_mxnet_reads_the_table(folder, run(folder, task), task)


def test_order_is_the_tables_even_when_the_shards_have_another(dataset: Dataset) -> None:
    folder = dataset("count", COUNT)
    table = folder / "table"
    info, rows = read_info(table), list(iter_rows(table))
    write_rows(table, reversed(rows), info)
    records = run(folder, "count")
    assert RecordSet(records).ids("train") == ["00004", "00001", "00000"]
    assert_mxnet_reads_the_table(folder, records, "count")


@pytest.mark.parametrize("resize", [None, 20])
def test_reading_without_the_index_gives_the_tables_order(
    dataset: Dataset, resize: int | None
) -> None:
    records = run(dataset("count", COUNT), "count", resize=resize)
    reader = mx.recordio.MXRecordIO(str(records / "train.rec"), "r")
    found = [mx.recordio.unpack(reader.read())[0].id for _ in range(3)]
    assert found == [0, 1, 2]
    assert reader.read() is None


def test_augmented_copies_are_packed_with_the_others(dataset: Dataset) -> None:
    copy = {"image_id": "00000#aug1", "split": "train", "count": 0, "augmented": True}
    records = run(dataset("count", [*COUNT, copy]), "count")
    assert RecordSet(records).ids("train") == ["00000", "00001", "00004", "00000#aug1"]
    assert len(read_by_mxnet(records, "train")) == 4


def test_lists_are_in_the_form_of_the_built_in_algorithms(dataset: Dataset) -> None:
    records = run(dataset("detect", DETECT), "detect")
    lines = (records / "train.lst").read_text().splitlines()
    first = "0 2 5 0 0.100000 0.200000 0.500000 0.600000 1 0 0 1 1 b.jpg"
    assert lines[0].split("\t") == first.split()
    assert (records / "test.lst").read_text() == "0\t2\t5\tdir/c.d.jpg\n"


def test_the_folder_describes_itself(dataset: Dataset) -> None:
    folder = dataset("detect", DETECT)
    records = RecordSet(run(folder, "detect"))
    assert records.task == "detect"
    assert records.classes == ("a", "b")
    assert records.counts == {"train": 2, "val": 1, "test": 1}
    assert records.fingerprint == fingerprint(folder / "table")


def decoded(image: bytes) -> npt.NDArray[np.uint8]:
    """The pixels as they are stored, whatever an EXIF tag says."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return np.asarray(cv2.imdecode(np.frombuffer(image, np.uint8), flags), np.uint8)


def test_resizing_shortens_edges_and_keeps_labels_and_contents(dataset: Dataset) -> None:
    """40 pixels to 24: too near for libjpeg's half size, so the reference is exact."""
    folder = dataset("count", COUNT)
    originals = read_images(folder / "images", [row["image_id"] for row in COUNT])
    records = run(folder, "count", resize=24, quality=90)
    for split in SPLITS:
        expected = [row for row in COUNT if row["split"] == split]
        for index, (label, image) in read_by_mxnet(records, split).items():
            row = expected[index]
            assert label.tolist() == [row["count"]]
            whole = shrunk_whole(originals[row["image_id"]], 24)
            assert whole.shape[0] == 24
            assert image == as_jpeg(whole, 90)


def shrunk_whole(image: bytes, edge: int) -> npt.NDArray[np.uint8]:
    """The reference: every pixel decoded, averaged by area."""
    pixels = decoded(image)
    scale = edge / min(pixels.shape[:2])
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def as_jpeg(pixels: npt.NDArray[np.uint8], quality: int = 95) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def difference(one: npt.NDArray[np.uint8], other: npt.NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(float) - other).mean())


@pytest.mark.parametrize("resize", [16, 60, 120, 200, 240, 300])
def test_large_photographs_shrink_nearly_as_if_decoded_whole(
    dataset: Dataset, real_rows: Callable[[Task], list[dict[str, Any]]], resize: int
) -> None:
    rows = real_rows("detect")[::10]
    records = run(dataset("detect", rows), "detect", resize=resize)
    for split in SPLITS:
        expected = [row for row in rows if row["split"] == split]
        for index, (_, image) in read_by_mxnet(records, split).items():
            whole = shrunk_whole(expected[index]["image"], resize)
            kept = decoded(as_jpeg(whole))
            assert decoded(image).shape == whole.shape
            assert difference(decoded(image), kept) < difference(kept, whole), "JPEG's own loss"


@pytest.mark.parametrize(("width", "height"), [(201, 120), (200, 121), (203, 121)])
def test_an_odd_side_is_decoded_whole_so_that_nothing_moves(
    dataset: Dataset, width: int, height: int
) -> None:
    sharp = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    image = as_jpeg(sharp)
    records = run(dataset("count", [{**COUNT[0], "image": image}, *COUNT[1:]]), "count", resize=32)
    assert read_by_mxnet(records, "train")[0][1] == as_jpeg(shrunk_whole(image, 32))


@pytest.mark.parametrize("resize", [16, 32])
def test_a_size_that_is_not_the_tables_is_an_error(dataset: Dataset, resize: int) -> None:
    rows = [{**COUNT[0], "width": 600, "height": 400}, *COUNT[1:]]
    with pytest.raises(UserError, match="'00000': 60 x 40 pixels, but the image table says 600 x"):
        run(dataset("count", rows), "count", resize=resize)


def test_the_result_does_not_depend_on_the_number_of_processes(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "PATIENCE_S", 0)  # processes from the second chunk on
    monkeypatch.setattr(parallel, "CHUNK_ITEMS", 2)
    folder = dataset("count", [{**row, "image_id": f"{row['image_id']}{n}"} for n in range(3)
                               for row in COUNT])  # fmt: skip
    digests = []
    for workers in (1, 2):
        records = run(folder, "count", resize=20, workers=workers)
        digests.append([path.read_bytes() for path in sorted(records.iterdir())])
    assert digests[0] == digests[1]


def test_a_small_image_is_not_enlarged(dataset: Dataset) -> None:
    records = run(dataset("count", COUNT), "count", resize=512)
    _, image = read_by_mxnet(records, "val")[0]
    assert decoded(image).shape[0] == 40


@pytest.mark.parametrize("resize", [20, 512])
def test_a_resized_image_is_upright_without_an_orientation_tag(
    dataset: Dataset, resize: int
) -> None:
    left_bright = np.zeros((40, 60, 3), np.uint8)
    left_bright[:, :30] = 255
    encoded = cv2.imencode(".jpg", left_bright)[1].tobytes()
    turned = {**COUNT[0], "image": with_orientation(encoded, 6)}  # to be shown turned clockwise
    records = run(dataset("count", [turned, *COUNT[1:]]), "count", resize=resize)
    pixels = decoded(read_by_mxnet(records, "train")[0][1])
    assert pixels.shape[0] > pixels.shape[1]
    assert pixels[0].mean() > 250, "what was left is on top"
    assert pixels[-1].mean() < 5


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Insert an EXIF segment that holds nothing but the orientation, tag 0x0112."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def test_mxnets_detection_iterator_takes_our_files(dataset: Dataset) -> None:
    records = run(dataset("detect", DETECT), "detect")
    iterator = mx.io.ImageDetRecordIter(
        path_imgrec=str(records / "train.rec"),
        path_imgidx=str(records / "train.idx"),
        data_shape=(3, 32, 32),
        batch_size=2,
        label_pad_width=16,
    )
    batch = next(iter(iterator))
    assert batch.data[0].shape == (2, 3, 32, 32)
    # The iterator puts channels, height, width and length before the label itself.
    np.testing.assert_allclose(
        batch.label[0].asnumpy()[0, 4:11], [2, 5, 0, 0.1, 0.2, 0.5, 0.6], rtol=1e-6
    )


@pytest.mark.parametrize(("task", "rows"), [("count", COUNT), ("classify", CLASSIFY)])
def test_mxnets_image_iterator_takes_our_files(
    dataset: Dataset, task: Task, rows: list[dict[str, Any]]
) -> None:
    records = run(dataset(task, rows), task)
    train = [row for row in rows if row["split"] == "train"]
    iterator = mx.io.ImageRecordIter(
        path_imgrec=str(records / "train.rec"),
        path_imgidx=str(records / "train.idx"),
        data_shape=(3, 32, 32),
        batch_size=len(train),
    )
    batch = next(iter(iterator))
    assert batch.data[0].shape == (len(train), 3, 32, 32)
    key = "count" if task == "count" else "label"
    assert batch.label[0].asnumpy().tolist() == [row[key] for row in train]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"split": None}, "'00000': no split"),
        ({"count": None}, "'00000': no count in the image table"),
        ({"unlisted": True}, "'00000': in no row of the table"),
        ({"times": 2}, "'00000': twice in the shards"),
        ({"times": 0}, "1 images of the table are in no shard, e.g. 00000"),
    ],
)
def test_what_does_not_fit_together_is_named(
    dataset: Dataset, change: dict[str, Any], expected: str
) -> None:
    folder = dataset("count", [{**COUNT[0], **change}, *COUNT[1:]])
    with pytest.raises(UserError, match=expected):
        run(folder, "count")
    assert not (folder / "records").exists()


def test_an_empty_split_is_named(dataset: Dataset) -> None:
    folder = dataset("count", [{**row, "split": "train"} for row in COUNT])
    with pytest.raises(UserError, match="no image in split val, test"):
        run(folder, "count")


@pytest.mark.parametrize("image", [b"no image", b""])
def test_an_image_that_cannot_be_decoded_is_named(dataset: Dataset, image: bytes) -> None:
    folder = dataset("count", [{**COUNT[0], "image": image}, *COUNT[1:]])
    with pytest.raises(UserError, match="'00000': OpenCV cannot decode it"):
        run(folder, "count", resize=20)


def test_a_failed_run_leaves_the_earlier_records(dataset: Dataset) -> None:
    folder = dataset("count", COUNT)
    before = {path: path.read_bytes() for path in run(folder, "count").iterdir()}
    next((folder / "images").iterdir()).unlink()
    with pytest.raises(UserError, match="in no shard"):
        run(folder, "count")
    assert {path: path.read_bytes() for path in (folder / "records").iterdir()} == before
