"""Conditions that rows have to meet, and what they tell of the rows that do."""

from collections.abc import Iterable
from dataclasses import replace

from noisegate.privacy.expressions import Call, Case, ColumnRef, Expression, Function, Literal, Type
from noisegate.privacy.relations import Filter
from noisegate.sql.domains import domain_of
from noisegate.sql.facts import Known, refine
from noisegate.sql.scope import Rows, unit_of

TRUE = Literal(True, Type.BOOL)


def all_of(conditions: Iterable[Expression]) -> Expression | None:
    """Return one condition for many, None for none."""
    found: list[Expression] = []
    for condition in conditions:
        if isinstance(condition, Call) and condition.function is Function.AND:
            found.extend(condition.args)
        else:
            found.append(condition)
    if not found:
        return None
    return found[0] if len(found) == 1 else Call(Function.AND, tuple(found))


def not_null(value: Expression) -> Expression:
    """Return the condition that a value is there."""
    return Call(Function.NOT, (Call(Function.IS_NULL, (value,)),))


def filtered(rows: Rows, conditions: list[Expression]) -> Rows:
    """Return the rows that meet the conditions.

    A bound on a ROW_NUMBER within the unit bounds how many rows a unit keeps; that a LEFT JOIN matched
    nothing means that it multiplied nothing.
    """
    unit = unit_of(rows)
    most = rows.rows
    wanted: list[Expression] = []
    for condition in conditions:
        marker = _unmatched(condition, rows)
        if marker is not None:
            most = max(most // rows.markers[marker.name], 1)
            wanted.append(Call(Function.IS_NULL, (marker,)))
        elif unit is None or not is_equality_of(condition, unit, unit):
            # The unit is never NULL, so that it equals itself is no condition.
            wanted.append(condition)
    whole = all_of(wanted)
    if whole is None:
        return rows
    known = refine(whole, rows.known)
    for name, facts in known.items():
        if facts.positions is not None and facts.high is not None and facts != rows.known.get(name):
            low = max(facts.low or 1, 1)
            kept = len(facts.domain) if facts.domain is not None else int(facts.high - low) + 1
            most = min(most, max(facts.positions * kept, 1))
    if rows.spread is not None:
        most = min(most, _combinations(rows, known))
    groups = min(rows.groups, most)
    return replace(rows, relation=Filter(rows.relation, whole), known=known, rows=most, groups=groups)


def _combinations(rows: Rows, known: Known) -> int:
    """Return how many rows a unit has if the spread columns take every value that is still possible."""
    most = 1
    for name in rows.spread or ():
        domain = domain_of(ColumnRef(name, rows.relation.shape.type_of(name)), known)
        if domain is None:
            return rows.rows
        most *= len(domain)
    return most


def _unmatched(condition: Expression, rows: Rows) -> ColumnRef | None:
    """Return the marker of a LEFT JOIN if the condition is `right.person IS NULL`, None for all else."""
    match condition:
        case Call(
            function=Function.IS_NULL,
            args=(Case(branches=((Call(args=(Call(args=(ColumnRef() as marker,)),)), value),)),),
        ) if marker.name in rows.markers and value == unit_of(rows):
            return marker
        case _:
            return None


def is_equality_of(condition: Expression, left: ColumnRef, right: ColumnRef) -> bool:
    """Whether a condition says that two columns are equal."""
    return (
        isinstance(condition, Call)
        and condition.function is Function.EQ
        and set(condition.args) == {left, right}
    )
