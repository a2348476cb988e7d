"""Several gateways on one ledger: one budget, one answer a question, and each settles what dead ones left."""

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing
from fractions import Fraction
from itertools import count

import psycopg
import pytest

from noisegate.errors import BudgetExhausted, Conflict
from noisegate.ledger import replicas
from noisegate.ledger.store import Account, Ledger, ReceiptKind, Role
from noisegate.privacy.filter import Limits

from .crashes import Nursery, check, wait_until, wait_until_alone, wait_until_working

ANA = "olmsted/liver/default/ana"
HUNDRED_CENTS = Limits.of(Fraction(1), Fraction(0))


@pytest.fixture
def store():
    """SQLite has one gateway."""
    return "postgresql"


@pytest.fixture
def house(make_house):
    """A ledger with the limits that the processes of crash_child.py give it."""
    return make_house(Limits.of(Fraction(1000), Fraction(0)))


@pytest.fixture
def second(house):
    with Ledger.open(house.directory, url=house.url) as opened:
        yield opened


@pytest.fixture
def two_nurseries():
    with Nursery() as one, Nursery() as other:
        yield one, other


def kinds_of(ledger, charge):
    return {kind for kind in ReceiptKind if ledger.receipts_of(charge, kind)}


def cut_off(url):
    """End all sessions on a database, as an administrator or a router may."""
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_two_gateways_at_once_cannot_overspend(make_house):
    house = make_house(HUNDRED_CENTS)
    granted, start = [], threading.Barrier(16)
    with Ledger.open(house.directory, url=house.url) as second:

        def ask(thread):
            ledger = (house.ledger, second)[thread % 2]
            start.wait()
            for i in range(10):
                try:
                    granted.append((thread % 2, ledger.charge(house.wanted(f"{thread}.{i}")).id))
                except BudgetExhausted:
                    continue

        running = [threading.Thread(target=ask, args=(t,)) for t in range(16)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    assert len(granted) == len({charge for _, charge in granted}) == 100
    assert {gateway for gateway, _ in granted} == {0, 1}
    assert all(b.spent == house.cent.times(100) for b in house.ledger.accounts())
    assert house.ledger.verify().fault is None


def test_two_processes_that_race_for_a_tight_budget_spend_exactly_it(two_nurseries, postgres, tmp_path):
    url = postgres.make_ledger()
    children = [nursery.start(tmp_path, 1, url) for nursery in two_nurseries]
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        taken = "SELECT coalesce(max(charges), 0) FROM account WHERE kind = 'population'"
        wait_until(lambda: connection.execute(taken).fetchone() == (100,))
        time.sleep(0.1)  # they go on asking
        assert connection.execute(taken).fetchone() == (100,)
        gateways = connection.execute("SELECT count(DISTINCT replica) FROM charge").fetchone()
    for nursery, child in zip(two_nurseries, children, strict=True):
        nursery.kill(child)
    wait_until_alone(url)
    seen = check(tmp_path, 1, url)
    assert seen["charge"] == 100
    assert seen["charge"] == seen["answer"] + seen["failed"] + seen["lost"]
    assert gateways == (2,)


def test_the_open_charges_of_a_gateway_that_is_killed_are_lost_and_the_living_ones_are_not(
    two_nurseries, house, second
):
    mine = house.ledger.charge(house.wanted("mine")).id
    child = two_nurseries[0].start(house.directory, 1000, house.url)
    wait_until_working(house.directory, child)
    time.sleep(0.05)
    two_nurseries[0].kill(child)
    with closing(psycopg.connect(house.url, autocommit=True)) as connection:
        left = "SELECT count(*) FROM charge WHERE state = 'open' AND replica <> %s"
        others = (house.ledger._storage.replica,)
        wait_until(
            lambda: recovered(second) is not None and connection.execute(left, others).fetchone() == (0,)
        )
    assert kinds_of(house.ledger, mine) == {ReceiptKind.CHARGE}
    house.ledger.close(mine, '"mine"')
    assert house.ledger.verify().fault is None


def recovered(ledger):
    with closing(ledger._storage.connect()) as session:
        return replicas.recover(session)


def test_each_gateway_looks_after_the_others_without_being_asked(house, second, monkeypatch):
    for name, seconds in (("LOOK_SECONDS", 0.02), ("RECOVER_SECONDS", 0.05)):
        monkeypatch.setattr(replicas, name, seconds)
    wait_until(lambda: not second._presence._stop.wait(0.02))
    left = second.charge(house.wanted("left")).id
    open_ = house.ledger.charge(house.wanted("open")).id
    second._presence.stop()
    second._writer.stop()
    wait_until(lambda: ReceiptKind.LOST in kinds_of(house.ledger, left))
    assert kinds_of(house.ledger, open_) == {ReceiptKind.CHARGE}


def test_a_gateway_that_lives_but_does_not_ask_keeps_its_open_charges(house, second):
    charge = second.charge(house.wanted("slow")).id
    for _ in range(3):
        assert recovered(house.ledger) == 0
    assert second.close(charge, '"late"').answer == '"late"'


def test_a_gateway_that_was_cut_off_past_a_recovery_releases_nothing_for_what_it_had_open(house, second):
    charge = second.charge(house.wanted("f")).id
    second._presence.stop()
    cut_off(house.url)
    assert recovered(house.ledger) == 1
    with pytest.raises(Conflict, match="lost already"):
        second.close(charge, '"late"')
    assert house.ledger.find_answer("f") is None
    # It goes on under its own number.
    again = second.charge(house.wanted("f")).id
    assert recovered(house.ledger) == 0
    second.close(again, '"in time"')
    assert house.ledger.find_answer("f").answer == '"in time"'
    assert house.ledger.verify().fault is None


def test_a_gateway_that_finds_its_server_again_in_time_loses_nothing(house, second, monkeypatch):
    monkeypatch.setattr(replicas, "LOOK_SECONDS", 0.02)
    charge = second.charge(house.wanted("f")).id
    time.sleep(1.1)  # a look of before
    cut_off(house.url)
    number = second._storage.replica
    with closing(psycopg.connect(house.url, autocommit=True)) as connection:
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND objsubid = 2"
        wait_until(lambda: connection.execute(held, (number,)).fetchone()[0] > 0)
    assert recovered(house.ledger) == 0
    assert second.close(charge, '"f"').answer == '"f"'


def test_a_process_that_is_paused_past_a_recovery_comes_back_and_releases_only_what_counts(
    two_nurseries, house
):
    directory, nursery = house.directory, two_nurseries[0]
    child = nursery.start(directory, 1000, house.url)
    wait_until_working(directory, child)
    lost = 0
    for _ in range(4):
        time.sleep(0.1)
        os.kill(child, signal.SIGSTOP)
        assert recovered(house.ledger) == 0  # its sessions live
        house.ledger._presence.stop()
        cut_off(house.url)
        lost += recovered(house.ledger)
        assert open_charges(house) == 0
        os.kill(child, signal.SIGCONT)
    before = len((directory / "RELEASED").read_text())
    wait_until(lambda: len((directory / "RELEASED").read_text()) > before)
    nursery.kill(child)
    assert lost > 0
    house.ledger.shut()
    wait_until_alone(house.url)
    seen = check(directory, 1000, house.url)
    assert seen["lost"] >= lost
    assert seen["charge"] == seen["answer"] + seen["failed"] + seen["lost"]


def open_charges(house):
    with closing(psycopg.connect(house.url)) as connection:
        return connection.execute("SELECT count(*) FROM charge WHERE state = 'open'").fetchone()[0]


def test_charges_openings_and_settlements_of_many_gateways_never_wait_in_a_ring(house):
    """Trees of three populations, taken in all orders by three gateways; a deadlock would be an error."""
    leaves = [f"{p}/{p}set/default/ana" for p in ("olmsted2", "ward", "atlas")]
    for leaf in leaves:
        house.open_path(leaf)
    failed, done, stop = [], Counter(), threading.Event()

    def ask(ledger, thread):
        moment = random.Random(thread)
        for i in count():
            if stop.is_set():
                return
            try:
                leaf = moment.choice(leaves)
                what = moment.choice(["charge", "charge", "charge", "open", "version", "token", "recover"])
                if what == "charge":
                    charged = ledger.charge(house.wanted(f"{thread}.{i}", leaves=(leaf,)))
                    ledger.close(charged.id, '""')
                elif what == "open":
                    project = leaf.rpartition("/")[0]
                    ledger.open_account(Account.at(f"{project}/{thread}.{i}", house.roomy))
                elif what == "version":
                    ledger.register_version(leaf.split("/")[1], "[]", "d")
                elif what == "token":
                    ledger.revoke_token(ledger.create_token("t", Role.ANALYST, "*")[0].id)
                else:
                    recovered(ledger)
                done[what] += 1
            except Exception as error:  # noqa: BLE001  any is one too many
                failed.append(repr(error.__cause__ or error))
                return

    with ExitStack() as stack:
        others = [stack.enter_context(Ledger.open(house.directory, url=house.url)) for _ in range(2)]
        threads = [threading.Thread(target=ask, args=(([house.ledger, *others])[t % 3], t)) for t in range(9)]
        for thread in threads:
            thread.start()
        time.sleep(1.5)
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert all(done[what] > 0 for what in ("charge", "open", "version", "token", "recover"))
    assert house.ledger.verify().fault is None


@pytest.mark.parametrize(
    "kills", [8, pytest.param(2_000, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])]
)
@pytest.mark.parametrize("epsilon", [1000, 1])
def test_gateways_and_backends_that_are_killed_in_turn_leave_whole_books(
    two_nurseries, postgres, tmp_path, epsilon, kills
):
    moment, children = random.Random(11), {}
    url = postgres.make_ledger()
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for number in range(kills):
            if number % 200 == 0 and number:  # a ledger that grows for ever takes ever longer to check
                finish(two_nurseries, children, tmp_path, epsilon, url)
            for which in (0, 1):
                if which not in children:
                    children[which] = two_nurseries[which].start(tmp_path, epsilon, url)
                    if moment.random() < 0.7:
                        wait_until_working(tmp_path, children[which])
            time.sleep(0.1 * moment.random())
            if moment.random() < 0.3:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
                    "'noisegate' AND datname = current_database() ORDER BY random() LIMIT 1"
                )
            else:
                which = moment.randrange(2)
                two_nurseries[which].kill(children.pop(which))
    seen = finish(two_nurseries, children, tmp_path, epsilon, url)
    print(f"{kills} kills of two gateways: {dict(seen)}")
    assert seen["released"] > 0


def finish(nurseries, children, directory, epsilon, url):
    for which in list(children):
        nurseries[which].kill(children.pop(which))
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'noisegate'"
        )
        wait_until(lambda: connection.execute(others).fetchone() == (0,))
    seen = check(directory, epsilon, url)
    assert seen["charge"] == seen["answer"] + seen["failed"] + seen["lost"]
    return seen
