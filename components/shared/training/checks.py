"""What training settings a task can use; free of torch, so that a config is checked with it."""

from typing import Final

from components.shared.augmentation.config import check_operations
from components.shared.errors import UserError
from components.shared.task import Task
from components.shared.training.config import TrainSection, is_weights_file

DETECTORS: Final = ("ssd_resnet50", "fcos_resnet18")


# What torchvision offers for a body, the last part of a model's name.
WEIGHTS: Final = {
    "resnet18": ("DEFAULT", "IMAGENET1K_V1"),
    "resnet34": ("DEFAULT", "IMAGENET1K_V1"),
    "resnet50": ("DEFAULT", "IMAGENET1K_V1", "IMAGENET1K_V2"),
}


_STRIDE: Final = {"resnet18": 32, "resnet34": 32, "resnet50": 32}  # of the last feature map


def check_model(name: str, task: Task) -> None:
    """Refuse a model that does not serve the task.

    Raises:
        UserError: naming both.
    """
    if (name in DETECTORS) != (task == "detect"):
        fit = ", ".join(DETECTORS) if task == "detect" else "a resnet"
        raise UserError(f"train.model: '{name}' does not serve task '{task}'; use {fit}")


def check_settings(section: TrainSection, task: Task) -> None:
    """Refuse settings that this task would silently ignore, or be harmed by.

    Raises:
        UserError: naming the setting.
    """
    check_model(section.model, task)
    _check_weights(section)
    _check_batch(section)
    check_operations(section.augment, task, "train.augment")
    refused: dict[Task, dict[str, float]] = {
        "detect": {
            "label_smoothing": section.label_smoothing,
            "augment.mixup": section.augment.mixup,
            "mirror_average": section.mirror_average,
            "class_weights": section.class_weights != "none",
        },
        "count": {"label_smoothing": section.label_smoothing},
        "classify": {},
    }
    for name, value in refused[task].items():
        if value > 0:
            raise UserError(f"train.{name}: does not serve task '{task}'; leave it out")


def _check_weights(section: TrainSection) -> None:
    known = WEIGHTS.get(section.model.rpartition("_")[2], ())
    if section.weights in ("none", *known) or is_weights_file(section.weights):
        return
    names = "".join(f"{name}, " for name in known)
    raise UserError(
        f"train.weights: '{section.weights}'; for {section.model} give none, {names}or a "
        ".safetensors, .pth or .pt file"
    )


def _check_batch(section: TrainSection) -> None:
    """Refuse to normalize single numbers: that is what such a batch's last map is."""
    if section.batch_size == 1 and section.image_size <= _STRIDE.get(section.model, 0):
        raise UserError(
            f"train.batch_size: 1 is too few for {section.model} at an image_size of "
            f"{section.image_size}; give 2 or more, or larger images"
        )
