"""64-bit keys in place of names: half a million of them fit into a few megabytes."""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray


def hash64(text: str) -> int:
    """Return the first 64 bits of a text's BLAKE2b digest.

    Among 500,000 names the chance that any two collide is below 1e-8.
    """
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def shuffled(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Return keys whose order is random but for `seed`, whatever order they come in.

    This is the output function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a bijection,
    so distinct keys stay distinct.
    """
    mixed = keys ^ np.uint64(hash64(f"seed {seed}"))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
