import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.shared.augmentation.boxes import visible_shares
from components.shared.training.config import TrainAugmentSection
from components.shared.training.detection_augment import (
    augment_detection,
    augment_mosaic,
    crop,
    mosaic,
)

SIZE = 64
NOTHING = TrainAugmentSection(horizontal_flip=0)
EVERYTHING = TrainAugmentSection(
    horizontal_flip=0.5,
    vertical_flip=0.5,
    crop_scale=0.3,
    mosaic=0.5,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
)
NEW = {
    "rotate": 20,
    "translate": 0.1,
    "scale": 0.2,
    "shear": 10,
    "hue": 0.1,
    "grayscale": 0.2,
    "blur": 0.02,
    "noise": 0.05,
    "jpeg_quality": 60,
    "erasing": 0.5,
}


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _drawn(target: Tensor) -> Tensor:
    """Draw the boxes of a target in white on black, edges on whole pixels."""
    image = torch.zeros(3, SIZE, SIZE, dtype=torch.uint8)
    for xmin, ymin, xmax, ymax in (target[:, 1:] * SIZE).round().int().tolist():
        image[:, ymin:ymax, xmin:xmax] = 255
    return image


def _batch(count: int, seed: int = 0) -> tuple[Tensor, list[Tensor]]:
    """Images of two white rectangles each, one in the left half, one in the right half."""
    generator = _seeded(seed)
    targets = []
    for _ in range(count):
        start = torch.randint(2, 16, (2, 2), generator=generator)
        extent = torch.randint(10, 16, (2, 2), generator=generator)
        start[1, 0] += SIZE // 2
        boxes = torch.cat([start, start + extent], dim=1) / SIZE
        targets.append(torch.cat([torch.tensor([[0.0], [1.0]]), boxes], dim=1))
    return torch.stack([_drawn(target) for target in targets]), targets


def test_without_settings_nothing_changes() -> None:
    images, targets = _batch(4)

    new_images, new_targets = augment_detection(images, targets, NOTHING, _seeded())

    assert torch.equal(new_images, images)
    assert all(torch.equal(a, b) for a, b in zip(new_targets, targets, strict=True))


@pytest.mark.parametrize(
    ("setting", "dimension", "expected"),
    [
        ("horizontal_flip", 3, [1, 0.5, 0.25, 0.875, 0.75]),
        ("vertical_flip", 2, [1, 0.125, 0.25, 0.5, 0.75]),
    ],
)
def test_flips_mirror_image_and_boxes(setting: str, dimension: int, expected: list[float]) -> None:
    target = torch.tensor([[1, 0.125, 0.25, 0.5, 0.75]])
    images = torch.randint(256, (1, 3, SIZE, SIZE), generator=_seeded()).byte()
    section = NOTHING.model_copy(update={setting: 1.0})

    new_images, new_targets = augment_detection(images, [target], section, _seeded())

    assert torch.equal(new_images, images.flip(dimension))
    assert new_targets[0].tolist() == [expected]


def test_each_image_is_flipped_by_its_own_chance() -> None:
    images, targets = _batch(64)
    section = TrainAugmentSection(horizontal_flip=0.25)

    new_images, _ = augment_detection(images, targets, section, _seeded())

    flipped = sum(not torch.equal(a, b) for a, b in zip(new_images, images, strict=True))
    assert 8 <= flipped <= 24


def test_a_crop_moves_boxes_with_their_pixels() -> None:
    target = torch.tensor([[0, 0.25, 0.375, 0.5, 0.625], [1, 0.5, 0.5, 1.0, 1.0]])
    image = _drawn(target[:1])

    cut, boxes = crop(image, target, (8, 16, 32, 32))

    assert boxes.tolist() == [[0, 0.25, 0.25, 0.75, 0.75], [1, 0.75, 0.5, 1.0, 1.0]]
    expected = _drawn(boxes[:1])
    assert (cut.int() - expected.int()).abs().float().mean() < 8  # soft edges of the resizing
    assert cut[0, 32, 32] == 255
    assert cut[0, 8, 8] == 0


