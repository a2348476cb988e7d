"""Tables in a FROM: stored ones from the catalog, and sub-queries and CTEs as derived ones."""

from dataclasses import dataclass, replace
from fractions import Fraction

from sqlglot import exp

from noisegate.catalog.model import Column, Dataset, Table, Tier
from noisegate.errors import UnknownColumn
from noisegate.privacy.expressions import NUMERIC, ColumnRef, Expression, Type
from noisegate.privacy.relations import Project, Scan, ScanColumn
from noisegate.sql.env import Answer, Env
from noisegate.sql.facts import ByColumn, Facts
from noisegate.sql.intervals import facts_of
from noisegate.sql.nodes import name_of, only, refusal, shown
from noisegate.sql.noisy import Noisy
from noisegate.sql.scope import Context, Rows, RowTable, Source, Visible, unit_of, unknown_table, with_facts


@dataclass(frozen=True, slots=True)
class RowSource:
    """A table of rows, and the rows."""

    source: Source
    rows: Rows


@dataclass(frozen=True, slots=True)
class NoisySource:
    """A sub-query that is answered with noise: what stands around it is done after the noise."""

    source: Source
    noisy: Noisy


def read_source(node: exp.Expr, env: Env) -> RowSource | NoisySource:
    """Return one member of a FROM.

    Raises:
        UnknownColumn: no such table.
        UnsupportedSql: a table function, a file, VALUES, …
    """
    if isinstance(node, exp.Table):
        return _named(node, env)
    if isinstance(node, exp.Subquery):
        only(node, "this", "alias")
        if not isinstance(node.this, exp.Query):
            raise refusal(
                f"the bracket {shown(node)} in FROM", "write the joins one after another, without brackets"
            )
        alias, columns = _alias(node)
        return derived(env.read(node.this, env), alias, columns, env.context)
    raise refusal(f"{shown(node)} in FROM", "tables of the catalog, sub-queries and CTEs stand there")


def _alias(node: exp.Expr) -> tuple[str, tuple[str, ...]]:
    alias = node.args.get("alias")
    if alias is None:
        return "", ()
    only(alias, "this", "columns")
    return name_of(alias.this), tuple(c.name for c in alias.args.get("columns") or ())


def _named(node: exp.Table, env: Env) -> RowSource | NoisySource:
    only(node, "this", "db", "alias")
    if not isinstance(node.this, exp.Identifier):
        raise refusal(f"the table function {shown(node)}", "only tables of the catalog can be read")
    alias, columns = _alias(node)
    name, dataset_name = node.name, name_of(node.args.get("db"))
    cte = env.ctes.get(name.casefold()) if not dataset_name else None
    if cte is not None:
        env.context.used.add(id(cte.query))
        return derived(env.read(cte.query, cte.env), alias or name, columns or cte.columns, env.context)
    dataset, table = _find(name, dataset_name, env.context)
    scanned = _scan(dataset, table, alias or table.name, env.context)
    return replace(scanned, source=_renamed(scanned.source, columns)) if columns else scanned


def _find(name: str, dataset_name: str, context: Context) -> tuple[Dataset, Table]:
    catalog = context.catalog
    if dataset_name:
        dataset = catalog.dataset(dataset_name)
        table = dataset.table(name) if dataset is not None else None
        if dataset is None or table is None:
            raise unknown_table(f"{dataset_name}.{name}", catalog)
        return dataset, table
    found = [(d, t) for d in catalog.datasets if (t := d.table(name)) is not None]
    if not found:
        raise unknown_table(name, catalog)
    if len(found) > 1:
        raise UnknownColumn(
            f"table {name!r} is in several datasets",
            "write " + " or ".join(f"{d.name}.{t.name}" for d, t in found),
        )
    return found[0]


