"""SSD: boxes relative to a fixed set of default boxes, on feature maps of falling size.

Liu et al., https://arxiv.org/abs/1512.02325, on a ResNet-50 instead of VGG-16.
"""

from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812  # the field's own abbreviation
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import Conv2dNormActivation, box_convert

from components.shared.models.detection.assignment import best_overlap
from components.shared.models.detection.backbone import STRIDES, ResNetBody
from components.shared.models.detection.detector import Detector, Outputs

SMALLEST_IMAGE = 96

# The smaller default boxes of a map are so many of its cells wide. The paper spaces the boxes of
# its first and last map evenly; with few maps (small images) that leaves gaps between the sizes,
# and sizes for which the cells are too far apart.
_CELLS = 2.5
_LARGEST_SCALE = 0.9
_MATCH_IOU = 0.5
_NEGATIVES_A_POSITIVE = 3
# The variances of the encoded offsets, by which all SSDs since the authors' own scale them.
_CENTRE_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2

_EXTRA_LEVELS = 4
_EXTRA_WIDTH = 256
_GROUPS = 32


class Ssd(Detector):
    """SSD on a ResNet's maps at strides 8, 16 and 32, and up to four smaller ones above."""

    anchors: Tensor

    def __init__(
        self, backbone: ResNetBody, num_classes: int, image_size: int, nms_threshold: float
    ) -> None:
        """Build the heads on a body.

        Raises:
            ValueError: if the images are too small for the maps that SSD needs.
        """
        if image_size < SMALLEST_IMAGE:
            raise ValueError(f"image_size: {image_size}; SSD needs at least {SMALLEST_IMAGE}")
        super().__init__(backbone, num_classes, image_size, nms_threshold)
        sizes = _map_sizes(image_size)
        self.extras = _extras(backbone.channels[-1], len(sizes) - len(STRIDES))
        channels = [*backbone.channels, *[_EXTRA_WIDTH] * len(self.extras)]

        boxes = _default_boxes(sizes)
        self.register_buffer("anchors", _place(boxes, sizes, image_size), persistent=False)
        a_place = boxes.num_anchors_per_location()
        self.scores = _heads(channels, [count * (num_classes + 1) for count in a_place])
        self.offsets = _heads(channels, [count * 4 for count in a_place])

    def forward(self, images: Tensor) -> Outputs:
        """Return logits (N, A, 1 + classes), background first, and offsets (N, A, 4)."""
        maps = list(self.backbone(images))
        for extra in self.extras:
            maps.append(extra(maps[-1]))
        logits = _by_anchor(self.scores, maps, self.num_classes + 1)
        return logits, _by_anchor(self.offsets, maps, 4)

    def boxes_and_scores(self, outputs: Outputs) -> tuple[Tensor, Tensor]:
        """See `Detector`."""
        logits, offsets = outputs
        return decode_boxes(offsets, self.anchors), logits.softmax(dim=2)[..., 1:]

    def loss(self, outputs: Outputs, targets: list[Tensor]) -> dict[str, Tensor]:
        """Return `score`, a cross-entropy, and `box`, a smooth L1 loss.

        Both are sums divided by the number of anchors that learn a box. Of the background, only
        the anchors that look most like an object count, three for one with a box.
        """
        logits, offsets = outputs
        labels, wanted = zip(*(self._assign(target) for target in targets), strict=True)
        classes = torch.stack(labels)
        positive = classes > 0
        count = positive.sum().clamp(min=1)
        entropy = F.cross_entropy(logits.transpose(1, 2), classes, reduction="none")
        counted = positive | hard_negatives(entropy.detach(), positive, _NEGATIVES_A_POSITIVE)
        box_loss = F.smooth_l1_loss(
            offsets[positive], torch.stack(wanted)[positive], reduction="sum"
        )
        return {"score": entropy[counted].sum() / count, "box": box_loss / count}

    def _assign(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the anchors of an image learn: class (A,), 0 background, and offsets."""
        boxes = target[:, 1:] * self.image_size
        assigned = best_overlap(self.anchors, boxes, _MATCH_IOU)
        labels = torch.zeros_like(assigned)
        wanted = torch.zeros_like(self.anchors)
        learns = assigned >= 0
        chosen = assigned[learns]
        labels[learns] = target[chosen, 0].long() + 1
        wanted[learns] = encode_boxes(boxes[chosen], self.anchors[learns])
        return labels, wanted


def hard_negatives(losses: Tensor, positive: Tensor, ratio: int) -> Tensor:
    """Choose, in every image, the background anchors with the largest losses.

    Args:
        losses: (N, A).
        positive: (N, A) true where an anchor learns a box; those are never chosen.
        ratio: how many to choose for one positive anchor. An image without any gets as many
            as for one.

    Returns:
        (N, A) true where chosen.
    """
    ranked = losses.masked_fill(positive, -1.0).argsort(dim=1, descending=True).argsort(dim=1)
    wanted = ratio * positive.sum(dim=1, keepdim=True).clamp(min=1)
    return (ranked < wanted) & ~positive


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Express boxes (..., 4) as offsets from anchors (..., 4), both xmin, ymin, xmax, ymax.

    Equation 2 of the SSD paper, divided by the variances 0.1 and 0.2.
    """
    box, anchor = box_convert(boxes, "xyxy", "cxcywh"), box_convert(anchors, "xyxy", "cxcywh")
    shift = (box[..., :2] - anchor[..., :2]) / anchor[..., 2:]
    stretch = (box[..., 2:] / anchor[..., 2:]).log()
    return torch.cat([shift / _CENTRE_VARIANCE, stretch / _SIZE_VARIANCE], dim=-1)


def decode_boxes(offsets: Tensor, anchors: Tensor) -> Tensor:
    """Undo `encode_boxes`."""
    anchor = box_convert(anchors, "xyxy", "cxcywh")
    centre = anchor[..., :2] + offsets[..., :2] * _CENTRE_VARIANCE * anchor[..., 2:]
    size = anchor[..., 2:] * (offsets[..., 2:] * _SIZE_VARIANCE).clamp(max=4.0).exp()
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def _map_sizes(image_size: int) -> list[int]:
    """Return the edges of the feature maps, the last being 1 unless the image is very large."""
    sizes = [-(-image_size // stride) for stride in STRIDES]
    for _ in range(_EXTRA_LEVELS):
        if sizes[-1] == 1:
            break
        sizes.append(-(-sizes[-1] // 2))
    return sizes


def _extras(channels: int, levels: int) -> nn.ModuleList:
    """Return the blocks that make the maps above the backbone, each of half its input's size.

    Batch normalisation would fail on the last map, of one pixel, when a batch holds one image.
    """
    norm = partial(nn.GroupNorm, _GROUPS)
    squeezed = _EXTRA_WIDTH // 2
    blocks = nn.ModuleList()
    for _ in range(levels):
        squeeze = Conv2dNormActivation(channels, squeezed, 1, norm_layer=norm)
        shrink = Conv2dNormActivation(squeezed, _EXTRA_WIDTH, 3, stride=2, norm_layer=norm)
        blocks.append(nn.Sequential(squeeze, shrink))
        channels = _EXTRA_WIDTH
    return blocks


def _default_boxes(map_sizes: list[int]) -> DefaultBoxGenerator:
    """Return the generator of default boxes; the first and last two maps have fewer shapes."""
    last = len(map_sizes) - 1
    ratios = [[2] if level in (0, last - 1, last) else [2, 3] for level in range(last + 1)]
    scales = [min(_CELLS / size, _LARGEST_SCALE) for size in map_sizes]
    return DefaultBoxGenerator(ratios, scales=[*scales, 1.0])


def _place(boxes: DefaultBoxGenerator, sizes: list[int], image_size: int) -> Tensor:
    """Return the default boxes (A, 4) in pixels, map after map."""
    shape = (1, 1, image_size, image_size)
    image = ImageList(torch.empty(shape), [(image_size, image_size)])
    placed: list[Tensor] = boxes(image, [torch.empty(1, 1, size, size) for size in sizes])
    return placed[0]


def _heads(channels: list[int], outputs: list[int]) -> nn.ModuleList:
    heads = nn.ModuleList()
    for features, count in zip(channels, outputs, strict=True):
        head = nn.Conv2d(features, count, 3, padding=1)
        nn.init.xavier_uniform_(head.weight)
        head.bias = nn.Parameter(torch.zeros(count))
        heads.append(head)
    return heads


def _by_anchor(heads: nn.ModuleList, maps: list[Tensor], columns: int) -> Tensor:
    """Apply a head to each map: float32 (N, A, columns), in the order of the anchors."""
    outputs = [head(features) for head, features in zip(heads, maps, strict=True)]
    return torch.cat(
        [output.permute(0, 2, 3, 1).reshape(len(output), -1, columns) for output in outputs], dim=1
    ).float()
