"""A grey rectangle over part of an image (https://arxiv.org/abs/1708.04896)."""

import math

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from components.shared.augmentation.boxes import FILL, TRIES, cut_down, per_edge, visible_shares
from components.shared.augmentation.config import Operations

_LEAST_AREA, _MOST_AREA = 0.02, 0.2  # of the image
_MOST_STRETCH = 3.0  # width by height, relative to the image, or the reverse
_NUMBERS = 4  # that a rectangle is drawn from

Window = tuple[int, int, int, int]  # left, top, width and height in pixels


def erase_some(
    images: Tensor, targets: list[Tensor], section: Operations, generator: torch.Generator
) -> tuple[Tensor, list[Tensor]]:
    """Hide a rectangle of some images.

    A rectangle that would leave less than `min_visible` of an object to be seen is drawn anew,
    up to ten times; then the image stays as it is. Objects that are hidden altogether lose
    their box.

    Args:
        images: uint8 or float (N, 3, H, W) in 0 ... 255. Not changed in place.
        targets: an image each, float (M, 5): class, xmin, ymin, xmax, ymax in [0, 1].
        section: the probability, and what must stay visible.
        generator: of all chance, on the CPU.
    """
    count = len(images)
    chosen = torch.rand(count, generator=generator) < section.erasing
    draws = torch.rand(count, TRIES, _NUMBERS, generator=generator)
    erased, kept = images.clone(), list(targets)
    fill = images.new_tensor(FILL)[:, None, None]
    for index in torch.where(chosen)[0].tolist():
        found = _choose(targets[index], section.min_visible, images[index], draws[index].tolist())
        if found is None:
            continue
        (left, top, width, height), kept[index] = found
        erased[index] = transforms.erase(images[index], top, left, height, width, fill)
    return erased, kept


def _choose(
    target: Tensor, min_visible: float, image: Tensor, draws: list[list[float]]
) -> tuple[Window, Tensor] | None:
    """Return the first window that cuts no object down, and the boxes that are then left."""
    height, width = image.shape[-2:]
    for draw in draws:
        window = _window(draw, height, width)
        left, top, across, down = window
        corners = target.new_tensor([left, top, left + across, top + down])
        visible = 1 - visible_shares(target[:, 1:], per_edge(corners, height, width))
        if not cut_down(visible, min_visible).any():
            return window, target[visible > 0]
    return None


def _window(draw: list[float], height: int, width: int) -> Window:
    share = _LEAST_AREA + draw[0] * (_MOST_AREA - _LEAST_AREA)
    stretch = _MOST_STRETCH ** (draw[1] - 0.5)
    across = min(width, max(1, round(width * math.sqrt(share) * stretch)))
    down = min(height, max(1, round(height * math.sqrt(share) / stretch)))
    return int(draw[2] * (width - across + 1)), int(draw[3] * (height - down + 1)), across, down