def test_a_crop_drops_boxes_outside() -> None:
    target = torch.tensor([[0, 0.0, 0.0, 0.25, 0.25]])

    _, boxes = crop(_drawn(target), target, (16, 16, 32, 32))

    assert boxes.shape == (0, 5)


def test_visible_shares() -> None:
    boxes = torch.tensor([[0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 0.7, 0.9], [0.9, 0.9, 1.0, 1.0]])

    shares = visible_shares(boxes, torch.tensor([0.2, 0.2, 0.8, 0.8]))

    assert shares.tolist() == pytest.approx([0.25, 0.75, 0.0])


def test_random_crops_leave_no_object_without_its_box() -> None:
    """White pixels outside all boxes would be an object that lost its label."""
    section = NOTHING.model_copy(update={"crop_scale": 0.2})
    images, targets = _batch(64)

    new_images, new_targets = augment_detection(images, targets, section, _seeded())

    changed = 0
    for image, new_image, target in zip(images, new_images, new_targets, strict=True):
        outside = (new_image > 200).all(dim=0) & (_drawn(target)[0] == 0)
        border = torch.nn.functional.max_pool2d(_drawn(target)[:1].float(), 5, 1, 2)[0] > 0
        assert not (outside & ~border).any()
        changed += not torch.equal(image, new_image)
    assert changed > 48


def test_random_crops_keep_only_objects_that_can_be_told() -> None:
    section = NOTHING.model_copy(update={"crop_scale": 0.1})
    box = torch.tensor([[0, 0.1, 0.1, 0.9, 0.9]])
    images = _drawn(box).expand(64, -1, -1, -1)

    _, targets = augment_detection(images, [box] * 64, section, _seeded())

    # A crop shows 0.3 of the box at least, or else nothing of it.
    assert all(len(target) <= 1 for target in targets)
    assert sum(len(target) for target in targets) > 60


def test_a_mosaic_shows_four_whole_images() -> None:
    target = torch.tensor([[2, 0.25, 0.25, 0.75, 0.75]])
    image = _drawn(target)

    canvas, boxes = mosaic([image] * 4, [target] * 4, (32, 16), (SIZE, SIZE))

    assert boxes.tolist() == [
        [2, 0.125, 0.0625, 0.375, 0.1875],
        [2, 0.625, 0.0625, 0.875, 0.1875],
        [2, 0.125, 0.4375, 0.375, 0.8125],
        [2, 0.625, 0.4375, 0.875, 0.8125],
    ]
    assert (canvas.int() - _drawn(boxes).int()).abs().float().mean() < 16
    for box in boxes:
        column, row = ((box[1:3] + box[3:]) / 2 * SIZE).int().tolist()
        assert canvas[0, row, column] == 255
    assert canvas[0, 0, 0] == canvas[0, 30, 32] == 0


def test_random_mosaics_hold_the_boxes_of_four() -> None:
    section = NOTHING.model_copy(update={"mosaic": 1.0})
    images, targets = _batch(6)

    new_images, new_targets = augment_detection(images, targets, section, _seeded())

    assert new_images.shape == images.shape
    assert [len(target) for target in new_targets] == [8] * 6


def test_colours_change_but_not_places() -> None:
    section = TrainAugmentSection(horizontal_flip=0, brightness=0.5)
    images, targets = torch.full((8, 3, 4, 4), 100).byte(), [torch.zeros(0, 5)] * 8

    new_images, new_targets = augment_detection(images, targets, section, _seeded())

    values = new_images[:, 0, 0, 0].tolist()
    assert all(50 <= value <= 150 for value in values)
    assert len(set(values)) > 4
    assert (new_images == new_images[:, :, :1, :1]).all()
    assert all(torch.equal(a, b) for a, b in zip(new_targets, targets, strict=True))


