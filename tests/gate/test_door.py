"""The door: who passes, what is charged and when, what a failure leaves behind."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from noisegate.errors import (
    Blocked,
    BudgetExhausted,
    Conflict,
    EngineFailed,
    Forbidden,
    LedgerUnavailable,
    NoisegateError,
    Throttled,
)
from noisegate.gate.access import Asker, Right, Role, require
from noisegate.gate.door import Gate, Offer, account_ids
from noisegate.gate.failures import MOST_FAILURES
from noisegate.ledger import answers
from noisegate.ledger.accounts import Account
from noisegate.ledger.store import Ledger
from noisegate.privacy.curves import pure
from noisegate.privacy.filter import Limits
from noisegate.privacy.loss import ZERO, Loss

LIMITS = Limits.of(Fraction(1), Fraction(0))
ANA = Asker("ana", Role.ANALYST, frozenset({"liver"}))
HALF = pure(Fraction(1, 2))


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path) as opened:
        for path in ("olmsted", "olmsted/liver", "olmsted/liver/default"):
            opened.open_account(Account.at(path, LIMITS))
        yield opened


@pytest.fixture
def gate(ledger: Ledger) -> Gate:
    return Gate(ledger, {"liver": LIMITS})


def offer(name: str = "a", loss: Loss = HALF) -> Offer:
    return Offer("olmsted", ("liver",), name, loss, {"question": name})


def spent(ledger: Ledger, account: str = "olmsted/liver/default/ana") -> Loss:
    found = ledger.find_account(account)
    return ZERO if found is None else found.spent


def test_the_charge_is_on_every_account_before_work_begins(ledger, gate):
    with gate.open_passage(ANA, offer()) as passage:
        assert [spent(ledger, a) for a in account_ids("olmsted", ("liver",), ANA)] == [HALF] * 4
        passage.close("{}")


def test_the_same_question_is_answered_again_at_no_cost(ledger, gate):
    with gate.open_passage(ANA, offer()) as passage:
        assert passage.stored is None
        assert passage.close('{"n":1}') == '{"n":1}'
    with gate.open_passage(ANA, offer()) as passage:
        assert passage.replayed
        assert passage.stored == '{"n":1}'
    assert spent(ledger) == HALF


def test_twins_at_once_pay_once_and_get_one_answer(ledger, gate):
    ready = threading.Barrier(8)

    def ask(i: int) -> str:
        ready.wait()
        with gate.open_passage(ANA, offer()) as passage:
            return passage.close(f'"{i}"') if passage.stored is None else passage.stored

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1
    assert spent(ledger) == HALF


def test_who_waits_for_a_twin_is_told_so_and_who_comes_later_is_not(ledger, gate):
    begun, seen = threading.Event(), []

    def twin() -> None:
        begun.wait()
        with gate.open_passage(ANA, offer()) as passage:
            seen.append((passage.replayed, passage.waited))

    thread = threading.Thread(target=twin)
    thread.start()
    with gate.open_passage(ANA, offer()) as passage:
        begun.set()
        time.sleep(0.1)
        assert not passage.waited
        passage.close("{}")
    thread.join()
    with gate.open_passage(ANA, offer()) as passage:
        seen.append((passage.replayed, passage.waited))
    assert seen == [(True, True), (True, False)]


def test_a_twin_of_a_failure_is_refused_and_says_that_it_waited(ledger, gate):
    begun, seen = threading.Event(), []

    def twin() -> None:
        begun.wait()
        try:
            with gate.open_passage(ANA, offer()):
                pytest.fail("a closed plan was let through")
        except Blocked as refused:
            seen.append(refused.waited)

    thread = threading.Thread(target=twin)
    thread.start()
    with pytest.raises(EngineFailed), gate.open_passage(ANA, offer()):
        begun.set()
        time.sleep(0.1)
        raise EngineFailed
    thread.join()
    assert seen == [True]


def test_a_failure_after_the_answer_is_stored_closes_nothing(ledger, gate):
    with pytest.raises(EngineFailed), gate.open_passage(ANA, offer()) as passage:
        passage.close('"a"')
        raise EngineFailed
    with gate.open_passage(ANA, offer()) as passage:
        assert passage.stored == '"a"'


@pytest.mark.parametrize("times", [1, 2])
def test_a_ledger_that_is_away_at_the_close_is_no_failure_of_the_work(ledger, gate, monkeypatch, times):
    plain, tries = ledger.close, []

    def away(charge: int, answer: str) -> object:
        tries.append(answer)
        if len(tries) <= times:
            raise LedgerUnavailable("a lock was held for too long")
        return plain(charge, answer)

    monkeypatch.setattr(ledger, "close", away)
    released = []
    with suppress(LedgerUnavailable), gate.open_passage(ANA, offer()) as passage:
        released.append(passage.close('"a"'))
    assert (tries, released) == (['"a"'] * 2, ['"a"'] if times == 1 else [])
    assert ledger.suspended() == ()
    assert spent(ledger) == HALF
    with gate.open_passage(ANA, offer()) as passage:
        assert passage.replayed == (times == 1)
        assert passage.close('"b"') == ('"a"' if times == 1 else '"b"')


def test_a_charge_that_was_lost_meanwhile_releases_nothing_and_closes_nothing(ledger, gate):
    with pytest.raises(Conflict), gate.open_passage(ANA, offer()) as passage:
        ledger._writer.run(answers.recover)
        passage.close('"a"')
    assert ledger.find_answer("a") is None
    assert ledger.suspended() == ()


def test_an_error_of_the_work_after_a_refused_close_closes_the_plan(ledger, gate, monkeypatch):
    def away(*_: object) -> None:
        raise LedgerUnavailable("the disk is full")

    with pytest.raises(RuntimeError), gate.open_passage(ANA, offer()) as passage:
        with monkeypatch.context() as patched, pytest.raises(LedgerUnavailable):
            patched.setattr(ledger, "close", away)
            passage.close('"a"')
        raise RuntimeError("a bug")
    assert [plan.fingerprint for plan in ledger.suspended()] == ["a"]


def test_a_failure_is_written_where_the_ledger_was_away_for_a_moment(ledger, gate, monkeypatch):
    plain, tries = ledger.fail, []

    def away(*given: object) -> None:
        tries.append(given)
        if len(tries) == 1:
            raise LedgerUnavailable("a lock was held for too long")
        plain(*given)

    monkeypatch.setattr(ledger, "fail", away)
    with pytest.raises(EngineFailed), gate.open_passage(ANA, offer()):
        raise EngineFailed
    assert [plan.fingerprint for plan in ledger.suspended()] == ["a"]


def test_a_stored_passage_releases_what_is_stored_whatever_it_is_handed(ledger, gate):
    with gate.open_passage(ANA, offer()) as passage:
        passage.close('"a"')
    with gate.open_passage(ANA, offer()) as passage:
        assert passage.close('"uncharged"') == '"a"'


def test_from_the_first_failure_on_what_is_in_progress_counts_as_failures_to_come(ledger, gate):
    tiny = pure(Fraction(1, 1000))
    with pytest.raises(EngineFailed), gate.open_passage(ANA, offer("first", tiny)):
        raise EngineFailed
    begun, told, go = threading.Barrier(41), [], threading.Event()

    def fails(i: int) -> None:
        begun.wait()
        try:
            with gate.open_passage(ANA, offer(f"q{i}", tiny)):
                go.wait()
                raise EngineFailed
        except NoisegateError as error:
            told.append(type(error))

    threads = [threading.Thread(target=fails, args=(i,)) for i in range(40)]
    for thread in threads:
        thread.start()
    begun.wait()
    time.sleep(0.3)
    go.set()
    for thread in threads:
        thread.join()
    assert len(ledger.suspended()) <= MOST_FAILURES
    assert Throttled in told
    assert set(told) <= {EngineFailed, Throttled, Blocked}


def test_questions_that_are_throttled_after_a_failure_may_be_asked_when_others_have_ended(ledger, gate):
    tiny = pure(Fraction(1, 1000))
    with pytest.raises(EngineFailed), gate.open_passage(ANA, offer("first", tiny)):
        raise EngineFailed
    with ExitStack() as held:
        for i in range(MOST_FAILURES - 1):
            held.enter_context(gate.open_passage(ANA, offer(f"q{i}", tiny))).close("{}")
        with pytest.raises(Throttled), gate.open_passage(ANA, offer("one more", tiny)):
            pytest.fail("one question too many was let through")
    with gate.open_passage(ANA, offer("one more", tiny)) as passage:
        passage.close("{}")
    ledger.unsuspend("first")  # then any number may be in progress
    with ExitStack() as held:
        for i in range(20):
            held.enter_context(gate.open_passage(ANA, offer(f"r{i}", tiny))).close("{}")


def test_a_few_failures_on_a_dataset_close_it_for_fresh_questions(ledger, gate):
    small = pure(Fraction(1, 100))
    for i in range(MOST_FAILURES):
        with pytest.raises(EngineFailed), gate.open_passage(ANA, offer(f"f{i}", small)):
            raise EngineFailed
    with pytest.raises(Blocked, match="failed after they were charged"), gate.open_passage(ANA, offer("b")):
        pytest.fail("a fresh question was let through")
    ledger.unsuspend("f0")
    with gate.open_passage(ANA, offer("b", small)) as passage:
        passage.close("{}")


@pytest.mark.parametrize("failure", [EngineFailed(), RuntimeError("a bug"), KeyboardInterrupt()])
def test_work_that_fails_after_the_charge_stays_spent_and_closes_the_plan(ledger, gate, failure):
    with pytest.raises(type(failure)), gate.open_passage(ANA, offer()):
        raise failure
    assert spent(ledger) == HALF
    with pytest.raises(Blocked), gate.open_passage(ANA, offer()):
        pytest.fail("a closed plan was let through")
    assert spent(ledger) == HALF


def test_a_budget_that_cannot_bear_the_loss_refuses_and_takes_nothing(ledger, gate):
    with pytest.raises(BudgetExhausted), gate.open_passage(ANA, offer(loss=pure(Fraction(3, 2)))):
        pytest.fail("an unaffordable question was let through")
    assert spent(ledger) == ZERO
    assert spent(ledger, "olmsted") == ZERO


def test_a_budget_is_shared_by_everyone_who_asks(ledger, gate):
    for name in ("ana", "ben"):
        with gate.open_passage(replace(ANA, name=name), offer(name)) as passage:
            passage.close("{}")
    with pytest.raises(BudgetExhausted), gate.open_passage(replace(ANA, name="eve"), offer("eve")):
        pytest.fail("a third half was granted out of one")


@pytest.mark.parametrize(
    "asker",
    [
        Asker("ana", Role.ANALYST, frozenset({"panel"})),
        Asker("ana", Role.ANALYST, frozenset()),
        Asker("cus", Role.CUSTODIAN, None),
        Asker("aud", Role.AUDITOR, None),
    ],
)
def test_without_the_role_and_the_grant_nothing_passes_and_nothing_is_charged(ledger, gate, asker):
    with pytest.raises(Forbidden), gate.open_passage(asker, offer()):
        pytest.fail("a stranger was let through")
    assert spent(ledger, "olmsted") == ZERO


def test_an_idempotency_key_belongs_to_one_question(ledger, gate):
    with gate.open_passage(ANA, offer("a", pure(Fraction(1, 10))), "k") as passage:
        passage.close('"a"')
    with gate.open_passage(ANA, offer("a", pure(Fraction(1, 10))), "k") as passage:
        assert passage.stored == '"a"'
    with pytest.raises(Conflict), gate.open_passage(ANA, offer("b", pure(Fraction(1, 10))), "k"):
        pytest.fail("a used key was let through with another question")
    assert spent(ledger) == pure(Fraction(1, 10))


def test_a_namesake_on_other_data_or_in_another_project_uses_up_no_key(ledger, gate):
    for path in ("olmsted/heart", "olmsted/heart/default", "olmsted/liver/stroke"):
        ledger.open_account(Account.at(path, LIMITS))
    tenth = pure(Fraction(1, 10))
    namesakes = (
        (Asker("ana", Role.ANALYST, frozenset({"heart"})), replace(offer("h", tenth), datasets=("heart",))),
        (replace(ANA, project="stroke"), offer("s", tenth)),
        (ANA, offer("a", tenth)),
    )
    for asker, wanted in namesakes:
        with gate.open_passage(asker, wanted, "k") as passage:
            passage.close("{}")
    with pytest.raises(Conflict), gate.open_passage(ANA, offer("b", tenth), "k"):
        pytest.fail("a used key was let through with another question")


def test_two_askers_may_use_the_same_key(ledger, gate):
    for name in ("ana", "ben"):
        with gate.open_passage(replace(ANA, name=name), offer(name, pure(Fraction(1, 10))), "k") as passage:
            passage.close("{}")


def may(role: Role, right: Right) -> bool:
    try:
        require(Asker("x", role, None), right)
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize("right", Right)
def test_every_right_is_held_by_some_role_and_denied_to_another(right):
    assert {may(role, right) for role in Role} >= {True}
    if right not in (Right.SEE_DATASETS, Right.SEE_RELEASES):
        assert not all(may(role, right) for role in Role)


def test_who_raises_a_limit_cannot_ask():
    assert not any(may(role, Right.ASK) and may(role, Right.GRANT_BUDGET) for role in Role)


def test_who_suspends_accounts_cannot_ask():
    assert not any(may(role, Right.ASK) and may(role, Right.SUSPEND_ACCOUNTS) for role in Role)
