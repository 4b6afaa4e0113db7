"""Distributions of a number over the images of each part, in memory of the distinct values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

QUARTILES: Final = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Distribution:
    """How often each value occurs.

    Attributes:
        values: (n,) distinct, ascending.
        counts: (parts, n).
    """

    values: NDArray[np.float64]
    counts: NDArray[np.int64]

    @property
    def total(self) -> NDArray[np.int64]:
        """(n,) counts over all parts."""
        whole: NDArray[np.int64] = self.counts.sum(axis=0)
        return whole

    def mapped(
        self, function: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    ) -> "Distribution":
        """Return the distribution of `function(value)`."""
        return tally(function(self.values), self.counts)

    def histogram(self, edges: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (parts, bins) counts; values beyond the edges fall into the outer bins."""
        inside = np.clip(self.values, edges[0], edges[-1])
        return np.array([np.histogram(inside, edges, weights=one)[0] for one in self.counts], float)


def distinct(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct of (n,) values, ascending, and how often each occurs.

    Several times faster than `np.unique`, which hashes or sorts without use of sorted runs.
    """
    ordered = np.sort(values, kind="stable")
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    return ordered[starts], np.diff(np.append(starts, ordered.size))


class Counting:
    """Builds a distribution of whole numbers batch by batch."""

    def __init__(self, parts: int) -> None:
        self._values = np.zeros(0, np.int64)
        self._counts = np.zeros((parts, 0), np.int64)

    def add(self, values: NDArray[np.int64], codes: NDArray[np.int64]) -> None:
        """Count values, each in the part that its code names."""
        found, _ = distinct(values)
        parts = len(self._counts)
        places = codes * found.size + np.searchsorted(found, values)
        counted = np.bincount(places, minlength=parts * found.size)
        union, _ = distinct(np.concatenate([self._values, found]))
        counts = np.zeros((parts, union.size), np.int64)
        counts[:, np.searchsorted(union, self._values)] = self._counts
        counts[:, np.searchsorted(union, found)] += counted.reshape(parts, found.size)
        self._values, self._counts = union, counts

    def distinct(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the (n,) values, ascending, and their (parts, n) counts."""
        return self._values, self._counts

    def distribution(self) -> Distribution:
        """Return what was counted."""
        return Distribution(self._values.astype(np.float64), self._counts)


def tally(values: NDArray[np.float64], counts: NDArray[np.int64]) -> Distribution:
    """Return the distribution of (n,) values, in any order, with their (parts, n) counts."""
    distinct, where = np.unique(values, return_inverse=True)
    summed = np.zeros((len(counts), distinct.size), np.int64)
    for part, row in enumerate(counts):
        np.add.at(summed[part], where, row)
    return Distribution(distinct, summed)


def of_sample(values: NDArray[np.float64], codes: NDArray[np.int64], parts: int) -> Distribution:
    """Return the distribution of (n,) measured values, each in the part its code names."""
    counts = np.zeros((parts, values.size), np.int64)
    counts[codes, np.arange(values.size)] = 1
    return tally(values, counts)


def summarize(values: NDArray[np.float64], weights: NDArray[np.int64]) -> dict[str, float | None]:
    """Return mean, standard deviation (of the images, not an estimate), quartiles and ends.

    A quartile is the smallest value that a quarter, a half or three quarters of the images do
    not exceed (NumPy's method `inverted_cdf`). All are None when there are no images.

    Args:
        values: (n,) ascending.
        weights: (n,) how often each occurs.
    """
    names = ("mean", "std", "min", "25 %", "median", "75 %", "max")
    total = int(weights.sum())
    if not total:
        return dict.fromkeys(names)
    seen = values[weights > 0]
    mean = float((values * weights).sum() / total)
    std = float(np.sqrt((weights * (values - mean) ** 2).sum() / total))
    ends = np.cumsum(weights)
    quartiles = [float(values[np.searchsorted(ends, total * share)]) for share in QUARTILES]
    return dict(zip(names, (mean, std, float(seen[0]), *quartiles, float(seen[-1])), strict=True))
