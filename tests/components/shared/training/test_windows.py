"""Windows lie inside the image, cover the share that is asked for, and keep their proportions."""

import pytest
import torch

from components.shared.augmentation.config import Operations
from components.shared.training.seeds import generator
from components.shared.training.windows import draw_window, draw_windows


@pytest.mark.parametrize("share", [0.08, 0.5, 1.0])
def test_windows_lie_inside_and_cover_enough(share: float) -> None:
    centre, extent = draw_windows(500, Operations(crop_scale=share), generator(0, "test"))
    assert (centre.abs() + extent <= 1 + 1e-5).all()
    areas = extent.prod(dim=0)
    assert areas.min() >= share - 1e-5
    assert areas.min() < share + 0.02
    assert areas.max() > 0.98
    stretch = extent[0] / extent[1]
    assert stretch.max() <= 4 / 3 + 1e-5
    assert stretch.min() >= 3 / 4 - 1e-5


def test_a_window_is_the_same_in_shares_of_the_image() -> None:
    section = Operations(crop_scale=0.3)
    centre, extent = draw_windows(1, section, generator(0, "test"))
    window = draw_window(section, generator(0, "test"))
    assert window.width == pytest.approx(float(extent[0, 0]))
    assert window.left + window.width / 2 == pytest.approx(float(centre[0, 0]) / 2 + 0.5)
    assert window.top + window.height / 2 == pytest.approx(float(centre[1, 0]) / 2 + 0.5)


def test_a_shifted_window_may_leave_the_image() -> None:
    centre, extent = draw_windows(500, Operations(pad=0.1), generator(0, "test"))
    assert torch.equal(extent, torch.ones(2, 500))
    assert 0.15 < centre.abs().max() <= 0.2
