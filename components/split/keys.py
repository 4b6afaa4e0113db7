"""64-bit keys in place of names: half a million of them fit into a few megabytes."""

import numpy as np
from numpy.typing import NDArray

from components.shared.hashing import hash64


def shuffled(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Return keys whose order is random but for `seed`, whatever order they come in.

    This is the output function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): a bijection,
    so distinct keys stay distinct.
    """
    mixed = keys ^ np.uint64(hash64(f"seed {seed}"))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
