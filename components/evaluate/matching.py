"""Detections matched with true boxes, one to one, as COCO does it.

In an image and class, detections choose in the order of their scores; each takes the free true
box it overlaps most, if their IoU reaches the threshold. A second detection of the same object
is a false positive. (pycocotools, `COCOeval.evaluateImg`, without crowds and area ranges.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.evaluate.join import Sample
from components.evaluate.measured import Floats, Integers

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
MAX_DETECTIONS = 100  # an image and class, as COCO has it


@dataclass(frozen=True)
class Matches:
    """All detections of a set of images.

    Attributes:
        image: (d,) index of each detection's image.
        label: (d,) its class.
        score: (d,) in [0, 1].
        hit: (d, thresholds) whether it is matched at each IoU threshold.
        iou: (d,) IoU with its match at the lowest threshold; 0 without one.
        truths: (images, classes) number of true boxes.
    """

    image: Integers
    label: Integers
    score: Floats
    hit: npt.NDArray[np.bool_]
    iou: Floats
    truths: Integers


def iou_matrix(boxes: Floats, others: Floats) -> Floats:
    """Return the IoU (d, t) of boxes (d, 4) and (t, 4), both xmin, ymin, xmax, ymax.

    Boxes are half-open: width is xmax - xmin. Without area on both sides the IoU is 0.
    """
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [np.clip(one[:, 2:] - one[:, :2], 0, None).prod(axis=1) for one in (boxes, others)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    result: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return result


def match(samples: Sequence[Sample], classes: int) -> Matches:
    """Match the detections of every image and class at all IoU thresholds."""
    parts: list[tuple[Integers, Integers, Floats, npt.NDArray[np.bool_], Floats]] = []
    truths = np.zeros((len(samples), classes), dtype=np.int64)
    for index, sample in enumerate(samples):
        truth, found, scores = pixel_boxes(sample)
        np.add.at(truths[index], truth[:, 0].astype(np.int64), 1)
        for label in np.unique(found[:, 0]):
            chosen = np.flatnonzero(found[:, 0] == label)
            order = chosen[np.argsort(-scores[chosen], kind="stable")][:MAX_DETECTIONS]
            ious = iou_matrix(found[order, 1:], truth[truth[:, 0] == label, 1:])
            hit, partner = _assign(ious)
            size = len(order)
            iou = (
                np.where(partner >= 0, ious[np.arange(size), partner], 0.0)
                if ious.size
                else np.zeros(size)
            )
            parts.append((np.full(size, index), np.full(size, int(label)), scores[order], hit, iou))
    if not parts:
        none = np.zeros(0)
        whole = np.zeros(0, dtype=np.int64)
        return Matches(whole, whole, none, np.zeros((0, len(IOU_THRESHOLDS)), bool), none, truths)
    image, of_class, score, hit, iou = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    return Matches(image, of_class, score, hit, iou, truths)


def pixel_boxes(sample: Sample) -> tuple[Floats, Floats, Floats]:
    """Return truth (t, 5), detections (d, 5), each class and box in pixels, and scores (d,)."""
    width, height = sample.size
    scale = np.array([1, width, height, width, height], dtype=np.float64)
    detections = sample.prediction.boxes or ()
    truth = np.array(sample.boxes, dtype=np.float64).reshape(-1, 5) * scale
    found = [(one.label, one.xmin, one.ymin, one.xmax, one.ymax) for one in detections]
    boxes = np.array(found, dtype=np.float64).reshape(-1, 5) * scale
    return truth, boxes, np.array([one.score for one in detections], dtype=np.float64)


def outcomes(
    sample: Sample, threshold: float
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which detections (d,) are correct at IoU 0.5, and which true boxes (t,) are found.

    Detections under the score `threshold` are neither correct nor find anything.
    """
    truth, found, scores = pixel_boxes(sample)
    correct, seen = np.zeros(len(found), dtype=bool), np.zeros(len(truth), dtype=bool)
    for label in np.unique(found[:, 0]):
        chosen = np.flatnonzero((found[:, 0] == label) & (scores >= threshold))
        order = chosen[np.argsort(-scores[chosen], kind="stable")][:MAX_DETECTIONS]
        candidates = np.flatnonzero(truth[:, 0] == label)
        _, partner = _assign(iou_matrix(found[order, 1:], truth[candidates, 1:]))
        correct[order[partner >= 0]] = True
        seen[candidates[partner[partner >= 0]]] = True
    return correct, seen


def _assign(ious: Floats) -> tuple[npt.NDArray[np.bool_], Integers]:
    """Assign detections, best first, at all thresholds side by side.

    Args:
        ious: (d, t), detections by falling score.

    Returns:
        hit (d, thresholds), and the true box of each detection at the lowest threshold (d,),
        -1 without one.
    """
    detections, truths = ious.shape
    hit = np.zeros((detections, len(IOU_THRESHOLDS)), dtype=bool)
    partner = np.full(detections, -1)
    if not truths:
        return hit, partner
    free = np.ones((len(IOU_THRESHOLDS), truths), dtype=bool)
    every = np.arange(len(IOU_THRESHOLDS))
    # Most detections overlap nothing: they cannot match at any threshold.
    for index in np.flatnonzero(ious.max(axis=1) >= IOU_THRESHOLDS[0]):
        overlap = np.where(free, ious[index], -1.0)
        # Of equal overlaps COCO takes the last.
        best = truths - 1 - overlap[:, ::-1].argmax(axis=1)
        taken = overlap[every, best] >= IOU_THRESHOLDS
        hit[index] = taken
        free[every[taken], best[taken]] = False
        if taken[0]:
            partner[index] = best[0]
    return hit, partner
