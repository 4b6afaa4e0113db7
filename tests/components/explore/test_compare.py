"""Tests of difference: SciPy's on the raw values, and the right words."""

import numpy as np
import pytest
from scipy import stats

from components.explore.compare import Difference, compare_shares, compare_values, holm
from components.explore.distribution import of_sample

RANDOM = np.random.default_rng(0)


def test_shares_are_compared_as_scipy_does() -> None:
    counts = np.array([[30, 70, 100], [50, 60, 40]])
    found = compare_shares("classes", counts)
    assert found is not None
    assert found.p == pytest.approx(stats.chi2_contingency(counts).pvalue)
    assert found.effect == pytest.approx(stats.contingency.association(counts, method="cramer"))
    assert found.verdict() == "they differ"


def test_equal_shares_do_not_differ() -> None:
    found = compare_shares("classes", np.array([[30, 60], [10, 20], [10, 20]]))
    assert found is not None
    assert (found.effect, found.p) == (0, 1)
    assert found.verdict() == "no difference found"


def test_a_difference_in_many_images_may_be_too_small_to_matter() -> None:
    found = compare_shares("classes", np.array([[500_000, 500_000], [51_000, 49_000]]))
    assert found is not None
    assert found.significant
    assert found.verdict() == "they differ, too little to matter"


@pytest.mark.parametrize("rare", [[1, 0], [3, 1], [4, 4]])
def test_rare_categories_are_pooled(rare: list[int]) -> None:
    counts = np.array([[*rare, 300, 200], [1, 1, 30, 20]])
    found = compare_shares("classes", counts)
    pooled = np.column_stack([counts[:, [0, 1, 3]].sum(axis=1), counts[:, 2]])
    assert found is not None
    assert found.p == pytest.approx(stats.chi2_contingency(pooled, correction=False).pvalue)


@pytest.mark.parametrize(
    "counts",
    [
        np.zeros((2, 0), int),
        np.array([[5, 0], [7, 0]]),
        np.array([[5, 6], [0, 0]]),
        np.array([[1, 1], [1, 1]]),
    ],
)
def test_nothing_to_compare_gives_nothing(counts: np.ndarray) -> None:
    assert compare_shares("classes", counts) is None


@pytest.mark.parametrize("sizes", [(40, 30), (900, 700)])
def test_values_are_compared_as_scipy_does(sizes: tuple[int, int]) -> None:
    left, right = RANDOM.normal(0, 1, sizes[0]), RANDOM.normal(0.1, 1.2, sizes[1])
    codes = np.repeat([0, 1], sizes)
    found = compare_values("size", of_sample(np.concatenate([left, right]), codes, 2))
    expected = stats.ks_2samp(left, right, method="exact" if sizes[0] < 100 else "asymp")
    assert found is not None
    assert found.effect == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)


def test_the_pair_that_differs_most_is_reported_and_corrected_for() -> None:
    values = np.concatenate(
        [RANDOM.normal(size=200), RANDOM.normal(size=200), RANDOM.normal(2, 1, 200)]
    )
    found = compare_values("size", of_sample(values, np.repeat([0, 1, 2], 200), 3))
    assert found is not None
    assert found.between is not None
    assert 2 in found.between
    one = values[200 * found.between[0] :][:200]
    assert found.p == pytest.approx(3 * stats.ks_2samp(one, values[400:], method="exact").pvalue)


def test_two_single_images_say_nothing() -> None:
    found = compare_values("size", of_sample(np.array([1.0, 9.0]), np.array([0, 1]), 2))
    assert found is not None
    assert not found.significant


@pytest.mark.parametrize(
    ("values", "codes"), [([3.0, 3.0], [0, 1]), ([1.0, 2.0], [0, 0]), ([], [])]
)
def test_one_value_or_one_part_is_not_compared(values: list[float], codes: list[int]) -> None:
    sample = of_sample(np.array(values), np.array(codes, int), 2)
    assert compare_values("size", sample) is None


def test_comparisons_are_corrected_for_their_number() -> None:
    # Holm (1979): the smallest times 3, then 2, then 1, never less than one before.
    found = holm([Difference(str(p), "", 0.5, p) for p in (0.03, 0.01, 0.04)])
    assert [one.p for one in found] == pytest.approx([0.06, 0.03, 0.06])


def test_chance_alone_is_rarely_taken_for_a_difference() -> None:
    alarms = 0
    for _ in range(200):
        sample = of_sample(RANDOM.normal(size=300), np.repeat([0, 1, 2], 100), 3)
        shares = RANDOM.multinomial(100, [0.2, 0.3, 0.5], size=3)
        tests = [compare_values("size", sample), compare_shares("classes", shares)]
        alarms += any(one.significant for one in holm([one for one in tests if one]))
    assert alarms <= 20  # 5 % are expected, 10 out of 200
