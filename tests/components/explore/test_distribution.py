"""Distributions agree with NumPy on the values themselves."""

import numpy as np
import pytest

from components.explore.distribution import Counting, distinct, of_sample, summarize


def test_counting_in_batches_is_counting_at_once() -> None:
    random = np.random.default_rng(0)
    values, codes = random.integers(0, 50, 1000), random.integers(0, 3, 1000)
    counting = Counting(3)
    for start in range(0, 1000, 130):
        counting.add(values[start : start + 130], codes[start : start + 130])
    counting.add(values[:0], codes[:0])
    found = counting.distribution()
    for part in range(3):
        np.testing.assert_array_equal(
            found.counts[part], [(values[codes == part] == one).sum() for one in found.values]
        )


def test_distinct_is_numpys_unique() -> None:
    values = np.random.default_rng(1).integers(-5, 5, 100)
    for some in (values, values[:1], values[:0]):
        for ours, theirs in zip(distinct(some), np.unique(some, return_counts=True), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_summaries_are_numpys() -> None:
    values = np.array([0, 1, 1, 2, 3, 5, 8, 13, 21])
    distinct_values, counts = distinct(values)
    found = summarize(distinct_values.astype(float), counts)
    quartiles = np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf")
    assert [found[key] for key in ("25 %", "median", "75 %")] == quartiles.tolist()
    assert found["mean"] == pytest.approx(values.mean())
    assert found["std"] == pytest.approx(values.std())
    assert (found["min"], found["max"]) == (0, 21)
    assert set(summarize(distinct_values.astype(float), 0 * counts).values()) == {None}


def test_histograms_put_what_lies_beyond_into_the_outer_bins() -> None:
    found = of_sample(np.array([-1.0, 0.2, 0.7, 9.0]), np.array([0, 0, 1, 1]), 2)
    assert found.histogram(np.array([0.0, 0.5, 1.0])).tolist() == [[2, 0], [0, 2]]


def test_mapping_joins_values_that_become_equal() -> None:
    found = of_sample(np.array([-2.0, 1.0, 2.0]), np.array([0, 1, 1]), 2).mapped(np.abs)
    assert found.values.tolist() == [1, 2]
    assert found.counts.tolist() == [[0, 1], [1, 1]]
