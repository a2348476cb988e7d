"""What attacks and measures read: genotypes of some people, a block of variants after the other.

A store is such a source. Two sources of the same variants may be cut into blocks at different places;
`aligned` cuts both where either is cut, and holds one block of each at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.genotypes.packed import Block, tally, words_of

Frequencies = NDArray[np.float64]


class Genomes(Protocol):
    """Genotypes of `people` people, in blocks of variants."""

    @property
    def people(self) -> int:
        """How many people there are."""
        ...

    @property
    def public(self) -> bool:
        """Whether anyone may see these genotypes: a public panel, or made from public facts alone."""
        ...

    @property
    def noisy(self) -> bool:
        """Whether this is a release, whose loss was charged."""
        ...

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Yield every block with the number of its first variant, in order."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Genotypes held in memory, as one block."""

    block: Block
    public: bool = False
    noisy: bool = False

    @property
    def people(self) -> int:
        """How many people there are."""
        return self.block.people

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Yield the one block."""
        yield 0, self.block


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Some people of a source, in the order of `index`, an int64 array of shape (people,)."""

    source: Genomes
    index: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.index.dtype != np.int64 or self.index.ndim != 1:
            raise ValueError("people are chosen by an int64 array of one dimension")
        if self.index.size and not (self.index.min() >= 0 and self.index.max() < self.source.people):
            raise ValueError(f"the source has {self.source.people} people, numbered from 0")

    @property
    def people(self) -> int:
        """How many people there are."""
        return len(self.index)

    @property
    def public(self) -> bool:
        """Whether the source is public."""
        return self.source.public

    @property
    def noisy(self) -> bool:
        """Whether the source is a release."""
        return self.source.noisy

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Yield the source's blocks with the chosen people alone."""
        for start, block in self.source.blocks():
            yield start, take(block, self.index)


def take(block: Block, index: NDArray[np.int64]) -> Block:
    """Return a block of the people with these numbers, int64 of shape (people,), in this order."""
    shape = (block.variants, words_of(len(index)))
    hi, lo = (np.zeros(shape, np.uint64) for _ in range(2))
    _take(block.hi, index, hi)
    _take(block.lo, index, lo)
    return Block(hi, lo, len(index))


def aligned(*sources: Genomes) -> Iterator[tuple[int, tuple[Block, ...]]]:
    """Yield blocks of all sources over the same variants, with the number of the first variant.

    Raises:
        ValueError: the sources differ in their number of variants.
    """
    streams = [source.blocks() for source in sources]
    ahead: list[Block | None] = [None] * len(streams)
    start = 0
    while True:
        for i, stream in enumerate(streams):
            while (held := ahead[i]) is None or held.variants == 0:
                step = next(stream, None)
                if step is None:
                    ahead[i] = None
                    break
                ahead[i] = step[1]
        left = [block for block in ahead if block is not None]
        if not left:
            return
        if len(left) < len(streams):
            raise ValueError("genomes that are compared have the same variants")
        width = min(block.variants for block in left)
        yield start, tuple(_part(block, 0, width) for block in left)
        ahead = [_part(block, width, block.variants) for block in left]
        start += width


def nothing_private(*sources: Genomes | None) -> bool:
    """Whether all that is read is public or was charged, so that what is computed from it may be shown."""
    return all(source.public or source.noisy for source in sources if source is not None)


def frequencies(source: Genomes) -> Frequencies:
    """Return each variant's share of alternate alleles among its calls; NaN where every call is missing."""
    found = [frequency(block) for _, block in source.blocks()]
    return np.concatenate(found) if found else np.zeros(0)


def frequency(block: Block) -> Frequencies:
    """Return the same for one block: float64 of shape (variants,)."""
    counted = tally(block)
    present = 2 * (block.people - counted.missing)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(counted.alleles / present, np.float64)


def _part(block: Block, start: int, stop: int) -> Block:
    return Block(block.hi[start:stop], block.lo[start:stop], block.people)


@njit(cache=True, nogil=True)
def _take(plane, index, taken):  # type: ignore[no-untyped-def]
    one = np.uint64(1)
    for v in range(plane.shape[0]):
        for i in range(len(index)):
            person = index[i]
            bit = (plane[v, person // 64] >> np.uint64(person % 64)) & one
            taken[v, i // 64] |= bit << np.uint64(i % 64)
