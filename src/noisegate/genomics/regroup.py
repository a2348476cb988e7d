"""Genotype counts moved to wanted ones, by the fewest people, chosen evenly at random.

Restoring allele counts keeps whatever shape noise gave the genotypes: randomised response leaves as many
homozygotes of either kind as heterozygotes. Moving genotype counts, with allele counts among them, mends
that, and changes the fewest rows: where there are too many people with one genotype, as many as are wanted
elsewhere, each as likely as the other, get one that is lacking. That is the optimal transport between the two
counts when all changes cost the same.

Who goes is chosen by `restore`: of a plane in which those who may go are the only alleles, it clears as many
as are to go, each set of so many as likely as any other. Who goes where is chosen in the same way.
"""

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.perturb import everybody
from noisegate.genomics.restore import restore
from noisegate.genotypes.packed import Block, Words, tally

Cells = NDArray[np.int64]
Reals = NDArray[np.float64]
CHUNKS = 2**48  # each choice has chunks of the key stream for itself, past those of releases


def wanted(alleles: Cells, shares: Reals, people: int) -> Cells:
    """Return whole genotype counts with exactly these allele counts, and shares as near as may be.

    Args:
        alleles: int64, shape (variants,), from 0 to 2 * people.
        shares: of genotypes, float64, shape (variants, 3); each row sums to 1.
        people: how many there are.
    """
    twos = np.rint(shares[:, 2] * people).astype(np.int64)
    twos = np.clip(twos, np.maximum(alleles - people, 0), alleles // 2)
    ones = alleles - 2 * twos
    return np.stack([people - ones - twos, ones, twos], axis=1)


def regroup(block: Block, counts: Cells, key: ReleaseKey, chunk: int) -> Block:
    """Return genotypes that have exactly the wanted counts. The same arguments give the same ones.

    Args:
        block: all four codes; 10 is read as 1.
        counts: int64, shape (variants, 3), each row adding up to the people; see `targets.regrouped`.
        key: of the release.
        chunk: the block's number in the release; regrouped once.

    Raises:
        ValueError: counts that people cannot have.
    """
    people = block.people
    if counts.shape != (block.variants, 3) or counts.dtype != np.int64 or not 0 <= chunk < CHUNKS:
        raise ValueError("three int64 counts a variant are wanted")
    if (counts < 0).any() or (counts.sum(axis=1) != people).any():
        raise ValueError("genotype counts add up to the people")
    hi, lo = block.hi & block.lo, block.hi | block.lo
    found = tally(Block(hi, lo, people))
    held = np.stack([people - found.ones - found.twos, found.ones, found.twos], axis=1)
    going, lacking = np.maximum(held - counts, 0), np.maximum(counts - held, 0)

    def some(of: Words, have: Cells, take: Cells, choice: int) -> Words:
        """Return `take` of the `have` people whose bits are set, for each variant, chosen evenly."""
        if not take.any():
            return np.zeros_like(of)
        marked = Block(np.zeros_like(of), of, people)
        return of & ~restore(marked, have - take, key, choice * CHUNKS + chunk).lo

    # A genotype never both loses and gains people, so nobody who goes comes back to their own.
    planes = (everybody(people) & ~lo, lo & ~hi, hi)
    leaving = np.zeros_like(hi)
    for genotype, plane in enumerate(planes):
        leaving |= some(plane, held[:, genotype], going[:, genotype], 1 + genotype)
    total = going.sum(axis=1)
    to_none = some(leaving, total, lacking[:, 0], 4)
    rest = leaving & ~to_none
    to_two = some(rest, total - lacking[:, 0], lacking[:, 2], 5)
    return Block((hi & ~leaving) | to_two, (lo & ~leaving) | (leaving & ~to_none), people)
