import hashlib
from typing import Any

import pytest
import torch
from torch import Tensor

from components.shared.training.config import TrainAugmentSection
from components.shared.training.image_augment import augment_images, mixup
from components.shared.training.seeds import generator


def images(count: int = 64, size: int = 16) -> Tensor:
    return torch.randint(0, 256, (count, 3, size, size), generator=generator(1)).byte()


def augment(batch: Tensor, seed: int = 0, **settings: Any) -> Tensor:
    section = TrainAugmentSection(**({"horizontal_flip": 0} | settings))
    return augment_images(batch, section, generator(seed))


def same(one: Tensor, other: Tensor) -> Tensor:
    """Tell which images of two batches are equal."""
    return (one - other).abs().amax(dim=(1, 2, 3)) < 1e-3


def test_nothing_is_changed_that_was_not_asked_for() -> None:
    batch = images()
    assert torch.equal(augment(batch), batch.float())


@pytest.mark.parametrize(("setting", "axis"), [("horizontal_flip", 3), ("vertical_flip", 2)])
def test_flips_mirror_some_images_along_one_axis(setting: str, axis: int) -> None:
    batch = images()
    flipped = augment(batch, 0, **{setting: 0.5})
    kept, mirrored = same(flipped, batch.float()), same(flipped, batch.flip(axis).float())
    assert (kept ^ mirrored).all()
    assert 16 < mirrored.sum() < 48
    assert same(augment(batch, 0, **{setting: 1.0}), batch.flip(axis).float()).all()


def test_crops_keep_at_least_their_share_of_the_area() -> None:
    # Pixel values are coordinates, so that a crop's extent can be read off it.
    size = 32
    ramp = torch.linspace(0, 255, size)
    batch = torch.stack(
        [ramp.expand(size, size), ramp.expand(size, size).T, torch.zeros(size, size)]
    )
    cropped = augment(batch[None].repeat(200, 1, 1, 1).byte(), crop_scale=0.4)
    width = (cropped[:, 0].amax(dim=(1, 2)) - cropped[:, 0].amin(dim=(1, 2))) / 255
    height = (cropped[:, 1].amax(dim=(1, 2)) - cropped[:, 1].amin(dim=(1, 2))) / 255
    area = width * height
    assert 0.33 < area.min() < 0.5
    assert area.max() > 0.85
    # Nothing was mirrored or reflected into a crop: it increases from left to right.
    assert (cropped[:, 0].diff(dim=2) >= -1).all()


def test_shifts_move_by_up_to_their_share_and_reflect_the_edge() -> None:
    batch = torch.zeros(200, 3, 16, 16, dtype=torch.uint8)
    batch[:, :, 8, 8] = 255
    shifted = augment(batch, pad=0.25)
    places = shifted[:, 0].flatten(1).argmax(dim=1)
    rows, columns = places // 16 - 8, places % 16 - 8
    assert rows.abs().max() <= 4
    assert columns.abs().max() <= 4
    assert len(set(columns.tolist())) > 5
    flat = augment(torch.full((8, 3, 16, 16), 200).byte(), pad=0.25)
    torch.testing.assert_close(flat, torch.full_like(flat, 200))


def test_colours_change_within_their_range_only() -> None:
    batch = torch.full((300, 3, 4, 4), 100).byte()
    changed = augment(batch, brightness=0.2) / 100
    assert changed.min() >= 0.8 - 1e-5
    assert changed.max() <= 1.2 + 1e-5
    assert changed.mean(dim=(1, 2, 3)).std() > 0.05
    # Gray stays gray whatever the saturation, and flat stays flat whatever the contrast.
    gray = augment(batch, saturation=0.9, contrast=0.9)
    torch.testing.assert_close(gray, batch.float(), atol=0.1, rtol=0)
    bright = augment(torch.full((50, 3, 4, 4), 250).byte(), brightness=0.5)
    assert bright.max() <= 255


