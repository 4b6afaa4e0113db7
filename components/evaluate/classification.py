"""Metrics of classification, on the test images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import (
    precision_recall_fscore_support,
    roc_auc_score,
    top_k_accuracy_score,
)

from components.evaluate.join import Sample
from components.evaluate.measured import (
    Confusion,
    Floats,
    Integers,
    Measured,
    Metrics,
    finite,
)
from components.shared.errors import UserError

_TOP = (3, 5)
_BINS = 15  # of the calibration error, as in Guo et al. 2017
_SUM_TOLERANCE = 1e-3  # probabilities travel as float32


def measure(samples: Sequence[Sample], classes: Sequence[str]) -> Measured:
    """Measure a classifier.

    Metrics: accuracy; balanced_accuracy (mean recall of the classes that occur),
    precision_macro, f1_macro, worst_recall; and, where the model gives probabilities,
    top3_accuracy and top5_accuracy (with more classes than that), log_loss (nats), roc_auc
    (mean over classes, one against the rest), ece (expected calibration error, Guo et al. 2017,
    15 bins). baseline_accuracy is that of always answering the most frequent class.

    Raises:
        UserError: if probabilities are missing for some images only, or are none.
    """
    truth = np.array([sample.label for sample in samples], dtype=np.int64)
    predicted = np.array([sample.prediction.label for sample in samples], dtype=np.int64)
    _check_labels(samples, predicted, len(classes))
    probabilities = probability_matrix(samples, len(classes))
    cells = truth * len(classes) + predicted
    statistic = _Statistic(cells, len(classes), truth, probabilities)
    metrics = statistic(np.ones(len(samples))) | _ranking(truth, probabilities)
    curves: dict[str, Any] = {"correct": truth == predicted}
    if probabilities is None:
        losses = (truth != predicted).astype(np.float64)
    else:
        losses = statistic.losses
        confidence = probabilities[np.arange(len(predicted)), predicted]
        metrics["ece"], bins = calibration(confidence, truth == predicted)
        curves |= {"confidence": confidence, "calibration": bins}
    rows, summary = _per_class(truth, predicted, classes)
    matrix = np.bincount(cells, minlength=len(classes) ** 2).reshape(len(classes), -1)
    metrics |= summary | {"baseline_accuracy": matrix.sum(axis=1).max() / len(samples)}
    return Measured(
        metrics=finite(metrics),
        statistic=statistic,
        losses=losses,
        rows=rows,
        confusion=Confusion(list(classes), matrix),
        cost=4 * len(samples) + len(classes) ** 2,
        curves=curves,
    )


def probability_matrix(samples: Sequence[Sample], width: int | None) -> Floats | None:
    """Return probabilities (n, classes) that sum to 1, or None where the model gives none.

    Raises:
        UserError: if only some images have them, or a row is not a distribution over `width`.
    """
    given = [sample.prediction.probabilities for sample in samples]
    if all(row is None for row in given):
        return None
    width = width or len(next(row for row in given if row is not None))
    for sample, row in zip(samples, given, strict=True):
        if row is None or len(row) != width:
            found = "none" if row is None else str(len(row))
            raise UserError(
                f"the prediction of image {sample.image_id} has {found} probabilities; "
                f"{width} were expected"
            )
        if not np.isfinite(row).all() or min(row) < 0 or abs(sum(row) - 1) > _SUM_TOLERANCE:
            raise UserError(
                f"the prediction of image {sample.image_id}: probabilities must lie in [0, 1] "
                f"and sum to 1, but sum to {sum(row):.4g}"
            )
    matrix = np.array(given, dtype=np.float64)
    matrix /= matrix.sum(axis=1, keepdims=True)
    return matrix


def log_losses(truth: Integers, probabilities: Floats) -> Floats:
    """Return -log of the true class's probability, an image; as scikit-learn clips it."""
    chosen = probabilities[np.arange(len(truth)), truth]
    return -np.log(np.clip(chosen, np.finfo(np.float64).eps, 1))


def calibration(
    confidence: Floats, correct: np.ndarray[Any, np.dtype[np.bool_]]
) -> tuple[float, list[tuple[float, float, int]]]:
    """Return the expected calibration error, and `(confidence, accuracy, images)` by bin.

    Bins are of equal width over [0, 1]; empty ones are left out (Guo et al. 2017, equation 3).
    """
    index = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    bins = []
    for one in np.unique(index):
        inside = index == one
        bins.append(
            (float(confidence[inside].mean()), float(correct[inside].mean()), int(inside.sum()))
        )
    error = sum(abs(mean - accuracy) * count for mean, accuracy, count in bins) / len(confidence)
    return float(error), bins


class _Statistic:
    """Headline metrics of a resample, from the confusion matrix it gives."""

    def __init__(
        self, cells: Integers, classes: int, truth: Integers, probabilities: Floats | None
    ) -> None:
        self._cells = cells
        self._classes = classes
        self.losses = np.empty(0) if probabilities is None else log_losses(truth, probabilities)

    def __call__(self, weights: Floats) -> Metrics:
        size = self._classes
        matrix = np.bincount(self._cells, weights, size * size).reshape(size, size)
        hits, true, answered = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
        seen = true > 0
        touched = true + answered > 0
        metrics = {
            "accuracy": hits.sum() / matrix.sum(),
            "balanced_accuracy": (hits[seen] / true[seen]).mean(),
            "f1_macro": (2 * hits[touched] / (true + answered)[touched]).mean(),
        }
        if self.losses.size:
            metrics["log_loss"] = weights @ self.losses / weights.sum()
        return metrics


def _check_labels(samples: Sequence[Sample], predicted: Integers, classes: int) -> None:
    for sample, label in zip(samples, predicted, strict=True):
        for whose, value in (("true", sample.label), ("predicted", int(label))):
            if value is None or not 0 <= value < classes:
                raise UserError(
                    f"image {sample.image_id}: the {whose} label is {value}; "
                    f"there are {classes} classes, counted from 0"
                )


def _ranking(truth: Integers, probabilities: Floats | None) -> Metrics:
    if probabilities is None:
        return {}
    classes = probabilities.shape[1]
    metrics = {
        f"top{k}_accuracy": float(
            top_k_accuracy_score(truth, probabilities, k=k, labels=np.arange(classes))
        )
        for k in _TOP
        if k < classes
    }
    areas = [
        roc_auc_score(truth == one, probabilities[:, one])
        for one in np.unique(truth)
        if (truth != one).any()
    ]
    return metrics | ({"roc_auc": float(np.mean(areas))} if areas else {})


def _per_class(
    truth: Integers, predicted: Integers, classes: Sequence[str]
) -> tuple[list[dict[str, Any]], Metrics]:
    labels = np.arange(len(classes))
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=np.nan
    )
    rows = [
        {
            "class": name,
            "support": int(support[index]),
            "precision": _or_none(precision[index]),
            "recall": _or_none(recall[index]),
            "f1": _or_none(f1[index]),
        }
        for index, name in enumerate(classes)
    ]
    seen = support > 0
    summary = {
        # A class that was never answered has no precision; it counts as 0 where it occurs.
        "precision_macro": float(np.nan_to_num(precision[seen]).mean()),
        "worst_recall": float(recall[seen].min()),
    }
    return rows, summary


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
