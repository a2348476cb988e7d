"""Where conditions are true in a declared domain: against trying every value."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate.ask.regions import (
    Grid,
    Listed,
    complement,
    domain_of,
    everything,
    intersection,
    region_of,
    size_of,
    smallest_class,
    union,
)
from noisegate.catalog.model import Column, Range, RangesBy, Tier
from noisegate.privacy.expressions import Call, ColumnRef, Expression, Function, Literal, Type

F = Fraction
SIZE = 12
SETS = st.sets(st.integers(0, SIZE - 1))
AGE = ColumnRef("age", Type.INT)
AGES = Grid(F(18), F(1), 83, whole=True)
BMI = ColumnRef("bmi", Type.FLOAT)
WIDE = Grid(F(10), F(1, 100), 6001, whole=False)
SITE = ColumnRef("site", Type.STR)
SITES = Listed(("east", "north", "south", "west"))


def region(positions: set[int]):
    found = ()
    for position in positions:
        found = union(found, ((position, position),))
    return found


def positions(found) -> set[int]:
    return {p for first, last in found for p in range(first, last + 1)}


def number(value: float) -> Literal:
    return Literal(value, Type.INT if isinstance(value, int) else Type.FLOAT)


def ages(condition: Expression) -> set[int]:
    found = region_of(condition, AGES)
    assert found is not None
    return {p + 18 for p in positions(found)}


@given(SETS, SETS)
def test_regions_are_sets(a: set[int], b: set[int]) -> None:
    assert positions(region(a)) == a
    assert positions(intersection(region(a), region(b))) == a & b
    assert positions(union(region(a), region(b))) == a | b
    assert positions(complement(region(a), SIZE)) == set(range(SIZE)) - a
    assert size_of(region(a)) == len(a)
    assert complement(complement(region(a), SIZE), SIZE) == region(a)
    assert union(region(a), complement(region(a), SIZE)) == everything(SIZE)


@given(
    st.sampled_from([Function.LT, Function.LE, Function.GT, Function.GE, Function.EQ, Function.NE]),
    st.integers(-3, 3).filter(bool),
    st.integers(-20, 20),
    st.integers(-350, 350),
)
def test_a_linear_comparison_is_true_where_it_is(function, slope, offset, bound):
    left = Call(Function.ADD, (Call(Function.MULTIPLY, (number(slope), AGE)), number(offset)))
    compare = {
        Function.LT: lambda x: x < bound, Function.LE: lambda x: x <= bound,
        Function.GT: lambda x: x > bound, Function.GE: lambda x: x >= bound,
        Function.EQ: lambda x: x == bound, Function.NE: lambda x: x != bound,
    }[function]  # fmt: skip
    expected = {a for a in range(18, 101) if compare(slope * a + offset)}
    found = ages(Call(function, (left, number(bound))))
    if function in (Function.EQ, Function.NE) and (bound - offset) % slope:
        # Between two whole numbers: nobody, which counts as rare as one value.
        assert len(found ^ expected) <= 1
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Call(Function.EQ, (Call(Function.ABS, (Call(Function.SUBTRACT, (AGE, number(41))),)), number(0))),
         {41}),
        (Call(Function.EQ, (Call(Function.MODULO, (AGE, number(40))), number(1))), {41, 81}),
        (Call(Function.IN, (AGE, number(20), number(200))), {20}),
        (Call(Function.LT, (Call(Function.NEGATE, (AGE,)), number(-98))), {99, 100}),
        (Call(Function.GE, (AGE, number(99.5))), {100}),
        (Call(Function.EQ, (Call(Function.DIVIDE, (AGE, number(2))), number(20.5))), {41}),
        (Call(Function.GT, (AGE, number(100))), set()),
    ],
)  # fmt: skip
def test_other_conditions_on_few_values_are_tried(condition, expected):
    assert ages(condition) == expected


def test_a_large_domain_takes_comparisons_alone():
    assert region_of(Call(Function.GE, (BMI, number(69.99))), WIDE) == ((5999, 6000),)
    assert region_of(Call(Function.LT, (Call(Function.ABS, (BMI,)), number(11.0))), WIDE) is None


def test_text_is_compared_with_the_declared_values():
    wanted = Literal("east", Type.STR)
    assert region_of(Call(Function.EQ, (SITE, wanted)), SITES) == ((0, 0),)
    assert region_of(Call(Function.NE, (SITE, wanted)), SITES) == ((1, 3),)
    assert region_of(Call(Function.EQ, (Call(Function.LOWER, (SITE,)), wanted)), SITES) == ((0, 0),)
    assert region_of(Call(Function.LIKE, (SITE, wanted)), SITES) is None


def test_the_domain_is_what_the_catalog_declares():
    def column(**given):
        return Column("x", given.pop("type", Type.INT), Tier.CLINICAL, **given)

    assert domain_of(column()) is None
    assert domain_of(column(type=Type.DATE)) is None
    assert domain_of(column(type=Type.BOOL)) == Listed((False, True))
    assert domain_of(column(type=Type.STR, values=("b", "a"))) == Listed(("a", "b"))
    assert domain_of(column(bounds=Range(F(18), F(100)), step=F(5))) == AGES
    assert domain_of(column(type=Type.FLOAT, bounds=Range(F(10), F(70)), step=F(1, 100))) == WIDE


def test_bounds_by_another_column_count_as_their_hull():
    by = RangesBy("test", {"sbp": Range(F(60), F(260)), "hdl": Range(F(10), F(150))})
    found = domain_of(Column("value", Type.FLOAT, Tier.CLINICAL, by=by, step=F(1)))
    assert found == Grid(F(10), F(1), 251, whole=False)


def test_the_smallest_group_sets_what_a_key_singles_out():
    decades = Call(Function.FLOOR, (Call(Function.DIVIDE, (AGE, number(10))),))
    assert smallest_class(AGE, AGES) == 1
    assert smallest_class(decades, AGES) == 10  # 18 to 19, and 100, are cut short by the domain
    assert smallest_class(Call(Function.EQ, (AGE, number(41))), AGES) == 1
    assert smallest_class(Call(Function.GE, (AGE, number(60))), AGES) == 41
    fives = Call(Function.FLOOR, (Call(Function.DIVIDE, (BMI, number(5))),))
    assert smallest_class(fives, WIDE) == 500
    assert smallest_class(Call(Function.ROUND, (BMI, number(1))), WIDE) == 10
    assert smallest_class(Call(Function.ROUND, (BMI, number(9))), WIDE) == 1
    assert smallest_class(Call(Function.INT_DIVIDE, (AGE, number(-20))), AGES) == 20
    assert smallest_class(Call(Function.SQRT, (BMI,)), WIDE) is None