def test_saturation_leaves_grey_alone() -> None:
    section = TrainAugmentSection(horizontal_flip=0, saturation=0.9)
    images = torch.full((4, 3, 4, 4), 77).byte()

    new_images, _ = augment_detection(images, [torch.zeros(0, 5)] * 4, section, _seeded())

    assert torch.equal(new_images, images)


def test_everything_at_once_keeps_types_ranges_and_input() -> None:
    images, targets = _batch(32)
    before, before_targets = images.clone(), [target.clone() for target in targets]

    new_images, new_targets = augment_detection(images, targets, EVERYTHING, _seeded())

    assert new_images.dtype == torch.uint8
    assert new_images.shape == images.shape
    for target in new_targets:
        assert ((target[:, 1:] >= 0) & (target[:, 1:] <= 1)).all()
        assert (target[:, 3:] > target[:, 1:3]).all()
    assert torch.equal(images, before)
    assert all(torch.equal(a, b) for a, b in zip(targets, before_targets, strict=True))


def test_the_generator_alone_decides() -> None:
    images, targets = _batch(8)

    first = augment_detection(images, targets, EVERYTHING, _seeded(1))
    torch.manual_seed(5)
    again = augment_detection(images, targets, EVERYTHING, _seeded(1))
    other = augment_detection(images, targets, EVERYTHING, _seeded(2))

    assert torch.equal(first[0], again[0])
    assert all(torch.equal(a, b) for a, b in zip(first[1], again[1], strict=True))
    assert not torch.equal(first[0], other[0])


def test_images_without_boxes_stay_without() -> None:
    images, _ = _batch(4)

    _, targets = augment_detection(images, [torch.empty(0, 5)] * 4, EVERYTHING, _seeded())

    assert [tuple(target.shape) for target in targets] == [(0, 5)] * 4


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="pinned with the instructions of AVX2, without which sums round differently",
)
@pytest.mark.parametrize(("size", "expected"), [(32, "bea9e26ffe435c05"), (47, "9253100e1bf64b3a")])
def test_todays_operations_give_what_recipes_were_measured_with(size: int, expected: str) -> None:
    """A recipe's figures hold only as long as its training images stay the same, bit for bit."""
    section = TrainAugmentSection(
        horizontal_flip=0.5,
        vertical_flip=0.3,
        crop_scale=0.5,
        mosaic=0.4,
        brightness=0.2,
        contrast=0.2,
        saturation=0.2,
    )
    images = torch.randint(0, 256, (16, 3, size, size), generator=_seeded(1)).byte()
    targets = []
    for index in range(16):
        low = torch.rand(3, 2, generator=_seeded(index)) * 0.5
        extent = 0.1 + torch.rand(3, 2, generator=_seeded(index + 100)) * 0.39
        targets.append(torch.cat([torch.arange(3.0)[:, None], low, low + extent], dim=1))
    generator = _seeded()

    changed, changed_targets = augment_detection(images, targets, section, generator)

    digest = hashlib.sha256(changed.numpy().tobytes())
    for target in changed_targets:
        digest.update(target.numpy().tobytes())
    # What was drawn decides what a later use of the generator draws.
    digest.update(generator.get_state().numpy().tobytes())
    assert digest.hexdigest()[:16] == expected


