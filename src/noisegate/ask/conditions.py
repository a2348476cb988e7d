"""What a condition of a question demands: conjuncts, each about one value, and the share each lets through.

A share follows from the condition and the catalog alone, never from the other conditions of the question nor
from rows, so that adding a condition only ever narrows what is asked for. What is not understood lets the
policy's `unknown_share` through, and the conditions inside it count as if they stood by themselves.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

from noisegate.ask import certain
from noisegate.ask.regions import (
    Domain,
    Region,
    complement,
    everything,
    region_of,
    size_of,
    union,
)
from noisegate.privacy.expressions import (
    NUMERIC,
    Call,
    Case,
    ColumnRef,
    Expression,
    Function,
    Literal,
    Type,
    children,
    columns_of,
)
from noisegate.sql.canonical import canonical, text
from noisegate.sql.evaluate import NotEvaluated, evaluate
from noisegate.sql.words import words

_LONGEST = 60
_MOST_SUBJECT = 200
# Regions in more pieces than these are compared by their texts alone.
_MOST_PIECES = 64
# A value that differs for so many is a measure, not a condition.
_MANY = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Conjunct:
    """One condition: of the row `row`, about `subject`, true for `share` of what is declared possible.

    `region` says where in a domain of `size` positions it is true, None where that is unknown. `cell` is set
    for a group key: how many positions the smallest group has. `outside` names the anti-join that it stands
    in: it then says who is left out. `understood` is false where the share is the policy's, and `links` true
    of what a table of codes is joined on, which selects nobody by itself.
    """

    row: str
    subject: str
    said: str
    weight: Fraction
    share: Fraction
    region: Region | None = None
    size: int = 0
    cell: int = 0
    outside: str = ""
    understood: bool = True
    links: bool = False


@dataclass(frozen=True, slots=True)
class Base:
    """A column that conditions are about: a stored one, or one computed from a person's rows.

    `row` tells rows apart: two conditions are about one value if they share row and subject. `people` is
    set for the person's own column: how many there are, as declared. `brings` are the conditions that a
    computed column was computed under.
    """

    row: str
    subject: str
    name: str
    weight: Fraction
    domain: Domain | None = None
    public: bool = False
    people: int | None = None
    brings: tuple[Conjunct, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What conditions are read against: the columns by name, and the share of what is not understood."""

    bases: Mapping[str, Base]
    unknown: Fraction

    def demands(self, condition: Expression, *, negated: bool = False) -> tuple[Conjunct, ...]:
        """Return the conjuncts that a condition, or its negation, demands."""
        match condition:
            case Literal(value=value):
                return () if (value is True) != negated else (self._never(condition),)
            case Call(function=Function.AND | Function.OR as function, args=args):
                parts = [self.demands(a, negated=negated) for a in args]
                if (function is Function.AND) != negated:
                    return tuple(c for part in parts for c in part)
                return _either(parts)
            case Call(function=Function.NOT, args=(inner,)):
                return self.demands(inner, negated=not negated)
            case Call(function=Function.COALESCE, args=(inner, Literal(type=Type.BOOL))):
                return self.demands(inner, negated=negated)
            case (
                Call(
                    function=Function.EQ | Function.SAME | Function.NE as function,
                    args=(Call() | ColumnRef() | Case() as inner, Literal(value=bool() as truth)),
                )
                | Call(
                    function=Function.EQ | Function.SAME | Function.NE as function,
                    args=(Literal(value=bool() as truth), Call() | ColumnRef() | Case() as inner),
                )
            ):
                return self.demands(inner, negated=negated != (truth is (function is Function.NE)))
            case Call(function=Function.IS_NULL, args=(inner,)) if negated:
                # AVG and COUNT of a column ask it silently.
                return (*self._present(inner), *self.inside(inner))
            case Call(function=Function.SAME, args=(inner, Literal(value=None))):
                return self.demands(Call(Function.IS_NULL, (inner,)), negated=negated)
            case _:
                return self._one(condition, negated)

    def inside(self, value: Expression) -> tuple[Conjunct, ...]:
        """Return the conditions that a value depends on: those of CASE, truth values, computed columns."""
        if value.type is Type.BOOL and not isinstance(value, Literal):
            return self.demands(value)
        if isinstance(value, ColumnRef):
            return self.bases[value.name].brings
        return tuple(c for part in children(value) for c in self.inside(part))

    def measured(self, value: Expression) -> tuple[Conjunct, ...]:
        """Return the conditions that a value which is added up depends on, or acts as."""
        return (*self._few(value), *self.inside(value))

    def _few(self, value: Expression) -> tuple[Conjunct, ...]:
        """Return that a number is another one for few people, where it is written so that it may be."""
        if value.type not in NUMERIC or certain.harmless(value):
            return ()
        bases, domains, axes = self._axes(value)
        found = certain.varied(value, domains, axes)
        if found is None and certain.divides(value):
            return ()
        return (
            () if found is not None and found >= _MANY else self._computed(value, bases, found, "tells few")
        )

    def _present(self, value: Expression) -> tuple[Conjunct, ...]:
        """Return that a computed value is not NULL, where it may be for others than those without values."""
        if value.type is Type.BOOL or isinstance(value, ColumnRef | Literal):
            return ()
        bases, domains, axes = self._axes(value)
        found = certain.present(value, domains, axes)
        if found == 1 or (found is None and certain.divides(value)):
            return ()
        return self._computed(value, bases, found, "is not null")

    def _computed(
        self, value: Expression, bases: tuple[Base, ...], found: Fraction | None, said: str
    ) -> tuple[Conjunct, ...]:
        if not bases:
            return ()
        rows = {b.row for b in bases}
        weight = max(b.weight for b in bases)
        known = {ref.name: self.bases[ref.name].name for ref in columns_of(value)}
        return (
            Conjunct(
                rows.pop() if len(rows) == 1 else "",
                _brief(f"{said}: {self.subject(value)}"),
                _shortened(f"{words(value, known)} {said}"),
                weight,
                found or self._least(bases),
                understood=bool(found),
            ),
        )

    def _axes(
        self, expression: Expression
    ) -> tuple[tuple[Base, ...], tuple[Domain | None, ...], dict[str, int]]:
        """Return the values that an expression reads, their domains, and which of them each column is."""
        places: dict[tuple[str, str], int] = {}
        bases: list[Base] = []
        axes: dict[str, int] = {}
        for ref in columns_of(expression):
            base = self.bases[ref.name]
            if (base.row, base.subject) not in places:
                places[base.row, base.subject] = len(bases)
                bases.append(base)
            axes[ref.name] = places[base.row, base.subject]
        return tuple(bases), tuple(base.domain for base in bases), axes

    def _least(self, bases: Iterable[Base]) -> Fraction:
        """Return the share of one value of every column."""
        sizes = [b.people if b.domain is None else b.domain.size for b in bases]
        return certain.floor_of(sizes, self.unknown)

    def _one(self, condition: Expression, negated: bool) -> tuple[Conjunct, ...]:
        bases = tuple({ref.name: self.bases[ref.name] for ref in columns_of(condition)}.values())
        if not bases:
            return self._constant(condition, negated)
        if len(bases) == 2 and any(b.public for b in bases) and _links(condition) and not negated:
            return (replace(self._unknown(condition, bases, negated), links=True),)
        found = self._of_column(condition, bases[0], negated) if len(bases) == 1 else None
        if found is not None:
            return bases[0].brings if found.share == 1 else (found, *bases[0].brings)
        nested = [c for part in children(condition) for c in self.inside(part)]
        if isinstance(condition, ColumnRef):
            nested = [*bases[0].brings]
        return (self._unknown(condition, bases, negated), *nested)

    def _of_column(self, condition: Expression, base: Base, negated: bool) -> Conjunct | None:
        if base.people is not None:
            # Whatever is said of who the person is names somebody.
            share = min(Fraction(_named(condition), base.people), Fraction(1))
            return self._plain(condition, base, negated, share)
        if base.domain is None or (isinstance(condition, Call) and condition.function is Function.IS_NULL):
            return None
        size = base.domain.size
        region = region_of(condition, base.domain)
        if region is None:
            region = certain.region(condition, base.domain, negated)
            if region is None:
                return None
        elif negated:
            region = complement(region, size)
        share = Fraction(max(size_of(region), 1), size)
        if len(region) > _MOST_PIECES:
            return self._plain(condition, base, negated, share)
        said = self._said(condition, negated)
        return Conjunct(base.row, base.subject, said, base.weight, share, region, size)

    def _plain(self, condition: Expression, base: Base, negated: bool, share: Fraction) -> Conjunct:
        subject = self.subject(condition, negated)
        return Conjunct(base.row, subject, self._said(condition, negated), base.weight, share)

    def _unknown(self, condition: Expression, bases: tuple[Base, ...], negated: bool) -> Conjunct:
        rows = {b.row for b in bases}
        row = rows.pop() if len(rows) == 1 else ""
        weight = max(b.weight for b in bases)
        said = self._said(condition, negated)
        subject = self.subject(condition, negated)
        share, known = self._share(condition, negated)
        return Conjunct(row, subject, said, weight, share, understood=known)

    def _share(self, condition: Expression, negated: bool) -> tuple[Fraction, bool]:
        """Return the share of a condition that is no plain one, and whether that is certain."""
        bare = isinstance(condition, Call) and all(isinstance(a, ColumnRef) for a in condition.args)
        missing = bare and isinstance(condition, Call) and condition.function is Function.IS_NULL
        if isinstance(condition, ColumnRef) or missing or (_links(condition) and not negated):
            return self.unknown, False
        bases, domains, axes = self._axes(condition)
        found = certain.share(condition, domains, axes, negated=negated)
        return (found, True) if found else (self._least(bases), False)

    def _constant(self, condition: Expression, negated: bool) -> tuple[Conjunct, ...]:
        try:
            value = evaluate(condition, {})
        except NotEvaluated:
            value = None
        return () if value is (not negated) else (self._never(condition),)

    def _never(self, condition: Expression) -> Conjunct:
        said = self._said(condition, False)
        return Conjunct("", "never", said, Fraction(1), self.unknown, (), understood=False)

    def subject(self, expression: Expression, negated: bool = False) -> str:
        """Return a text that is equal for equal expressions of the same columns, whatever they are called."""
        names = {ref.name: self.bases[ref.name].subject for ref in columns_of(expression)}
        said = text(canonical(_called(expression, names)))
        return _brief(f"not {said}" if negated else said)

    def _said(self, condition: Expression, negated: bool) -> str:
        names = {ref.name: self.bases[ref.name].name for ref in columns_of(condition)}
        if not negated:
            return _shortened(words(condition, names))
        bare = isinstance(condition, ColumnRef)
        return _shortened(f"not {words(condition, names)}" if bare else f"not ({words(condition, names)})")


