import pytest
import torch
from torch import Tensor

from components.shared.models.detection import average_precision

NO_TRUTH, NO_DETECTION = torch.empty(0, 5), torch.empty(0, 6)


def _detection(label: int, score: float, *box: float) -> Tensor:
    return torch.tensor([[label, score, *box]])


def _truth(label: int, *box: float) -> Tensor:
    return torch.tensor([[label, *box]])


def test_exact_boxes_are_perfect() -> None:
    truths = [_truth(0, 0.1, 0.1, 0.5, 0.5), _truth(3, 0.2, 0.2, 0.9, 0.8), NO_TRUTH]
    predictions = [
        _detection(0, 0.9, 0.1, 0.1, 0.5, 0.5),
        _detection(3, 0.2, 0.2, 0.2, 0.9, 0.8),
        NO_DETECTION,
    ]

    assert average_precision(predictions, truths) == {"ap": 1.0, "ap50": 1.0}


def test_an_overlap_of_072_counts_at_five_of_ten_thresholds() -> None:
    """0.50, 0.55, 0.60, 0.65 and 0.70 are reached; 0.75 and above are not."""
    measured = average_precision(
        [_detection(0, 0.5, 0.0, 0.0, 0.72, 1.0)], [_truth(0, 0.0, 0.0, 1.0, 1.0)]
    )

    assert measured == pytest.approx({"ap": 0.5, "ap50": 1.0})


def test_a_false_detection_above_the_true_one_halves_precision() -> None:
    predictions = torch.cat(
        [_detection(0, 0.9, 0.7, 0.7, 0.9, 0.9), _detection(0, 0.8, 0.1, 0.1, 0.5, 0.5)]
    )

    measured = average_precision([predictions], [_truth(0, 0.1, 0.1, 0.5, 0.5)])

    assert measured == pytest.approx({"ap": 0.5, "ap50": 0.5})


def test_classes_that_occur_count_alike_and_others_not_at_all() -> None:
    truths = [_truth(0, 0.1, 0.1, 0.5, 0.5), _truth(1, 0.1, 0.1, 0.5, 0.5)]
    predictions = [
        _detection(0, 0.9, 0.1, 0.1, 0.5, 0.5),
        _detection(2, 0.9, 0.1, 0.1, 0.5, 0.5),
    ]

    assert average_precision(predictions, truths)["ap50"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("predictions", "truths"),
    [
        ([], []),
        ([NO_DETECTION], [NO_TRUTH]),
        ([_detection(0, 0.9, 0.1, 0.1, 0.5, 0.5)], [NO_TRUTH]),
        ([NO_DETECTION], [_truth(0, 0.1, 0.1, 0.5, 0.5)]),
    ],
    ids=["no images", "nothing at all", "only detections", "only truth"],
)
def test_no_boxes_are_worth_nothing(predictions: list[Tensor], truths: list[Tensor]) -> None:
    assert average_precision(predictions, truths) == {"ap": 0.0, "ap50": 0.0}


def test_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    average_precision([_detection(0, 0.9, 0, 0, 1, 1)], [_truth(0, 0, 0, 1, 1)])

    assert capfd.readouterr() == ("", "")


def test_refuses_lists_of_different_length() -> None:
    with pytest.raises(ValueError, match="1 predictions for 0 images"):
        average_precision([NO_DETECTION], [])
