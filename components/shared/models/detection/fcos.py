"""FCOS: an anchor-free detector that predicts, at every place, the distances to a box's edges.

The architecture is that of Tian et al. (https://arxiv.org/abs/1904.01355). Two later findings
replace its hand-set parts: places learn boxes by ATSS (https://arxiv.org/abs/1912.02424)
instead of fixed size ranges, and the score is trained to be the box's IoU by quality focal loss
(https://arxiv.org/abs/2006.04388) instead of multiplying in a second output for centredness.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812  # the field's own abbreviation
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork, generalized_box_iou_loss
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from components.shared.models.detection.assignment import atss
from components.shared.models.detection.backbone import STRIDES, ResNetBody
from components.shared.models.detection.detector import Detector, Outputs

SMALLEST_IMAGE = 64

# Heads of half the usual width and depth: on a CPU, four convolutions of 256 channels cost more
# than the whole ResNet-18 below them.
_WIDTH = 128
_HEAD_DEPTH = 2
_GROUPS = 32

# Edge in strides of the square that stands for a place in ATSS.
_ANCHOR_STRIDES = 4.0
# Score of every place before training: low, so that background does not drown the first steps.
_PRIOR = 0.01
_BOX_WEIGHT = 2.0
_FOCUS = 2.0
# exp() of more would be a box thousands of strides wide.
_LARGEST_LOG_DISTANCE = 8.0


class Fcos(Detector):
    """FCOS on a ResNet with a feature pyramid at strides 8, 16, 32 and 64."""

    points: Tensor
    strides: Tensor

    def __init__(
        self, backbone: ResNetBody, num_classes: int, image_size: int, nms_threshold: float
    ) -> None:
        """Build the pyramid and the heads on a body.

        Raises:
            ValueError: if the images are smaller than the largest stride.
        """
        if image_size < SMALLEST_IMAGE:
            raise ValueError(f"image_size: {image_size}; FCOS needs at least {SMALLEST_IMAGE}")
        super().__init__(backbone, num_classes, image_size, nms_threshold)
        self.pyramid = FeaturePyramidNetwork(
            list(backbone.channels), _WIDTH, extra_blocks=LastLevelMaxPool()
        )
        self.score_tower = _tower()
        self.distance_tower = _tower()
        self.score = _output(num_classes, bias=-math.log((1 - _PRIOR) / _PRIOR))
        self.distance = _output(4, bias=math.log(_ANCHOR_STRIDES / 2))
        level_strides = (*STRIDES, 2 * STRIDES[-1])
        self.scales = nn.Parameter(torch.ones(len(level_strides)))

        grids = [_grid(image_size, stride) for stride in level_strides]
        self.level_sizes = [len(grid) for grid in grids]
        self.register_buffer("points", torch.cat(grids), persistent=False)
        strides = torch.tensor(level_strides, dtype=torch.float32)
        sizes = torch.tensor(self.level_sizes)
        self.register_buffer("strides", strides.repeat_interleave(sizes), persistent=False)

    def forward(self, images: Tensor) -> Outputs:
        """Return score logits (N, L, classes) and distances (N, L, 4) in pixels.

        The distances are those from a place's point to the left, top, right and bottom edge.
        """
        maps = self.pyramid(dict(enumerate(self.backbone(images)))).values()
        scores, distances = [], []
        for scale, features in zip(self.scales, maps, strict=True):
            scores.append(_by_place(self.score(self.score_tower(features))))
            distances.append(_by_place(self.distance(self.distance_tower(features))) * scale)
        logs = torch.cat(distances, dim=1).clamp(max=_LARGEST_LOG_DISTANCE)
        return torch.cat(scores, dim=1), logs.exp() * self.strides[:, None]

    def boxes_and_scores(self, outputs: Outputs) -> tuple[Tensor, Tensor]:
        """See `Detector`."""
        logits, distances = outputs
        return self._boxes(distances), logits.sigmoid()

    def loss(self, outputs: Outputs, targets: list[Tensor]) -> dict[str, Tensor]:
        """Return `score`, a quality focal loss, and `box`, a generalised IoU loss.

        Both are means over the places that learn a box. A place counts in `box` by the score
        it has now: where the network sees nothing, the box matters less.
        """
        logits, distances = outputs
        predicted = self._boxes(distances)
        image, place, labels, wanted = self._assign(targets)
        qualities = torch.zeros_like(logits)
        found = predicted[image, place]
        with torch.no_grad():
            qualities[image, place, labels] = _paired_iou(found, wanted)
        weights = logits.detach().sigmoid()[image, place].amax(dim=1)
        box_losses = generalized_box_iou_loss(found, wanted, reduction="none")
        return {
            "score": quality_focal_loss(logits, qualities) / max(len(image), 1),
            "box": _BOX_WEIGHT * (box_losses * weights).sum() / weights.sum().clamp(min=1e-6),
        }

    def _boxes(self, distances: Tensor) -> Tensor:
        """Return boxes (N, L, 4) in pixels."""
        return torch.cat(
            [self.points - distances[..., :2], self.points + distances[..., 2:]], dim=-1
        )

    def _assign(self, targets: list[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the P places that learn a box: image, place, class (P,) and box (P, 4)."""
        reach = (self.strides * _ANCHOR_STRIDES / 2)[:, None]
        anchors = torch.cat([self.points - reach, self.points + reach], dim=1)
        images, places, labels, boxes = [], [], [], []
        for index, target in enumerate(targets):
            in_pixels = target[:, 1:] * self.image_size
            assigned = atss(anchors, self.level_sizes, in_pixels)
            place = torch.where(assigned >= 0)[0]
            images.append(torch.full_like(place, index))
            places.append(place)
            labels.append(target[assigned[place], 0].long())
            boxes.append(in_pixels[assigned[place]])
        return torch.cat(images), torch.cat(places), torch.cat(labels), torch.cat(boxes)


