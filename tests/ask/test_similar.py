"""Which earlier questions a question builds on: those of an attack, not those of a study."""

import json
from collections.abc import Iterable
from fractions import Fraction

import pytest

from noisegate.ask.similar import recalled, written
from noisegate.ask.specificity import factor
from noisegate.catalog.model import Catalog, Specificity

from .cohorts import catalog_in, selected

COUNT = "SELECT count(*) FROM liver.patients WHERE "
POLICY = Specificity()


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return catalog_in(tmp_path_factory.mktemp("cohort"))


def built_on(texts: Iterable[str], catalog: Catalog, policy: Specificity = POLICY) -> list[int]:
    """Ask one after the other, and say on how many earlier ones each is found to build."""
    history: list[str] = []
    found = []
    for text in texts:
        selections = selected(text, catalog)
        priced = factor(selections, [recalled(h) for h in history], policy)
        found.append(int(priced.lines[2].adds / policy.per_similar))
        history.insert(0, written(selections, text))
    return found


ATTACKS = {
    "a bound moved by a year": (["age >= 40", "age >= 41", "age >= 42"], [0, 1, 2]),
    "and back": (["age >= 41", "age >= 40"], [0, 1]),
    "one age left out": (["is_male", "is_male AND age <> 41"], [0, 1]),
    "as one age less and one more": (["is_male", "is_male AND (age < 41 OR age > 41)"], [0, 1]),
    "one age left out of an interval": (
        ["age BETWEEN 30 AND 60", "age >= 30 AND age <= 60 AND age <> 41"],
        [0, 1],
    ),
    "few people left out by a sub-query": (
        ["is_male", "is_male AND patient_id NOT IN (SELECT patient_id FROM liver.labs WHERE value > 255)"],
        [0, 1],
    ),
    "the same asked over and over, at another epsilon": (["age >= 40"] * 6, [0, 0, 1, 2, 3, 4]),
    "a small group, halved": (
        [f"age = 41 AND is_male AND snp = 2 AND bmi < {b}" for b in (70, 40, 25, 18)],
        [0, 1, 2, 3],
    ),
    "a small group, by other columns": (
        ["age = 41 AND snp = 2 AND site = 'east'", "age = 41 AND snp = 2 AND site = 'east' AND died"],
        [0, 1],
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_the_questions_of_an_attack_build_on_each_other(catalog, name):
    conditions, expected = ATTACKS[name]
    assert built_on([COUNT + c for c in conditions], catalog) == expected


COHORT = "FROM liver.patients WHERE is_male AND age BETWEEN 50 AND 69 AND site = 'east'"
STUDIES = {
    "many outcomes of one cohort": [f"SELECT {m} {COHORT}" for m in ("count(*)", "avg(bmi)", "median(bmi)")]
    + [f"SELECT died, {m} {COHORT} GROUP BY died" for m in ("count(*)", "avg(bmi)")],
    "a drill-down": [
        COUNT + c for c in ("is_male", "is_male AND age >= 60", "is_male AND age >= 60 AND bmi >= 30")
    ],
    "bands of age": [f"{COUNT} age >= {a} AND age < {a + 10}" for a in range(20, 90, 10)],
    "steps of five years": [f"{COUNT} age >= {a}" for a in range(20, 85, 5)],
    "all ages by turns": ["SELECT age, count(*) FROM liver.patients GROUP BY age"]
    + [f"SELECT age, {m} FROM liver.patients GROUP BY age" for m in ("avg(bmi)", "count_if(died)")],
    "everybody": ["SELECT count(*) FROM liver.patients", "SELECT avg(bmi) FROM liver.patients"] * 3,
}


@pytest.mark.parametrize("name", STUDIES)
def test_the_questions_of_a_study_do_not(catalog, name):
    assert set(built_on(STUDIES[name], catalog)) == {0}


def test_the_wider_question_asked_last_is_not_seen_to_take_the_narrower_apart(catalog):
    # It cannot be: with one more condition it is the narrower one, and may not be cheaper for that.
    assert built_on([f"{COUNT} is_male AND age <> 41", f"{COUNT} is_male"], catalog) == [0, 0]


def test_a_question_builds_on_no_more_than_the_policy_counts(catalog):
    few = Specificity(most_similar=2)
    assert built_on([f"{COUNT} age >= 40"] * 6, catalog, few) == [0, 0, 1, 2, 2, 2]
    none = Specificity(most_similar=0)
    assert built_on([f"{COUNT} age >= 40"] * 4, catalog, none) == [0] * 4


def test_nearness_is_a_share_of_the_declared_domain(catalog):
    loose, strict = Specificity(near=Fraction(9, 10)), Specificity(near=Fraction(99, 100))
    assert built_on([f"{COUNT} age >= 40", f"{COUNT} age >= 44"], catalog, loose) == [0, 1]
    assert built_on([f"{COUNT} age >= 40", f"{COUNT} age >= 41"], catalog, strict) == [0, 0]


def test_what_is_kept_of_a_question_is_canonical_json_and_comes_back(catalog):
    selections = selected(f"{COUNT} age >= 40 AND code LIKE 'K%'", catalog)
    kept = written(selections, "w")
    assert kept == json.dumps(json.loads(kept), sort_keys=True, separators=(",", ":"))
    (before,) = recalled(kept).selections
    assert [(c.subject, c.size, c.region) for c in before.conditions][1] == (
        "liver.patients.age",
        83,
        ((22, 82),),
    )
    assert recalled("[]").selections == ()


def test_a_question_under_other_bounds_is_not_compared(catalog):
    asked = written(selected(f"{COUNT} age >= 40", catalog), "w").replace(",83,", ",84,")
    found = factor(selected(f"{COUNT} age >= 41", catalog), [recalled(asked)], POLICY)
    assert found.lines[2].adds == 0


def test_a_question_of_many_numbers_keeps_its_most_specific_ones(catalog):
    counts = ", ".join(f"count(*) FILTER (WHERE age < {a})" for a in range(20, 60))
    kept = recalled(written(selected(f"SELECT {counts} FROM liver.patients", catalog), "w"))
    regions = [c.region for s in kept.selections for c in s.conditions]
    assert regions == [((0, a - 19),) for a in range(20, 36)]


def test_a_hundred_conditions_on_one_value_are_near_to_anything(catalog):
    many = " AND ".join(f"age <> {19 + i % 80} AND bmi <> {11 + i / 10}" for i in range(100))
    assert built_on([f"{COUNT} age < 30 AND bmi > 60", COUNT + many], catalog) == [0, 1]
