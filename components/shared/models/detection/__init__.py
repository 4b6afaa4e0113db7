"""Detectors: networks that find boxes of known classes in an image."""

from components.shared.models.detection.average_precision import average_precision
from components.shared.models.detection.backbone import resnet18, resnet50
from components.shared.models.detection.detector import Detector
from components.shared.models.detection.fcos import Fcos
from components.shared.models.detection.ssd import Ssd

__all__ = ["Detector", "average_precision", "create_detector"]


def create_detector(
    name: str, num_classes: int, image_size: int, nms_threshold: float, frozen_stages: int
) -> Detector:
    """Build a detector with random weights.

    Args:
        name: `ssd_resnet50` or `fcos_resnet18`.
        num_classes: object classes, without background; at least 1.
        image_size: edge in pixels of the square images it will see; at least 96 for SSD,
            64 for FCOS.
        nms_threshold: of two boxes of a class that overlap by more (IoU), the better stays.
        frozen_stages: first stages of the backbone that do not learn, 0 to 5.

    Raises:
        ValueError: if the name is unknown or a number is out of range.
    """
    match name:
        case "ssd_resnet50":
            return Ssd(resnet50(frozen_stages), num_classes, image_size, nms_threshold)
        case "fcos_resnet18":
            return Fcos(resnet18(frozen_stages), num_classes, image_size, nms_threshold)
    raise ValueError(f"unknown detector {name!r}; known: ssd_resnet50, fcos_resnet18")
