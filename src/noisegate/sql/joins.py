"""FROM: tables joined one after another, private ones on the unit only."""

from dataclasses import dataclass, replace

from sqlglot import exp

from noisegate.errors import NotUnitLocal, UnknownColumn, UnsupportedSql
from noisegate.privacy.expressions import Call, Case, ColumnRef, Expression, Function
from noisegate.privacy.relations import JoinKind, JoinOnUnit, JoinPublic, Matching, Project
from noisegate.sql.conditions import TRUE, all_of, is_equality_of, not_null
from noisegate.sql.env import Env
from noisegate.sql.expressions import (
    Reading,
    no_aggregate,
    no_subquery,
    no_window,
    translate,
    translate_condition,
)
from noisegate.sql.facts import Facts, Known, refine
from noisegate.sql.literals import fit, null
from noisegate.sql.nodes import bare, conjuncts, only, refusal, shown, text_of
from noisegate.sql.scope import Context, Rows, Scope, Source, Visible, column_in, renamed, substitute, unit_of
from noisegate.sql.tables import NoisySource, RowSource, read_source

MOST_ROWS = 2**20


def read_from(select: exp.Select, env: Env, outer: Scope | None = None) -> Scope | NoisySource:
    """Return the tables of a SELECT's FROM, joined.

    Raises:
        NotUnitLocal: private tables joined on something else than the unit.
        UnsupportedSql: a kind of join that cannot be planned.
    """
    clause = select.args.get("from_")
    if clause is None:
        raise refusal("a SELECT without FROM", "name a table of the catalog")
    only(clause, "this")
    first = read_source(clause.this, env)
    joins = select.args.get("joins") or []
    if isinstance(first, NoisySource):
        if joins:
            raise _two_aggregations()
        return first
    scope = Scope(env.context, [first.source], first.rows, outer=outer)
    where = select.args.get("where")
    for join in joins:
        _add(scope, join, where.this if where is not None else None, env)
    return scope


def _two_aggregations() -> UnsupportedSql:
    return refusal(
        "joining answers that carry noise already",
        "ask for all aggregates in one SELECT, with FILTER (WHERE …) for the different conditions",
    )


def _add(scope: Scope, join: exp.Join, where: exp.Expr | None, env: Env) -> None:
    only(join, "this", "on", "using", "side", "kind", "method")
    side, kind, method = (text_of(join, name) for name in ("side", "kind", "method"))
    if method:
        raise refusal(f"a {method} JOIN", "write JOIN … USING (the person's column)")
    right = read_source(join.this, env)
    if isinstance(right, NoisySource):
        raise _two_aggregations()
    if side == "FULL" or side not in ("", "LEFT", "RIGHT"):
        raise refusal(f"a {side} JOIN", "write LEFT JOIN, with the table whose rows are all kept first")
    if kind not in ("", "INNER", "OUTER", "CROSS", "SEMI", "ANTI"):
        raise refusal(f"a {kind} JOIN")
    if any(s.alias.casefold() == right.source.alias.casefold() and s.alias for s in scope.sources):
        raise refusal(f"two tables called {right.source.alias!r} in one FROM", "give one of them an alias")
    conditions, merged = _conditions(scope, join, right, where)
    if kind in ("SEMI", "ANTI"):
        scope.rows = matched(scope.rows, right.rows, conditions, anti=kind == "ANTI")
        return
    joined = _joined(scope, right, side, conditions)
    scope.sources = [*joined.before, joined.source]
    scope.rows = joined.rows
    for name, visible in merged.items():
        changes = joined.kept_changes
        scope.merged[name] = Visible(visible.name, substitute(visible.expression, changes))


def _conditions(
    scope: Scope, join: exp.Join, right: RowSource, where: exp.Expr | None
) -> tuple[list[Expression], dict[str, Visible]]:
    """Return the conditions of a join, and the columns that USING merges."""
    both = Scope(scope.context, [*scope.sources, right.source], scope.rows, scope.merged)
    if join.args.get("using"):
        conditions: list[Expression] = []
        merged: dict[str, Visible] = {}
        for name in join.args["using"]:
            left_value, right_value = _shared(scope, right.source, name.name)
            conditions.append(Call(Function.EQ, tuple(fit([left_value, right_value], join))))
            kept = right_value if text_of(join, "side") == "RIGHT" else left_value
            merged[name.name.casefold()] = Visible(name.name, kept)
        return conditions, merged
    reading = Reading(both.resolve, no_aggregate, no_window, no_subquery)
    if join.args.get("on") is not None:
        return [translate_condition(c, reading) for c in conjuncts(join.args["on"])], {}
    units = unit_of(scope.rows), unit_of(right.rows)
    if units[0] is None or units[1] is None:
        return [], {}
    for node in conjuncts(where):
        if isinstance(node, exp.EQ) and isinstance(bare(node.this), exp.Column):
            try:
                found = translate(node, reading)
            except UnknownColumn:  # a column of a table further on
                continue
            if is_equality_of(found, units[0], units[1]):
                return [found], {}
    return [], {}


def _shared(scope: Scope, source: Source, name: str) -> tuple[Expression, Expression]:
    node = exp.column(name)
    left = scope.look_up(node)
    right = column_in(source, name.casefold())
    if left is None or right is None:
        raise UnknownColumn(
            f"USING ({name}): no such column on both sides", "write ON with both columns' names"
        )
    return left, right


@dataclass(frozen=True, slots=True)
class _Joined:
    rows: Rows
    before: list[Source]
    source: Source
    kept_changes: dict[Expression, Expression]


