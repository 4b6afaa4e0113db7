"""Copies are exact: the box that moves with the image still holds the object's pixels."""

from typing import Any

import numpy as np
import pytest
import torch

from components.augment.config import AugmentSection
from components.augment.transform import Example, copy_seed, make_copy
from components.shared.augmentation.config import OFF
from components.shared.task import Task
from tests.components.augment.conftest import BOX, CORNER, scene


def example(*boxes: tuple[float, ...]) -> Example:
    """The scene, each box with its number as its label."""
    rows = [[float(label), *box] for label, box in enumerate(boxes)]
    return Example(scene(), torch.tensor(rows).reshape(-1, 5))


def copy(
    seed: int = 0,
    boxes: tuple[tuple[float, ...], ...] = (BOX,),
    task: Task = "detect",
    others: tuple[Example, ...] = (),
    **settings: Any,
) -> Example:
    section = AugmentSection(**{**OFF, **settings})
    return make_copy(example(*boxes), task, section, seed, others)


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
        ({"horizontal_flip": 1}, (0.5, 0.25, 0.875, 0.625)),
        ({"vertical_flip": 1}, (0.125, 0.375, 0.5, 0.75)),
        ({"horizontal_flip": 1, "vertical_flip": 1}, (0.5, 0.375, 0.875, 0.75)),
        ({}, BOX),
    ],
)
def test_a_flip_mirrors_the_box_and_keeps_its_sides_in_order(
    settings: dict[str, Any], expected: tuple[float, ...]
) -> None:
    made = copy(**settings)
    np.testing.assert_allclose(made.target[0, 1:].numpy(), expected, atol=1e-9)
    assert white(made.image, made.target[0, 1:]) == (1.0, 0.0)


@pytest.mark.parametrize("seed", range(20))
def test_the_object_is_under_its_box_whatever_was_drawn(seed: int) -> None:
    made = copy(seed, horizontal_flip=0.5, vertical_flip=0.5, crop_scale=0.3, brightness=0.3)
    assert len(made.target) == 1
    inside, outside = white(made.image, made.target[0, 1:])
    assert inside > 0.85
    assert outside < 0.1


@pytest.mark.parametrize("seed", range(20))
def test_the_object_is_under_its_box_after_a_motion(seed: int) -> None:
    """The box of a turned object holds the object and some of what is around it."""
    made = copy(seed, rotate=30, translate=0.1, scale=0.2, shear=10)
    assert len(made.target) == 1
    _, outside = white(made.image, made.target[0, 1:])
    assert outside == 0


def test_a_box_that_leaves_the_picture_is_dropped_and_the_others_keep_their_labels() -> None:
    kept = {
        tuple(copy(seed, (CORNER, BOX), crop_scale=0.4).target[:, 0].tolist()) for seed in range(30)
    }
    assert kept == {(1,), (0, 1)}


def test_no_box_stays_of_which_too_little_is_visible() -> None:
    """The box holds just the object, so what is left of its area is the white that is left."""
    shares = []
    for seed in range(60):
        made = copy(seed, (BOX, CORNER), min_visible=0.6, translate=0.4)
        white_pixels = int((made.image[0] > 200).sum())
        has_box = 0 in made.target[:, 0]
        assert has_box == (white_pixels > 0)
        if has_box:
            shares.append(white_pixels / (24 * 18))
    assert min(shares) > 0.55, "0.6, less the soft edges"
    assert min(shares) < 0.9, "some are cut"


def test_a_box_that_rounds_to_nothing_where_it_moves_is_dropped() -> None:
    """Float32 tells 1e-9 from 3e-9, but not 1 - 3e-9 from 1 - 1e-9."""
    made = copy(boxes=((1e-9, 0.25, 3e-9, 0.5), BOX), horizontal_flip=1)
    assert made.target.dtype == torch.float32
    assert made.target[:, 0].tolist() == [1]


@pytest.mark.parametrize("operation", [{"crop_scale": 0.2}, {"translate": 0.5}, {"erasing": 1}])
def test_a_copy_never_loses_all_its_boxes(operation: dict[str, Any]) -> None:
    for seed in range(30):
        assert len(copy(seed, (CORNER,), **operation).target) == 1


def test_a_copy_depends_on_seed_image_and_number_alone() -> None:
    seeds = {copy_seed(s, i, n) for s in (0, 1) for i in ("a", "b") for n in (1, 2)}
    assert len(seeds) == 8
    settings: dict[str, Any] = {
        "horizontal_flip": 0.5,
        "brightness": 0.5,
        "rotate": 10,
        "noise": 0.1,
    }
    torch.manual_seed(1)
    first = copy(copy_seed(0, "a", 1), **settings)
    torch.manual_seed(2)
    second = copy(copy_seed(0, "a", 1), **settings)
    assert torch.equal(first.image, second.image)
    assert not torch.equal(first.image, copy(copy_seed(0, "a", 2), **settings).image)


def test_a_mosaic_has_the_objects_of_four_images_and_the_size_of_the_first() -> None:
    other = Example(
        torch.full((3, 30, 20), 255, dtype=torch.uint8), torch.tensor([[7.0, 0, 0, 1, 1]])
    )
    made = copy(3, (BOX,), others=(other, other, other), mosaic=1)
    assert made.image.shape == (3, 48, 64)
    assert sorted(made.target[:, 0].tolist()) == [0, 7, 7, 7]
    for _, *box in made.target.tolist():
        assert white(made.image, torch.tensor(box))[0] > 0.85


@pytest.mark.parametrize("task", ["classify", "count"])
def test_without_boxes_images_change_as_in_training(task: Task) -> None:
    made = copy(0, (), task, horizontal_flip=1, brightness=0.5, blur=0.02)
    assert made.image.dtype == torch.uint8
    assert made.image.shape == (3, 48, 64)
    assert made.target.shape == (0, 5)
    brighter = made.image[0, 21, 44]
    assert made.image[0, 21, 20] == 0
    assert brighter > 100
