"""Metrics of detection: COCO's average precision, and precision and recall at a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.evaluate.coco import coco_metrics
from components.evaluate.join import Sample
from components.evaluate.matching import IOU_THRESHOLDS, Matches, match
from components.evaluate.measured import Floats, Measured, Metrics, finite
from components.shared.errors import UserError

_RECALLS = np.linspace(0, 1, 101)  # COCO's recall levels
_FALLBACK = 0.5  # the threshold where val has no correct detection to choose one by


def measure(val: Sequence[Sample], test: Sequence[Sample], classes: Sequence[str]) -> Measured:
    """Measure a detector.

    Metrics: ap (mean over classes and IoU 0.50 to 0.95), ap50, ap75, ap_small, ap_medium,
    ap_large (areas under 32², to 96², over 96² pixels), ar1, ar10, ar (at 100 detections an
    image), ar_small, ar_medium, ar_large: COCO's twelve figures. At the confidence threshold
    that gives the best F1 on val, IoU 0.5: precision, recall, f1, over all boxes; mean_iou of
    the correct ones; count_mae, the mean error of the number of boxes an image.

    Raises:
        UserError: if a label, score or box of a prediction is out of range.
    """
    for sample in (*val, *test):
        _check(sample, len(classes))
    threshold = best_threshold(match(val, len(classes)))
    found = match(test, len(classes))
    statistic = _Statistic(found, threshold)
    metrics, per_class = coco_metrics(test, classes)
    metrics |= {
        name: value
        for name, value in statistic(np.ones(len(test))).items()
        if name in ("precision", "recall", "f1", "count_mae")
    }
    correct = found.hit[:, 0] & (found.score >= threshold)
    metrics["mean_iou"] = float(found.iou[correct].mean()) if correct.any() else np.nan
    return Measured(
        metrics=finite(metrics),
        statistic=statistic,
        losses=_losses(found, threshold, len(test)),
        rows=_per_class(found, threshold, classes, per_class),
        thresholds={"confidence": threshold},
        cost=statistic.cost,
        curves={
            "score": found.score,
            "hit": found.hit[:, 0],
            "iou": found.iou[correct],
            "precision_recall": precision_recall(found, classes),
        },
    )


def best_threshold(found: Matches) -> float:
    """Return the score that maximizes F1 at IoU 0.5 over all classes.

    A detection counts from this score upwards. Of equal F1 the highest score is taken. Where
    nothing is correct at any score, 0.5.
    """
    order = np.argsort(-found.score, kind="stable")
    score, hits = found.score[order], np.cumsum(found.hit[order, 0])
    if not hits.size or not hits[-1]:
        return _FALLBACK
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + found.truths.sum())
    ends = np.append(score[1:] < score[:-1], True)  # equal scores pass a threshold together
    return float(score[ends][f1[ends].argmax()])


def precision_recall(found: Matches, classes: Sequence[str]) -> dict[str, tuple[Floats, Floats]]:
    """Return `{class: (recall, precision)}` at IoU 0.5, precision as COCO's falling envelope."""
    curves = {}
    for label, name in enumerate(classes):
        total = found.truths[:, label].sum()
        chosen = np.flatnonzero(found.label == label)
        if not total or not chosen.size:
            continue
        order = chosen[np.argsort(-found.score[chosen], kind="stable")]
        hits = np.cumsum(found.hit[order, 0])
        precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
        curves[name] = (hits / total, precision)
    return curves


@dataclass(frozen=True)
class _ClassMatches:
    """One class's detections, best first: image (d,), score (d,), hit (thresholds, d)."""

    image: Any
    score: Floats
    hit: Floats
    truths: Floats


