"""How far an endpoint's answer is from the prediction it must repeat."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from components.shared.predictions import Prediction
from components.shared.task import Task

Row = tuple[float, ...]  # class, score, xmin, ymin, xmax, ymax


@dataclass(frozen=True)
class Comparison:
    """Compares answers with the predictions of the same model.

    Attributes:
        task: what the form of an answer is.
        tolerance: numbers nearer than this count as equal.
        min_score: the model leaves out weaker detections.
        max_detections: the model keeps so many in an image, the strongest.
    """

    task: Task
    tolerance: float
    min_score: float = 0.0
    max_detections: int = 0

    def difference(self, expected: Prediction, answer: Any) -> float:
        """Return the largest difference over all numbers of an answer: see `answers.answer`.

        An answer of another form, length, class or count is infinitely far away. Detections are
        matched by rank, those with tied scores in any order. One that only one side holds is
        passed over if so small a difference can let it cross the model's own limits.
        """
        try:
            if self.task == "detect":
                return self._of_detections(_boxes(expected), _rows(answer["prediction"]))
            if self.task == "classify":
                return _of_numbers(expected.probabilities or (), _numbers(answer))
            return max(
                _of_numbers(expected.probabilities or (), _numbers(answer["probabilities"])),
                _of_numbers(
                    _numbers([expected.count_expected]), _numbers([answer["expected_count"]])
                ),
                self._of_counts(expected, answer["count"]),
            )
        except (TypeError, KeyError, ValueError):
            return math.inf  # not of the task's form

    def _of_counts(self, expected: Prediction, count: Any) -> float:
        """Another count is as far away as its probability is from that of the likeliest."""
        if count == expected.count:
            return 0.0
        probabilities = expected.probabilities or ()
        if type(count) is not int or not 0 <= count < len(probabilities):
            return math.inf
        gap = max(probabilities) - probabilities[count]
        return gap if gap <= self.tolerance else math.inf

    def _of_detections(self, wanted: Sequence[Row], found: Sequence[Row]) -> float:
        if any(after[1] > before[1] + self.tolerance for before, after in pairwise(found)):
            return math.inf  # the highest score comes first
        left, missed, largest = list(found), [], 0.0
        for row in wanted:
            gap, place = min(
                ((_of_rows(row, other), place) for place, other in enumerate(left)),
                default=(math.inf, 0),
            )
            if gap > self.tolerance:
                missed.append(row)
                continue
            del left[place]
            largest = max(largest, gap)
        if self._may_lack(found, missed) and self._may_lack(wanted, left):
            return largest
        return _by_rank(wanted, found)

    def _may_lack(self, rows: Sequence[Row], absent: Sequence[Row]) -> bool:
        """Whether the model's limits, and the tolerance, explain what `rows` does not hold."""
        is_cut = 0 < self.max_detections <= len(rows)
        limit = max(self.min_score, rows[-1][1]) if is_cut else self.min_score
        return all(row[1] <= limit + self.tolerance for row in absent)


def _boxes(expected: Prediction) -> list[Row]:
    return [
        (float(box.label), box.score, box.xmin, box.ymin, box.xmax, box.ymax)
        for box in expected.boxes or ()
    ]


def _rows(values: Any) -> list[Row]:
    rows = [tuple(_numbers(row)) for row in values]
    if any(len(row) != 6 for row in rows):
        raise ValueError("a detection has six numbers")
    return rows


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in values]


def _by_rank(wanted: Sequence[Row], found: Sequence[Row]) -> float:
    if len(wanted) != len(found):
        return math.inf
    return max((_of_rows(a, b) for a, b in zip(wanted, found, strict=True)), default=0.0)


def _of_rows(wanted: Row, found: Row) -> float:
    return _of_numbers(wanted[1:], found[1:]) if wanted[0] == found[0] else math.inf


def _of_numbers(wanted: Sequence[float], found: Sequence[float]) -> float:
    if len(wanted) != len(found):
        return math.inf
    return max((_gap(a, b) for a, b in zip(wanted, found, strict=True)), default=0.0)


def _gap(wanted: float, found: float) -> float:
    gap = abs(wanted - found)
    return math.inf if math.isnan(gap) else gap
