"""The one place where models are made, by their plain names."""

from components.shared.errors import UserError
from components.shared.models.backbones import create_backbone
from components.shared.models.classification import Classifier, Counter
from components.shared.models.detection import Detector, create_detector
from components.shared.task import Task
from components.shared.training.checks import check_model

Network = Classifier | Detector


def create_model(
    name: str,
    task: Task,
    *,
    outputs: int,
    image_size: int,
    nms_threshold: float = 0.5,
    frozen_stages: int = 0,
) -> Network:
    """Build a model with random weights.

    Args:
        name: a detector (`ssd_resnet50`, `fcos_resnet18`) for detect; `resnet18`, `resnet34`,
            `resnet50` or `resnet9` for classify and count.
        task: what it is to answer.
        outputs: classes (detect, classify), or the largest count plus one (count).
        image_size: edge of the square images it will see, pixels.
        nms_threshold: of two boxes of a class that overlap by more (IoU), the better stays.
        frozen_stages: first stages of the body that do not learn, batch normalisation
            included; 0 to 5.

    Raises:
        UserError: if the model does not serve the task, or not at this image size.
    """
    check_model(name, task)
    try:
        if task == "detect":
            return create_detector(name, outputs, image_size, nms_threshold, frozen_stages)
        backbone = create_backbone(name, frozen_stages)
    except ValueError as error:
        raise UserError(f"train: {error}") from None
    return Counter(backbone, outputs) if task == "count" else Classifier(backbone, outputs)
