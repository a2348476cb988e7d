"""WHERE: plain conditions, and sub-queries that ask whether the same person has other rows.

IN and EXISTS become a Matching where they stand alone in WHERE, and one flag a person, joined on the
unit, where they stand inside OR, CASE or FILTER.
"""

from dataclasses import dataclass, replace

from sqlglot import exp

from noisegate.privacy.expressions import Call, ColumnRef, Expression, Function, Type, columns_of
from noisegate.privacy.relations import Fold, GroupWithinUnit, JoinKind, JoinOnUnit, UnitFold
from noisegate.sql.aggregates import has_aggregate
from noisegate.sql.conditions import TRUE, filtered, not_null
from noisegate.sql.env import Env
from noisegate.sql.expressions import Reading, no_aggregate, no_window, translate, translate_condition
from noisegate.sql.facts import Facts
from noisegate.sql.intervals import facts_of
from noisegate.sql.joins import matched, read_from, unplaced, without_unit_link
from noisegate.sql.literals import fit
from noisegate.sql.nodes import bare, conjuncts, inside, is_star, only, refusal, shown, written
from noisegate.sql.noisy import Noisy
from noisegate.sql.scope import Rows, Scope, unit_of
from noisegate.sql.tables import NoisySource, with_plain_columns

_NOT_SIMPLE = ("group", "having", "distinct", "limit", "offset", "qualify", "with_")


def row_reading(scope: Scope, env: Env) -> Reading:
    """Return how expressions over rows are read: no aggregates, no windows."""
    return Reading(scope.resolve, no_aggregate, no_window, lambda node: flag(scope, node, env))


def apply_where(scope: Scope, where: exp.Expr | None, env: Env) -> None:
    """Keep the rows of the scope for which the condition is true."""
    reading = row_reading(scope, env)
    plain: list[Expression] = []
    tests: list[tuple[exp.Expr, bool]] = []
    for node in conjuncts(where):
        test = _membership(node)
        if test is not None:
            tests.append(test)
        else:
            plain.append(translate_condition(node, reading))
    scope.rows = filtered(scope.rows, plain)
    for core, negated in tests:
        _match(scope, core, negated, env)


def _membership(node: exp.Expr) -> tuple[exp.Expr, bool] | None:
    """Return the sub-query test that a condition is, and whether it is negated; None if it is another."""
    negated = False
    node = bare(node)
    while isinstance(node, exp.Not):
        negated = not negated
        node = bare(node.this)
    if isinstance(node, exp.Exists) or (isinstance(node, exp.In) and node.args.get("query")):
        return node, negated
    return None


@dataclass(frozen=True, slots=True)
class _Partner:
    """The rows a sub-query asks for, the conditions that tie them to the outer row, and IN's own one."""

    rows: Rows
    links: list[Expression]
    member: Call | None


def _match(scope: Scope, core: exp.Expr, negated: bool, env: Env) -> None:
    partner = _partner(scope, core, env)
    links = list(partner.links)
    if partner.member is not None:
        links.append(_null_safe(partner.member, partner, scope) if negated else partner.member)
    if unit_of(partner.rows) is not None and not _ties_units(scope.rows, partner.rows, links):
        raise unplaced(core)
    scope.rows = matched(scope.rows, partner.rows, links, anti=negated)


def _null_safe(member: Call, partner: _Partner, scope: Scope) -> Expression:
    """NOT IN is true only if every comparison is false: one that is NULL counts as a match."""
    known = {**scope.rows.known, **partner.rows.known}
    units = {unit_of(scope.rows), unit_of(partner.rows)}
    if all(a in units or not facts_of(a, known).nullable for a in member.args):
        return member
    return Call(Function.COALESCE, (member, TRUE))


def _ties_units(left: Rows, right: Rows, links: list[Expression]) -> bool:
    units = {unit_of(left), unit_of(right)}
    return any(isinstance(c, Call) and c.function is Function.EQ and set(c.args) == units for c in links)


