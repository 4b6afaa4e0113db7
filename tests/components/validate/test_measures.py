"""The distances between distributions, against values worked out by hand and by SciPy."""

from math import log, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, ks_2samp

from components.validate.measures import (
    chi_square_p,
    cramers_v,
    kolmogorov_smirnov,
    population_stability_index,
    quantile_bins,
)


def counts(*values: float) -> NDArray[np.float64]:
    return np.array(values, float)


def test_the_stability_index_is_its_formula_less_what_chance_gives() -> None:
    before, now = counts(5_000_000, 5_000_000), counts(7_000_000, 3_000_000)
    by_hand = 0.2 * log(7 / 5) + -0.2 * log(3 / 5)
    assert population_stability_index(before, now) == pytest.approx(by_hand, abs=1e-5)
    assert population_stability_index(before, before) == 0
    # (bins - 1)(1 / n + 1 / m), of which nothing is left here
    assert population_stability_index(counts(10, 10), counts(12, 8)) == 0


def test_an_empty_bin_gives_a_large_index_and_no_error() -> None:
    assert population_stability_index(counts(100, 0), counts(0, 100)) > 5


def test_cramers_v_does_not_depend_on_which_run_is_larger() -> None:
    before, now = counts(50, 50) * 1e6, counts(70, 30) * 1e6
    by_hand = sqrt((0.2**2 / 1.2 + 0.2**2 / 0.8) / 2)
    assert cramers_v(before, now) == pytest.approx(by_hand, abs=1e-5)
    assert cramers_v(before, now / 100) == pytest.approx(by_hand, abs=1e-4)
    assert cramers_v(counts(1e9, 0), counts(0, 1e9)) == pytest.approx(1)
    assert cramers_v(before, before) == 0


def test_the_chi_square_test_is_scipys_where_no_cell_is_rare() -> None:
    before, now = counts(30, 50, 20), counts(40, 30, 30)
    expected = chi2_contingency([before, now], correction=False).pvalue
    assert chi_square_p(before, now) == pytest.approx(expected)


def test_rare_cells_are_pooled() -> None:
    before, now = counts(1, 0, 2, 60, 1, 40), counts(0, 1, 2, 40, 2, 60)
    pooled = [[63, 41], [43, 62]]  # the first four hold enough together, as the last two do
    expected = chi2_contingency(pooled, correction=False).pvalue
    assert chi_square_p(before, now) == pytest.approx(expected)
    assert chi_square_p(counts(1, 1), counts(0, 2)) == 1


def test_the_kolmogorov_smirnov_distance_is_scipys_on_whole_numbers() -> None:
    chance = np.random.default_rng(0)
    first, second = chance.integers(0, 30, 400), chance.integers(2, 33, 300)
    expected = ks_2samp(first, second, method="asymp")
    distance, p = kolmogorov_smirnov(
        np.bincount(first, minlength=40).astype(float),
        np.bincount(second, minlength=40).astype(float),
    )
    assert distance == pytest.approx(expected.statistic)
    assert p == pytest.approx(expected.pvalue, rel=0.3)


def test_bins_hold_a_tenth_each_and_spikes_stay_alone() -> None:
    even = quantile_bins(counts(*[0] * 5, *[1] * 100, *[0] * 5))
    assert even.tolist() == [0, *range(5, 105, 10), 105]
    spike = quantile_bins(counts(0, 0, 50, 0, 0, 50, 0))
    assert spike.tolist() == [0, 2, 3, 5, 6]


def test_one_size_is_told_from_another_beside_it() -> None:
    before, now = counts(0, 0, 500, 0, 0, 0), counts(0, 0, 0, 500, 0, 0)
    starts = quantile_bins(before)
    apart = population_stability_index(
        np.add.reduceat(before, starts), np.add.reduceat(now, starts)
    )
    assert apart > 5
