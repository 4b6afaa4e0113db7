"""Small tables and shards for the validate step."""

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
from components.validate.validate import Inputs, Outputs


@dataclass(frozen=True)
class Paths:
    """What the step reads, and where it writes."""

    folder: Path

    @property
    def inputs(self) -> Inputs:
        names = ("images", "table.parquet", "rejected.parquet")
        return Inputs(*(self.folder / name for name in names))

    @property
    def outputs(self) -> Outputs:
        names = ("result.json", "docs", "report.html", "profile.json")
        return Outputs(*(self.folder / name for name in names))


@pytest.fixture
def row() -> Callable[..., dict[str, Any]]:
    """Make a row of the image table with everything that a test does not care about."""

    def make(number: int, **changes: Any) -> dict[str, Any]:
        made = {
            "image_id": f"{number:04d}",
            "sha256": f"{number:064x}",
            "width": 100,
            "height": 80,
            "format": "jpeg",
            "group": f"{number:04d}",
            "split": None,
            "label": None,
            "count": None,
            "boxes": None,
            "source": f"{number:04d}.jpg",
            "attributes": {},
        }
        return made | changes

    return make


@pytest.fixture
def write_data(tmp_path: Path) -> Callable[..., Paths]:
    """Write a table, a small gray picture for each row, and a list of what was set aside."""

    def write(
        rows: Sequence[Mapping[str, Any]],
        task: Task,
        classes: tuple[str, ...] = (),
        rejected: Sequence[tuple[str, str]] = (),
        shade: Callable[[int], int] = lambda number: 40 + number % 128,
        name: str = "data",
    ) -> Paths:
        paths = Paths(tmp_path / name)
        write_rows(paths.inputs.table, map(dict, rows), TableInfo(task, classes))
        write_rejected(paths.inputs.rejected, (Rejection(*one) for one in rejected))
        with ShardWriter(paths.inputs.images) as writer:
            for number, one in enumerate(rows):
                buffer = io.BytesIO()
                Image.new("L", (8, 6), shade(number)).save(buffer, "PNG")
                writer.add(one["image_id"], buffer.getvalue())
        return paths

    return write
