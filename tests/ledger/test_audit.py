"""Books that were cooked with all hashes right: what the check of a whole ledger still finds."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from fractions import Fraction

import pytest

from noisegate.ledger import balances, chain, decide, periods, returns, states
from noisegate.ledger.accounts import AccountState
from noisegate.ledger.records import JobState, ReceiptKind, canonical
from noisegate.ledger.sqlite import LEDGER_FILE
from noisegate.ledger.store import Account, Daily
from noisegate.privacy.filter import Limits, capacity
from noisegate.privacy.loss import ZERO

ANA = "olmsted/liver/default/ana"
BEN = "olmsted/liver/default/ben"
PURE = Limits.of(Fraction(1, 10), Fraction(0))
DAY = 86_400


@pytest.fixture
def store():
    """The check is the same for every store; that each is read whole is tested elsewhere."""
    return "sqlite"


def fault(house):
    return house.ledger.verify().fault


def tamper(house, change, *values):
    with closing(sqlite3.connect(house.directory / LEDGER_FILE, isolation_level=None)) as connection:
        assert connection.execute(change, values).rowcount == 1


def test_limits_that_were_raised_without_an_entry_are_found(timed):
    raised = capacity(Limits.of(Fraction(200), Fraction(1, 10**6)))
    names = [f"capacity_{i} = {c}" for i, c in enumerate(raised.renyi)]
    change = f"UPDATE account SET epsilon = 200000000000, {', '.join(names)} WHERE id = ?"
    tamper(timed, change, ANA)
    assert "limits and the period it was last given" in fault(timed)


def test_a_tally_that_was_lowered_is_found(timed):
    timed.ledger.charge(replace(timed.wanted("f"), tier="clinical", daily=Daily(5, 9)))
    assert fault(timed) is None
    tamper(timed, "UPDATE tally SET amount = 0")
    assert "tally" in fault(timed)


def test_an_account_that_was_opened_again_without_an_entry_is_found(timed):
    timed.ledger.strike((ANA,), "restricted_column", 1, {})
    assert fault(timed) is None
    tamper(timed, "UPDATE account SET state = 'open', reason = '' WHERE id = ?", ANA)
    assert "which is not what was recorded" in fault(timed)


def test_a_lifetime_that_was_lowered_is_found(timed):
    timed.ledger.charge(timed.wanted("f"))
    timed.ledger.renew(ANA, None, until=None, by="cleo")
    assert fault(timed) is None
    for column in ("lifetime_epsilon", "lifetime_delta", "former_16", "former_charges"):
        tamper(timed, f"UPDATE account SET {column} = {column} - 1 WHERE id = ?", ANA)
        assert "lifetime" in fault(timed) or "former periods" in fault(timed)
        tamper(timed, f"UPDATE account SET {column} = {column} + 1 WHERE id = ?", ANA)


@pytest.mark.parametrize("seconds", [0, 10**9])
@pytest.mark.parametrize(
    "act",
    [
        lambda ledger: ledger.open_account(Account.at(BEN, PURE)),
        lambda ledger: ledger.renew(ANA, PURE, until=None, by="cleo"),
        lambda ledger: ledger.transfer(ANA, BEN, Fraction(1), by="cleo"),
    ],
)
def test_a_share_that_nobody_signed_is_found(timed, monkeypatch, act, seconds):
    timed.clock.seconds += seconds  # before the ledger was made, by the computer's clock, or long after
    if "transfer" in act.__code__.co_names:
        timed.open_path(BEN)
    monkeypatch.setattr(periods, "signed", lambda body, _: canonical(body))
    act(timed.ledger)
    assert "is not signed" in fault(timed)


def test_a_share_whose_signature_was_copied_from_another_is_found(timed, monkeypatch):
    [*_, opened] = (r.content() for r in timed.ledger.receipts("liver"))
    copied = {name: opened[name] for name in ("key", "signature")}
    monkeypatch.setattr(periods, "signed", lambda body, _: canonical({**body, **copied}))
    timed.ledger.renew(ANA, None, until=None, by="cleo")
    assert "is not signed" in fault(timed)


def test_an_entry_that_adds_up_to_less_than_it_grants_is_found(timed, monkeypatch):
    plain = periods.share

    def less(balance):
        return {**plain(balance), "lifetime": {"epsilon": "100", "delta": "1/1000000"}}

    monkeypatch.setattr(periods, "share", less)
    timed.ledger.renew(ANA, None, until=None, by="cleo")
    assert "does not add up" in fault(timed)


def test_a_capacity_that_the_limits_do_not_give_is_found(timed, monkeypatch):
    wide = capacity(Limits.of(Fraction(500), Fraction(1, 10**6)))
    monkeypatch.setattr(balances, "capacity", lambda _: wide)
    timed.ledger.renew(ANA, None, until=None, by="cleo")
    assert "capacity that its limits do not" in fault(timed)


def test_a_transfer_of_more_than_was_left_is_found(timed, monkeypatch):
    timed.open_path(BEN)
    timed.ledger.charge(timed.wanted("f", timed.cent.times(500)))
    monkeypatch.setattr(periods, "left_of", lambda balance: balance.limits.epsilon)
    timed.ledger.transfer(ANA, BEN, Fraction(1), by="cleo")
    assert "another share than was moved" in fault(timed)


def test_a_transfer_that_only_one_side_knows_of_is_found(timed):
    timed.open_path(BEN)

    def one_side(transaction):
        held = balances.lock_one(transaction, BEN)
        moved = {"by": "mallory", "from": ANA, "to": BEN, "moved": "1"}
        periods._begin(transaction, held, Fraction(101), moved, timed.ledger.signer)

    timed.ledger._writer.run(one_side)
    assert "moved from an account and not to another" in fault(timed)


def test_a_charge_on_a_suspended_or_ended_account_is_found(timed, monkeypatch):
    monkeypatch.setattr(decide, "why_closed", lambda *_: None)
    timed.ledger.suspend("olmsted/liver", "a question", by="cleo")
    timed.ledger.charge(timed.wanted("f"))
    assert "while account 'olmsted/liver' was suspended" in fault(timed)


@pytest.mark.parametrize("account", ["olmsted", ANA])
def test_a_charge_after_the_end_of_a_period_is_found(timed, monkeypatch, account):
    timed.ledger.renew(account, None, until=timed.clock() + 1, by="cleo")
    timed.ledger.charge(timed.wanted("f"))
    assert fault(timed) is None
    timed.clock.seconds += 1
    monkeypatch.setattr(decide, "why_closed", lambda *_: None)
    timed.ledger.charge(timed.wanted("g"))
    assert f"account {account!r} was charged outside of period 2" in fault(timed)


def test_a_period_that_was_overspent_and_then_ended_is_found(make_house, monkeypatch):
    house = make_house(PURE)
    monkeypatch.setattr(decide, "admits", lambda *_: True)
    monkeypatch.setattr(balances, "_TAKE", balances._set(*balances._SPENT, *balances._SURCHARGE, "charges"))
    house.ledger._writer.run(lambda t: t.connection.execute("PRAGMA ignore_check_constraints = ON"))
    house.ledger.charge(house.wanted("f", house.cent.times(11)))
    for account in house.path_to(ANA):
        house.ledger.renew(account, None, until=None, by="cleo")
    assert "spent more than its limits in period 1" in fault(house)


def test_a_job_that_gave_back_more_than_it_had_left_is_found(timed, monkeypatch):
    job = timed.ledger.charge(replace(timed.wanted("f", timed.cent.times(2)), steps=2)).id
    timed.ledger.draw(job, timed.cent)
    monkeypatch.setattr(returns, "left_over", lambda reserved, _: reserved)
    timed.ledger.end_job(job, JobState.CANCELLED)
    monkeypatch.undo()
    assert timed.ledger.find_account(ANA).spent == ZERO
    assert "does not give back what job" in fault(timed)


def test_a_return_to_another_period_than_it_was_taken_in_is_found(timed, monkeypatch):
    job = timed.ledger.charge(replace(timed.wanted("f", timed.cent.times(2)), steps=2)).id
    timed.ledger.renew(ANA, None, until=None, by="cleo")
    timed.ledger.charge(timed.wanted("g", timed.cent.times(2)))
    plain = balances.give_back

    def to_the_present(transaction, numbers, returned):
        held = balances.lock(transaction, numbers)
        plain(transaction, {a: held[a].balance.period.number for a in numbers}, returned)

    monkeypatch.setattr(balances, "give_back", to_the_present)
    timed.ledger.end_job(job, JobState.CANCELLED)
    assert "not the sum of its charges" in fault(timed)


def test_strikes_that_were_miscounted_are_found(timed, monkeypatch):
    timed.ledger.strike((ANA,), "restricted_column", 5, {})

    def forgets(transaction, kind, body):
        chain.append(transaction, "liver", kind, canonical({**body, "strikes": 1}))

    monkeypatch.setattr(states, "_record", forgets)
    timed.ledger.strike((ANA,), "restricted_column", 5, {})
    assert "miscounts the strikes" in fault(timed)


def test_an_entry_that_is_told_in_another_chain_is_found(timed):
    timed.open_path("olmsted/panel")

    def elsewhere(transaction):
        held = balances.lock_one(transaction, ANA)
        balances.restate(transaction, held, AccountState.SUSPENDED, "r", 0)
        body = canonical({"account": ANA, "by": "mallory", "reason": "r"})
        chain.append(transaction, "panel", ReceiptKind.SUSPENDED, body)

    timed.ledger._writer.run(elsewhere)
    assert "in another chain" in fault(timed)


def test_a_receipt_that_is_older_than_the_one_before_it_is_found(timed):
    timed.clock.seconds += 10**9
    timed.ledger.register_version("liver", "[liver]", "d")

    def backdated(transaction):
        transaction.at -= DAY
        chain.append(transaction, "liver", ReceiptKind.REGISTERED, "{}")

    timed.ledger._writer.run(backdated)
    assert "is older than the one before it" in fault(timed)
