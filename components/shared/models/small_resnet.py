"""A residual network for images of few pixels, such as 32x32."""

from typing import Final

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, conv1x1

STAGES: Final = 4


class SmallResNet(nn.Module):
    """A residual network in the manner of CIFAR's (He et al., https://arxiv.org/abs/1512.03385).

    The stem keeps the resolution, where ImageNet's networks divide it by four at once: in an
    image of 32x32 the pixels are all there is. Three layers of two blocks follow, at strides 1,
    2 and 4 of the image.

    Attributes:
        channels: of the feature map, in a tuple as other bodies with several maps have it.
    """

    def __init__(self, frozen_stages: int, width: int = 32) -> None:
        """Build the network with random weights.

        Args:
            frozen_stages: first stages (stem, layer1, layer2, layer3) that do not learn; 4 or
                more: all.
            width: channels of the stem; the layers have 1, 2 and 4 times as many.
        """
        super().__init__()
        self.channels = (width * 4,)
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.layer1 = _layer(width, width, stride=1)
        self.layer2 = _layer(width, width * 2, stride=2)
        self.layer3 = _layer(width * 2, width * 4, stride=2)
        _initialize(self)
        stages: list[nn.Module] = [self.stem, self.layer1, self.layer2, self.layer3]
        self._frozen = stages[:frozen_stages]
        for module in self._frozen:
            module.requires_grad_(False)
            module.eval()

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Return the feature map (N, channels, S / 4, S / 4) of images (N, 3, S, S)."""
        return (self.layer3(self.layer2(self.layer1(self.stem(images)))),)

    def train(self, mode: bool = True) -> "SmallResNet":
        """Switch to training or evaluation; frozen stages keep their running statistics."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self


def _layer(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1:
        shortcut = nn.Sequential(conv1x1(inputs, outputs, stride), nn.BatchNorm2d(outputs))
    return nn.Sequential(
        BasicBlock(inputs, outputs, stride, shortcut), BasicBlock(outputs, outputs)
    )


def _initialize(network: nn.Module) -> None:
    """He's initialization; each block starts as the identity, which steadies training."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)
