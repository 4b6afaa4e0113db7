from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50

from components.shared.models.detection import create_detector
from components.shared.models.detection.backbone import resnet18 as resnet18_body
from components.shared.models.detection.detector import Detector, Outputs
from components.shared.training.config import SMALLEST_IMAGE, TrainSection

NAMES = ["ssd_resnet50", "fcos_resnet18"]


class _Given(Detector):
    """A detector whose outputs are the boxes in pixels and the scores."""

    def __init__(self) -> None:
        super().__init__(resnet18_body(5), num_classes=2, image_size=100, nms_threshold=0.5)

    def forward(self, images: Tensor) -> Outputs:
        return (images,)

    def loss(self, outputs: Outputs, targets: list[Tensor]) -> dict[str, Tensor]:
        raise NotImplementedError

    def boxes_and_scores(self, outputs: Outputs) -> tuple[Tensor, Tensor]:
        return outputs[0], outputs[1]


def _decode(
    boxes: Sequence[Sequence[float]],
    scores: list[list[float]],
    min_score: float = 0.1,
    most: int = 10,
) -> list[list[float]]:
    outputs = (torch.tensor([boxes]), torch.tensor([scores]))
    detections = _Given().decode(outputs, min_score, most)[0]
    return [[round(value, 4) for value in row] for row in detections.tolist()]


def test_decode_normalises_and_sorts_by_score() -> None:
    found = _decode([[0, 0, 50, 50], [50, 50, 100, 75]], [[0.4, 0.0], [0.0, 0.9]])

    assert found == [[1, 0.9, 0.5, 0.5, 1.0, 0.75], [0, 0.4, 0.0, 0.0, 0.5, 0.5]]


def test_decode_keeps_the_better_of_two_overlapping_boxes_of_a_class() -> None:
    found = _decode([[0, 0, 50, 50], [0, 0, 50, 45]], [[0.4, 0.0], [0.8, 0.0]])

    assert found == [[0, 0.8, 0.0, 0.0, 0.5, 0.45]]


def test_decode_keeps_overlapping_boxes_of_different_classes() -> None:
    assert len(_decode([[0, 0, 50, 50], [0, 0, 50, 50]], [[0.4, 0.0], [0.0, 0.8]])) == 2


def test_decode_reports_a_box_for_every_class_that_scores() -> None:
    assert [row[0] for row in _decode([[0, 0, 50, 50]], [[0.4, 0.8]])] == [1, 0]


def test_decode_drops_low_scores_and_surplus() -> None:
    boxes = [[0.0, 0, 10, 10], [20.0, 0, 30, 10], [40.0, 0, 50, 10], [60.0, 0, 70, 10]]
    scores = [[0.3, 0.0], [0.1, 0.0], [0.9, 0.0], [0.5, 0.0]]

    assert [row[1] for row in _decode(boxes, scores, min_score=0.1, most=2)] == [0.9, 0.5]


def test_decode_clips_to_the_image_and_drops_what_is_outside() -> None:
    found = _decode([[-20, 50, 40, 150], [120, 0, 150, 50]], [[0.9, 0.0], [0.9, 0.0]])

    assert found == [[0, 0.9, 0.0, 0.5, 0.4, 1.0]]


def test_decode_of_nothing_is_an_empty_table() -> None:
    outputs = (torch.rand(2, 5, 4), torch.zeros(2, 5, 2))

    assert [tuple(found.shape) for found in _Given().decode(outputs, 0.1, 10)] == [(0, 6)] * 2


@pytest.mark.parametrize(
    ("name", "twin"), [("fcos_resnet18", resnet18), ("ssd_resnet50", resnet50)]
)
def test_the_backbone_takes_torchvision_weights(name: str, twin: type[nn.Module]) -> None:
    weights = {
        key: value for key, value in twin().state_dict().items() if not key.startswith("fc.")
    }

    create_detector(name, 1, 96, 0.5, 0).backbone.load_state_dict(weights, strict=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [96, 130, 224])
def test_outputs_are_float32_and_decodable_at_any_size(name: str, size: int) -> None:
    detector = create_detector(name, 3, size, 0.5, 0).eval()

    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        outputs = detector(torch.randn(2, 3, size, size))
        found = detector.decode(outputs, 0.0, 7)

    assert {output.dtype for output in outputs} == {torch.float32}
    assert {output.shape[:2] for output in outputs} == {outputs[0].shape[:2]}
    assert [tuple(rows.shape) for rows in found] == [(7, 6)] * 2
    assert all(((rows[:, 1:] >= 0) & (rows[:, 1:] <= 1)).all() for rows in found)


@pytest.mark.parametrize("name", NAMES)
def test_images_without_boxes_still_teach(name: str) -> None:
    detector = create_detector(name, 2, 96, 0.5, 0)

    losses = detector.loss(detector(torch.randn(2, 3, 96, 96)), [torch.empty(0, 5)] * 2)
    total = torch.stack(list(losses.values())).sum()
    total.backward()  # type: ignore[no-untyped-call]

    assert total.isfinite()
    assert total > 0
    gradient = detector.backbone.get_parameter("conv1.weight").grad
    assert gradient is not None
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_may_hold_one_image(name: str) -> None:
    detector = create_detector(name, 1, 96, 0.5, 0).train()

    outputs = detector(torch.randn(1, 3, 96, 96))

    assert detector.loss(outputs, [torch.tensor([[0, 0.2, 0.2, 0.8, 0.8]])])["box"] > 0


def test_frozen_stages_neither_learn_nor_follow_the_batch() -> None:
    detector = create_detector("fcos_resnet18", 1, 96, 0.5, frozen_stages=2).train()
    backbone = detector.backbone
    before = {key: value.clone() for key, value in backbone.state_dict().items()}

    detector(torch.randn(2, 3, 96, 96) + 3)

    frozen = ("conv1.", "bn1.", "layer1.")
    for key, value in backbone.state_dict().items():
        if key.startswith(frozen):
            assert torch.equal(value, before[key]), key
    name = "layer2.0.bn1.running_mean"
    assert not torch.equal(backbone.get_buffer(name), before[name])
    learning = {name.split(".")[0] for name, p in backbone.named_parameters() if p.requires_grad}
    assert learning == {"layer2", "layer3", "layer4"}


def test_all_stages_can_be_frozen() -> None:
    detector = create_detector("fcos_resnet18", 1, 96, 0.5, frozen_stages=5).train()

    assert not any(parameter.requires_grad for parameter in detector.backbone.parameters())
    assert not any(
        module.training for module in detector.backbone.children() if list(module.parameters())
    )


@pytest.mark.parametrize(
    ("name", "size", "stages", "message"),
    [
        ("yolo", 96, 0, "known: ssd_resnet50, fcos_resnet18"),
        ("fcos_resnet18", 96, 6, "expected 0 to 5"),
    ],
)
def test_refuses_what_it_cannot_build(name: str, size: int, stages: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_detector(name, 1, size, 0.5, stages)


@pytest.mark.parametrize(("name", "smallest"), SMALLEST_IMAGE.items())
def test_the_config_knows_the_smallest_images(name: str, smallest: int) -> None:
    detector = create_detector(name, 1, smallest, 0.5, 0)

    assert detector.loss(detector(torch.randn(1, 3, smallest, smallest)), [torch.empty(0, 5)])
    with pytest.raises(ValueError, match=f"at least {smallest}"):
        create_detector(name, 1, smallest - 1, 0.5, 0)
    with pytest.raises(ValueError, match=f"image_size of {smallest} or more"):
        TrainSection.model_validate({"model": name, "image_size": smallest - 1})
