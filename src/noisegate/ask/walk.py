"""The conditions on the rows of a relation, and what its columns are made of, from the tables up."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import assert_never

from noisegate.ask.conditions import Base, Conjunct, Reading, outside, pin
from noisegate.ask.regions import Grid, domain_of
from noisegate.catalog.model import Catalog, Column, Table, Tier, TierPolicy
from noisegate.errors import UnknownColumn
from noisegate.privacy.expressions import (
    Call,
    Case,
    ColumnRef,
    Expression,
    Function,
    Literal,
    Type,
    columns_of,
)
from noisegate.privacy.relations import (
    Distinct,
    Filter,
    Fold,
    FoldWindow,
    GroupWithinUnit,
    JoinKind,
    JoinOnUnit,
    JoinPublic,
    Matching,
    Project,
    RankWindow,
    Relation,
    Scan,
    Union,
    UnitFold,
    Window,
    WindowWithinUnit,
)
from noisegate.sql.facts import Facts

# An expression of more words than these is not written out.
_MOST_WORDS = 256
_PLAIN = Fraction(1)

Env = Mapping[str, Expression]


def expanded(expression: Expression, env: Env) -> Expression:
    """Return an expression with the columns of sub-queries written out."""
    match expression:
        case ColumnRef(name=name):
            return env.get(name, expression)
        case Call(function=function, args=args) if any(ref.name in env for ref in columns_of(expression)):
            return Call(function, tuple(expanded(a, env) for a in args))
        case Case(branches=branches, otherwise=otherwise):
            inner = tuple((expanded(c, env), expanded(v, env)) for c, v in branches)
            return Case(inner, expanded(otherwise, env))
        case _:
            return expression


_OF_ONE_ROW = frozenset({Fold.MIN, Fold.MAX, Fold.MEAN, Fold.FIRST, Fold.LAST})
_ALL_ROWS = frozenset({Fold.SUM, Fold.ANY_TRUE, Fold.ALL_TRUE})


@dataclass(slots=True)
class Walk:
    """Reads relations from the tables up, and keeps the columns that conditions can be about."""

    catalog: Catalog
    bases: dict[str, Base] = field(default_factory=dict)
    facts: dict[str, Facts] = field(default_factory=dict)
    scopes: int = 0

    @property
    def unknown(self) -> Fraction:
        """The share that what is not understood lets through."""
        return self.catalog.policy.specificity.unknown_share

    @property
    def reading(self) -> Reading:
        """How conditions over the columns so far are read."""
        return Reading(self.bases, self.unknown)

    def read(self, relation: Relation, scope: str) -> tuple[dict[str, Expression], list[Conjunct]]:
        """Return what the columns of a relation stand for, and the conditions on its rows.

        Rows of one scope are told apart by their tables alone; another scope's are other rows.
        """
        match relation:
            case Scan():
                self._scan(relation, scope)
                return {}, []
            case Filter(source=source, condition=condition):
                env, found = self.read(source, scope)
                return env, [*found, *self.demands(condition, env)]
            case Project(source=source, outputs=outputs):
                env, found = self.read(source, scope)
                return env | {n: self._written(n, e, env) for n, e in outputs}, found
            case JoinOnUnit() | JoinPublic():
                return self._join(relation, scope)
            case Matching():
                return self._matching(relation, scope)
            case GroupWithinUnit(source=source, keys=keys, folds=folds):
                env, found = self.read(source, scope)
                made = {n: self._written(n, e, env) for n, e in keys}
                made |= {n: self._fold(n, f, env, single=source.shape.single) for n, f in folds}
                return env | made, found
            case WindowWithinUnit(source=source, windows=windows):
                env, found = self.read(source, scope)
                single = source.shape.single
                return env | {n: self._window(n, w, env, single=single) for n, w in windows}, found
            case Union():
                return self._union(relation, scope)
            case Distinct(source=source):
                return self.read(source, scope)
            case _:
                assert_never(relation)

    def demands(self, condition: Expression, env: Env) -> tuple[Conjunct, ...]:
        """Return the conjuncts that a condition on rows of a relation demands."""
        # One by one: how long the others are must not change how one is understood.
        parts = [self.shortly(part, env) for part in _conjuncts(condition)]
        return tuple(c for part in parts for c in self.reading.demands(part))

    def shortly(self, expression: Expression, env: Env) -> Expression:
        """Return an expression written out, or of columns that are not understood where that is too long."""
        if _length(expression, env) <= _MOST_WORDS:
            return expanded(expression, env)
        names = {ref.name for ref in columns_of(expression) if ref.name in env}
        return expanded(expression, {name: self._hidden(name, env[name]) for name in names})

    def _written(self, name: str, expression: Expression, env: Env) -> Expression:
        """Return what a computed column stands for."""
        short = self.shortly(expression, env)
        return short if _size(short) <= _MOST_WORDS else self._hidden(name, short)

    def _hidden(self, name: str, expression: Expression) -> Expression:
        """Return an expression too long to be written out as a column of its own.

        It may pick out one value of every column that it reads, so that is what it counts as.
        """
        if isinstance(expression, ColumnRef | Literal):
            return expression
        bases = [self.bases[ref.name] for ref in columns_of(expression)]
        pinned = [pin(base, base.domain, 1) for base in dict.fromkeys(bases) if base.domain is not None]
        inside = self.reading.inside(expression)
        return self._made(f"long {name}", expression.type, "a long expression", bases, [*pinned, *inside])

    def _made(
        self, name: str, kind: Type, called: str, bases: Iterable[Base], brings: Iterable[Conjunct]
    ) -> ColumnRef:
        """Return a new column, computed from others, whose domain is not known."""
        bases = list(bases)
        made = f"computed {name}"
        weight = max((b.weight for b in bases), default=_PLAIN)
        brought = dict.fromkeys([*brings, *(c for b in bases for c in b.brings)])
        subject = f"{called}({', '.join(sorted({b.subject for b in bases}))})"
        self.bases[made] = Base(made, subject, called, weight, brings=tuple(brought))
        self.facts[made] = Facts()
        return ColumnRef(made, kind)

    def _scan(self, scan: Scan, scope: str) -> None:
        dataset = self.catalog.dataset(scan.dataset)
        table = dataset.table(scan.table) if dataset is not None else None
        if table is None:
            raise UnknownColumn(f"no table {scan.dataset}.{scan.table}")
        # Of a table with one row a person, all scans are of the same row.
        row = f"{scope}{scan.dataset}.{scan.table}"
        if not scan.single:
            row += f" {scan.columns[0].name.partition('.')[0]}"
        for read in scan.columns:
            column = table.column(read.source)
            if column is None:
                raise UnknownColumn(f"no column {scan.dataset}.{scan.table}.{read.source}")
            self.bases[read.name] = self._stored(scan, table, column, row, is_unit=read.name == scan.unit)
            self.facts[read.name] = _facts(column)

    def _stored(self, scan: Scan, table: Table, column: Column, row: str, *, is_unit: bool) -> Base:
        subject = f"{scan.dataset}.{scan.table}.{column.name}"
        public = scan.unit is None
        policy: TierPolicy | None = self.catalog.policy.tiers.get(Tier.PUBLIC if public else column.tier)
        weight = _PLAIN if policy is None else policy.weight
        people = None
        if is_unit:
            people = max(table.expected_units or table.max_rows // table.rows_per_unit, 1)
        return Base(row, subject, column.name, weight, domain_of(column), public, people)

    def _join(
        self, join: JoinOnUnit | JoinPublic, scope: str
    ) -> tuple[dict[str, Expression], list[Conjunct]]:
        env, found = self.read(join.left, scope)
        inner, other = self.read(join.right, scope if join.kind is JoinKind.INNER else self._scope())
        env |= inner
        found += other
        if join.condition is not None:
            found += self.demands(join.condition, env)
        return env, found

    def _matching(self, matching: Matching, scope: str) -> tuple[dict[str, Expression], list[Conjunct]]:
        env, found = self.read(matching.left, scope)
        within = self._scope() if matching.anti else scope
        inner, other = self.read(matching.right, within)
        if matching.condition is not None:
            other += self.demands(matching.condition, env | inner)
        # Who is left out is told by what they have.
        return env, [*found, *(outside(other, within) if matching.anti else other)]

    def _union(self, union: Union, scope: str) -> tuple[dict[str, Expression], list[Conjunct]]:
        found: list[Conjunct] = []
        columns: dict[str, list[Expression]] = {f.name: [] for f in union.shape.fields}
        for part in union.parts:
            env, conjuncts = self.read(part, f"{scope}{self._scope()}")
            found += conjuncts
            for name, own in zip(columns, part.shape.fields, strict=True):
                columns[name].append(env.get(own.name, ColumnRef(own.name, own.type)))
        return {name: self._united(name, values) for name, values in columns.items()}, found

    def _united(self, name: str, values: list[Expression]) -> Expression:
        names = sorted({ref.name for value in values for ref in columns_of(value)})
        bases = [self.bases[n] for n in names]
        inside = [c for value in values for c in self.reading.inside(value)]
        made = self._made(name, values[0].type, "either", bases, inside)
        if all(isinstance(value, ColumnRef) for value in values):
            first = bases[0]
            if len({(b.subject, b.domain) for b in bases}) == 1:
                self._keep(made, first, self.facts[names[0]], subject=first.subject, name=first.name)
            elif all(b.people is not None for b in bases):
                self._keep(made, first, Facts(), name=first.name)
        return made

    def _fold(self, name: str, fold: UnitFold, env: Env, *, single: bool) -> Expression:
        brings = () if fold.where is None else self.demands(fold.where, env)
        value = None if fold.value is None else self._written(name, fold.value, env)
        if single and not brings and value is not None and fold.fold in _OF_ONE_ROW | _ALL_ROWS:
            return value
        inside = [*brings, *(() if value is None else self.reading.measured(value))]
        bases = [] if value is None else [self.bases[ref.name] for ref in columns_of(value)]
        made = self._made(name, fold.type, fold.fold.value, bases, inside)
        if isinstance(value, ColumnRef) and fold.fold in _OF_ONE_ROW:
            self._keep(made, bases[0], self.facts[value.name])
        return made

    def _window(self, name: str, window: RankWindow | FoldWindow, env: Env, *, single: bool) -> Expression:
        if isinstance(window, FoldWindow):
            return self._fold(name, window.fold, env, single=single)
        value = None if window.value is None else self._written(name, window.value, env)
        ordered = [*window.partition, *(o.expression for o in window.order)]
        inside = [c for e in ordered for c in self.reading.inside(self._written(f"{name} by", e, env))]
        inside += () if value is None else self.reading.inside(value)
        bases = [] if value is None else [self.bases[ref.name] for ref in columns_of(value)]
        made = self._made(name, window.type, window.function.value, bases, inside)
        if isinstance(value, ColumnRef) and window.function not in (Window.LAG, Window.LEAD):
            self._keep(made, bases[0], self.facts[value.name])
        return made

    def _keep(self, made: ColumnRef, base: Base, facts: Facts, **changes: str) -> None:
        """Let a computed column have the domain of the one whose values it takes."""
        known = replace(self.bases[made.name], domain=base.domain, public=base.public, people=base.people)
        self.bases[made.name] = replace(known, **changes)  # type: ignore[arg-type]
        self.facts[made.name] = facts

    def _scope(self) -> str:
        self.scopes += 1
        return f"{self.scopes}/"


def _conjuncts(condition: Expression) -> tuple[Expression, ...]:
    if isinstance(condition, Call) and condition.function is Function.AND:
        return condition.args
    return (condition,)


def _length(expression: Expression, env: Env) -> int:
    """Return how many words an expression has once its columns are written out."""
    own = expression.size if isinstance(expression, Call | Case) else 1
    return own + sum(_size(env[ref.name]) for ref in columns_of(expression) if ref.name in env)


def _size(expression: Expression) -> int:
    return expression.size if isinstance(expression, Call | Case) else 1


def _facts(column: Column) -> Facts:
    """Return what the catalog says of a column's values, for the values of keys."""
    domain = domain_of(column)
    if isinstance(domain, Grid):
        high = domain.low + (domain.size - 1) * domain.step
        return Facts(domain.low, high, domain.step, nullable=column.nullable)
    return Facts(domain=None if domain is None else domain.values, nullable=column.nullable)
