"""What a plan holds beside its words: names, columns, bounding, titles."""

import time

import pytest

from noisegate import sql
from noisegate.errors import NotUnitLocal, TooLarge, UnsupportedSql
from noisegate.privacy.expressions import NotUnitLocalError, PlanError
from noisegate.privacy.question import Bounding, Rank
from noisegate.privacy.relations import scans
from noisegate.sql import planner

from .catalogs import CATALOG


def read(question: str):  # type: ignore[no-untyped-def]
    return sql.read(question, CATALOG)


def test_names_in_a_plan_do_not_come_from_aliases() -> None:
    first = read("SELECT avg(x) AS y FROM (SELECT bmi * 2 AS x FROM liver.patients AS secret)")
    second = read("SELECT avg(q) AS r FROM (SELECT bmi * 2 AS q FROM liver.patients AS other)")
    assert first.private == second.private
    assert "secret" not in repr(first.private)


def test_scans_are_named_in_order_of_appearance_and_read_no_more_than_the_question() -> None:
    plan = read(
        "SELECT count(*) FROM liver.patients p JOIN liver.conditions c USING (patient_id) WHERE c.day > p.age"
    )
    found = [[c.name for c in s.columns] for s in scans(plan.private.source)]
    assert found == [["t0.patient_id", "t0.age"], ["t1.patient_id", "t1.day"]]


def test_a_genotype_table_is_read_by_the_variants_that_are_named() -> None:
    plan = read("SELECT count(*) FROM (SELECT * FROM panel.snps) WHERE rs1000 = 1 AND rs1001 IS NULL")
    assert [c.source for c in scans(plan.private.source)[0].columns] == ["sample", "rs1000", "rs1001"]


def test_restricted_columns_are_in_no_scan() -> None:
    plan = read("SELECT count(*) FROM (SELECT DISTINCT * FROM liver.patients)")
    columns = [c.source for c in scans(plan.private.source)[0].columns]
    assert "case_id" not in columns
    assert "postcode" in columns


@pytest.mark.parametrize(
    ("question", "bounding"),
    [
        ("SELECT count(*) FROM liver.patients", Bounding(1, 1)),
        ("SELECT site, is_male, count(*) FROM liver.patients GROUP BY 1, 2", Bounding(1, 1)),
        ("SELECT count(*) FROM liver.measurements", Bounding(60, 1)),
        ("SELECT test, count(*) FROM liver.measurements GROUP BY test", Bounding(60, 4, 60)),
        ("SELECT code, count(*) FROM liver.conditions GROUP BY code", Bounding(14, 6, 14)),
        (
            "SELECT count(*) FROM liver.measurements JOIN liver.conditions USING (patient_id)",
            Bounding(840, 1),
        ),
        (
            (
                "SELECT count(*) FROM liver.measurements a JOIN liver.measurements b USING (patient_id) "
                "JOIN liver.measurements c USING (patient_id) JOIN liver.measurements d USING (patient_id)"
            ),
            Bounding(2**20, 1),
        ),
        ("SELECT count(*) FROM liver.conditions JOIN liver.icd USING (code)", Bounding(14, 1)),
        ("SELECT count(*) FROM liver.patients p JOIN liver.icd i ON p.age > i.weight", Bounding(1, 1)),
        (
            "SELECT test, count(*) FROM (SELECT DISTINCT patient_id, test FROM measurements) GROUP BY 1",
            Bounding(4, 4, 4),
        ),
        (
            (
                "SELECT count(*) FROM (SELECT *, row_number() OVER (PARTITION BY patient_id ORDER BY day) r "
                "FROM liver.measurements) WHERE r < 5"
            ),
            Bounding(4, 1),
        ),
        (
            (
                "SELECT count(*) FROM (SELECT *, row_number() OVER (PARTITION BY patient_id ORDER BY day) r "
                "FROM liver.measurements) WHERE r > 5"
            ),
            Bounding(55, 1),
        ),
        (
            (
                "SELECT count(*) FROM (SELECT *, rank() OVER (PARTITION BY patient_id ORDER BY day) AS r "
                "FROM liver.measurements) WHERE r = 1"
            ),
            Bounding(60, 1),
        ),
        (
            (
                "SELECT count(*) FROM (SELECT *, row_number() OVER (PARTITION BY patient_id ORDER BY day) r "
                "FROM liver.measurements) AS m JOIN liver.conditions USING (patient_id) WHERE r = 1"
            ),
            Bounding(840, 1),
        ),
    ],
)
def test_contributions_are_bounded_by_what_is_declared(question: str, bounding: Bounding) -> None:
    assert read(question).private.bounding == bounding


def test_quantiles_choose_among_at_most_1025_candidates() -> None:
    plan = read(
        "SELECT median(follow_up_days), median(bmi), median(age), median(is_male) FROM liver.patients"
    )
    found = {m.candidates for m in plan.private.measures if isinstance(m, Rank)}
    assert found == {938, 1001, 83, 2}


def test_too_many_groups_are_refused() -> None:
    with pytest.raises(TooLarge, match="groups"):
        read(
            "SELECT a.age, b.age, c.age, count(*) FROM patients a JOIN patients b USING (patient_id) "
            "JOIN patients c USING (patient_id) GROUP BY 1, 2, 3"
        )


def test_titles_are_aliases_or_the_text_in_lower_case_and_differ() -> None:
    plan = read("SELECT COUNT(*), AVG(BMI) AS Mean, count( * ), avg(age) AS Mean FROM liver.patients")
    assert [o.title for o in plan.outputs] == ["count(*)", "Mean", "count(*)_2", "Mean_2"]
    assert [o.measured_in for o in plan.outputs] == ["", "kg/m2", "", "years"]


def test_titles_are_cut_where_they_are_very_long() -> None:
    alias = "x" * 500
    assert (
        max(
            len(o.title)
            for o in read(f"SELECT count(*) AS {alias}, count(*) AS {alias} FROM patients").outputs
        )
        < 110
    )


@pytest.mark.parametrize(
    ("error", "code"), [(NotUnitLocalError("why"), NotUnitLocal), (PlanError("why"), UnsupportedSql)]
)
def test_what_constructors_refuse_is_refused_with_their_reason(
    monkeypatch: pytest.MonkeyPatch, error: PlanError, code: type[Exception]
) -> None:
    def refuses(*_: object) -> None:
        raise error

    monkeypatch.setattr(planner, "plan_of", refuses)
    with pytest.raises(code, match="why"):
        read("SELECT count(*) FROM liver.patients")


def test_a_simple_question_is_read_fast() -> None:
    best = 1.0
    for _ in range(20):
        began = time.perf_counter()
        read("SELECT is_male, avg(bmi) FROM liver.patients WHERE age >= 18 GROUP BY is_male ORDER BY 2")
        best = min(best, time.perf_counter() - began)
    assert best < 0.02
