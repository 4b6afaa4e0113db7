"""A residual network of nine layers for images of few pixels, such as 32x32."""

from torch import Tensor, nn

from components.shared.models.stages import Staged


class ResNet9(Staged):
    """David Page's network for CIFAR-10 ("How to Train Your ResNet", myrtle.ai, 2018).

    The first two convolutions work at the image's resolution, where ImageNet's networks divide
    it by four at once: in an image of 32x32 the pixels are all there is. Pooling by the maximum
    then halves it three times. Eight convolutions are here, the ninth layer is the head.

    Attributes:
        channels: of the feature map, in a tuple as other bodies with several maps have it.
    """

    def __init__(self, frozen_stages: int, width: int = 32) -> None:
        """Build the network with random weights.

        Args:
            frozen_stages: first stages (stem, layer1, layer2, layer3) that do not learn; 4 or
                more: all.
            width: channels of the stem; the layers have 2, 4 and 8 times as many. The original
                has 64, which learns no better from a thousand images, at four times the cost.
        """
        super().__init__()
        self.channels = (width * 8,)
        self.stem = _convolution(3, width)
        self.layer1 = nn.Sequential(_pooled(width, width * 2), _Residual(width * 2))
        self.layer2 = _pooled(width * 2, width * 4)
        self.layer3 = nn.Sequential(_pooled(width * 4, width * 8), _Residual(width * 8))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.freeze(frozen_stages)

    def stages(self) -> list[list[nn.Module]]:
        """Return stem and layers."""
        return [[self.stem], [self.layer1], [self.layer2], [self.layer3]]

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Return the feature map (N, channels, S / 8, S / 8) of images (N, 3, S, S)."""
        return (self.layer3(self.layer2(self.layer1(self.stem(images)))),)


class _Residual(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(channels, channels), _convolution(channels, channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        added: Tensor = features + self.body(features)
        return added


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _pooled(inputs: int, outputs: int) -> nn.Sequential:
    """A convolution whose results are pooled before they are normalized, which is cheaper."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
