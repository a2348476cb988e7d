"""Aggregations written down for DuckDB: from rows to one bounded integer a group and measure.

TRUSTED. Each statement goes the way of privacy/question.py: rows become integers by themselves; the rows
of one unit in one group are folded into one integer, clamped to what the bounding allows; groups past the
bound are dropped by a keyed hash of (unit, group); what is left is summed in 128 bits and saturated to
64. Where the plan says that a unit has one row only, the row is the unit and the first fold falls away.

A statement's one parameter is the salt, new for each run and kept nowhere. The engine's hash is not a
cryptographic one: which rows it keeps is a matter of bias. The claim needs only that the choice for a
unit is a function of the salt and of that unit's rows. PROOFS.md, "Lowering".
"""
# ruff: noqa: S608  (writing SQL is what this file is for; names and constants go through quote.py)

from collections.abc import Callable
from typing import assert_never

from noisegate.engines.chosen import different, ranked
from noisegate.engines.dealt import within_bounds
from noisegate.engines.grids import PART, integer, saturated
from noisegate.engines.masks import counted_by_mask, fits
from noisegate.engines.render import render
from noisegate.engines.unitrows import Rows, Statement, added_by_row, among, counted, where
from noisegate.privacy.question import Aggregation, CountRows, CountUnits, CountValues, Moment, Rank, Sum

Totalled = CountRows | CountUnits | Sum | Moment


def lower(aggregation: Aggregation, *, ranged: bool = False) -> tuple[Statement, ...]:
    """Return statements that give every measure once.

    All statements of one aggregation keep the same groups of a unit, given the same salt.

    Args:
        aggregation: what is asked.
        ranged: write those that can be run by ranges of units so.

    Raises:
        PlanError: the plan is nested too deep to write.
    """
    rows = _rows(aggregation, ranged)
    totalled = [(i, m) for i, m in enumerate(aggregation.measures) if isinstance(m, Totalled)]
    units = [(i, m) for i, m in totalled if isinstance(m, CountUnits)]
    if len(units) == len(aggregation.measures) and fits(aggregation):
        return (counted_by_mask(rows(), units),)
    statements: list[Statement] = []
    if totalled:
        totals = _unit_totals if aggregation.single else _totals
        statements.append(totals(rows(), totalled))
    for i, measure in enumerate(aggregation.measures):
        if isinstance(measure, CountValues):
            # Two ranges may name the same value: their counts do not add up.
            statements.append(different(_rows(aggregation, ranged=False)(), i, measure))
        elif isinstance(measure, Rank):
            statements.append(ranked(rows(), i, measure))
    return tuple(statements)


def _rows(aggregation: Aggregation, ranged: bool) -> Callable[[], Rows]:
    source = render(aggregation.source, ranged=ranged)
    return lambda: Rows(aggregation, source, ranged)


def _unit_totals(rows: Rows, totalled: list[tuple[int, Totalled]]) -> Statement:
    """Return totals where each row is all there is of its unit: it counts in full, and is clamped already."""
    if not rows.keys and not rows.ranged and all(isinstance(m, CountRows | CountUnits) for _, m in totalled):
        # Rows are fewer than 2^63. This is what the engine may know without reading one.
        counts = [f"{counted(m.where, rows)} AS m{i}" for i, m in totalled]
        read = rows.text() if rows.inputs.places else f"({rows.source.select}) AS i"
        return rows.statement(f"SELECT {', '.join(counts)} FROM {read}", [i for i, _ in totalled])
    aggregates = ["count(*) AS n"]
    for i, measure in totalled:
        match measure:
            case CountRows() | CountUnits():
                aggregates.append(f"{counted(measure.where, rows)} AS m{i}")
            case Sum() | Moment():
                aggregates.append(f"sum({added_by_row(measure, rows)}){among(measure.where, rows)} AS m{i}")
            case _:
                assert_never(measure)
    columns = ", ".join([*rows.key_columns("i"), *aggregates])
    return _summed(rows, f"SELECT {columns} FROM {rows.text()}{rows.grouped('i')}", totalled)


def _totals(rows: Rows, totalled: list[tuple[int, Totalled]]) -> Statement:
    """Return totals of what each unit adds to each of its groups."""
    folds = _Folds(rows)
    added = [f"{_contribution(m, rows, folds)} AS m{i}" for i, m in totalled]
    columns = ["i.u AS u", *_keys_of_unit(rows), *(f"{a} AS a{at}" for a, at in folds.places.items())]
    chosen = rows.aggregation.bound_groups or folds.dealt
    if chosen:
        columns.append("count(*) AS n")
    by = ", ".join(rows.within_unit("i"))
    groups = f"SELECT {', '.join(columns)} FROM {rows.text()} GROUP BY {by}"
    given = ""
    if chosen:
        given, groups = within_bounds(rows, groups, list(folds.places.values()), folds.dealt)
    bounded = f"SELECT {', '.join([*rows.key_columns('p'), *added])} FROM ({groups}) AS p"
    added_up = [f"sum(q.m{i}) AS m{i}" for i, _ in totalled]
    sums = ", ".join([*rows.key_columns("q"), "count(*) AS n", *added_up])
    return _summed(rows, f"SELECT {sums} FROM ({bounded}) AS q{rows.grouped('q')}", totalled, given)