@pytest.mark.parametrize(("name", "value"), list(NEW.items()))
def test_each_new_operation_changes_images_and_keeps_boxes_valid(name: str, value: float) -> None:
    images, targets = _batch(16)
    section = TrainAugmentSection.model_validate({"horizontal_flip": 0, name: value})
    coloured = images // 2 + torch.tensor([0, 60, 120]).byte()[:, None, None]

    new_images, new_targets = augment_detection(coloured, targets, section, _seeded())

    assert new_images.dtype == torch.uint8
    assert not torch.equal(new_images, coloured)
    for target in new_targets:
        assert ((target[:, 1:] >= 0) & (target[:, 1:] <= 1)).all()
        assert (target[:, 3:] > target[:, 1:3]).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31),
    height=st.integers(16, 70),
    width=st.integers(16, 70),
    min_visible=st.floats(0, 1),
)
def test_boxes_stay_inside_and_non_empty_whatever_is_on(
    seed: int, height: int, width: int, min_visible: float
) -> None:
    section = EVERYTHING.model_copy(update={**NEW, "min_visible": min_visible})
    images = torch.randint(0, 256, (4, 3, height, width), generator=_seeded(seed)).byte()
    targets = [torch.cat([torch.zeros(5, 1), _boxes(5, seed + n)], dim=1) for n in range(4)]

    new_images, new_targets = augment_detection(images, targets, section, _seeded(seed))

    assert new_images.shape == images.shape
    for target in new_targets:
        assert ((target[:, 1:] >= 0) & (target[:, 1:] <= 1)).all()
        assert (target[:, 3:] > target[:, 1:3]).all()


def _boxes(count: int, seed: int) -> Tensor:
    low = torch.rand(count, 2, generator=_seeded(seed)) * 0.9
    return torch.cat([low, low + 0.01 + (0.98 - low) * 0.5], dim=1).clamp(max=1)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), across=st.booleans(), down=st.booleans())
def test_a_flip_twice_is_the_identity(seed: int, across: bool, down: bool) -> None:
    section = NOTHING.model_copy(
        update={"horizontal_flip": float(across), "vertical_flip": float(down)}
    )
    images = torch.randint(0, 256, (3, 3, 20, 30), generator=_seeded(seed)).byte()
    targets = [torch.cat([torch.ones(4, 1), _boxes(4, seed + n)], dim=1) for n in range(3)]

    once = augment_detection(images, targets, section, _seeded())
    twice_images, twice = augment_detection(*once, section, _seeded())

    assert torch.equal(once[0], images) == (not across and not down)
    assert torch.equal(twice_images, images)
    for target, original in zip(twice, targets, strict=True):
        torch.testing.assert_close(target, original, atol=1e-6, rtol=0)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31),
    sizes=st.lists(st.tuples(*[st.integers(40, 160)] * 2), min_size=4, max_size=4),
)
def test_a_mosaic_of_images_of_any_size_keeps_each_visible_object(
    seed: int, sizes: list[tuple[int, int]]
) -> None:
    """Each image shows one square of a shade of its own, its class."""
    shades = [60, 120, 180, 240]
    box = torch.tensor([0.3, 0.3, 0.7, 0.7])
    images, targets = [], []
    for number, (shade, (height, width)) in enumerate(zip(shades, sizes, strict=True)):
        image = torch.zeros(3, height, width, dtype=torch.uint8)
        left, top, right, bottom = (box * torch.tensor([width, height] * 2)).round().int().tolist()
        image[:, top:bottom, left:right] = shade
        images.append(image)
        targets.append(torch.cat([torch.tensor([float(number)]), box])[None])

    canvas, found = augment_mosaic(images, targets, NOTHING, _seeded(seed))

    assert canvas.shape[1:] == sizes[0]
    assert sorted(found[:, 0].tolist()) == [0, 1, 2, 3]
    for label, *sides in found.tolist():
        column, row = (
            round((sides[0] + sides[2]) / 2 * sizes[0][1]),
            round((sides[1] + sides[3]) / 2 * sizes[0][0]),
        )
        assert abs(int(canvas[0, row, column]) - shades[int(label)]) <= 3


def test_a_mosaic_is_changed_as_any_other_image_is() -> None:
    images, targets = _batch(4)
    section = NOTHING.model_copy(update={"horizontal_flip": 1.0, "crop_scale": 0.5, **NEW})

    canvas, found = augment_mosaic(list(images), targets, section, _seeded())
    again, _ = augment_mosaic(list(images), targets, section, _seeded())
    plain, _ = augment_mosaic(list(images), targets, NOTHING, _seeded())

    assert torch.equal(canvas, again)
    assert not torch.equal(canvas, plain)
    assert 1 <= len(found) <= 8
