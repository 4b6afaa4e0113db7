"""Counting metrics, against published figures, paper and scikit-learn."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error, root_mean_squared_error

from components.evaluate.counting import measure
from components.evaluate.join import Sample
from components.shared.errors import UserError
from components.shared.predictions import Prediction

SampleOf = Callable[..., Sample]

# The published bin counter: 4,511 test images, rows true 0 to 5, columns predicted 0 to 5.
PUBLISHED = (
    (115, 8, 0, 0, 0, 1),
    (5, 398, 118, 14, 2, 0),
    (2, 179, 525, 206, 26, 23),
    (0, 57, 351, 438, 137, 141),
    (1, 26, 192, 349, 160, 259),
    (0, 14, 104, 225, 108, 327),
)
PUBLISHED_ACCURACY = (
    0.9274193548387096,
    0.7411545623836127,
    0.54630593132154,
    0.3896797153024911,
    0.16210739614994935,
    0.4203084832904884,
)
PUBLISHED_RMSE = (
    0.515876954571596,
    0.6056838171900906,
    0.8559031717046194,
    1.0671410570244164,
    1.2835172041596716,
    1.6693209370116644,
)


def _counts(sample: SampleOf, pairs: list[tuple[int, int]]) -> list[Sample]:
    return [
        sample(str(index), count=true, prediction=Prediction(count=reported))
        for index, (true, reported) in enumerate(pairs)
    ]


def test_reproduces_the_published_bin_counter_digit_for_digit(sample: SampleOf) -> None:
    pairs = [
        (true, reported)
        for true, row in enumerate(PUBLISHED)
        for reported, images in enumerate(row)
        for _ in range(images)
    ]
    measured = measure(_counts(sample, pairs))
    assert len(pairs) == 4511
    assert measured.metrics["accuracy"] == 0.43515850144092216
    assert measured.metrics["rmse"] == measured.metrics["rmse_integer"] == 1.1540604249432982
    assert [row["accuracy"] for row in measured.rows] == list(PUBLISHED_ACCURACY)
    assert [row["rmse"] for row in measured.rows] == list(PUBLISHED_RMSE)
    assert [row["n"] for row in measured.rows] == [124, 537, 961, 1124, 987, 778]
    assert measured.metrics["within_one"] == pytest.approx(0.81645, abs=5e-6)
    assert measured.metrics["mae"] == pytest.approx(0.79007, abs=5e-6)
    assert measured.metrics["baseline_accuracy"] == pytest.approx(0.24917, abs=5e-6)
    assert measured.confusion is not None
    assert measured.confusion.matrix.tolist() == [list(row) for row in PUBLISHED]


def test_figures_worked_out_on_paper(sample: SampleOf) -> None:
    # True 0, 2, 4; expected 1, 2, 2.5: errors 1, 0, -1.5. The best constant is 2.
    answers = [(0, 1, 1.0), (2, 2, 2.0), (4, 2, 2.5)]
    samples = [
        sample(str(true), count=true, prediction=Prediction(count=whole, count_expected=expected))
        for true, whole, expected in answers
    ]
    metrics = measure(samples).metrics
    assert metrics["rmse"] == pytest.approx(math.sqrt((1 + 0 + 2.25) / 3))
    assert metrics["rmse_integer"] == pytest.approx(math.sqrt((1 + 0 + 4) / 3))
    assert metrics["mae"] == pytest.approx(1)
    assert metrics["within_one"] == pytest.approx(2 / 3)
    assert metrics["bias"] == pytest.approx(-0.5 / 3)
    assert metrics["baseline_rmse"] == pytest.approx(math.sqrt(8 / 3))
    assert metrics["rmse_ratio"] == pytest.approx(math.sqrt(3.25 / 8))
    assert metrics["baseline_accuracy"] == pytest.approx(1 / 3)


def test_answering_the_mean_has_ratio_one(sample: SampleOf) -> None:
    prediction = Prediction(count=2, count_expected=2.0)
    samples = [sample(str(n), count=n, prediction=prediction) for n in (0, 1, 2, 3, 4)]
    assert measure(samples).metrics["rmse_ratio"] == pytest.approx(1)


def test_one_true_count_leaves_no_ratio(sample: SampleOf) -> None:
    metrics = measure(_counts(sample, [(3, 3), (3, 2)])).metrics
    assert metrics["baseline_rmse"] == 0
    assert "rmse_ratio" not in metrics


def test_agrees_with_scikit_learn(counted: Callable[[int, int], list[Sample]]) -> None:
    samples = counted(200, 3)
    truth = [one.count for one in samples]
    whole = [one.prediction.count for one in samples]
    expected = [one.prediction.count_expected for one in samples]
    metrics = measure(samples).metrics
    assert metrics["accuracy"] == pytest.approx(accuracy_score(truth, whole))
    assert metrics["mae"] == pytest.approx(mean_absolute_error(truth, whole))
    assert metrics["rmse"] == pytest.approx(root_mean_squared_error(truth, expected))
    assert metrics["rmse_integer"] == pytest.approx(root_mean_squared_error(truth, whole))


def test_a_resample_has_the_metrics_of_its_images(
    counted: Callable[[int, int], list[Sample]],
) -> None:
    samples = counted(20, 4)
    weights = np.random.default_rng(0).integers(0, 3, 20)
    drawn = [one for one, times in zip(samples, weights, strict=True) for _ in range(times)]
    found = measure(samples).statistic(weights.astype(np.float64))
    wanted = measure(drawn).metrics
    assert found == pytest.approx({name: wanted[name] for name in found})


def test_a_count_the_model_cannot_answer_has_probability_zero(sample: SampleOf) -> None:
    prediction = Prediction(count=1, count_expected=0.5, probabilities=(0.5, 0.5))
    metrics = measure([sample(count=9, prediction=prediction)]).metrics
    assert metrics["log_loss"] > 30


def test_large_counts_share_the_last_row(sample: SampleOf) -> None:
    confusion = measure(_counts(sample, [(173, 90), (2, 500), (60, 3)])).confusion
    assert confusion is not None
    assert confusion.labels[-1] == "60 or more"
    assert confusion.matrix[60].tolist() == [0, 0, 0, 1, *[0] * 56, 1]
    assert confusion.matrix.sum() == 3


def test_worst_images_are_those_counted_worst(sample: SampleOf) -> None:
    losses = measure(_counts(sample, [(3, 3), (0, 4), (1, 2)])).losses
    assert losses.tolist() == [0, 4, 1]


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (Prediction(count=-1), "must not be negative"),
        (Prediction(count=1, count_expected=math.nan), "expected count nan"),
        (Prediction(count=1, probabilities=(0.5, 0.1)), "sum to 1, but sum to 0.6"),
    ],
)
def test_refuses_impossible_predictions(
    sample: SampleOf, prediction: Prediction, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        measure([sample(count=1, prediction=prediction)])
