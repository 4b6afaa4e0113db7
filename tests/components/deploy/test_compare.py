"""How far an answer is from a prediction."""

import math
from typing import Any

import pytest

from components.deploy.answers import answer
from components.deploy.compare import Comparison
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


def _difference(expected: Prediction, found: Any, task: Any) -> float:
    return Comparison(task, 1e-3, min_score=0.05, max_detections=5).difference(expected, found)


@pytest.mark.parametrize(
    ("task", "prediction"), [("classify", CLASSIFIED), ("count", COUNTED), ("detect", DETECTED)]
)
def test_an_answer_made_from_the_prediction_is_no_way_off(
    task: Any, prediction: Prediction
) -> None:
    assert _difference(prediction, answer(prediction, task), task) == 0


def test_the_largest_difference_counts() -> None:
    assert _difference(CLASSIFIED, [0.31, 0.65], "classify") == pytest.approx(0.05)
    moved = answer(DETECTED, "detect")
    moved["prediction"][0][4] += 0.02
    moved["prediction"][0][1] += 0.01
    assert _difference(DETECTED, moved, "detect") == pytest.approx(0.02)


def test_the_expected_count_counts() -> None:
    near = answer(COUNTED, "count") | {"expected_count": 1.9}

    assert _difference(COUNTED, near, "count") == pytest.approx(0.3)


def test_detections_with_tied_scores_may_come_in_any_order() -> None:
    swapped = answer(DETECTED, "detect")
    swapped["prediction"][1:] = reversed(swapped["prediction"][1:])

    assert _difference(DETECTED, swapped, "detect") == 0


def test_detections_in_another_order_than_their_scores_differ() -> None:
    swapped = answer(DETECTED, "detect")
    swapped["prediction"][:2] = reversed(swapped["prediction"][:2])

    assert _difference(DETECTED, swapped, "detect") > 0.3


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
    assert _difference(prediction, found, task) == math.inf


def test_another_class_is_infinitely_far() -> None:
    other = answer(DETECTED, "detect")
    other["prediction"][0][0] = 1

    assert _difference(DETECTED, other, "detect") == math.inf


def _boxes(text: str) -> Prediction:
    """Boxes by score and place: `0.9a 0.8b` lie apart, `0.9a 0.8a` in one place."""
    found = [(float(item[:-1]), (ord(item[-1]) - ord("a")) / 10) for item in text.split()]
    return Prediction(boxes=tuple(Detection(0, score, place, 0, 1, 1) for score, place in found))


@pytest.mark.parametrize(
    ("wanted", "found", "passes"),
    [
        # A detection at the lowest score may fall under it; a stronger one may not.
        ("0.9a 0.0505b", "0.9a", True),
        ("0.9a", "0.9a 0.0505b", True),
        ("0.0505a", "", True),
        ("0.9a 0.06b", "0.9a", False),
        ("0.9a", "0.9a 0.06b", False),
        # Of two nearly tied ones, either may be the last of a list that is full.
        ("0.9a 0.8b 0.7c 0.6d 0.5005e", "0.9a 0.8b 0.7c 0.6d 0.5f", True),
        ("0.9a 0.8b 0.7c 0.6d 0.503e", "0.9a 0.8b 0.7c 0.6d 0.5f", False),
        ("0.9a 0.8b 0.7c 0.6d 0.5e", "0.9a 0.8b 0.7c 0.6d 0.503f", False),
        ("0.9a 0.8b 0.7c 0.6d 0.5e", "0.9a 0.8b 0.7c 0.55f 0.5e", False),
        # A list that is not full was not cut.
        ("0.9a 0.5005b", "0.9a 0.5c", False),
        # The same box with another score, or the same score with another box, is a difference.
        ("0.9a 0.5b", "0.9a 0.502b", False),
        ("0.9a 0.5b", "0.9a 0.5c", False),
        ("0.9a 0.5b", "0.9a 0.5005b", True),
    ],
)
def test_only_what_the_models_limits_explain_may_be_missing(
    wanted: str, found: str, passes: bool
) -> None:
    gap = _difference(_boxes(wanted), answer(_boxes(found), "detect"), "detect")

    assert (gap <= 1e-3) is passes


@pytest.mark.parametrize(("second", "away"), [(0.4496, 0.0008), (0.44, math.inf)])
def test_another_count_is_as_far_away_as_it_is_less_likely(second: float, away: float) -> None:
    expected = Prediction(probabilities=(0.1, second, 0.4504), count=2, count_expected=1.35)
    other = answer(expected, "count") | {"count": 1}
    assert _difference(expected, other, "count") == pytest.approx(away)
    assert _difference(expected, other | {"count": 7}, "count") == math.inf
    assert _difference(expected, other | {"count": True}, "count") == math.inf
