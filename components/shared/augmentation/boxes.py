"""What becomes of boxes: how much of them is visible, and which of them stay."""

from typing import Final

import torch
from torch import Tensor

from components.shared.transforms import MEAN

# Of what an operation makes empty: ImageNet's mean colour, which a model sees as 0.
FILL: Final = tuple(float(round(255 * value)) for value in MEAN)

# How often a change is drawn anew that would cut an object down to an unrecognisable rest.
TRIES: Final = 10


def no_boxes(count: int) -> list[Tensor]:
    """Return the targets (0, 5) of images without boxes."""
    return [torch.empty(0, 5) for _ in range(count)]


def have_inside(boxes: Tensor) -> Tensor:
    """Tell which boxes (M, 4) have one: of a thin one, rounding may leave none."""
    return (boxes[:, 2:] > boxes[:, :2]).all(dim=1)


def visible_shares(boxes: Tensor, window: Tensor) -> Tensor:
    """Return the share (M,) of the area of boxes (M, 4) that lies in a window (4,)."""
    low = torch.maximum(boxes[:, :2], window[:2])
    high = torch.minimum(boxes[:, 2:], window[2:])
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    return (high - low).clamp(min=0).prod(dim=1) / whole.clamp(min=1e-12)


def cut_down(shares: Tensor, min_visible: float) -> Tensor:
    """Tell which objects (M,) would be seen, but too little of them to be told."""
    return (shares > 0) & (shares < min_visible)


def per_edge(values: Tensor, height: int, width: int) -> Tensor:
    """Turn lengths x, y, x, y (..., 4) from pixels into shares of the image's edges."""
    if height == width:
        # Not by a tensor: on a GPU that rounds differently, and trainings are reproducible.
        return values / width
    return values / values.new_tensor([width, height, width, height])