def quality_focal_loss(logits: Tensor, qualities: Tensor) -> Tensor:
    """Return the sum of the quality focal loss, equation 2 of https://arxiv.org/abs/2006.04388.

    Args:
        logits: of scores, any shape.
        qualities: what the scores should be, in [0, 1]: the IoU of the predicted box, 0 for
            background.
    """
    surprise = (qualities - logits.sigmoid()).abs().pow(_FOCUS)
    entropy = F.binary_cross_entropy_with_logits(logits, qualities, reduction="none")
    return (surprise * entropy).sum()


def _tower() -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(_HEAD_DEPTH):
        layers += [
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, bias=False),
            nn.GroupNorm(_GROUPS, _WIDTH),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def _output(channels: int, bias: float) -> nn.Conv2d:
    output = nn.Conv2d(_WIDTH, channels, 3, padding=1)
    nn.init.normal_(output.weight, std=0.01)
    output.bias = nn.Parameter(torch.full((channels,), bias))
    return output


def _grid(image_size: int, stride: int) -> Tensor:
    """Return the points (H * W, 2), x before y, in the middle of the cells of a feature map."""
    axis = (torch.arange(math.ceil(image_size / stride)) + 0.5) * stride
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([columns.flatten(), rows.flatten()], dim=1)


def _by_place(features: Tensor) -> Tensor:
    """Turn (N, C, H, W) into float32 (N, H * W, C)."""
    return features.flatten(2).transpose(1, 2).float()


def _paired_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return the IoU (P,) of boxes (P, 4), pair by pair."""
    low = torch.maximum(first[:, :2], second[:, :2])
    high = torch.minimum(first[:, 2:], second[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    areas = (first[:, 2:] - first[:, :2]).prod(dim=1) + (second[:, 2:] - second[:, :2]).prod(dim=1)
    return shared / (areas - shared).clamp(min=1e-7)
