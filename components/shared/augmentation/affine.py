"""Turned, shifted, resized and slanted images, their boxes moved with them."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms
from torchvision.tv_tensors import BoundingBoxFormat

from components.shared.augmentation.boxes import (
    FILL,
    TRIES,
    cut_down,
    have_inside,
    visible_shares,
)
from components.shared.augmentation.config import Operations

_NUMBERS = 6  # that a motion is drawn from


@dataclass(frozen=True)
class Motion:
    """An affine map about the image's centre, in torchvision's terms.

    Attributes:
        angle: clockwise turn in degrees.
        shift: to the right and down, pixels.
        scale: factor of size.
        shear: slant of x and of y, degrees.
    """

    angle: float
    shift: tuple[float, float]
    scale: float
    shear: tuple[float, float]


def move_all(
    images: Tensor, targets: list[Tensor], section: Operations, generator: torch.Generator
) -> tuple[Tensor, list[Tensor]]:
    """Move each image by a draw of its own. What becomes empty is filled with a mean grey.

    A draw that would cut an object down to less than `min_visible` is made again, up to ten
    times; of ten such draws the one that cuts fewest is taken, and those objects lose their box.

    Args:
        images: uint8 or float (N, 3, H, W) in 0 ... 255. Not changed in place.
        targets: an image each, float (M, 5): class, xmin, ymin, xmax, ymax in [0, 1].
        section: what to change and by how much.
        generator: of all chance, on the CPU.

    Returns:
        Images of the same shape and type, and targets whose boxes are the axis-aligned hulls of
        the moved corners, clipped to the image.
    """
    chance = 2 * torch.rand(len(images), TRIES, _NUMBERS, generator=generator) - 1
    size = (images.shape[-2], images.shape[-1])
    moved, moved_targets = images.clone(), []
    for index, (target, draws) in enumerate(zip(targets, chance.tolist(), strict=True)):
        motion = _choose(target, section, size, draws)
        moved[index] = move_image(images[index], motion)
        moved_targets.append(move_target(target, motion, size, section.min_visible))
    return moved, moved_targets


def move_image(image: Tensor, motion: Motion) -> Tensor:
    """Move an image (3, H, W), bilinearly."""
    moved: Tensor = transforms.affine(
        image,
        motion.angle,
        list(motion.shift),
        motion.scale,
        list(motion.shear),
        interpolation=InterpolationMode.BILINEAR,
        fill=list(FILL),
    )
    return moved


def move_boxes(boxes: Tensor, motion: Motion, size: tuple[int, int]) -> Tensor:
    """Return the hulls of moved boxes (M, 4) in pixels, also outside of the image.

    Args:
        boxes: in pixels.
        motion: how the image is moved.
        size: height and width in pixels.
    """
    hulls: Tensor = transforms.affine_bounding_boxes(
        boxes,
        BoundingBoxFormat.XYXY,
        size,
        motion.angle,
        list(motion.shift),
        motion.scale,
        list(motion.shear),
        clamping_mode=None,
    )
    return hulls


def move_target(
    target: Tensor, motion: Motion, size: tuple[int, int], min_visible: float
) -> Tensor:
    """Return a target's boxes where they are after a motion, clipped to the image.

    Boxes of which less than `min_visible` of the moved area is in the image are dropped, as are
    those of which nothing is.

    Args:
        target: (M, 5), see `move_all`.
        motion: how the image is moved.
        size: height and width in pixels.
        min_visible: in [0, 1].
    """
    if not len(target):
        return target
    hulls, shares = _hulls(target, motion, size)
    edges = _edges(hulls, size)
    clipped = torch.minimum(hulls.clamp(min=0), edges)
    # In the target's precision, in which a sliver may round to a box without an inside.
    boxes = (clipped / edges).to(target.dtype)
    kept = have_inside(boxes) & (shares >= min_visible)
    return torch.cat([target[:, :1], boxes], dim=1)[kept]


def _hulls(target: Tensor, motion: Motion, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return the moved boxes (M, 4) in pixels, and the share (M,) of each that is in the image."""
    edges = _edges(target, size)
    hulls = move_boxes(target[:, 1:].double() * edges, motion, size)
    frame = torch.cat([torch.zeros_like(edges[:2]), edges[2:]])
    return hulls, visible_shares(hulls, frame)


def _edges(like: Tensor, size: tuple[int, int]) -> Tensor:
    height, width = size
    return torch.tensor([width, height] * 2, dtype=torch.float64, device=like.device)


def _choose(
    target: Tensor, section: Operations, size: tuple[int, int], draws: list[list[float]]
) -> Motion:
    """Return the first motion that cuts no object down, or else the one that cuts fewest."""
    if not len(target):
        return _motion(draws[0], section, size)
    best: tuple[int, Motion] | None = None
    for draw in draws:
        motion = _motion(draw, section, size)
        _, shares = _hulls(target, motion, size)
        cut = int(cut_down(shares, section.min_visible).sum())
        if best is None or cut < best[0]:
            best = cut, motion
        if not cut:
            break
    assert best is not None  # noqa: S101 -- there is a draw at least
    return best[1]


def _motion(draw: list[float], section: Operations, size: tuple[int, int]) -> Motion:
    """Turn six numbers in [-1, 1) into a motion."""
    height, width = size
    motion = Motion(
        angle=section.rotate * draw[0],
        shift=(section.translate * width * draw[1], section.translate * height * draw[2]),
        scale=1 + section.scale * draw[3],
        shear=(section.shear * draw[4], section.shear * draw[5]),
    )
    return _fitted(motion, size) if section.keep_whole else motion


def _fitted(motion: Motion, size: tuple[int, int]) -> Motion:
    """Shrink and shift a motion less, so that the whole image stays in the frame."""
    height, width = size
    frame = torch.tensor([[0, 0, width, height]], dtype=torch.float64)
    hull = move_boxes(frame, replace(motion, shift=(0.0, 0.0)), size)[0].tolist()
    across, down = hull[2] - hull[0], hull[3] - hull[1]
    shrink = min(1.0, width / across, height / down)
    spare = (width - across * shrink) / 2, (height - down * shrink) / 2
    x, y = (max(-most, min(most, s)) for s, most in zip(motion.shift, spare, strict=True))
    return replace(motion, scale=motion.scale * shrink, shift=(x, y))
