"""What a name in a question means: the tables in sight, their columns, and the rows they give."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sqlglot import exp

from noisegate.catalog.model import Catalog, Table, Tier
from noisegate.errors import RestrictedColumn, TooLarge, UnknownColumn
from noisegate.privacy.expressions import Call, Case, ColumnRef, Expression
from noisegate.privacy.relations import Relation
from noisegate.sql.facts import Facts, Known
from noisegate.sql.nodes import name_of, only, refusal

MAX_SCANS = 64
_FOLDED_SUGGESTIONS = 3


@dataclass(frozen=True, slots=True)
class Visible:
    """A column that can be named, and what it stands for."""

    name: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Source:
    """A table in sight. `table` is the catalog's, None for a derived one."""

    alias: str
    columns: Mapping[str, Visible]  # by casefolded name
    dataset: str = ""
    table: Table | None = None

    def names(self) -> list[str]:
        """Return the names that may be suggested: all but restricted ones."""
        if self.table is not None:
            return [c.name for c in self.table.columns if c.tier is not Tier.RESTRICTED]
        return [c.name for c in self.columns.values()]


@dataclass(frozen=True, slots=True)
class Rows:
    """A relation and what is known of it.

    `rows` and `groups` are the most a unit has, by declaration. `markers` tells, for each column that is
    NULL where a LEFT JOIN matched nothing, how many rows the join could make of one. `spread` names
    columns that tell a unit's rows apart, None where none are known to.
    """

    relation: Relation
    known: Known
    rows: int = 1
    groups: int = 1
    markers: Mapping[str, int] = field(default_factory=dict)
    spread: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RowTable:
    """What a query of rows gives."""

    rows: Rows
    columns: tuple[Visible, ...]


@dataclass(slots=True)
class Context:
    """What one question is read against: the catalog, the columns it mentions, and names given so far."""

    catalog: Catalog
    mentioned: frozenset[str]
    everything: bool
    scans: int = 0
    derived: int = 0
    computed: int = 0
    used: set[int] = field(default_factory=set)  # ids of the CTEs' queries that were read

    def next_scan(self) -> str:
        """Return the name of the next stored table: t0, t1 and so on.

        Raises:
            TooLarge: too many, as when CTEs use each other over and over.
        """
        self.scans += 1
        if self.scans > MAX_SCANS:
            raise TooLarge(f"a question reads tables at most {MAX_SCANS} times")
        return f"t{self.scans - 1}"

    def next_derived(self) -> str:
        """Return the name of the next derived table: d0, d1 and so on."""
        self.derived += 1
        return f"d{self.derived - 1}"

    def next_computed(self) -> str:
        """Return the name of the next column computed from noisy ones: o0, o1 and so on."""
        self.computed += 1
        return f"o{self.computed - 1}"


@dataclass(slots=True)
class Scope:
    """The tables of one FROM. `rows` grows while conditions are read that need a further table."""

    context: Context
    sources: list[Source]
    rows: Rows
    merged: dict[str, Visible] = field(default_factory=dict)
    outer: "Scope | None" = None
    aliases: dict[str, Expression] = field(default_factory=dict)
    flags: dict[str, Expression] = field(default_factory=dict)  # sub-query tests, by their text

    def resolve(self, node: exp.Column) -> Expression:
        """Return what a column's name stands for.

        Raises:
            UnknownColumn: nothing, or more than one thing.
            RestrictedColumn: a column the custodian has closed.
        """
        only(node, "this", "table", "db")
        if isinstance(node.this, exp.Star):
            raise refusal("* here", "name the columns")
        found = self.look_up(node)
        if found is not None:
            return found
        if self.outer is not None:
            found = self.outer.look_up(node)
            if found is not None:
                return found
        raise unknown_column(node, self.sources)

    def look_up(self, node: exp.Column) -> Expression | None:
        """Return what a column's name stands for in these tables and aliases, or None."""
        name = node.name.casefold()
        table, dataset = name_of(node.args.get("table")).casefold(), name_of(node.args.get("db")).casefold()
        if not table:
            if name in self.merged:
                return self.merged[name].expression
            found = [(s, e) for s in self.sources if (e := column_in(s, name)) is not None]
            if len({e for _, e in found}) > 1:
                raise UnknownColumn(
                    f"column {node.name!r} is in several tables",
                    "write " + " or ".join(f"{s.alias}.{node.name}" for s, _ in found[:_FOLDED_SUGGESTIONS]),
                )
            return found[0][1] if found else self.aliases.get(name)
        for source in self.sources:
            if source.alias.casefold() == table and (not dataset or source.dataset.casefold() == dataset):
                return column_in(source, name)
        return None

    def all_columns(self, table: str = "") -> list[Visible]:
        """Return what * stands for: every column that is not restricted, merged ones once."""
        found: list[Visible] = []
        seen: set[str] = set()
        for source in self.sources:
            if table and source.alias.casefold() != table.casefold():
                continue
            for key, visible in source.columns.items():
                if not table and key in self.merged:
                    if key in seen:
                        continue
                    seen.add(key)
                    visible = self.merged[key]
                found.append(visible)
        if not found:
            raise UnknownColumn(f"no table {table!r} here", _suggest(table, [s.alias for s in self.sources]))
        return found


