"""Bounds and contributions per person, proposed from the data through the gate, for a stated ε.

The largest error in practice is not noise but a bound chosen badly. A custodian who may not look at the
data either can spend a little of the budget on private quantiles: of rows per person, and of a column's
values on a logarithmic grid wide enough for any measurement.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from noisegate import sql
from noisegate.ask.answer import Answer, Estimated
from noisegate.ask.desk import Desk
from noisegate.ask.question import Question
from noisegate.errors import BadInput
from noisegate.gate.access import Asker, Right, require
from noisegate.privacy.after import NamedEstimate, Output, Plan, QuantileOf
from noisegate.privacy.expressions import NUMERIC, Call, ColumnRef, Expression, Function, Literal, Type
from noisegate.privacy.question import Aggregation, Bounding, CountValues, Rank
from noisegate.privacy.relations import Fold, Grid, GroupWithinUnit, Relation, UnitFold

ROW_QUANTILES = (Fraction(1, 2), Fraction(19, 20), Fraction(99, 100))
VALUE_QUANTILES = (Fraction(1, 200), Fraction(199, 200))
MOST_ROWS = 4_000
# ln(1 + |v|) in sixteenths: values up to 1e12 in steps of about 6 %.
FINENESS = 16
WIDEST = math.ceil(math.log(1e12) * FINENESS)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What was proposed, and the answers it was read from (each charged, with a receipt)."""

    rows_per_unit: dict[str, int]
    low: float | None
    high: float | None
    answers: tuple[Answer, ...]


def suggest(
    table: str, column: str | None, where: str | None, epsilon: Fraction, asker: Asker, desk: Desk
) -> Suggestion:
    """Spend ε on quantiles of rows per person and, if a column is named, of its values.

    Args:
        table: `dataset.table`.
        column: a numeric column of it, or None for rows per person alone.
        where: an SQL condition that picks the rows, such as "test = 'sbp'".
        epsilon: nominal ε for all of it together.
        asker: a custodian.
        desk: what asking needs.

    Raises:
        BadInput: the column is not numeric.
        NoisegateError: whatever a question over these rows would be refused with.
    """
    require(asker, Right.SUGGEST)
    counted = "*" if column is None else f"DISTINCT {column}"
    # Not run anywhere: it is read into a plan, as any question is.
    text = f"SELECT count({counted}) FROM {table}" + (f" WHERE {where}" if where else "")  # noqa: S608
    asked = sql.read(text, desk.catalog).private
    parts = 1 if column is None else 2
    rows = _ask(_rows_plan(asked.source), text, epsilon / parts, asker, desk)
    found = {
        name: max(int(value), 1) for name, value in zip(("p50", "p95", "p99"), _values(rows), strict=True)
    }
    if column is None:
        return Suggestion(found, None, None, (rows,))
    values = _ask(_values_plan(asked), text, epsilon / parts, asker, desk)
    low, high = (_unlog(v) for v in _values(values))
    return Suggestion(found, low, high, (rows, values))


def _ask(plan: Plan, text: str, epsilon: Fraction, asker: Asker, desk: Desk) -> Answer:
    question = Question(f"suggest: {text}", epsilon)
    return desk.answer(desk.prepared(question, plan, desk.own_limits(asker), Right.SUGGEST), asker)


def _values(answer: Answer) -> list[float]:
    return [
        float(cell.value)
        for cell in answer.rows[0]
        if isinstance(cell, Estimated) and isinstance(cell.value, int | float)
    ]


def _rows_plan(source: Relation) -> Plan:
    per_unit = GroupWithinUnit(source, (), (("rows", UnitFold(Fold.COUNT_ROWS)),))
    grid = Grid(1, MOST_ROWS, Fraction(1))
    return _plan(per_unit, ColumnRef("rows", Type.INT), grid, Bounding(1, 1), ROW_QUANTILES)


def _values_plan(asked: Aggregation) -> Plan:
    counted = asked.measures[0]
    if not isinstance(counted, CountValues) or counted.value.type not in NUMERIC:
        raise BadInput("this is not a numeric column", "suggestions are made for columns of numbers")
    grid = Grid(-WIDEST, WIDEST, Fraction(1, FINENESS))
    return _plan(asked.source, _log(counted.value), grid, asked.bounding, VALUE_QUANTILES)


def _plan(
    source: Relation, value: Expression, grid: Grid, bounding: Bounding, quantiles: tuple[Fraction, ...]
) -> Plan:
    measures = tuple(Rank(value, grid, 1, q) for q in quantiles)
    names = tuple(f"q{i}" for i in range(len(quantiles)))
    return Plan(
        Aggregation(source, (), measures, bounding),
        tuple(NamedEstimate(n, QuantileOf(i), Type.FLOAT) for i, n in enumerate(names)),
        (),
        tuple(Output(n, n) for n in names),
    )


def _log(value: Expression) -> Expression:
    """Return sign(v) * ln(1 + |v|), as a real number."""
    real = Call(Function.TO_FLOAT, (value,))
    size = Call(Function.LN, (Call(Function.ADD, (Literal(1.0, Type.FLOAT), Call(Function.ABS, (real,)))),))
    return Call(Function.MULTIPLY, (Call(Function.SIGN, (real,)), size))


def _unlog(value: float) -> float:
    """Invert `_log`, rounded outwards to two digits."""
    size = math.expm1(abs(value) + 1 / FINENESS)
    if size < 1:
        return 0.0
    scale = 10.0 ** (math.floor(math.log10(size)) - 1)
    return math.copysign(math.ceil(size / scale) * scale, value)
