"""What the constructors refuse, and what they know: the trusted part of unit-locality."""

from datetime import UTC, datetime

import pytest

from noisegate.privacy.expressions import (
    Call,
    Case,
    ColumnRef,
    Function,
    Literal,
    NotUnitLocalError,
    PlanError,
    Type,
    call_type,
    columns_of,
)
from noisegate.privacy.relations import (
    Distinct,
    Filter,
    Fold,
    FoldWindow,
    GroupWithinUnit,
    JoinKind,
    JoinOnUnit,
    JoinPublic,
    Matching,
    Order,
    Project,
    RankWindow,
    Scan,
    ScanColumn,
    Union,
    UnitFold,
    Window,
    WindowWithinUnit,
    scans,
    unit_ref,
)

INT, STR, BOOL, FLOAT = Type.INT, Type.STR, Type.BOOL, Type.FLOAT


def table(name, *columns, unit="id", population="city", single=False, constant=(), kind=INT):
    read = tuple(ScanColumn(c, f"{name}_{c}" if c != unit else c, STR, c in constant) for c in columns)
    if unit is not None:
        read = (ScanColumn(unit, unit, kind), *read)
    return Scan("d", name, read, unit, population if unit else None, single)


PEOPLE = table("p", "sex", single=True)
VISITS = table("v", "site", "sex", constant={"sex"})
CODES = table("c", "code", unit=None)
SITE = ColumnRef("v_site", STR)
SEX = ColumnRef("v_sex", STR)
YES = Literal(True, BOOL)
SAME = Call(Function.EQ, (SITE, ColumnRef("c_code", STR)))
OTHER_TOWN = table("v2", "site", population="town")
OTHER_TYPE = table("v3", "site", kind=STR)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Scan("d", "t", (ScanColumn("a", "a", INT),), "id", "city"),
        lambda: Scan("d", "t", (ScanColumn("id", "id", INT),), "id", None),
        lambda: Scan("d", "t", (ScanColumn("id", "id", INT),), None, "city"),
        lambda: Project(VISITS, (("id", SITE),)),
        lambda: JoinOnUnit(CODES, VISITS, JoinKind.INNER),
        lambda: JoinOnUnit(VISITS, CODES, JoinKind.LEFT),
        lambda: JoinOnUnit(VISITS, OTHER_TOWN, JoinKind.INNER),
        lambda: JoinOnUnit(VISITS, OTHER_TYPE, JoinKind.INNER),
        lambda: JoinPublic(CODES, VISITS, JoinKind.LEFT, SAME),
        lambda: JoinPublic(PEOPLE, VISITS, JoinKind.INNER, YES),
        lambda: Matching(CODES, VISITS, anti=False, condition=SAME),
        lambda: Matching(CODES, VISITS, anti=True, condition=SAME),
        lambda: Matching(VISITS, OTHER_TOWN, anti=True),
        lambda: GroupWithinUnit(CODES, (), (("n", UnitFold(Fold.COUNT_ROWS)),)),
        lambda: WindowWithinUnit(CODES, (("n", RankWindow(Window.ROW_NUMBER, (), ())),)),
        lambda: Union((VISITS, table("w", "a", "b", unit=None))),
        lambda: Union((VISITS, table("w", "a", "b", population="town"))),
        lambda: Union(
            (
                table("w", "a"),
                Scan("d", "x", (ScanColumn("n", "n", INT), ScanColumn("id", "id", STR)), "id", "city"),
            )
        ),
        lambda: unit_ref(CODES.shape),
    ],
)
def test_a_row_that_would_depend_on_two_units_cannot_be_built(build):
    with pytest.raises(NotUnitLocalError):
        build()


@pytest.mark.parametrize(
    "build",
    [
        lambda: Filter(VISITS, SITE),
        lambda: Filter(VISITS, Call(Function.IS_NULL, (ColumnRef("nowhere", STR),))),
        lambda: Filter(VISITS, Call(Function.IS_NULL, (ColumnRef("v_site", INT),))),
        lambda: Project(VISITS, (("a", SITE), ("a", SEX))),
        lambda: JoinOnUnit(VISITS, VISITS, JoinKind.INNER),
        lambda: JoinOnUnit(VISITS, PEOPLE, JoinKind.INNER, SITE),
        lambda: JoinPublic(VISITS, CODES, JoinKind.INNER, SITE),
        lambda: Matching(VISITS, CODES, anti=False),
        lambda: Matching(VISITS, PEOPLE, anti=False, condition=SITE),
        lambda: Union((VISITS,)),
        lambda: Union((VISITS, PEOPLE)),
        lambda: UnitFold(Fold.COUNT_ROWS, SITE),
        lambda: UnitFold(Fold.SUM),
        lambda: UnitFold(Fold.SUM, SITE),
        lambda: UnitFold(Fold.MEAN, ColumnRef("x", FLOAT)),
        lambda: UnitFold(Fold.ANY_TRUE, SITE),
        lambda: UnitFold(Fold.COUNT_ROWS, where=SITE),
        lambda: RankWindow(Window.RANK, (), (), SITE),
        lambda: RankWindow(Window.LAG, (), (), None),
        lambda: RankWindow(Window.LAG, (), (), SITE, offset=-1),
        lambda: FoldWindow(UnitFold(Fold.FIRST, SITE), ()),
        lambda: WindowWithinUnit(VISITS, (("v_site", RankWindow(Window.RANK, (), ())),)),
        lambda: GroupWithinUnit(VISITS, (("id", SITE),), ()),
    ],
)
def test_a_plan_that_is_not_well_formed_cannot_be_built(build):
    with pytest.raises(PlanError):
        build()


