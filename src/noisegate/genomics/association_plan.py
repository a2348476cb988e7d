"""The mechanism of a private association: what is counted, what is chosen, and the noise of both.

TRUSTED. Of named variants the tables of cases and controls are counted. Of all variants those that look most
associated are chosen first: the sizes of the groups are counted, which weigh the scores, then variants chosen
one after the other, then the tables of those counted. Each part adds its own noise, and what all lose
together is computed from what is drawn. PROOFS.md, "Private association".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from noisegate.genomics import chance
from noisegate.genomics.choosing import FULL, Selection, Weights, choose
from noisegate.genomics.counts import AT_ONCE, Cells, Groups, Noisy, Plan, Sizes, Source, again, measure
from noisegate.genomics.labels import Labels
from noisegate.genomics.panel import Panel
from noisegate.genotypes.packed import Block, words_of
from noisegate.privacy.loss import Loss
from noisegate.privacy.noise import Gaussian, Laplace


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """Variants that were named: int64, different places in the source's list."""

    places: Cells

    def __post_init__(self) -> None:
        if self.places.dtype != np.int64 or self.places.ndim != 1 or not len(self.places):
            raise ValueError("places are int64, one a variant, and at least one")
        if self.places.min() < 0 or len(np.unique(self.places)) != len(self.places):
            raise ValueError("places are at least 0, and each is named once")


@dataclass(frozen=True, slots=True, eq=False)
class Top:
    """The `count` variants that look most associated among all `variants` of the source.

    With a panel, which is public, chance alone makes common variants as likely to be chosen as rare ones.
    """

    variants: int
    count: int
    panel: Panel | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.count <= self.variants:
            raise ValueError("of all variants at least one is chosen, and at most all")
        if self.panel is not None and len(self.panel.frequency) != self.variants:
            raise ValueError("the panel has other variants than the data")


Wanted = Named | Top


@dataclass(frozen=True, slots=True, eq=False)
class Tabling:
    """Tables of named variants. The sizes of the groups are what the tables add up to."""

    wanted: Named
    tables: Plan

    def __post_init__(self) -> None:
        _check(self.tables, Groups(len(self.wanted.places)))

    @property
    def loss(self) -> Loss:
        """What it loses of one person, replace-one."""
        return self.tables.loss

    def as_json(self) -> dict[str, object]:
        """Return what is done and with which noise: public numbers."""
        return {"kind": "named", "variants": len(self.wanted.places), "tables": _noise(self.tables)}


@dataclass(frozen=True, slots=True, eq=False)
class Choosing:
    """Sizes of the groups, variants chosen among all, and tables of those."""

    wanted: Top
    sizes: Plan
    selection: Selection
    tables: Plan

    def __post_init__(self) -> None:
        _check(self.sizes, Sizes())
        _check(self.tables, Groups(self.wanted.count))
        if self.selection.rounds != self.wanted.count:
            raise ValueError("as many variants are chosen as are wanted")

    @property
    def loss(self) -> Loss:
        """What it loses of one person, replace-one."""
        return self.sizes.loss + self.selection.loss + self.tables.loss

    def as_json(self) -> dict[str, object]:
        """Return what is done and with which noise: public numbers."""
        panel = self.wanted.panel
        return {
            "kind": "top",
            "variants": self.wanted.variants,
            "chosen": self.wanted.count,
            "panel": None if panel is None else panel.digest,
            "sizes": _noise(self.sizes),
            "selection": {
                "mechanism": "exponential",
                "scale": float(self.selection.scale / FULL),
                "in": "alleles of the smaller group",
            },
            "tables": _noise(self.tables),
        }


