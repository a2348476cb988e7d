"""What bounding may take away from an answer, in words: from declared bounds, never from counting rows."""

from typing import assert_never

from noisegate.privacy.after import Plan
from noisegate.privacy.expressions import ColumnRef, Type
from noisegate.privacy.question import (
    Aggregation,
    CountRows,
    CountUnits,
    CountValues,
    Key,
    Measure,
    Moment,
    Rank,
    Sum,
)


def clamping_of(plan: Plan) -> tuple[str, ...]:
    """Return one sentence for each way in which the bounded question differs from the one asked."""
    private = plan.private
    said: list[str] = []
    for measure in private.measures:
        sentence = _of_measure(measure, private)
        if sentence and sentence not in said:
            said.append(sentence)
    if private.bound_groups:
        said.append(
            f"a person counts in at most {private.bounding.groups} groups; "
            "of more, some are chosen at random for that person"
        )
    if any(_may_miss(key) for key in private.keys):
        said.append("rows whose group is not among the declared values are in no group")
    return tuple(said)


def _may_miss(key: Key) -> bool:
    """Whether a row may be in no group. Domains of stored text and truth values are verified to be whole."""
    whole = isinstance(key.expression, ColumnRef) and key.expression.type in (Type.STR, Type.BOOL)
    return key.domain is not None and not whole


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _of_measure(measure: Measure, private: Aggregation) -> str:
    rows = private.bounding.rows
    many = not private.single
    match measure:
        case CountRows():
            return f"a person counts with at most {_rows(rows)} a group" if many else ""
        case CountUnits():
            return ""
        case CountValues():
            return (
                f"a person names at most {rows} different {'value' if rows == 1 else 'values'} a group"
                if many
                else ""
            )
        case Sum(grid=grid):
            low, high = float(grid.low * grid.step), float(grid.high * grid.step)
            text = f"values below {low:g} count as {low:g}, above {high:g} as {high:g}"
            return text + (f"; a person's total is clamped to what {_rows(rows)} can add" if many else "")
        case Moment(grid=grid):
            low, high = float(grid.low * grid.step), float(grid.high * grid.step)
            text = f"values below {low:g} count as {low:g}, above {high:g} as {high:g}"
            return text + (f"; a person with more weighs as {_rows(rows)} a group" if many else "")
        case Rank(grid=grid, stride=stride):
            low, high = float(grid.low * grid.step), float(grid.high * grid.step)
            first, second = low, low + float(stride * grid.step)
            text = f"the quantile is one of the values {first:g}, {second:g}, … up to {high:g}"
            return text + (f"; a person counts with at most {_rows(rows)}" if many else "")
        case _:
            assert_never(measure)
