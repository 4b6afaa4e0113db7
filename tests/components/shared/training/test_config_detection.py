from typing import Any

import pytest

from components.shared.errors import UserError
from components.shared.training.config import TrainSection


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('{"model": "ssd_resnet50", "image_size": 95}', "image_size of 96 or more"),
        ('{"model": "fcos_resnet18", "augment": {"pad": 0.1}}', "augment.pad: not for fcos"),
        (
            '{"model": "fcos_resnet18", "label_smoothing": 0.1, "augment": {"mixup": 0.2}}',
            "augment.mixup, label_smoothing: not for",
        ),
        ('{"model": "resnet18", "augment": {"mosaic": 0.5}}', "only for models that detect"),
    ],
)
def test_settings_that_do_not_suit_the_model_are_refused(settings: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        TrainSection.from_json(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "fcos_resnet18", "image_size": 64, "augment": {"mosaic": 0.5}},
        {"model": "resnet18", "image_size": 32, "label_smoothing": 0.1, "augment": {"mixup": 0.2}},
    ],
)
def test_settings_that_suit_the_model_are_taken(settings: dict[str, Any]) -> None:
    assert TrainSection(**settings).image_size == settings["image_size"]
