"""Whether the splits differ, by tests of difference and by how much."""

import warnings
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from components.explore.distribution import Distribution

ALPHA: Final = 0.05  # family-wise error rate of all comparisons of a report
SMALL: Final = 0.1  # Cramér's V, or a distance of two distributions, that is of no consequence
_EXACT: Final = 100_000  # product of two samples' sizes up to which the probability is exact
_EXPECTED: Final = 5  # images a cell needs for the chi-square approximation (Cochran 1954)


@dataclass(frozen=True)
class Difference:
    """The result of a test.

    Attributes:
        what: the quantity.
        test: how it was tested.
        effect: Cramér's V, or the largest distance between two cumulative distributions; 0 to 1.
        p: probability of at least this difference by chance, if the splits were alike; after
            `holm`, corrected for the number of comparisons.
        between: the parts that differ most, indices; None for a test of all at once.
    """

    what: str
    test: str
    effect: float
    p: float
    between: tuple[int, int] | None = None

    @property
    def significant(self) -> bool:
        """Whether chance is an unlikely reason."""
        return self.p < ALPHA

    @property
    def matters(self) -> bool:
        """Whether the difference is both unlikely by chance and large enough to matter."""
        return self.significant and self.effect >= SMALL

    def verdict(self) -> str:
        """Say it in words."""
        if not self.significant:
            return "no difference found"
        return "they differ" if self.matters else "they differ, too little to matter"


def compare_shares(what: str, counts: NDArray[np.int64]) -> Difference | None:
    """Test whether parts have the same shares of categories (Pearson's chi-square).

    Rare categories are pooled until every cell expects at least five images. The effect is
    Cramér's V (Cramér 1946): the root of chi-square over its largest possible value.

    Args:
        what: the quantity.
        counts: (parts, categories) images.

    Returns:
        None where there is nothing to compare: fewer than two parts or categories with images.
    """
    table = _pooled(counts[counts.sum(axis=1) > 0])
    if min(table.shape) < 2:
        return None
    result = stats.chi2_contingency(table, correction=False)
    most = float(table.sum()) * (min(table.shape) - 1)
    return Difference(
        what, "chi-square", float(np.sqrt(result.statistic / most)), float(result.pvalue)
    )


def _pooled(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Join rare categories, the rarest first, until none expects too few images."""
    totals = counts.sum(axis=0)
    counts = counts[:, totals > 0][:, np.argsort(totals[totals > 0], kind="stable")]
    if not counts.size:
        return counts
    needed = _EXPECTED * counts.sum() / counts.sum(axis=1).min()
    sizes = counts.sum(axis=0)
    if sizes[0] >= needed:
        return counts
    # All that are too small, and as many more as it takes to make one that is large enough.
    enough = int(np.searchsorted(np.cumsum(sizes), needed)) + 1
    rare = max(int((sizes < needed).sum()), enough)
    return np.column_stack([counts[:, :rare].sum(axis=1), counts[:, rare:]])


def compare_values(what: str, found: Distribution) -> Difference | None:
    """Test whether a number is distributed alike in all parts (Kolmogorov-Smirnov, two-sided).

    Every pair of parts is compared; the pair with the smallest probability is reported, its
    probability multiplied by the number of pairs (Bonferroni). Equal values make the test
    cautious: it finds fewer differences than there are, never more.

    Returns:
        None where fewer than two parts have images, or all images have the same value.
    """
    if found.values.size < 2:
        return None
    with_images = [part for part, row in enumerate(found.counts) if row.sum()]
    pairs = list(combinations(with_images, 2))
    if not pairs:
        return None
    tested = [(*_kolmogorov_smirnov(found, *pair), pair) for pair in pairs]
    distance, p, between = min(tested, key=lambda one: (one[1], -one[0]))
    return Difference(what, "Kolmogorov-Smirnov", distance, min(p * len(pairs), 1.0), between)


def _kolmogorov_smirnov(found: Distribution, one: int, other: int) -> tuple[float, float]:
    """Return the distance of two parts, and its probability.

    That is exact for small samples; else the asymptotic one of `scipy.stats.ks_2samp`, from
    the counts, so that millions of values need not be held.
    """
    left, right = found.counts[one], found.counts[other]
    n, m = int(left.sum()), int(right.sum())
    if n * m <= _EXACT:
        values = (np.repeat(found.values, left), np.repeat(found.values, right))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # it may fall back to asymptotic
            result = stats.ks_2samp(*values, method="exact")
        return float(result.statistic), float(result.pvalue)
    distance = float(np.abs(np.cumsum(left) / n - np.cumsum(right) / m).max())
    p = float(stats.kstwo.sf(distance, round(n * m / (n + m))))
    return distance, min(max(p, 0.0), 1.0)


def holm(found: list[Difference]) -> list[Difference]:
    """Return the results with probabilities corrected for their number (Holm 1979)."""
    order = sorted(range(len(found)), key=lambda index: found[index].p)
    corrected = list(found)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(found[index].p * (len(found) - rank), 1.0))
        corrected[index] = replace(found[index], p=highest)
    return corrected
