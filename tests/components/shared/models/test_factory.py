import pytest
import torch
from torch import Tensor, nn

from components.shared.errors import UserError
from components.shared.models import Classifier, Network, create_model
from components.shared.models.detection import Detector
from components.shared.task import Task


def make(name: str, task: Task, size: int = 64, frozen_stages: int = 0) -> Network:
    torch.manual_seed(0)
    return create_model(name, task, outputs=3, image_size=size, frozen_stages=frozen_stages)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet9"])
@pytest.mark.parametrize("task", ["classify", "count"])
def test_classifiers_answer_with_one_distribution_an_image(name: str, task: Task) -> None:
    network = make(name, task).eval()
    assert isinstance(network, Classifier)
    with torch.no_grad():
        probabilities = network.probabilities(network(torch.randn(2, 3, 64, 64)))
    assert probabilities.shape == (2, 3)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(2))


@pytest.mark.parametrize("name", ["fcos_resnet18", "ssd_resnet50"])
def test_detectors_come_from_the_same_factory(name: str) -> None:
    assert isinstance(make(name, "detect", size=128), Detector)


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("fcos_resnet18", "classify", "use a resnet"),
        ("resnet18", "detect", "use ssd_resnet50, fcos_resnet18"),
        ("resnet19", "count", "unknown backbone 'resnet19'"),
    ],
)
def test_a_model_that_does_not_serve_the_task_is_refused(
    name: str, task: Task, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        make(name, task)


def test_small_images_keep_their_resolution_longest_in_the_small_network() -> None:
    images = torch.randn(1, 3, 32, 32)
    small, large = make("resnet9", "classify"), make("resnet18", "classify").eval()
    assert small.backbone(images)[-1].shape[-1] == 4
    assert large.backbone(images)[-1].shape[-1] == 1


def step(network: Network, size: int) -> None:
    """Train one step on pictures whose statistics differ from those at the start."""
    assert isinstance(network, Classifier)
    network.train()
    outputs = network(3 + 2 * torch.randn(4, 3, size, size))
    targets = nn.functional.one_hot(torch.tensor([0, 1, 2, 0]), 3).float()
    network.losses(outputs, targets).mean().backward()  # type: ignore[no-untyped-call]
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 0.1)
    optimizer.step()


@pytest.mark.parametrize(
    ("name", "stages", "frozen", "learning"),
    [
        ("resnet18", 0, [], ["conv1", "bn1", "layer1", "layer4"]),
        ("resnet18", 2, ["conv1", "bn1", "layer1"], ["layer2", "layer3", "layer4"]),
        ("resnet18", 5, ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"], []),
        ("resnet9", 2, ["stem", "layer1"], ["layer2", "layer3"]),
        ("resnet9", 5, ["stem", "layer1", "layer2", "layer3"], []),
    ],
)
def test_frozen_stages_stay_as_they_are_statistics_included(
    name: str, stages: int, frozen: list[str], learning: list[str]
) -> None:
    network = make(name, "classify", frozen_stages=stages)
    before: dict[str, Tensor] = {k: v.clone() for k, v in network.state_dict().items()}
    step(network, 64)
    changed = {k for k, v in network.state_dict().items() if not torch.equal(v, before[k])}
    for stage in frozen:
        assert not [name for name in changed if name.startswith(f"backbone.{stage}.")]
    for stage in learning:
        assert [name for name in changed if name.startswith(f"backbone.{stage}.")]
        assert [
            name
            for name in changed
            if name.startswith(f"backbone.{stage}.") and name.endswith("running_mean")
        ] or stage == "conv1"
    assert "head.weight" in changed
