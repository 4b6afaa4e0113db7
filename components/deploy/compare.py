"""How far an endpoint's answer is from the prediction it must repeat."""

import math
from collections.abc import Sequence
from typing import Any

from components.shared.predictions import Prediction
from components.shared.task import Task

Row = tuple[float, ...]  # class, score, xmin, ymin, xmax, ymax


def difference(expected: Prediction, answer: Any, task: Task, tolerance: float) -> float:
    """Return the largest difference between an answer and the prediction in predict's table.

    It is taken over all numbers of the answer: probabilities, counts, scores and coordinates.
    An answer of another form, length, class or count is infinitely far away.

    Args:
        expected: the table's prediction.
        answer: the endpoint's JSON value, see `answers.answer`.
        task: what the form of the answer is.
        tolerance: scores nearer than this count as tied, so their detections may come in any
            order.
    """
    try:
        if task == "detect":
            rows = [_row(found) for found in answer["prediction"]]
            wanted = [
                (float(box.label), box.score, box.xmin, box.ymin, box.xmax, box.ymax)
                for box in expected.boxes or ()
            ]
            return _of_detections(wanted, rows, tolerance)
        if task == "classify":
            return _of_numbers(expected.probabilities or (), _numbers(answer))
        return max(
            _of_numbers(expected.probabilities or (), _numbers(answer["probabilities"])),
            _of_numbers([_known(expected.count_expected)], _numbers([answer["expected_count"]])),
            0.0 if expected.count == answer["count"] else math.inf,
        )
    except (TypeError, KeyError, ValueError):
        return math.inf  # not of the task's form


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in values]


def _row(values: Any) -> Row:
    row = tuple(_numbers(values))
    if len(row) != 6:
        raise ValueError("a detection has six numbers")
    return row


def _of_numbers(wanted: Sequence[float], found: Sequence[float]) -> float:
    if len(wanted) != len(found):
        return math.inf
    return max((_gap(a, b) for a, b in zip(wanted, found, strict=True)), default=0.0)


def _gap(wanted: float, found: float) -> float:
    gap = abs(wanted - found)
    return math.inf if math.isnan(gap) else gap


def _of_detections(wanted: Sequence[Row], found: Sequence[Row], tolerance: float) -> float:
    """Match by rank; detections with tied scores by the nearest box of the same class."""
    if len(wanted) != len(found):
        return math.inf
    left = list(found)
    largest = 0.0
    for row in wanted:
        # Both are sorted by score: the candidates are the first one left, and those tied with it.
        tied = [other for other in left if abs(other[1] - left[0][1]) <= 2 * tolerance]
        gap, nearest = min((_of_rows(row, other), other) for other in tied)
        left.remove(nearest)
        largest = max(largest, gap)
    return largest


def _of_rows(wanted: Row, found: Row) -> float:
    return _of_numbers(wanted[1:], found[1:]) if wanted[0] == found[0] else math.inf
