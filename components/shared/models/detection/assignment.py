"""Which predictions of a detector are to learn which box."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import box_iou

NONE = -1

# Candidates a level and box; the paper finds results steady between 7 and 17.
_CANDIDATES = 9


def atss(anchors: Tensor, level_sizes: Sequence[int], boxes: Tensor) -> Tensor:
    """Assign boxes to anchors by adaptive training sample selection.

    A box's candidates are the anchors nearest to its centre on every level. Those that overlap
    it by more than the candidates' mean plus standard deviation, and have their centre inside
    the box, learn it (Zhang et al., https://arxiv.org/abs/1912.02424).

    Args:
        anchors: (L, 4) as xmin, ymin, xmax, ymax, level after level.
        level_sizes: anchors on each level; they add up to L.
        boxes: (M, 4) in the anchors' unit.

    Returns:
        (L,) the index of each anchor's box, -1 for background. Where several boxes claim an
        anchor, the one with the largest overlap gets it.
    """
    if len(boxes) == 0:
        return torch.full((len(anchors),), NONE, device=anchors.device)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    candidates = _nearest(centres, level_sizes, boxes)  # (K, M)
    overlaps: Tensor = box_iou(anchors, boxes)  # (L, M)
    candidate_overlaps = overlaps.gather(0, candidates)
    least = candidate_overlaps.mean(dim=0) + candidate_overlaps.std(dim=0)

    is_candidate = torch.zeros_like(overlaps, dtype=torch.bool).scatter_(0, candidates, True)
    is_positive = is_candidate & (overlaps >= least) & _inside(centres, boxes)
    overlaps = overlaps.masked_fill(~is_positive, -1.0)
    best, assigned = overlaps.max(dim=1)
    return assigned.masked_fill(best < 0, NONE)


def best_overlap(anchors: Tensor, boxes: Tensor, threshold: float) -> Tensor:
    """Assign boxes to anchors as SSD does (Liu et al., https://arxiv.org/abs/1512.02325).

    An anchor learns the box that it overlaps most if their IoU reaches the threshold; beyond
    that, every box gets the anchor that overlaps it most.

    Args:
        anchors: (A, 4) as xmin, ymin, xmax, ymax.
        boxes: (M, 4) in the anchors' unit.
        threshold: least IoU.

    Returns:
        (A,) the index of each anchor's box, -1 for background.
    """
    if len(boxes) == 0:
        return torch.full((len(anchors),), NONE, device=anchors.device)
    overlaps: Tensor = box_iou(anchors, boxes)
    best, assigned = overlaps.max(dim=1)
    assigned = assigned.masked_fill(best < threshold, NONE)
    assigned[overlaps.argmax(dim=0)] = torch.arange(len(boxes), device=boxes.device)
    return assigned


def _nearest(centres: Tensor, level_sizes: Sequence[int], boxes: Tensor) -> Tensor:
    """Return the indices (K, M) of the anchors nearest to each box, some on every level."""
    distances = torch.cdist((boxes[:, :2] + boxes[:, 2:]) / 2, centres)
    nearest, start = [], 0
    for level in torch.split(distances, list(level_sizes), dim=1):
        count = min(_CANDIDATES, level.shape[1])
        nearest.append(level.topk(count, dim=1, largest=False).indices + start)
        start += level.shape[1]
    return torch.cat(nearest, dim=1).T


def _inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Tell which points (L, 2) lie inside which boxes (M, 4): (L, M)."""
    to_minimum = points[:, None] - boxes[None, :, :2]
    to_maximum = boxes[None, :, 2:] - points[:, None]
    return torch.cat([to_minimum, to_maximum], dim=2).amin(dim=2) > 0
