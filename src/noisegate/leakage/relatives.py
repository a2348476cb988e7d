"""Relatives and duplicates among people: KING-robust kinship of every pair, out of core.

The kinship of a pair is 1/2 - (N_one + 4 N_opposite) / (4 min(Het_i, Het_j)), over the variants that both
have a call of: N_one of them with exactly one heterozygote, N_opposite opposite homozygotes. It is near 1/2
for the same genome, 1/4 for parent and child or full siblings, and 0 for strangers, whatever the frequencies
are. Manichaikul et al. (2010), Bioinformatics 26:2867, equation 11; as `plink2 --make-king-table` has it.
It wants variants of the autosomes, some thousand of them, that are not closely linked.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.genotypes.packed import Block
from noisegate.leakage.genomes import Genomes, aligned, frequency
from noisegate.leakage.pairs import DUPLICATE, FIRST, SECOND, THIRD, bits, turned

MEMORY = 256 * 2**20  # bytes of counts of pairs held at a time
TILE = 32  # people whose calls of a block stay near the processor
Pairs = NDArray[np.int32]
People = NDArray[np.int64]
Kinship = NDArray[np.float64]
Told = Callable[[float], None]


class Degree(IntEnum):
    """How near two people are, by the limits of Manichaikul et al. (2010), Table 1."""

    DUPLICATE = 0
    FIRST = 1
    SECOND = 2
    THIRD = 3

    @property
    def least(self) -> float:
        """The kinship above which two people are at least this near."""
        return (DUPLICATE, FIRST, SECOND, THIRD)[self]

    @property
    def title(self) -> str:
        """What a pair of this degree is."""
        return _TITLES[self]


_TITLES = (
    "duplicates, or identical twins",
    "first degree: parent and child, or siblings",
    "second degree: such as grandparents, half-siblings, uncles and aunts",
    "third degree: such as first cousins",
)


@dataclass(frozen=True, slots=True, eq=False)
class Relatives:
    """Pairs of people whose kinship lies above `least`, by rising second, then first person.

    Attributes:
        people: how many people there are; all their pairs were compared.
        variants: how many variants were looked at.
        least: see above; -inf keeps all pairs that have a kinship.
        first: int64, shape (pairs,); the number of the earlier person of each pair.
        second: int64, shape (pairs,); that of the later one.
        called: int64, shape (pairs,); variants that both have a call of.
        both: int64, shape (pairs,); those at which both are heterozygous.
        opposite: int64, shape (pairs,); those at which they are opposite homozygotes.
        kinship: float64, shape (pairs,).
        undefined: pairs that have no kinship, as one of them has no heterozygote in what both have.
        blank: int64; the numbers of people without any heterozygote, such as one whose calls failed and were
            filled with one allele: nobody's kinship with them is known.
        spread: standard deviation of the kinship of two strangers, by their variants' frequencies, if
            variants were independent; inf where nothing varies.
    """

    people: int
    variants: int
    least: float
    first: People
    second: People
    called: People
    both: People
    opposite: People
    kinship: Kinship
    undefined: int
    blank: People
    spread: float

    def __post_init__(self) -> None:
        columns = (self.first, self.second, self.called, self.both, self.opposite, self.kinship)
        if {column.shape for column in columns} != {(len(self.first),)}:
            raise ValueError("a pair has two people, three counts and a kinship")
        if len(self.first) and not (
            self.first.min() >= 0 and (self.first < self.second).all() and self.second.max() < self.people
        ):
            raise ValueError("a pair is two different people, the earlier first")
        for column in (*columns, self.blank):
            column.flags.writeable = False

    @property
    def compared(self) -> int:
        """How many pairs of people there are."""
        return self.people * (self.people - 1) // 2

    def by_degree(self) -> tuple[int, ...]:
        """Return how many pairs are of each degree, nearest first; those above `least` alone."""
        at_least = [int((self.kinship > degree.least).sum()) for degree in Degree]
        return tuple(n - before for n, before in zip(at_least, [0, *at_least], strict=False))

    def by_chance(self) -> tuple[float, ...]:
        """Return how many pairs would be of each degree if all were strangers; see `spread`.

        Where that is no small part of what `by_degree` says, there are too few variants for that degree.
        Linkage and unlike ancestry within the data make for more.
        """
        beyond = [self.compared * math.erfc(d.least / self.spread / math.sqrt(2)) / 2 for d in Degree]
        return tuple(n - before for n, before in zip(beyond, [0.0, *beyond], strict=False))

    def told(self) -> Degree | None:
        """Return the furthest degree at which not even half a pair is there by chance; None where none is."""
        beyond = 0.0
        found = None
        for degree, chance in zip(Degree, self.by_chance(), strict=True):
            beyond += chance
            found = degree if beyond < 0.5 else found
        return found

    def families(self, degree: Degree = Degree.THIRD) -> tuple[tuple[int, ...], ...]:
        """Return groups of two or more people joined by pairs of at most this degree, the largest first."""
        leader = np.arange(self.people)

        def lead(person: int) -> int:
            while leader[person] != person:
                leader[person] = leader[leader[person]]
                person = int(leader[person])
            return person

        near = np.flatnonzero(self.kinship > degree.least)
        for a, b in zip(self.first[near].tolist(), self.second[near].tolist(), strict=True):
            one, other = sorted((lead(a), lead(b)))
            leader[other] = one
        groups: dict[int, list[int]] = {}
        for person in np.unique(np.concatenate([self.first[near], self.second[near]])).tolist():
            groups.setdefault(lead(person), []).append(person)
        return tuple(sorted(map(tuple, groups.values()), key=lambda group: (-len(group), group)))

    def unrelated(self, degree: Degree = Degree.THIRD) -> NDArray[np.bool_]:
        """Return people of whom no two are of this degree or nearer, bool of shape (people,).

        Who has most relatives left goes first, as long as there are any; of several, the latest goes. A
        set that is as large as can be is not always found: that is a hard problem.
        """
        kin: dict[int, set[int]] = {}
        for i in np.flatnonzero(self.kinship > degree.least).tolist():
            a, b = int(self.first[i]), int(self.second[i])
            kin.setdefault(a, set()).add(b)
            kin.setdefault(b, set()).add(a)
        kept = np.ones(self.people, bool)
        while kin:
            gone = max(kin, key=lambda person: (len(kin[person]), person))
            kept[gone] = False
            for other in kin.pop(gone):
                kin[other].discard(gone)
                if not kin[other]:
                    del kin[other]
        return kept


def relatives(
    source: Genomes,
    *,
    least: float = THIRD,
    keep: NDArray[np.bool_] | None = None,
    progress: Told = lambda _: None,
) -> Relatives:
    """Compare all people with each other.

    Memory is a block of calls, MEMORY and the pairs that are kept; the source is read as many times as the
    counts of all pairs are larger than MEMORY.

    Args:
        source: at least one person; missing calls as missing.
        least: kinship above which a pair is kept; -inf for all.
        keep: bool, shape (variants,); which variants to look at, such as those of the autosomes. All if None.
        progress: told which share of the pairs is done.
    """
    kept: list[tuple[People, ...]] = []
    kinships: list[Kinship] = []
    undefined = variants = 0
    heterozygous = np.zeros(source.people, np.int64)
    variance = heterozygotes = 0.0
    whole = max(source.people * (source.people - 1) // 2, 1)
    for first, last in _bands(source.people):
        found = np.zeros((5, last - first, last), np.int32)
        variants = 0
        for start, block in source.blocks():
            some = _chosen(block, keep, start)
            variants += some.variants
            if first == 0:
                of_one, of_all = _strangers(some)
                variance, heterozygotes = variance + of_one, heterozygotes + of_all
            hi, lo = turned(some)
            ones = np.bitwise_count(lo[first:last] & ~hi[first:last])
            heterozygous[first:last] += ones.sum(axis=1, dtype=np.int64)
            _count(hi[first:last], lo[first:last], hi[:last], lo[:last], first, found)
            # Bits past the last variant are 00 on both sides, which looks like two calls.
            found[0] -= np.int32(64 * hi.shape[1] - some.variants)
        for i in range(last - first):
            counts = found[:, i, : first + i]
            phi = kinship_of(counts)
            undefined += int(np.isneginf(phi).sum())
            near = np.flatnonzero(phi > least)
            kept.append((near, np.full(len(near), first + i), *counts[:3, near].astype(np.int64)))
            kinships.append(phi[near])
        progress(last * (last - 1) / 2 / whole)
    earlier, later, called, both, opposite = (
        np.concatenate(column).astype(np.int64) for column in zip(*kept, strict=True)
    )
    return Relatives(
        people=source.people,
        variants=variants,
        least=least,
        first=earlier,
        second=later,
        called=called,
        both=both,
        opposite=opposite,
        kinship=np.concatenate(kinships),
        undefined=undefined,
        blank=np.flatnonzero(heterozygous == 0).astype(np.int64),
        spread=math.sqrt(variance) / (4 * heterozygotes) if heterozygotes else math.inf,
    )


def compared(candidates: Genomes, rows: Genomes) -> Iterator[Pairs]:
    """Yield counts of each candidate with each row, some candidates after the others.

    int32, shape (5, candidates, rows): variants that both have a call of, those where both are heterozygous,
    where they are opposite homozygotes, where the candidate is heterozygous, and where the row is.

    Raises:
        ValueError: the variants differ in number.
    """
    step = max(1, MEMORY // (20 * max(rows.people, 1)))
    for first in range(0, candidates.people, step):
        last = min(first + step, candidates.people)
        found = np.zeros((5, last - first, rows.people), np.int32)
        for _, (theirs, ours) in aligned(candidates, rows):
            hi, lo = turned(theirs)
            _count(hi[first:last], lo[first:last], *turned(ours), rows.people, found)
            found[0] -= np.int32(64 * hi.shape[1] - theirs.variants)
        yield found


def kinship_of(counts: Pairs) -> Kinship:
    """Return kinship from counts as `compared` has them, of shape (5, ...); -inf where it is not defined."""
    both, opposite, first, second = counts[1:].astype(np.float64)
    fewest = np.minimum(first, second)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 0.5 - (first + second - 2 * both + 4 * opposite) / (4 * fewest)
    return np.where(fewest > 0, found, -np.inf)


def distance_of(counts: Pairs) -> Kinship:
    """Return which share of the alleles that both have a call of differ; 1 where there are none."""
    called, both, opposite, first, second = counts.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (first + second - 2 * both + 2 * opposite) / (2 * called)
    return np.where(called > 0, found, 1.0)


def _bands(people: int) -> Iterator[tuple[int, int]]:
    """Yield runs of people whose counts with everybody before them fit into MEMORY."""
    first = 0
    while first < people:
        last = first + 1
        while last < people and 20 * (last + 1 - first) * (last + 1) <= MEMORY:
            last += 1
        yield first, last
        first = last


def _strangers(block: Block) -> tuple[float, float]:
    """Return, summed over variants, the variance of what lowers two strangers' kinship, and heterozygosity.

    A variant adds 1 where one of them is heterozygous and 4 where they are opposite homozygotes; both follow
    Hardy-Weinberg proportions.
    """
    found = frequency(block)
    p = found[np.isfinite(found)]
    often = 2 * p * (1 - p)
    one, opposite = 2 * often * (1 - often), often**2 / 2
    return float((one + 16 * opposite - (one + 4 * opposite) ** 2).sum()), float(often.sum())


def _chosen(block: Block, keep: NDArray[np.bool_] | None, start: int) -> Block:
    if keep is None or keep[start : start + block.variants].all():
        return block
    some = keep[start : start + block.variants]
    return Block(block.hi[some], block.lo[some], block.people)


@njit(cache=True, nogil=True)
def _count(hi, lo, row_hi, row_lo, first, found):  # type: ignore[no-untyped-def]
    """Add to the counts of person i with row j, for j < first + i."""
    words = hi.shape[1]
    people = hi.shape[0]
    rows = row_hi.shape[0]
    for tile in range(0, people, TILE):
        end = min(tile + TILE, people)
        for row in range(0, min(rows, first + end - 1), TILE):
            for i in range(tile, end):
                for j in range(row, min(row + TILE, rows, first + i)):
                    called = both = opposite = mine = theirs = np.uint64(0)
                    for w in range(words):
                        a, b, c, d = hi[i, w], lo[i, w], row_hi[j, w], row_lo[j, w]
                        there = ~((a & ~b) | (c & ~d))
                        one = b & ~a & there
                        other = d & ~c & there
                        called += bits(there)
                        both += bits(one & other)
                        opposite += bits((a & b & ~c & ~d) | (c & d & ~a & ~b))
                        mine += bits(one)
                        theirs += bits(other)
                    found[0, i, j] += np.int32(called)
                    found[1, i, j] += np.int32(both)
                    found[2, i, j] += np.int32(opposite)
                    found[3, i, j] += np.int32(mine)
                    found[4, i, j] += np.int32(theirs)
