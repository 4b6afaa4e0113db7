"""Versions of a few images for the demo sheet: as they are, each operation alone, all together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Final

import torch
from torchvision.transforms.v2 import functional as transforms

from components.augment.augment import partners
from components.augment.config import AugmentSection
from components.augment.rows import Stored, decode
from components.augment.transform import Example, copy_seed, make_copy
from components.shared.augmentation.config import alone
from components.shared.task import Task
from components.shared.training.config import TrainAugmentSection, TrainSection
from components.shared.training.detection_augment import augment_detection
from components.shared.training.image_augment import augment_images, mixup
from components.shared.training.seeds import generator

COPIES: Final = 3  # versions with all operations together, at most
DRAWS: Final = 4  # of an operation alone, of which the strongest is shown

_EDGE: Final = 320  # longest edge, in pixels, at which an operation alone is shown

Draw = Callable[[int], list[Example]]  # a number of the draw gives a version of each image


@dataclass(frozen=True)
class Version:
    """A version of an image, and what was done for it."""

    operation: str
    example: Example


def offline_versions(
    samples: Sequence[Stored],
    section: AugmentSection,
    task: Task,
    seed: int,
    pool: Sequence[Stored],
) -> list[list[Version]]:
    """Return for each image its versions: the original, operations alone, and its stored copies.

    Args:
        samples: rows and encoded images.
        section: the step's settings.
        task: what the labels are for.
        seed: of the run, so that the copies are those that it stores.
        pool: images that mosaics are completed with.
    """
    examples = [decode(*stored) for stored in samples]
    small = [_shrunk(example) for example in examples]
    others = [_shrunk(decode(*stored)) for stored in islice(cycle(pool), 3)]

    def draw_alone(name: str, number: int) -> list[Example]:
        only = alone(section, name)
        members = others if name == "mosaic" else ()
        return [
            make_copy(example, task, only, copy_seed(seed, f"demo/{name}/{index}", number), members)
            for index, example in enumerate(small)
        ]

    versions = [[Version("original", example)] for example in examples]
    for name in section.active():
        _add_strongest(versions, name, small, partial(draw_alone, name))
    for shown, stored, example in zip(versions, samples, examples, strict=True):
        for number, members in enumerate(partners(section, seed, stored[0], pool)[:COPIES], 1):
            seed_of_copy = copy_seed(seed, stored[0]["image_id"], number)
            joined = [decode(*other) for other in members]
            copy = make_copy(example, task, section, seed_of_copy, joined)
            shown.append(Version(f"copy {number} of {section.copies}", copy))
    return versions


def training_versions(
    samples: Sequence[Stored], train: TrainSection, task: Task, seed: int
) -> list[list[Version]]:
    """Return for each image its versions as training sees them: a batch of these images.

    Args:
        samples: rows and encoded images.
        train: of which `augment` and `image_size` are used.
        task: what the labels are for.
        seed: of the draws.
    """
    fitted = [_fitted(decode(*stored), train.image_size) for stored in samples]
    section = train.augment
    versions = [[Version("as read", example)] for example in fitted]

    def draw(section: TrainAugmentSection, name: str, number: int) -> list[Example]:
        return _as_in_training(fitted, section, task, generator(seed, "demo", name, number))

    for name in section.active():
        only = alone(section, name).model_copy(update={"mixup": 0.0})
        _add_strongest(versions, name, fitted, partial(draw, only, name))
    if section.mixup > 0 and task != "detect":
        only = alone(section).model_copy(update={"mixup": section.mixup})
        _add_strongest(versions, "mixup", fitted, partial(draw, only, "mixup"))
    if section.active() or section.mixup > 0:
        for number in range(1, COPIES + 1):
            _add(versions, f"all together, draw {number}", draw(section, "all", number))
    return versions


def _as_in_training(
    examples: Sequence[Example], section: TrainAugmentSection, task: Task, chance: torch.Generator
) -> list[Example]:
    images = torch.stack([example.image for example in examples])
    targets = [example.target for example in examples]
    if task == "detect":
        changed, targets = augment_detection(images, targets, section, chance)
    else:
        changed = augment_images(images, section, chance)
        if section.mixup > 0:
            changed, _ = mixup(changed, torch.eye(len(images)), section.mixup, chance)
        changed = changed.round().clamp(0, 255).byte()
    return [Example(image, target) for image, target in zip(changed, targets, strict=True)]


def _add_strongest(
    versions: list[list[Version]], name: str, before: Sequence[Example], draw: Draw
) -> None:
    """Add for each image the version that differs most: it shows best what may happen."""
    strongest = [
        max(candidates, key=partial(_difference, example))
        for example, *candidates in zip(before, *map(draw, range(DRAWS)), strict=True)
    ]
    _add(versions, name, strongest)


def _add(versions: list[list[Version]], name: str, examples: Sequence[Example]) -> None:
    for shown, example in zip(versions, examples, strict=True):
        shown.append(Version(name, example))


def _difference(one: Example, other: Example) -> float:
    return float((one.image.float() - other.image.float()).abs().mean())


def _shrunk(example: Example) -> Example:
    """Make an image as small as it is shown; boxes are shares, and stay."""
    height, width = example.image.shape[-2:]
    factor = _EDGE / max(height, width)
    if factor >= 1:
        return example
    size = [max(1, round(height * factor)), max(1, round(width * factor))]
    return Example(transforms.resize(example.image, size, antialias=True), example.target)


def _fitted(example: Example, size: int) -> Example:
    """Fit an image to the model's square, as it is read for training."""
    resized = transforms.resize(example.image, [size, size], antialias=True)
    return Example(resized, example.target)
