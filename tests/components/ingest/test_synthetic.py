"""Drawn scenes: exact labels, balanced, and not to be guessed."""

import io
from collections import Counter
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.ingest.formats.synthetic import CLASSES, Shape, _box, _draw


def test_counts_and_classes_are_balanced(run: Any) -> None:
    counted = run("count", synthetic={"images": 60, "size": 48})
    counts = Counter(row["count"] for row in counted.rows.values())
    assert counts == dict.fromkeys(range(6), 10)
    classified = run("classify", synthetic={"images": 60, "size": 48})
    assert classified.info.classes == CLASSES
    labels = Counter(row["label"] for row in classified.rows.values())
    assert labels == dict.fromkeys(range(3), 20)


def test_scenes_depend_on_the_seed_only(run: Any) -> None:
    first, again = (run("detect", synthetic={"images": 12, "size": 48}) for _ in range(2))
    other = run("detect", seed=1, synthetic={"images": 12, "size": 48})
    assert first.files() == again.files()
    assert not set(first.images().values()) & set(other.images().values())


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("angle", [0.0, 0.4, 2.0])
def test_boxes_are_exact(name: str, angle: float) -> None:
    """The pixels that drawing a shape changes end where its box does."""
    shape = Shape(name, 0.47, 0.55, 0.3, angle, (255, 0, 0))
    layout = {"size": 200, "seed": 1, "background": [60, 60, 60]}
    empty, drawn = (
        np.asarray(_draw({**layout, "shapes": shapes}), np.int64) for shapes in ([], [shape])
    )
    rows, columns = np.nonzero(np.abs(drawn - empty)[..., 0] > 60)
    found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    box = _box(shape, "")
    stated = (box.xmin * 200, box.ymin * 200, box.xmax * 200, box.ymax * 200)
    assert found == pytest.approx(stated, abs=1.6)


def test_objects_stay_apart_and_inside(run: Any) -> None:
    got = run("detect", synthetic={"images": 40, "size": 48, "max_objects": 20})
    assert max(len(row["boxes"]) for row in got.rows.values()) == 20
    for row in got.rows.values():
        corners = np.array([[box[side] for side in ("xmin", "ymin", "xmax", "ymax")]
                            for box in row["boxes"]])  # fmt: skip
        assert corners.min() >= 0
        assert corners.max() <= 1
        assert row["attributes"] == {}  # nothing had to be clipped


def test_mean_colour_does_not_give_the_class_away(run: Any) -> None:
    got = run("classify", synthetic={"images": 300, "size": 48})
    images = got.images()
    means = np.array([
        np.asarray(Image.open(io.BytesIO(images[name]))).mean((0, 1)) for name in got.rows
    ])  # fmt: skip
    labels = np.array([row["label"] for row in got.rows.values()])
    centres = np.array([means[labels == label].mean(0) for label in range(3)])
    nearest = np.linalg.norm(means[:, None] - centres, axis=-1).argmin(1)
    assert (nearest == labels).mean() < 0.5
