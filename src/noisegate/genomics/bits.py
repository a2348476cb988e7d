"""How many bits of a word are set, for compiled loops.

TRUSTED: people's places in words are found by it. PROOFS.md, "Perturbation".
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def popcount(word):  # type: ignore[no-untyped-def]
    """Return how many bits of a uint64 are set. Compilers know this form for their own instruction."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)
