"""Random questions over a made-up cohort, whole, as text: what the price is tested on."""

from fractions import Fraction
from pathlib import Path

from hypothesis import strategies as st

from noisegate import sql
from noisegate.ask.selections import Selection, selections_of
from noisegate.catalog.load import load
from noisegate.catalog.model import Catalog, Specificity

TEXT = """
[policy.tiers]
genomic = { weight = 2 }
clinical = { weight = 1.5 }

[liver]
unit = "patient_id"
[liver.tables.patients]
source = "patients.csv"
expected_units = 17500
columns.age = { type = "int", low = 18, high = 100, tier = "demographic", nullable = false }
columns.is_male = { type = "bool", tier = "demographic", nullable = false }
columns.bmi = { type = "float", low = 10, high = 70, step = 0.01, tier = "clinical" }
columns.died = { type = "bool", tier = "clinical", nullable = false }
columns.site = { type = "str", values = ["east", "north", "south", "west"], tier = "demographic" }
columns.code = { type = "str", tier = "clinical" }
columns.snp = { type = "int", low = 0, high = 2, values = [0, 1, 2], tier = "genomic" }
columns.born = { type = "date", tier = "demographic" }
columns.visit = { type = "int", low = -2000, high = 2000, tier = "clinical", nullable = false }
columns.case_id = { tier = "restricted" }
[liver.tables.labs]
source = "labs.csv"
rows_per_unit = 20
columns.test = { type = "str", values = ["hdl", "sbp", "smoke"], tier = "clinical", nullable = false }
columns.day = { type = "int", low = -1000, high = 1000, tier = "clinical", nullable = false }
columns.value.type = "float"
columns.value.step = 0.1
columns.value.tier = "clinical"
columns.value.by.test.sbp = { low = 60, high = 260 }
columns.value.by.test.hdl = { low = 10, high = 150 }
[liver.tables.sites]
source = "sites.csv"
public = true
columns.site = { type = "str", values = ["east", "north", "south", "west"], nullable = false }
columns.kind = { type = "str", values = ["town", "rural"], nullable = false }
"""


def catalog_in(directory: Path) -> Catalog:
    """Return the cohort's catalog, loaded from a file in the directory."""
    path = directory / "catalog.toml"
    path.write_text(TEXT, "utf-8")
    return load(path)


def selected(text: str, catalog: Catalog) -> tuple[Selection, ...]:
    """Return whom a question singles out."""
    return selections_of(sql.read(text, catalog), catalog)


