"""Whom a table of cases and controls by genotype singles out."""

from fractions import Fraction
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from noisegate import sql
from noisegate.ask.selections import Selection, selections_of_groups
from noisegate.ask.similar import recalled, written
from noisegate.ask.specificity import factor
from noisegate.catalog.load import load
from noisegate.privacy.relations import Relation

CATALOG = load(Path(__file__).parents[2] / "catalog.toml")
POLICY = CATALOG.policy.specificity
MIGRAINE = "clinic.diagnoses WHERE condition = 'migraine'"
CONDITIONS = (
    "superpopulation = 'EUR'",
    "gender = 'male'",
    "population IN ('CEU', 'GBR')",
    "sample IN (SELECT sample FROM clinic.patients WHERE age BETWEEN 40 AND 45)",
    "sample NOT IN (SELECT sample FROM clinic.diagnoses WHERE condition = 'asthma')",
)


def group(text: str) -> Relation:
    return sql.read(f"SELECT count(*) FROM {text}", CATALOG).private.source


def selections(cases: str, among: str = "", variants: str = "v", which: str = "") -> tuple[Selection, ...]:
    return selections_of_groups(group(cases), group(among) if among else None, variants, which, CATALOG)


def said(selection: Selection) -> set[str]:
    return {condition.subject for condition in selection.conditions}


def test_cases_have_what_is_asked_of_them_and_controls_have_it_not() -> None:
    cases, controls = selections(MIGRAINE)
    assert said(cases) == {"clinic.diagnoses.condition", "each genotype v "}
    assert said(controls) == {"none with clinic.diagnoses.condition", "each genotype v "}
    assert {c.share for c in cases.conditions} == {Fraction(1, 6), Fraction(1, 3)}


def test_a_genotype_counts_with_the_weight_of_its_tier() -> None:
    cases, _ = selections("panel.samples")
    (genotype,) = cases.conditions
    assert (genotype.share, genotype.weight) == (Fraction(1, 3), 2)


def test_what_all_who_take_part_have_counts_for_both_groups() -> None:
    for selection in selections(MIGRAINE, among="panel.samples WHERE superpopulation = 'EUR'"):
        assert "panel.samples.superpopulation" in said(selection)


@given(st.lists(st.sampled_from(CONDITIONS), unique=True), st.sampled_from(CONDITIONS), st.booleans())
def test_one_condition_more_never_lowers_the_price(have: list[str], more: str, among: bool) -> None:
    def price(conditions: list[str]) -> Fraction:
        text = "panel.samples" + (f" WHERE {' AND '.join(conditions)}" if conditions else "")
        found = selections(MIGRAINE, text) if among else selections(text)
        return factor(found, (), POLICY).value

    assert price(have) <= price([*have, more])


def test_other_variants_of_the_same_people_are_another_question_and_the_same_ones_build_on_it() -> None:
    first = selections(MIGRAINE, which="one")
    earlier = (recalled(written(first, "first")),)

    def similar(found: tuple[Selection, ...]) -> Fraction:
        return next(line.adds for line in factor(found, earlier, POLICY).lines if line.what == "similar")

    assert similar(selections(MIGRAINE, which="two")) == 0
    # People who are nearly those, at the same variants, could be subtracted from them.
    assert similar(selections(f"{MIGRAINE} AND onset_day < 1824", which="one")) > 0
