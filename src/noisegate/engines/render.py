"""Relations written down for DuckDB.

TRUSTED. Each relation becomes a SELECT whose columns are named c0, c1, … by their place in its shape, and
each reference is qualified by the name of the sub-query it reads: no name of a question or a catalog is
ever an identifier, except those of stored tables and columns, quoted. So names that differ by case only,
or that imitate the unit's, cannot change what is read.

What each SELECT keeps of unit-locality (joins and EXISTS equate the units, GROUP BY and PARTITION BY hold
the unit, orders are total) is argued in PROOFS.md, "Rendering".
"""
# ruff: noqa: S608  (writing SQL is what this file is for; names and constants go through quote.py)

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from noisegate.engines.expressions import expression
from noisegate.engines.folds import Take, aggregates, finished, sorted_by
from noisegate.engines.quote import TYPES, identifier
from noisegate.privacy.expressions import Expression, PlanError
from noisegate.privacy.relations import (
    Distinct,
    Filter,
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
    Shape,
    Union,
    Window,
    WindowWithinUnit,
    constant_within_unit,
    unit_ref,
)

MAX_NESTING = 60


@dataclass(frozen=True, slots=True)
class Rendered:
    """A SELECT, and the WITH it needs, "" or ending in a space. Its columns are c0, c1, … of the shape."""

    given: str
    select: str

    @property
    def sql(self) -> str:
        """The whole statement."""
        return self.given + self.select


class Inputs:
    """Expressions of a relation's rows, each computed once, as columns x0, x1, … beside others."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self.places: dict[str, int] = {}

    def take(self, value: Expression) -> str:
        """Return the short text that stands for an expression above the columns given here."""
        place = self.places.setdefault(expression(value, self.names), len(self.places))
        return f"i.x{place}"

    def columns(self) -> list[str]:
        """Return the columns that `take` speaks of."""
        return [f"{sql} AS x{place}" for sql, place in self.places.items()]


def database(dataset: str) -> str:
    """Return the name a dataset's snapshot is attached under, unquoted."""
    return f"ds_{dataset}"


def render(relation: Relation, *, ranged: bool = False) -> Rendered:
    """Return SQL for a relation. A part that occurs twice as one object is written, and computed, once.

    Args:
        relation: what to write.
        ranged: read private tables for units from $low on and below $high only; NULL stands for no end.

    Raises:
        PlanError: relations or expressions nested too deep to write.
    """
    renderer = _Renderer(relation, ranged)
    select = renderer.select(relation, 0)
    shared = [f"{name} AS ({text})" for name, text in renderer.shared.values()]
    return Rendered(f"WITH {', '.join(shared)} " if shared else "", select)


def names_of(shape: Shape, alias: str) -> dict[str, str]:
    """Return how the columns of a rendered relation are read under an alias."""
    return {f.name: f"{alias}.c{i}" for i, f in enumerate(shape.fields)}


def unit_of(shape: Shape, alias: str) -> str:
    """Return how the unit of a rendered private relation is read under an alias."""
    return names_of(shape, alias)[unit_ref(shape).name]


