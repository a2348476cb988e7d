"""A query, whatever it gives: rows of people, rows of a public table, or noisy answers.

Reading goes clause by clause in the order SQL evaluates them: FROM, WHERE, GROUP BY, HAVING, SELECT,
windows, QUALIFY, DISTINCT, ORDER BY, LIMIT.
"""

from dataclasses import replace

from sqlglot import exp

from noisegate.errors import NotAggregate
from noisegate.privacy.expressions import Call, ColumnRef, Expression, Function, Type, columns_of
from noisegate.privacy.relations import (
    Distinct,
    Fold,
    GroupWithinUnit,
    Project,
    Union,
    UnitFold,
    WindowWithinUnit,
    constant_within_unit,
)
from noisegate.sql.after import (
    distinct_of,
    group_keys,
    having_of,
    item_name,
    item_value,
    read_outer,
    sort_keys,
)
from noisegate.sql.aggregates import has_aggregate
from noisegate.sql.conditions import filtered
from noisegate.sql.domains import domain_of
from noisegate.sql.env import Answer, Env, with_ctes
from noisegate.sql.expressions import Reading, no_aggregate, no_window, translate, translate_condition
from noisegate.sql.facts import Facts, either
from noisegate.sql.folds import Folds
from noisegate.sql.groups import read_groups
from noisegate.sql.intervals import facts_of
from noisegate.sql.joins import MOST_ROWS, read_from
from noisegate.sql.matchings import apply_where, flag
from noisegate.sql.nodes import conjuncts, inside, is_star, only, refusal, shown
from noisegate.sql.noisy import Noisy
from noisegate.sql.scope import Rows, RowTable, Scope, Visible, substitute, unit_of
from noisegate.sql.tables import NoisySource, with_plain_columns
from noisegate.sql.windows import Windows

_ONE_OF_THE_VALUES = frozenset({Fold.MIN, Fold.MAX, Fold.MEAN, Fold.FIRST, Fold.LAST})
_CLAUSES = (
    "expressions", "from_", "joins", "where", "group", "having", "qualify", "order", "limit", "offset",
    "distinct", "with_",
)  # fmt: skip


def read_query(node: exp.Expr, env: Env) -> Answer:
    """Return what a query gives, within what is in sight of it."""
    env = with_ctes(node, env)
    if isinstance(node, exp.Subquery):
        only(node, "this", "with_")
        if not isinstance(node.this, exp.Query):
            raise refusal(f"the bracket {shown(node)}")
        return env.read(node.this, env)
    if isinstance(node, exp.Union):
        return _union(node, env)
    if isinstance(node, exp.Intersect | exp.Except):
        raise refusal("INTERSECT or EXCEPT", "use person IN (…) or person NOT IN (…)")
    if not isinstance(node, exp.Select):
        raise refusal(shown(node), "ask with SELECT")
    return _select(node, env)


def _select(select: exp.Select, env: Env) -> Answer:
    only(select, *_CLAUSES)
    if not select.expressions:
        raise refusal("a SELECT of nothing")
    scope = read_from(select, env)
    if isinstance(scope, NoisySource):
        return read_outer(select, scope, env.context)
    where = select.args.get("where")
    apply_where(scope, where.this if where is not None else None, env)
    clauses = (*select.expressions, select.args.get("having"), select.args.get("order"))
    if select.args.get("group") is None and not any(has_aggregate(n) for n in clauses):
        return _rows(select, scope, env)
    if unit_of(scope.rows) is None:
        raise refusal(
            "an aggregate over public tables alone", "read a private table with it; public tables are public"
        )
    if select.args.get("qualify") is not None or any(
        isinstance(n, exp.Window) for item in select.expressions for n in inside(item)
    ):
        raise refusal("a window beside GROUP BY", "compute one of them in a sub-query")
    if any(is_star(item) for item in select.expressions):
        raise NotAggregate("* beside aggregates lists rows", "name the columns that are grouped by")
    keys = group_keys(select, scope, _reading(scope, env))
    if unit_of(scope.rows) in keys:
        return _per_person(select, scope, keys, env)
    return read_groups(select, scope, keys, env)


def _reading(scope: Scope, env: Env) -> Reading:
    return Reading(scope.resolve, no_aggregate, no_window, lambda node: flag(scope, node, env))


def _no_limit(select: exp.Expr) -> None:
    if select.args.get("limit") is not None or select.args.get("offset") is not None:
        raise refusal(
            "LIMIT before the aggregate",
            "which rows it keeps would depend on other people; take the first rows of each person with "
            "QUALIFY row_number() OVER (PARTITION BY person ORDER BY …) <= n",
        )


