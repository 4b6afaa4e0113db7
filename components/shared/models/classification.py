"""Networks that answer with one distribution an image: over classes, or over counts."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from components.shared.models.backbones import Backbone


class Classifier(nn.Module):
    """A body, the mean of its feature map, and a linear layer.

    Attributes:
        backbone: the body.
    """

    def __init__(self, backbone: Backbone, outputs: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.channels[-1], outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 (N, outputs), of normalised images (N, 3, S, S)."""
        features: Tensor = self.backbone(images)[-1]
        logits: Tensor = self.head(features.mean(dim=(2, 3)))
        return logits.float()

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy (N,) of logits with target distributions, both (N, C)."""
        return functional.cross_entropy(outputs, targets, reduction="none")

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the distribution (N, outputs) that logits stand for."""
        return outputs.softmax(dim=1)


class Counter(Classifier):
    """A classifier of counts 0, 1, ... whose loss knows that they are ordered.

    Cross-entropy alone finds 5 as wrong as 1 where 0 is right. The squared error of the
    expected count, added to it, is what the root mean square error judges; the distribution
    stays one that can be calibrated.
    """

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return cross-entropy plus half the squared error of the expected count (N,)."""
        error = expected_count(self.probabilities(outputs)) - expected_count(targets)
        return super().losses(outputs, targets) + error.square() / 2


def expected_count(probabilities: Tensor) -> Tensor:
    """Return the mean (N,) of distributions (N, C) over the counts 0 ... C - 1."""
    counts = torch.arange(probabilities.shape[1], device=probabilities.device)
    return (probabilities * counts).sum(dim=1)
