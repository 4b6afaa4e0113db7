"""The memory does not grow with the table, whatever is repeated in it."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.shared import table
from components.shared.table import TableInfo, write_rejected, write_rows
from components.validate import facts, frames
from components.validate.config import ValidateSection
from components.validate.facts import gather
from components.validate.suite import checks, needed_columns

Row = Callable[..., dict[str, Any]]
INFO = TableInfo("detect", ("cat", "dog"))
BOX = {"label": 0, "xmin": 0.1, "ymin": 0.1, "xmax": 0.5, "ymax": 0.5}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "BATCH", 400)
    monkeypatch.setattr(frames, "BATCH", 400)
    monkeypatch.setattr(table, "ROW_GROUP", 400)


def peak(folder: Path, row: Row, images: int, every: int) -> int:
    """Return the most bytes in use while all frames are made; each `every`-th digest repeats."""
    path, rejected = folder / f"{images}.parquet", folder / "rejected.parquet"
    rows = (row(i, sha256=f"{i // every * every:064x}", boxes=[BOX] * 3) for i in range(images))
    write_rows(path, rows, INFO)
    write_rejected(rejected, [])
    needed = needed_columns(checks(ValidateSection(), INFO))
    before, most, seen = pa.total_allocated_bytes(), 0, 0
    tracemalloc.start()
    try:
        found = gather(path, rejected, INFO.task, INFO.classes, ["image_id", "sha256"])
        for frame in frames.frames(path, INFO, found, needed):
            most = max(most, pa.total_allocated_bytes() - before)
            seen += len(frame.data) if frame.kind == "boxes" else 0
        assert seen == 3 * images
        return most + tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("every", [1, 2])
def test_ten_times_the_images_take_the_same_memory(every: int, row: Row, tmp_path: Path) -> None:
    peak(tmp_path, row, 400, every)  # what is made once, at first use
    few, many = (peak(tmp_path, row, images, every) for images in (800, 6_800))
    # A hash and, where it is repeated, rows' numbers in order: far less than the row itself.
    assert many < few * 1.1 + 40 * 6_000
