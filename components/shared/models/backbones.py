"""The convolutional bodies of classifiers and counters, by name."""

from torchvision.models.resnet import BasicBlock, Bottleneck

from components.shared.models.detection.backbone import ResNetBody
from components.shared.models.resnet9 import ResNet9

Backbone = ResNetBody | ResNet9


def create_backbone(name: str, frozen_stages: int) -> Backbone:
    """Build a body with random weights.

    Args:
        name: `resnet18`, `resnet34`, `resnet50`, or `resnet9`.
        frozen_stages: first stages that do not learn, 0 to 5.

    Raises:
        ValueError: if the name is unknown or `frozen_stages` out of range.
    """
    match name:
        case "resnet9":
            return ResNet9(frozen_stages)
        case "resnet18":
            return ResNetBody(BasicBlock, (2, 2, 2, 2), frozen_stages)
        case "resnet34":
            return ResNetBody(BasicBlock, (3, 4, 6, 3), frozen_stages)
        case "resnet50":
            return ResNetBody(Bottleneck, (3, 4, 6, 3), frozen_stages)
    raise ValueError(f"unknown backbone {name!r}")
