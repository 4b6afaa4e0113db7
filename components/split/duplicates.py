"""Near-duplicate images, found without comparing every image with every other.

Candidates have perceptual hashes that differ in few bits; each is then confirmed on its
thumbnails, because the hash alone takes white airplanes on blue sky for one picture.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import combinations, pairwise
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from components.shared.errors import UserError
from components.split.components import Components
from components.split.fingerprints import EDGE, Fingerprints
from components.split.similarity import SAME, similarity

HASH_BITS: Final = 64
_INTACT: Final = 3  # bands that must agree; more bands mean more sorts and fewer false pairs
_PAIRS: Final = 1024  # joined at a time: joining costs time by the call
_COMPARED: Final = 128  # pairs compared at a time, at some 40 KiB each: bounds the memory
_PIXELS: Final = EDGE * EDGE
_SORTED: Final = 65_536  # hashes sorted at a time
_MIXER: Final = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio, odd

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def near_duplicates(
    keys: NDArray[np.uint64], fingerprints: Iterable[Fingerprints], distance: int
) -> Components:
    """Return the images as components, each of pictures that are near-duplicates.

    Thumbnails wait in a file (1 KiB an image), so memory grows by some 30 bytes an image.

    Args:
        keys: (n,) `hash64` of the images' ids, in the table's order, distinct.
        fingerprints: of all those images, in any order.
        distance: bits by which two near-duplicates' hashes may differ at most.

    Raises:
        UserError: if an image has no bytes, or bytes have no image in the table.
    """
    with tempfile.TemporaryFile(prefix="thumbnails-") as file:
        hashes, digests = _store(keys, fingerprints, file)
        found = Components(len(keys))
        if not len(keys):
            return found
        found.join_equal(digests)
        thumbnails = _Thumbnails(file)
        # One image stands for all with equal thumbnails: a thousand blank ones cost nothing.
        first = found.first_rows()
        del digests
        for left, right in _gathered(near_pairs(hashes[first], distance)):
            _confirm(found, first[left], first[right], thumbnails)
    return found


class _Thumbnails:
    """Thumbnails in a file, by row. Read, not mapped: pages of a map count as memory in use."""

    def __init__(self, file: BinaryIO) -> None:
        self._number = file.fileno()

    def write(self, row: int, thumbnail: NDArray[np.uint8]) -> None:
        os.pwrite(self._number, thumbnail.tobytes(), row * _PIXELS)

    def read(self, rows: NDArray[np.integer]) -> NDArray[np.uint8]:
        found = [os.pread(self._number, _PIXELS, row * _PIXELS) for row in rows.tolist()]
        return np.frombuffer(b"".join(found), np.uint8).reshape(-1, EDGE, EDGE)


def near_pairs(hashes: NDArray[np.uint64], distance: int) -> Iterator[Pairs]:
    """Yield all pairs of indices whose hashes differ in at most `distance` bits, once each.

    The pigeonhole search of Manku, Jain and Das Sarma (WWW 2007): of `distance + 3` bands of
    bits at least three are equal in such a pair, so it meets when sorted by those three.
    """
    bands = _bands(distance + _INTACT)
    for chosen in combinations(range(len(bands)), _INTACT):
        mask = np.bitwise_or.reduce(bands[list(chosen)])
        # A pair that agrees in more than three bands would be met again: only its first three
        # count, so every other band before the last chosen one has to differ.
        differ = [band for i, band in enumerate(bands[: chosen[-1]]) if i not in chosen]
        for left, right in _equal(hashes & mask):
            delta = hashes[left] ^ hashes[right]
            new = np.bitwise_count(delta) <= distance
            for band in differ:
                new &= (delta & band) != 0
            if new.any():
                yield left[new], right[new]


def _bands(count: int) -> NDArray[np.uint64]:
    """Return `count` masks of (nearly) equally many neighbouring bits, together all bits."""
    edges = [HASH_BITS * i // count for i in range(count + 1)]
    masks = [(1 << high) - (1 << low) for low, high in pairwise(edges)]
    return np.array(masks, np.uint64)


def _equal(keys: NDArray[np.uint64]) -> Iterator[Pairs]:
    """Yield all pairs of indices with equal keys, in arrays no longer than `keys`.

    Keys are sorted some at a time, equal ones together: sorting takes several times the memory
    of what is sorted.
    """
    lots = -(-len(keys) // _SORTED)
    # The high bits of a product with an odd number depend on all bits (Knuth, TAOCP 6.4).
    lot = (keys * _MIXER >> np.uint64(32)) * np.uint64(lots) >> np.uint64(32)
    lot = lot.astype(np.uint32)
    for number in range(lots):
        yield from _equal_among(keys, np.flatnonzero(lot == number))


def _equal_among(keys: NDArray[np.uint64], some: NDArray[np.int64]) -> Iterator[Pairs]:
    order = some[np.argsort(keys[some], kind="stable")]
    ranked = keys[order]
    at = np.flatnonzero(ranked[1:] == ranked[:-1])
    for step in range(1, len(order)):
        if not at.size:
            return
        yield order[at], order[at + step]
        at = at[at + step + 1 < len(order)]
        at = at[ranked[at] == ranked[at + step + 1]]


def _store(
    keys: NDArray[np.uint64], fingerprints: Iterable[Fingerprints], file: BinaryIO
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Put thumbnails into the file, by row; return the hashes and digests by row."""
    hashes = np.zeros(len(keys), np.uint64)
    digests = keys.copy()  # what cannot be read stays alone
    seen = np.zeros(len(keys), np.bool_)
    thumbnails = _Thumbnails(file)
    for part, rows in _located(keys, fingerprints):
        seen[rows] = True
        readable = rows[part.readable]
        hashes[readable] = part.hashes[part.readable]
        digests[readable] = part.digests[part.readable]
        for row, thumbnail in zip(rows.tolist(), part.thumbnails, strict=True):
            thumbnails.write(row, thumbnail)
    if not seen.all():
        raise UserError(
            f"images: {int((~seen).sum()):,} images of the table have no bytes in the shards; "
            "both must come from the same run of ingest"
        )
    return hashes, digests


