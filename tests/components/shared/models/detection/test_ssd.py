from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.ops import box_iou

from components.shared.models.detection import average_precision, create_detector
from components.shared.models.detection.backbone import resnet18
from components.shared.models.detection.detector import Outputs
from components.shared.models.detection.ssd import Ssd, decode_boxes, encode_boxes, hard_negatives

Draw = Callable[[int], tuple[Tensor, list[Tensor]]]


@pytest.fixture
def ssd() -> Ssd:
    return Ssd(resnet18(0), num_classes=2, image_size=128, nms_threshold=0.45)


def _perfect(ssd: Ssd, targets: list[Tensor]) -> Outputs:
    """Return the outputs that say exactly what the targets say."""
    labels, offsets = zip(*(ssd._assign(target) for target in targets), strict=True)
    logits = torch.nn.functional.one_hot(torch.stack(labels), ssd.num_classes + 1) * 40.0
    return logits, torch.stack(offsets)


def test_encode_follows_the_paper() -> None:
    """Twice as wide and an eighth of the anchor's width further right, variances 0.1 and 0.2."""
    anchor, box = torch.tensor([0.0, 0.0, 8.0, 4.0]), torch.tensor([-3.0, 0.0, 13.0, 4.0])

    offsets = encode_boxes(box, anchor)

    assert offsets.tolist() == pytest.approx([1.25, 0.0, 5 * torch.tensor(2.0).log().item(), 0.0])


def test_decode_undoes_encode() -> None:
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(2, 50, 2, generator=generator) * 50
    boxes = torch.cat([low, low + 1 + torch.rand(2, 50, 2, generator=generator) * 50], dim=2)
    anchors = boxes.flip(1)

    assert torch.allclose(decode_boxes(encode_boxes(boxes, anchors), anchors), boxes, atol=1e-3)


@pytest.mark.parametrize("size", [96, 128, 300, 512])
def test_the_network_has_one_output_an_anchor(size: int) -> None:
    ssd = Ssd(resnet18(0), 2, size, 0.45).eval()

    with torch.no_grad():
        logits, offsets = ssd(torch.randn(1, 3, size, size))

    assert logits.shape == (1, len(ssd.anchors), 3)
    assert offsets.shape == (1, len(ssd.anchors), 4)


def test_anchors_of_the_first_map_are_small_and_in_place(ssd: Ssd) -> None:
    centres = (ssd.anchors[:, :2] + ssd.anchors[:, 2:]) / 2
    smallest = ssd.anchors[0, 2:] - ssd.anchors[0, :2]

    assert centres[0].tolist() == pytest.approx([4, 4])
    assert centres[4].tolist() == pytest.approx([12, 4])
    assert smallest.tolist() == pytest.approx([2.5 * 8] * 2)


def test_hardly_any_box_is_out_of_reach() -> None:
    """Of boxes of all sizes and shapes, 19 in 20 match an anchor at SSD's IoU of 0.5."""
    anchors = Ssd(resnet18(0), 1, 192, 0.45).anchors / 192
    chance = torch.rand(1000, 4, generator=torch.Generator().manual_seed(0))
    edge, aspect = 0.08 * 12 ** chance[:, :1], 3 ** (2 * chance[:, 1:2] - 1)
    sizes = torch.cat([edge * aspect.sqrt(), edge / aspect.sqrt()], dim=1).clamp(max=1)
    low = chance[:, 2:] * (1 - sizes)
    boxes = torch.cat([low, low + sizes], dim=1)

    assert (box_iou(boxes, anchors).amax(dim=1) >= 0.5).float().mean() > 0.95


def test_perfect_outputs_decode_to_the_targets(ssd: Ssd) -> None:
    targets = [
        torch.tensor([[0, 0.1, 0.1, 0.4, 0.5], [1, 0.5, 0.3, 0.9, 0.9]]),
        torch.empty(0, 5),
        torch.tensor([[1, 0.05, 0.2, 0.95, 0.8]]),
    ]

    found = ssd.decode(_perfect(ssd, targets), 0.5, 10)

    for rows, target in zip(found, targets, strict=True):
        ordered = rows[rows[:, 0].argsort()][:, [0, 2, 3, 4, 5]]
        assert torch.allclose(ordered, target, atol=1e-4)


def test_perfect_outputs_cost_nothing(ssd: Ssd) -> None:
    targets = [torch.tensor([[0, 0.1, 0.1, 0.4, 0.5]]), torch.empty(0, 5)]

    losses = ssd.loss(_perfect(ssd, targets), targets)

    assert losses["score"] == pytest.approx(0, abs=1e-5)
    assert losses["box"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("part", ["score", "box"])
def test_worse_outputs_cost_more(ssd: Ssd, part: str) -> None:
    targets = [torch.tensor([[0, 0.1, 0.1, 0.4, 0.5]])]
    logits, offsets = _perfect(ssd, targets)
    worse = (-logits, offsets) if part == "score" else (logits, offsets + 1)

    assert ssd.loss(worse, targets)[part] > 1


def test_hard_negatives_are_the_worst_background_of_each_image() -> None:
    losses = torch.tensor([[9.0, 1.0, 5.0, 4.0, 3.0, 2.0], [0.1, 0.6, 0.5, 0.4, 0.3, 0.2]])
    positive = torch.zeros(2, 6, dtype=torch.bool)
    positive[0, 0] = True

    chosen = hard_negatives(losses, positive, ratio=3)

    assert torch.where(chosen[0])[0].tolist() == [2, 3, 4]
    assert torch.where(chosen[1])[0].tolist() == [1, 2, 3]


@pytest.mark.slow
def test_learns_drawn_images(drawn_rectangles: Draw) -> None:
    torch.manual_seed(0)
    images, targets = drawn_rectangles(96)
    ssd = create_detector("ssd_resnet50", 2, 96, 0.45, 0)
    optimiser = torch.optim.AdamW(ssd.parameters(), lr=1e-3)

    history = []
    for _ in range(40):
        total = torch.stack(list(ssd.loss(ssd(images), targets).values())).sum()
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        history.append(total.item())

    assert history[-1] < 0.2 * history[0]
    assert average_precision(ssd.decode(ssd(images), 0.05, 10), targets)["ap50"] > 0.9
