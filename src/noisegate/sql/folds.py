"""Aggregates of one person's rows: GROUP BY the person, and folds over a window."""

from dataclasses import dataclass, field
from fractions import Fraction

from sqlglot import exp

from noisegate.errors import BadInput
from noisegate.privacy.expressions import NUMERIC, Call, ColumnRef, Expression, Function, Type
from noisegate.privacy.relations import Fold, Order, UnitFold
from noisegate.sql.aggregates import Aggregate, Kind, read_aggregate
from noisegate.sql.conditions import all_of, not_null
from noisegate.sql.expressions import Reading, translate, translate_condition
from noisegate.sql.facts import Facts, Known, refine
from noisegate.sql.grids import grid_of
from noisegate.sql.intervals import facts_of
from noisegate.sql.nodes import only, refusal, shown
from noisegate.sql.scope import Scope

_PLAIN = {
    Kind.COUNT: Fold.COUNT,
    Kind.COUNT_DISTINCT: Fold.COUNT_DISTINCT,
    Kind.SUM: Fold.SUM,
    Kind.MEAN: Fold.MEAN,
    Kind.MIN: Fold.MIN,
    Kind.MAX: Fold.MAX,
    Kind.ANY_TRUE: Fold.ANY_TRUE,
    Kind.ALL_TRUE: Fold.ALL_TRUE,
    Kind.FIRST: Fold.FIRST,
    Kind.LAST: Fold.LAST,
}


@dataclass(slots=True)
class Folds:
    """The folds that one per-person SELECT asks for, each once, under names of one derived table."""

    name: str
    scope: Scope
    reading: Reading
    found: dict[UnitFold, str] = field(default_factory=dict)
    known: dict[str, Facts] = field(default_factory=dict)

    def add(self, node: exp.Expr) -> Expression:
        """Return the column that holds an aggregate of a person's rows."""
        fold = unit_fold(read_aggregate(node), self.scope, self.reading)
        name = self.found.setdefault(fold, f"{self.name}.{len(self.found)}")
        self.known[name] = fold_facts(fold, self.scope.rows.known, self.scope.rows.rows)
        return ColumnRef(name, fold.type)


def unit_fold(aggregate: Aggregate, scope: Scope, reading: Reading) -> UnitFold:
    """Return the fold that an aggregate of one person's rows is.

    Raises:
        UnsupportedSql: an aggregate that has no exact fold.
        MissingBounds: a sum of real numbers without bounds.
    """
    where = translate_condition(aggregate.where, reading) if aggregate.where is not None else None
    if aggregate.kind is Kind.COUNT_ROWS:
        return UnitFold(Fold.COUNT_ROWS, where=where)
    if aggregate.kind is Kind.COUNT_IF:
        condition = translate_condition(aggregate.argument, reading)
        return UnitFold(Fold.COUNT_ROWS, where=all_of([*([where] if where is not None else []), condition]))
    value = translate(aggregate.argument, reading)
    if aggregate.kind in (Kind.ARG_MIN, Kind.ARG_MAX):
        by = translate(aggregate.by or aggregate.argument, reading)
        needed = [not_null(v) for v in (value, by) if facts_of(v, scope.rows.known).nullable]
        there = all_of([*([where] if where is not None else []), *needed])
        return UnitFold(Fold.FIRST, value, there, order=(Order(by, aggregate.kind is Kind.ARG_MAX),))
    fold = _PLAIN.get(aggregate.kind)
    if fold is None:
        raise refusal(
            f"{shown(aggregate.node)} of one person's rows",
            "count, sum, avg, min, max, arg_min, arg_max, first, last, bool_or and bool_and are known there",
        )
    order = orders(aggregate.order, reading) if fold in (Fold.FIRST, Fold.LAST) else ()
    if fold in (Fold.SUM, Fold.MEAN):
        value = as_number(value, aggregate.node)
        grid = None
        if value.type is Type.FLOAT:
            known = refine(where, scope.rows.known) if where is not None else scope.rows.known
            grid = grid_of(value, known, shown(aggregate.node))
        return UnitFold(fold, value, where, grid)
    return UnitFold(fold, value, where, order=order)


def as_number(value: Expression, node: exp.Expr) -> Expression:
    """Return a number; true and false are 1 and 0.

    Raises:
        BadInput: text or a date is no number.
    """
    if value.type is Type.BOOL:
        return Call(Function.TO_INT, (value,))
    if value.type not in NUMERIC:
        raise BadInput(f"{shown(node)} needs a number", "only COUNT takes text and dates")
    return value


def orders(nodes: tuple[exp.Ordered, ...], reading: Reading) -> tuple[Order, ...]:
    """Return sort keys within a person's rows; NULLs come last."""
    found = []
    for node in nodes:
        only(node, "this", "desc", "nulls_first")
        if node.args.get("nulls_first"):
            raise refusal("NULLS FIRST within a person's rows", "NULLs come last there; leave it out")
        found.append(Order(translate(node.this, reading), bool(node.args.get("desc"))))
    return tuple(found)


def fold_facts(fold: UnitFold, known: Known, rows: int) -> Facts:
    """Return what is known of a fold over at most `rows` rows."""
    inside = refine(fold.where, known) if fold.where is not None else known
    facts = facts_of(fold.value, inside) if fold.value is not None else Facts(nullable=False)
    # A group has a row, so it has a value unless all are NULL or FILTER left none.
    nullable = facts.nullable or fold.where is not None
    if fold.fold in (Fold.COUNT_ROWS, Fold.COUNT, Fold.COUNT_DISTINCT):
        return Facts(Fraction(0 if nullable else 1), Fraction(rows), Fraction(1), nullable=False)
    low, high = facts.low, facts.high
    if fold.fold is Fold.SUM and low is not None and high is not None:
        low, high = min(rows * low, low), max(rows * high, high)
    domain = facts.domain
    if fold.fold in (Fold.SUM, Fold.MEAN):
        domain = None
    return Facts(low, high, facts.step, domain, nullable, facts.measured_in, facts.origin)
