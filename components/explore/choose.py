"""Which images are drawn: a seeded choice that does not depend on the order of the rows."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from components.shared.hashing import hash64


def hashes(texts: list[str], seed: int | None = None) -> NDArray[np.uint64]:
    """Return the hash of each text; other seeds give other, unrelated numbers."""
    salt = b"" if seed is None else seed.to_bytes(8, "big", signed=True)
    return np.fromiter((hash64(text, salt) for text in texts), np.uint64, len(texts))


_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: spreads numbers


class Choice:
    """Keeps the `number` images of each category whose ranks are smallest, batch by batch."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._categories = np.zeros(0, np.int64)
        self._ranks = np.zeros(0, np.uint64)
        self._ids = np.zeros(0, object)

    def add(
        self, categories: NDArray[np.int64], ranks: NDArray[np.uint64], ids: NDArray[np.object_]
    ) -> None:
        """Offer (n,) images. One that shows several categories is offered for each."""
        # Other ranks for each category: else one image would be an example of all its classes.
        ranks = ranks ^ (categories.astype(np.uint64) * _GOLDEN)
        categories = np.concatenate([self._categories, categories])
        ranks = np.concatenate([self._ranks, ranks])
        ids = np.concatenate([self._ids, ids])
        order = np.lexsort((ranks, categories))
        ordered = categories[order]
        starts = np.searchsorted(ordered, ordered)  # where each one's category begins
        kept = order[np.arange(order.size) - starts < self._number]
        self._categories, self._ranks, self._ids = categories[kept], ranks[kept], ids[kept]

    def of(self, category: int = 0) -> list[str]:
        """Return the ids kept of a category, the smallest rank first."""
        chosen: list[str] = self._ids[self._categories == category].tolist()
        return chosen
