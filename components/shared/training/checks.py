"""What training settings a task can use; free of torch, so that a config is checked with it."""

from typing import Final

from components.shared.augmentation.config import check_operations
from components.shared.errors import UserError
from components.shared.task import Task
from components.shared.training.config import TrainSection

DETECTORS: Final = ("ssd_resnet50", "fcos_resnet18")


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