def column_in(source: Source, name: str) -> Expression | None:
    """Return what a casefolded name stands for in one table, or None.

    Raises:
        RestrictedColumn: a column the custodian has closed.
    """
    visible = source.columns.get(name)
    if visible is not None:
        return visible.expression
    if source.table is not None:
        column = source.table.column(name)
        if column is not None and column.tier is Tier.RESTRICTED:
            raise RestrictedColumn(
                f"column {source.dataset}.{source.table.name}.{column.name} is restricted",
                "the custodian has closed it; ask without it",
                dataset=source.dataset,
            )
    return None


def unknown_column(node: exp.Column, sources: Iterable[Source]) -> UnknownColumn:
    """Return the error for a name that means nothing here."""
    sources = list(sources)
    table = name_of(node.args.get("table"))
    if table and all(s.alias.casefold() != table.casefold() for s in sources):
        names = [s.alias for s in sources if s.alias]
        return UnknownColumn(f"no table {table!r} in this FROM", _suggest(table, names))
    names = [n for s in sources if not table or s.alias.casefold() == table.casefold() for n in s.names()]
    where = f"table {table!r}" if table else "the tables of this FROM"
    hint = _suggest(node.name, names)
    for source in sources:
        genotypes = None if source.table is None else source.table.genotypes
        if genotypes is not None and not genotypes.in_sql:
            name = f"{source.dataset}.{source.alias}"
            hint = f"the variants of {name} are no columns of SQL: {genotypes.not_in_sql}"
    return UnknownColumn(f"no column {node.name!r} in {where}", hint)


def unknown_table(name: str, catalog: Catalog) -> UnknownColumn:
    """Return the error for a table that the catalog does not have."""
    names = [f"{d.name}.{t.name}" for d in catalog.datasets for t in d.tables]
    return UnknownColumn(f"no table {name[:80]!r}", _suggest(name, names))


def _suggest(name: str, names: list[str]) -> str:
    by_key = {n.casefold(): n for n in names}
    by_key |= {n.casefold().rpartition(".")[2]: n for n in names}
    near = difflib.get_close_matches(name.casefold(), list(by_key), n=_FOLDED_SUGGESTIONS, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(dict.fromkeys(by_key[n] for n in near)) + "?"
    if len(names) <= 12 and names:
        return "there are " + ", ".join(sorted(names))
    return "see the catalog for its tables and columns"


def substitute(expression: Expression, changes: Mapping[Expression, Expression]) -> Expression:
    """Return the expression with whole sub-expressions replaced, outermost first."""
    if not changes:
        return expression
    found = changes.get(expression)
    if found is not None:
        return found
    match expression:
        case Call(function=function, args=args):
            return Call(function, tuple(substitute(a, changes) for a in args))
        case Case(branches=branches, otherwise=otherwise):
            inner = tuple((substitute(c, changes), substitute(v, changes)) for c, v in branches)
            return Case(inner, substitute(otherwise, changes))
        case _:
            return expression


def renamed(source: Source, changes: Mapping[Expression, Expression]) -> Source:
    """Return the table in sight with what its columns stand for replaced."""
    columns = {k: Visible(v.name, substitute(v.expression, changes)) for k, v in source.columns.items()}
    return replace(source, columns=columns)


def unit_of(rows: Rows) -> ColumnRef | None:
    """Return the unit's column of a private relation, None for a public one."""
    shape = rows.relation.shape
    return ColumnRef(shape.unit, shape.type_of(shape.unit)) if shape.unit is not None else None


def with_facts(rows: Rows, added: Mapping[str, Facts]) -> Rows:
    """Return the rows with further facts."""
    return replace(rows, known={**rows.known, **added})
