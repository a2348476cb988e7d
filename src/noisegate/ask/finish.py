"""From noisy cells to the rows of an answer: estimates, post-processing steps, intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from noisegate.ask.answer import AnswerColumn, Estimated
from noisegate.ask.interval import CONFIDENCE, Cell, Interval, estimate, interval_of, through
from noisegate.privacy.after import Compute, Fold, Plan, QuantileOf, Step, measures_of
from noisegate.privacy.expressions import Call, Case, ColumnRef, Expression, Literal, Scalar, Type, columns_of
from noisegate.privacy.mechanism import Mechanism, half_width_of
from noisegate.privacy.question import Rank
from noisegate.privacy.release import Noisy

Columns = tuple[tuple[str, Type], ...]
Rows = list[tuple[Scalar, ...]]


class StepRunner(Protocol):
    """Runs post-processing steps over noisy rows; engines/after.py has the one there is."""

    def run(
        self, columns: Columns, rows: Sequence[tuple[Scalar, ...]], steps: tuple[Step, ...]
    ) -> tuple[Columns, Rows, list[int | None]]:
        """Return the columns and rows after the steps, and each row's place in `rows` if it has one."""
        ...


@dataclass(frozen=True, slots=True)
class _Group:
    """The noisy integers of one group, in the order of the measures."""

    key: tuple[Scalar, ...]
    values: tuple[int, ...]
    ends: Mapping[int, tuple[int, int]]


def finish(
    plan: Plan, noisy: Noisy, mechanism: Mechanism, runner: StepRunner
) -> tuple[tuple[AnswerColumn, ...], tuple[tuple[Estimated | Scalar, ...], ...]]:
    """Return the answer's columns and rows. Post-processing only: it reads nothing but noisy cells."""
    groups = _groups(plan, noisy)
    measures = plan.private.measures
    columns = columns_before(plan)
    values = [_values(plan, group) for group in groups]
    after_columns, after_rows, origins = runner.run(columns, values, plan.steps)
    position = {name: i for i, (name, _) in enumerate(after_columns)}
    traced = trace(plan, columns)
    keys = {k.name for k in plan.private.keys}
    shown: list[tuple[AnswerColumn, int, Callable[[int], Interval | None] | None]] = []
    for output in plan.outputs:
        place = position[output.column]
        expression = traced.get(output.column)
        is_key = expression is not None and {r.name for r in columns_of(expression)} <= keys
        kind = after_columns[place][1].value
        header = AnswerColumn(output.title, kind, output.measured_in, is_key)
        carry = None if expression is None else _carrier(plan, expression, groups, mechanism, measures)
        shown.append((header, place, carry))
    rows = []
    for row, origin in zip(after_rows, origins, strict=True):
        cells: list[Estimated | Scalar] = []
        for header, place, carry in shown:
            if header.is_key:
                cells.append(row[place])
            else:
                interval = carry(origin) if carry is not None and origin is not None else None
                cells.append(Estimated(row[place], interval))
        rows.append(tuple(cells))
    return tuple(header for header, _, _ in shown), tuple(rows)


def columns_before(plan: Plan) -> Columns:
    """Return the columns that a plan's steps start from: keys, then estimates."""
    return (
        *((k.name, k.expression.type) for k in plan.private.keys),
        *((e.name, e.type) for e in plan.estimates),
    )


def _groups(plan: Plan, noisy: Noisy) -> list[_Group]:
    ranks = [i for i, m in enumerate(plan.private.measures) if isinstance(m, Rank)]
    plain = [cells if cells.ndim == 1 else cells[:, 0] for cells in noisy.cells]
    table = list(zip(*(column.tolist() for column in plain), strict=True))
    ends = [{i: noisy.cells[i][g, 1:].tolist() for i in ranks} for g in range(len(noisy.keys))]
    return [
        _Group(key, values, {i: (e[0], e[1]) for i, e in end.items()})
        for key, values, end in zip(noisy.keys, table, ends, strict=True)
    ]


def _values(plan: Plan, group: _Group) -> tuple[Scalar, ...]:
    cells = {i: Cell(v, 0) for i, v in enumerate(group.values)}
    found: list[Scalar] = list(group.key)
    for named in plan.estimates:
        value = estimate(named.estimate, plan.private.measures, cells)
        if value is not None and named.type is Type.INT:
            value = round(value)
        elif value is not None:
            value = float(value)
        found.append(value)
    return tuple(found)


def _carrier(
    plan: Plan,
    expression: Expression,
    groups: list[_Group],
    mechanism: Mechanism,
    measures: tuple[object, ...],
) -> Callable[[int], Interval | None] | None:
    """Return a function from a group's place to the output's interval, or None where there is none."""
    estimates = {e.name: e.estimate for e in plan.estimates}
    read = {r.name for r in columns_of(expression)} & estimates.keys()
    used = {m for name in read for m in measures_of(estimates[name])}
    if not used:
        return None
    if any(isinstance(estimates[name], QuantileOf) for name in read) and len(used) > 1:
        return None  # a quantile's interval is at 95 % already, and cannot be combined
    confidence = 1 - (1 - CONFIDENCE) / len(used)
    widths = {m: half_width_of(mechanism, m, confidence) for m in used if not isinstance(measures[m], Rank)}
    keys = [k.name for k in plan.private.keys]

    @cache
    def carry(place: int) -> Interval | None:
        group = groups[place]
        known: dict[str, Interval] = {}
        for name, value in zip(keys, group.key, strict=True):
            if isinstance(value, int | float) and not isinstance(value, bool):
                known[name] = Interval(float(value), float(value))
        for name in read:
            kind = estimates[name]
            if isinstance(kind, QuantileOf):
                rank = measures[kind.rank]
                if not isinstance(rank, Rank):
                    raise TypeError("QuantileOf reads a Rank")
                low, high = group.ends[kind.rank]
                step = float(rank.grid.step)
                known[name] = Interval(low * step, high * step)
            else:
                cells = {m: Cell(group.values[m], widths[m]) for m in measures_of(kind)}
                known[name] = interval_of(kind, measures, cells)
        return through(expression, known)

    return carry


def trace(plan: Plan, columns: Columns) -> dict[str, Expression]:
    """Return each final column as an expression of keys and estimates; outer aggregates have none."""
    current: dict[str, Expression] = {name: ColumnRef(name, kind) for name, kind in columns}
    for step in plan.steps:
        match step:
            case Compute(outputs=outputs):
                current = {
                    name: replaced
                    for name, expression in outputs
                    if (replaced := substitute(expression, current)) is not None
                }
            case Fold():
                current = {}
            case _:
                pass
    return current


def substitute(expression: Expression, known: Mapping[str, Expression]) -> Expression | None:
    """Return the expression with columns replaced by what they stand for; None if one stands for nothing."""
    match expression:
        case ColumnRef(name=name):
            return known.get(name)
        case Literal():
            return expression
        case Call(function=function, args=args):
            parts = [substitute(a, known) for a in args]
            complete = [p for p in parts if p is not None]
            return Call(function, tuple(complete)) if len(complete) == len(parts) else None
        case Case():
            return None
