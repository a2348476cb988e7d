"""Relations: the rows the twin has, names that cannot be confused, and what each is made of."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisegate.engines.render import MAX_NESTING, render
from noisegate.privacy.expressions import Function, PlanError, Scalar
from noisegate.privacy.relations import (
    Distinct,
    Filter,
    JoinKind,
    JoinOnUnit,
    Matching,
    Project,
    Relation,
    Union,
)

from . import twin
from .lab import INT, Lab, call, col, lit
from .plans import PEOPLE, PLACES, VISITS, databases, relations, without

ROUGH = 10  # significant digits at which means of two implementations agree


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


def load(lab: Lab, database: twin.Database) -> None:
    for scan in (VISITS, PEOPLE, PLACES):
        lab.put(scan, database[scan.dataset, scan.table])


def rough(value: Scalar) -> object:
    return (type(value).__name__, float(f"{value:.{ROUGH}g}") if isinstance(value, float) else value)


def bag(rows: list[tuple[Scalar, ...]]) -> Counter[tuple[object, ...]]:
    return Counter(tuple(rough(v) for v in r) for r in rows)


def told(relation: Relation, database: twin.Database) -> list[tuple[Scalar, ...]]:
    names = [f.name for f in relation.shape.fields]
    return [tuple(r[n] for n in names) for r in twin.rows(relation, database)]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(relation=relations(), database=databases())
def test_a_relation_has_the_rows_of_the_twin(lab: Lab, relation: Relation, database: twin.Database) -> None:
    load(lab, database)
    assert bag(lab.rows(relation)) == bag(told(relation, database))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(relation=relations(), database=databases(), gone=st.sampled_from([1, 2, 3, 4]))
def test_the_rows_of_one_unit_do_not_depend_on_another(
    lab: Lab, relation: Relation, database: twin.Database, gone: int
) -> None:
    at = [f.name for f in relation.shape.fields].index(relation.shape.unit or "")
    load(lab, database)
    kept = [r for r in lab.rows(relation) if r[at] != gone]
    load(lab, without(database, gone))
    assert bag(lab.rows(relation)) == bag(kept)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(relation=relations(), database=databases())
def test_what_a_shape_says_of_its_rows_is_so(lab: Lab, relation: Relation, database: twin.Database) -> None:
    load(lab, database)
    names = [f.name for f in relation.shape.fields]
    at = names.index(relation.shape.unit or "")
    rows = lab.rows(relation)
    assert all(r[at] is not None for r in rows)
    if relation.shape.single:
        assert len({r[at] for r in rows}) == len(rows)
    for name in relation.shape.constant:
        place = names.index(name)
        values: dict[Scalar, set[Scalar]] = {}
        for r in rows:
            values.setdefault(r[at], set()).add(r[place])
        assert all(len(v) == 1 for v in values.values())


def test_a_column_that_imitates_the_unit_is_not_taken_for_it(lab: Lab) -> None:
    load(lab, {("lab", "visits"): [visit(1), visit(2)], ("lab", "people"): [], ("lab", "places"): []})
    imitation = Project(VISITS, (("U", lit(7)), ("c0", lit(8)), ("t.c0", lit(9))))
    both = JoinOnUnit(imitation, Project(VISITS, (("C0", lit(1)),)), JoinKind.INNER)
    assert sorted(lab.rows(both)) == [(1, 7, 8, 9, 1), (2, 7, 8, 9, 1)]


def visit(unit: int | None) -> twin.Row:
    return {"patient": unit, "n": 1, "other n": 2, 'x"y': 0.5, "b": True, "select": "a", "d": None}


def test_rows_without_a_unit_are_dropped_at_the_scan(lab: Lab) -> None:
    load(lab, {("lab", "visits"): [visit(1), visit(None)], ("lab", "people"): [], ("lab", "places"): []})
    assert len(lab.rows(VISITS)) == 1


def test_an_anti_join_is_not_exists_on_the_unit() -> None:
    sql = render(Matching(PEOPLE, VISITS, anti=True)).sql
    assert "NOT EXISTS (SELECT 1 FROM" in sql
    assert " NOT IN " not in sql


def test_a_part_met_twice_is_written_once(lab: Lab) -> None:
    part: Relation = Filter(VISITS, call(Function.GT, col("n", INT), lit(0)))
    for _ in range(12):
        part = Union((part, Distinct(part)))
    rendered = render(part)
    assert len(rendered.sql) < 20_000
    load(lab, {("lab", "visits"): [visit(1)], ("lab", "people"): [], ("lab", "places"): []})
    assert len(lab.rows(part)) == 1 + 12


def test_nesting_without_end_is_refused_from_the_plan_alone() -> None:
    part: Relation = VISITS
    for n in range(MAX_NESTING + 5):
        part = Filter(part, call(Function.GT, col("n", INT), lit(n)))
    with pytest.raises(PlanError, match="nested"):
        render(part)


@pytest.mark.parametrize("anti", [False, True])
@pytest.mark.parametrize("private", [False, True])
def test_matching_looks_at_the_units_own_rows_only(lab: Lab, anti: bool, private: bool) -> None:
    others = VISITS if private else PLACES
    right = Project(others, (("m", col("n", INT)),))
    people = [{**visit(u), "n": u} for u in (1, 2, 3)]
    beside = [{**visit(1), "n": 1}, {**visit(2), "n": 3}, {**visit(None), "n": 3}]
    load(lab, {("lab", "people"): people, ("lab", "visits"): beside, ("lab", "places"): beside})
    relation = Matching(PEOPLE, right, anti, call(Function.EQ, col("n", INT), col("m", INT)))
    matched = {1} if private else {1, 3}
    assert {r[1] for r in lab.rows(relation)} == ({1, 2, 3} - matched if anti else matched)
    if private:
        units = {r[1] for r in lab.rows(Matching(PEOPLE, right, anti))}
        assert units == ({3} if anti else {1, 2})