def _partner(scope: Scope, core: exp.Expr, env: Env) -> _Partner:
    reading = row_reading(scope, env)
    subject: Expression | None = None
    if isinstance(core, exp.In):
        only(core, "this", "query")
        subject = translate(core.this, reading)
        query = core.args["query"]
    else:
        only(core, "this")
        query = core.this
    if isinstance(query, exp.Subquery):
        only(query, "this")
        query = query.this
    if isinstance(query, exp.Select) and not any(query.args.get(name) for name in _NOT_SIMPLE):
        items = query.expressions
        windowed = any(isinstance(n, exp.Window) for item in items for n in inside(item))
        if not windowed and not any(has_aggregate(item) for item in items):
            return _correlated(scope, core, query, subject, env)
    if subject is None:
        raise refusal(
            f"EXISTS over {shown(query)}",
            "write person IN (SELECT person FROM … GROUP BY person HAVING …)",
        )
    answer = env.read(query, env)
    if isinstance(answer, Noisy):
        raise unplaced(core)
    table = with_plain_columns(answer, scope.context)
    if len(table.columns) != 1:
        raise refusal(f"IN over {len(table.columns)} columns", "select one column in the sub-query")
    left, right = fit([subject, table.columns[0].expression], core)
    return _Partner(table.rows, [], Call(Function.EQ, (left, right)))


def _correlated(
    scope: Scope, core: exp.Expr, query: exp.Select, subject: Expression | None, env: Env
) -> _Partner:
    only(query, "expressions", "from_", "joins", "where", "order")
    inner = read_from(query, env, outer=scope)
    if isinstance(inner, NoisySource):
        raise unplaced(core)
    reading = row_reading(inner, env)
    where = query.args.get("where")
    own: list[Expression] = []
    links: list[Expression] = []
    tests: list[tuple[exp.Expr, bool]] = []
    for node in conjuncts(where.this if where is not None else None):
        test = _membership(node)
        if test is not None:
            tests.append(test)
            continue
        condition = translate_condition(node, reading)
        names = {f.name for f in inner.rows.relation.shape.fields}
        (own if all(ref.name in names for ref in columns_of(condition)) else links).append(condition)
    inner.rows = filtered(inner.rows, own)
    for core_inside, negated in tests:
        _match(inner, core_inside, negated, env)
    outputs = [translate(_value(item), reading) for item in query.expressions if not is_star(item)]
    member = None
    if subject is not None:
        if len(outputs) != 1 or len(query.expressions) != 1:
            raise refusal(f"IN over {shown(query)}", "select one column in the sub-query")
        left, right = fit([subject, outputs[0]], core)
        member = Call(Function.EQ, (left, right))
    return _Partner(inner.rows, links, member)


def _value(item: exp.Expr) -> exp.Expr:
    return item.this if isinstance(item, exp.Alias) else item


def flag(scope: Scope, node: exp.Expr, env: Env) -> Expression:
    """Return, as a condition on a row, whether its person has rows in a sub-query.

    The scope's rows are joined with one row a person, which adds no rows.

    Raises:
        NotUnitLocal: the sub-query is not about the same person.
        UnsupportedSql: it asks for more than that the person is in it.
    """
    if not isinstance(node, exp.In | exp.Exists):
        raise unplaced(node)
    text = written(node)
    if text not in scope.flags:
        scope.flags[text] = _flag(scope, node, env)
    return scope.flags[text]


def _flag(scope: Scope, node: exp.Expr, env: Env) -> Expression:
    partner = _partner(scope, node, env)
    links = [*partner.links, *([partner.member] if partner.member is not None else [])]
    if unit_of(partner.rows) is None or unit_of(scope.rows) is None:
        raise refusal(
            f"{shown(node)} inside OR, CASE or FILTER",
            "join the public table, or let the condition stand alone in WHERE",
        )
    if not _ties_units(scope.rows, partner.rows, links):
        raise unplaced(node)
    rest, _, _ = without_unit_link(scope.rows, partner.rows, links)
    if rest:
        raise refusal(
            f"a sub-query inside OR, CASE or FILTER that compares more than the person, {shown(node)}",
            "let it stand alone in WHERE, or join a sub-query with GROUP BY the person",
        )
    marker = ColumnRef(f"{scope.context.next_derived()}.0", Type.INT)
    one = GroupWithinUnit(partner.rows.relation, (), ((marker.name, UnitFold(Fold.COUNT_ROWS)),))
    relation = JoinOnUnit(scope.rows.relation, one, JoinKind.LEFT)
    scope.rows = replace(scope.rows, relation=relation, known={**scope.rows.known, marker.name: Facts()})
    return not_null(marker)
