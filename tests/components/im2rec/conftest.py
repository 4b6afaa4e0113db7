import json
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from components.shared.shards import ShardWriter
from components.shared.table import TableInfo, write_rows
from components.shared.task import Task

Row = dict[str, Any]


def jpeg(width: int, height: int, seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    done, encoded = cv2.imencode(".jpg", cv2.GaussianBlur(pixels, (5, 5), 2))
    assert done
    return encoded.tobytes()


def _size(image: bytes) -> tuple[int, int]:
    pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR) if image else None
    return (60, 40) if pixels is None else (pixels.shape[1], pixels.shape[0])


def _full(row: Row, size: tuple[int, int]) -> Row:
    """A table row: the given fields, and what im2rec does not look at."""
    about_the_shard = ("times", "image", "unlisted", "augmented")
    return {
        "sha256": "0" * 64,
        "width": size[0],
        "height": size[1],
        "format": "jpeg",
        "group": row["image_id"],
        "source": row["image_id"],
        **{key: value for key, value in row.items() if key not in about_the_shard},
    }


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[[Task, Sequence[Row]], Path]:
    """Return a writer of small datasets: rows' own fields, and an image for each."""

    def write(task: Task, rows: Sequence[Row]) -> Path:
        folder, sizes = tmp_path / "data", []
        with (
            ShardWriter(folder / "images") as images,
            ShardWriter(folder / "augmented") as augmented,
        ):
            for seed, row in enumerate(rows):
                image = row.get("image", jpeg(60 + seed, 40, seed))
                shards = augmented if row.get("augmented") else images
                for _ in range(row.get("times", 1)):
                    shards.add(row["image_id"], image)
                sizes.append(_size(image))
        listed = [
            _full(row, size)
            for row, size in zip(rows, sizes, strict=True)
            if not row.get("unlisted")
        ]
        write_rows(folder / "table", listed, TableInfo(task, ("a", "b")))
        return folder

    return write


SPLIT_OF = ("train", "train", "val", "test")


@pytest.fixture
def real_rows(shared_data: Path) -> Callable[[Task], list[Row]]:
    """Return rows, with images, of a real dataset for a task: cells, bins, or dogs."""
    readers = {"detect": _cells, "count": _bins, "classify": _dogs}
    return lambda task: readers[task](shared_data)


def _cells(data: Path) -> list[Row]:
    root = data / "bccd" / "BCCD"
    rows = []
    for split in ("train", "val", "test"):
        names = (root / "ImageSets" / "Main" / f"{split}.txt").read_text().split()
        for name in sorted(names)[:40]:
            boxes = _voc_boxes(root / "Annotations" / f"{name}.xml")
            image = (root / "JPEGImages" / f"{name}.jpg").read_bytes()
            rows.append({"image_id": name, "split": split, "boxes": boxes, "image": image})
    return rows


def _voc_boxes(path: Path) -> list[dict[str, float]]:
    root = ET.parse(path).getroot()  # noqa: S314 - our own test data
    size = {side: float(root.findtext(f"size/{side}", "0")) for side in ("width", "height")}
    boxes = []
    for found in root.iter("object"):
        box: dict[str, float] = {"label": int(found.findtext("name") == "WBC")}
        for side in ("xmin", "ymin", "xmax", "ymax"):
            edge = size["width" if side[0] == "x" else "height"]
            box[side] = float(found.findtext(f"bndbox/{side}", "0")) / edge
        boxes.append(box)
    return boxes


def _bins(data: Path) -> list[Row]:
    root = data / "aft-vbi-pds"
    rows = []
    for number in range(1, 81):
        name = f"{number:05d}"
        facts = json.loads((root / "metadata" / f"{name}.json").read_text())
        image = (root / "bin-images" / f"{name}.jpg").read_bytes()
        row = {"image_id": name, "count": facts["EXPECTED_QUANTITY"], "image": image}
        rows.append({**row, "split": SPLIT_OF[number // 10 % 4]})
    return rows


def _dogs(data: Path) -> list[Row]:
    rows = []
    with zipfile.ZipFile(data / "dogImages.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        breeds = sorted({name.split("/")[2] for name in names})
        for number, name in enumerate(names[::5]):
            row = {"image_id": name.removesuffix(".jpg"), "label": breeds.index(name.split("/")[2])}
            rows.append({**row, "split": SPLIT_OF[number % 4], "image": archive.read(name)})
    return rows
