"""What is erased is grey, and no object is left with too little of it to be told."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.shared.augmentation.boxes import FILL, no_boxes
from components.shared.augmentation.config import Operations
from components.shared.augmentation.erasing import erase_some

SIZE = 100


def erase(targets: list[Tensor], seed: int = 0, **options: float) -> tuple[Tensor, list[Tensor]]:
    """White images, partly erased."""
    images = torch.full((len(targets), 3, SIZE, SIZE), 255, dtype=torch.uint8)
    section = Operations(**{"erasing": 1, **options})
    erased, kept = erase_some(images, targets, section, torch.Generator().manual_seed(seed))
    assert (images == 255).all(), "the input is not changed"
    return erased, kept


def grey(image: Tensor) -> Tensor:
    return (image == torch.tensor(FILL).byte()[:, None, None]).all(dim=0)


def test_a_rectangle_of_every_image_is_grey() -> None:
    erased, _ = erase(no_boxes(100))
    shares = torch.stack([grey(image).float().mean() for image in erased])
    assert shares.min() > 0.015
    assert shares.max() < 0.21
    assert shares.std() > 0.02
    for image in erased:
        rows, columns = torch.where(grey(image))
        height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
        assert len(rows) == height * width, "one whole rectangle"


def test_the_probability_decides_how_many() -> None:
    erased, _ = erase(no_boxes(200), erasing=0.25)
    assert 30 < sum(bool(grey(image).any()) for image in erased) < 70


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31),
    least=st.floats(0.05, 1),
    box=st.tuples(*[st.integers(0, 70)] * 2, *[st.integers(5, 30)] * 2),
)
def test_a_box_is_kept_if_enough_is_visible_and_dropped_if_nothing_is(
    seed: int, least: float, box: tuple[int, ...]
) -> None:
    left, top, width, height = box
    corners = torch.tensor([left, top, left + width, top + height]) / SIZE
    target = torch.cat([torch.tensor([3.0]), corners])[None]
    erased, kept = erase([target], seed, min_visible=least)
    inside = ~grey(erased[0])[top : top + height, left : left + width]
    visible = float(inside.float().mean())
    assert visible == 0 or visible >= least - 1e-6
    assert len(kept[0]) == (visible > 0)
    assert torch.equal(kept[0], target[: len(kept[0])])


def test_where_every_rectangle_would_cut_something_nothing_is_erased() -> None:
    whole = torch.tensor([[0, 0.0, 0.0, 1.0, 1.0]])
    erased, kept = erase([whole] * 20, min_visible=1)
    assert not any(bool(grey(image).any()) for image in erased)
    assert all(torch.equal(one, whole) for one in kept)