def _compared(column: str, values: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(("=", "<>", "<", "<=", ">", ">="))
    return st.builds(lambda o, v: f"{column} {o} {v}", operators, values)


AGES = st.integers(16, 102)
BMIS = st.integers(900, 7100).map(lambda n: n / 100)
PLAIN = st.one_of(
    _compared("age", AGES),
    _compared("age", st.sampled_from((40, 41, 42))),
    _compared("bmi", BMIS),
    _compared("visit", st.integers(-2100, 2100)),
    st.builds(lambda a: f"visit BETWEEN {a} AND {a + 100}", st.integers(-2000, 2000)),
    _compared("snp", st.integers(0, 2)),
    st.sampled_from(("is_male", "NOT is_male", "died", "NOT died", "is_male IS TRUE", "died = false")),
    st.builds(lambda a, b: f"age BETWEEN {min(a, b)} AND {max(a, b)}", AGES, AGES),
    st.builds(lambda a, b: f"age NOT BETWEEN {min(a, b)} AND {max(a, b)}", AGES, AGES),
    st.lists(AGES, min_size=1, max_size=4).map(lambda v: f"age IN ({', '.join(map(str, v))})"),
    st.sampled_from(("site = 'east'", "site IN ('east', 'west')", "site <> 'north'", "site NOT IN ('west')")),
    st.sampled_from(
        (
            "code = 'K76'", "code LIKE 'K%'", "born < '1950-01-01'", "born >= '1950-01-01'", "bmi IS NULL",
            "bmi IS NOT NULL", "lower(site) = 'east'", "abs(age - 41) < 1", "age + 1 > 42", "2 * bmi <= 60",
            "age % 2 = 0", "bmi > age", "patient_id = 17", "patient_id IN (17, 18)", "patient_id < 100",
            "visit * visit > 900", "abs(visit) < 7", "bmi / age > 1", "bmi + age - age = 25", "visit % 7 = 3",
            "nullif(age, 41) IS NULL", "nullif(age, 41) IS NOT NULL", "sqrt(visit - age) > 3",
            "visit::text = '7'",
            "coalesce(bmi, 20) > 30", "CASE WHEN age > 40 THEN is_male ELSE died END", "age >= 19", "true",
        )
    ),
)  # fmt: skip
INNER = st.sampled_from(
    (
        "test = 'sbp'", "test IN ('sbp', 'hdl')", "day > 0", "day >= 1", "value > 180",
        "value BETWEEN 60 AND 70", "NOT (day < 0)",
    )
)  # fmt: skip


def _labs(test: str, inner: list[str]) -> str:
    return f"patient_id {test} (SELECT patient_id FROM liver.labs WHERE {' AND '.join(inner)})"


SUBQUERIES = st.builds(_labs, st.sampled_from(("IN", "NOT IN")), st.lists(INNER, min_size=1, max_size=3))
CONDITIONS = st.recursive(
    st.one_of(PLAIN, PLAIN, SUBQUERIES),
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"({a} OR {b})", inner, inner),
        st.builds(lambda a, b: f"NOT ({a} AND {b})", PLAIN, PLAIN),
        st.builds(lambda a: f"NOT ({a})", PLAIN),
    ),
    max_leaves=3,
)
MEASURES = st.sampled_from(
    (
        "count(*)", "avg(bmi)", "count(bmi)", "sum(age)", "median(age)", "count(DISTINCT site)",
        "count(*) FILTER (WHERE age > 60)", "sum(CASE WHEN age = 41 THEN bmi ELSE 0 END)", "avg(snp)",
        "sum(1 - sign(abs(age - 41)))", "count(nullif(age, 41))", "sum(greatest(age, 41) - age)",
        "count_if(died AND bmi > 30)", "stddev(bmi), count(*) FILTER (WHERE is_male)",
    )
)  # fmt: skip
KEYS = st.sampled_from(
    (
        "",
        "",
        "age",
        "is_male, died",
        "floor(age / 10)",
        "site",
        "age = 41",
        "floor(bmi / 5)",
        "visit",
        "code",
        "snp + 1",
    )
)
# Where a WHERE may stand.
FORMS = tuple(
    " ".join(form.split())
    for form in (
        "SELECT {key}{measure} FROM liver.patients {where}{group}",
        "SELECT {key}{measure} FROM (SELECT * FROM liver.patients {where}) {group}",
        """WITH t AS (SELECT *, age >= 60 AS old FROM liver.patients {where})
           SELECT {key}{measure} FROM t WHERE old {group}""",
        "SELECT {key}{measure} FROM liver.patients JOIN liver.labs USING (patient_id) {where}{group}",
        """SELECT {key}{measure} FROM liver.patients LEFT JOIN
           (SELECT patient_id, max(value) AS top FROM liver.labs WHERE test = 'sbp' GROUP BY patient_id) AS l
           USING (patient_id) {where}{group}""",
        "SELECT {key}{measure} FROM liver.patients JOIN liver.sites USING (site) {where}{group}",
        """SELECT count(*) FROM liver.labs WHERE test = 'hdl' AND patient_id IN
           (SELECT patient_id FROM liver.patients {where})""",
        """SELECT count(*) FROM liver.labs WHERE patient_id NOT IN
           (SELECT patient_id FROM liver.patients {where})""",
        """SELECT count(*) FROM liver.labs WHERE day > 9 OR patient_id NOT IN
           (SELECT patient_id FROM liver.patients {where})""",
        """SELECT avg(n) FROM (SELECT patient_id, count(*) AS n FROM liver.patients {where}
           GROUP BY patient_id)""",
        """SELECT count(*) FROM (SELECT patient_id, max(age) AS a, count(*) FILTER (WHERE bmi > 30) AS n
           FROM liver.patients {where} GROUP BY patient_id) WHERE a > 40 AND n > 0""",
        """SELECT count(*) FROM (SELECT patient_id, age FROM liver.patients {where}
           UNION ALL SELECT patient_id, day FROM liver.labs) WHERE age > 41""",
        """SELECT count(*) FROM (SELECT patient_id, row_number() OVER (PARTITION BY patient_id ORDER BY age)
           AS r FROM liver.patients {where}) WHERE r = 1""",
    )
)


def question(form: str, conjuncts: list[str], measure: str, key: str) -> str:
    """Return a question with these conjuncts in its WHERE."""
    where = f"WHERE {' AND '.join(f'({c})' for c in conjuncts)} " if conjuncts else ""
    return form.format(
        where=where, measure=measure, key=f"{key}, " if key else "", group=f"GROUP BY {key}" if key else ""
    )


POLICIES = st.builds(
    Specificity,
    per_condition=st.fractions(0, 1, max_denominator=20),
    free_conditions=st.integers(0, 4),
    per_bit=st.fractions(0, 1, max_denominator=20),
    free_bits=st.fractions(0, 10, max_denominator=4),
    per_similar=st.fractions(Fraction(1, 20), 1, max_denominator=20),
    most_similar=st.integers(0, 10),
    near=st.sampled_from((Fraction(1, 2), Fraction(9, 10), Fraction(19, 20), Fraction(1))),
    unknown_share=st.sampled_from((Fraction(1, 16), Fraction(1, 2), Fraction(1))),
)
