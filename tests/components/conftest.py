"""RecordIO folders of drawn images that a small network learns in seconds."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # not every image has these
    import numpy as np
    import numpy.typing as npt

Counts = tuple[int, int, int]
DrawRecords = Callable[..., Path]
_EDGE = 24


@pytest.fixture
def draw_records(tmp_path: Path) -> DrawRecords:
    """Return a function that draws a RecordIO folder for a task, and returns it.

    Classify: red or blue. Count: 0 to 3 white squares. Detect: a white rectangle and its box.
    """

    def draw(task: str, counts: Counts = (32, 16, 8), name: str = "records") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        classes = {"classify": ["red", "blue"], "detect": ["rectangle"], "count": []}[task]
        splits = dict(zip(("train", "val", "test"), counts, strict=True))
        for split, count in splits.items():
            _write_split(folder, split, task, count)
        meta = {
            "version": "1",
            "task": task,
            "classes": classes,
            "counts": splits,
            "fingerprint": f"drawn-{task}",
        }
        (folder / "meta.json").write_text(json.dumps(meta))
        return folder

    return draw


def _write_split(folder: Path, split: str, task: str, count: int) -> None:
    import numpy as np
    from PIL import Image

    from components.shared.recordio import RecordWriter

    chance = np.random.default_rng(sum(split.encode()))
    with (
        RecordWriter(folder / f"{split}.rec", folder / f"{split}.idx") as records,
        (folder / f"{split}.lst").open("w") as lines,
    ):
        for index in range(count):
            pixels, label = _draw(task, index, chance)
            encoded = io.BytesIO()
            Image.fromarray(pixels).save(encoded, "PNG")
            records.write(index, label, encoded.getvalue())
            shown = [label] if isinstance(label, float) else label
            values = "\t".join(f"{value:.6f}" for value in shown)
            lines.write(f"{index}\t{values}\t{split}/{index:04d}.png\n")


def _draw(
    task: str, index: int, chance: "np.random.Generator"
) -> "tuple[npt.NDArray[np.uint8], float | Sequence[float]]":
    import numpy as np

    pixels = chance.integers(0, 60, (_EDGE, _EDGE, 3)).astype(np.uint8)
    if task == "classify":
        pixels[..., 2 * (index % 2)] += 150
        return pixels, float(index % 2)
    if task == "count":
        for number in range(index % 4):
            pixels[8 * (number // 2) + 4 :, 12 * (number % 2) :][:4, 2:8] = 250
        return pixels, float(index % 4)
    left, top = (int(value) for value in chance.integers(0, 10, 2))
    pixels[top : top + 12, left : left + 10] = 250
    box = [left / _EDGE, top / _EDGE, (left + 10) / _EDGE, (top + 12) / _EDGE]
    return pixels, [2.0, 5.0, 0.0, *box]
