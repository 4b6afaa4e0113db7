"""Draw the settings of a trial by Optuna."""

from collections.abc import Mapping
from typing import cast

import optuna

from components.tune.config import RangeSection
from components.tune.ranges import Value, bounds, is_whole


def suggest(
    trial: optuna.Trial, space: Mapping[str, RangeSection], own: Mapping[str, Value]
) -> dict[str, Value]:
    """Draw a value for every key of the space."""
    return {key: _suggest(trial, key, values, own[key]) for key, values in space.items()}


def _suggest(trial: optuna.Trial, key: str, values: RangeSection, own: Value) -> Value:
    if values.choices is not None:
        return cast(Value, trial.suggest_categorical(key, values.choices))
    low, high = bounds(values)
    if is_whole(values, own):
        return int(trial.suggest_int(key, int(low), int(high), log=values.log))
    return float(trial.suggest_float(key, low, high, log=values.log))
