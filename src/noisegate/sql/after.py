"""After the noise: HAVING, ORDER BY, LIMIT, arithmetic on answers, and an outer SELECT over them.

Nothing here reads private rows; it may therefore do what SQL does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlglot import exp

from noisegate.errors import BadInput, NotAggregate
from noisegate.privacy.after import Compute, Fold, Keep, Limit, OuterFold, Sort, Step, Unique
from noisegate.privacy.expressions import Case, ColumnRef, Expression, Type, columns_of
from noisegate.sql.aggregates import Kind, has_aggregate, read_aggregate
from noisegate.sql.conditions import all_of
from noisegate.sql.expressions import (
    Reading,
    no_aggregate,
    no_subquery,
    no_window,
    translate,
    translate_condition,
)
from noisegate.sql.facts import UNKNOWN, Facts, Known
from noisegate.sql.folds import as_number
from noisegate.sql.intervals import facts_of
from noisegate.sql.literals import null
from noisegate.sql.nodes import bare, conjuncts, inside, is_star, need, only, refusal, shown
from noisegate.sql.noisy import Noisy
from noisegate.sql.scope import Context, Rows, Scope, Visible, substitute
from noisegate.sql.tables import NoisySource

Translate = Callable[[exp.Expr], Expression]
SortKey = tuple[Expression, bool, bool]
_NO_OUTER_SUBQUERY = "ask for all aggregates in one SELECT, or one after the other"


@dataclass(frozen=True, slots=True)
class Ending:
    """What stands after the columns of a SELECT over aggregates."""

    having: Expression | None
    order: tuple[SortKey, ...]
    distinct: bool
    limit: Limit | None


def item_name(node: exp.Expr) -> str:
    """Return what a select item is called: its alias, its column's name, or its text."""
    if isinstance(node, exp.Alias):
        return str(node.alias)
    if isinstance(node, exp.Column):
        return node.name.lower()
    return shown(node).lower()


def item_value(node: exp.Expr) -> exp.Expr:
    """Return a select item without its alias."""
    return node.this if isinstance(node, exp.Alias) else node


def sort_keys(select: exp.Expr, items: list[Visible], translated: Translate) -> tuple[SortKey, ...]:
    """Return the keys of ORDER BY: ordinals, aliases, and expressions."""
    clause = select.args.get("order")
    if clause is None:
        return ()
    only(clause, "expressions")
    keys: list[SortKey] = []
    for node in clause.expressions:
        if not isinstance(node, exp.Ordered):
            raise refusal(f"ORDER BY {shown(node)}")
        only(node, "this", "desc", "nulls_first")
        how = bool(node.args.get("desc")), bool(node.args.get("nulls_first"))
        value = bare(node.this)
        if isinstance(value, exp.Var) and value.name.upper() == "ALL":
            keys.extend((item.expression, *how) for item in items)
            continue
        keys.append((_named_item(value, items) or translated(value), *how))
    return tuple(keys)


def _named_item(node: exp.Expr, items: list[Visible]) -> Expression | None:
    if isinstance(node, exp.Literal) and not node.is_string:
        return items[ordinal(node, len(items), "ORDER BY")].expression
    if isinstance(node, exp.Column) and not node.table:
        for item in items:
            if item.name.casefold() == node.name.casefold():
                return item.expression
    return None


def ordinal(node: exp.Literal, count: int, clause: str) -> int:
    """Return the position, from 0, that an ordinal such as ORDER BY 2 names.

    Raises:
        BadInput: no such column.
    """
    if not node.this.isdigit() or not 1 <= int(node.this[:9]) <= count:
        raise BadInput(f"{clause} {node.this[:20]} names no column", f"there are {count}")
    return int(node.this) - 1


def limit_of(select: exp.Expr) -> Limit | None:
    """Return LIMIT and OFFSET, None for neither."""
    limit, offset = select.args.get("limit"), select.args.get("offset")
    if limit is None and offset is None:
        return None
    count: int | None = None
    if limit is not None:
        if not isinstance(limit, exp.Limit):
            raise refusal("FETCH", "write LIMIT n")
        only(limit, "expression")
        value = bare(need(limit, "expression"))
        if not (isinstance(value, exp.Var) and value.name.upper() == "ALL"):
            count = _whole(value)
    skip = 0
    if offset is not None:
        only(offset, "expression")
        skip = _whole(bare(need(offset, "expression")))
    return Limit(count, skip)


def _whole(node: exp.Expr) -> int:
    if isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit() and len(node.this) <= 9:
        return int(node.this)
    raise BadInput(f"LIMIT and OFFSET take whole numbers, not {shown(node)}")


def distinct_of(select: exp.Expr) -> bool:
    """Whether each different row is wanted once."""
    clause = select.args.get("distinct")
    if clause is None:
        return False
    if clause.args.get("on"):
        raise refusal("DISTINCT ON", "use arg_max or QUALIFY row_number() … = 1 within a person's rows")
    only(clause)
    return True


