"""Intervals, domains and grids: what is said of an expression's values must hold for its values."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.catalog.model import Range
from noisegate.errors import MissingBounds
from noisegate.privacy.expressions import Call, Case, ColumnRef, Expression, Function, Literal, Scalar, Type
from noisegate.sql.canonical import canonical
from noisegate.sql.domains import domain_of
from noisegate.sql.evaluate import evaluate
from noisegate.sql.facts import ByColumn, Facts, known_of, refine
from noisegate.sql.grids import MOST_CANDIDATES, MOST_STEPS_SQUARED, grid_of, stride_of
from noisegate.sql.intervals import facts_of

A, B, SEX = ColumnRef("a", Type.INT), ColumnRef("b", Type.INT), ColumnRef("sex", Type.STR)
VALUE = ColumnRef("value", Type.FLOAT)
MALE, FEMALE = Literal("m", Type.STR), Literal("f", Type.STR)
ABOVE_3 = Call(Function.GT, (VALUE, Literal(3.0, Type.FLOAT)))
RANGES: dict[Scalar, Range] = {
    "f": Range(Fraction(0), Fraction(5)),
    "m": Range(Fraction(2), Fraction(9)),
}
KNOWN = {
    "a": Facts(Fraction(-5), Fraction(7), Fraction(1), nullable=False),
    "b": Facts(Fraction(1), Fraction(9), Fraction(1)),
    "sex": Facts(domain=("f", "m"), nullable=False),
    "value": Facts(step=Fraction(1, 100), by=ByColumn("sex", RANGES)),
}


def number(value: int) -> Literal:
    return Literal(value, Type.INT)


TWO = (Function.ADD, Function.SUBTRACT, Function.MULTIPLY, Function.INT_DIVIDE, Function.MODULO,
       Function.LEAST, Function.GREATEST, Function.COALESCE)  # fmt: skip
ONE = (Function.NEGATE, Function.ABS, Function.SIGN)
COMPARE = (Function.LT, Function.LE, Function.GT, Function.GE, Function.EQ, Function.NE)


def numbers() -> st.SearchStrategy[Expression]:
    leaves = st.sampled_from([A, B]) | st.integers(-4, 4).map(number)

    def grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        condition = st.builds(lambda f, x, y: Call(f, (x, y)), st.sampled_from(COMPARE), inner, inner)
        return (
            st.builds(lambda f, x, y: Call(f, (x, y)), st.sampled_from(TWO), inner, inner)
            | st.builds(lambda f, x: Call(f, (x,)), st.sampled_from(ONE), inner)
            | st.builds(lambda c, x, y: Case(((c, x),), y), condition, inner, inner)
        )

    return st.recursive(leaves, grow, max_leaves=8)


ROWS = [{"a": a, "b": b} for a in range(-5, 8) for b in [None, *range(1, 10)]]


@given(numbers())
@settings(max_examples=200, deadline=None)
def test_values_lie_in_the_interval_and_in_the_domain(expression: Expression) -> None:
    facts, domain = facts_of(expression, KNOWN), domain_of(expression, KNOWN)
    for row in ROWS:
        value = evaluate(expression, row)
        if domain is not None:
            assert value in domain
        if value is None:
            assert facts.nullable
            continue
        assert isinstance(value, int)
        assert facts.low is None or facts.low <= value
        assert facts.high is None or value <= facts.high


@given(numbers())
@settings(max_examples=100, deadline=None)
def test_the_canonical_form_has_the_same_values(expression: Expression) -> None:
    same = canonical(expression)
    assert canonical(same) == same
    for row in ROWS[::7]:
        assert evaluate(same, row) == evaluate(expression, row)


@given(numbers(), st.sampled_from(COMPARE), st.integers(-6, 10))
@settings(max_examples=150, deadline=None)
def test_a_condition_narrows_to_no_fewer_than_the_rows_that_meet_it(
    expression: Expression, function: Function, bound: int
) -> None:
    either = Call(Function.OR, (Call(Function.GE, (number(5), B)), Call(function, (expression, B))))
    condition = Call(
        Function.AND, (Call(function, (number(bound), A)), Call(function, (B, number(4))), either)
    )
    known = refine(condition, KNOWN)
    for row in ROWS:
        if evaluate(condition, row) is not True:
            continue
        for ref in (A, B):
            value, facts = row[ref.name], facts_of(ref, known)
            assert value is not None or facts.nullable
            assert value is None or (facts.low is not None and facts.low <= value)
            assert value is None or (facts.high is not None and value <= facts.high)


@pytest.mark.parametrize(
    ("condition", "low", "high"),
    [
        (Literal(True, Type.BOOL), 0, 9),
        (Call(Function.EQ, (SEX, MALE)), 2, 9),
        (Call(Function.IN, (SEX, FEMALE)), 0, 5),
        (Call(Function.NE, (SEX, MALE)), 0, 5),
        (Call(Function.OR, (Call(Function.EQ, (SEX, MALE)), Call(Function.EQ, (SEX, FEMALE)))), 0, 9),
    ],
)
def test_bounds_by_another_column_follow_what_is_left_of_it(
    condition: Expression, low: int, high: int
) -> None:
    found = known_of("value", refine(condition, KNOWN))
    assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize(
    ("expression", "domain"),
    [
        (SEX, ("f", "m")),
        (Call(Function.UPPER, (SEX,)), ("F", "M")),
        (Call(Function.INT_DIVIDE, (A, number(5))), (-1, 0, 1)),
        (Call(Function.GT, (B, number(3))), (False, True, None)),
        (Call(Function.IS_NULL, (B,)), (False, True)),
        (Call(Function.COALESCE, (B, number(0))), (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)),
        (Case(((ABOVE_3, Literal("high", Type.STR)),), Literal(None, Type.STR)), ("high", None)),
        (Call(Function.FLOOR, (VALUE,)), (*(float(i) for i in range(10)), None)),
        (VALUE, None),
        (Call(Function.LENGTH, (ColumnRef("free", Type.STR),)), None),
    ],
)
def test_domains_of_keys(expression: Expression, domain: tuple[Scalar, ...] | None) -> None:
    assert domain_of(expression, KNOWN) == domain


def test_grids_stay_within_what_sums_of_squares_can_hold() -> None:
    known = {"value": Facts(Fraction(0), Fraction(10**9), Fraction(1, 1000))}
    assert grid_of(VALUE, known, "x").step == Fraction(1, 1000)
    squares = grid_of(VALUE, known, "x", squares=True)
    assert squares.high - squares.low <= MOST_STEPS_SQUARED
    assert (squares.high - squares.low) // stride_of(squares) + 1 <= MOST_CANDIDATES


def test_a_grid_covers_bounds_that_are_not_whole_steps() -> None:
    known = {"value": Facts(Fraction(1, 3), Fraction(2, 3), Fraction(1, 4))}
    grid = grid_of(VALUE, known, "x")
    assert grid.low * grid.step <= Fraction(1, 3)
    assert grid.high * grid.step >= Fraction(2, 3)


def test_a_grid_of_one_value_is_widened_so_that_noise_has_a_scale() -> None:
    grid = grid_of(number(1), {}, "x")
    assert grid.high > grid.low


def test_without_bounds_the_column_is_named() -> None:
    with pytest.raises(MissingBounds, match=r"liver\.x has none"):
        grid_of(VALUE, {"value": Facts(origin="liver.x")}, "avg(x)")