def _rows(select: exp.Select, scope: Scope, env: Env) -> RowTable:
    _no_limit(select)
    if select.args.get("having") is not None:
        raise refusal("HAVING without an aggregate", "write WHERE")
    plain = _reading(scope, env)
    windows = Windows(env.context.next_derived(), scope, plain)
    reading = replace(plain, window=windows.add)
    items: list[Visible] = []
    for node in select.expressions:
        if is_star(node):
            only(node, "this", "table")
            items.extend(scope.all_columns(node.table if isinstance(node, exp.Column) else ""))
            continue
        value = translate(item_value(node), reading)
        items.append(Visible(item_name(node), value))
        if isinstance(node, exp.Alias):
            scope.aliases[node.alias.casefold()] = value
    qualify = select.args.get("qualify")
    conditions = [
        translate_condition(c, reading) for c in conjuncts(qualify.this if qualify is not None else None)
    ]
    # Rows have no order that could matter later, but what stands there must make sense.
    sort_keys(select, items, lambda n: translate(n, reading))
    rows = scope.rows
    if windows.found:
        relation = WindowWithinUnit(rows.relation, tuple((n, w) for w, n in windows.found.items()))
        rows = replace(rows, relation=relation, known={**rows.known, **windows.known})
    table = RowTable(filtered(rows, conditions), tuple(items))
    return _distinct(table, env) if distinct_of(select) else table


def _distinct(table: RowTable, env: Env) -> RowTable:
    """Return each different row once; the person is one of the columns."""
    unit = unit_of(table.rows)
    if unit is not None and all(c.expression != unit for c in table.columns):
        raise NotAggregate(
            "SELECT DISTINCT without the person's column lists values across people",
            "select the person as well, or ask COUNT(DISTINCT column) or COUNT(*) with GROUP BY",
        )
    table = with_plain_columns(table, env.context)
    names = {c.expression.name: c.expression for c in table.columns if isinstance(c.expression, ColumnRef)}
    outputs = tuple((n, e) for n, e in names.items() if e != unit)
    relation = Distinct(Project(table.rows.relation, outputs))
    most = min(table.rows.rows, _combinations([e for _, e in outputs], table.rows))
    spread = tuple(n for n, _ in outputs)
    return replace(table, rows=replace(table.rows, relation=relation, rows=most, spread=spread))


def _per_person(select: exp.Select, scope: Scope, keys: list[Expression], env: Env) -> RowTable:
    """Return one row for each person, and value of the further keys."""
    _no_limit(select)
    unit = unit_of(scope.rows)
    name = env.context.next_derived()
    further = {k: ColumnRef(f"{name}.k{i}", k.type) for i, k in enumerate(k for k in keys if k != unit)}
    folds = Folds(name, scope, _reading(scope, env))
    reading = replace(_reading(scope, env), aggregate=folds.add)
    items = [Visible(item_name(n), translate(item_value(n), reading)) for n in select.expressions]
    having = having_of(select, items, reading)
    sort_keys(select, items, lambda n: translate(n, reading))
    before = scope.rows
    relation = GroupWithinUnit(
        before.relation,
        tuple((ref.name, key) for key, ref in further.items()),
        tuple((n, fold) for fold, n in folds.found.items()),
    )
    known: dict[str, Facts] = {**before.known, **folds.known}
    for key, ref in further.items():
        known[ref.name] = replace(facts_of(key, before.known), positions=None)
    for fold, fold_name in folds.found.items():
        known[fold_name] = _still_by(fold, known[fold_name], further, before)
    most = min(before.rows, _combinations(list(further), before))
    spread = tuple(ref.name for ref in further.values())
    rows = Rows(relation, known, most, min(before.groups, most), spread=spread)
    own = {f.name for f in relation.shape.fields}
    items = [Visible(i.name, _of_group(i.expression, further, own)) for i in items]
    if having is not None:
        rows = filtered(rows, [_of_group(having, further, own)])
    table = RowTable(rows, tuple(items))
    return _distinct(table, env) if distinct_of(select) else table


def _still_by(fold: UnitFold, facts: Facts, keys: dict[Expression, ColumnRef], before: Rows) -> Facts:
    """Keep bounds that depend on another column where that column is a key: a later filter may pick one."""
    value = fold.value
    if not isinstance(value, ColumnRef) or fold.fold not in _ONE_OF_THE_VALUES:
        return facts
    by = before.known.get(value.name, facts).by
    key = next(
        (ref for k, ref in keys.items() if by and isinstance(k, ColumnRef) and k.name == by.column), None
    )
    return replace(facts, low=None, high=None, by=replace(by, column=key.name)) if by and key else facts


