"""How far two distributions are apart, and whether chance explains it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, kstwobign

PARTS: Final = 10  # bins of a population stability index, as is customary
_EXPECTED: Final = 5  # fewest expected in a cell for a chi-square test (Cochran 1954)

Counts = NDArray[np.float64]


def quantile_bins(before: Counts) -> NDArray[np.int64]:
    """Return where bins of about a tenth of the values each begin, on a finer grid.

    A grid bin that holds a tenth by itself stays alone, and what lies below and above all values
    has bins of its own: a distribution of one size can be told from one of another.
    """
    limit = before.sum() / PARTS
    filled = np.flatnonzero(before)
    if not filled.size:
        return np.zeros(1, np.int64)
    starts = {0, int(filled[0]), int(filled[-1]) + 1}
    held = 0.0
    for index in range(int(filled[0]), int(filled[-1]) + 1):
        alone = before[index] >= limit
        if alone or held + before[index] > limit:
            starts.add(index)
            held = 0.0
        held += before[index]
        if alone:
            starts.add(index + 1)
            held = 0.0
    return np.array(sorted(start for start in starts if start < before.size), np.int64)


def population_stability_index(before: Counts, now: Counts) -> float:
    """Return the sum of (q - p) ln(q / p) over bins, 0 for equal shares p and q.

    Half a value is added to each bin, so that an empty one has a share, and what chance alone
    gives on average is taken off: (bins - 1)(1 / n + 1 / m), after Yurdakul and Naranjo,
    "Statistical properties of the population stability index" (2020). Never below 0.
    """
    p = (before + 0.5) / (before.sum() + 0.5 * before.size)
    q = (now + 0.5) / (now.sum() + 0.5 * now.size)
    return max(float(((q - p) * np.log(q / p)).sum()) - _by_chance(before, now), 0.0)


def cramers_v(before: Counts, now: Counts) -> float:
    """Return Cramér's V, 0 (same shares) to 1 (nothing in common), of two rows of counts.

    Both rows weigh the same, so that it does not depend on which run has more images; what
    chance alone gives on average is taken off, as in the index above.
    """
    p, q = before / before.sum(), now / now.sum()
    both = p + q
    square = float(((p - q) ** 2 / np.where(both, both, 1)).sum()) / 2
    return float(np.sqrt(max(square - _by_chance(before, now) / 4, 0.0)))


def chi_square_p(before: Counts, now: Counts) -> float:
    """Return the p-value of a chi-square test of homogeneity, neighbouring rare bins pooled."""
    pooled = _pooled(np.stack([before, now]).astype(float))
    if pooled.shape[1] < 2:
        return 1.0
    return float(chi2_contingency(pooled, correction=False).pvalue)


def kolmogorov_smirnov(before: Counts, now: Counts) -> tuple[float, float]:
    """Return the largest distance of the cumulated shares, and its asymptotic p-value.

    On bins both err on the side of no difference.
    """
    n, m = before.sum(), now.sum()
    distance = float(np.abs(np.cumsum(before) / n - np.cumsum(now) / m).max())
    return distance, float(kstwobign.sf(distance * np.sqrt(n * m / (n + m))))


def _by_chance(before: Counts, now: Counts) -> float:
    bins = int(((before + now) > 0).sum())
    return (bins - 1) * float(1 / before.sum() + 1 / now.sum())


def _pooled(table: Counts) -> Counts:
    """Join neighbouring columns until each has enough; what is left joins the last."""
    rows = table.sum(axis=1, keepdims=True)
    expected = table.sum(axis=0) * float(rows.min()) / float(rows.sum())
    starts, held = [0], 0.0
    for index, value in enumerate(expected):
        if held >= _EXPECTED:
            starts.append(index)
            held = 0.0
        held += value
    if held < _EXPECTED and len(starts) > 1:
        starts.pop()
    joined: Counts = np.add.reduceat(table, starts, axis=1)
    return joined