def finish(
    items: list[Visible], ending: Ending, known: Known, context: Context
) -> tuple[tuple[Step, ...], tuple[Visible, ...], Known]:
    """Return the steps that give the items in the order asked for, the columns, and what is known of them."""
    steps: list[Step] = []
    columns = tuple(items)
    order = ending.order
    if ending.having is not None:
        steps.append(Keep(ending.having))
    if ending.distinct or not all(isinstance(i.expression, ColumnRef) for i in items):
        named: dict[Expression, str] = {}
        for expression in [i.expression for i in items]:
            named.setdefault(expression, context.next_computed())
        shown_columns = len(named)
        for expression, _, _ in order:
            named.setdefault(expression, context.next_computed())
        if ending.distinct and len(named) > shown_columns:
            raise refusal("ORDER BY something that SELECT DISTINCT does not show", "select it as well")
        steps.append(Compute(tuple((name, e) for e, name in named.items())))
        if ending.distinct:
            steps.append(Unique())
        refs = {e: ColumnRef(name, e.type) for e, name in named.items()}
        columns = tuple(Visible(i.name, refs[i.expression]) for i in items)
        order = tuple((refs[e], descending, first) for e, descending, first in order)
        known = {name: facts_of(e, known) for e, name in named.items()}
    if order:
        steps.append(Sort(order))
    if ending.limit is not None:
        steps.append(ending.limit)
    return tuple(steps), columns, known


_FOLDS = {
    Kind.COUNT_ROWS: OuterFold.COUNT,
    Kind.COUNT: OuterFold.COUNT,
    Kind.COUNT_IF: OuterFold.COUNT,
    Kind.SUM: OuterFold.SUM,
    Kind.MEAN: OuterFold.AVG,
    Kind.MIN: OuterFold.MIN,
    Kind.MAX: OuterFold.MAX,
}


@dataclass(slots=True)
class OuterFolds:
    """The aggregates of noisy rows that an outer SELECT asks for, each once."""

    context: Context
    reading: Reading
    known: Known
    found: dict[tuple[OuterFold, Expression | None], ColumnRef] = field(default_factory=dict)
    facts: dict[str, Facts] = field(default_factory=dict)

    def add(self, node: exp.Expr) -> Expression:
        """Return the column that holds an aggregate of noisy rows."""
        aggregate = read_aggregate(node)
        fold = _FOLDS.get(aggregate.kind)
        if aggregate.kind is Kind.QUANTILE and aggregate.quantile * 2 == 1:
            fold = OuterFold.MEDIAN
        if fold is None:
            raise refusal(
                f"{shown(node)} over answers", "count, sum, avg, min, max and median are known there"
            )
        value = translate(aggregate.value, self.reading) if aggregate.value is not None else None
        conditions: list[Expression] = []
        if aggregate.kind is Kind.COUNT_IF and value is not None:
            conditions, value = [value], None
        if aggregate.where is not None:
            conditions.append(translate_condition(aggregate.where, self.reading))
        if value is not None and fold in (OuterFold.SUM, OuterFold.AVG, OuterFold.MEDIAN):
            value = as_number(value, node)
        condition = all_of(conditions)
        if condition is not None:
            kept = value if value is not None else condition
            value = Case(((condition, kept),), null(kept.type))
        key = (fold, value)
        if key not in self.found:
            name = self.context.next_computed()
            self.found[key] = ColumnRef(name, _type_of(fold, value))
            about = (
                facts_of(value, self.known) if value is not None and fold is not OuterFold.COUNT else UNKNOWN
            )
            self.facts[name] = Facts(measured_in=about.measured_in)
        return self.found[key]


def _type_of(fold: OuterFold, value: Expression | None) -> Type:
    if fold is OuterFold.COUNT or value is None:
        return Type.INT
    if fold in (OuterFold.AVG, OuterFold.MEDIAN):
        return Type.FLOAT
    return value.type


_KNOWN_CLAUSES = (
    "expressions", "from_", "where", "group", "having", "order", "limit", "offset", "distinct", "with_"
)  # fmt: skip