def _scan(dataset: Dataset, table: Table, alias: str, context: Context) -> RowSource:
    prefix = context.next_scan()
    unit = table.unit.casefold() if table.unit is not None else None
    wanted = [
        c
        for c in table.columns
        if c.name.casefold() == unit
        or (c.tier is not Tier.RESTRICTED and (context.everything or c.name.casefold() in context.mentioned))
    ]
    if not wanted:
        # A table must have some column; which one does not matter.
        wanted = [c for c in table.columns if c.tier is not Tier.RESTRICTED][:1]
    if not wanted:
        raise refusal(f"the table {dataset.name}.{table.name}, which has no open column,")
    columns = tuple(ScanColumn(c.name, f"{prefix}.{c.name}", c.type, c.per_unit) for c in wanted)
    unit_name = next((f"{prefix}.{c.name}" for c in wanted if c.name.casefold() == unit), None)
    single = unit is not None and table.rows_per_unit == 1
    population = dataset.population if unit is not None else None
    relation = Scan(dataset.name, table.name, columns, unit_name, population, single)
    bys = {c.by.column.casefold() for c in wanted if c.by is not None}
    known = {
        f"{prefix}.{c.name}": _declared(c, dataset, table, prefix)
        for c in table.columns
        if c in wanted or c.name.casefold() in bys
    }
    visible = {c.name.casefold(): Visible(c.name, ColumnRef(f"{prefix}.{c.name}", c.type)) for c in wanted}
    rows = table.rows_per_unit if unit is not None else 1
    groups = min(table.groups_per_unit or rows, rows) if unit is not None else 1
    return RowSource(Source(alias, visible, dataset.name, table), Rows(relation, known, rows, groups))


def _declared(column: Column, dataset: Dataset, table: Table, prefix: str) -> Facts:
    by = None
    if column.by is not None:
        other = table.column(column.by.column)
        by = ByColumn(f"{prefix}.{other.name if other is not None else column.by.column}", column.by.ranges)
    bounds = column.bounds
    numeric = column.type in NUMERIC
    return Facts(
        low=bounds.low if bounds is not None and numeric else None,
        high=bounds.high if bounds is not None and numeric else None,
        step=Fraction(column.step) if numeric and (bounds or by or column.type is Type.INT) else None,
        domain=column.values,
        nullable=column.nullable and column.name != table.unit,
        measured_in=column.measured_in,
        origin=f"{dataset.name}.{table.name}.{column.name}",
        by=by,
    )


def _renamed(source: Source, names: tuple[str, ...]) -> Source:
    visible = list(source.columns.values())
    if len(names) > len(visible):
        raise refusal(f"a list of {len(names)} column names for {len(visible)} columns")
    visible[: len(names)] = [Visible(n, v.expression) for n, v in zip(names, visible, strict=False)]
    return replace(source, columns={v.name.casefold(): v for v in visible}, table=None)


def derived(answer: Answer, alias: str, names: tuple[str, ...], context: Context) -> RowSource | NoisySource:
    """Return a sub-query as a table in sight.

    Args:
        answer: what the sub-query gives.
        alias: its name, empty for none.
        names: its columns' names, where given after the alias.
        context: gives names to computed columns.
    """
    if isinstance(answer, Noisy):
        return NoisySource(_source(alias, answer.columns, names), answer)
    table = with_plain_columns(answer, context)
    return RowSource(_source(alias, table.columns, names), table.rows)


def _source(alias: str, columns: tuple[Visible, ...], names: tuple[str, ...]) -> Source:
    found: dict[str, Visible] = {}
    for column in columns:
        name, again = column.name, 0
        while name.casefold() in found:
            again += 1
            name = f"{column.name}_{again}"
        found[name.casefold()] = Visible(name, column.expression)
    source = Source(alias, found)
    return _renamed(source, names) if names else source


def with_plain_columns(table: RowTable, context: Context) -> RowTable:
    """Return the table with every column a column of its relation, computed ones given names.

    So an expression is written down once, however often the table around it uses it.
    """
    if all(isinstance(c.expression, ColumnRef) for c in table.columns):
        return table
    unit = unit_of(table.rows)
    name = context.next_derived()
    outputs: dict[str, Expression] = {}
    facts: dict[str, Facts] = {}
    columns: list[Visible] = []
    for position, column in enumerate(table.columns):
        expression = column.expression
        if not isinstance(expression, ColumnRef):
            made = f"{name}.{position}"
            outputs[made] = expression
            facts[made] = replace(facts_of(expression, table.rows.known), positions=None)
            columns.append(Visible(column.name, ColumnRef(made, expression.type)))
            continue
        if expression != unit:
            outputs[expression.name] = expression
        columns.append(column)
    relation = Project(table.rows.relation, tuple(outputs.items()))
    return RowTable(replace(with_facts(table.rows, facts), relation=relation), tuple(columns))
