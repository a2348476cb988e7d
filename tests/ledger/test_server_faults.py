"""PostgreSQL fails in every way we can make it: refused rather than released, and books that add up."""

import os
import shutil
import signal
import threading
import time
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest

from noisegate.errors import LedgerUnavailable
from noisegate.ledger import postgres as storage
from noisegate.ledger import server, wire
from noisegate.ledger.store import Ledger

from .conftest import ROOMY, House
from .crashes import wait_until
from .proxy import Mode, Proxy

ANA = "olmsted/liver/default/ana"
CONSTANT = (server.unavailable().message, server.unavailable().hint)


def outcome(work):
    """Return what a caller is told when storage fails, or what it got."""
    try:
        return work()
    except LedgerUnavailable as error:
        return (error.message, error.hint)


@pytest.fixture(scope="module")
def own(make_postgres):
    """A server of this module's own, to be ill-treated."""
    made = make_postgres()
    made.start()
    return made


@pytest.fixture
def house(own, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "CONNECT_SECONDS", 2)
    url = own.make_ledger()
    made = House(Ledger.open(tmp_path / "state", url=url), tmp_path / "state", url)
    made.open_path(ANA, ROOMY)
    yield made
    made.ledger.shut()


def whole(house, at_least=0):
    """See that the books add up, and return how many charges they hold."""
    report = house.ledger.verify()
    assert report.fault is None
    assert report.charges >= at_least
    assert house.ledger.find_account(ANA).spent == house.cent.times(report.charges)
    return report.charges


class Clients:
    """Threads that charge and close all the time, and remember what they were granted."""

    def __init__(self, house, threads=6):
        self.house, self.granted, self.released, self.refused = house, [], {}, 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(t,)) for t in range(threads)]

    def _work(self, thread):
        number = 0
        while not self._stop.is_set():
            number += 1
            try:
                charged = self.house.ledger.charge(self.house.wanted(f"{thread}.{number}"))
                self.granted.append(charged.id)
                answer = self.house.ledger.close(charged.id, f'"{charged.id}"')
                self.released[charged.id] = answer.sha256
            except LedgerUnavailable:
                self.refused += 1
                time.sleep(0.005)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, many=20):
        aim = len(self.released) + many
        wait_until(lambda: len(self.released) >= aim, seconds=60)

    def check(self):
        """See that all that was granted is charged, and all that was released is recorded."""
        assert len(set(self.granted)) == len(self.granted)
        charges = whole(self.house, at_least=len(self.granted))
        receipts = self.house.ledger.receipts("liver", limit=10**6)
        charged = {r.charge for r in receipts if r.kind.value == "charge"}
        answered = {r.charge: r.content()["sha256"] for r in receipts if r.kind.value == "answer"}
        assert set(self.granted) <= charged
        assert self.released.items() <= answered.items()
        # What nobody was told of is at most what was under way when something failed.
        assert charges - len(self.granted) <= self.refused


def test_a_server_that_goes_down_refuses_and_is_found_again_when_it_is_back(own, house):
    house.answer("before")
    own.stop("fast")
    started = time.monotonic()
    assert outcome(lambda: house.ledger.charge(house.wanted("f"))) == CONSTANT
    assert outcome(lambda: house.ledger.find_account(ANA)) == CONSTANT
    assert outcome(house.ledger.verify) == CONSTANT
    assert time.monotonic() - started < 5
    own.start()
    house.ledger.charge(house.wanted("f"))
    assert whole(house) == 2


def test_a_server_that_is_down_at_the_start_refuses_the_start(own, house):
    own.stop("fast")
    with pytest.raises(LedgerUnavailable, match="cannot be used"):
        Ledger.open(house.directory, url=house.url)
    own.start()
    Ledger.open(house.directory, url=house.url).shut()


