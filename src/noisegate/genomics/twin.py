"""A public twin: people put together from stretches of public people, to try a release on at no cost.

Each twin person copies one person of a public panel for a while, then another, as in Li and Stephens (2003),
so frequencies and the linkage of nearby variants are those of the panel. Nothing but the panel and
key-stream bits goes in. Copying is done on 64 variants of a person at once, by turning the panel's bits over
and back.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from noisegate.errors import BadInput, Forbidden
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.keystream import Domain, KeyStream
from noisegate.genomics.panel import PublicSource
from noisegate.genotypes.packed import Block, words_of

CHUNK = 4096  # variants; everybody copies from a new person where a chunk begins
TILE = 64
STRETCH = 256  # variants that are copied from one person, on average


@dataclass(eq=False)
class Twin:
    """Genotypes of a twin, made as they are read; the last chunk is kept.

    The same panel, key and sizes give the same twin. It is public, and so a source for all that asks for one.
    """

    panel: PublicSource
    variants: int
    people: int
    key: ReleaseKey
    stretch: int = STRETCH
    public: bool = True
    noisy: bool = False
    _kept: tuple[int, Block] | None = field(default=None, repr=False, init=False)

    def __post_init__(self) -> None:
        if self.panel.public is not True:
            raise Forbidden("a twin is made from people who are public, and this store is not marked so")
        if self.people < 1 or self.variants < 1 or self.panel.people < 1 or self.stretch < TILE:
            raise BadInput(f"a twin has people and variants, and copies at least {TILE} variants at a time")

    @property
    def digest(self) -> str:
        """What names the panel it is made from, and its sizes; not the key."""
        told = f"twin {self.panel.digest} {self.variants} {self.people} {self.stretch}"
        return hashlib.sha256(told.encode()).hexdigest()

    def chunk(self, number: int) -> Block:
        """Return one chunk of CHUNK variants, or of what is left."""
        if self._kept is not None and self._kept[0] == number:
            return self._kept[1]
        start = number * CHUNK
        theirs = self.panel.block(start, min(self.variants, start + CHUNK))
        block = copied(theirs, self.people, self.key, number, Domain.TWIN, self.stretch)
        self._kept = (number, block)
        return block

    def block(self, start: int, stop: int) -> Block:
        """Return the calls of the variants from start to stop."""
        if not 0 <= start <= stop <= self.variants:
            raise BadInput("a range lies within the variants")
        parts = [
            (self.chunk(number), max(start - number * CHUNK, 0), stop - number * CHUNK)
            for number in range(start // CHUNK, -(-stop // CHUNK))
        ]
        hi = [part.hi[a : min(b, part.variants)] for part, a, b in parts]
        lo = [part.lo[a : min(b, part.variants)] for part, a, b in parts]
        if not parts:
            nothing = np.zeros((0, words_of(self.people)), np.uint64)
            return Block(nothing, nothing, self.people)
        return Block(np.concatenate(hi), np.concatenate(lo), self.people)

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Yield (start, block), a chunk at a time."""
        for number in range(-(-self.variants // CHUNK)):
            yield number * CHUNK, self.chunk(number)


def copied(
    theirs: Block, people: int, key: ReleaseKey, chunk: int, domain: int, stretch: int = STRETCH
) -> Block:
    """Return a chunk of people put together from those of a block, complete and public; the same each time.

    Args:
        theirs: whose stretches are copied.
        people: how many are put together.
        key: of the twin or the release.
        chunk: its number.
        domain: of the key stream; one word a person and 64 variants is drawn.
        stretch: variants that are copied from one person, on average.
    """
    tiles = -(-theirs.variants // TILE)
    words = KeyStream(key).words(chunk, domain, tiles * people)
    hi, lo = (np.zeros((theirs.variants, words_of(people)), np.uint64) for _ in range(2))
    switch = np.uint32(2**32 * TILE // stretch - 1)
    _copy(theirs.hi, theirs.lo, words.reshape(tiles, people), switch, theirs.people, hi, lo)
    return Block(hi, lo, people)


@njit(cache=True, nogil=True)
def _copy(their_hi, their_lo, words, switch, panel, hi, lo):  # type: ignore[no-untyped-def]
    variants = their_hi.shape[0]
    tiles, people = words.shape
    now = np.zeros(people, np.int64)
    rows = np.zeros((2, their_hi.shape[1] * 64), np.uint64)
    square = np.zeros(64, np.uint64)
    ones = np.uint64(0xFFFFFFFFFFFFFFFF)
    for t in range(tiles):
        first = t * 64
        height = min(64, variants - first)
        for plane in range(2):
            theirs = their_lo if plane else their_hi
            for w in range(theirs.shape[1]):
                for k in range(64):
                    square[k] = theirs[first + k, w] if k < height else np.uint64(0)
                _turn(square)
                for k in range(64):
                    rows[plane, w * 64 + k] = square[k]
        for w in range(hi.shape[1]):
            some = min(64, people - w * 64)
            for plane in range(2):
                for k in range(64):
                    square[k] = np.uint64(0)
                for k in range(some):
                    word = words[t, w * 64 + k]
                    fresh = np.int64(((word >> np.uint64(32)) * np.uint64(panel)) >> np.uint64(32))
                    before = fresh if t == 0 else now[w * 64 + k]
                    after = before
                    early = ones
                    low = word & np.uint64(0xFFFFFFFF)
                    if t > 0 and low <= np.uint64(switch):
                        after = fresh
                        # The odd bits of a number below the threshold are as good as any: where to switch.
                        early = (np.uint64(1) << (low % np.uint64(64))) - np.uint64(1)
                    square[k] = (rows[plane, before] & early) | (rows[plane, after] & ~early)
                    if plane == 1:
                        now[w * 64 + k] = after
                _turn(square)
                out = lo if plane else hi
                for k in range(height):
                    out[first + k, w] = square[k]


@njit(cache=True, nogil=True)
def _turn(square):  # type: ignore[no-untyped-def]
    """Exchange bit j of word i with bit i of word j. Warren, Hacker's Delight, Section 7-3."""
    width = 32
    mask = np.uint64(0x00000000FFFFFFFF)
    while width:
        i = 0
        while i < 64:
            moved = ((square[i] >> np.uint64(width)) ^ square[i + width]) & mask
            square[i] ^= moved << np.uint64(width)
            square[i + width] ^= moved
            i = ((i | width) + 1) & ~width
        width >>= 1
        mask ^= mask << np.uint64(width)