class _Renderer:
    """Writes a tree of relations, those met twice as common table expressions."""

    def __init__(self, root: Relation, ranged: bool) -> None:
        self.ranged = ranged
        met: set[int] = set()
        self.repeated: set[int] = set()
        pending = [root]
        while pending:
            current = pending.pop()
            if id(current) in met:
                self.repeated.add(id(current))
                continue
            met.add(id(current))
            pending.extend(_below(current))
        self.shared: dict[int, tuple[str, str]] = {}

    def source(self, relation: Relation, nesting: int) -> str:
        """Return what stands in FROM for a relation."""
        if nesting > MAX_NESTING:
            raise PlanError(f"sub-queries are nested more than {MAX_NESTING} deep; split the question")
        if id(relation) not in self.repeated or isinstance(relation, Scan):
            return f"({self.select(relation, nesting + 1)})"
        if id(relation) not in self.shared:
            text = self.select(relation, nesting + 1)
            self.shared[id(relation)] = (f"r{len(self.shared)}", text)
        return self.shared[id(relation)][0]

    def select(self, relation: Relation, nesting: int) -> str:
        """Return a SELECT of the relation's columns, in order, as c0, c1 and so on."""
        match relation:
            case Scan():
                return _scan(relation, self.ranged)
            case Filter():
                names = names_of(relation.source.shape, "t")
                condition = expression(relation.condition, names)
                rows = self.source(relation.source, nesting)
                return f"SELECT {_all(names)} FROM {rows} AS t WHERE {condition}"
            case Project():
                return self.project(relation, nesting)
            case JoinOnUnit():
                equal = f"{unit_of(relation.left.shape, 'l')} = {unit_of(relation.right.shape, 'r')}"
                return self.join(relation, [equal], relation.right.shape.unit, nesting)
            case JoinPublic():
                return self.join(relation, [], None, nesting)
            case Matching():
                return self.matching(relation, nesting)
            case GroupWithinUnit():
                return self.group(relation, nesting)
            case WindowWithinUnit():
                return self.window(relation, nesting)
            case Union(parts=parts):
                return " UNION ALL ".join(
                    f"(SELECT {_all(names_of(p.shape, 't'))} FROM {self.source(p, nesting)} AS t)"
                    for p in parts
                )
            case Distinct():
                names = names_of(relation.source.shape, "t")
                return f"SELECT DISTINCT {_all(names)} FROM {self.source(relation.source, nesting)} AS t"
            case _:
                assert_never(relation)

    def project(self, relation: Project, nesting: int) -> str:
        """Return the unit, if there is one, and the named expressions."""
        before = relation.source.shape
        names = names_of(before, "t")
        values = [] if before.unit is None else [unit_of(before, "t")]
        values += [expression(value, names) for _, value in relation.outputs]
        return f"SELECT {_numbered(values)} FROM {self.source(relation.source, nesting)} AS t"

    def join(
        self, relation: JoinOnUnit | JoinPublic, on: list[str], dropped: str | None, nesting: int
    ) -> str:
        """Return a join; `dropped` is the right column that the shape leaves out."""
        names = names_of(relation.left.shape, "l")
        names.update((n, c) for n, c in names_of(relation.right.shape, "r").items() if n != dropped)
        if relation.condition is not None:
            on = [*on, expression(relation.condition, names)]
        values = [names[f.name] for f in relation.shape.fields]
        kind = "INNER" if relation.kind is JoinKind.INNER else "LEFT"
        left, right = self.source(relation.left, nesting), self.source(relation.right, nesting)
        return f"SELECT {_numbered(values)} FROM {left} AS l {kind} JOIN {right} AS r ON {' AND '.join(on)}"

    def matching(self, relation: Matching, nesting: int) -> str:
        """Return a semi-join or anti-join as [NOT] EXISTS, on the unit where the right side is private."""
        left, right = relation.left.shape, relation.right.shape
        names = names_of(left, "l")
        both = names | {n: c for n, c in names_of(right, "r").items() if n != right.unit}
        on = [] if right.unit is None else [f"{unit_of(left, 'l')} = {unit_of(right, 'r')}"]
        if relation.condition is not None:
            on.append(expression(relation.condition, both))
        inside = f"SELECT 1 FROM {self.source(relation.right, nesting)} AS r WHERE {' AND '.join(on)}"
        outside = f"SELECT {_all(names)} FROM {self.source(relation.left, nesting)} AS l"
        return f"{outside} WHERE {'NOT ' if relation.anti else ''}EXISTS ({inside})"

    def group(self, relation: GroupWithinUnit, nesting: int) -> str:
        """Return per-unit aggregates, in three layers: what is read, aggregated, and made of that."""
        before = relation.source.shape
        names = names_of(before, "t")
        inputs = Inputs(names)
        keys = [expression(key, names) for _, key in relation.keys]
        made = [aggregates(fold, inputs.take) for _, fold in relation.folds]
        read = [
            f"{unit_of(before, 't')} AS u",
            *(f"{k} AS k{i}" for i, k in enumerate(keys)),
            *inputs.columns(),
        ]
        constant = all(constant_within_unit(key, before) for _, key in relation.keys)
        picked = [f"any_value(i.k{i}) AS k{i}" if constant else f"i.k{i} AS k{i}" for i in range(len(keys))]
        by = ["i.u"] if constant else ["i.u", *(f"i.k{i}" for i in range(len(keys)))]
        totals, places = _totals(made)
        ends = [finished(f, p) for (_, f), p in zip(relation.folds, places, strict=True)]
        values = ["g.u", *(f"g.k{i}" for i in range(len(keys))), *ends]
        rows = f"SELECT {', '.join(read)} FROM {self.source(relation.source, nesting)} AS t"
        groups = (
            f"SELECT {', '.join(['i.u AS u', *picked, *totals])} FROM ({rows}) AS i GROUP BY {', '.join(by)}"
        )
        return f"SELECT {_numbered(values)} FROM ({groups}) AS g"

    def window(self, relation: WindowWithinUnit, nesting: int) -> str:
        """Return the rows with window functions, in the same three layers."""
        before = relation.source.shape
        names = names_of(before, "t")
        inputs = Inputs(names)
        kept = [f"c{i}" for i in range(len(before.fields))]
        made = [_windows(w, unit_of(before, "i"), kept, inputs.take) for _, w in relation.windows]
        totals, places = _totals(made)
        ends = [
            finished(w.fold, p) if isinstance(w, FoldWindow) else p[0]
            for (_, w), p in zip(relation.windows, places, strict=True)
        ]
        read = ", ".join(
            [f"{c} AS {k}" for c, k in zip(names.values(), kept, strict=True)] + inputs.columns()
        )
        rows = f"SELECT {read} FROM {self.source(relation.source, nesting)} AS t"
        windows = f"SELECT {', '.join([*(f'i.{k} AS {k}' for k in kept), *totals])} FROM ({rows}) AS i"
        return f"SELECT {_numbered([*(f'g.{k}' for k in kept), *ends])} FROM ({windows}) AS g"