Mechanism = Tabling | Choosing


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What came of it, free to be shown.

    `places` is int64 of shape (k,), of the variants in the source's list, named or in the order in which they
    were chosen; `tables` are theirs, noisy, in that order; `sizes` noisy, None where nothing was chosen;
    `looked_at` how many variants they were found among.
    """

    places: Cells
    tables: Noisy
    sizes: Noisy | None
    looked_at: int

    def as_json(self) -> dict[str, object]:
        """Return JSON values from which `from_json` makes the same again."""
        return {
            "places": self.places.tolist(),
            "tables": self.tables.cells.tolist(),
            "sizes": None if self.sizes is None else self.sizes.cells.tolist(),
        }


def carry_out(mechanism: Mechanism, source: Source, labels: Labels) -> Measured:
    """Count, choose, and count what was chosen, all with the mechanism's noise.

    Claim: the result loses no more of one person than `mechanism.loss`, if one person's row, genotypes and
    label together, is replaced.
    Needs: the loss is charged; genotypes are complete, and each row of the source and each label one person's
    own.
    Argued in PROOFS.md, "Private association".

    Args:
        mechanism: what to do.
        source: genotypes of all variants that `wanted` speaks of.
        labels: int8, shape (people,), as `labels` gives them.

    Raises:
        BadInput: labels of another type or length.
        InternalError: a call is missing; the text is constant.
    """
    match mechanism:
        case Tabling(wanted=wanted):
            tables = measure(mechanism.tables, At(source, wanted.places), labels)
            return Measured(wanted.places, tables, None, len(wanted.places))
        case Choosing(wanted=wanted, selection=selection):
            sizes = measure(mechanism.sizes, source, labels)
            weights, offsets = scoring(wanted, selection, sizes)
            places = choose(selection, weights, offsets, source, labels)
            tables = measure(mechanism.tables, At(source, places), labels)
            return Measured(places, tables, sizes, wanted.variants)
        case _:
            assert_never(mechanism)


def scoring(wanted: Top, selection: Selection, sizes: Noisy) -> tuple[Weights, Cells]:
    """Return weights and offsets of scores, from noisy sizes and public people: post-processing.

    An allele of a case counts by how many controls there are, and one of a control by how many cases.
    """
    controls, cases = (min(max(size, 1), sizes.people) for size in sizes.cells.tolist())
    most = max(controls, cases)
    weights = Weights(case=FULL * controls // most, control=FULL * cases // most)
    if wanted.panel is None:
        return weights, np.zeros(wanted.variants, np.int64)
    scale = float(selection.scale)
    return weights, chance.offsets(wanted.panel.frequency, weights, (controls, cases), scale, wanted.variants)


def from_json(mechanism: Mechanism, people: int, stored: Mapping[str, object]) -> Measured:
    """Return what `Measured.as_json` was made from. Needs: it came from `carry_out` of this mechanism.

    Raises:
        ValueError: it did not.
    """
    try:
        places = np.array(stored["places"], np.int64)
        tables = again(mechanism.tables, np.array(stored["tables"], np.int64), people)
        sizes = stored["sizes"]
        match mechanism:
            case Tabling(wanted=wanted):
                if sizes is not None or not np.array_equal(places, wanted.places):
                    raise ValueError
                return Measured(places, tables, None, len(places))
            case Choosing(wanted=wanted):
                if len(Named(places).places) != wanted.count or places.max() >= wanted.variants:
                    raise ValueError
                measured = again(mechanism.sizes, np.array(sizes, np.int64), people)
                return Measured(places, tables, measured, wanted.variants)
            case _:
                assert_never(mechanism)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ValueError("not a stored answer of this association") from None


@dataclass(frozen=True, slots=True, eq=False)
class At:
    """Some variants of a source, by their places, in any order."""

    source: Source
    places: Cells

    @property
    def people(self) -> int:
        """How many people there are."""
        return self.source.people

    def block(self, start: int, stop: int) -> Block:
        """Return the calls of the variants at places start to stop - 1; neighbours are read at once."""
        order = start + np.argsort(self.places[start:stop])
        sorted_ = self.places[order]
        hi, lo = (np.empty((stop - start, words_of(self.people)), np.uint64) for _ in range(2))
        step = max(1, AT_ONCE // max(1, self.people))
        at = 0
        while at < len(order):
            end = int(np.searchsorted(sorted_, sorted_[at] + step))
            read = self.source.block(int(sorted_[at]), int(sorted_[end - 1]) + 1)
            rows, to = sorted_[at:end] - sorted_[at], order[at:end] - start
            hi[to], lo[to] = read.hi[rows], read.lo[rows]
            at = end
        return Block(hi, lo, self.people)


def _noise(plan: Plan) -> dict[str, object]:
    match plan.noise:
        case Gaussian(scale=scale):
            return {"noise": "discrete Gaussian", "scale": float(scale)}
        case Laplace(scale=scale):
            return {"noise": "discrete Laplace", "scale": float(scale)}
        case _:
            assert_never(plan.noise)


def _check(plan: Plan, query: Groups | Sizes) -> None:
    if plan.query != query:
        raise ValueError("a plan counts what is wanted")
