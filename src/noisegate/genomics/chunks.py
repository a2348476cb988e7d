"""One chunk of a release as a function of its number and the key, and of nothing else that may change.

TRUSTED. So it may be made by any thread of any machine that reaches the stores, again after a kill, in any
order. What travels to other machines holds no key. PROOFS.md, "Shared genomes".
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics import synthetic
from noisegate.genomics.chains import Chain
from noisegate.genomics.counts import Source
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.laws import Law
from noisegate.genomics.perturb import decode, perturb
from noisegate.genomics.targets import Target, regrouped, restored
from noisegate.genotypes.packed import Block
from noisegate.genotypes.store import Writer


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """What genotypes are moved to after the noise: a target's allele counts.

    `shares`, float64 of shape (variants, 3), are of genotypes: with them counts of genotypes are met, and so
    those of alleles; None moves single alleles, the fewest.
    """

    target: Target
    shares: NDArray[np.float64] | None = None

    def block(self, block: Block, start: int, key: ReleaseKey, number: int) -> Block:
        """Return a chunk, of variants `start` and after, moved."""
        if self.shares is None:
            return restored(block, self.target, start, key, number, out=block)
        return regrouped(block, self.target, self.shares, start, key, number)


@dataclass(frozen=True, slots=True, eq=False)
class Flips:
    """Genotypes with noise on them, legal, and moved where that is asked for.

    `law` is of variants `begins` and after.
    """

    source: Source
    law: Law
    moved: Moved | None
    begins: int = 0

    def block(self, number: int, start: int, stop: int, key: ReleaseKey) -> Block:
        """Return chunk `number`, which is variants start to stop - 1."""
        block = self.source.block(start, stop)
        law = self.law.slice(start - self.begins, stop - self.begins)
        noisy = perturb(block, law, key, number, out=block)
        if self.moved is None:
            return decode(noisy, out=noisy)
        return self.moved.block(noisy, start, key, number)

    def cut(self, start: int, stop: int) -> "Flips":
        """Return what is needed for these variants alone."""
        return replace(self, law=self.law.slice(start, stop), begins=start)


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """People drawn from a chain, of which `chain` holds variants `begins` and after, and moved likewise."""

    chain: Chain
    people: int
    moved: Moved | None
    begins: int = 0

    def block(self, number: int, start: int, stop: int, key: ReleaseKey) -> Block:
        """Return chunk `number`, which is variants start to stop - 1."""
        drawn = synthetic.draw_chunk(
            self.chain, start - self.begins, stop - self.begins, self.people, key, number
        )
        return drawn if self.moved is None else self.moved.block(drawn, start, key, number)

    def cut(self, start: int, stop: int) -> "Draws":
        """Return what is needed for these variants alone."""
        part = Chain(
            self.chain.starts[start:stop], self.chain.at_least[start:stop], self.chain.frequency[start:stop]
        )
        return replace(self, chain=part, begins=start)


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """All chunks of a release, and the store they go to, which was begun."""

    release: str
    chunks: Flips | Draws
    store: Path

    def do(self, number: int, key: ReleaseKey) -> None:
        """Make one chunk and write it, durably; again, it is the same."""
        writer = Writer.resume(self.store)
        start, stop = writer.bounds(number)
        writer.write(number, self.chunks.block(number, start, stop, key))

    def only(self, number: int) -> "Work":
        """Return the work without what other chunks need, to be sent."""
        start, stop = Writer.resume(self.store).bounds(number)
        return replace(self, chunks=self.chunks.cut(start, stop))
