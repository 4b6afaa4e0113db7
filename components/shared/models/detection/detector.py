"""What every detector can do, whatever it predicts inside."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms, clip_boxes_to_image

from components.shared.models.detection.backbone import ResNetBody

# Boxes that reach non-maximum suppression, which is quadratic in them.
CANDIDATES = 1000

Outputs = tuple[Tensor, ...]


class Detector(nn.Module, ABC):
    """A network that finds boxes of known classes in square images.

    `forward` gives raw tensors only, so that the network can be exported and quantised by
    itself; `loss` and `decode` interpret them.

    Attributes:
        backbone: the ResNet body, with torchvision's parameter names.
        num_classes: object classes, without a background class.
        image_size: edge of the images in pixels.
        nms_threshold: of two boxes of a class that overlap by more (IoU), the better stays.
    """

    def __init__(
        self, backbone: ResNetBody, num_classes: int, image_size: int, nms_threshold: float
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_classes = num_classes
        self.image_size = image_size
        self.nms_threshold = nms_threshold

    @abstractmethod
    def forward(self, images: Tensor) -> Outputs:
        """Run the network.

        Args:
            images: float (N, 3, image_size, image_size), normalised.

        Returns:
            Raw float32 outputs, the first dimension of each being N.
        """

    @abstractmethod
    def loss(self, outputs: Outputs, targets: list[Tensor]) -> dict[str, Tensor]:
        """Return the parts of the loss; their sum is what training lowers.

        Args:
            outputs: of `forward`.
            targets: an image each, (M, 5): class, xmin, ymin, xmax, ymax with coordinates in
                [0, 1]. M may be 0.
        """

    @abstractmethod
    def boxes_and_scores(self, outputs: Outputs) -> tuple[Tensor, Tensor]:
        """Interpret the outputs of `forward`.

        Returns:
            Boxes (N, L, 4) in pixels as xmin, ymin, xmax, ymax, and scores
            (N, L, num_classes) in [0, 1].
        """

    @torch.no_grad()
    def decode(self, outputs: Outputs, min_score: float, max_detections: int) -> list[Tensor]:
        """Turn outputs into detections, after class-wise non-maximum suppression.

        Args:
            outputs: of `forward`.
            min_score: detections must score more.
            max_detections: how many to keep an image.

        Returns:
            An image each, (K, 6): class, score, xmin, ymin, xmax, ymax with coordinates in
            [0, 1], the highest score first.
        """
        boxes, scores = self.boxes_and_scores(outputs)
        return [
            self._select(*image, min_score, max_detections)
            for image in zip(boxes.float(), scores.float(), strict=True)
        ]

    def _select(
        self, boxes: Tensor, scores: Tensor, min_score: float, max_detections: int
    ) -> Tensor:
        """Choose the detections of one image among boxes (L, 4) and scores (L, C)."""
        places, labels = torch.where(scores > min_score)
        best = scores[places, labels].topk(min(CANDIDATES, len(places)))
        places, labels = places[best.indices], labels[best.indices]
        boxes = clip_boxes_to_image(boxes[places], (self.image_size, self.image_size))
        has_area = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        boxes, labels, values = boxes[has_area], labels[has_area], best.values[has_area]
        kept = batched_nms(boxes, values, labels, self.nms_threshold)[:max_detections]
        return torch.cat(
            [labels[kept, None], values[kept, None], boxes[kept] / self.image_size], dim=1
        )
