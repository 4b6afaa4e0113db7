"""Which images belong together: connected components over the rows of a table."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


class Components:
    """A partition of rows 0…n-1 that only ever grows coarser.

    Attributes:
        labels: the component of each row, int32, numbered from 0 without gaps.
    """

    def __init__(self, rows: int) -> None:
        self.labels: NDArray[np.int32] = np.arange(rows, dtype=np.int32)

    def __len__(self) -> int:
        return int(self.labels.max()) + 1 if self.labels.size else 0

    def join(self, left: NDArray[np.integer], right: NDArray[np.integer]) -> None:
        """Put row `left[i]` and row `right[i]` into one component, for every i."""
        if not left.size:
            return
        count = len(self)
        edges = (self.labels[left], self.labels[right])
        graph = coo_array((np.ones(left.size, np.int8), edges), shape=(count, count))
        _, merged = connected_components(graph, directed=False)
        self.labels = merged.astype(np.int32)[self.labels]

    def join_equal(self, keys: NDArray[np.generic]) -> None:
        """Put all rows with the same key into one component; `keys` has one entry a row."""
        order = np.argsort(keys, kind="stable")
        same = keys[order[1:]] == keys[order[:-1]]
        self.join(order[:-1][same], order[1:][same])

    def first_rows(self) -> NDArray[np.int32]:
        """Return the first row of each component."""
        rows = np.arange(self.labels.size, dtype=np.int32)
        first = np.empty(len(self), np.int32)
        first[self.labels[::-1]] = rows[::-1]  # of several rows the last one written stays
        return first

    def sizes(self) -> NDArray[np.int64]:
        """Return the number of rows in each component."""
        return np.bincount(self.labels, minlength=len(self))
