import pytest
import torch
from torch import Tensor

from components.shared.models.detection.assignment import atss, best_overlap


def _row_of_squares(count: int, edge: float) -> Tensor:
    """Squares side by side: the centre of the i-th is at ((i + 0.5) * edge, edge / 2)."""
    left = torch.arange(count) * edge
    return torch.stack([left, torch.zeros(count), left + edge, torch.full((count,), edge)], dim=1)


def test_atss_gives_a_box_to_the_anchors_that_overlap_it_most() -> None:
    anchors = _row_of_squares(10, 10.0)

    assigned = atss(anchors, [10], torch.tensor([[20.0, 0.0, 40.0, 10.0]]))

    assert assigned.tolist() == [-1, -1, 0, 0, -1, -1, -1, -1, -1, -1]


def test_atss_prefers_the_level_whose_anchors_fit() -> None:
    small, large = _row_of_squares(8, 10.0), _row_of_squares(2, 40.0)

    assigned = atss(torch.cat([small, large]), [8, 2], torch.tensor([[0.0, 0.0, 42.0, 40.0]]))

    assert assigned.tolist() == [-1] * 8 + [0, -1]


def test_atss_wants_the_centre_of_an_anchor_inside_the_box() -> None:
    """The middle square overlaps most, yet its centre (15, 5) lies under the box."""
    anchors = _row_of_squares(3, 10.0)

    assigned = atss(anchors, [3], torch.tensor([[10.0, 6.0, 20.0, 10.0]]))

    assert assigned.tolist() == [-1, -1, -1]


def test_atss_gives_a_contested_anchor_to_the_larger_overlap() -> None:
    anchors = _row_of_squares(10, 10.0)
    boxes = torch.tensor([[50.0, 0.0, 60.0, 8.0], [50.0, 0.0, 60.0, 9.0]])

    assert atss(anchors, [10], boxes)[5] == 1


def test_best_overlap_matches_above_the_threshold_only() -> None:
    anchors = _row_of_squares(4, 10.0)
    box = torch.tensor([[3.0, 0.0, 13.0, 10.0]])  # IoU 7/13 with the first, 3/17 with the second

    assert best_overlap(anchors, box, threshold=0.5).tolist() == [0, -1, -1, -1]


def test_best_overlap_leaves_no_box_without_an_anchor() -> None:
    anchors = _row_of_squares(4, 10.0)
    tiny = torch.tensor([[31.0, 1.0, 33.0, 3.0]])

    assert best_overlap(anchors, tiny, threshold=0.5).tolist() == [-1, -1, -1, 0]


@pytest.mark.parametrize("boxes", [torch.empty(0, 4)])
def test_without_boxes_everything_is_background(boxes: Tensor) -> None:
    anchors = _row_of_squares(3, 10.0)

    assert atss(anchors, [3], boxes).tolist() == [-1, -1, -1]
    assert best_overlap(anchors, boxes, threshold=0.5).tolist() == [-1, -1, -1]
