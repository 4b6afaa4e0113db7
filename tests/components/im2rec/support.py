"""Small datasets, and what MXNet reads of the records made of them."""

import json
import operator
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import mxnet as mx
import numpy as np
import numpy.typing as npt

from components.im2rec.config import Im2RecSection
from components.im2rec.im2rec import im2rec
from components.shared.recordio import RecordSet, part_stems
from components.shared.shards import read_images
from components.shared.table import iter_rows
from components.shared.task import SPLITS, Task

Dataset = Callable[[Task, Sequence[dict[str, Any]]], Path]
RealRows = Callable[[Task], list[dict[str, Any]]]
ReadByMxnet = dict[int, tuple[npt.NDArray[np.float32], bytes]]


def run(folder: Path, task: Task, **settings: Any) -> Path:
    records = folder / "records"
    section = Im2RecSection(**settings)
    im2rec(section, task, folder / "images", folder / "augmented", folder / "table", records)
    return records


def read_by_mxnet(records: Path, stem: str) -> ReadByMxnet:
    """All records of a file as MXNet reads them: label and image bytes by id."""
    path = records / stem
    reader = mx.recordio.MXIndexedRecordIO(f"{path}.idx", f"{path}.rec", "r")
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


def decoded(image: bytes) -> npt.NDArray[np.uint8]:
    """The pixels as they are stored, whatever an EXIF tag says."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return np.asarray(cv2.imdecode(np.frombuffer(image, np.uint8), flags), np.uint8)


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Insert an EXIF segment that holds nothing but the orientation, tag 0x0112."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def as_jpeg(pixels: cv2.typing.MatLike, quality: int = 95) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def shrunk(image: bytes, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The reference: every pixel decoded, averaged by area."""
    return np.asarray(cv2.resize(decoded(image), size, interpolation=cv2.INTER_AREA), np.uint8)


def difference(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


LEFT_WHITE = np.zeros((40, 60, 3), np.uint8)
LEFT_WHITE[:, :30] = 255
TURNED = with_orientation(as_jpeg(LEFT_WHITE), 6)  # to be shown turned clockwise: white on top


def assert_labels_equal(label: npt.NDArray[np.float32], row: dict[str, Any], task: Task) -> None:
    if task != "detect":
        assert label.tolist() == [row["count" if task == "count" else "label"]]
        return
    assert label[:2].tolist() == [2, 5]
    keys = ("label", "xmin", "ymin", "xmax", "ymax")
    flat = np.array([[box[key] for key in keys] for box in row["boxes"]]).reshape(-1, 5)
    np.testing.assert_allclose(label[2:].reshape(-1, 5), flat, rtol=0, atol=1e-6)


def assert_mxnet_reads_the_table(
    folder: Path,
    records: Path,
    task: Task,
    is_same: Callable[[bytes, bytes], bool] = operator.eq,
) -> None:
    """Every record of every part of every split: its id, its place, its label, and its image.

    `is_same` is given the image in the record and in the shard.
    """
    rows = list(iter_rows(folder / "table"))
    images = read_images(folder / "images", [row["image_id"] for row in rows])
    parts = json.loads((records / "meta.json").read_text())["parts"]
    for split in SPLITS:
        expected = [row for row in rows if row["split"] == split]
        found: ReadByMxnet = {}
        for stem in part_stems(split, parts[split]):
            part = read_by_mxnet(records, stem)
            lines = (records / f"{stem}.lst").read_text().splitlines()
            assert [int(line.split("\t")[0]) for line in lines] == list(part)
            assert not found.keys() & part.keys()
            found |= part
        assert RecordSet(records).ids(split) == [row["image_id"] for row in expected]
        reader = RecordSet(records).reader(split)
        assert sorted(found) == list(range(len(expected))) == list(range(len(reader)))
        for index, row in enumerate(expected):
            label, image = found[index]
            assert is_same(image, images[row["image_id"]]), row["image_id"]
            assert_labels_equal(label, row, task)
            ours = reader[index]
            assert (ours.index, ours.image) == (index, image)
            np.testing.assert_array_equal(ours.label, label)