def test_chance_comes_from_the_generator_alone() -> None:
    settings = {"horizontal_flip": 0.5, "crop_scale": 0.5, "pad": 0.1, "contrast": 0.3}
    batch = images()
    first = augment(batch, seed=3, **settings)
    torch.rand(5)
    assert torch.equal(first, augment(batch, seed=3, **settings))
    assert not torch.equal(first, augment(batch, seed=4, **settings))


def test_mixup_blends_images_and_targets_by_the_same_share() -> None:
    count = 128
    # An image's value is its target, so both must stay equal.
    values = torch.rand(count, generator=generator(0))
    batch = values.view(-1, 1, 1, 1).expand(count, 3, 4, 4)
    before = torch.random.get_rng_state()
    blended, targets = mixup(batch, torch.stack([values, 1 - values], 1), 0.4, generator(5))
    torch.testing.assert_close(blended[:, 0, 0, 0], targets[:, 0])
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(count))
    assert ((targets[:, 0] - values).abs() > 0.02).sum() > 20
    assert torch.equal(torch.random.get_rng_state(), before)
    again, _ = mixup(batch, torch.stack([values, 1 - values], 1), 0.4, generator(5))
    assert torch.equal(blended, again)


def test_an_image_keeps_the_greater_share_of_itself_in_mixup() -> None:
    batch = torch.eye(64).view(64, 1, 8, 8)
    _, targets = mixup(batch, torch.eye(64), 1.0, generator(2))
    assert (targets.argmax(dim=1) == torch.arange(64)).all()


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="pinned with the instructions of AVX2, without which sums round differently",
)
@pytest.mark.parametrize(("size", "expected"), [(32, "6b6faa3a99cd27d6"), (47, "ef48629edae53260")])
def test_todays_operations_give_what_recipes_were_measured_with(size: int, expected: str) -> None:
    """A recipe's figures hold only as long as its training images stay the same, bit for bit."""
    section = TrainAugmentSection(
        horizontal_flip=0.5,
        vertical_flip=0.3,
        crop_scale=0.35,
        pad=0.1,
        mixup=0.2,
        brightness=0.3,
        contrast=0.3,
        saturation=0.3,
    )
    batch = torch.randint(0, 256, (16, 3, size, size), generator=torch.Generator().manual_seed(1))
    chance = torch.Generator().manual_seed(0)
    changed = augment_images(batch.byte(), section, chance)
    blended, targets = mixup(changed, torch.eye(16), section.mixup, chance)
    digest = hashlib.sha256(blended.contiguous().numpy().tobytes())
    digest.update(targets.numpy().tobytes())
    # What was drawn decides what a later use of the generator draws.
    digest.update(chance.get_state().numpy().tobytes())
    assert digest.hexdigest()[:16] == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"rotate": 20},
        {"translate": 0.2},
        {"scale": 0.3},
        {"shear": 10},
        {"rotate": 20, "keep_whole": True},
        {"hue": 0.2},
        {"grayscale": 0.5},
        {"blur": 0.04},
        {"noise": 0.1},
        {"jpeg_quality": 30},
        {"erasing": 0.5},
    ],
)
def test_each_new_operation_changes_images_within_their_range(settings: dict[str, Any]) -> None:
    batch = images(16, 32)
    changed = augment(batch, **settings)
    assert changed.shape == batch.shape
    assert changed.dtype == torch.float32
    assert changed.min() >= -1e-3
    assert changed.max() <= 255 + 1e-3
    assert not torch.equal(changed, batch.float())
    assert torch.equal(changed, augment(batch, **settings))


def test_images_need_not_be_square() -> None:
    batch = torch.randint(0, 256, (4, 3, 20, 35), generator=generator(1)).byte()
    changed = augment(batch, crop_scale=0.5, rotate=10, blur=0.01, jpeg_quality=50, erasing=1)
    assert changed.shape == batch.shape
