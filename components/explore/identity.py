"""Which images, contents and groups are there, and whether splits share any of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.explore.choose import hashes
from components.shared.table import NEAR_DUPLICATES

Hashes = NDArray[np.uint64]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True)
class Sets:
    """Sets of images that have something in common.

    Attributes:
        keys: (n,) hash of what each set has in common.
        sizes: (n,) images in it.
        shared: (n,) whether its images lie in more than one split.
    """

    keys: Hashes
    sizes: NDArray[np.int64]
    shared: NDArray[np.bool_]

    @property
    def repeated(self) -> int:
        """Images that are not the first of their set."""
        return int((self.sizes - 1).sum())

    @property
    def leaking(self) -> Hashes:
        """Keys of the sets that lie in more than one split."""
        return self.keys[self.shared]

    def largest(self, number: int) -> Hashes:
        """Return the keys of the largest sets of two or more images."""
        order = np.lexsort((self.keys, -self.sizes))
        return self.keys[order[self.sizes[order] > 1][:number]]


class Identities:
    """Collects what identifies images, in 33 bytes an image."""

    def __init__(self, splits: int, without: int | None) -> None:
        """Start with nothing; `without` is the code of images that have no split, if any."""
        self._without = without
        self._splits = splits
        self._parts: dict[str, list[Hashes]] = {"id": [], "content": [], "group": [], "alike": []}
        self._codes: list[NDArray[np.int8]] = []
        self._alike_codes: list[NDArray[np.int8]] = []

    def add(self, batch: pa.RecordBatch, ranks: Hashes, codes: NDArray[np.int64]) -> None:
        """Take the images of a batch; `ranks` are hashes of their ids."""
        self._parts["id"].append(ranks)
        self._parts["content"].append(hashes(batch["sha256"].to_pylist()))
        self._parts["group"].append(hashes(batch["group"].to_pylist()))
        self._codes.append(codes.astype(np.int8))
        names = pc.map_lookup(batch["attributes"], NEAR_DUPLICATES, "first")
        member = pc.is_valid(names).to_numpy(zero_copy_only=False)
        self._parts["alike"].append(hashes(names.drop_null().to_pylist()))
        self._alike_codes.append(codes[member].astype(np.int8))

    def distinct_ids(self) -> int:
        """Return how many different image ids there are."""
        return int(np.unique(_joined(self._parts["id"], np.uint64)).size)

    def contents(self) -> Sets:
        """Return the images by their bytes."""
        return self._sets("content", self._codes)

    def groups(self) -> Sets:
        """Return the images by their group."""
        return self._sets("group", self._codes)

    def near_duplicates(self) -> Sets:
        """Return the images that have a near-duplicate, by the set they form."""
        return self._sets("alike", self._alike_codes)

    def _sets(self, what: str, codes: list[NDArray[np.int8]]) -> Sets:
        keys = _joined(self._parts[what], np.uint64)
        order = np.argsort(keys, kind="stable")
        distinct, starts = np.unique(keys[order], return_index=True)
        if not distinct.size:
            return Sets(distinct, np.zeros(0, np.int64), np.zeros(0, np.bool_))
        part = _joined(codes, np.int8)[order]
        sizes = np.diff(np.append(starts, keys.size))
        # Images without a split are in none, so they can neither leak nor hide a leak.
        low = np.where(part == self._without, self._splits, part)
        high = np.where(part == self._without, -1, part)
        first, last = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
        return Sets(distinct, sizes, first < last)


def _joined(parts: Sequence[NDArray[Number]], kind: type[Number]) -> NDArray[Number]:
    return np.concatenate([np.zeros(0, kind), *parts])
