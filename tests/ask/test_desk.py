"""The way of a question through the desk: replays, receipts, budgets, notes, suggestions, explanations."""

import json
from fractions import Fraction

import pytest

from noisegate.ask.answer import Estimated
from noisegate.ask.explain import explain
from noisegate.ask.question import Question
from noisegate.ask.suggest import suggest
from noisegate.errors import BadInput, Forbidden, TooLarge, UnknownColumn, UnsupportedSql
from noisegate.gate.access import Asker
from noisegate.ledger.records import ReceiptKind, Role
from noisegate.privacy.filter import Limits
from noisegate.privacy.loss import ZERO

F = Fraction
COUNT = "SELECT count(*) AS n FROM ward.people WHERE age > 40"


def spent(desk, asker, dataset="ward", population="town"):
    found = desk.ledger.find_account(f"{population}/{dataset}/default/{asker.name}")
    return ZERO if found is None else found.spent


def test_an_answer_is_near_the_truth_and_says_what_it_cost(desk, ana):
    answer = desk.ask(Question(COUNT, F(1)), ana)
    [[cell]] = answer.rows
    assert isinstance(cell, Estimated)
    assert abs(cell.value - 540) < 40
    assert cell.interval is not None
    assert (answer.nominal, answer.epsilon, answer.delta) == (1.0, 1.0, 0.0)
    assert answer.budget.spent == 1.0
    assert answer.budget.more_like_this > 0
    assert not answer.replayed
    json.dumps(answer.as_json(), allow_nan=False)


@pytest.mark.parametrize(
    "twin",
    [
        COUNT,
        "select COUNT( * ) as people from ward.people p where p.AGE > 40",
        "SELECT count(*) FROM ward.people WHERE 40 < age",
    ],
)
def test_the_same_question_in_other_words_is_free_and_gets_the_same_numbers(desk, ana, twin):
    first = desk.ask(Question(COUNT, F(3, 4)), ana)
    before = spent(desk, ana)
    again = desk.ask(Question(twin, F(3, 4)), ana)
    assert again.replayed
    assert again.rows == first.rows
    assert again.receipt_hash == first.receipt_hash or first.replayed
    assert spent(desk, ana) == before


def test_the_receipt_says_what_was_released_at_which_loss(desk, ana):
    question = Question("SELECT count(*) FROM ward.people WHERE age > 77", F(1, 3))
    answer = desk.ask(question, ana)
    receipt = desk.ledger.receipt(answer.receipt_id)
    assert receipt.kind is ReceiptKind.ANSWER
    [charge] = [
        r for r in desk.ledger.receipts("ward", 0, 10_000)
        if r.kind is ReceiptKind.CHARGE and r.charge == receipt.charge
    ]  # fmt: skip
    public = charge.content()["public"]
    assert public["question"] == question.sql
    assert public["asker"] == ana.name
    assert public["versions"] == {"ward": 1}
    assert public["mechanisms"] == list(answer.mechanisms)
    assert charge.content()["loss"]["renyi"] == list(spent(desk, ana).renyi)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("SELECT count(*) FROM ward.visits WHERE site LIKE '" + "%a" * 600 + "'", UnsupportedSql),
        ("SELECT count(*) FROM ward.visits v JOIN ward.sites s ON true JOIN ward.sites u ON true", TooLarge),
    ],
)
def test_what_can_be_refused_without_a_row_is_refused_at_no_cost(desk, ana, text, error):
    with pytest.raises(error):
        desk.ask(Question(text, F(1, 4)), ana)
    assert spent(desk, ana) == ZERO


def test_an_analyst_with_a_smaller_account_is_priced_for_it(gateway, desk, custodian, ana):
    text = "SELECT day, count(*) FROM ward.visits GROUP BY day"
    usual = desk.prepare(Question(text, F(1, 20)), ana)
    gateway.grant(custodian, "ward", ana.name, F(1, 2), F(0))
    own = desk.prepare(Question(text, F(1, 20)), ana)
    assert usual.price.loss.pure_epsilon is None
    assert own.price.loss.pure_epsilon is not None
    answer = desk.ask(Question(text, F(1, 20)), ana)
    assert answer.factor > 1
    assert answer.budget.left == pytest.approx(0.5 - 0.05 * answer.factor, abs=1e-6)


