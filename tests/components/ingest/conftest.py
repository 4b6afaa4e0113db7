"""Helpers of the ingest tests: run the step, and make small images and datasets."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.ingest.config import IngestSection
from components.ingest.ingest import ingest
from components.shared.shards import iter_images
from components.shared.table import TableInfo, iter_rejected, iter_rows, read_info


@dataclass(frozen=True)
class Ingested:
    """What a run of the step wrote."""

    folder: Path
    rows: dict[str, dict[str, Any]]
    rejected: dict[str, str]
    info: TableInfo

    def images(self) -> dict[str, bytes]:
        return dict(iter_images(self.folder / "images"))

    def pictured(self) -> dict[str, bytes]:
        """Return the thumbnails of what was rejected, by path."""
        rejected = iter_rejected(self.folder / "rejected.parquet")
        return {one.path: one.thumbnail for one in rejected if one.thumbnail is not None}

    def files(self) -> dict[str, bytes]:
        found = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}


Run = Callable[..., Ingested]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the step: `run("detect", format="voc", uri=...)`."""
    runs = iter(range(100))

    def run(task: Any, *, seed: int = 0, **settings: Any) -> Ingested:
        folder = tmp_path / f"ingested-{next(runs)}"
        section = IngestSection(**{"workers": 1, **settings})
        paths = [folder / name for name in ("images", "table.parquet", "rejected.parquet")]
        ingest(section, task, seed, *paths)
        rows = {row["image_id"]: row for row in iter_rows(paths[1])}
        rejected = {row["path"]: row["reason"] for row in iter_rows(paths[2])}
        return Ingested(folder, rows, rejected, read_info(paths[1]))

    return run


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """Encode a small noisy image, each time another: `picture("PNG", (40, 30), seed=1)`."""
    seeds = count(1_000)

    def picture(
        kind: str = "JPEG",
        size: tuple[int, int] = (40, 30),
        seed: int | None = None,
        **options: Any,
    ) -> bytes:
        pixels = np.random.default_rng(next(seeds) if seed is None else seed).integers(
            0, 256, (size[1], size[0], 3), np.uint8
        )
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, kind, **options)
        return buffer.getvalue()

    return picture


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, bytes | str]], Path]:
    """Write files below a new folder and return it."""
    folders = iter(range(100))

    def write(files: dict[str, bytes | str]) -> Path:
        folder = tmp_path / f"source-{next(folders)}"
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return write


@pytest.fixture(scope="session")
def voc_xml() -> Callable[..., str]:
    """Write a VOC annotation: `voc_xml((40, 30), ("cat", 1, 1, 20, 15))`."""

    def voc_xml(size: tuple[int, int], *objects: tuple[Any, ...], filename: str = "") -> str:
        parts = [
            f"<object><name>{name}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
            f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
            for name, x0, y0, x1, y1 in objects
        ]
        header = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
        return f"<annotation><filename>{filename}</filename>{header}{''.join(parts)}</annotation>"

    return voc_xml


@pytest.fixture(scope="session")
def bin_json() -> Callable[..., str]:
    """Write a bin's metadata: `bin_json(3, 1, 2)` expects 3 of two items."""

    def bin_json(expected: Any, *quantities: Any) -> str:
        items = {f"B{i}": {"quantity": quantity} for i, quantity in enumerate(quantities)}
        return json.dumps({"BIN_FCSKU_DATA": items, "EXPECTED_QUANTITY": expected})

    return bin_json
