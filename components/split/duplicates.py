"""Near-duplicate images, found without comparing every image with every other.

Candidates have perceptual hashes that differ in few bits; each is then confirmed on its
thumbnails, because the hash alone takes white airplanes on blue sky for one picture.
"""

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
_PAIRS: Final = 1024  # confirmed at a time: bounds the memory
_PIXELS: Final = EDGE * EDGE

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
        found.join_equal(digests)
        if not len(keys):
            return found
        thumbnails = np.memmap(file, np.uint8, "r", shape=(len(keys), EDGE, EDGE))
        # One image stands for all with equal thumbnails: a thousand blank ones cost nothing.
        _, first = np.unique(digests, return_index=True)
        for left, right in _gathered(near_pairs(hashes[first], distance)):
            _confirm(found, first[left], first[right], thumbnails)
    return found


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
    """Yield all pairs of indices with equal keys, in arrays no longer than `keys`."""
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    at = np.arange(len(keys))
    for step in range(1, len(keys)):
        at = at[at + step < len(keys)]
        at = at[ranked[at] == ranked[at + step]]
        if not at.size:
            return
        yield order[at], order[at + step]


def _store(
    keys: NDArray[np.uint64], fingerprints: Iterable[Fingerprints], file: BinaryIO
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Put thumbnails into the file, by row; return the hashes and digests by row."""
    order = np.argsort(keys)
    ranked = keys[order]
    hashes = np.zeros(len(keys), np.uint64)
    digests = keys.copy()  # what cannot be read stays alone
    seen = np.zeros(len(keys), np.bool_)
    file.truncate(len(keys) * _PIXELS)
    for part in fingerprints:
        place = np.minimum(np.searchsorted(ranked, part.keys), len(keys) - 1)
        if not len(keys) or (ranked[place] != part.keys).any():
            raise UserError(
                "images: the shards hold images that the table does not list; "
                "both must come from the same run of ingest"
            )
        rows = order[place]
        seen[rows] = True
        readable = rows[part.readable]
        hashes[readable] = part.hashes[part.readable]
        digests[readable] = part.digests[part.readable]
        for row, thumbnail in zip(rows, part.thumbnails, strict=True):
            file.seek(int(row) * _PIXELS)
            file.write(thumbnail.tobytes())
    if not seen.all():
        raise UserError(
            f"images: {int((~seen).sum()):,} images of the table have no bytes in the shards; "
            "both must come from the same run of ingest"
        )
    file.flush()
    return hashes, digests


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
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    thumbnails: NDArray[np.uint8],
) -> None:
    """Join those candidate pairs whose thumbnails agree."""
    for start in range(0, left.size, _PAIRS):
        a, b = left[start : start + _PAIRS], right[start : start + _PAIRS]
        apart = found.labels[a] != found.labels[b]
        a, b = a[apart], b[apart]
        if not a.size:
            continue
        same = similarity(thumbnails[a], thumbnails[b]) >= SAME
        found.join(a[same], b[same])