def read_outer(select: exp.Select, found: NoisySource, context: Context) -> Noisy:
    """Return an outer SELECT over a sub-query that is answered with noise.

    Raises:
        NotAggregate: a column beside aggregates that is not grouped by.
    """
    only(select, *_KNOWN_CLAUSES)
    noisy = found.noisy
    scope = Scope(context, [found.source], Rows(noisy.private.source, noisy.known))
    rows = Reading(scope.resolve, no_aggregate, no_window, no_subquery)
    steps: list[Step] = list(noisy.steps)
    where = select.args.get("where")
    condition = all_of(
        [translate_condition(c, rows) for c in conjuncts(where.this if where is not None else None)]
    )
    if condition is not None:
        steps.append(Keep(condition))
    folds = OuterFolds(context, rows, noisy.known)
    reading = Reading(scope.resolve, folds.add, no_window, no_subquery)
    items = _items(select, scope, reading)
    grouped = select.args.get("group") is not None or any(
        has_aggregate(n) for n in (*select.expressions, select.args.get("having"))
    )
    keys = group_keys(select, scope, rows)
    having = having_of(select, items, reading)
    order = sort_keys(select, items, lambda n: translate(n, reading))
    known: Known = noisy.known
    if grouped:
        names = {key: ColumnRef(context.next_computed(), key.type) for key in keys}
        items = [Visible(i.name, _grouped(i.expression, names, folds)) for i in items]
        having = _grouped(having, names, folds) if having is not None else None
        order = tuple((_grouped(e, names, folds), d, n) for e, d, n in order)
        steps.append(
            Fold(
                tuple((ref.name, key) for key, ref in names.items()),
                tuple((ref.name, fold, value) for (fold, value), ref in folds.found.items()),
            )
        )
        known = {**{ref.name: facts_of(key, known) for key, ref in names.items()}, **folds.facts}
    elif having is not None:
        raise refusal("HAVING without an aggregate", "write WHERE")
    ending = Ending(having, order, distinct_of(select), limit_of(select))
    more, columns, known = finish(items, ending, known, context)
    return replace(noisy, steps=(*steps, *more), columns=columns, known=known)


def _items(select: exp.Select, scope: Scope, reading: Reading) -> list[Visible]:
    items: list[Visible] = []
    for node in select.expressions:
        if is_star(node):
            only(node, "this", "table")
            items.extend(scope.all_columns(node.table if isinstance(node, exp.Column) else ""))
            continue
        items.append(Visible(item_name(node), translate(item_value(node), reading)))
    return items


def _grouped(expression: Expression, keys: dict[Expression, ColumnRef], folds: OuterFolds) -> Expression:
    found = substitute(expression, dict(keys))
    known = {ref.name for ref in (*keys.values(), *folds.found.values())}
    for ref in columns_of(found):
        if ref.name not in known:
            raise NotAggregate(
                "a column beside aggregates is not in GROUP BY", "group by it, or put it inside an aggregate"
            )
    return found


def having_of(select: exp.Select, items: list[Visible], reading: Reading) -> Expression | None:
    """Return the condition on groups, where aliases of the SELECT may stand; None for none."""
    clause = select.args.get("having")
    if clause is None:
        return None
    aliases = {i.name.casefold(): i.expression for i in items}

    def column(node: exp.Column) -> Expression:
        if not node.table and node.name.casefold() in aliases:
            return aliases[node.name.casefold()]
        return reading.column(node)

    with_aliases = replace(reading, column=column)
    return all_of([translate_condition(c, with_aliases) for c in conjuncts(clause.this)])


def group_keys(select: exp.Select, scope: Scope, reading: Reading) -> list[Expression]:
    """Return the keys of GROUP BY: columns, expressions, ordinals, aliases, ALL; constants left out.

    Raises:
        UnsupportedSql: GROUPING SETS, ROLLUP, CUBE.
    """
    clause = select.args.get("group")
    if clause is None:
        return []
    if clause.args.get("all"):
        nodes = [item_value(n) for n in select.expressions if not _rests_on_aggregates(n, select)]
    else:
        only(clause, "expressions")
        nodes = [_key(bare(n), select, scope) for n in clause.expressions]
    keys = [translate(n, reading) for n in nodes]
    return list(dict.fromkeys(k for k in keys if any(True for _ in columns_of(k))))


def _rests_on_aggregates(node: exp.Expr, select: exp.Select) -> bool:
    """Whether a select item holds an aggregate, or names one that does."""
    if has_aggregate(node):
        return True
    of_aggregates = {n.alias.casefold() for n in select.expressions if n.alias and has_aggregate(n)}
    return any(isinstance(n, exp.Column) and n.name.casefold() in of_aggregates for n in inside(node))


def _key(node: exp.Expr, select: exp.Select, scope: Scope) -> exp.Expr:
    """Return the expression that a member of GROUP BY names."""
    if isinstance(node, exp.Rollup | exp.Cube | exp.GroupingSets | exp.Tuple):
        raise refusal(f"GROUP BY {shown(node)}", "ask once for each grouping")
    position: int | None = None
    if isinstance(node, exp.Literal) and not node.is_string:
        position = ordinal(node, len(select.expressions), "GROUP BY")
    elif isinstance(node, exp.Column) and not node.table and scope.look_up(node) is None:
        names = [item_name(n).casefold() for n in select.expressions]
        position = names.index(node.name.casefold()) if node.name.casefold() in names else None
    if position is None:
        return node
    if _rests_on_aggregates(select.expressions[position], select):
        raise BadInput("GROUP BY names an aggregate", "group by columns or expressions of them")
    return item_value(select.expressions[position])
