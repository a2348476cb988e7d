"""Intervals hold whatever lies in the box of cells: checked point by point."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate.ask.interval import Cell, Interval, estimate, interval_of, through
from noisegate.privacy.after import CountOf, Estimate, MeanOf, SumOf, VarianceOf
from noisegate.privacy.expressions import Call, ColumnRef, Expression, Function, Literal, Type
from noisegate.privacy.question import CountRows, Moment, Sum
from noisegate.privacy.relations import Grid

X = ColumnRef("x", Type.FLOAT)
Y = ColumnRef("y", Type.FLOAT)
GRID = Grid(10, 70, Fraction(1, 2))
MEASURES = (CountRows(), Moment(X, GRID, 1), Moment(X, GRID, 2), Sum(X, GRID))
ESTIMATES: tuple[Estimate, ...] = (
    CountOf(0),
    SumOf(3),
    MeanOf(1, 0),
    VarianceOf(1, 2, 0, sample=True, root=False),
    VarianceOf(1, 2, 0, sample=False, root=True),
)


def moments(values: list[int]) -> tuple[int, int, int, int]:
    """Count, centred sum, centred sum of squares and sum, of values in grid steps."""
    centre = MEASURES[1].centre if isinstance(MEASURES[1], Moment) else 0
    return (
        len(values),
        sum(v - centre for v in values),
        sum((v - centre) ** 2 for v in values),
        sum(values),
    )


@given(
    st.lists(st.integers(10, 70), min_size=2, max_size=30),
    st.tuples(*[st.integers(0, 40)] * 4),
    st.data(),
)
def test_an_interval_holds_the_exact_estimate_whenever_every_cell_is_within_its_half_width(
    values, widths, data
):
    exact = moments(values)
    noisy = [v + data.draw(st.integers(-w, w)) for v, w in zip(exact, widths, strict=True)]
    exact_cells = {i: Cell(v, 0) for i, v in enumerate(exact)}
    noisy_cells = {i: Cell(v, w) for i, (v, w) in enumerate(zip(noisy, widths, strict=True))}
    for kind in ESTIMATES:
        truth = estimate(kind, MEASURES, exact_cells)
        interval = interval_of(kind, MEASURES, noisy_cells)
        assert truth is not None
        assert interval.low - 1e-9 <= truth <= interval.high + 1e-9, kind


def test_a_mean_of_too_few_has_no_value_but_an_interval_over_its_whole_range():
    cells = {0: Cell(0, 5), 1: Cell(3, 9)}
    assert estimate(MeanOf(1, 0), MEASURES, cells) is None
    found = interval_of(MeanOf(1, 0), MEASURES, {0: Cell(0, 500), 1: Cell(3, 900)})
    assert found == Interval(5.0, 35.0)


EXPRESSIONS: tuple[tuple[Expression, object], ...] = (
    (Call(Function.ADD, (X, Y)), lambda x, y: x + y),
    (Call(Function.SUBTRACT, (X, Y)), lambda x, y: x - y),
    (Call(Function.MULTIPLY, (X, Y)), lambda x, y: x * y),
    (Call(Function.DIVIDE, (X, Y)), lambda x, y: x / y if y else None),
    (
        Call(Function.MULTIPLY, (Literal(100, Type.INT), Call(Function.DIVIDE, (X, Y)))),
        lambda x, y: 100 * x / y if y else None,
    ),
    (Call(Function.NEGATE, (X,)), lambda x, _: -x),
    (Call(Function.ABS, (X,)), lambda x, _: abs(x)),
    (Call(Function.ROUND, (X, Literal(1, Type.INT))), lambda x, _: round(x, 1)),
    (Call(Function.LEAST, (X, Y)), min),
    (Call(Function.GREATEST, (X, Y)), max),
)  # fmt: skip


@given(*[st.floats(-1e6, 1e6)] * 2, *[st.floats(0, 1e3)] * 2, st.floats(0, 1), st.floats(0, 1))
def test_arithmetic_carries_every_point_of_the_box(x, y, width_x, width_y, at_x, at_y):
    box = {"x": Interval(x, x + width_x), "y": Interval(y, y + width_y)}
    point = (x + at_x * width_x, y + at_y * width_y)
    for expression, plain in EXPRESSIONS:
        value = plain(*point)
        interval = through(expression, box)
        assert interval is not None
        if value is not None:
            slack = 1e-6 * max(1.0, abs(value)) if math.isfinite(value) else 0.0
            assert interval.low - slack <= value <= interval.high + slack, expression


@pytest.mark.parametrize("function", [Function.MODULO, Function.POWER])
def test_what_has_no_rule_has_no_interval(function):
    assert through(Call(function, (X, Y)), {"x": Interval(1, 2), "y": Interval(1, 2)}) is None


def test_an_unknown_column_has_no_interval():
    assert through(Call(Function.ADD, (X, Y)), {"x": Interval(1, 2)}) is None