class _Statistic:
    """Headline metrics of a resample.

    Matching is done within an image, so resampling images only changes how often each match
    counts: AP of a resample is a weighted sum over matches made once.
    """

    def __init__(self, found: Matches, threshold: float) -> None:
        self._classes = []
        for label in range(found.truths.shape[1]):
            chosen = np.flatnonzero(found.label == label)
            order = chosen[np.argsort(-found.score[chosen], kind="stable")]
            self._classes.append(
                _ClassMatches(
                    found.image[order],
                    found.score[order],
                    found.hit[order].T.astype(np.float64),
                    found.truths[:, label].astype(np.float64),
                )
            )
        self._sums = per_image(found, threshold)
        self.cost = 8 * len(IOU_THRESHOLDS) * len(found.score)

    def __call__(self, weights: Floats) -> Metrics:
        by_class = [average_precisions(one, weights) for one in self._classes]
        seen = [values for values in by_class if values is not None]
        metrics = {}
        if seen:
            mean = np.mean(seen, axis=0)
            metrics = {"ap": float(mean.mean()), "ap50": float(mean[0]), "ap75": float(mean[5])}
        correct, answered, truths = (weights @ self._sums[:, :3]).tolist()
        off = np.abs(self._sums[:, 1] - self._sums[:, 2])
        return metrics | {
            "precision": correct / answered if answered else np.nan,
            "recall": correct / truths if truths else np.nan,
            "f1": 2 * correct / (answered + truths) if answered + truths else np.nan,
            "count_mae": float(weights @ off / weights.sum()),
        }


def average_precisions(one: _ClassMatches, weights: Floats) -> Floats | None:
    """Return AP (thresholds,) at 101 recall levels, images weighted; None without truth."""
    total = weights @ one.truths
    if not total:
        return None
    drawn = weights[one.image]
    hits = np.cumsum(one.hit * drawn, axis=1)
    answered = np.maximum(np.cumsum(drawn), np.finfo(np.float64).eps)
    recall = hits / total
    precision = np.maximum.accumulate((hits / answered)[:, ::-1], axis=1)[:, ::-1]
    result = np.zeros(len(IOU_THRESHOLDS))
    for index in range(len(IOU_THRESHOLDS)):
        at = np.searchsorted(recall[index], _RECALLS, side="left")
        reached = at[at < recall.shape[1]]
        result[index] = precision[index, reached].sum() / len(_RECALLS)
    return result


def per_image(found: Matches, threshold: float) -> Floats:
    """Return (images, 3): correct detections, detections, and true boxes, at the threshold."""
    images = len(found.truths)
    kept = found.score >= threshold
    correct = np.bincount(found.image[kept], found.hit[kept, 0], images)
    answered = np.bincount(found.image[kept], minlength=images)
    sums: Floats = np.stack([correct, answered, found.truths.sum(axis=1)], axis=1)
    return sums


def _losses(found: Matches, threshold: float, images: int) -> Floats:
    """Rank images by missed and false boxes; among equals by how sure the false ones were."""
    correct, answered, truths = per_image(found, threshold).T
    wrong = (found.score >= threshold) & ~found.hit[:, 0]
    sure = np.bincount(found.image[wrong], found.score[wrong], images)
    losses: Floats = (truths - correct) + (answered - correct) + sure / (1 + sure)
    return losses


def _per_class(
    found: Matches, threshold: float, classes: Sequence[str], coco: dict[str, Metrics]
) -> list[dict[str, Any]]:
    rows = []
    kept = found.score >= threshold
    for label, name in enumerate(classes):
        chosen = kept & (found.label == label)
        truths, answered = int(found.truths[:, label].sum()), int(chosen.sum())
        correct = int(found.hit[chosen, 0].sum())
        rows.append(
            {
                "class": name,
                "boxes": truths,
                "detections": answered,
                "ap": coco[name].get("ap"),
                "ap50": coco[name].get("ap50"),
                "precision": correct / answered if answered else None,
                "recall": correct / truths if truths else None,
                "f1": 2 * correct / (answered + truths) if answered + truths else None,
            }
        )
    return rows


def _check(sample: Sample, classes: int) -> None:
    for box in sample.prediction.boxes or ():
        values = (box.score, box.xmin, box.ymin, box.xmax, box.ymax)
        if not 0 <= box.label < classes:
            raise UserError(
                f"image {sample.image_id}: a detection has label {box.label}; "
                f"there are {classes} classes, counted from 0"
            )
        if not np.isfinite(values).all() or box.xmin > box.xmax or box.ymin > box.ymax:
            raise UserError(
                f"image {sample.image_id}: a detection has score and box {values}; "
                "expected numbers with xmin <= xmax and ymin <= ymax, normalized to [0, 1]"
            )
