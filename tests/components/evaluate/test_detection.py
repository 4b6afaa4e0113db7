"""Detection metrics, against paper and pycocotools."""

import contextlib
import copy
import io
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from components.evaluate.coco import coco_form, coco_metrics
from components.evaluate.detection import best_threshold, measure
from components.evaluate.join import Sample
from components.evaluate.matching import iou_matrix, match, outcomes
from components.shared.errors import UserError

SampleOf = Callable[..., Sample]
Detected = Callable[[int, int, int], list[Sample]]

BOX = (0.25, 0.25, 0.5, 0.5)
FAR = (0.75, 0.75, 1.0, 1.0)
NAMES = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar1", "ar10", "ar", "ar_small", "ar_medium", "ar_large",
)  # fmt: skip


def _reference(samples: list[Sample], classes: list[str]) -> dict[str, float]:
    """The twelve figures of pycocotools."""
    truth, results = coco_form(samples, classes)
    with contextlib.redirect_stdout(io.StringIO()):
        dataset = COCO()
        dataset.dataset = copy.deepcopy(truth)
        dataset.createIndex()
        evaluation = COCOeval(dataset, dataset.loadRes(copy.deepcopy(results)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {name: value for name, value in zip(NAMES, evaluation.stats, strict=True) if value >= 0}


def test_disjoint_boxes_do_not_overlap() -> None:
    one, other = np.array([[0.4, 0.4, 0.45, 0.45]]), np.array([[0.5, 0.5, 0.55, 0.55]])
    assert iou_matrix(one, other) == 0


def test_iou_worked_out_on_paper() -> None:
    # Two squares of area 4 that share a square of area 1: 1 / (4 + 4 - 1).
    assert iou_matrix(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 1, 3, 3]])) == 1 / 7
    assert iou_matrix(np.array([[0.0, 0, 1, 1]]), np.array([[1.0, 0, 2, 1]])) == 0  # touching
    assert iou_matrix(np.array([[1.0, 1, 1, 1]]), np.array([[1.0, 1, 1, 1]])) == 0  # no area


def test_a_second_detection_of_an_object_is_false(sample: SampleOf) -> None:
    val = [sample(boxes=[(0, *BOX)], detections=[(0, 0.3, *BOX)])]
    test = [sample(boxes=[(0, *BOX)], detections=[(0, 0.9, *BOX), (0, 0.8, *BOX)])]
    metrics = measure(val, test, ["plane"]).metrics
    assert (metrics["precision"], metrics["recall"]) == (0.5, 1)
    assert metrics["f1"] == pytest.approx(2 / 3)
    assert metrics["ap"] == pytest.approx(1)  # the first reaches full recall


def test_a_false_detection_before_the_true_one_halves_ap(sample: SampleOf) -> None:
    test = [sample(boxes=[(0, *BOX)], detections=[(0, 0.9, *FAR), (0, 0.8, *BOX)])]
    metrics = measure(test, test, ["plane"]).metrics
    assert metrics["ap"] == metrics["ap50"] == pytest.approx(0.5)


def test_a_detection_of_another_class_does_not_count(sample: SampleOf) -> None:
    test = [sample(boxes=[(0, *BOX)], detections=[(1, 0.9, *BOX)])]
    metrics = measure(test, test, ["plane", "bird"]).metrics
    assert (metrics["ap"], metrics["precision"], metrics["recall"]) == (0, 0, 0)


def test_each_true_box_goes_to_the_best_free_detection(sample: SampleOf) -> None:
    # Both detections fit the left box best; the second must take the right box or nothing.
    left, right = (0.0, 0.0, 0.4, 0.4), (0.1, 0.0, 0.5, 0.4)
    one = sample(boxes=[(0, *left), (0, *right)], detections=[(0, 0.9, *left), (0, 0.8, *left)])
    found = match([one], 1)
    # IoU of left and right: 0.3 * 0.4 / (2 * 0.16 - 0.12) = 0.6: reached at 0.5 to 0.6.
    assert found.iou == pytest.approx([1.0, 0.6])
    assert found.hit[0].all()
    assert found.hit[1].sum() in (2, 3)  # 0.6 itself is a matter of rounding
    correct, seen = outcomes(one, 0.85)
    assert (correct.tolist(), seen.tolist()) == ([True, False], [True, False])


def test_without_detections_everything_is_missed(sample: SampleOf) -> None:
    test = [sample(boxes=[(0, *BOX)])]
    measured = measure(test, test, ["plane"])
    assert measured.metrics["ap"] == measured.metrics["recall"] == measured.metrics["f1"] == 0
    assert "precision" not in measured.metrics  # of nothing
    assert measured.thresholds == {"confidence": 0.5}


def test_without_truth_there_is_no_ap_to_pass_a_gate_with(sample: SampleOf) -> None:
    test = [sample(detections=[(0, 0.9, *BOX)])]
    metrics = measure(test, test, ["plane"]).metrics
    assert not {"ap", "ap50", "recall"} & set(metrics)
    assert metrics["precision"] == 0


def test_empty_images_of_both_kinds(sample: SampleOf) -> None:
    metrics = measure([sample()], [sample()], ["plane"]).metrics
    assert metrics == {"count_mae": 0}


