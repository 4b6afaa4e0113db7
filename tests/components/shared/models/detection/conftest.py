"""Drawn images that a detector can learn within seconds."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

Drawing = tuple[Tensor, list[Tensor]]


@pytest.fixture
def drawn_rectangles() -> Callable[[int], Drawing]:
    """Return a function of the edge: two images with bright rectangles, and their boxes.

    The first image holds a red (class 0) and a blue rectangle (class 1), the second a blue one.
    """

    def draw(size: int) -> Drawing:
        images = torch.full((2, 3, size, size), -1.0)
        boxes = [
            torch.tensor([[0, 0.125, 0.125, 0.5, 0.625], [1, 0.625, 0.25, 0.875, 0.75]]),
            torch.tensor([[1, 0.25, 0.5, 0.875, 0.875]]),
        ]
        for image, rows in zip(images, boxes, strict=True):
            for label, *box in rows.tolist():
                xmin, ymin, xmax, ymax = (round(value * size) for value in box)
                image[0 if label == 0 else 2, ymin:ymax, xmin:xmax] = 2.0
        return images, boxes

    return draw