def test_synthetic_data_is_labelled_in_every_answer(desk, ana):
    answer = desk.ask(Question("SELECT count(*) FROM pure.people", F(1, 100)), ana)
    assert any("SYNTHETIC" in note for note in answer.notes)


def test_an_explanation_costs_nothing_and_agrees_with_the_answer(desk, ana):
    question = Question("SELECT sex, avg(bmi) AS m, count(*) AS n FROM ward.people GROUP BY sex", F(1, 2))
    told = explain(question, ana, desk)
    assert spent(desk, ana) == ZERO
    assert not told["price"]["replay"]
    answer = desk.ask(question, ana)
    assert told["loss"]["epsilon"] == answer.epsilon
    assert told["mechanisms"] == list(answer.mechanisms)
    kinds = {e["name"]: e["kind"] for e in told["expected_error"]}
    assert kinds == {"m": "planning figure", "n": "exact"}
    widths = {e["name"]: e["half_width"] for e in told["expected_error"]}
    cell = answer.rows[0][2]
    assert cell.interval.high - cell.value == widths["n"]
    assert explain(question, ana, desk)["price"]["replay"]
    json.dumps(told, allow_nan=False)


def test_who_may_not_ask_may_not_explain(desk, custodian):
    with pytest.raises(Forbidden):
        explain(Question(COUNT), custodian, desk)


def test_a_dataset_without_a_grant_is_as_good_as_none(desk):
    eve = Asker("eve", Role.ANALYST, frozenset({"pure"}))
    for asked in (explain, lambda question, asker, at: at.ask(question, asker)):
        with pytest.raises(UnknownColumn) as refused:
            asked(Question(COUNT), eve, desk)
        assert "ward" not in refused.value.hint


def test_suggestions_find_rows_a_person_and_bounds(desk, custodian):
    found = suggest("ward.visits", "day", None, F(1), custodian, desk)
    assert list(found.rows_per_unit.values()) == sorted(found.rows_per_unit.values())
    assert 3 <= found.rows_per_unit["p95"] <= 5
    assert found.low is not None
    assert found.high is not None
    assert -1 <= found.low <= 250 <= found.high <= 450
    assert len(found.answers) == 2
    assert spent(desk, custodian) != ZERO


def test_rows_a_person_alone_take_all_of_the_epsilon(desk, custodian):
    found = suggest("ward.visits", None, None, F(1), custodian, desk)
    assert 3 <= found.rows_per_unit["p95"] <= 5
    assert (found.low, found.high) == (None, None)
    assert found.answers[0].nominal == 1.0


def test_where_nothing_rises_above_the_noise_it_says_so(desk, custodian):
    with pytest.raises(BadInput, match="rise above the noise"):
        suggest("ward.visits", "day", "day = 3", F(1, 100), custodian, desk)


def test_suggestions_are_for_custodians_and_columns_of_numbers(desk, ana, custodian):
    with pytest.raises(Forbidden):
        suggest("ward.visits", "day", None, F(1), ana, desk)
    with pytest.raises(BadInput, match="numeric"):
        suggest("ward.visits", "site", None, F(1, 2), custodian, desk)


def test_limits_of_an_asker_are_those_of_the_dataset_until_granted(desk, ana):
    assert desk.own_limits(ana) == ()
    assert desk.gate.limits_of(ana, {"ward": "town"}) == {"ward": Limits.of(F(1000), F(1, 10**6))}


def test_intervals_survive_arithmetic_and_vanish_where_none_is_known(desk, ana):
    groups = "SELECT sex, count(*) AS n FROM ward.people GROUP BY sex"
    answer = desk.ask(Question(f"SELECT sum(n) AS total, max(n) AS most FROM ({groups})", F(1, 2)), ana)
    assert [cell.interval for cell in answer.rows[0]] == [None, None]
    ratio = desk.ask(
        Question("SELECT 100.0 * count_if(age > 50) / count(*) AS p FROM ward.people", F(1)), ana
    )
    [[cell]] = ratio.rows
    assert cell.interval.low <= 100 * 440 / 900 <= cell.interval.high
