"""Sums over people of their genotypes times weights, straight from the bit-planes.

People are done in tiles, all variants of a block within a tile, so that a tile's weights stay in the first
cache (`lanes.py`) whatever the number of people.

Sums are kept in the weights' own precision within a tile and in float64 beyond. Float32 weights give sums to
about 1e-6 of the weights' scale, which regression.py's callers need for t within 1e-4; they count the rarer
allele (`Called.flipped`), whose sums lose nothing to cancellation.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.genomics.bits import popcount
from noisegate.genomics.gwas.lanes import add_dots, copies, weighted
from noisegate.genomics.gwas.tallies import tallies
from noisegate.genotypes.packed import WORD, Block, Words, words_of

Floats = NDArray[np.float64]
Weights = NDArray[np.float32] | NDArray[np.float64]
Counts = NDArray[np.int64]

_CACHE = 2**15  # bytes of weights that lie in the first cache with the genotypes they meet there


@dataclass(frozen=True, slots=True, eq=False)
class Called:
    """How many people of a group have each call of a variant, int64 of shape (variants,).

    `flipped`, bool of shape (variants,), says that the alternate allele is the commoner one, so that sums
    are taken over the reference allele.
    """

    none: Counts
    ones: Counts
    twos: Counts
    flipped: NDArray[np.bool_]

    @property
    def people(self) -> Counts:
        """How many have a call."""
        return self.none + self.ones + self.twos

    @property
    def rare(self) -> Counts:
        """How many copies of the allele that sums are taken over there are."""
        return np.asarray(self.ones + 2 * np.where(self.flipped, self.none, self.twos), np.int64)

    @property
    def squares(self) -> Counts:
        """The sum of the squares of these copies."""
        return np.asarray(self.ones + 4 * np.where(self.flipped, self.none, self.twos), np.int64)


def padded(values: NDArray[Any], fill: float = 0.0) -> NDArray[Any]:
    """Return values of shape (..., people) with the last axis filled up to whole words."""
    people = values.shape[-1]
    wide = np.full((*values.shape[:-1], words_of(people) * WORD), fill, values.dtype)
    wide[..., :people] = values
    return wide


def called(block: Block, groups: Words) -> list[Called]:
    """Count the calls of each group of people; `groups` is uint64 of shape (groups, words)."""
    found = []
    for none, ones, twos, _ in np.moveaxis(tallies(block, groups), 0, 2):
        found.append(Called(none, ones, twos, twos > none))
    return found


def sums(block: Block, part: Words, flipped: NDArray[np.bool_], weights: Weights, squared: int) -> Floats:
    """Return the sum over people of genotype times weight.

    Args:
        block: the calls; who has none, or takes no part, adds nothing.
        part: who takes part, uint64 of shape (words,).
        flipped: bool, shape (variants,); where the reference allele is counted.
        weights: shape (rows, 64 * words), float32 or float64.
        squared: how many rows, the last ones, are multiplied with the square of the genotype.

    Returns:
        float64, shape (variants, rows).
    """
    found = np.zeros((block.variants, len(weights)))
    _sums(block.hi, block.lo, part, flipped, weights, len(weights) - squared, found, tile_of(weights))
    return found


def tile_of(weights: Weights) -> int:
    """Return for how many people at a time sums with these weights are taken: 512 to 2,048, whole words."""
    most = _CACHE // (weights.itemsize * max(len(weights), 1))
    return max(512, min(2_048, most // WORD * WORD))


def absent(block: Block, part: Words, rows: Floats) -> Floats:
    """Return the sum of x xᵀ over those who take part and have no call.

    Args:
        block: the calls.
        part: who takes part, uint64 of shape (words,).
        rows: x of each person, float64 of shape (64 * words, width).

    Returns:
        float64, shape (variants, width, width), the lower triangles.
    """
    found = np.zeros((block.variants, rows.shape[1], rows.shape[1]))
    _absent(block.hi, block.lo, part, rows, found)
    return found


@njit(cache=True, nogil=True)
def _sums(hi, lo, part, flipped, weights, linear, found, tile):  # type: ignore[no-untyped-def]
    people = weights.shape[1]
    whole = np.zeros(min(tile, people), weights.dtype)
    for start in range(0, people, tile):
        stop = min(start + tile, people)
        x = whole[: stop - start]
        for v in range(hi.shape[0]):
            copies(hi[v], lo[v], part, flipped[v], start // 64, x)
            add_dots(x, weights, 0, linear, start, stop, found[v])
            for j in range(linear, weights.shape[0]):
                found[v, j] += weighted(x, x, weights[j, start:stop])


@njit(cache=True, nogil=True)
def _absent(hi, lo, part, rows, found):  # type: ignore[no-untyped-def]
    for v in range(hi.shape[0]):
        for w in range(hi.shape[1]):
            left = part[w] & hi[v, w] & ~lo[v, w]
            while left:
                lowest = left & (~left + np.uint64(1))
                person = 64 * w + np.int64(popcount(lowest - np.uint64(1)))
                left ^= lowest
                for i in range(rows.shape[1]):
                    for j in range(i + 1):
                        found[v, i, j] += rows[person, i] * rows[person, j]
