"""Bounds and contributions per person, proposed from the data through the gate, for a stated ε.

The largest error in practice is not noise but a bound chosen badly. A custodian who may not look at the
data either can spend a little of the budget on two private histograms on logarithmic scales wide enough for
anything: of rows per person, and of a column's values with one row a person. Each person stands in one bin,
so a bin's noise is that of one count; bins that do not rise above it are taken as empty.
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
from noisegate.privacy.after import CountOf, NamedEstimate, Output, Plan
from noisegate.privacy.expressions import NUMERIC, Call, ColumnRef, Expression, Function, Literal, Type
from noisegate.privacy.question import Aggregation, Bounding, CountUnits, CountValues, Key
from noisegate.privacy.relations import Fold, GroupWithinUnit, Relation, UnitFold

ROW_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
VALUE_QUANTILES = (0.01, 0.99)
# ln(rows) in eighths, up to 22,000 rows; ln(1 + |v|) in sixteenths, values up to 1e12 in steps of 6 %.
ROW_FINENESS, ROW_BINS = 8, 80
FINENESS = 16
WIDEST = math.ceil(math.log(1e12) * FINENESS)
# A bin counts if it rises this many 95 % half-widths above nothing: three in a million empty bins do.
RISES = 4


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
    """Spend ε on rows per person and, if a column is named, on the range of its values.

    Args:
        table: `dataset.table`.
        column: a numeric column of it, or None for rows per person alone.
        where: an SQL condition that picks the rows, such as "test = 'sbp'".
        epsilon: nominal ε for all of it together.
        asker: a custodian.
        desk: what asking needs.

    Raises:
        BadInput: the column is not numeric, or no bin rises above the noise.
        NoisegateError: whatever a question over these rows would be refused with.
    """
    require(asker, Right.SUGGEST)
    counted = "*" if column is None else f"DISTINCT {column}"
    # Not run anywhere: it is read into a plan, as any question is.
    text = f"SELECT count({counted}) FROM {table}" + (f" WHERE {where}" if where else "")  # noqa: S608
    asked = sql.read(text, desk.visible(asker.datasets)).private
    value = None if column is None else _value(asked)
    share = epsilon if value is None else epsilon / 2
    rows = _ask(_rows_plan(asked.source), text, share, asker, desk)
    found = {n: round(math.exp(b / ROW_FINENESS)) for n, b in _quantiles(rows, ROW_QUANTILES).items()}
    if value is None:
        return Suggestion(found, None, None, (rows,))
    values = _ask(_values_plan(asked.source, value), text, share, asker, desk)
    ends = _quantiles(values, {"low": VALUE_QUANTILES[0], "high": VALUE_QUANTILES[1]})
    return Suggestion(found, _unlog(ends["low"]), _unlog(ends["high"] + 1), (rows, values))


def _ask(plan: Plan, text: str, epsilon: Fraction, asker: Asker, desk: Desk) -> Answer:
    question = Question(f"suggest: {text}", epsilon)
    return desk.answer(desk.prepared(question, plan, desk.own_limits(asker), Right.SUGGEST), asker)


def _quantiles(answer: Answer, wanted: dict[str, float]) -> dict[str, int]:
    """Return the bins at which the noisy mass reaches each share."""
    bins: list[tuple[int, int]] = []
    for place, cell in answer.rows:
        if not (isinstance(place, int) and isinstance(cell, Estimated) and isinstance(cell.value, int)):
            raise TypeError("a histogram has a bin and a count in each row")
        if cell.interval is None:
            raise TypeError("a count has an interval")
        if cell.value > RISES * (cell.interval.high - cell.value):
            bins.append((place, cell.value))
    if not bins:
        raise BadInput(
            "no value is shared by enough people to rise above the noise; the ε stays spent",
            "spend more ε, or set the bounds from what is known of the quantity",
        )
    total = sum(count for _, count in bins)
    found = {}
    for name, share in wanted.items():
        reached = 0
        for place, count in bins:
            reached += count
            if reached >= share * total:
                found[name] = place
                break
    return found


def _rows_plan(source: Relation) -> Plan:
    per_unit = GroupWithinUnit(source, (), (("rows", UnitFold(Fold.COUNT_ROWS)),))
    size = Call(Function.LN, (Call(Function.TO_FLOAT, (ColumnRef("rows", Type.INT),)),))
    # Upwards: a person with 13 rows is in the bin of at least 13.
    return _histogram(per_unit, size, ROW_FINENESS, Function.CEIL, 0, ROW_BINS)


def _values_plan(source: Relation, value: Expression) -> Plan:
    """A histogram of sign(v) * ln(1 + |v|)."""
    real = Call(Function.TO_FLOAT, (value,))
    size = Call(Function.LN, (Call(Function.ADD, (Literal(1.0, Type.FLOAT), Call(Function.ABS, (real,)))),))
    signed = Call(Function.MULTIPLY, (Call(Function.SIGN, (real,)), size))
    return _histogram(source, signed, FINENESS, Function.FLOOR, -WIDEST, WIDEST)


def _value(asked: Aggregation) -> Expression:
    counted = asked.measures[0]
    if not isinstance(counted, CountValues) or counted.value.type not in NUMERIC:
        raise BadInput("this is not a numeric column", "suggestions are made for columns of numbers")
    return counted.value


def _histogram(
    source: Relation, value: Expression, fineness: int, rounding: Function, low: int, high: int
) -> Plan:
    """Count people by bins of 1 / fineness, one bin a person."""
    scaled = Call(Function.MULTIPLY, (value, Literal(float(fineness), Type.FLOAT)))
    place = Call(Function.TO_INT, (Call(rounding, (scaled,)),))
    clamped = Call(
        Function.LEAST,
        (Literal(high, Type.INT), Call(Function.GREATEST, (Literal(low, Type.INT), place))),
    )
    key = Key("bin", clamped, tuple(range(low, high + 1)))
    return Plan(
        Aggregation(source, (key,), (CountUnits(),), Bounding(1, 1)),
        (NamedEstimate("people", CountOf(0), Type.INT),),
        (),
        (Output("bin", "bin"), Output("people", "people")),
    )


def _unlog(place: int) -> float:
    """Return the value at the edge of a bin, to two digits."""
    edge = math.expm1(abs(place) / FINENESS)
    if edge < 1e-9:
        return 0.0
    return math.copysign(float(f"{edge:.2g}"), place)
