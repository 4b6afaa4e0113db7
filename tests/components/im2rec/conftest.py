import io
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
    return io.BytesIO(encoded.tobytes()).getvalue()


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[[Task, Sequence[Row]], Path]:
    """Return a writer of small datasets: rows' own fields, and an image for each."""

    def write(task: Task, rows: Sequence[Row]) -> Path:
        folder = tmp_path / "data"
        (folder / "augmented").mkdir(parents=True)
        with ShardWriter(folder / "images") as shards:
            for seed, row in enumerate(rows):
                image = row.get("image") or jpeg(60 + seed, 40, seed)
                for _ in range(row.get("times", 1)):
                    shards.add(row["image_id"], image)
        full = [
            {
                "sha256": "0" * 64,
                "width": 60,
                "height": 40,
                "format": "jpeg",
                "group": row["image_id"],
                "source": row["image_id"],
                **{key: value for key, value in row.items() if key not in ("times", "image")},
            }
            for row in rows
            if not row.get("unlisted")
        ]
        full = [{k: v for k, v in row.items() if k != "unlisted"} for row in full]
        write_rows(folder / "table", full, TableInfo(task, ("a", "b")))
        return folder

    return write
