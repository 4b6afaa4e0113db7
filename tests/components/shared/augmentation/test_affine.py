"""Boxes stay on the pixels that they were drawn around."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.shared.augmentation.affine import Motion, move_all, move_image, move_target
from components.shared.augmentation.boxes import FILL, no_boxes
from components.shared.augmentation.config import Operations

HEIGHT, WIDTH = 80, 120
SIZE = (HEIGHT, WIDTH)
EDGES = torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
EVERYTHING = Operations(rotate=40, translate=0.3, scale=0.4, shear=20)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(box: list[int]) -> Tensor:
    """A white rectangle on the grey that also fills what becomes empty."""
    image = torch.tensor(FILL).byte()[:, None, None].repeat(1, HEIGHT, WIDTH)
    left, top, right, bottom = box
    image[:, top:bottom, left:right] = 255
    return image


def target(*boxes: list[int]) -> Tensor:
    rows = [[float(label), *(torch.tensor(box) / EDGES)] for label, box in enumerate(boxes)]
    return torch.tensor(rows).reshape(-1, 5)


def white(image: Tensor) -> list[int]:
    """The bounds of what is at least a quarter white: left, top, right, bottom."""
    found = (image[0] - FILL[0]) / (255 - FILL[0]) > 0.25
    rows, columns = torch.where(found.any(dim=1))[0], torch.where(found.any(dim=0))[0]
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]


motions = st.builds(
    Motion,
    angle=st.floats(-180, 180),
    shift=st.tuples(st.floats(-40, 40), st.floats(-25, 25)),
    scale=st.floats(0.6, 1.5),
    shear=st.tuples(st.floats(-20, 20), st.floats(-20, 20)),
)
boxes = st.tuples(
    st.integers(0, WIDTH - 16),
    st.integers(0, HEIGHT - 16),
    st.integers(12, 60),
    st.integers(12, 40),
).map(lambda b: [b[0], b[1], min(WIDTH, b[0] + b[2]), min(HEIGHT, b[1] + b[3])])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    motion=motions,
    box=st.tuples(st.integers(40, 55), st.integers(28, 35), st.integers(8, 24), st.integers(8, 18)),
)
def test_a_drawn_rectangle_is_found_in_its_moved_box(
    motion: Motion, box: tuple[int, int, int, int]
) -> None:
    """Within a pixel, wherever the whole rectangle is still in the picture."""
    at = [box[0], box[1], box[0] + box[2], box[1] + box[3]]
    moved = move_target(target(at), motion, SIZE, 0.0)
    if not len(moved):
        return
    edges = moved[0, 1:] * EDGES
    if (edges < 1).any() or (edges > EDGES - 1).any():
        return  # partly outside: the hull of what is visible may be smaller than the clipped hull
    found = torch.tensor(white(move_image(drawn(at), motion)))
    assert (found - edges).abs().max() <= 1


@pytest.mark.parametrize(
    "motion",
    [
        Motion(90, (0, 0), 1, (0, 0)),
        Motion(0, (7, -5), 1, (0, 0)),
        Motion(0, (-6.5, 3.25), 1, (0, 0)),
        Motion(0, (0, 0), 1.3, (0, 0)),
        Motion(180, (4, 4), 0.7, (0, 0)),
    ],
)
def test_upright_motions_move_boxes_onto_the_pixels_within_a_pixel(motion: Motion) -> None:
    at = [50, 30, 70, 42]
    moved = move_target(target(at), motion, SIZE, 0.3)
    found = torch.tensor(white(move_image(drawn(at), motion)))
    assert (found - moved[0, 1:] * EDGES).abs().max() <= 1


@settings(max_examples=150, deadline=None, derandomize=True)
@given(motion=motions, box=boxes, least=st.floats(0, 1))
def test_boxes_stay_inside_and_have_an_inside(motion: Motion, box: list[int], least: float) -> None:
    moved = move_target(target(box), motion, SIZE, least)[:, 1:]
    assert ((moved >= 0) & (moved <= 1)).all()
    assert (moved[:, 2:] > moved[:, :2]).all()


def test_a_box_is_dropped_when_less_than_the_least_share_of_its_moved_area_is_visible() -> None:
    """Of a box 40 wide at the right edge, a shift by 20 leaves half; by 30, a quarter."""
    at = target([80, 20, 120, 40], [10, 20, 20, 30])
    half, quarter = Motion(0, (20, 0), 1, (0, 0)), Motion(0, (30, 0), 1, (0, 0))
    assert move_target(at, half, SIZE, 0.45)[:, 0].tolist() == [0, 1]
    assert move_target(at, half, SIZE, 0.55)[:, 0].tolist() == [1]
    assert move_target(at, quarter, SIZE, 0.2)[:, 0].tolist() == [0, 1]
    assert move_target(at, quarter, SIZE, 0.3)[:, 0].tolist() == [1]
    kept = move_target(at, half, SIZE, 0.45)[0, 1:]
    torch.testing.assert_close(kept * EDGES, torch.tensor([100.0, 20, 120, 40]))


def test_a_box_that_is_wholly_outside_is_dropped_even_if_nothing_must_be_visible() -> None:
    assert len(move_target(target([0, 0, 10, 10]), Motion(0, (-20, 0), 1, (0, 0)), SIZE, 0)) == 0


def test_draws_that_cut_no_object_down_are_preferred() -> None:
    """Two small objects near the edge: with one draw, many images would lose a box."""
    at = target([2, 2, 12, 12], [108, 68, 118, 78])
    image = drawn([2, 2, 12, 12])
    section = Operations(translate=0.04, min_visible=0.9)
    _, targets = move_all(image.expand(64, -1, -1, -1), [at] * 64, section, seeded())
    assert [len(one) for one in targets] == [2] * 64


def test_when_every_draw_cuts_something_it_is_dropped() -> None:
    """A frame of objects all around: every turn cuts some of them."""
    around = [[0, y, 8, y + 8] for y in range(0, 80, 8)] + [
        [112, y, 120, y + 8] for y in range(0, 80, 8)
    ]
    at = target(*around, [50, 30, 70, 50])
    section = Operations(rotate=45, min_visible=0.9)
    _, targets = move_all(
        drawn([50, 30, 70, 50]).expand(16, -1, -1, -1), [at] * 16, section, seeded()
    )
    numbers = [len(one) for one in targets]
    assert all(number >= 1 for number in numbers)
    assert any(number < len(at) for number in numbers)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), height=st.integers(16, 90), width=st.integers(16, 90))
def test_kept_whole_nothing_leaves_the_frame(seed: int, height: int, width: int) -> None:
    """Boxes in the four corners are still whole: inside, and each as large as the others."""
    corners = torch.tensor([[0, 0, 0.2, 0.2], [0.8, 0, 1, 0.2], [0, 0.8, 0.2, 1], [0.8, 0.8, 1, 1]])
    at = torch.cat([torch.arange(4.0)[:, None], corners], dim=1)
    section = EVERYTHING.model_copy(update={"keep_whole": True, "min_visible": 1 - 1e-6})
    images = torch.full((1, 3, height, width), 255, dtype=torch.uint8)
    _, targets = move_all(images, [at], section, seeded(seed))
    assert targets[0][:, 0].tolist() == [0, 1, 2, 3]
    extents = targets[0][:, 3:] - targets[0][:, 1:3]
    torch.testing.assert_close(extents, extents[:1].expand(4, -1), atol=1e-4, rtol=0)


def test_without_it_corners_do_leave_the_frame() -> None:
    corner = torch.tensor([[0, 0, 0, 0.05, 0.05]])
    images = torch.full((32, 3, HEIGHT, WIDTH), 255, dtype=torch.uint8)
    _, targets = move_all(images, [corner] * 32, EVERYTHING, seeded())
    assert any(not len(one) for one in targets)


def test_what_becomes_empty_is_the_mean_grey() -> None:
    images = torch.full((1, 3, HEIGHT, WIDTH), 255, dtype=torch.uint8)
    moved = move_image(images[0], Motion(0, (WIDTH / 2, 0), 1, (0, 0)))
    assert moved[:, 10, 10].tolist() == list(FILL)
    assert moved[:, 10, WIDTH - 10].tolist() == [255] * 3


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_types_and_input_stay(dtype: torch.dtype) -> None:
    images = torch.randint(0, 256, (4, 3, HEIGHT, WIDTH), generator=seeded()).to(dtype)
    before = images.clone()
    moved, targets = move_all(images, no_boxes(4), EVERYTHING, seeded())
    assert moved.dtype == dtype
    assert [tuple(one.shape) for one in targets] == [(0, 5)] * 4
    assert torch.equal(images, before)
    assert len({one.double().mean().item() for one in moved}) == 4, "each by a draw of its own"
    again, _ = move_all(images, no_boxes(4), EVERYTHING, seeded())
    assert torch.equal(moved, again)
