"""Small tables and shards for the explore step."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from components.shared.shards import ShardWriter
from components.shared.table import Rejection, TableInfo, write_rejected, write_rows
from components.shared.task import Task


@dataclass(frozen=True)
class Paths:
    """What the step reads, and where it writes."""

    images: Path
    table: Path
    rejected: Path
    report: Path


@pytest.fixture
def row() -> Callable[..., dict[str, Any]]:
    """Make a row of the image table with everything that a test does not care about."""

    def make(number: int, **changes: Any) -> dict[str, Any]:
        made = {
            "image_id": f"{number:04d}",
            "sha256": f"{number:064x}",
            "width": 40,
            "height": 30,
            "format": "png",
            "group": f"{number:04d}",
            "split": None,
            "label": None,
            "count": None,
            "boxes": None,
            "source": f"{number:04d}.png",
            "attributes": {},
        }
        return made | changes

    return make


@pytest.fixture
def write_data(tmp_path: Path) -> Callable[..., Paths]:
    """Write a table, pictures of one shade of gray each, and a list of what was set aside."""

    def write(
        rows: Sequence[Mapping[str, Any]],
        task: Task,
        classes: tuple[str, ...] = (),
        rejected: Sequence[tuple[str, str] | tuple[str, str, bytes]] = (),
    ) -> Paths:
        names = ("images", "table.parquet", "rejected.parquet", "report.html")
        paths = Paths(*(tmp_path / name for name in names))
        write_rows(paths.table, map(dict, rows), TableInfo(task, classes))
        write_rejected(paths.rejected, (Rejection(*one) for one in rejected))
        with ShardWriter(paths.images) as writer:
            for number, one in enumerate(rows):
                buffer = io.BytesIO()
                shade = number % 256
                Image.new("RGB", (40, 30), (shade, shade, shade)).save(buffer, "PNG")
                writer.add(one["image_id"], buffer.getvalue())
        return paths

    return write
