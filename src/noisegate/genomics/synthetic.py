"""Synthetic people, nobody's copy: drawn from a chain, or put together from public people.

A chain is fitted to noisy counts; people who are put together from a panel are then moved to noisy counts.
What it costs is what was measured; fitting and drawing are post-processing. A budget is shared between allele
counts and tables of neighbouring genotypes. Replacing one person moves one unit from a cell to another in
each of the tables, 2 (m - 1) cells by one for a single chain of m variants: L2 √(2 (m - 1)). Tables are many
and their noise wide: where people are few for the variants, allele counts alone with the panel's neighbours
do better, and `design` says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numba import njit

from noisegate.errors import BadInput, Forbidden
from noisegate.genomics import chains, frequencies, plans
from noisegate.genomics.chains import Chain
from noisegate.genomics.counts import Flags, Noisy, Pairs, Plan, Query, Source, measure
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.keystream import Domain, KeyStream
from noisegate.genomics.panel import Panel, PublicSource
from noisegate.genomics.twin import copied
from noisegate.genotypes.packed import Block, words_of
from noisegate.privacy.loss import Loss
from noisegate.privacy.noise import standard_deviation

AT_ONCE = 2**21  # words of key stream drawn at a time
WORTH_TABLES = 1.0  # tables are measured where their noise is within this of what sampling moves a cell by


@dataclass(frozen=True, slots=True)
class Design:
    """What is measured before people are drawn: allele counts, tables of pairs, or both."""

    alleles: Plan | None
    pairs: Plan | None

    def __post_init__(self) -> None:
        if self.alleles is None and self.pairs is None:
            raise ValueError("a synthetic release measures something")

    @property
    def loss(self) -> Loss:
        """What measuring loses of one person, replace-one."""
        return plans.total(self.by_name())

    def by_name(self) -> dict[str, Plan]:
        """Return the plans there are."""
        both = {"alleles": self.alleles, "pairs": self.pairs}
        return {name: plan for name, plan in both.items() if plan is not None}


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What was measured for a design, free to be shown."""

    design: Design
    alleles: Noisy | None
    pairs: Noisy | None


def design(
    starts: Flags,
    epsilon: Fraction,
    delta: Fraction,
    panel: Panel | None,
    tables: Fraction | None = None,
    people: int | None = None,
) -> Design:
    """Return the plans for a release that is (epsilon, delta)-DP for one person.

    Args:
        starts: bool, shape (variants,): where chains begin.
        epsilon: of all that is measured.
        delta: likewise; 0 for pure differential privacy.
        panel: the public panel that fitting will lean on, if any.
        tables: share of the budget for tables of pairs, 0 to 1. By default half, or none where there is a
            panel and, for so many `people`, the tables' noise would be wider than what they vary by.
        people: how many there are; wanted where `tables` is not given.
    """
    if tables is not None and not 0 <= tables <= 1:
        raise BadInput("the share of the tables lies between 0 and 1")
    if starts.all():
        if tables:
            raise BadInput("variants that all start a chain have no pairs to count")
        tables = Fraction(0)
    if tables is None:
        tables = Fraction(1, 2)
        if panel is not None:
            if people is None:
                raise BadInput("say how many people there are, or which share the tables get")
            noise = standard_deviation(_plans(starts, epsilon, delta, panel, tables)["pairs"].noise)
            if noise > WORTH_TABLES * (people * (1 + people / panel.people) / 9) ** 0.5:
                tables = Fraction(0)
    found = _plans(starts, epsilon, delta, panel, tables)
    return Design(found.get("alleles"), found.get("pairs"))


def _plans(
    starts: Flags, epsilon: Fraction, delta: Fraction, panel: Panel | None, tables: Fraction
) -> dict[str, Plan]:
    if tables == 0:
        return {"alleles": frequencies.design(len(starts), epsilon, delta, panel)}
    shares: dict[str, tuple[Query, Fraction]] = {"pairs": (Pairs(starts), tables)}
    if tables < 1:
        alleles = frequencies.queries(len(starts), panel if delta > 0 else None)
        shares["alleles"] = (min(alleles, key=_width), 1 - tables)
    return plans.share(shares, epsilon, delta)