def _combinations(keys: list[Expression], rows: Rows) -> int:
    """Return how many different values of the keys one person may have, by declaration."""
    most = 1
    for key in keys:
        if not constant_within_unit(key, rows.relation.shape):
            domain = domain_of(key, rows.known)
            most = min(most * (len(domain) if domain is not None else MOST_ROWS), MOST_ROWS)
    return most


def _of_group(expression: Expression, keys: dict[Expression, ColumnRef], own: set[str]) -> Expression:
    found = substitute(expression, dict(keys))
    for ref in columns_of(found):
        if ref.name not in own:
            column = ref.name.partition(".")[2]
            raise NotAggregate(
                f"column {column!r} beside aggregates is not in GROUP BY",
                "group by it as well, or take min, max, arg_max or first of it",
            )
    return found


def _union(node: exp.Union, env: Env) -> RowTable:
    only(node, "this", "expression", "distinct", "order", "limit", "offset", "with_")
    _no_limit(node)
    answers = [env.read(n, env) for n in _sides(node)]
    tables = []
    for answer in answers:
        if isinstance(answer, Noisy):
            raise refusal(
                "a UNION of answers that carry noise",
                "ask for all aggregates in one SELECT, with FILTER or GROUP BY",
            )
        tables.append(answer)
    return _distinct(_united(tables, env), env) if _is_distinct(node) else _united(tables, env)


def _is_distinct(node: exp.Union) -> bool:
    kinds = set()
    current: exp.Expr = node
    while isinstance(current, exp.Union):
        kinds.add(bool(current.args.get("distinct")))
        current = current.this
    if len(kinds) > 1:
        raise refusal("UNION and UNION ALL in one chain", "bracket them as sub-queries")
    return kinds.pop()


def _sides(node: exp.Union) -> list[exp.Expr]:
    found: list[exp.Expr] = []
    current: exp.Expr = node
    while isinstance(current, exp.Union):
        found.append(current.args["expression"])
        current = current.this
        if isinstance(current, exp.Union):
            only(current, "this", "expression", "distinct")
    return [current, *reversed(found)]


def _united(tables: list[RowTable], env: Env) -> RowTable:
    width = len(tables[0].columns)
    if any(len(t.columns) != width for t in tables):
        raise refusal(
            "a UNION of queries with different numbers of columns", "select the same columns in each part"
        )
    units = [unit_of(t.rows) for t in tables]
    places = [
        tuple(i for i, c in enumerate(t.columns) if c.expression == u)
        for t, u in zip(tables, units, strict=True)
    ]
    if len(set(places)) > 1:
        raise refusal(
            "a UNION whose parts have the person in different columns", "put the person first in every part"
        )
    name = env.context.next_derived()
    others = [i for i in range(width) if i not in places[0]]
    kinds = [
        _shared_type([t.columns[i].expression for t in tables], tables[0].columns[i].name) for i in others
    ]
    parts = []
    known: dict[str, Facts] = {}
    for number, table in enumerate(tables):
        outputs = []
        for kind, i in zip(kinds, others, strict=True):
            value = table.columns[i].expression
            output = f"{name}.{i}" if number == 0 else f"{name}.{number}.{i}"
            outputs.append((output, value if value.type is kind else Call(Function.TO_FLOAT, (value,))))
            facts = replace(facts_of(value, table.rows.known), positions=None, by=None)
            known[f"{name}.{i}"] = facts if number == 0 else either(known[f"{name}.{i}"], facts)
        parts.append(Project(table.rows.relation, tuple(outputs)))
    relation = Union(tuple(parts))
    rows = Rows(
        relation,
        {**tables[0].rows.known, **known},
        min(sum(t.rows.rows for t in tables), MOST_ROWS),
        min(sum(t.rows.groups for t in tables), MOST_ROWS),
    )
    refs = {i: ColumnRef(f"{name}.{i}", kind) for kind, i in zip(kinds, others, strict=True)}
    columns = tuple(Visible(c.name, refs.get(i, c.expression)) for i, c in enumerate(tables[0].columns))
    return RowTable(rows, columns)


def _shared_type(values: list[Expression], name: str) -> Type:
    types = {v.type for v in values}
    if len(types) == 1:
        return types.pop()
    if types == {Type.INT, Type.FLOAT}:
        return Type.FLOAT
    raise refusal(f"a UNION whose column {name!r} has different types", "CAST it in one part")
