"""The settings to search, checked against the train section; free of Optuna and torch."""

from collections.abc import Mapping

from components.shared.errors import UserError
from components.shared.task import Task
from components.shared.training.checks import check_settings
from components.shared.training.config import TrainSection
from components.shared.training.settings import lookup, override
from components.tune.config import RangeSection

Value = str | int | float

# A trial's length is tune.epochs; the others are no matter of how well a model learns.
_NOT_SEARCHED = ("epochs", "workers", "precision")


def own_values(
    space: Mapping[str, RangeSection], section: TrainSection, task: Task
) -> dict[str, Value]:
    """Return the config's own values of the settings to search.

    Raises:
        UserError: naming the key, if the space has a setting that train has not or that cannot
            be searched, values that train or the task does not take, or leaves out the config's
            own value, which the first trial tries.
    """
    return {key: _own(key, values, section, task) for key, values in space.items()}


def _own(key: str, values: RangeSection, section: TrainSection, task: Task) -> Value:
    where = f"tune.space.{key}"
    if key in _NOT_SEARCHED:
        raise UserError(f"{where}: not a setting to search; leave it out")
    try:
        own = lookup(section, key)
        for value in _ends(values, own):
            check_settings(override(section, {key: value}), task)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    if not isinstance(own, str | int | float):
        raise UserError(f"{where}: holds {type(own).__name__}, which cannot be searched")
    if not _contains(values, own):
        raise UserError(
            f"{where}: leaves out the config's own train.{key}, {own!r}, which the first trial "
            "tries; widen the space or change the setting"
        )
    return own


def _ends(values: RangeSection, own: object) -> list[Value]:
    """Return values that train must accept, if it is to accept all of the space."""
    if values.choices is not None:
        return list(values.choices)
    low, high = bounds(values)
    # A number between tells a setting of whole numbers from one of any.
    whole = is_whole(values, own)
    return [low, high] if whole else [low, high, low + (high - low) * 0.3819]


def _contains(values: RangeSection, own: Value) -> bool:
    if values.choices is not None:
        return own in values.choices
    low, high = bounds(values)
    return not isinstance(own, str) and low <= own <= high


def is_whole(values: RangeSection, own: object) -> bool:
    """Whether only whole numbers are drawn: asked for, or because the setting is one."""
    return values.integer or isinstance(own, int)


def bounds(values: RangeSection) -> tuple[float, float]:
    """Return the ends of a range of numbers."""
    assert values.low is not None and values.high is not None  # noqa: S101, PT018 -- or choices
    return values.low, values.high
