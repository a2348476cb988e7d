"""The adaptive price at the desk: who pays it, who is told, and what restricted questions lead to."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest

from noisegate.app import Gateway, open_gateway
from noisegate.ask.desk import Desk
from noisegate.ask.explain import explain
from noisegate.ask.question import Question
from noisegate.ask.suggest import suggest
from noisegate.catalog.model import Tier
from noisegate.config import Config
from noisegate.errors import Blocked, BudgetExhausted, NoisegateError, RestrictedColumn, UnknownColumn
from noisegate.gate.access import Asker
from noisegate.ledger.accounts import AccountState, Balance
from noisegate.ledger.records import ReceiptKind, Role
from noisegate.privacy.loss import ZERO

CATALOG = """
[policy.tiers]
clinical = { max_per_day = 2 }

[policy.specificity]
free_conditions = 1
free_bits = 1
max_factor = 2
lock_after = 2

[ward]
population = "town"
unit = "person"
budget = { epsilon = 50, delta = 1e-6 }
[ward.tables.people]
source = "people.csv"
expected_units = 200
columns.age = { type = "int", low = 0, high = 100, tier = "demographic", nullable = false }
columns.bmi = { type = "float", low = 10, high = 60, step = 0.1, tier = "clinical", nullable = false }
columns.sex = { type = "str", values = ["f", "m"], tier = "demographic", nullable = false }
columns.kin = { type = "int", tier = "restricted" }
"""
WIDE = "SELECT count(*) AS n FROM ward.people"
NARROW = f"{WIDE} WHERE sex = 'f' AND age >= 50"
TOO_NARROW = f"{WIDE} WHERE age = 41 AND sex = 'f' AND bmi = 22.5"
RESTRICTED = f"{WIDE} WHERE kin = 3"
F = Fraction
CUSTODIAN = Asker("cus", Role.CUSTODIAN, None)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("ward")
    rows = [f"{i},{i % 90 + 5},{18 + i % 30},{'fm'[i % 2]},{i}" for i in range(200)]
    (home / "people.csv").write_text("\n".join(["person,age,bmi,sex,kin", *rows]) + "\n")
    (home / "catalog.toml").write_text(CATALOG)
    with open_gateway(Config(catalog=home / "catalog.toml", state=home / "state")) as opened:
        yield opened


@pytest.fixture
def desk(gateway: Gateway) -> Desk:
    return gateway._desk


@pytest.fixture
def ana(request: pytest.FixtureRequest) -> Asker:
    """An analyst of the test's own, so that accounts do not meet."""
    return Asker(f"ana{abs(hash(request.node.nodeid))}", Role.ANALYST, None)


def account(desk: Desk, asker: Asker) -> Balance:
    found = desk.ledger.find_account(f"town/ward/default/{asker.name}")
    assert found is not None
    return found


def charged(desk: Desk, receipt: str) -> dict:
    """What stands on the receipt of the charge behind an answer's receipt."""
    answer = desk.ledger.receipt(receipt)
    (charge,) = desk.ledger.receipts_of(answer.charge, ReceiptKind.CHARGE)
    return charge.content()


def refused(desk: Desk, text: str, asker: Asker) -> NoisegateError:
    with pytest.raises(NoisegateError) as error:
        desk.ask(Question(text, F(1, 10)), asker)
    return error.value


def test_the_surcharge_is_on_the_askers_own_account_alone(desk, ana):
    before = desk.ledger.find_account("town/ward")
    answer = desk.ask(Question(NARROW, F(1)), ana)
    assert answer.factor > 1
    own, after = account(desk, ana), desk.ledger.find_account("town/ward")
    assert own.surcharge.renyi[-1] == pytest.approx(own.spent.renyi[-1] * (answer.factor - 1), abs=1)
    assert (after.surcharge, before.surcharge) == (ZERO, ZERO)
    assert after.spent.renyi[-1] - before.spent.renyi[-1] == own.spent.renyi[-1]
    assert answer.surcharge == pytest.approx(answer.factor - 1, abs=1e-6)
    assert answer.budget.left == pytest.approx(50 - answer.factor, abs=1e-6)


def test_the_price_stands_line_by_line_on_the_receipt_and_in_the_explanation(desk, ana):
    question = Question(f"{NARROW} AND bmi > 20", F(1, 9))
    told = explain(question, ana, desk)
    answer = desk.ask(question, ana)
    price = charged(desk, answer.receipt_id)["public"]["price"]
    assert price["lines"] == told["price"]["lines"]
    assert [line["what"] for line in price["lines"]] == ["conditions", "share", "similar"]
    assert price["factor"] == told["price"]["factor"] == answer.factor
    assert 1 + sum(line["adds"] for line in price["lines"]) == pytest.approx(answer.factor)
    assert price["epsilon"] == told["surcharge"]["epsilon"] == answer.surcharge
    assert told["loss"]["epsilon"] == answer.epsilon
    json.dumps(told, allow_nan=False)


