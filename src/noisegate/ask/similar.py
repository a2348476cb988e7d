"""Whether a question builds on an earlier one of the same asker.

It does if leaving out some of its conditions gives nearly the people of the earlier question, yet not quite
(answers to the two could be subtracted), or the people of a question that had itself been asked before; or if
what the two share is a small group already. All of this can only become more true as conditions are added to
a question, which is what makes the price monotone.
"""

import enum
import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import NamedTuple

from noisegate.ask.regions import Region, intersection, size_of
from noisegate.ask.selections import Condition, Selection

# Bits are kept in whole 64ths, rounded up.
UNIT = 64
# Of an earlier question, the most specific selections are remembered.
_MOST_SELECTIONS = 16
# And regions in no more pieces than these.
_MOST_PIECES = 64
# A question with more conjuncts about one value counts as near to whatever was asked about it.
_MOST_PARTS = 64


@lru_cache(maxsize=65_536)
def bits_of(share: Fraction) -> int:
    """Return -log2 of a share in 64ths, rounded up: the least m with share >= 2 ** (-m / 64).

    >>> bits_of(Fraction(1, 2)), bits_of(Fraction(1))
    (64, 0)
    """
    inverse: int = share.denominator**UNIT
    own: int = share.numerator**UNIT
    found = max(inverse.bit_length() - own.bit_length() - 1, 0)
    while own << found < inverse:
        found += 1
    return found


def weighted(condition: Condition) -> int:
    """Return how specific a condition is: bits in 64ths, times the weight of its tier, rounded up."""
    return ceil(bits_of(condition.share) * condition.weight)


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """A condition of an earlier question. Equal ones are the same object, so that they are compared once."""

    subject: str
    bits: int
    size: int
    cell: int
    region: Region | None


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """One selection of earlier questions. Equal ones are the same object too."""

    conditions: tuple[Remembered, ...]
    subjects: frozenset[str]
    bits: int


@dataclass(frozen=True, slots=True, eq=False)
class Earlier:
    """An earlier question: what it selected, and a text that is equal where the same was asked again."""

    selections: tuple[Before, ...]
    identity: str


def written(selections: Sequence[Selection], what: str) -> str:
    """Return what is kept of a question, as JSON; `what` tells apart what was asked about those people."""
    kept = sorted(selections, key=lambda s: -sum(map(weighted, s.conditions)))[:_MOST_SELECTIONS]
    asked = [[_kept(c) for c in s.conditions if c.demands] for s in kept]
    return json.dumps({"asked": asked, "what": what}, sort_keys=True, separators=(",", ":"))


def _kept(condition: Condition) -> tuple[object, ...]:
    subject, region = condition.subject, condition.region
    if region is not None and len(region) > _MOST_PIECES:
        # Nothing is then seen to build on it; it was priced itself.
        subject, region = f"{subject} {hashlib.sha256(repr(region).encode()).hexdigest()}", None
    return subject, weighted(condition), condition.size, condition.cell, region


@lru_cache(maxsize=8_192)
def recalled(text: str) -> Earlier:
    """Return what was kept of an earlier question; nothing where it was no question."""
    found = json.loads(text)
    asked = found["asked"] if isinstance(found, dict) else []
    return Earlier(tuple(_before(selection) for selection in asked), text)


def _before(selection: Iterable[tuple[str, int, int, int, list[list[int]] | None]]) -> Before:
    return _selected(
        tuple(
            _remembered(
                subject, bits, size, cell, None if region is None else tuple((a, b) for a, b in region)
            )
            for subject, bits, size, cell, region in selection
        )
    )


@lru_cache(maxsize=8_192)
def _selected(conditions: tuple[Remembered, ...]) -> Before:
    return Before(conditions, frozenset(c.subject for c in conditions), sum(c.bits for c in conditions))


@lru_cache(maxsize=65_536)
def _remembered(subject: str, bits: int, size: int, cell: int, region: Region | None) -> Remembered:
    return Remembered(subject, bits, size, cell, region)


class Link(enum.Enum):
    """How a question stands to an earlier one: BUILDS on it, or HOLDS just its conditions among its own."""

    NONE = "none"
    HOLDS = "holds"
    BUILDS = "builds"


class _Held(NamedTuple):
    """How a condition of ours stands to a remembered one: nearly the same, another by little, within it."""

    near: bool
    apart: bool
    within: bool


_ALIEN = _Held(near=False, apart=False, within=False)


