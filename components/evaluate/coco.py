"""COCO's figures through faster-coco-eval, which computes what pycocotools does, in C++."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from components.evaluate.join import Sample
from components.evaluate.matching import pixel_boxes
from components.evaluate.measured import Metrics

# The order of COCOeval.stats.
_NAMES = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar1", "ar10", "ar", "ar_small", "ar_medium", "ar_large",
)  # fmt: skip


def coco_metrics(
    samples: Sequence[Sample], classes: Sequence[str]
) -> tuple[Metrics, dict[str, Metrics]]:
    """Return COCO's twelve figures, and AP and AP50 of each class.

    What has no true boxes (a size, a class) has no figure: COCO's -1 is left out.
    """
    truth, results = coco_form(samples, classes)
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = COCO(truth)
        evaluation = COCOeval_faster(dataset, dataset.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    stats = np.asarray(evaluation.stats[: len(_NAMES)], dtype=np.float64)
    total = {name: float(value) for name, value in zip(_NAMES, stats, strict=True) if value >= 0}
    # precision: IoU thresholds, recalls, classes, areas (first: all), detections (last: 100)
    precision = np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]
    per_class = {}
    for index, name in enumerate(classes):
        values = precision[:, :, index]
        known = (values >= 0).all()
        per_class[name] = (
            {"ap": float(values.mean()), "ap50": float(values[0].mean())} if known else {}
        )
    return total, per_class


def coco_form(
    samples: Sequence[Sample], classes: Sequence[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return truth and results as COCO's JSON has them: pixels, ids from 1, xywh boxes."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image, sample in enumerate(samples, start=1):
        images.append({"id": image, "width": sample.size[0], "height": sample.size[1]})
        truth, found, scores = pixel_boxes(sample)
        for row in truth.tolist():
            annotations.append({"id": len(annotations) + 1, "iscrowd": 0, **_box(image, row)})
        for row, score in zip(found.tolist(), scores.tolist(), strict=True):
            results.append({"score": score, **_box(image, row)})
    categories = [{"id": index, "name": name} for index, name in enumerate(classes, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}, results


def _box(image: int, row: list[float]) -> dict[str, Any]:
    label, xmin, ymin, xmax, ymax = row
    width, height = xmax - xmin, ymax - ymin
    return {
        "image_id": image,
        "category_id": int(label) + 1,
        "bbox": [xmin, ymin, width, height],
        "area": width * height,
    }
