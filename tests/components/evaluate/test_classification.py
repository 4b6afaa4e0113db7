"""Classification metrics, against paper and scikit-learn."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from components.evaluate.classification import calibration, measure
from components.evaluate.join import Sample
from components.shared.errors import UserError
from components.shared.predictions import Prediction

SampleOf = Callable[..., Sample]
Classified = Callable[[int, int, int], list[Sample]]


def _answers(sample: SampleOf, rows: list[tuple[int, int]]) -> list[Sample]:
    return [
        sample(str(index), label=true, prediction=Prediction(label=answered))
        for index, (true, answered) in enumerate(rows)
    ]


def test_figures_worked_out_on_paper(sample: SampleOf) -> None:
    # Class 0: 3 images, 2 right. Class 1: 1 image, wrong. Class 2: none, answered once.
    measured = measure(_answers(sample, [(0, 0), (0, 0), (0, 2), (1, 0)]), ["a", "b", "c"])
    metrics = measured.metrics
    assert metrics["accuracy"] == pytest.approx(1 / 2)
    assert metrics["balanced_accuracy"] == pytest.approx((2 / 3 + 0) / 2)
    assert metrics["worst_recall"] == 0
    assert metrics["precision_macro"] == pytest.approx((2 / 3 + 0) / 2)
    # F1: 2*2/(3+3), 0, and 0 for the class that was only answered.
    assert metrics["f1_macro"] == pytest.approx((2 / 3) / 3)
    assert metrics["baseline_accuracy"] == pytest.approx(3 / 4)
    assert measured.rows[1] == {
        "class": "b", "support": 1, "precision": None, "recall": 0.0, "f1": 0.0
    }  # fmt: skip
    assert measured.confusion is not None
    assert measured.confusion.matrix.tolist() == [[2, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_without_probabilities_there_is_nothing_to_rank_or_calibrate(sample: SampleOf) -> None:
    metrics = measure(_answers(sample, [(0, 0), (1, 0)]), ["a", "b"]).metrics
    assert not {"log_loss", "roc_auc", "ece"} & set(metrics)


def test_calibration_error_worked_out_on_paper() -> None:
    # Bins of 1/15: three answers at 0.9, two of them right; one at 0.55, right.
    confidence = np.array([0.9, 0.9, 0.9, 0.55])
    error, bins = calibration(confidence, np.array([True, True, False, True]))
    assert error == pytest.approx((3 * (0.9 - 2 / 3) + 1 * 0.45) / 4)
    assert [images for _, _, images in bins] == [1, 3]


def test_full_confidence_belongs_to_the_last_bin() -> None:
    error, bins = calibration(np.array([1.0]), np.array([True]))
    assert (error, bins) == (0, [(1.0, 1.0, 1)])


@settings(max_examples=25, deadline=None)
@given(images=st.integers(2, 60), classes=st.integers(2, 7), seed=st.integers(0, 10_000))
def test_agrees_with_scikit_learn(
    classified: Classified, images: int, classes: int, seed: int
) -> None:
    samples = classified(images, classes, seed)
    truth = [one.label or 0 for one in samples]
    answered = [one.prediction.label or 0 for one in samples]
    given_probabilities = np.array([one.prediction.probabilities for one in samples])
    every = list(range(classes))
    found = measure(samples, [str(index) for index in every]).metrics
    touched = sorted({*truth, *answered})
    wanted = {
        "accuracy": sk.accuracy_score(truth, answered),
        "balanced_accuracy": np.mean(
            sk.recall_score(truth, answered, labels=sorted(set(truth)), average=None)
        ),
        "f1_macro": sk.f1_score(truth, answered, labels=touched, average="macro"),
        "log_loss": sk.log_loss(truth, given_probabilities, labels=every),
    }
    assert {name: found[name] for name in wanted} == pytest.approx(wanted)
    if len(set(truth)) == classes > 2:
        area = sk.roc_auc_score(truth, given_probabilities, multi_class="ovr", labels=every)
        assert found["roc_auc"] == pytest.approx(area)


def test_two_classes_have_the_usual_roc_auc(classified: Classified) -> None:
    samples = classified(50, 2, 3)
    scores = [(one.prediction.probabilities or ())[1] for one in samples]
    wanted = sk.roc_auc_score([one.label for one in samples], scores)
    assert measure(samples, ["a", "b"]).metrics["roc_auc"] == pytest.approx(wanted)


def test_top_k_counts_the_truth_among_the_k_likeliest(sample: SampleOf) -> None:
    answer = Prediction(label=3, probabilities=(0.1, 0.2, 0.3, 0.4))
    samples = [sample(str(label), label=label, prediction=answer) for label in range(4)]
    metrics = measure(samples, list("abcd")).metrics
    assert metrics["top3_accuracy"] == 3 / 4
    assert "top5_accuracy" not in metrics


def test_one_class_only(sample: SampleOf) -> None:
    answer = Prediction(label=0, score=1.0, probabilities=(1.0,))
    metrics = measure([sample(label=0, prediction=answer)], ["a"]).metrics
    assert metrics["accuracy"] == metrics["baseline_accuracy"] == 1
    assert metrics["log_loss"] == pytest.approx(0)
    assert "roc_auc" not in metrics


def test_a_resample_has_the_metrics_of_its_images(classified: Classified) -> None:
    samples = classified(30, 3, 5)
    weights = np.random.default_rng(1).integers(0, 3, 30)
    drawn = [one for one, times in zip(samples, weights, strict=True) for _ in range(times)]
    found = measure(samples, list("abc")).statistic(weights.astype(np.float64))
    wanted = measure(drawn, list("abc")).metrics
    assert found == pytest.approx({name: wanted[name] for name in found})


def test_worst_images_are_the_surest_mistakes(sample: SampleOf) -> None:
    rows = [(0, (0.9, 0.1)), (1, (0.9, 0.1)), (1, (0.6, 0.4))]
    samples = [
        sample(str(index), label=true, prediction=Prediction(label=0, probabilities=given_))
        for index, (true, given_) in enumerate(rows)
    ]
    assert measure(samples, ["a", "b"]).losses.argsort()[::-1].tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("label", "prediction", "message"),
    [
        (5, Prediction(label=0), "the true label is 5"),
        (0, Prediction(label=-1), "the predicted label is -1"),
        (0, Prediction(label=0, probabilities=(1.0,)), "has 1 probabilities; 2 were expected"),
        (0, Prediction(label=0, probabilities=(math.nan, 0.5)), "sum to nan"),
        (0, Prediction(label=0, probabilities=(1.5, -0.5)), r"must lie in \[0, 1\]"),
    ],
)
def test_refuses_impossible_predictions(
    sample: SampleOf, label: int, prediction: Prediction, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        measure([sample(label=label, prediction=prediction)], ["a", "b"])


def test_refuses_probabilities_for_some_images_only(sample: SampleOf) -> None:
    samples = [
        sample("a", label=0, prediction=Prediction(label=0)),
        sample("b", label=0, prediction=Prediction(label=0, probabilities=(0.5, 0.5))),
    ]
    with pytest.raises(UserError, match="image a has none probabilities"):
        measure(samples, ["a", "b"])