def _width(query: Query) -> float:
    return frequencies.noise_sd(plans.with_rho(query, Fraction(1)))


def release(source: Source, design: Design) -> Measured:
    """Measure what a design says. Needs: `design.loss` is charged."""
    found = {name: measure(plan, source) for name, plan in design.by_name().items()}
    return Measured(design, found.get("alleles"), found.get("pairs"))


def model(measured: Measured, starts: Flags, people: int, panel: Panel | None) -> Chain:
    """Return the chain for what was measured."""
    return chains.fit(starts, people, panel, measured.alleles, measured.pairs)


def draw(chain: Chain, people: int, key: ReleaseKey, bounds: Iterator[tuple[int, int]]) -> Iterator[Block]:
    """Yield drawn genotypes, a chunk of variants at a time; chunks are drawn one by one with `draw_chunk`."""
    for chunk, (start, stop) in enumerate(bounds):
        yield draw_chunk(chain, start, stop, people, key, chunk)


def draw_chunk(chain: Chain, start: int, stop: int, people: int, key: ReleaseKey, chunk: int) -> Block:
    """Return the genotypes of `people` drawn people at the variants from start to stop.

    Bits come from the release's key stream, one word a genotype, so a chunk that is drawn again is the same.
    It is drawn by itself: its first variant follows no other, so it starts a chain (`panel.chain_starts`).

    Raises:
        BadInput: the range is not within the chain, or begins where no chain does.
    """
    if not 0 <= start < stop <= chain.variants or not chain.starts[start]:
        raise BadInput("a chunk lies within the variants and begins where a chain does")
    hi, lo = (np.zeros((stop - start, words_of(people)), np.uint64) for _ in range(2))
    stream, state = KeyStream(key), np.zeros(people, np.int8)
    # An even number of variants at a time, so that whole blocks of two words are drawn.
    step, counter = max(2, AT_ONCE // max(1, people) // 2 * 2), 0
    for at in range(0, stop - start, step):
        end = min(at + step, stop - start)
        words = stream.words(chunk, Domain.SYNTHETIC, (end - at) * people, counter)
        counter += len(words) // 2
        given = chain.at_least[start + at : start + end]
        _draw(given, words, state, hi[at:end], lo[at:end])
    return Block(hi, lo, people)


def copy_chunk(panel: PublicSource, start: int, stop: int, people: int, key: ReleaseKey, chunk: int) -> Block:
    """Return people put together from stretches of a public panel, at the variants from start to stop.

    Where no tables of pairs were measured this does better than a chain: it keeps the panel's linkage at any
    distance. Their frequencies are the panel's, until `targets.regrouped` moves them to released ones.

    Raises:
        Forbidden: the panel is not marked as public.
        BadInput: the panel has nobody.
    """
    if panel.public is not True:
        raise Forbidden("people are put together from a panel that is public, and this one is not marked so")
    if panel.people < 1:
        raise BadInput("a panel has people")
    return copied(panel.block(start, stop), people, key, chunk, Domain.SYNTHETIC + 1)


@njit(cache=True, nogil=True)
def _draw(at_least, words, state, hi, lo):  # type: ignore[no-untyped-def]
    people = state.shape[0]
    for v in range(at_least.shape[0]):
        for i in range(people):
            u = words[v * people + i]
            before = state[i]
            some = u < at_least[v, before, 0]
            both = u < at_least[v, before, 1]
            state[i] = np.int8(some) + np.int8(both)
            bit = np.uint64(i % 64)
            lo[v, i // 64] |= np.uint64(some) << bit
            hi[v, i // 64] |= np.uint64(both) << bit