@pytest.mark.parametrize("times", [2, pytest.param(40, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_a_server_that_crashes_again_and_again_loses_nothing_that_was_granted(own, house, times):
    with Clients(house) as clients:
        for _ in range(times):
            clients.wait_for_more()
            own.stop("immediate")
            own.start()
        clients.wait_for_more()
    assert clients.refused > 0
    clients.check()


@pytest.mark.parametrize("times", [2, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
@pytest.mark.parametrize("how", ["kill -9", "pg_terminate_backend"])
def test_backends_that_are_killed_take_nothing_with_them(own, house, how, times):
    with Clients(house) as clients:
        for turn in range(times + 40):
            if turn >= times and clients.refused:  # one that was killed between two writes is not missed
                break
            clients.wait_for_more()
            writer = backend_of_writer(house)
            if how == "kill -9":
                os.kill(writer, signal.SIGKILL)  # the server then ends all others and recovers
            else:
                own.run(f"SELECT pg_terminate_backend({writer})")
        clients.wait_for_more()
    assert clients.refused > 0
    clients.check()


def backend_of_writer(house):
    """Return the process of the session that the writer has."""
    with closing(psycopg.connect(house.url, autocommit=True)) as connection:
        while True:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name = 'noisegate' AND xact_start IS NOT NULL"
            ).fetchone()
            if found is not None:
                return found[0]


def test_a_server_that_stands_still_is_not_waited_for(own, house, monkeypatch):
    monkeypatch.setattr(wire, "ANSWER_SECONDS", 0.5)
    house.answer("before")
    own.pause()
    started, told = time.monotonic(), []
    threads = [
        threading.Thread(
            target=lambda i=i: told.append(outcome(lambda: house.ledger.charge(house.wanted(f"f{i}"))))
        )
        for i in range(5)
    ]
    threads.append(threading.Thread(target=lambda: told.append(outcome(house.ledger.accounts))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waited = time.monotonic() - started
    own.resume()
    assert told == [CONSTANT] * 6
    # Each waits for the batch before it and its own, and a new connection gets its own time.
    assert waited < 2 * (0.5 + server.CONNECT_SECONDS) + 2
    wait_until(lambda: outcome(lambda: house.ledger.charge(house.wanted("after"))) != CONSTANT)
    assert 2 <= whole(house) <= 7


def test_a_commit_whose_reply_does_not_come_is_refused_and_whole_either_way(own, house, monkeypatch):
    monkeypatch.setattr(wire, "ANSWER_SECONDS", 0.5)
    plain = storage.PostgresSession.commit

    def commit(session):
        for process in own.processes():
            os.kill(process, signal.SIGSTOP)
        plain(session)

    monkeypatch.setattr(storage.PostgresSession, "commit", commit)
    assert outcome(lambda: house.ledger.charge(house.wanted("f"))) == CONSTANT
    monkeypatch.setattr(storage.PostgresSession, "commit", plain)
    own.resume()
    wait_until(lambda: outcome(lambda: house.ledger.charge(house.wanted("g"))) != CONSTANT)
    assert whole(house) in (1, 2)


def test_a_lock_that_somebody_holds_is_waited_for_so_long_and_no_longer(house, monkeypatch):
    monkeypatch.setitem(server.SETTINGS, "lock_timeout", "300ms")
    house.reopen()
    with closing(psycopg.connect(house.url)) as other:
        other.execute("SELECT id FROM account WHERE parent IS NULL FOR UPDATE")
        started = time.monotonic()
        assert outcome(lambda: house.ledger.charge(house.wanted("f"))) == CONSTANT
        assert outcome(lambda: house.ledger.register_version("liver", "[]", "d")) == CONSTANT
        assert 0.6 <= time.monotonic() - started < 5
        assert house.ledger.find_account(ANA).charges == 0
    house.ledger.charge(house.wanted("f"))
    assert whole(house) == 1


def test_a_gateway_that_stands_still_in_a_batch_does_not_stop_the_others(house, monkeypatch):
    monkeypatch.setitem(server.SETTINGS, "idle_in_transaction_session_timeout", "300ms")
    house.reopen()
    reached, let_go, told = threading.Event(), threading.Event(), []
    plain = storage.PostgresSession.commit

    def still(session):
        reached.set()
        let_go.wait()
        plain(session)

    monkeypatch.setattr(storage.PostgresSession, "commit", still)
    asker = threading.Thread(
        target=lambda: told.append(outcome(lambda: house.ledger.charge(house.wanted("f"))))
    )
    asker.start()
    reached.wait()
    monkeypatch.setattr(storage.PostgresSession, "commit", plain)
    with Ledger.open(house.directory, url=house.url) as second:
        second.charge(house.wanted("g"))
    let_go.set()
    asker.join()
    assert told == [CONSTANT]
    assert whole(house) == 1


@pytest.mark.parametrize("kind", ["DATABASE", "ROLE"])
def test_a_server_that_turns_read_only_refuses_and_can_still_be_read(own, house, kind):
    house.answer("f")
    name = psycopg.conninfo.conninfo_to_dict(house.url)["dbname"] if kind == "DATABASE" else "postgres"
    own.run(f"ALTER {kind} {name} SET default_transaction_read_only = on")
    with closing(psycopg.connect(own.url(), autocommit=True)) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = 'noisegate' AND pid <> pg_backend_pid()"
        )
        assert outcome(lambda: house.ledger.charge(house.wanted("g"))) == CONSTANT
        assert house.ledger.find_answer("f").answer == '{"rows":[]}'
        assert house.ledger.verify().charges == 1
        connection.execute(f"ALTER {kind} {name} RESET default_transaction_read_only")
    house.ledger.charge(house.wanted("g"))
    assert whole(house) == 2


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="limits of other processes need prlimit")
@pytest.mark.parametrize("full", ["its log", "a table"])
def test_a_server_whose_disk_is_full_takes_nothing_and_goes_on_when_there_is_room(own, house, full):
    """Its log is in files of 16 MB. If one cannot be written the server ends itself; a table just fails."""
    granted, told = 0, None
    with closing(psycopg.connect(house.url, autocommit=True)) as connection:
        connection.execute("ALTER TABLE receipt ALTER body SET STORAGE EXTERNAL")  # or it would be compressed
        connection.execute("SELECT pg_switch_wal()")
    house.ledger.charge(house.wanted("before"))
    own.limit_files((3 if full == "its log" else 20) * 1024 * 1024)
    while told != CONSTANT and granted < 200:
        wanted = replace(house.wanted(f"f{granted}"), body={"question": "x" * 300_000})
        told = outcome(lambda wanted=wanted: house.ledger.charge(wanted))
        granted += told != CONSTANT
    assert told == CONSTANT
    assert granted > 1
    if full == "its log":
        wait_until(lambda: outcome(house.ledger.accounts) == CONSTANT)
        own.stop("immediate")
        own.start()
    else:
        assert outcome(lambda: house.ledger.charge(wanted)) == CONSTANT
        own.limit_files(None)
    assert whole(house) == 1 + granted
    house.ledger.charge(house.wanted("after"))
    assert whole(house) == 2 + granted


@pytest.fixture
def wired(own, house, monkeypatch):
    """The same ledger over a wire of ours."""
    monkeypatch.setattr(wire, "ANSWER_SECONDS", 0.5)
    house.ledger.shut()
    with Proxy(own.home / ".s.PGSQL.5432") as proxy:
        name = psycopg.conninfo.conninfo_to_dict(house.url)["dbname"]
        house.url = f"postgresql://postgres@127.0.0.1:{proxy.port}/{name}"
        house.ledger = Ledger.open(house.directory, url=house.url)
        yield proxy
        proxy.set(Mode.OPEN)
        house.ledger.shut()


@pytest.mark.parametrize("mode", [Mode.CUT, Mode.STALLED, Mode.DEAF])
def test_a_network_that_is_cut_refuses_in_time_and_heals(house, wired, mode):
    house.answer("before")
    wired.set(mode)
    started = time.monotonic()
    assert outcome(lambda: house.ledger.charge(house.wanted("f"))) == CONSTANT
    assert outcome(lambda: house.ledger.charge(house.wanted("g"))) == CONSTANT
    assert outcome(lambda: house.ledger.find_account(ANA)) == CONSTANT
    assert time.monotonic() - started < 12
    wired.set(Mode.OPEN)
    wait_until(lambda: outcome(lambda: house.ledger.charge(house.wanted("h"))) != CONSTANT)
    assert whole(house) == 2


def test_a_network_that_fails_all_the_time_under_load_costs_at_most_budget(house, wired):
    with Clients(house) as clients:
        for mode in (Mode.CUT, Mode.DEAF, Mode.STALLED) * 2:
            clients.wait_for_more(10)
            wired.set(mode)
            time.sleep(0.1)
            wired.set(Mode.OPEN)
        clients.wait_for_more(10)
    assert clients.refused > 0
    clients.check()


@pytest.mark.parametrize("lost", ["the commit", "the reply to the commit"])
def test_a_commit_that_meets_a_cut_is_refused_and_whole_either_way(house, wired, monkeypatch, lost):
    plain = storage.PostgresSession.commit

    def commit(session):
        wired.set(Mode.CUT if lost == "the commit" else Mode.DEAF)
        plain(session)

    monkeypatch.setattr(storage.PostgresSession, "commit", commit)
    assert outcome(lambda: house.ledger.charge(house.wanted("f"))) == CONSTANT
    monkeypatch.setattr(storage.PostgresSession, "commit", plain)
    wired.set(Mode.OPEN)
    wait_until(lambda: outcome(house.ledger.accounts) != CONSTANT)
    assert whole(house) == (0 if lost == "the commit" else 1)
    # A charge that nobody was told of is spent, and lost at the latest once this gateway has ended.
    house.reopen()
    kinds = [r.kind.value for r in house.ledger.receipts("liver", limit=1000)]
    assert kinds[-2:] == (["charge", "lost"] if lost != "the commit" else kinds[-2:])
    assert "answer" not in kinds
    house.ledger.charge(house.wanted("f"))
