"""What bounding may take away from an answer, in words: from declared bounds, never from counting rows."""

from typing import assert_never

from noisegate.privacy.after import Plan
from noisegate.privacy.question import (
    Aggregation,
    CountRows,
    CountUnits,
    CountValues,
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
    if any(key.domain is not None for key in private.keys):
        said.append("rows whose group is not among the declared values are in no group")
    return tuple(said)


def _of_measure(measure: Measure, private: Aggregation) -> str:
    rows = private.bounding.rows
    many = not private.single
    match measure:
        case CountRows():
            return f"a person counts with at most {rows} rows a group" if many else ""
        case CountUnits():
            return ""
        case CountValues():
            return f"a person names at most {rows} different values a group" if many else ""
        case Sum(grid=grid):
            low, high = float(grid.low * grid.step), float(grid.high * grid.step)
            text = f"values below {low:g} count as {low:g}, above {high:g} as {high:g}"
            return text + (f"; a person's total is clamped to {rows} rows' worth" if many else "")
        case Moment(grid=grid):
            low, high = float(grid.low * grid.step), float(grid.high * grid.step)
            text = f"values below {low:g} count as {low:g}, above {high:g} as {high:g}"
            return text + (f"; a person with more than {rows} rows weighs as {rows} rows" if many else "")
        case Rank(grid=grid, stride=stride):
            low, high = float(grid.low * grid.step), float(grid.high * grid.step)
            first, second = low, low + float(stride * grid.step)
            text = f"the quantile is one of the values {first:g}, {second:g}, … up to {high:g}"
            return text + (f"; a person counts with at most {rows} rows" if many else "")
        case _:
            assert_never(measure)
