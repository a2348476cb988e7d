"""What importers share: a store that is begun and finished or leaves nothing, filled row by row."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from noisegate.genotypes import haploid
from noisegate.genotypes.packed import Block, Calls, pack, words_of
from noisegate.genotypes.reading import agreed_build, build_said, part, refuse_twice, rows_at_once
from noisegate.genotypes.store import Store, Writer
from noisegate.genotypes.text import Told
from noisegate.genotypes.variants import Variants

__all__ = ["Filling", "agreed_build", "build_said", "filling", "part", "refuse_twice", "rows_at_once"]


class Filling:
    """Calls put into a store variant by variant, in their order; a chunk is written as soon as it is full.

    Nobody's sex is known here, so of one copy are Y and MT alone (`haploid.py`).
    """

    def __init__(self, writer: Writer, variants: Variants, build: str, told: Told) -> None:
        self._writer = writer
        self._told = told
        self._copies = haploid.copies(variants, build)
        self._men = haploid.mask(np.zeros(writer.people, dtype=bool))
        self._chunk = 0
        self._filled = 0
        self._begin()

    def add(self, calls: Calls) -> None:
        """Add the next variants: int8 of shape (variants, people), 0, 1, 2 or -1."""
        self.add_packed(pack(calls))

    def add_packed(self, block: Block) -> None:
        """Add the next variants."""
        done = 0
        while done < block.variants:
            count = min(block.variants - done, len(self._hi) - self._filled)
            here, there = slice(done, done + count), slice(self._filled, self._filled + count)
            self._hi[there], self._lo[there] = block.hi[here], block.lo[here]
            done += count
            self._filled += count
            if self._filled == len(self._hi):
                self._write()

    def finish(self) -> Store:
        """Return the store, now that all variants are in it."""
        return self._writer.finish()

    def _begin(self) -> None:
        start, stop = self._writer.bounds(self._chunk)
        shape = (stop - start, words_of(self._writer.people))
        self._hi, self._lo = np.zeros(shape, np.uint64), np.zeros(shape, np.uint64)
        self._filled = 0

    def _write(self) -> None:
        rows = slice(*self._writer.bounds(self._chunk))
        block = Block(self._hi, self._lo, self._writer.people)
        self._writer.write(self._chunk, haploid.settle(block, self._copies[rows], self._men))
        self._chunk += 1
        self._told(self._chunk / len(self._writer.chunks()))
        if self._chunk < len(self._writer.chunks()):
            self._begin()


@contextmanager
def filling(
    target: Path,
    *,
    samples: Iterable[str],
    variants: Variants,
    build: str,
    public: bool,
    provenance: dict[str, Any],
    told: Told,
) -> Iterator[Filling]:
    """Begin a store; whatever fails before it is finished leaves nothing of it."""
    writer = Writer.create(
        target, samples=samples, variants=variants, build=build, public=public, provenance=provenance
    )
    try:
        yield Filling(writer, variants, build, told)
    except BaseException:
        writer.discard()
        raise
