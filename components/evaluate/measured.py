"""What the evaluation of any task hands to gate, report and artifacts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Metrics = dict[str, float]
Interval = tuple[float, float]

# Metrics of a resample: how often each image was drawn (n,) to `{metric: value}`.
Statistic = Callable[[Floats], Metrics]


@dataclass(frozen=True)
class Confusion:
    """Counts of images by truth (rows) and prediction (columns)."""

    labels: list[str]
    matrix: Integers


@dataclass(frozen=True)
class Measured:
    """Measurements on the test images.

    Attributes:
        metrics: finite numbers by name; one that cannot be computed is left out.
        statistic: the headline metrics of a resample, for confidence intervals.
        losses: (n,) how wrong each image is, for the gallery; larger is worse.
        rows: one dict a class or count, in the order of the report.
        thresholds: chosen on val.
        cost: operations of one call of `statistic`, roughly; limits the resamples.
        curves: arrays the plots need, by name.
    """

    metrics: Metrics
    statistic: Statistic
    losses: Floats
    rows: list[dict[str, Any]]
    confusion: Confusion | None = None
    thresholds: Metrics = field(default_factory=dict)
    cost: int = 0
    curves: dict[str, Any] = field(default_factory=dict)


def finite(metrics: Metrics) -> Metrics:
    """Leave out what could not be computed, so that a gate finds it missing."""
    return {name: float(value) for name, value in metrics.items() if np.isfinite(value)}
