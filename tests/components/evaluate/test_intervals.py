"""Confidence intervals."""

import math

import numpy as np
import pytest

from components.evaluate.intervals import bootstrap
from components.evaluate.measured import Floats, Metrics

VALUES = np.random.default_rng(0).normal(5, 2, 400)
IDS = [str(index) for index in range(400)]


def _statistic(weights: Floats) -> Metrics:
    return {"mean": float(weights @ VALUES / weights.sum())}


def test_agrees_with_the_normal_interval_of_a_mean() -> None:
    found = bootstrap(_statistic, IDS, 2000, 0.95, seed=1)
    half = 1.96 * VALUES.std() / math.sqrt(len(VALUES))
    low, high = found.by_metric["mean"]
    assert low == pytest.approx(VALUES.mean() - half, abs=0.03)
    assert high == pytest.approx(VALUES.mean() + half, abs=0.03)
    assert (found.unit, found.resamples) == ("images", 2000)


def test_images_of_a_group_are_drawn_together() -> None:
    # Ten copies of each value: 400 images, but no more knowledge than 40.
    values = np.repeat(VALUES[:40], 10)

    def statistic(weights: Floats) -> Metrics:
        return {"mean": float(weights @ values / weights.sum())}

    groups = [str(index // 10) for index in range(400)]
    together = bootstrap(statistic, groups, 500, 0.95, seed=1)
    apart = bootstrap(statistic, IDS, 500, 0.95, seed=1)
    assert (together.unit, apart.unit) == ("groups", "images")
    width = np.ptp(together.by_metric["mean"]) / np.ptp(apart.by_metric["mean"])
    assert width == pytest.approx(math.sqrt(10), rel=0.15)


def test_few_groups_are_drawn_as_images() -> None:
    groups = [str(index % 5) for index in range(400)]
    assert bootstrap(_statistic, groups, 10, 0.95, seed=1).unit == "images"


def test_same_seed_same_interval() -> None:
    first, again, other = (bootstrap(_statistic, IDS, 50, 0.9, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_higher_level_is_wider() -> None:
    narrow, wide = (bootstrap(_statistic, IDS, 500, level, 1) for level in (0.8, 0.99))
    assert np.ptp(wide.by_metric["mean"]) > np.ptp(narrow.by_metric["mean"])


def test_costly_metrics_get_fewer_resamples_but_not_under_a_hundred() -> None:
    assert bootstrap(_statistic, IDS, 1000, 0.95, 1, cost=10**7).resamples == 150
    assert bootstrap(_statistic, IDS, 1000, 0.95, 1, cost=10**9).resamples == 100
    assert bootstrap(_statistic, IDS, 20, 0.95, 1, cost=10**9).resamples == 20


def test_no_resamples_no_intervals() -> None:
    assert bootstrap(_statistic, IDS, 0, 0.95, 1).by_metric == {}


def test_resamples_without_the_metric_are_left_out() -> None:
    def statistic(weights: Floats) -> Metrics:
        return {"never": math.nan, "once": 1.0 if weights[0] else math.nan}

    assert bootstrap(statistic, ["a", "b"], 50, 0.95, 1).by_metric == {"once": (1.0, 1.0)}
