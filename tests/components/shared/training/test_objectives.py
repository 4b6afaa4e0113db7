"""What training means for a task, apart from the engine that drives it."""

import torch

from components.shared.models import Classifier, create_model
from components.shared.training.config import TrainSection
from components.shared.training.objectives import Classify

SECTION = TrainSection(model="resnet9", image_size=16)


def test_weights_of_classes_scale_each_images_loss() -> None:
    network = create_model("resnet9", "classify", outputs=2, image_size=16)
    assert isinstance(network, Classifier)
    logits = torch.tensor([[2.0, -1.0], [0.0, 1.0]])
    targets = torch.tensor([[1.0, 0.0], [0.25, 0.75]])  # the second is a blend
    losses = network.losses(logits, targets)
    plain = Classify(SECTION, 2)
    weighted = Classify(SECTION, 2, torch.tensor([0.5, 3.0]))
    expected = losses * torch.tensor([0.5, 0.25 * 0.5 + 0.75 * 3.0])
    torch.testing.assert_close(weighted.loss(network, logits, targets), expected.mean())
    torch.testing.assert_close(plain.loss(network, logits, targets), losses.mean())
    # How good a model is does not depend on how it was trained.
    truths = torch.tensor([0, 1])
    outcomes = (plain.outcome(network, logits, truths), weighted.outcome(network, logits, truths))
    assert torch.equal(outcomes[0].losses, outcomes[1].losses)
