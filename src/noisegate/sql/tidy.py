"""The plan's last shape: every scan reads only what the question needs, every expression is canonical."""

from collections.abc import Iterable
from typing import assert_never

from noisegate.privacy.expressions import ColumnRef, Expression, columns_of
from noisegate.privacy.relations import (
    Distinct,
    Filter,
    FoldWindow,
    GroupWithinUnit,
    JoinOnUnit,
    JoinPublic,
    Matching,
    Order,
    Project,
    RankWindow,
    Relation,
    Scan,
    Union,
    UnitFold,
    WindowWithinUnit,
)
from noisegate.sql.canonical import canonical
from noisegate.sql.conditions import all_of


def tidy(relation: Relation, needed: Iterable[str]) -> Relation:
    """Return the relation with no more columns than needed, and the unit; its rows stay as they are."""
    wanted = frozenset(needed)
    match relation:
        case Scan():
            return _scan(relation, wanted)
        case Filter(source=source, condition=condition):
            return _filter(source, condition, wanted)
        case Project():
            return _project(relation, wanted)
        case JoinOnUnit(left=left, right=right, kind=kind, condition=condition):
            below = wanted | _columns(condition)
            return JoinOnUnit(tidy(left, below), tidy(right, below), kind, _canonical(condition))
        case JoinPublic(left=left, right=right, kind=kind, condition=condition):
            below = wanted | _columns(condition)
            return JoinPublic(tidy(left, below), tidy(right, below), kind, canonical(condition))
        case Matching(left=left, right=right, anti=anti, condition=condition):
            reads = _columns(condition)
            return Matching(tidy(left, wanted | reads), tidy(right, reads), anti, _canonical(condition))
        case GroupWithinUnit(source=source, keys=keys, folds=folds):
            kept = tuple((n, _fold(f)) for n, f in folds if n in wanted)
            reads = _columns(*(k for _, k in keys)).union(*(_fold_columns(f) for _, f in kept))
            return GroupWithinUnit(tidy(source, reads), tuple((n, canonical(k)) for n, k in keys), kept)
        case WindowWithinUnit(source=source, windows=windows):
            used = tuple((n, _window(w)) for n, w in windows if n in wanted)
            reads = wanted.union(*(_window_columns(w) for _, w in used))
            below_windows = tidy(source, reads)
            return WindowWithinUnit(below_windows, used) if used else below_windows
        case Union(parts=parts):
            return _union(parts, wanted)
        case Distinct(source=source):
            return Distinct(_whole(source, {f.name for f in source.shape.fields}))
        case _:
            assert_never(relation)


def _scan(scan: Scan, wanted: frozenset[str]) -> Relation:
    kept = tuple(c for c in scan.columns if c.name in wanted or c.name == scan.unit)
    return Scan(scan.dataset, scan.table, kept or scan.columns[:1], scan.unit, scan.population, scan.single)


def _filter(source: Relation, condition: Expression, wanted: frozenset[str]) -> Relation:
    conditions = [condition]
    while isinstance(source, Filter):
        conditions.append(source.condition)
        source = source.source
    below = tidy(source, wanted | _columns(*conditions))
    return Filter(below, canonical(all_of(conditions) or condition))


def _project(project: Project, wanted: frozenset[str]) -> Relation:
    whole = _exactly(project, wanted)
    renames_nothing = all(isinstance(e, ColumnRef) and e.name == n for n, e in whole.outputs)
    return whole.source if renames_nothing else whole


def _whole(relation: Relation, wanted: Iterable[str]) -> Relation:
    """Tidy a projection but keep it, where its exact columns matter."""
    return _exactly(relation, wanted) if isinstance(relation, Project) else tidy(relation, wanted)


def _exactly(relation: Project, wanted: Iterable[str]) -> Project:
    names = frozenset(wanted)
    kept = tuple((n, canonical(e)) for n, e in relation.outputs if n in names)
    if not kept and relation.shape.unit is None:
        kept = relation.outputs[:1]
    return Project(tidy(relation.source, _columns(*(e for _, e in kept))), kept)


def _union(parts: tuple[Relation, ...], wanted: frozenset[str]) -> Relation:
    first = parts[0].shape
    places = [i for i, f in enumerate(first.fields) if f.name in wanted or f.name == first.unit]
    tidied = []
    for part in parts:
        names = [part.shape.fields[i].name for i in places]
        tidied.append(_whole(part, names))
    return Union(tuple(tidied))


def _canonical(condition: Expression | None) -> Expression | None:
    return canonical(condition) if condition is not None else None


def _columns(*expressions: Expression | None) -> frozenset[str]:
    return frozenset(ref.name for e in expressions if e is not None for ref in columns_of(e))


def _fold(fold: UnitFold) -> UnitFold:
    return UnitFold(fold.fold, _canonical(fold.value), _canonical(fold.where), fold.grid, _orders(fold.order))


def _fold_columns(fold: UnitFold) -> frozenset[str]:
    return _columns(fold.value, fold.where, *(o.expression for o in fold.order))


def _orders(order: tuple[Order, ...]) -> tuple[Order, ...]:
    return tuple(Order(canonical(o.expression), o.descending) for o in order)


def _window(window: RankWindow | FoldWindow) -> RankWindow | FoldWindow:
    partition = tuple(canonical(p) for p in window.partition)
    if isinstance(window, FoldWindow):
        return FoldWindow(_fold(window.fold), partition, _orders(window.order))
    return RankWindow(
        window.function, partition, _orders(window.order), _canonical(window.value), window.offset
    )


def _window_columns(window: RankWindow | FoldWindow) -> frozenset[str]:
    own = _columns(*window.partition, *(o.expression for o in window.order))
    if isinstance(window, FoldWindow):
        return own | _fold_columns(window.fold)
    return own | _columns(window.value)
