"""How far an answer is from a prediction."""

import math
from typing import Any

import pytest

from components.deploy.answers import answer
from components.deploy.compare import difference
from components.shared.predictions import Detection, Prediction

CLASSIFIED = Prediction(label=1, score=0.7, probabilities=(0.3, 0.7))
COUNTED = Prediction(probabilities=(0.1, 0.2, 0.7), count=2, count_expected=1.6)
DETECTED = Prediction(
    boxes=(
        Detection(0, 0.9, 0.1, 0.1, 0.4, 0.4),
        Detection(1, 0.5, 0.5, 0.5, 0.9, 0.9),
        Detection(1, 0.5, 0.0, 0.0, 0.2, 0.2),
    )
)


@pytest.mark.parametrize(
    ("task", "prediction"), [("classify", CLASSIFIED), ("count", COUNTED), ("detect", DETECTED)]
)
def test_an_answer_made_from_the_prediction_is_no_way_off(
    task: Any, prediction: Prediction
) -> None:
    assert difference(prediction, answer(prediction, task), task, 1e-3) == 0


def test_the_largest_difference_counts() -> None:
    assert difference(CLASSIFIED, [0.31, 0.65], "classify", 1e-3) == pytest.approx(0.05)
    moved = answer(DETECTED, "detect")
    moved["prediction"][0][4] += 0.02
    moved["prediction"][0][1] += 0.01
    assert difference(DETECTED, moved, "detect", 1e-3) == pytest.approx(0.02)


def test_the_expected_count_counts() -> None:
    near = answer(COUNTED, "count") | {"expected_count": 1.9}

    assert difference(COUNTED, near, "count", 1e-3) == pytest.approx(0.3)


def test_detections_with_tied_scores_may_come_in_any_order() -> None:
    swapped = answer(DETECTED, "detect")
    swapped["prediction"][1:] = reversed(swapped["prediction"][1:])

    assert difference(DETECTED, swapped, "detect", 1e-3) == 0


def test_detections_in_another_order_than_their_scores_differ() -> None:
    swapped = answer(DETECTED, "detect")
    swapped["prediction"][:2] = reversed(swapped["prediction"][:2])

    assert difference(DETECTED, swapped, "detect", 1e-3) > 0.3


@pytest.mark.parametrize(
    ("task", "prediction", "found"),
    [
        ("classify", CLASSIFIED, [0.3]),
        ("classify", CLASSIFIED, []),
        ("classify", CLASSIFIED, None),
        ("classify", CLASSIFIED, ["a", "b"]),
        ("classify", CLASSIFIED, [0.3, float("nan")]),
        ("count", COUNTED, [0.1, 0.2, 0.7]),
        ("count", COUNTED, {"probabilities": [0.1, 0.2, 0.7], "count": 1, "expected_count": 1.6}),
        ("count", COUNTED, {"probabilities": [0.1, 0.2, 0.7], "count": 2}),
        ("detect", DETECTED, {"prediction": []}),
        ("detect", DETECTED, {"prediction": [[0, 0.9, 0.1, 0.1, 0.4, 0.4]]}),
        ("detect", DETECTED, {"prediction": [[0, 0.9], [1, 0.5], [1, 0.5]]}),
        ("detect", DETECTED, {}),
        ("detect", Prediction(boxes=()), {"prediction": [[0, 0.9, 0.1, 0.1, 0.4, 0.4]]}),
    ],
)
def test_an_answer_of_another_form_or_length_is_infinitely_far(
    task: Any, prediction: Prediction, found: Any
) -> None:
    assert difference(prediction, found, task, 1e-3) == math.inf


def test_another_class_is_infinitely_far() -> None:
    other = answer(DETECTED, "detect")
    other["prediction"][0][0] = 1

    assert difference(DETECTED, other, "detect", 1e-3) == math.inf
