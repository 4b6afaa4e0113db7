"""One augmented copy of an image, its boxes moved with it, by the operations of training."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from components.shared.augmentation.boxes import have_inside
from components.shared.augmentation.config import OFF, Operations
from components.shared.task import Task
from components.shared.training.detection_augment import augment_detection, augment_mosaic
from components.shared.training.image_augment import augment_images

# What can take an object out of the picture.
_LOSING = ("rotate", "translate", "scale", "shear", "crop_scale", "erasing")


@dataclass(frozen=True)
class Example:
    """An image and its boxes.

    Attributes:
        image: uint8, shape (3, height, width).
        target: float32, shape (N, 5): class, xmin, ymin, xmax, ymax, normalized, xmin < xmax,
            ymin < ymax. Empty for classes and counts.
    """

    image: Tensor
    target: Tensor


def make_copy(
    example: Example, task: Task, section: Operations, seed: int, others: Sequence[Example] = ()
) -> Example:
    """Return a copy, of the same size, that depends on the arguments alone.

    A copy that would lose all its boxes is made again without what loses them: an image without
    its objects would teach that they are background.

    Args:
        example: the image.
        task: decides how images are changed, as in training.
        section: what to change and by how much.
        seed: see `copy_seed`.
        others: three more images if this copy is a mosaic, else none.
    """
    copy = _draw(example, task, section, seed, others)
    if len(copy.target) or not any(len(one.target) for one in (example, *others)):
        return copy
    careful = section.model_copy(update={name: OFF[name] for name in _LOSING})
    return _draw(example, task, careful, seed, others)


def copy_seed(seed: int, image_id: str, copy: int) -> int:
    """Return the seed of one copy: the same whatever is done in parallel, in whatever order."""
    digest = hashlib.sha256(f"{seed}/{image_id}/{copy}".encode()).digest()
    return int.from_bytes(digest[:7], "big")


def _draw(
    example: Example, task: Task, section: Operations, seed: int, others: Sequence[Example]
) -> Example:
    chance = torch.Generator().manual_seed(seed)
    if task != "detect":
        changed = augment_images(example.image[None], section, chance)[0]
        return Example(changed.round().clamp(0, 255).byte(), example.target)
    if others:
        members = (example, *others)
        images, boxes = [one.image for one in members], [one.target for one in members]
        image, target = augment_mosaic(images, boxes, section, chance)
    else:
        # Whether a copy is a mosaic is decided by who has the other images.
        alone = section.model_copy(update={"mosaic": 0.0})
        batch, targets = augment_detection(example.image[None], [example.target], alone, chance)
        image, target = batch[0], targets[0]
    return Example(image, target[have_inside(target[:, 1:])])
