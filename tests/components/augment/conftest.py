"""Small datasets of drawn scenes and of real photographs."""

import hashlib
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from components.shared.shards import ShardWriter
from components.shared.table import TableInfo, write_rows

SIDES = ("xmin", "ymin", "xmax", "ymax")
BOX = (0.125, 0.25, 0.5, 0.625)  # 8..32 by 12..30 pixels of 64 x 48: symmetric in no direction
CORNER = (0.0, 0.0, 0.1, 0.15)

Write = Callable[..., Path]


def scene() -> torch.Tensor:
    """A white object, exactly filling BOX, on black."""
    image = torch.zeros(3, 48, 64, dtype=torch.uint8)
    image[:, 12:30, 8:32] = 255
    return image


@pytest.fixture
def write_dataset(tmp_path: Path) -> Write:
    """Write shards and a table: encoded images with what their rows say of them."""

    def write(info: TableInfo, images: list[tuple[bytes, dict[str, Any]]]) -> Path:
        rows = []
        with ShardWriter(tmp_path / "images") as shards:
            for data, values in images:
                with Image.open(io.BytesIO(data)) as picture:
                    width, height = picture.size
                    found = (picture.format or "").lower()
                shards.add(values["image_id"], data)
                rows.append(
                    {
                        "sha256": hashlib.sha256(data).hexdigest(),
                        "width": width,
                        "height": height,
                        "format": found,
                        "group": f"g-{values['image_id']}",
                        "source": f"{values['image_id']}.{found}",
                        **values,
                    }
                )
        write_rows(tmp_path / "table", rows, info)
        return tmp_path

    return write


def encoded(number: int, name: str = "jpeg") -> bytes:
    """A scene, marked with a number."""
    pixels = scene().permute(1, 2, 0).numpy().copy()
    pixels[0, 0] = number
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, name.upper(), quality=95)
    return buffer.getvalue()


@pytest.fixture
def dataset(write_dataset: Write) -> Path:
    """Six drawn images, a PNG among them: four to train, one each to validate and to test."""
    boxes = [
        {"label": label, **dict(zip(SIDES, box, strict=True))}
        for label, box in enumerate((CORNER, BOX))
    ]
    splits = ("train", "train", "val", "test", "train", "train")
    images = [
        (
            encoded(number, "png" if number == 1 else "jpeg"),
            {
                "image_id": f"i{number}",
                "split": split,
                "boxes": boxes,
                "attributes": {"camera": "x"},
            },
        )
        for number, split in enumerate(splits)
    ]
    return write_dataset(TableInfo("detect", ("a", "b")), images)


@pytest.fixture
def cells(shared_data: Path, write_dataset: Write) -> Path:
    """Twenty real photographs of blood cells, all to train, with their boxes."""
    root = shared_data / "bccd" / "BCCD"
    images = [
        (
            path.read_bytes(),
            {
                "image_id": path.stem,
                "split": "train",
                "boxes": voc_boxes(root / "Annotations" / f"{path.stem}.xml"),
            },
        )
        for path in sorted((root / "JPEGImages").glob("*.jpg"))[:20]
    ]
    return write_dataset(TableInfo("detect", ("cell",)), images)


def voc_boxes(path: Path) -> list[dict[str, float]]:
    boxes = []
    for found in ET.parse(path).getroot().iter("bndbox"):  # noqa: S314 - our own test data
        pixels = [float(found.findtext(side, "0")) for side in SIDES]
        box = dict(zip(SIDES, np.divide(pixels, (640, 480, 640, 480)).tolist(), strict=True))
        if box["xmin"] < box["xmax"] and box["ymin"] < box["ymax"]:
            boxes.append({"label": 0, **box})
    return boxes
