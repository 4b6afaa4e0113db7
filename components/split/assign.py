"""Which split a group goes to: shares met closely, in total and in each class."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_CHUNK: Final = 10_000  # groups turned into Python numbers at a time


@dataclass(frozen=True)
class Groups:
    """Groups of images to be assigned as wholes.

    Attributes:
        keys: (k,) uint64, distinct; the order of equals, and the only randomness.
        sizes: (k,) images in each.
        owners: (m,) the group each class count is of, sorted.
        classes: (m,) class numbers, 0…c-1.
        counts: (m,) images of that group that show that class.
    """

    keys: NDArray[np.uint64]
    sizes: NDArray[np.int64]
    owners: NDArray[np.integer]
    classes: NDArray[np.integer]
    counts: NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.keys)


def assign(groups: Groups, shares: Sequence[float]) -> NDArray[np.int8]:
    """Return the split of each group, as indices of `shares`.

    Stratification for multi-label data (Sechidis, Tsoumakas and Vlahavas, ECML 2011): groups are
    dealt out one by one, largest first, then those with the rarest class, then by key. Each goes
    where it raises the chi-square distance between the images assigned and the images wanted the
    least, summed over all images and over each of the group's classes. The result depends on
    sizes, classes and keys alone, not on the groups' order.

    A split left empty is given the smallest group of the fullest split, if there are as many
    groups as splits.

    Args:
        groups: what to assign.
        shares: positive, of images; their sum need not be 1.
    """
    wanted = np.array(shares) / np.sum(shares)
    totals = np.bincount(groups.classes, groups.counts).astype(np.float64)
    # Class counts and, as the last column, all images.
    targets = [[*(totals * share), groups.sizes.sum() * share] for share in wanted.tolist()]
    filled = [[0.0] * (len(totals) + 1) for _ in targets]
    order = _order(groups, totals)
    chosen = np.zeros(len(groups), np.int8)
    for group, parts in _parts(groups, order, len(totals)):
        costs = [
            sum(n * (2 * (full[c] - aim[c]) + n) / aim[c] for c, n in parts)
            for full, aim in zip(filled, targets, strict=True)
        ]
        split = costs.index(min(costs))
        for c, n in parts:
            filled[split][c] += n
        chosen[group] = split
    _fill_empty(chosen, groups.sizes, order, len(wanted))
    return chosen


def _order(groups: Groups, totals: NDArray[np.float64]) -> NDArray[np.int64]:
    """Large groups while there is room for them, then rare classes while there is choice."""
    rarest = np.full(len(groups), np.inf)
    np.minimum.at(rarest, groups.owners, totals[groups.classes])
    return np.lexsort((groups.keys, rarest, -groups.sizes))


def _parts(
    groups: Groups, order: NDArray[np.int64], whole: int
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield each group with its (class, images) pairs; the class `whole` stands for them all."""
    ends = np.cumsum(np.bincount(groups.owners, minlength=len(groups)))
    for start in range(0, len(order), _CHUNK):
        chunk = order[start : start + _CHUNK]
        spans = zip(chunk.tolist(), ends[chunk].tolist(), strict=True)
        starts = np.where(chunk > 0, ends[chunk - 1], 0).tolist()
        for (group, end), begin in zip(spans, starts, strict=True):
            classes = groups.classes[begin:end].tolist()
            counts = groups.counts[begin:end].tolist()
            parts = list(zip(classes, counts, strict=True))
            yield group, [*parts, (whole, int(groups.sizes[group]))]


def _fill_empty(
    chosen: NDArray[np.int8],
    sizes: NDArray[np.int64],
    order: NDArray[np.int64],
    splits: int,
) -> None:
    """Give each empty split a group: where groups are few and large, none may have fitted."""
    if len(chosen) < splits:
        return
    for split in range(splits):
        if (chosen == split).any():
            continue
        images = np.bincount(chosen, sizes, minlength=splits)
        images[np.bincount(chosen, minlength=splits) < 2] = 0
        fullest = int(images.argmax())
        last = order[chosen[order] == fullest][-1]  # the order ends with the smallest
        chosen[last] = split