def pin(base: Base, domain: Domain, cell: int) -> Conjunct:
    """Return, as a condition, that a column is in one of its groups, the smallest of `cell` positions."""
    said = f"each value of {base.name}" if cell == 1 else f"each group of {base.name}"
    share = Fraction(cell, domain.size)
    whole = everything(domain.size)
    return Conjunct(base.row, base.subject, said, base.weight, share, whole, domain.size, cell)


def _called(expression: Expression, names: Mapping[str, str]) -> Expression:
    match expression:
        case ColumnRef(name=name, type=kind):
            return ColumnRef(names[name], kind)
        case Call(function=function, args=args):
            return Call(function, tuple(_called(a, names) for a in args))
        case Case(branches=branches, otherwise=otherwise):
            inner = tuple((_called(c, names), _called(v, names)) for c, v in branches)
            return Case(inner, _called(otherwise, names))
        case _:
            return expression


def _links(condition: Expression) -> bool:
    """Whether it says that two columns are equal."""
    return (
        isinstance(condition, Call)
        and condition.function in (Function.EQ, Function.SAME)
        and all(isinstance(a, ColumnRef) for a in condition.args)
    )


def _named(condition: Expression) -> int:
    """Return how many people a condition on the person's own column names."""
    if isinstance(condition, Call) and condition.function is Function.IN:
        return len(condition.args) - 1
    return 1


