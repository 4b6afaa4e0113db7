"""Small tables and shards for the split step."""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.shared.shards import ShardWriter
from components.shared.table import TableInfo, write_rows
from components.shared.task import Task


@dataclass(frozen=True)
class Data:
    """Where a dataset lies."""

    images: Path
    table: Path


def table_row(image_id: str, **changes: Any) -> dict[str, Any]:
    """Return a row of the image table with everything that a test does not care about."""
    row = {
        "image_id": image_id,
        "sha256": hashlib.sha256(image_id.encode()).hexdigest(),
        "width": 64,
        "height": 64,
        "format": "png",
        "group": image_id,
        "split": None,
        "label": None,
        "count": None,
        "boxes": None,
        "source": f"{image_id}.png",
        "attributes": {},
    }
    return row | changes


@pytest.fixture
def row() -> Callable[..., dict[str, Any]]:
    """Make a row of the image table."""
    return table_row


@pytest.fixture
def write_data(tmp_path: Path) -> Callable[..., Data]:
    """Write a table, and shards if there are pictures."""

    def write(
        rows: Sequence[Mapping[str, Any]],
        pictures: Mapping[str, bytes] | None = None,
        task: Task = "classify",
        name: str = "data",
    ) -> Data:
        folder = tmp_path / name
        classes = () if task == "count" else ("cat", "dog", "owl")
        write_rows(folder / "table.parquet", map(dict, rows), TableInfo(task, classes))
        with ShardWriter(folder / "images") as writer:
            for image_id, data in (pictures or {}).items():
                writer.add(image_id, data)
        return Data(folder / "images", folder / "table.parquet")

    return write


@pytest.fixture
def photo() -> Callable[[int], Image.Image]:
    """Make a picture with structure at every scale, as photographs have; each seed another."""

    def make(seed: int, size: int = 192) -> Image.Image:
        rng = np.random.default_rng(seed)
        total = np.zeros((size, size, 3), np.float32)
        for cells in (3, 6, 12, 24):
            noise = rng.integers(0, 256, (cells, cells, 3), np.uint8)
            scaled = Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC)
            total += np.asarray(scaled, np.float32) / cells**0.5
        total -= total.min()
        return Image.fromarray((total / total.max() * 255).astype(np.uint8))

    return make


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """Encode a picture."""

    def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        return buffer.getvalue()

    return encoded