def _joined(scope: Scope, right: RowSource, side: str, conditions: list[Expression]) -> _Joined:
    first, second = scope.rows, right.rows
    swap = side == "RIGHT" or (side == "" and unit_of(first) is None and unit_of(second) is not None)
    if swap:
        first, second = second, first
    kind = JoinKind.LEFT if side else JoinKind.INNER
    if unit_of(first) is None and unit_of(second) is not None:
        raise NotUnitLocal(
            "an outer join would keep the rows of a public table against a private one",
            "put the private table on the side whose rows are all kept",
        )
    if unit_of(first) is not None and unit_of(second) is not None:
        rows, changes = _on_unit(first, second, kind, conditions, scope.context)
    else:
        rows, changes = _public(first, second, kind, conditions), {}
    before = [renamed(s, changes) for s in scope.sources] if swap else scope.sources
    if swap:
        scope.merged = {
            k: Visible(v.name, substitute(v.expression, changes)) for k, v in scope.merged.items()
        }
    source = right.source if swap else renamed(right.source, changes)
    # What USING merges is taken from the side that is kept, which no change touches but an inner join's.
    kept = changes if kind is JoinKind.INNER else {}
    return _Joined(rows, before, source, kept)


def _on_unit(
    left: Rows, right: Rows, kind: JoinKind, conditions: list[Expression], context: Context
) -> tuple[Rows, dict[Expression, Expression]]:
    rest, unit, other = without_unit_link(left, right, conditions)
    known: dict[str, Facts] = {**plain_positions(left.known), **plain_positions(right.known)}
    partner = right.relation
    changes: dict[Expression, Expression] = {other: unit}
    markers = {**left.markers, **right.markers}
    if kind is JoinKind.LEFT:
        # Where nothing matched, the right table's unit reads as NULL: a marker column tells.
        marker = ColumnRef(f"{context.next_derived()}.0", TRUE.type)
        fields = [f for f in partner.shape.fields if f.name != partner.shape.unit]
        outputs: list[tuple[str, Expression]] = [(f.name, ColumnRef(f.name, f.type)) for f in fields]
        partner = Project(partner, (*outputs, (marker.name, TRUE)))
        changes = {other: Case(((not_null(marker), unit),), null(unit.type))}
        for name in [f.name for f in fields]:
            if name in known:
                known[name] = replace(known[name], nullable=True)
        known[marker.name] = Facts(domain=(True,))
        markers[marker.name] = right.rows
    condition = all_of(rest)
    relation = JoinOnUnit(left.relation, partner, kind, condition)
    narrowed: Known = known
    if kind is JoinKind.INNER and condition is not None:
        narrowed = refine(condition, known)
    rows = Rows(
        relation,
        narrowed,
        min(left.rows * right.rows, MOST_ROWS),
        min(left.groups * right.groups, MOST_ROWS),
        markers,
    )
    return rows, changes


def _public(left: Rows, right: Rows, kind: JoinKind, conditions: list[Expression]) -> Rows:
    condition = all_of(conditions) or TRUE
    known: dict[str, Facts] = {**plain_positions(left.known), **plain_positions(right.known)}
    if kind is JoinKind.LEFT:
        for f in right.relation.shape.fields:
            if f.name in known:
                known[f.name] = replace(known[f.name], nullable=True)
    relation = JoinPublic(left.relation, right.relation, kind, condition)
    narrowed = refine(condition, known) if kind is JoinKind.INNER else known
    return Rows(relation, narrowed, left.rows, left.groups, {**left.markers, **right.markers})


def plain_positions(known: Known) -> Known:
    """Return the facts without ROW_NUMBERs: after a join they no longer count a unit's rows."""
    return {n: f if f.positions is None else replace(f, positions=None) for n, f in known.items()}


def without_unit_link(
    left: Rows, right: Rows, conditions: list[Expression]
) -> tuple[list[Expression], ColumnRef, ColumnRef]:
    """Return the conditions but for that the units are equal, the right unit written as the left one.

    Raises:
        NotUnitLocal: the conditions do not say that the units are equal, or they are of two populations.
    """
    unit, other = unit_of(left), unit_of(right)
    if unit is None or other is None:
        raise NotUnitLocal("a public table cannot be matched against a private one")
    populations = left.relation.shape.population, right.relation.shape.population
    if populations[0] != populations[1]:
        raise NotUnitLocal(
            f"the people of two populations ({populations[0]} and {populations[1]}) stand in one question",
            "ask about each population by itself",
        )
    links = [c for c in conditions if is_equality_of(c, unit, other)]
    if not links:
        names = unit.name.partition(".")[2], other.name.partition(".")[2]
        raise NotUnitLocal(
            "private tables are joined on the person only",
            f"join with USING ({names[0]})"
            if names[0] == names[1]
            else f"join with ON {names[0]} = {names[1]}",
        )
    return [substitute(c, {other: unit}) for c in conditions if c not in links], unit, other


def matched(left: Rows, right: Rows, conditions: list[Expression], *, anti: bool) -> Rows:
    """Return the left rows that have a partner on the right, or that have none.

    Raises:
        NotUnitLocal: a private partner that need not be the same person.
    """
    if unit_of(right) is None:
        relation = Matching(left.relation, right.relation, anti, all_of(conditions) or TRUE)
    else:
        rest, _, _ = without_unit_link(left, right, conditions)
        relation = Matching(left.relation, right.relation, anti, all_of(rest))
    return replace(left, relation=relation)


def unplaced(node: exp.Expr) -> NotUnitLocal:
    """Return the error for a sub-query whose rows are other people's."""
    hint = "tie the sub-query to the same person: WHERE inner.person = outer.person"
    if isinstance(node, exp.Query):
        hint = "join a sub-query with GROUP BY the person, or take all aggregates of everyone in one SELECT"
    return NotUnitLocal(f"{shown(node)} would let a row depend on other people's rows", hint)
