"""Chromosomes of which a person has one copy: X in men, Y and MT in everybody who has one.

Two bits hold a count of 0, 1 or 2. A call of one copy is kept as two of it, as PLINK does, so it is 0 or 2; a
heterozygous call of one copy cannot be right (a mistake in typing, or in the sex) and is set to missing. X is
diploid in women, where the sex is not given, and in its pseudo-autosomal regions (chromosome XY, or X at
their positions where the build is known).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noisegate.genotypes.packed import Block, Words, words_of
from noisegate.genotypes.variants import Variants, assembly

DIPLOID, IN_MEN, IN_ALL = 0, 1, 2
# Genome Reference Consortium, pseudo-autosomal regions of X, first and last position.
_PAR = {
    "GRCh37": ((60_001, 2_699_520), (154_931_044, 155_260_560)),
    "GRCh38": ((10_001, 2_781_479), (155_701_383, 156_030_895)),
}


def copies(variants: Variants, build: str) -> NDArray[np.int8]:
    """Say who has one copy of each variant: DIPLOID (nobody), IN_MEN or IN_ALL, int8 of shape (variants,)."""
    return of_contigs(*variants.contigs, variants.pos, build)


def of_contigs(
    names: Sequence[str], which: NDArray[np.integer[Any]], pos: NDArray[np.int32], build: str
) -> NDArray[np.int8]:
    """Say the same of variants on the `which`-th of chromosomes, by their one name, at some positions."""
    kind = {"X": IN_MEN, "Y": IN_ALL, "MT": IN_ALL}
    found: NDArray[np.int8] = np.array([kind.get(name, DIPLOID) for name in names], np.int8)[which]
    for first, last in _PAR.get(assembly(build), ()):
        found[(found == IN_MEN) & (pos >= first) & (pos <= last)] = DIPLOID
    return found


def mask(people: NDArray[np.bool_]) -> Words:
    """Return some people, bool of shape (people,), as the bits of words, uint64 of shape (words,)."""
    padded = np.zeros(words_of(len(people)) * 64, dtype=bool)
    padded[: len(people)] = people
    return np.packbits(padded, bitorder="little").view("<u8").astype(np.uint64)


def settle(block: Block, copies: NDArray[np.int8], men: Words) -> Block:
    """Return the calls with heterozygous calls of one copy set to missing. Others are not touched.

    Args:
        block: some variants.
        copies: int8, shape (variants,), as `copies` gives for these variants.
        men: who is known to have one X, as `mask` gives.
    """
    rows = np.flatnonzero(copies)
    if not len(rows):
        return block
    hi, lo = block.hi.copy(), block.lo.copy()
    who = np.where((copies[rows] == IN_ALL)[:, None], np.uint64(2**64 - 1), men[None, :])
    wrong = lo[rows] & ~hi[rows] & who
    hi[rows] |= wrong
    lo[rows] &= ~wrong
    return Block(hi, lo, block.people)
