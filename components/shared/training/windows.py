"""Random windows of images, which are then shown at the full size."""

import math
from typing import Final

import torch
from torch import Tensor

from components.shared.augmentation.config import Operations
from components.shared.transforms import Window

_MOST_STRETCH: Final = 4 / 3  # of a window: width by height, relative to the image


def draw_windows(count: int, section: Operations, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw a window for each of `count` images.

    Args:
        count: how many.
        section: `crop_scale`, the least share of the area that is shown; `pad`, by how much of
            the edge the window may lie outside.
        chance: a CPU generator.

    Returns:
        Centres and extents, float32 (2, count) each, x before y, where the image reaches from -1
        to 1.
    """
    draws = torch.rand(6, count, generator=chance)
    area = section.crop_scale + (1 - section.crop_scale) * draws[0]
    # Both sides at most 1: no stretch when the whole image is to be kept.
    stretch = torch.exp((2 * draws[1] - 1) * math.log(_MOST_STRETCH) / 2)
    limit = area.rsqrt()
    stretch = torch.minimum(torch.maximum(stretch, 1 / limit), limit)
    extent = area.sqrt() * torch.stack([stretch, 1 / stretch])
    centre = (2 * draws[2:4] - 1) * (1 - extent) + 2 * section.pad * (2 * draws[4:6] - 1)
    return centre, extent


def draw_window(section: Operations, chance: torch.Generator) -> Window:
    """Draw the window of one image; all of it lies inside where `section.pad` is 0."""
    centre, extent = draw_windows(1, section, chance)
    left, top = ((centre - extent) / 2 + 0.5).flatten().tolist()
    width, height = extent.flatten().tolist()
    return Window(left, top, width, height)