def test_a_class_without_truth_has_no_row_figures(sample: SampleOf) -> None:
    test = [sample(boxes=[(0, *BOX)], detections=[(0, 0.9, *BOX)])]
    rows = measure(test, test, ["plane", "bird"]).rows
    assert (rows[0]["ap"], rows[1]["ap"], rows[1]["recall"]) == (pytest.approx(1), None, None)


def test_threshold_is_the_best_f1_of_val_and_is_not_moved_by_test(sample: SampleOf) -> None:
    # From 0.8 up: 1 of 1 right, F1 2/3. From 0.5 up: 2 of 2, F1 1. From 0.2 up: 2 of 3, F1 4/5.
    val = sample(
        boxes=[(0, *BOX), (0, *FAR)],
        detections=[(0, 0.8, *BOX), (0, 0.5, *FAR), (0, 0.2, 0.0, 0.0, 0.1, 0.1)],
    )
    test = sample(boxes=[(0, *BOX)], detections=[(0, 0.4, *BOX)])
    measured = measure([val], [test], ["plane"])
    assert measured.thresholds == {"confidence": 0.5}
    assert measured.metrics["recall"] == 0  # 0.4 lies under it
    assert measured.metrics["ap"] == pytest.approx(1)  # AP has no threshold


def test_equal_scores_pass_the_threshold_together(sample: SampleOf) -> None:
    # A threshold between equal scores does not exist: 1 right and 3 false at 0.6, or 0.7 alone.
    val = sample(
        boxes=[(0, *BOX), (0, *FAR)],
        detections=[(0, 0.7, *BOX), (0, 0.6, *FAR)]
        + [(0, 0.6, x, 0.0, x + 0.05, 0.05) for x in (0.1, 0.2, 0.3)],
    )
    # F1: from 0.7 up 2/(1+2); from 0.6 up 4/(5+2).
    assert best_threshold(match([val], 1)) == 0.7


@settings(max_examples=25, deadline=None)
@given(images=st.integers(1, 12), classes=st.integers(1, 3), seed=st.integers(0, 10_000))
def test_agrees_with_pycocotools(detected: Detected, images: int, classes: int, seed: int) -> None:
    samples = detected(images, classes, seed)
    names = [str(index) for index in range(classes)]
    if not any(one.boxes for one in samples) or not any(one.prediction.boxes for one in samples):
        return  # pycocotools cannot load an empty result
    found, _ = coco_metrics(samples, names)
    assert found == pytest.approx(_reference(samples, names), abs=1e-6)


def test_agrees_with_pycocotools_on_cells_like_bccd(detected: Detected) -> None:
    samples = detected(72, 3, 11)
    classes = ["RBC", "WBC", "Platelets"]
    found, _ = coco_metrics(samples, classes)
    assert found == pytest.approx(_reference(samples, classes), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_fast_ap_of_a_resample_is_that_of_its_images(detected: Detected, seed: int) -> None:
    samples = detected(15, 2, seed)
    weights = np.random.default_rng(seed).integers(0, 3, 15)
    drawn = [one for one, times in zip(samples, weights, strict=True) for _ in range(times)]
    found = measure(samples, samples, ["a", "b"]).statistic(weights.astype(np.float64))
    wanted = _reference(drawn, ["a", "b"])
    for name in ("ap", "ap50", "ap75"):
        # Equal scores in several images may be ranked in another order.
        assert found[name] == pytest.approx(wanted[name], abs=5e-3)
    whole = measure(samples, samples, ["a", "b"]).statistic(np.ones(15))
    reference = _reference(samples, ["a", "b"])
    for name in ("ap", "ap50", "ap75"):
        assert whole[name] == pytest.approx(reference[name], abs=1e-9)


def test_per_class_ap_averages_to_ap(detected: Detected) -> None:
    total, by_class = coco_metrics(detected(30, 3, 2), ["a", "b", "c"])
    assert np.mean([one["ap"] for one in by_class.values()]) == pytest.approx(total["ap"])


def test_sizes_are_in_pixels(sample: SampleOf) -> None:
    # A quarter of a side: 25 pixels of 100 (small), 250 of 1,000 (large).
    for edge, size in ((100, "ap_small"), (1000, "ap_large")):
        one = sample(boxes=[(0, *BOX)], detections=[(0, 0.9, *BOX)], size=(edge, edge))
        metrics, _ = coco_metrics([one], ["plane"])
        assert {name for name in metrics if name.startswith("ap_")} == {size}


def test_images_with_most_mistakes_come_first(sample: SampleOf) -> None:
    good = sample(boxes=[(0, *BOX)], detections=[(0, 0.9, *BOX)])
    missed = sample(boxes=[(0, *BOX)])
    both = sample(boxes=[(0, *BOX)], detections=[(0, 0.9, *FAR)])
    losses = measure([good], [good, missed, both], ["plane"]).losses
    assert losses[0] == 0
    assert losses.argsort()[::-1].tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("detection", "message"),
    [
        ((1, 0.5, *BOX), "has label 1; there are 1 classes"),
        ((0, math.nan, *BOX), "has score and box"),
        ((0, 0.5, 0.5, 0.2, 0.4, 0.6), "xmin <= xmax"),
    ],
)
def test_refuses_impossible_detections(
    sample: SampleOf, detection: tuple[int, float, float, float, float, float], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        measure([], [sample(boxes=[(0, *BOX)], detections=[detection])], ["plane"])