ONE_FOLD = (("n", UnitFold(Fold.COUNT_ROWS)),)
VISITS_2 = table("w", "site", "sex", constant={"sex"})


@pytest.mark.parametrize(
    ("relation", "single", "constant"),
    [
        (PEOPLE, True, {"p_sex"}),
        (VISITS, False, {"v_sex"}),
        (CODES, False, set()),
        (Filter(VISITS, YES), False, {"v_sex"}),
        (Project(VISITS, (("a", SITE), ("b", SEX), ("c", YES))), False, {"b", "c"}),
        (Project(PEOPLE, (("a", YES),)), True, {"a"}),
        (JoinOnUnit(PEOPLE, VISITS, JoinKind.INNER), False, {"p_sex", "v_sex"}),
        (JoinOnUnit(VISITS, PEOPLE, JoinKind.LEFT), False, {"p_sex", "v_sex"}),
        (JoinOnUnit(VISITS, PEOPLE, JoinKind.LEFT, YES), False, {"v_sex"}),
        (JoinOnUnit(VISITS, PEOPLE, JoinKind.INNER, YES), False, {"p_sex", "v_sex"}),
        (JoinOnUnit(PEOPLE, table("q", "a", single=True), JoinKind.LEFT, YES), True, {"p_sex", "q_a"}),
        (JoinPublic(PEOPLE, CODES, JoinKind.LEFT, YES), False, {"p_sex"}),
        (Matching(PEOPLE, VISITS, anti=True), True, {"p_sex"}),
        (GroupWithinUnit(VISITS, (), ONE_FOLD), True, {"n"}),
        (GroupWithinUnit(VISITS, (("s", SEX),), ONE_FOLD), True, {"s", "n"}),
        (GroupWithinUnit(VISITS, (("s", SITE),), ONE_FOLD), False, set()),
        (GroupWithinUnit(VISITS, (("s", SITE), ("t", SEX)), ONE_FOLD), False, {"t"}),
        (WindowWithinUnit(VISITS, (("r", RankWindow(Window.RANK, (), (Order(SITE),))),)), False, {"v_sex"}),
        (WindowWithinUnit(PEOPLE, (("r", RankWindow(Window.RANK, (), ())),)), True, {"p_sex", "r"}),
        (Union((VISITS, VISITS_2)), False, set()),
        (Union((PEOPLE, table("q", "a", single=True))), False, set()),
        (Distinct(VISITS), False, {"v_sex"}),
        (Distinct(Project(VISITS, (("b", SEX),))), True, {"b"}),
        (Distinct(CODES), False, set()),
    ],
)
def test_a_relation_claims_one_row_and_constants_only_where_it_may(relation, single, constant):
    assert relation.shape.single is single
    assert set(relation.shape.constant) == constant


def test_scans_are_listed_in_order_with_repeats():
    without = Matching(VISITS, PEOPLE, anti=True)
    again = Filter(Matching(VISITS_2, CODES, anti=False, condition=YES), YES)
    both = JoinOnUnit(Project(Distinct(Union((without, VISITS))), ()), again, JoinKind.LEFT)
    listed = scans(JoinPublic(both, CODES, JoinKind.INNER, YES))
    assert [s.table for s in listed] == ["v", "p", "v", "w", "c", "c"]


@pytest.mark.parametrize(
    "build",
    [
        lambda: Literal(1, FLOAT),
        lambda: Literal(True, INT),
        lambda: Literal(2**63, INT),
        lambda: Literal(float("nan"), FLOAT),
        lambda: Literal("a\x00b", STR),
        lambda: Literal("\ud800", STR),
        lambda: Literal(datetime(2020, 1, 1, tzinfo=UTC), Type.TIMESTAMP),
        lambda: Call(Function.EQ, (SITE, Literal(1, INT))),
        lambda: Call(Function.IN, (SITE, SEX)),
        lambda: Call(Function.LIKE, (SITE, SEX)),
        lambda: Case((), SITE),
        lambda: Case(((SITE, SITE),), SITE),
    ],
)
def test_an_expression_that_would_need_a_hidden_cast_cannot_be_built(build):
    with pytest.raises(PlanError):
        build()


@pytest.mark.parametrize("function", Function)
def test_every_function_has_a_signature_and_refuses_no_arguments(function):
    with pytest.raises(PlanError):
        call_type(function, ())


def test_columns_of_an_expression_are_all_of_them():
    both = Case(((Call(Function.EQ, (SITE, SEX)), SITE),), Literal(None, STR))
    assert sorted(ref.name for ref in columns_of(both)) == ["v_sex", "v_site", "v_site"]
    assert both.type is STR
