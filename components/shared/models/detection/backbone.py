"""The convolutional body of a detector: a torchvision ResNet without its classifier."""

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from components.shared.models.stages import Staged

STRIDES = (8, 16, 32)
STAGES = 5


class ResNetBody(Staged, ResNet):  # type: ignore[misc]  # torchvision ships no types
    """A ResNet that returns its last three feature maps.

    Its parameters have torchvision's own names, so that torchvision's weights (without `fc`)
    can be loaded into it.

    Attributes:
        channels: of the feature maps at strides 8, 16 and 32.
    """

    conv1: nn.Module
    bn1: nn.Module
    relu: nn.Module
    maxpool: nn.Module
    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module

    def __init__(
        self, block: type[BasicBlock | Bottleneck], blocks: Sequence[int], frozen_stages: int
    ) -> None:
        """Build the body with random weights.

        The last normalisation of every residual block starts at zero, which makes training
        without pretrained weights steadier (Goyal et al., https://arxiv.org/abs/1706.02677).

        Args:
            block: torchvision's `BasicBlock` or `Bottleneck`.
            blocks: how many of them each of the four layers has.
            frozen_stages: first stages (stem, layer1 ... layer4) that do not learn, 0 to 5.

        Raises:
            ValueError: if `frozen_stages` is out of range.
        """
        if not 0 <= frozen_stages <= STAGES:
            raise ValueError(f"frozen_stages: {frozen_stages}; expected 0 to {STAGES}")
        super().__init__(block, list(blocks), zero_init_residual=True)
        self.channels = tuple(width * block.expansion for width in (128, 256, 512))
        del self.avgpool, self.fc
        self.freeze(frozen_stages)

    def stages(self) -> list[list[nn.Module]]:
        """Return stem and layers."""
        layers = [[self.layer1], [self.layer2], [self.layer3], [self.layer4]]
        return [[self.conv1, self.bn1], *layers]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the feature maps at strides 8, 16 and 32 of images (N, 3, S, S)."""
        stem = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        eighth = self.layer2(self.layer1(stem))
        sixteenth = self.layer3(eighth)
        return eighth, sixteenth, self.layer4(sixteenth)


def resnet18(frozen_stages: int) -> ResNetBody:
    """Return a ResNet-18 body."""
    return ResNetBody(BasicBlock, (2, 2, 2, 2), frozen_stages)


def resnet50(frozen_stages: int) -> ResNetBody:
    """Return a ResNet-50 body."""
    return ResNetBody(Bottleneck, (3, 4, 6, 3), frozen_stages)