class _Folds:
    """Aggregates over a unit's rows in a group, as columns a0, a1 of p; each different one once."""

    def __init__(self, rows: Rows) -> None:
        self.bounding = rows.aggregation.bounding
        self.places: dict[str, int] = {}
        self.dealt: list[int] = []

    def take(self, aggregate: str) -> str:
        """Return the column of an aggregate."""
        return f"p.a{self.places.setdefault(aggregate, len(self.places))}"

    def allowed(self, count: str) -> str:
        """Return how many rows a unit may count in a group, where it has as many as the aggregate says.

        No more than `rows`; and where all its rows together could pass `total`, no more than its groups
        before this one, in the order of the keyed hash, have left. They have t - m taken, if m are taken
        here and t up to here.
        """
        column = self.take(count)
        taken = f"least({column}, {self.bounding.rows})"
        if not self.bounding.shared:
            return taken
        at = self.places[count]
        if at not in self.dealt:
            self.dealt.append(at)
        return f"greatest(least({taken}, {self.bounding.total} - (p.t{at} - {taken})), 0)"


def _keys_of_unit(rows: Rows) -> list[str]:
    """Return the keys of a unit's group. Where all its rows share them, any row has them."""
    if rows.aggregation.one_group:
        return [f"any_value(i.{k}) AS {k}" for k in rows.keys]
    return rows.key_columns("i")


def _summed(rows: Rows, sums: str, totalled: list[tuple[int, Totalled]], given: str = "") -> Statement:
    """Return the statement that saturates sums, or parts them; they are NULL where nothing was added."""
    columns = rows.key_columns("g")
    for i, _ in totalled:
        if rows.ranged:
            total = f"CAST(g.m{i} AS HUGEINT)"
            columns += [
                f"coalesce(CAST({total} % {PART} AS BIGINT), 0) AS m{i}",
                f"coalesce(CAST({total} // {PART} AS BIGINT), 0) AS h{i}",
            ]
        else:
            columns.append(f"coalesce({saturated(f'g.m{i}')}, 0) AS m{i}")
    select = f"SELECT {', '.join(columns)} FROM ({sums}) AS g{where(rows.within_domains('g'))}"
    return rows.statement(select, [i for i, _ in totalled], given=given)


def _contribution(measure: Totalled, rows: Rows, folds: _Folds) -> str:
    """Return what a unit adds to a group. Neither totals nor bounds reach 2^62."""
    most = rows.aggregation.bounding.rows
    match measure:
        case CountRows():
            return folds.allowed(counted(measure.where, rows))
        case CountUnits(where=None):
            return "1"
        case CountUnits():
            return f"(CASE WHEN {folds.take(counted(measure.where, rows))} > 0 THEN 1 ELSE 0 END)"
        case Sum():
            total = folds.take(f"sum({added_by_row(measure, rows)}){among(measure.where, rows)}")
            low, high = str(most * min(measure.grid.low, 0)), str(most * max(measure.grid.high, 0))
            if rows.aggregation.bounding.shared:
                allowed = folds.allowed(f"count({rows.take(measure.value)}){among(measure.where, rows)}")
                low = f"({allowed} * CAST({min(measure.grid.low, 0)} AS BIGINT))"
                high = f"({allowed} * CAST({max(measure.grid.high, 0)} AS BIGINT))"
            kind = integer(most * measure.grid.reach)
            ends = f"WHEN {total} < {low} THEN {low} WHEN {total} > {high} THEN {high}"
            return f"(CASE {ends} ELSE TRY_CAST({total} AS {kind}) END)"
        case Moment():
            kind = integer(most * measure.reach)
            total = folds.take(f"sum({added_by_row(measure, rows)}){among(measure.where, rows)}")
            count = f"count({rows.take(measure.value)}){among(measure.where, rows)}"
            allowed = folds.allowed(count) if rows.aggregation.bounding.shared else str(most)
            counts = folds.take(count)
            # The magnitude of `total` is at most counts * reach, so that of the quotient allowed * reach.
            weighed = f"(CAST({total} AS HUGEINT) * {allowed}) // nullif({counts}, 0)"
            return f"TRY_CAST((CASE WHEN {counts} > {allowed} THEN {weighed} ELSE {total} END) AS {kind})"
        case _:
            assert_never(measure)
