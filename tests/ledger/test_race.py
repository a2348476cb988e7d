import threading
import time
from fractions import Fraction

import psycopg
import pytest

from noisegate.errors import BudgetExhausted, Conflict
from noisegate.ledger import balances, decide, sqlite, store
from noisegate.privacy.filter import Limits, admits

ANA = "olmsted/liver/default/ana"
HUNDRED_CENTS = Limits.of(Fraction(1), Fraction(0))


def race(house, charge, threads=32, each=10):
    """Let threads charge at once, and return the numbers of charges granted."""
    granted = []
    start = threading.Barrier(threads)

    def ask(thread):
        start.wait()
        for i in range(each):
            try:
                granted.append(charge(house.wanted(f"{thread}.{i}")).id)
            except BudgetExhausted:
                continue

    running = [threading.Thread(target=ask, args=(t,)) for t in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return granted


def faults_of(house, granted, admitted):
    """Return what is wrong after a race for a budget that admits so many."""
    faults = []
    if len(granted) != admitted or len(set(granted)) != admitted:
        faults.append(f"{len(granted)} granted, {admitted} admitted")
    for balance in house.ledger.accounts():
        if balance.spent != house.cent.times(len(granted)):
            faults.append(f"{balance.id} does not hold the sum of the charges")
        if not admits(balance.capacity, balance.counted):
            faults.append(f"{balance.id} is overspent")
    report = house.ledger.verify()
    if not report.whole:
        faults.append(report.fault)
    return faults


def test_askers_at_once_cannot_overspend(make_house):
    house = make_house(HUNDRED_CENTS)
    assert faults_of(house, race(house, house.ledger.charge), 100) == []


def test_the_race_catches_a_ledger_that_checks_before_its_transaction(make_house, monkeypatch):
    """The classic mistake: read, decide, then write. All three filters inside are taken away for it."""

    def lenient(file):
        connection = plain_connect(file)
        connection.execute("PRAGMA ignore_check_constraints = ON")
        return connection

    plain_connect = sqlite.connect
    monkeypatch.setattr(sqlite, "connect", lenient)
    house = make_house(HUNDRED_CENTS)
    if house.url is not None:
        with psycopg.connect(house.url) as connection:
            connection.execute("ALTER TABLE account DROP CONSTRAINT ck_account_within_some_order")
    monkeypatch.setattr(decide, "admits", lambda *_: True)
    unchecked = balances._set(*balances._SPENT, *balances._SURCHARGE, "charges")
    monkeypatch.setattr(balances, "_TAKE", unchecked)

    def check_then_charge(charge):
        for name in charge.accounts:
            balance = house.ledger.find_account(name)
            if not admits(balance.capacity, balance.counted + charge.loss):
                raise BudgetExhausted("too late")
        time.sleep(0.002)  # others look meanwhile, however fast or slow the machine is
        return house.ledger.charge(charge)

    granted = race(house, check_then_charge)
    assert len(granted) > 100
    faults = faults_of(house, granted, 100)
    assert any("granted" in f for f in faults)
    assert any("overspent" in f for f in faults)


def test_a_key_sent_by_many_threads_at_once_is_charged_once(house):
    granted, conflicts = [], []
    start = threading.Barrier(16)

    def ask():
        start.wait()
        try:
            key = store.IdempotencyKey("ana", "k", "r")
            granted.append(house.ledger.charge(house.wanted("f", idempotency=key)))
        except Conflict as error:
            conflicts.append(error.message)

    running = [threading.Thread(target=ask) for _ in range(16)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(granted) == 1
    assert conflicts == ["a request with this idempotency key is still running"] * 15
    assert house.ledger.find_account(ANA).spent == house.cent


def test_charges_that_queue_up_share_a_commit(house, monkeypatch):
    """While one commit is on its way, whatever arrives goes into the next."""
    commits = []
    original = house.ledger._writer._commit

    def slow(batch, connection):
        commits.append(len(batch))
        time.sleep(0.02)
        return original(batch, connection)

    monkeypatch.setattr(house.ledger._writer, "_commit", slow)
    assert len(race(house, house.ledger.charge, threads=16, each=4)) == 64
    assert max(commits) >= 8
    assert len(commits) < 32


def test_work_that_fails_leaves_the_others_in_its_commit_alone(house):
    """A bug in one caller's piece of work undoes that piece only."""
    outcomes = []

    def spoil(transaction):
        held = balances.lock_one(transaction, ANA)
        balances.restate(transaction, held, store.AccountState.LOCKED, "spoilt", 0)
        raise RuntimeError("a bug")

    def ask(thread):
        try:
            if thread % 2:
                house.ledger._writer.run(spoil)
            else:
                outcomes.append(house.ledger.charge(house.wanted(f"{thread}")).id)
        except RuntimeError as error:
            outcomes.append(str(error))

    running = [threading.Thread(target=ask, args=(t,)) for t in range(20)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert outcomes.count("a bug") == 10
    assert house.ledger.find_account(ANA).spent == house.cent.times(10)
    assert house.ledger.verify().whole


@pytest.mark.parametrize("threads", [1, 8])
def test_sums_hold_when_analysts_and_datasets_mix(house, threads):
    leaves = [
        "olmsted/liver/default/ana",
        "olmsted/liver/default/ben",
        "olmsted/panel/default/ana",
        "olmsted/panel/trial/cleo",
    ]
    for leaf in leaves:
        house.open_path(leaf)

    def ask(thread):
        for i in range(40 // threads):
            some = leaves[(thread + i) % 4], leaves[(thread + 3 * i) % 4]
            house.ledger.charge(house.wanted(f"{thread}.{i}", leaves=tuple(dict.fromkeys(some))))

    running = [threading.Thread(target=ask, args=(t,)) for t in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert house.ledger.find_account("olmsted").spent == house.cent.times(40)
    assert house.ledger.verify().whole
