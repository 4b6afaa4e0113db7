"""Histograms on fixed grids: what two runs saw can be compared, and batches add up."""

from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

_MOST_BINS = 4096


class Grid(BaseModel):
    """Bins of equal width between two ends, or (log2) between powers of two with equal ratio."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    scale: Literal["linear", "log2"]
    low: float = Field(description="lower end of the first bin; its logarithm for log2")
    high: float = Field(description="upper end of the last bin; its logarithm for log2")
    bins: int = Field(ge=1, le=_MOST_BINS)

    @property
    def edges(self) -> NDArray[np.float64]:
        """(bins + 1,) the bins' ends."""
        ends = np.linspace(self.low, self.high, self.bins + 1)
        return ends if self.scale == "linear" else np.exp2(ends)

    def count(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return how many values fall into each bin; those beyond an end count as at that end."""
        if self.scale == "log2":
            values = np.log2(np.maximum(values, np.exp2(self.low)))
        places = np.floor((values - self.low) * (self.bins / (self.high - self.low)))
        indices = np.clip(places, 0, self.bins - 1).astype(np.int64)
        return np.bincount(indices, minlength=self.bins)


class Histogram(BaseModel):
    """How many values fell into each bin of a grid, with the smallest and largest of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    grid: Grid
    counts: dict[int, int] = Field(description="bin to values in it; bins without are left out")
    lowest: float | None = None
    highest: float | None = None

    @model_validator(mode="after")
    def _bins_exist(self) -> Self:
        if any(not 0 <= index < self.grid.bins or n < 0 for index, n in self.counts.items()):
            raise ValueError("a bin is outside the grid, or its count is negative")
        return self

    @classmethod
    def of(cls, grid: Grid, values: NDArray[np.float64]) -> Self:
        """Count values; those that are not finite are left out."""
        values = values[np.isfinite(values)]
        counted = grid.count(values)
        return cls(
            grid=grid,
            counts={int(index): int(counted[index]) for index in np.flatnonzero(counted)},
            lowest=_rounded(values.min()) if values.size else None,
            highest=_rounded(values.max()) if values.size else None,
        )

    def __add__(self, other: "Histogram") -> "Histogram":
        """Return the histogram of both together; their grids are the same."""
        total = self.dense() + other.dense()
        ends = [one for one in (self.lowest, other.lowest) if one is not None]
        tops = [one for one in (self.highest, other.highest) if one is not None]
        return Histogram(
            grid=self.grid,
            counts={int(index): int(total[index]) for index in np.flatnonzero(total)},
            lowest=min(ends, default=None),
            highest=max(tops, default=None),
        )

    @property
    def total(self) -> int:
        """Values counted."""
        return sum(self.counts.values())

    def dense(self) -> NDArray[np.int64]:
        """(bins,) the counts, zeros written out."""
        found = np.zeros(self.grid.bins, np.int64)
        for index, number in self.counts.items():
            found[index] = number
        return found

    def quantile(self, share: float) -> float | None:
        """Return the value that a share of all does not exceed, between a bin's ends linearly."""
        if not self.total or self.lowest is None or self.highest is None:
            return None
        reached = np.concatenate([[0], np.cumsum(self.dense())])
        value = float(np.interp(share * self.total, reached, self.grid.edges))
        return min(max(value, self.lowest), self.highest)


def _rounded(value: float) -> float:
    """Six digits: more would not survive another way to the same number."""
    return float(f"{value:.6g}")
