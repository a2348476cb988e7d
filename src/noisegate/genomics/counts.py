"""Noisy counts of genotypes: what is counted, how far one person moves it, and the noise that hides them.

TRUSTED. A query says what is counted and holds every number that bounds one person; a plan adds the noise;
`measure` counts and adds it in one step, so that no exact count leaves this file but through `privacy.noise`.
Neighbours are two rosters of the same public size where one person's row, genotypes and group together, is
replaced by any other. PROOFS.md, "Genotype counts".
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol, TypeVar, assert_never

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput, InternalError
from noisegate.genomics import counting
from noisegate.genomics.labels import CASE, CONTROL, NO_PART, Labels
from noisegate.genotypes.packed import Block, Words, words_of
from noisegate.privacy.curves import gaussian, pure
from noisegate.privacy.loss import Loss
from noisegate.privacy.noise import Gaussian, Laplace, add

Cells = NDArray[np.int64]
Flags = NDArray[np.bool_]
Masks = Words  # uint64, shape (groups, words): a row of bits a group
Given = TypeVar("Given", NDArray[np.int64], NDArray[np.bool_])
UNITS = 64  # of a centred count to one allele: centres are rounded to them, nothing else is
AT_ONCE = 2**23  # genotypes held at a time
CELLS_AT_ONCE = 2**18  # that noise is drawn for
MOST_VARIANTS = 2**28
_MADE_HERE = object()


class Source(Protocol):
    """Complete genotypes: a store, a prepared store, or a block held in memory."""

    @property
    def people(self) -> int:
        """How many people there are: a public number."""

    def block(self, start: int, stop: int) -> Block:
        """Return the calls of the variants from start to stop."""


@dataclass(frozen=True, slots=True)
class Alleles:
    """Alternate alleles of each variant: cells of shape (variants,)."""

    variants: int

    def __post_init__(self) -> None:
        _check_variants(self.variants)


@dataclass(frozen=True, slots=True, eq=False)
class Centred:
    """Alternate alleles of each variant, less a public centre, of the people who lie near it.

    A person's row is UNITS * genotype - centre, whole numbers, and `near`, a number that tells that they
    were counted. Who lies further from the centre than the radius adds nothing, which depends on that
    person's row alone. Cells of shape (variants + 1,), the last one `near` times the people who were
    counted.

    `centre` is int64 of shape (variants,), within 0 and 2 * UNITS; `squared_radius` a whole number of squared
    units, at least 1. Both are public.
    """

    centre: Cells
    squared_radius: int

    def __post_init__(self) -> None:
        _check_variants(len(self.centre))
        if self.centre.dtype != np.int64 or self.centre.ndim != 1:
            raise ValueError("a centre is int64, one number a variant")
        if self.centre.min() < 0 or self.centre.max() > 2 * UNITS:
            raise ValueError("a centre lies between no allele and two")
        if self.squared_radius < 1:
            raise ValueError("a radius is above 0")
        object.__setattr__(self, "centre", _frozen(self.centre))

    @property
    def variants(self) -> int:
        """How many variants there are."""
        return len(self.centre)

    @property
    def near(self) -> int:
        """The largest whole number whose square is at most three times the squared radius."""
        return math.isqrt(3 * self.squared_radius)


@dataclass(frozen=True, slots=True)
class Groups:
    """How many people of each of two groups have each genotype: cells of shape (variants, 2, 3).

    Group 1 are the cases, 0 the controls; which one a person is in, if any, is part of that person's row.
    """

    variants: int

    def __post_init__(self) -> None:
        _check_variants(self.variants)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many people are in each of two groups: cells of shape (2,), in the order of Groups."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """How many people have each pair of genotypes at neighbouring variants.

    `starts` is bool of shape (variants,): true at the first variant and wherever a chain begins afresh.
    Every other variant is paired with the one before it: cells of shape (tables, 3, 3), the former's
    genotype first.
    """

    starts: Flags

    def __post_init__(self) -> None:
        _check_variants(len(self.starts))
        if self.starts.dtype != np.bool_ or self.starts.ndim != 1 or not self.starts[0]:
            raise ValueError("starts are truth values, one a variant, true at the first")
        if self.starts.all():
            raise ValueError("where every variant starts a chain there are no pairs to count")
        object.__setattr__(self, "starts", _frozen(self.starts))

    @property
    def variants(self) -> int:
        """How many variants there are."""
        return len(self.starts)

    @property
    def tables(self) -> int:
        """How many pairs there are."""
        return self.variants - int(np.count_nonzero(self.starts))


Query = Alleles | Centred | Groups | Sizes | Pairs
Labelled = Groups | Sizes


def squared_sensitivity(query: Query) -> int:
    """Return a bound on the squared L2 distance by which replacing one person moves the cells."""
    match query:
        case Alleles(variants=variants):
            return 4 * variants
        case Centred(squared_radius=squared_radius):
            # Two who are counted differ by two radii; one who is and one who is not by a radius and `near`.
            return 4 * squared_radius
        case Groups(variants=variants):
            return 2 * variants
        case Sizes():
            return 2
        case Pairs():
            return 2 * query.tables
        case _:
            assert_never(query)


def absolute_sensitivity(query: Query) -> int | None:
    """Return a bound on the L1 distance by which replacing one person moves the cells, None if unknown."""
    match query:
        case Alleles(variants=variants):
            return 2 * variants
        case Centred():
            return None
        case Groups(variants=variants):
            return 2 * variants
        case Sizes():
            return 2
        case Pairs():
            return 2 * query.tables
        case _:
            assert_never(query)


def shape(query: Query) -> tuple[int, ...]:
    """Return the shape of the cells."""
    match query:
        case Alleles(variants=variants):
            return (variants,)
        case Centred():
            return (query.variants + 1,)
        case Groups(variants=variants):
            return (variants, 2, 3)
        case Sizes():
            return (2,)
        case Pairs():
            return (query.tables, 3, 3)
        case _:
            assert_never(query)


@dataclass(frozen=True, slots=True)
class Plan:
    """A query and the noise that each of its cells gets. The loss follows from the two."""

    query: Query
    noise: Gaussian | Laplace

    def __post_init__(self) -> None:
        if isinstance(self.noise, Laplace) and absolute_sensitivity(self.query) is None:
            raise ValueError("Laplace noise needs a bound in L1, which this query has not")

    @property
    def loss(self) -> Loss:
        """What measuring loses of one person, replace-one."""
        match self.noise:
            case Gaussian(scale=sigma):
                return gaussian(Fraction(squared_sensitivity(self.query)) / (2 * sigma * sigma))
            case Laplace(scale=scale):
                return pure(Fraction(absolute_sensitivity(self.query) or 0) / scale)
            case _:
                assert_never(self.noise)


@dataclass(frozen=True, slots=True, eq=False)
class Noisy:
    """Noisy cells, free to be shown: int64 of the query's shape, of `people` people, a public number.

    Made by `measure`, or `again` from what a release kept; by nothing else.
    """

    plan: Plan
    cells: Cells
    people: int
    _maker: object = field(repr=False)

    def __post_init__(self) -> None:
        if self._maker is not _MADE_HERE:
            raise TypeError("noisy counts come from measure, or from a release that was kept")
        if self.cells.dtype != np.int64 or self.cells.shape != shape(self.plan.query):
            raise ValueError("the cells are int64, of the query's shape")
        object.__setattr__(self, "cells", _frozen(self.cells))


def measure(plan: Plan, source: Source, labels: Labels | Flags | None = None) -> Noisy:
    """Count, and add the plan's noise to every cell.

    Claim: the result loses no more of one person than `plan.loss`, if one person's row, genotypes and label
    together, is replaced.
    Needs: the loss is charged; genotypes are complete, and each row of the source one person's own, as is
    each label.
    Argued in PROOFS.md, "Genotype counts".

    Args:
        plan: what is counted and the noise.
        source: genotypes of the query's variants.
        labels: of Groups and Sizes alone: int8, shape (people,), as `labels` gives them; or bool, true for a
            case and false for a control.

    Raises:
        BadInput: `labels` are there where they should not be, or are not where they should, or are others.
        InternalError: a call is missing; the text is constant.
    """
    query = plan.query
    if isinstance(query, Labelled) != (labels is not None):
        raise BadInput("who is a case is needed for groups of cases and controls, and for nothing else")
    nobody = np.zeros((2, words_of(source.people)), np.uint64)
    groups = nobody if labels is None else groups_of(labels, source.people)
    exact = np.concatenate([part.ravel() for part in _exact(query, source, groups)])
    for at in range(0, len(exact), CELLS_AT_ONCE):
        part = slice(at, at + CELLS_AT_ONCE)
        exact[part] = add(plan.noise, exact[part])
    return Noisy(plan, exact.reshape(shape(query)), source.people, _MADE_HERE)


def again(plan: Plan, cells: Cells, people: int) -> Noisy:
    """Return the noisy cells of a release that was kept. Needs: they came from `measure` under this plan."""
    return Noisy(plan, cells, people, _MADE_HERE)


def blocks(source: Source, variants: int, at_once: int = AT_ONCE) -> Iterator[tuple[int, Block]]:
    """Yield (start, block) over all variants, about `at_once` genotypes at a time.

    Raises:
        InternalError: a call is missing.
    """
    step = max(1, at_once // max(1, source.people))
    for start in range(0, variants, step):
        block = source.block(start, min(variants, start + step))
        if (block.hi & ~block.lo).any():
            raise InternalError("a genotype is missing where none may be; nothing was released")
        yield start, block


def groups_of(labels: Labels | Flags, people: int) -> Masks:
    """Return who is a control and who a case, as masks: uint64, shape (2, words). Private as labels are.

    Raises:
        BadInput: labels of another type, length or value; the text is constant.
    """
    if labels.dtype not in (np.int8, np.bool_) or labels.shape != (people,):
        raise BadInput("who is a case is one label a person")
    if labels.dtype == np.int8 and not ((labels >= NO_PART) & (labels <= CASE)).all():
        raise BadInput("a label is 1 for a case, 0 for a control and -1 for who takes no part")
    return np.stack([mask(labels == CONTROL), mask(labels == CASE)])


def _exact(query: Query, source: Source, groups: Masks) -> Iterator[Cells]:
    """Yield the exact cells, some variants at a time."""
    everybody = mask(np.ones(source.people, np.bool_))
    match query:
        case Alleles(variants=variants):
            yield from _each(source, variants, lambda _, b: counting.alleles(b.hi, b.lo, everybody))
        case Centred():
            near = within(query, source)
            counted, kept = mask(near), int(np.count_nonzero(near))
            for start, block in blocks(source, query.variants):
                centre = query.centre[start : start + block.variants]
                yield UNITS * counting.alleles(block.hi, block.lo, counted) - kept * centre
            yield np.array([kept * query.near])
        case Groups(variants=variants):
            yield from _each(source, variants, lambda _, b: counting.genotypes(b.hi, b.lo, groups))
        case Sizes():
            yield counting.sizes(groups)
        case Pairs():
            yield from pair_counts(query, source)
        case _:
            assert_never(query)


def within(query: Centred, source: Source) -> Flags:
    """Return who lies within the radius of the centre: bool, shape (people,). Private as the source is."""
    return squared_distances(query.centre, source) <= query.squared_radius


def squared_distances(centre: Cells, source: Source) -> Cells:
    """Return each person's squared distance from a centre: int64, (people,). Private as the source is."""
    found = np.zeros(source.people, np.int64)
    genotype = UNITS * np.arange(3)
    for start, block in blocks(source, len(centre)):
        weights = (genotype[None, :] - centre[start : start + block.variants, None]) ** 2
        counting.add_weights(block.hi, block.lo, weights, found)
    return found


def pair_counts(query: Pairs, source: Source) -> Iterator[Cells]:
    """Yield exact tables of pairs, int64 of shape (tables, 3, 3), some variants at a time."""
    before: Words = np.zeros((2, words_of(source.people)), np.uint64)
    for start, block in blocks(source, query.variants):
        starts = query.starts[start : start + block.variants]
        yield counting.pairs(block.hi, block.lo, before, starts, source.people)
        before = np.stack([block.hi[-1], block.lo[-1]])


def _each(source: Source, variants: int, count: Callable[[int, Block], Cells]) -> Iterator[Cells]:
    for start, block in blocks(source, variants):
        yield count(start, block)


def mask(people: Flags) -> Words:
    """Return truth values as bits, laid out as people are in a block."""
    padded = np.zeros(64 * words_of(len(people)), np.bool_)
    padded[: len(people)] = people
    return np.packbits(padded, bitorder="little").view("<u8").astype(np.uint64)


def _frozen(given: Given) -> Given:
    held = given.copy()
    held.setflags(write=False)
    return held


def _check_variants(variants: int) -> None:
    if not 1 <= variants <= MOST_VARIANTS:
        raise ValueError(f"variants are between 1 and {MOST_VARIANTS}")