def test_a_stored_answer_is_replayed_without_a_surcharge(desk, ana):
    question = Question(NARROW, F(1, 7))
    first = desk.ask(question, ana)
    held = account(desk, ana)
    again = desk.ask(question, ana)
    assert (first.factor > 1, again.factor, again.surcharge) == (True, 1.0, 0.0)
    assert again.replayed
    assert account(desk, ana) == held
    told = explain(question, ana, desk)
    assert (told["price"]["replay"], told["price"]["factor"], told["price"]["lines"]) == (True, 1.0, [])


def test_earlier_questions_make_later_ones_dearer_for_their_own_asker_alone(desk, ana):
    other = replace(ana, name=f"{ana.name}x")
    cheap = explain(Question(f"{WIDE} WHERE age >= 41", F(1, 11)), ana, desk)["price"]["factor"]
    desk.ask(Question(f"{WIDE} WHERE age >= 40", F(1, 11)), ana)
    dear = explain(Question(f"{WIDE} WHERE age >= 41", F(1, 11)), ana, desk)["price"]
    assert dear["factor"] == pytest.approx(cheap + 0.1)
    assert "builds on 1 earlier question about" in dear["lines"][2]["why"]
    assert explain(Question(f"{WIDE} WHERE age >= 41", F(1, 11)), other, desk)["price"]["factor"] == cheap


def test_a_question_asked_again_of_new_data_is_not_a_repetition(desk, ana):
    ready = desk.prepare(Question(NARROW, F(1, 11)), ana)
    offer = desk.offer(ready.plan, ready.price, NARROW, selections=ready.selections)
    desk.versions["ward"] += 1
    try:
        later = desk.offer(ready.plan, ready.price, NARROW, selections=ready.selections)
    finally:
        desk.versions["ward"] -= 1
    assert later.conditions != offer.conditions
    assert json.loads(later.conditions)["asked"] == json.loads(offer.conditions)["asked"]


def test_a_tiers_maximum_of_the_day_counts_the_loss_times_its_factor(desk, ana):
    asked = [Question(f"SELECT avg(bmi) AS m FROM ward.people WHERE age >= {a}", F(3, 4)) for a in (10, 60)]
    day = explain(asked[0], ana, desk)["price"]["day"]
    assert day == {"tier": "clinical", "most": 2.0, "left": 2.0}
    first = desk.ask(asked[0], ana)
    left = explain(asked[1], ana, desk)["price"]["day"]["left"]
    assert left == pytest.approx(2 - first.epsilon * first.factor, abs=1e-6)
    desk.ask(asked[1], ana)
    with pytest.raises(BudgetExhausted) as error:
        desk.ask(Question("SELECT avg(bmi) AS m FROM ward.people WHERE age >= 80", F(3, 4)), ana)
    assert error.value.detail["tier"] == "clinical"
    # Another tier's day is its own, and it has no maximum here.
    assert explain(Question(WIDE, F(2)), ana, desk)["price"]["day"] is None
    desk.ask(Question(WIDE, F(2)), ana)


def test_reading_a_more_sensitive_column_too_finds_no_more_room_in_a_day(desk, ana, monkeypatch):
    tiers = dict(desk.catalog.policy.tiers)
    tiers[Tier.DEMOGRAPHIC] = replace(tiers[Tier.DEMOGRAPHIC], max_per_day=F(1))
    policy = replace(desk.catalog.policy, tiers=tiers)
    monkeypatch.setattr(desk, "catalog", replace(desk.catalog, policy=policy))
    desk.ask(Question(f"{WIDE} WHERE age >= 12", F(1, 2)), ana)
    both = Question(f"{WIDE} WHERE age >= 40 AND bmi >= 10", F(1, 2))
    assert explain(both, ana, desk)["price"]["day"] == {"tier": "demographic", "most": 1.0, "left": 0.5}
    desk.ask(both, ana)
    for text in (f"{WIDE} WHERE age >= 60", f"{WIDE} WHERE age >= 60 AND bmi >= 10"):
        with pytest.raises(BudgetExhausted) as error:
            desk.ask(Question(text, F(1, 2)), ana)
        assert error.value.detail["tier"] == "demographic"


