"""Copies are exact: the box that moves with the image still holds the object's pixels."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from components.augment.augment import augment
from components.augment.config import AugmentSection
from components.augment.transform import Copy, copy_seed, make_copy
from components.shared.errors import UserError
from components.shared.shards import ShardWriter, iter_images
from components.shared.table import TableInfo, iter_rows, read_info, read_table, write_rows

NOTHING: dict[str, float] = {"horizontal_flip": 0, "brightness": 0, "contrast": 0, "saturation": 0}
BOX = (0.125, 0.25, 0.5, 0.75)  # 8..32 by 12..36 pixels of 64 x 48


def scene() -> torch.Tensor:
    """A white object, exactly filling BOX, on black."""
    image = torch.zeros(3, 48, 64, dtype=torch.uint8)
    image[:, 12:36, 8:32] = 255
    return image


def copy(seed: int = 0, boxes: tuple[tuple[float, ...], ...] = (BOX,), **settings: Any) -> Copy:
    section = AugmentSection(copies=1, **{**NOTHING, "contrast": 1e-9, **settings})
    return make_copy(scene(), torch.tensor(boxes), section, seed)


def white(image: torch.Tensor, box: torch.Tensor) -> tuple[float, float]:
    """The share of white pixels inside a box, and outside of it."""
    height, width = image.shape[-2:]
    left, top, right, bottom = (
        round(float(v) * s) for v, s in zip(box, (width, height, width, height), strict=True)
    )
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    on = image[0] > 127
    return float(on[mask].float().mean()), float(on[~mask].float().mean())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"horizontal_flip": 1}, (0.5, 0.25, 0.875, 0.75)),
        ({"vertical_flip": 1}, (0.125, 0.25, 0.5, 0.75)),
        ({}, BOX),
    ],
)
def test_a_flip_mirrors_the_box_and_keeps_its_sides_in_order(
    settings: dict[str, Any], expected: tuple[float, ...]
) -> None:
    made = copy(**settings)
    np.testing.assert_allclose(made.boxes[0].numpy(), expected, atol=1e-9)
    assert white(made.image, made.boxes[0]) == (1.0, 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_the_object_is_under_its_box_whatever_was_drawn(seed: int) -> None:
    made = copy(seed, horizontal_flip=0.5, vertical_flip=0.5, min_crop=0.5, brightness=0.3)
    assert len(made.boxes) == 1
    assert (made.boxes[:, 2:] > made.boxes[:, :2]).all()
    inside, outside = white(made.image, made.boxes[0])
    assert inside > 0.9
    assert outside < 0.05


def test_a_box_that_is_hardly_visible_is_dropped_and_the_others_keep_their_labels() -> None:
    corner = (0.0, 0.0, 0.03, 0.03)
    kept = {tuple(copy(seed, (corner, BOX), min_crop=0.6).kept.tolist()) for seed in range(30)}
    assert (1,) in kept
    assert (0, 1) in kept


def test_a_copy_never_loses_all_its_boxes() -> None:
    corner = (0.0, 0.0, 0.03, 0.03)
    for seed in range(30):
        assert len(copy(seed, (corner,), min_crop=0.5).boxes) == 1


def test_a_copy_depends_on_seed_image_and_number_alone() -> None:
    seeds = {copy_seed(s, i, n) for s in (0, 1) for i in ("a", "b") for n in (1, 2)}
    assert len(seeds) == 8
    torch.manual_seed(1)
    first = copy(copy_seed(0, "a", 1), horizontal_flip=0.5, brightness=0.5)
    torch.manual_seed(2)
    second = copy(copy_seed(0, "a", 1), horizontal_flip=0.5, brightness=0.5)
    assert torch.equal(first.image, second.image)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Six drawn images, a PNG among them: four to train, one each to validate and to test."""
    rows = []
    with ShardWriter(tmp_path / "images") as shards:
        for number, split in enumerate(("train", "train", "val", "test", "train", "train")):
            pixels = scene().permute(1, 2, 0).numpy().copy()
            pixels[0, 0] = number
            buffer = io.BytesIO()
            name = "png" if number == 1 else "jpeg"
            Image.fromarray(pixels).save(buffer, name.upper(), quality=95)
            shards.add(f"i{number}", buffer.getvalue())
            box = dict(zip(("xmin", "ymin", "xmax", "ymax"), BOX, strict=True))
            rows.append(
                {
                    "image_id": f"i{number}",
                    "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
                    "width": 64,
                    "height": 48,
                    "format": name,
                    "group": f"g{number}",
                    "split": split,
                    "boxes": [{"label": 1, **box}],
                    "source": f"i{number}.{name}",
                    "attributes": {"camera": "x"},
                }
            )
    write_rows(tmp_path / "table", rows, TableInfo("detect", ("a", "b")))
    return tmp_path


def run(folder: Path, name: str = "out", **settings: Any) -> tuple[Path, Path]:
    section = AugmentSection(**settings)
    images, table = folder / f"{name}-images", folder / f"{name}-table"
    augment(section, "detect", 0, folder / "images", folder / "table", images, table)
    return images, table


def test_only_training_images_are_copied_and_nothing_is_lost(dataset: Path) -> None:
    images, table = run(dataset, copies=2)
    rows = list(iter_rows(table))
    assert rows[:6] == list(iter_rows(dataset / "table"))
    copies = rows[6:]
    assert [r["image_id"] for r in copies] == [f"i{n}#aug{k}" for n in (0, 1, 4, 5) for k in (1, 2)]
    assert {r["split"] for r in copies} == {"train"}
    assert [r["group"] for r in copies[:2]] == ["g0", "g0"]
    assert copies[0]["attributes"] == {"camera": "x", "augmented_from": "i0"}
    assert read_info(table) == read_info(dataset / "table")
    found = dict(iter_images(images))
    assert set(found) == {r["image_id"] for r in copies}
    for row in copies:
        assert hashlib.sha256(found[row["image_id"]]).hexdigest() == row["sha256"]
        picture = Image.open(io.BytesIO(found[row["image_id"]]))
        assert picture.size == (row["width"], row["height"])
        assert (picture.format or "").lower() == row["format"]


def test_the_result_does_not_depend_on_the_number_of_processes(dataset: Path) -> None:
    one = run(dataset, "one", copies=2, min_crop=0.6, workers=1)
    two = run(dataset, "two", copies=2, min_crop=0.6, workers=2)
    assert dict(iter_images(one[0])) == dict(iter_images(two[0]))
    assert read_table(one[1]).equals(read_table(two[1]))


def test_without_copies_the_table_stays_as_it_is(dataset: Path) -> None:
    images, table = run(dataset)
    assert list(images.iterdir()) == []
    assert table.read_bytes() == (dataset / "table").read_bytes()


def test_counting_refuses_crops(dataset: Path) -> None:
    section = AugmentSection(copies=1, min_crop=0.9)
    with pytest.raises(UserError, match="remove an item"):
        augment(section, "count", 0, *[dataset / name for name in ("images", "table", "a", "b")])


def test_a_training_image_without_bytes_is_an_error(dataset: Path) -> None:
    for shard in (dataset / "images").iterdir():
        shard.unlink()
    with pytest.raises(UserError, match="missing from the shards"):
        run(dataset, copies=1)


def test_copies_that_would_not_differ_are_refused() -> None:
    with pytest.raises(ValidationError, match="no operation that would change them"):
        AugmentSection(copies=1, **NOTHING)