def _either(ways: list[tuple[Conjunct, ...]]) -> tuple[Conjunct, ...]:
    """Return what is demanded where any of several ways will do: the sum of their shares, at most 1."""
    if any(not way for way in ways):
        return ()
    # A way that lets nobody through widens nothing; nor does one that is not understood, beside others.
    ways = [way for way in ways if not any(c.region == () for c in way)] or ways[:1]
    ways = [way for way in ways if all(c.understood for c in way)] or ways
    if len(ways) == 1:
        return ways[0]
    firsts = [way[0] for way in ways]
    first = firsts[0]
    region = first.region
    alike = all(len(w) == 1 and (w[0].row, w[0].subject) == (first.row, first.subject) for w in ways)
    if alike and region is not None:
        for other in firsts[1:]:
            region = union(region, other.region or ())
        if region == everything(first.size):
            return ()
        share = Fraction(size_of(region), first.size)
        if len(region) <= _MOST_PIECES:
            said = _shortened(" or ".join(c.said for c in firsts))
            return (replace(first, said=said, share=share, region=region),)
    share = min(
        sum((prod((c.share for c in way), start=Fraction(1)) for way in ways), Fraction(0)), Fraction(1)
    )
    every = [c for way in ways for c in way]
    rows = {c.row for c in every}
    texts = sorted(" and ".join(sorted(_identity(c) for c in way)) for way in ways)
    said = _shortened(" or ".join(" and ".join(c.said for c in way) for way in ways))
    row = rows.pop() if len(rows) == 1 else ""
    return (Conjunct(row, _brief(" or ".join(texts)), said, max(c.weight for c in every), share),)


def _identity(conjunct: Conjunct) -> str:
    return f"{conjunct.subject}{'' if conjunct.region is None else conjunct.region}"


def _brief(subject: str) -> str:
    """Return a text that stands for a longer one; equal for equal texts."""
    return subject if len(subject) <= _MOST_SUBJECT else hashlib.sha256(subject.encode()).hexdigest()


def _shortened(said: str) -> str:
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"


def outside(conjuncts: Iterable[Conjunct], which: str) -> Iterator[Conjunct]:
    """Yield conjuncts as those of an anti-join: they say who is left out."""
    for conjunct in conjuncts:
        subject = conjunct.subject if conjunct.outside else f"none with {conjunct.subject}"
        yield replace(conjunct, subject=subject, outside=conjunct.outside or which)
