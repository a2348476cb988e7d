"""Which neighbouring bits should flip together: tables of pairs of bits, from a public reference.

The published scheme shapes its noise by the log odds ratios of a public reference's bits,
ln (M11 M00 / M10 M01). Noise that is a chain can follow those of neighbouring bits. Only a store that is
marked public may shape noise; the account of the noise is exact whatever its shape.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput, Forbidden
from noisegate.genotypes.packed import Block, last_word
from noisegate.leakage.genomes import Genomes

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

# Added to each cell, so that words which never occur (a hi without its lo) have a finite log odds ratio.
SMOOTHING = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """How often neighbouring bits of the rows of a reference occur together.

    `counts` is int64 of shape (bits - 1, 2, 2): at [j, x, y] the people with bit j = x and bit j + 1 = y,
    among those whose calls at both variants are there.
    """

    counts: Counts

    @property
    def log_odds(self) -> Floats:
        """The log odds ratio of each pair, float64 of shape (bits - 1,), SMOOTHING added to each count."""
        logs = np.log(self.counts + SMOOTHING)
        return np.asarray(logs[:, 1, 1] + logs[:, 0, 0] - logs[:, 1, 0] - logs[:, 0, 1])


def neighbours(reference: Genomes) -> Neighbours:
    """Count neighbouring bits block by block; memory is that of a block, and of the counts.

    Raises:
        Forbidden: the reference is not marked public.
    """
    if reference.public is not True:
        raise Forbidden(
            "only a public reference may shape the noise, and this store is not marked public",
            "name a public reference panel, or leave the noise uncoupled",
        )
    within, between = [], []
    last: Block | None = None
    for _, block in reference.blocks():
        within.append(_within(block))
        led = block if last is None else _joined(last, block)
        between.append(_between(led))
        last = Block(block.hi[-1:], block.lo[-1:], block.people)
    if last is None:
        raise BadInput("a reference without variants shapes no noise")
    inside, across = np.concatenate(within), np.concatenate(between)
    counts = np.empty((len(inside) + len(across), 2, 2), np.int64)
    counts[0::2], counts[1::2] = inside, across
    return Neighbours(counts)


def _joined(one: Block, other: Block) -> Block:
    return Block(np.concatenate([one.hi, other.hi]), np.concatenate([one.lo, other.lo]), one.people)


def _present(block: Block) -> NDArray[np.uint64]:
    """Return the people whose call is there, shape (variants, words)."""
    present = ~(block.hi & ~block.lo)
    present[:, -1] &= np.uint64(last_word(block.people))
    return present


def _within(block: Block) -> Counts:
    """Count hi and lo of each variant."""
    present = _present(block)
    return _tables(block.hi & present, block.lo & present, present)


def _between(block: Block) -> Counts:
    """Count lo of each variant but the last and hi of the next."""
    present = _present(block)
    both = present[:-1] & present[1:]
    return _tables(block.lo[:-1] & both, block.hi[1:] & both, both)


def _tables(one: NDArray[np.uint64], other: NDArray[np.uint64], among: NDArray[np.uint64]) -> Counts:
    ones, others, together, all_ = (
        np.bitwise_count(words).sum(axis=1, dtype=np.int64) for words in (one, other, one & other, among)
    )
    cells = [all_ - ones - others + together, others - together, ones - together, together]
    return np.stack(cells, axis=1).reshape(-1, 2, 2)