def test_questions_asked_at_once_see_each_other_in_the_price(desk, ana):
    questions = [Question(f"{WIDE} WHERE age >= {1 + i}", F(1, 50)) for i in range(5)]
    prices: list[float] = []
    begin = threading.Barrier(len(questions))

    def ask(question: Question) -> None:
        begin.wait()
        prices.append(desk.ask(question, ana).factor)

    threads = [threading.Thread(target=ask, args=(question,)) for question in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(prices) == pytest.approx([1 + i / 10 for i in range(5)])


def test_a_question_at_work_does_not_hold_up_its_askers_others(desk, ana, monkeypatch):
    at_work, done = threading.Event(), threading.Event()
    run = desk.engine.run

    def slow(ready):
        if not at_work.is_set():
            at_work.set()
            assert done.wait(30)
        return run(ready)

    monkeypatch.setattr(desk.engine, "run", slow)
    first = Question(f"{WIDE} WHERE age >= 15", F(1, 50))
    threads = [
        threading.Thread(target=desk.ask, args=(first, ana)) for _ in range(2)
    ]  # the second waits for its twin
    for thread in threads:
        thread.start()
    try:
        assert at_work.wait(30)
        assert desk.ask(Question(f"{WIDE} WHERE age >= 55", F(1, 50)), ana).epsilon > 0
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_a_question_that_singles_out_too_few_is_refused_and_explained(desk, ana):
    told = explain(Question(TOO_NARROW, F(1, 10)), ana, desk)
    assert told["price"]["refused"]
    assert told["price"]["factor"] > told["price"]["max_factor"] == 2.0
    assert desk.ledger.find_account(f"town/ward/default/{ana.name}") is None
    error = refused(desk, TOO_NARROW, ana)
    assert isinstance(error, Blocked)
    assert error.detail["strikes_left"] == 1
    assert "1 more such question locks your account" in error.hint
    assert account(desk, ana).spent == ZERO


def test_restricted_questions_of_both_kinds_lock_the_account(desk, ana, gateway):
    desk.ask(Question(WIDE, F(1, 10)), ana)
    assert isinstance(refused(desk, RESTRICTED, ana), RestrictedColumn)
    assert account(desk, ana).strikes == 1
    locked = refused(desk, TOO_NARROW, ana)
    assert isinstance(locked, Blocked)
    assert "is locked: too_specific" in locked.message
    assert account(desk, ana).state is AccountState.LOCKED
    # What is refused to a locked account is not counted any more; nor is it answered from the store.
    for text in (RESTRICTED, TOO_NARROW, WIDE, f"{WIDE} WHERE age > 7"):
        assert isinstance(refused(desk, text, ana), Blocked)
    assert account(desk, ana).strikes == 2
    gateway.resume(CUSTODIAN, f"town/ward/default/{ana.name}")
    assert account(desk, ana).strikes == 0
    assert not desk.ask(Question(f"{WIDE} WHERE age > 7", F(1, 10)), ana).replayed


def test_the_receipt_of_a_restricted_question_says_what_was_asked(desk, ana):
    refused(desk, RESTRICTED, ana)
    (receipt,) = [
        r for r in desk.ledger.receipts("ward", 0, 10_000)
        if r.kind is ReceiptKind.RESTRICTED and ana.name in r.content()["account"]
    ]  # fmt: skip
    assert receipt.content()["reason"] == "restricted_column"
    assert receipt.content()["public"]["question"] == RESTRICTED


def test_explaining_and_timing_a_restricted_question_count_nothing(desk, ana, gateway):
    with pytest.raises(RestrictedColumn):
        explain(Question(RESTRICTED), ana, desk)
    assert gateway.slot_ms(Question(RESTRICTED), ana) == 0
    assert desk.ledger.find_account(f"town/ward/default/{ana.name}") is None


def test_a_restricted_column_of_a_dataset_without_a_grant_does_not_exist(desk):
    eve = Asker("eve", Role.ANALYST, frozenset())
    assert isinstance(refused(desk, RESTRICTED, eve), UnknownColumn)
    assert desk.ledger.find_account("town/ward/default/eve") is None


def test_suggestions_bear_no_surcharge(desk):
    before = len(desk.ledger.asked("cus", 100))
    suggest("ward.people", None, None, F(2), CUSTODIAN, desk)
    assert account(desk, CUSTODIAN).surcharge == ZERO
    assert {json.loads(a.conditions)["asked"] == [] for a in desk.ledger.asked("cus", 100)[before:]} == {True}
