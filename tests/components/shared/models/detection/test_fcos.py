from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from components.shared.models.detection import average_precision, create_detector
from components.shared.models.detection.backbone import resnet18
from components.shared.models.detection.detector import Outputs
from components.shared.models.detection.fcos import Fcos, quality_focal_loss

Draw = Callable[[int], tuple[Tensor, list[Tensor]]]


@pytest.fixture
def fcos() -> Fcos:
    return Fcos(resnet18(0), num_classes=2, image_size=128, nms_threshold=0.5)


def _perfect(fcos: Fcos, targets: list[Tensor]) -> Outputs:
    """Return the outputs that say exactly what the targets say."""
    places = len(fcos.points)
    logits = torch.full((len(targets), places, fcos.num_classes), -20.0)
    distances = torch.ones(len(targets), places, 4)
    for image, target in enumerate(targets):
        for label, *box in target.tolist():
            low, high = torch.tensor(box).view(2, 2) * fcos.image_size
            reach = torch.cat([fcos.points - low, high - fcos.points], dim=1)
            inside = (reach > 0).all(dim=1)
            distances[image, inside] = reach[inside]
            logits[image, inside, int(label)] = 20.0
    return logits, distances


def test_points_lie_in_the_middle_of_their_cells(fcos: Fcos) -> None:
    assert fcos.level_sizes == [16 * 16, 8 * 8, 4 * 4, 2 * 2]
    assert fcos.points[:2].tolist() == [[4, 4], [12, 4]]
    assert fcos.points[256].tolist() == [8, 8]
    assert fcos.points[-1].tolist() == [96, 96]
    assert fcos.strides[[0, 255, 256, -1]].tolist() == [8, 8, 16, 64]


def test_the_network_has_one_output_a_point(fcos: Fcos) -> None:
    logits, distances = fcos(torch.randn(1, 3, 128, 128))

    assert logits.shape == (1, len(fcos.points), 2)
    assert distances.shape == (1, len(fcos.points), 4)
    assert (distances > 0).all()


def test_perfect_outputs_decode_to_the_targets(fcos: Fcos) -> None:
    targets = [
        torch.tensor([[0, 0.1, 0.1, 0.4, 0.5], [1, 0.5, 0.3, 0.9, 0.9]]),
        torch.empty(0, 5),
        torch.tensor([[1, 0.05, 0.2, 0.95, 0.8]]),
    ]

    found = fcos.decode(_perfect(fcos, targets), 0.5, 10)

    for rows, target in zip(found, targets, strict=True):
        ordered = rows[rows[:, 0].argsort()][:, [0, 2, 3, 4, 5]]
        assert torch.allclose(ordered, target, atol=1e-5)


def test_perfect_outputs_cost_nothing_where_boxes_are_learned(fcos: Fcos) -> None:
    targets = [torch.tensor([[0, 0.1, 0.1, 0.4, 0.5]])]
    logits, distances = _perfect(fcos, targets)
    *_, places, labels, _ = fcos._assign(targets)
    only_learned = torch.full_like(logits, -20.0)
    only_learned[0, places, labels] = 20.0

    losses = fcos.loss((only_learned, distances), targets)

    assert losses["score"] == pytest.approx(0, abs=1e-5)
    assert losses["box"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("part", ["score", "box"])
def test_worse_outputs_cost_more(fcos: Fcos, part: str) -> None:
    targets = [torch.tensor([[0, 0.1, 0.1, 0.4, 0.5]])]
    logits, distances = _perfect(fcos, targets)
    worse = (-logits, distances) if part == "score" else (logits, distances * 1.5)

    assert fcos.loss(worse, targets)[part] > fcos.loss((logits, distances), targets)[part] + 0.1


def test_every_drawn_box_is_learned_somewhere(fcos: Fcos, drawn_rectangles: Draw) -> None:
    _, targets = drawn_rectangles(128)

    images, places, labels, boxes = fcos._assign(targets)

    learned = {(int(i), int(c), *b.tolist()) for i, c, b in zip(images, labels, boxes, strict=True)}
    assert learned == {
        (image, int(row[0]), *(row[1:] * 128).tolist())
        for image, target in enumerate(targets)
        for row in target
    }
    points = fcos.points[places]
    assert ((points > boxes[:, :2]) & (points < boxes[:, 2:])).all()


def test_quality_focal_loss_follows_the_formula() -> None:
    """At a score of 0.5: |q - 0.5|^2 * -(q log 0.5 + (1 - q) log 0.5) = (q - 0.5)^2 * log 2."""
    qualities = torch.tensor([0.0, 0.5, 0.9])

    loss = quality_focal_loss(torch.zeros(3), qualities)

    assert loss == pytest.approx((0.25 + 0 + 0.16) * torch.tensor(2.0).log().item())


@pytest.mark.slow
def test_learns_drawn_images(drawn_rectangles: Draw) -> None:
    torch.manual_seed(0)
    images, targets = drawn_rectangles(64)
    fcos = create_detector("fcos_resnet18", 2, 64, 0.5, 0)
    optimiser = torch.optim.AdamW(fcos.parameters(), lr=1e-3)

    history = []
    for _ in range(25):
        total = torch.stack(list(fcos.loss(fcos(images), targets).values())).sum()
        optimiser.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        history.append(total.item())

    assert history[-1] < 0.5 * history[0]
    assert average_precision(fcos.decode(fcos(images), 0.05, 10), targets)["ap50"] > 0.9
