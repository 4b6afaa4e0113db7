"""Metrics of counting, on the test images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from components.evaluate.classification import log_losses, probability_matrix
from components.evaluate.join import Sample
from components.evaluate.measured import Confusion, Floats, Integers, Measured, Metrics, finite
from components.shared.errors import UserError

_LARGEST = 60  # counts above this share the last row of the confusion matrix


def measure(samples: Sequence[Sample]) -> Measured:
    """Measure a counter.

    Metrics of the reported whole number: accuracy, mae, rmse_integer, within_one (share off by
    one at most). Of the expected count: rmse, bias (mean of expected minus true). A model that
    reports only whole numbers has these as its expected counts. Of the distribution, where
    there is one: log_loss (nats).

    Two baselines answer one number always, the best for these very test images, so they are
    hard to beat: baseline_rmse is that of the mean count, baseline_accuracy that of the most
    frequent. rmse_ratio is rmse / baseline_rmse: under 1 means that the images were of use.
    """
    truth = np.array([sample.count for sample in samples], dtype=np.int64)
    counted = np.array([sample.prediction.count for sample in samples], dtype=np.int64)
    if truth.min() < 0 or counted.min() < 0:
        raise UserError("counts must not be negative; correct the table or the predictions")
    expected = _expected(samples, counted)
    statistic = _Statistic(truth, counted, expected)
    metrics = statistic(np.ones(len(samples)))
    metrics["bias"] = float((expected - truth).mean())
    metrics["baseline_accuracy"] = float(np.bincount(truth).max() / len(truth))
    curves: dict[str, Any] = {"truth": truth, "expected": expected, "counted": counted}
    probabilities = probability_matrix(samples, None)
    if probabilities is not None:
        # A count that the model cannot answer has probability zero.
        width = max(probabilities.shape[1], int(truth.max()) + 1)
        padded = np.pad(probabilities, ((0, 0), (0, width - probabilities.shape[1])))
        metrics["log_loss"] = float(log_losses(truth, padded).mean())
        curves["confidence"] = probabilities.max(axis=1)
        curves["correct"] = truth == counted
    return Measured(
        metrics=finite(metrics),
        statistic=statistic,
        losses=np.abs(expected - truth),
        rows=_per_count(truth, counted, expected),
        confusion=_confusion(truth, counted),
        cost=10 * len(samples),
        curves=curves,
    )


class _Statistic:
    """Headline metrics of a resample, from sums over its images."""

    def __init__(self, truth: Integers, counted: Integers, expected: Floats) -> None:
        off = np.abs(counted - truth)
        self._truth = truth
        self._columns = np.stack(
            [off == 0, off <= 1, off, off**2, (expected - truth) ** 2], axis=1
        ).astype(np.float64)

    def __call__(self, weights: Floats) -> Metrics:
        total = weights.sum()
        accuracy, within_one, mae, integer, squared = weights @ self._columns / total
        mean = weights @ self._truth / total
        baseline = np.sqrt(weights @ (self._truth - mean) ** 2 / total)
        return {
            "accuracy": accuracy,
            "rmse": np.sqrt(squared),
            "rmse_integer": np.sqrt(integer),
            "mae": mae,
            "within_one": within_one,
            "baseline_rmse": baseline,
            # One true count only: a constant is perfect, and there is no ratio.
            "rmse_ratio": np.sqrt(squared) / baseline if baseline > 0 else np.nan,
        }


def _expected(samples: Sequence[Sample], counted: Integers) -> Floats:
    given = [sample.prediction.count_expected for sample in samples]
    if all(value is None for value in given):
        return counted.astype(np.float64)
    for sample, value in zip(samples, given, strict=True):
        if value is None or not np.isfinite(value):
            raise UserError(
                f"the prediction of image {sample.image_id} has the expected count {value}; "
                "give a number for every image, or for none"
            )
    return np.array(given, dtype=np.float64)


def _per_count(truth: Integers, counted: Integers, expected: Floats) -> list[dict[str, Any]]:
    rows = []
    for count in np.unique(truth):
        chosen = truth == count
        rows.append(
            {
                "count": int(count),
                "n": int(chosen.sum()),
                "accuracy": float((counted[chosen] == count).mean()),
                "rmse": float(np.sqrt(((expected[chosen] - count) ** 2).mean())),
                "rmse_integer": float(np.sqrt(((counted[chosen] - count) ** 2).mean())),
                "mean_predicted": float(expected[chosen].mean()),
            }
        )
    return rows


def _confusion(truth: Integers, counted: Integers) -> Confusion:
    largest = min(int(max(truth.max(), counted.max())), _LARGEST)
    size = largest + 1
    cells = np.minimum(truth, largest) * size + np.minimum(counted, largest)
    capped = max(truth.max(), counted.max()) > largest
    labels = [str(count) for count in range(size)]
    if capped:
        labels[-1] += " or more"
    return Confusion(labels, np.bincount(cells, minlength=size * size).reshape(size, size))
