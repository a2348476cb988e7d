import pytest

from noisegate import sql

from .catalogs import CATALOG

SAME = [
    (
        "SELECT is_male, avg(bmi) AS m FROM liver.patients WHERE age > 40 AND site = 'x' GROUP BY is_male",
        "select IS_MALE,   AVG(bmi) mean\nfrom LIVER.Patients where 'x' = site and 40 < AGE group by 1 -- y",
    ),
    (
        "SELECT count(*), avg(age) FROM liver.patients",
        "SELECT avg(age), count(*), count(age) AS n FROM liver.patients ORDER BY 1 LIMIT 5",
    ),
    (
        "SELECT site, is_male, count(*) FROM liver.patients GROUP BY site, is_male",
        "SELECT is_male, count(*), site FROM liver.patients GROUP BY is_male, site HAVING count(*) > 3",
    ),
    (
        "SELECT count(*) FROM liver.patients WHERE (age > 50 OR died) AND site IN ('south', 'north')",
        "SELECT count(*) FROM liver.patients WHERE site IN ('north', 'south') AND (died OR 50 < age)",
    ),
    (
        "SELECT count(*) FROM liver.patients WHERE NOT (age < 50)",
        "SELECT count(*) FROM liver.patients WHERE age >= 50",
    ),
    (
        "SELECT count(*) FROM liver.patients WHERE site IN ('north')",
        "SELECT count(*) FROM liver.patients WHERE site = 'north'",
    ),
    (
        "SELECT count(*) FROM liver.patients WHERE age > 30 AND age < 60",
        "SELECT count(*) FROM (SELECT age AS a FROM liver.patients WHERE age > 30) AS t WHERE a < 60",
    ),
    (
        "SELECT sum(CASE WHEN died THEN 1 ELSE 0 END) FROM liver.patients",
        "SELECT count(*) FILTER (WHERE died) FROM liver.patients",
    ),
    (
        "WITH c AS (SELECT patient_id, day AS d FROM liver.conditions) SELECT count(*) FROM c WHERE d > 0",
        "SELECT count(*) FROM liver.conditions AS other WHERE other.day > 0",
    ),
    (
        "SELECT avg(m) FROM (SELECT patient_id, max(day) AS m FROM liver.conditions GROUP BY patient_id)",
        "SELECT avg(x) FROM (SELECT patient_id AS who, max(c.day) AS x FROM liver.conditions c GROUP BY who)",
    ),
    (
        "SELECT avg(bmi + age) FROM liver.patients",
        "SELECT avg(age + bmi) FROM liver.patients",
    ),
]
BASE = "SELECT avg(bmi) FROM liver.patients WHERE age > 40"
OTHERS = [
    "SELECT avg(bmi) FROM liver.patients WHERE age >= 40",
    "SELECT avg(bmi) FROM liver.patients WHERE age > 41",
    "SELECT avg(bmi) FROM liver.patients WHERE age > 40.0",
    "SELECT avg(bmi) FROM liver.patients WHERE 40 > age",
    "SELECT avg(bmi) FROM liver.patients WHERE follow_up_days > 40",
    "SELECT avg(bmi) FROM liver.patients",
    "SELECT avg(weight_kg) FROM liver.patients WHERE age > 40",
    "SELECT avg(bmi), count(*) FROM liver.patients WHERE age > 40",
    "SELECT sum(bmi) FROM liver.patients WHERE age > 40",
    "SELECT median(bmi) FROM liver.patients WHERE age > 40",
    "SELECT quantile_cont(bmi, 0.4) FROM liver.patients WHERE age > 40",
    "SELECT avg(bmi) FROM liver.patients WHERE age > 40 AND bmi < 60",
    "SELECT avg(bmi) FILTER (WHERE age > 40) FROM liver.patients",
    "SELECT is_male, avg(bmi) FROM liver.patients WHERE age > 40 GROUP BY is_male",
    "SELECT died, avg(bmi) FROM liver.patients WHERE age > 40 GROUP BY died",
    "SELECT avg(bmi) FROM liver.patients JOIN liver.conditions USING (patient_id) WHERE age > 40",
    "SELECT avg(bmi) FROM liver.patients LEFT JOIN liver.conditions USING (patient_id) WHERE age > 40",
    "SELECT avg(bmi) FROM liver.patients SEMI JOIN liver.conditions USING (patient_id) WHERE age > 40",
    "SELECT avg(bmi) FROM liver.patients ANTI JOIN liver.conditions USING (patient_id) WHERE age > 40",
]


def fingerprint(question: str) -> str:
    return sql.fingerprint(sql.read(question, CATALOG).private)


@pytest.mark.parametrize(("first", "second"), SAME)
def test_questions_that_mean_the_same_have_one_fingerprint(first: str, second: str) -> None:
    assert fingerprint(first) == fingerprint(second)


def test_questions_that_differ_have_different_fingerprints() -> None:
    found = [fingerprint(q) for q in (BASE, *OTHERS)]
    assert len(set(found)) == len(found)


def test_the_same_question_is_the_same_plan_not_only_the_same_fingerprint() -> None:
    first, second = (sql.read(q, CATALOG) for q in SAME[0])
    assert first.private == second.private
    assert first.steps == second.steps


def test_a_fingerprint_depends_on_nothing_but_the_plan() -> None:
    # A constant, so that a change of the form that would orphan stored answers is noticed.
    assert fingerprint("SELECT count(*) FROM liver.patients") == fingerprint(
        "SELECT count(1) AS x FROM patients"
    )
    assert len(fingerprint(BASE)) == 64
