"""What is said to be certain of a condition is true of every value that it is said of."""

import operator
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.ask import certain
from noisegate.ask.regions import Grid, Listed, size_of
from noisegate.privacy.expressions import Call, Case, ColumnRef, Expression, Function, Literal, Type
from noisegate.sql.evaluate import NotEvaluated, evaluate

F = Function
DOMAINS = (
    Grid(Fraction(-3), Fraction(1), 9, whole=True),
    Grid(Fraction("0.5"), Fraction("0.5"), 7, whole=False),
    Listed((False, True)),
)
AXES = {"a": 0, "b": 1, "c": 2}
A, B, C = ColumnRef("a", Type.INT), ColumnRef("b", Type.FLOAT), ColumnRef("c", Type.BOOL)
CONDITIONS = st.deferred(
    lambda: st.one_of(
        st.just(C),
        st.builds(
            lambda f, x, y: Call(f, (x, y)),
            st.sampled_from((F.EQ, F.NE, F.LT, F.LE, F.GT, F.GE, F.SAME)),
            NUMBERS,
            NUMBERS,
        ),
        st.builds(lambda x: Call(F.IS_NULL, (x,)), NUMBERS),
        st.builds(lambda f, x, y: Call(f, (x, y)), st.sampled_from((F.AND, F.OR)), CONDITIONS, CONDITIONS),
        st.builds(lambda x: Call(F.NOT, (x,)), CONDITIONS),
    )
)
NUMBERS = st.recursive(
    st.one_of(
        st.sampled_from((A, B)),
        st.integers(-4, 4).map(lambda n: Literal(n, Type.INT)),
        st.sampled_from((Literal(0.5, Type.FLOAT), Literal(None, Type.INT), Literal(2**60, Type.INT))),
    ),
    lambda inner: st.one_of(
        st.builds(
            lambda f, x, y: Call(f, (x, y)),
            st.sampled_from(
                (F.ADD, F.SUBTRACT, F.MULTIPLY, F.DIVIDE, F.LEAST, F.GREATEST, F.NULLIF, F.COALESCE)
            ),
            inner,
            inner,
        ),
        st.builds(lambda f, x: Call(f, (x,)), st.sampled_from((F.NEGATE, F.ABS, F.FLOOR, F.CEIL)), inner),
        st.builds(lambda k, x, y: Case(((k, x),), y), CONDITIONS, inner, inner),
    ),
    max_leaves=6,
)


def rows():
    numbers = [[d.low + i * d.step for i in range(d.size)] for d in DOMAINS[:2]]
    return [{"a": int(a), "b": float(b), "c": c} for a, b, c in product(*numbers, (False, True))]


ROWS = rows()


@settings(max_examples=400, deadline=None)
@given(CONDITIONS, st.booleans(), st.sampled_from((2**17, 40, 8)))
def test_no_more_is_certain_than_is_true(condition, negated, room):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("noisegate.ask.boxes.MOST_BOXES", room)
        try:
            found = certain.share(condition, DOMAINS, AXES, negated=negated)
            true = sum(evaluate(condition, row) is (not negated) for row in ROWS)
        except NotEvaluated:
            return
    assert found is None or found <= Fraction(true, len(ROWS))


@settings(max_examples=300, deadline=None)
@given(NUMBERS, st.sampled_from((2**17, 40, 8)))
def test_no_more_is_certain_of_a_value_than_is_true(value, room):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("noisegate.ask.boxes.MOST_BOXES", room)
        try:
            varied = certain.varied(value, DOMAINS, AXES)
            present = certain.present(value, DOMAINS, AXES)
            values = [evaluate(value, row) for row in ROWS]
        except NotEvaluated:
            return
    there = [v for v in values if v is not None]
    commonest = max((there.count(v) for v in set(there)), default=0)
    assert present is None or present <= Fraction(len(there), len(ROWS))
    assert varied is None or varied <= Fraction(len(there) - commonest, len(ROWS))


def compared(left: Expression, right: float) -> Call:
    return Call(F.LT, (left, Literal(right, Type.FLOAT)))


def test_a_large_domain_is_looked_at_position_by_position():
    grid = Grid(Fraction(10), Fraction(1, 1000), 100_001, whole=False)
    off = Call(F.ABS, (Call(F.SUBTRACT, (B, Literal(25.13, Type.FLOAT))),))
    assert certain.region(compared(off, 0.0005), grid, False) == ((15_130, 15_130),)
    assert certain.region(compared(off, 0.0015), grid, False) == ((15_129, 15_131),)
    assert size_of(certain.region(compared(off, 0.0005), grid, True)) == 100_000


def test_beyond_that_what_is_certain_is_narrower_and_never_wider():
    grid = Grid(Fraction(0), Fraction(1, 10**6), 10**9, whole=False)
    off = Call(F.ABS, (Call(F.SUBTRACT, (B, Literal(25.13, Type.FLOAT))),))
    for width, least in ((100.0, 0.99), (0.5, 0.9), (1e-4, 0)):
        found = size_of(certain.region(compared(off, width), grid, False))
        whole = min(2 * width, 25.13 + width) * 10**6
        assert operator.le(least * whole, found), (width, found)
        assert found <= whole


def test_a_share_has_a_floor():
    assert certain.floor_of([83, 4001], Fraction(1, 2)) == Fraction(1, 83 * 4001)
    assert certain.floor_of([83, None, None], Fraction(1, 2)) == Fraction(1, 166)
    assert certain.floor_of([10**6] * 9, Fraction(1, 2)) == Fraction(1, 2**40)
