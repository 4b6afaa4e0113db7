"""Confidence intervals by resampling images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.evaluate.measured import Interval, Statistic

_BUDGET = 1_500_000_000  # array operations: a few seconds
_FEWEST = 100  # resamples
_GROUPS = 30  # with fewer groups than this, resampling them says little


@dataclass(frozen=True)
class Intervals:
    """Intervals by metric, and how they were made.

    Attributes:
        unit: what was drawn: "images", or "groups" of images that belong together.
    """

    by_metric: dict[str, Interval]
    resamples: int
    unit: str
    level: float


def bootstrap(
    statistic: Statistic,
    groups: Sequence[str],
    resamples: int,
    level: float,
    seed: int,
    cost: int = 0,
) -> Intervals:
    """Return percentile bootstrap intervals (Efron & Tibshirani 1993, chapter 13).

    Images of a group (near-duplicates, frames of one scene) are drawn together, because they
    are not independent and intervals would come out too narrow. With fewer than 30 groups
    images are drawn one by one.

    Args:
        statistic: metrics of a resample, given how often each image was drawn.
        groups: the group of each image.
        resamples: how many; lowered (not under 100) where one costs much.
        level: e.g. 0.95.
        seed: the same seed gives the same intervals.
        cost: array operations of one call of `statistic`.
    """
    names, members = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    unit = "groups" if _GROUPS <= len(names) < len(groups) else "images"
    if unit == "images":
        members = np.arange(len(groups))
    if cost:
        resamples = min(resamples, max(_FEWEST, _BUDGET // cost))
    if not resamples:
        return Intervals({}, 0, unit, level)
    count = int(members.max()) + 1
    rng = np.random.default_rng(seed)
    values: dict[str, list[float]] = {}
    for _ in range(resamples):
        drawn = np.bincount(rng.integers(0, count, count), minlength=count)
        for metric, value in statistic(drawn[members].astype(np.float64)).items():
            values.setdefault(metric, []).append(value)
    tails = [50 * (1 - level), 50 * (1 + level)]
    found = {}
    for metric, drawn_values in values.items():
        usable = np.asarray(drawn_values)[np.isfinite(drawn_values)]
        if len(usable):
            low, high = np.percentile(usable, tails)
            found[metric] = (float(low), float(high))
    return Intervals(found, resamples, unit, level)
