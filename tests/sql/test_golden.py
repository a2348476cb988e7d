import pytest

from noisegate import sql
from noisegate.errors import NoisegateError
from noisegate.sql.parse import parse
from noisegate.sql.planner import plan_of

from .catalogs import CATALOG
from .golden import GOLDEN, Case, cases_of, outcome, rewrite

PLANS = [case for path in sorted((GOLDEN / "plans").glob("*.sql")) for case in cases_of(path)]
REFUSALS = cases_of(GOLDEN / "refusals.sql")


def name(case: Case) -> str:
    return f"{case.path.stem}: {case.title}"


@pytest.mark.parametrize("case", PLANS, ids=name)
def test_a_question_becomes_the_plan_that_is_written_down(case: Case, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--write-golden"):
        rewrite(case.path)
        return
    assert outcome(case.question) == case.expected
    assert not case.expected[0].startswith("refused"), "a refusal belongs in refusals.sql"


@pytest.mark.parametrize("case", REFUSALS, ids=name)
def test_a_question_is_refused_as_it_is_written_down(case: Case, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--write-golden"):
        rewrite(case.path)
        return
    assert outcome(case.question) == case.expected
    assert case.expected[0].startswith("refused"), "a plan belongs in plans/"


@pytest.mark.parametrize("case", PLANS, ids=name)
def test_no_accepted_question_needs_the_net_or_the_constructors_to_refuse(case: Case) -> None:
    plan_of(parse(case.question), CATALOG)


@pytest.mark.parametrize("case", REFUSALS, ids=name)
def test_refusals_are_decided_by_a_rule_and_not_caught_by_the_net(case: Case) -> None:
    with pytest.raises(NoisegateError) as caught:
        sql.read(case.question, CATALOG)
    assert caught.value.message != "the question cannot be planned"


@pytest.mark.parametrize("case", PLANS, ids=name)
def test_a_plan_is_the_same_however_the_question_is_spelt(case: Case) -> None:
    tree = parse(case.question)
    respelt = tree.sql(dialect="duckdb", pretty=True, comments=False)
    plan, again = sql.read(case.question, CATALOG), sql.read(respelt, CATALOG)
    assert sql.fingerprint(plan.private) == sql.fingerprint(again.private)
    assert plan.steps == again.steps


def test_titles_of_golden_cases_differ_within_a_file() -> None:
    names = [name(c) for c in (*PLANS, *REFUSALS)]
    assert len(set(names)) == len(names)