def _scan(relation: Scan, ranged: bool) -> str:
    """Return a stored table's columns; rows without a unit, or with one out of range, are dropped."""
    names = {c.name: f"s.{identifier(c.source)}" for c in relation.columns}
    table = ".".join(identifier(part) for part in (database(relation.dataset), "main", relation.table))
    select = f"SELECT {_numbered(list(names.values()))} FROM {table} AS s"
    if relation.unit is None:
        return select
    unit = names[relation.unit]
    tests = [f"{unit} IS NOT NULL"]
    if ranged:
        # Each end is a constant when the statement is planned, so one side of each OR falls away.
        kind = TYPES[next(c.type for c in relation.columns if c.name == relation.unit)]
        low, high = (f"CAST(${name} AS {kind})" for name in ("low", "high"))
        tests += [f"({low} IS NULL OR {unit} >= {low})", f"({high} IS NULL OR {unit} < {high})"]
    return f"{select} WHERE {' AND '.join(tests)}"


def _windows(window: RankWindow | FoldWindow, unit: str, columns: list[str], take: Take) -> tuple[str, ...]:
    """Return the engine's window functions that a window is made of."""
    part = "PARTITION BY " + ", ".join([unit, *(take(p) for p in window.partition)])
    keys = [sorted_by(o, take) for o in window.order]
    if isinstance(window, FoldWindow):
        over = f"{part} ORDER BY {', '.join(keys)}" if keys else part
        return tuple(f"{aggregate} OVER ({over})" for aggregate in aggregates(window.fold, take))
    if window.function in (Window.RANK, Window.DENSE_RANK):
        over = f"{part} ORDER BY {', '.join(keys)}" if keys else part
        return (f"{window.function.value}() OVER ({over})",)
    # Ties are between equal rows only, so which of them comes first cannot be told.
    over = f"{part} ORDER BY {', '.join([*keys, *(f'i.{c} NULLS LAST' for c in columns)])}"
    if window.value is None:
        return (f"row_number() OVER ({over})",)
    value = take(window.value)
    match window.function:
        case Window.LAG | Window.LEAD:
            return (f"{window.function.value}({value}, {window.offset}) OVER ({over})",)
        case Window.FIRST | Window.LAST:
            whole = "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
            return (f"{window.function.value}_value({value}) OVER ({over} {whole})",)
        case Window.ROW_NUMBER:
            raise PlanError("row_number takes no value")
        case _:
            assert_never(window.function)


def _totals(made: Sequence[tuple[str, ...]]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return aggregates as columns a0, a1, …, each different one once, and where each fold finds its own."""
    places: dict[str, int] = {}
    found = [tuple(f"g.a{places.setdefault(a, len(places))}" for a in parts) for parts in made]
    return [f"{a} AS a{place}" for a, place in places.items()], found


def _numbered(values: Sequence[str]) -> str:
    return ", ".join(f"{value} AS c{i}" for i, value in enumerate(values))


def _all(names: Mapping[str, str]) -> str:
    return _numbered(list(names.values()))


def _below(relation: Relation) -> tuple[Relation, ...]:
    match relation:
        case Scan():
            return ()
        case JoinOnUnit() | JoinPublic() | Matching():
            return (relation.left, relation.right)
        case Union(parts=parts):
            return parts
        case Filter() | Project() | GroupWithinUnit() | WindowWithinUnit() | Distinct():
            return (relation.source,)
        case _:
            assert_never(relation)