def _located(
    keys: NDArray[np.uint64], fingerprints: Iterable[Fingerprints]
) -> Iterator[tuple[Fingerprints, NDArray[np.int64]]]:
    """Yield fingerprints with their images' rows in the table.

    Shards usually have the table's order; only where they have not, an index of it is made.
    """
    order: NDArray[np.int64] | None = None
    start = 0
    for part in fingerprints:
        rows = np.arange(start, start + part.keys.size)
        start += part.keys.size
        if not np.array_equal(keys[start - rows.size : start], part.keys):
            order = np.argsort(keys) if order is None else order
            place = np.searchsorted(keys, part.keys, sorter=order)
            rows = order[np.minimum(place, len(keys) - 1)] if len(keys) else order
        if rows.size != part.keys.size or (keys[rows] != part.keys).any():
            raise UserError(
                "images: the shards hold images that the table does not list; "
                "both must come from the same run of ingest"
            )
        yield part, rows


def _gathered(pairs: Iterable[Pairs]) -> Iterator[Pairs]:
    """Regroup pairs into arrays of at least `_PAIRS`, because joining costs time by the call."""
    waiting: list[Pairs] = []
    size = 0
    for pair in pairs:
        waiting.append(pair)
        size += pair[0].size
        if size >= _PAIRS:
            yield _concatenated(waiting)
            waiting, size = [], 0
    if waiting:
        yield _concatenated(waiting)


def _concatenated(pairs: list[Pairs]) -> Pairs:
    return np.concatenate([one[0] for one in pairs]), np.concatenate([one[1] for one in pairs])


def _confirm(
    found: Components,
    left: NDArray[np.integer],
    right: NDArray[np.integer],
    thumbnails: _Thumbnails,
) -> None:
    """Join those candidate pairs whose thumbnails agree."""
    for start in range(0, left.size, _PAIRS):
        a, b = left[start : start + _PAIRS], right[start : start + _PAIRS]
        apart = found.labels[a] != found.labels[b]
        a, b = a[apart], b[apart]
        if not a.size:
            continue
        spans = [slice(i, i + _COMPARED) for i in range(0, a.size, _COMPARED)]
        likeness = [similarity(thumbnails.read(a[s]), thumbnails.read(b[s])) for s in spans]
        same = np.concatenate(likeness) >= SAME
        found.join(a[same], b[same])
