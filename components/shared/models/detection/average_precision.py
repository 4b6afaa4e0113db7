"""COCO's average precision of detections, quick enough for every epoch of training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from torch import Tensor

# COCO's measure: this many detections an image count.
_DETECTIONS = 100
# Normalised boxes are blown up so that none falls under COCO's numeric floors.
_EDGE = 1000.0


def average_precision(predictions: Sequence[Tensor], truths: Sequence[Tensor]) -> dict[str, float]:
    """Measure detections against the truth, as COCO does (mean over classes that occur).

    Args:
        predictions: an image each, (K, 6): class, score, xmin, ymin, xmax, ymax.
        truths: an image each, (M, 5): class, xmin, ymin, xmax, ymax. Coordinates in [0, 1].

    Returns:
        `ap`, the mean over the IoU thresholds 0.50, 0.55 ... 0.95, and `ap50`, both in [0, 1].
        Without any true box, or any detection, both are 0.

    Raises:
        ValueError: if the two are not of the same length.
    """
    if len(predictions) != len(truths):
        raise ValueError(f"{len(predictions)} predictions for {len(truths)} images")
    annotations = _annotations(truths)
    detections = _detections(predictions)
    if not annotations or not detections:
        return {"ap": 0.0, "ap50": 0.0}
    labels = sorted({annotation["category_id"] for annotation in annotations})
    truth = {
        "images": [{"id": index} for index in range(len(truths))],
        "annotations": annotations,
        "categories": [{"id": label, "name": str(label)} for label in labels],
    }
    coco = COCO(truth)
    evaluation = COCOeval_faster(coco, coco.loadRes(detections), "bbox")
    evaluation.params.maxDets = [_DETECTIONS]
    evaluation.params.areaRng = [[0.0, float("inf")]]
    evaluation.params.areaRngLbl = ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    # (IoU thresholds, recalls, classes, areas, detections); -1 where a class does not occur.
    precision = np.asarray(evaluation.eval["precision"])[..., 0, 0]
    return {"ap": float(precision.mean()), "ap50": float(precision[0].mean())}


def _annotations(truths: Sequence[Tensor]) -> list[dict[str, Any]]:
    """Return the true boxes in COCO's form, numbered from 1 (COCO takes 0 for unmatched)."""
    rows = [(image, row) for image, truth in enumerate(truths) for row in truth.tolist()]
    return [
        {"id": number, "iscrowd": 0, **_annotation(image, row[0], row[1:])}
        for number, (image, row) in enumerate(rows, start=1)
    ]


def _detections(predictions: Sequence[Tensor]) -> list[dict[str, Any]]:
    return [
        {"score": row[1], **_annotation(image, row[0], row[2:])}
        for image, prediction in enumerate(predictions)
        for row in prediction.tolist()
    ]


def _annotation(image: int, label: float, box: Sequence[float]) -> dict[str, Any]:
    xmin, ymin, xmax, ymax = (_EDGE * value for value in box)
    width, height = xmax - xmin, ymax - ymin
    return {
        "image_id": image,
        "category_id": int(label),
        "bbox": [xmin, ymin, width, height],
        "area": width * height,
    }
