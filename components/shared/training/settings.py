"""Change single settings of a train section by dotted key."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from components.shared.config import explain
from components.shared.errors import UserError
from components.shared.training.config import TrainSection


def override(section: TrainSection, values: Mapping[str, object]) -> TrainSection:
    """Return the section with some settings replaced, checked as the config's own are.

    Args:
        section: the settings to start from.
        values: by dotted key, e.g. `{"learning_rate": 0.01, "augment.mixup": 0.2}`.

    Raises:
        UserError: naming each key that is unknown, or whose value is out of range.
    """
    changed = section.model_dump()
    for key, value in values.items():
        _place(changed, key, value)
    try:
        return TrainSection.model_validate(changed)
    except ValidationError as error:
        raise UserError(f"hyperparameters: {explain(error, TrainSection)}") from None


def lookup(section: TrainSection, key: str) -> Any:
    """Return the setting at a dotted key.

    Raises:
        UserError: if there is none.
    """
    # Placing the value it finds checks the key as well, and names the nearest known one.
    current: Any = section.model_dump()
    for part in key.split("."):
        current = current.get(part) if isinstance(current, dict) else None
    override(section, {key: current})
    return current


def _place(settings: dict[str, Any], key: str, value: object) -> None:
    *parents, name = key.split(".")
    for parent in parents:
        inner = settings.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise UserError(f"hyperparameters: {key}: '{parent}' has no settings inside")
        settings = inner
    settings[name] = value