class Comparison:
    """One selection of a question, held against earlier questions."""

    def __init__(self, selection: Selection, near: Fraction, small: int) -> None:
        """Take the selection, the share that near regions have in common, and the bits of a small group."""
        self._near = near
        self._small = small
        self._own: dict[str, list[_Own]] = {}
        for condition in selection.conditions:
            self._own.setdefault(condition.subject, []).append(_Own(condition, near))
        self._known: dict[Remembered, _Held] = {}
        self._found: dict[Before, Link] = {}
        self._spares = selection.spares >= near
        self._wide = frozenset(
            condition.subject
            for condition in selection.conditions
            if any(near * condition.size <= size_of(p) < condition.size for p in condition.parts)
        )

    def link(self, before: Before) -> Link:
        """Return how the selection stands to an earlier one."""
        found = self._found.get(before)
        if found is None:
            found = self._found[before] = self._compared(before)
        return found

    def _compared(self, before: Before) -> Link:
        if not before.conditions:
            return Link.NONE
        if before.bits > self._small:
            shared = sum(c.bits for c in before.conditions if self._held(c).within)
            if shared > self._small:
                return Link.BUILDS
        if not before.subjects <= self._own.keys():
            return Link.NONE
        held = [self._held(c) for c in before.conditions]
        if not all(h.near for h in held):
            return Link.NONE
        apart = (
            any(h.apart for h in held)
            or not self._wide <= before.subjects
            or (self._spares and not any(s.startswith("none with") for s in before.subjects))
        )
        return Link.BUILDS if apart else Link.HOLDS

    def _held(self, other: Remembered) -> _Held:
        found = self._known.get(other)
        if found is None:
            ours = [own.held(other) for own in self._own.get(other.subject, ())]
            found = (
                ours[0] if len(ours) == 1 else _Held(*(any(way) for way in zip(_ALIEN, *ours, strict=True)))
            )
            self._known[other] = found
        return found


class _Own:
    """A condition of ours, prepared for comparing."""

    def __init__(self, condition: Condition, near: Fraction) -> None:
        self.condition = condition
        self._near = near
        last = condition.size - 1
        ranges = [part[0] for part in condition.parts if len(part) == 1]
        # What bounds a value on one side only can be combined freely.
        self._lows = sorted({begin for begin, end in ranges if end == last})
        self._highs = sorted({end for begin, end in ranges if begin == 0})

    def held(self, other: Remembered) -> _Held:
        """Say how we stand to a remembered condition on the same subject."""
        ours = self.condition
        if other.region is None or ours.region is None:
            same = other.region is None and ours.region is None
            return _Held(near=same, apart=False, within=same)
        if other.size != ours.size:  # the catalog has changed since
            return _ALIEN
        if other.cell:
            same = ours.cell == other.cell
            finer = 0 < ours.cell <= other.cell or size_of(ours.region) <= other.cell
            return _Held(near=same, apart=False, within=finer)
        within = intersection(ours.region, other.region) == ours.region
        within = within or 0 < ours.cell <= size_of(other.region)
        if len(ours.parts) > _MOST_PARTS:
            return _Held(near=True, apart=True, within=within)
        return self._beside(other.region, within)

    def _beside(self, other: Region, within: bool) -> _Held:
        """Look for some of our conjuncts that together come near to a region."""
        around = self._around(other)
        near = around is not None and self._close(around, other)
        for region in self._some(other, around):
            if region != other and self._close(region, other):
                return _Held(near=True, apart=True, within=within)
        return _Held(near=near, apart=False, within=within)

    def _around(self, other: Region) -> Region | None:
        """Return the least region around another that conjuncts of ours give."""
        around = None
        for part in self.condition.parts:
            if intersection(part, other) == other:
                around = part if around is None else intersection(around, part)
        return around

    def _some(self, other: Region, around: Region | None) -> Iterable[Region]:
        """Yield what some of our conjuncts let through together: those that may come near to a region."""
        parts = self.condition.parts
        yield from parts
        if around == other and len(parts) > 1:
            yield from (intersection(other, part) for part in parts)
        if len(other) == 1 and self._lows and self._highs:
            first, last = other[0]
            for low in _nearest(self._lows, first):
                for high in _nearest(self._highs, last):
                    if low <= high:
                        yield ((low, high),)

    def _close(self, one: Region, other: Region) -> bool:
        """Whether two regions have enough of their union in common."""
        if len(one) == len(other) == 1:
            (a, b), (c, d) = one[0], other[0]
            both = min(b, d) - max(a, c) + 1
            if both <= 0:
                return False
            every = max(b, d) - min(a, c) + 1
        else:
            both = size_of(intersection(one, other))
            every = size_of(one) + size_of(other) - both
        return both * self._near.denominator >= self._near.numerator * every


def _nearest(bounds: list[int], wanted: int) -> Iterable[int]:
    """Yield the wanted bound if it is there, and the next on either side of it."""
    left, right = bisect_left(bounds, wanted), bisect_right(bounds, wanted)
    if left > 0:
        yield bounds[left - 1]
    if left < right:
        yield wanted
    if right < len(bounds):
        yield bounds[right]
