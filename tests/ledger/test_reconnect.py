"""A connection to PostgreSQL that breaks under a commit, leads to another ledger, or meets others' locks."""

import threading
from contextlib import closing
from dataclasses import replace

import psycopg
import pytest

from noisegate.errors import Conflict, LedgerUnavailable
from noisegate.ledger import postgres as storage
from noisegate.ledger import server, wire, writer
from noisegate.ledger.records import IdempotencyKey, JobState, ReceiptKind
from noisegate.ledger.same import ROLLED_BACK
from noisegate.ledger.store import Ledger

from .conftest import House
from .crashes import wait_until
from .proxy import Mode, Proxy

ANA = "olmsted/liver/default/ana"
KEY = IdempotencyKey("ana", "k", "r")


@pytest.fixture(scope="module")
def own(make_postgres):
    """A server of this module's own, to be ill-treated."""
    made = make_postgres()
    made.start()
    return made


@pytest.fixture
def house(own, tmp_path):
    url = own.make_ledger()
    made = House(Ledger.open(tmp_path / "state", url=url), tmp_path / "state", url)
    made.open_path(ANA)
    yield made
    made.ledger.shut()


@pytest.fixture
def wired(own, house, monkeypatch):
    """The same ledger over a wire of ours."""
    monkeypatch.setattr(wire, "ANSWER_SECONDS", 0.5)
    house.ledger.shut()
    with Proxy(own.home / ".s.PGSQL.5432") as proxy:
        house.url = f"postgresql://postgres@127.0.0.1:{proxy.port}/{database(house)}"
        house.ledger = Ledger.open(house.directory, url=house.url)
        yield proxy
        proxy.set(Mode.OPEN)
        house.ledger.shut()


def database(house):
    return psycopg.conninfo.conninfo_to_dict(house.url)["dbname"]


def kinds(house):
    return [r.kind.value for r in house.ledger.receipts("liver", limit=1000) if r.charge is not None]


def there(house):
    """Whether the ledger can be read."""
    try:
        house.ledger.accounts()
    except LedgerUnavailable:
        return False
    return True


def lose_the_reply(house, wired, monkeypatch, charge):
    """Charge, and lose what the server says to the commit."""
    plain = storage.PostgresSession.commit

    def commit(session):
        wired.set(Mode.DEAF)
        plain(session)

    monkeypatch.setattr(storage.PostgresSession, "commit", commit)
    with pytest.raises(LedgerUnavailable):
        house.ledger.charge(charge)
    monkeypatch.setattr(storage.PostgresSession, "commit", plain)
    wired.set(Mode.OPEN)
    wait_until(lambda: there(house))


def test_a_charge_that_nobody_was_told_of_is_settled_while_the_gateway_lives(house, wired, monkeypatch):
    lose_the_reply(house, wired, monkeypatch, house.wanted("f", idempotency=KEY))
    assert kinds(house)[0] == "charge"
    wait_until(lambda: kinds(house) == ["charge", "lost"])
    with pytest.raises(Conflict, match="was cut off after it was charged"):
        house.ledger.charge(house.wanted("f", idempotency=KEY))
    assert house.ledger.find_account(ANA).charges == 1
    assert house.ledger.verify().fault is None


def test_the_next_request_settles_first_so_that_its_key_is_not_still_running(house, wired, monkeypatch):
    monkeypatch.setattr(writer, "SETTLE_SECONDS", 3600)
    lose_the_reply(house, wired, monkeypatch, house.wanted("f", idempotency=KEY))
    assert kinds(house) == ["charge"]
    with pytest.raises(Conflict, match="was cut off after it was charged"):
        house.ledger.charge(house.wanted("f", idempotency=KEY))
    house.answer("g")
    assert kinds(house) == ["charge", "lost", "charge", "answer"]
    assert house.ledger.verify().fault is None


def test_a_commit_that_never_arrived_leaves_its_key_free(house, wired, monkeypatch):
    plain = storage.PostgresSession.commit

    def commit(session):
        wired.set(Mode.CUT)
        plain(session)

    monkeypatch.setattr(storage.PostgresSession, "commit", commit)
    with pytest.raises(LedgerUnavailable):
        house.ledger.charge(house.wanted("f", idempotency=KEY))
    monkeypatch.setattr(storage.PostgresSession, "commit", plain)
    wired.set(Mode.OPEN)
    wait_until(lambda: there(house))
    charged = house.ledger.charge(house.wanted("f", idempotency=KEY))
    house.ledger.close(charged.id, '"answer"')
    assert kinds(house) == ["charge", "answer"]


def test_what_was_written_is_known_only_once_the_old_session_has_ended(own, house, monkeypatch):
    """The server stands still under the commit, and takes it up again when the gateway has long hung up."""
    monkeypatch.setattr(wire, "ANSWER_SECONDS", 0.5)
    plain = storage.PostgresSession.commit

    def commit(session):
        own.pause()
        plain(session)

    monkeypatch.setattr(storage.PostgresSession, "commit", commit)
    with pytest.raises(LedgerUnavailable):
        house.ledger.charge(house.wanted("f", idempotency=KEY))
    monkeypatch.setattr(storage.PostgresSession, "commit", plain)
    own.resume()
    wait_until(lambda: there(house))
    wait_until(lambda: not house.ledger._writer._unsure)
    charges = house.ledger.find_account(ANA).charges
    assert kinds(house) == ["charge", "lost"] * charges
    assert house.ledger.verify().fault is None


def test_a_job_that_nobody_was_told_of_runs_on_and_can_be_cancelled(house, wired, monkeypatch):
    lose_the_reply(house, wired, monkeypatch, replace(house.wanted("job"), steps=1))
    house.answer("f")
    (job,) = house.ledger.jobs()
    assert job.state is JobState.RUNNING
    assert not house.ledger.receipts_of(job.charge, ReceiptKind.LOST)
    house.ledger.end_job(job.charge, JobState.CANCELLED)
    assert house.ledger.find_account(ANA).spent == house.cent
    assert house.ledger.verify().fault is None


def end_sessions(own, name):
    own.run(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")


def put_in_its_place(own, house, other):
    """Let the ledger's address lead to another database, as whoever restores a backup does."""
    own.run(f"ALTER DATABASE {database(house)} ALLOW_CONNECTIONS false")
    own.run(f"ALTER DATABASE {other} ALLOW_CONNECTIONS false")
    for name in (database(house), other):
        end_sessions(own, name)
    own.run(f"DROP DATABASE {database(house)}")
    own.run(f"ALTER DATABASE {other} RENAME TO {database(house)}")
    own.run(f"ALTER DATABASE {database(house)} ALLOW_CONNECTIONS true")


def back_up(own, house):
    """Return a copy of the ledger's database as it is."""
    house.ledger.shut()
    copy = f"copy_of_{database(house)}"
    own.run(f"CREATE DATABASE {copy} TEMPLATE {database(house)}")
    house.ledger = Ledger.open(house.directory, url=house.url)
    return copy


@pytest.mark.parametrize("lacks", ["a charge", "a suspension", "nothing"])
def test_a_ledger_that_came_back_from_a_backup_is_written_no_more(own, house, lacks, caplog):
    house.answer("a")
    if lacks == "nothing":
        house.answer("b")
        copy = back_up(own, house)
    else:
        copy = back_up(own, house)
        if lacks == "a charge":
            house.ledger.charge(house.wanted("b"))
        else:
            house.ledger.suspend(ANA, "looked at", by="cleo")
    put_in_its_place(own, house, copy)
    if lacks == "nothing":
        wait_until(lambda: there(house))
        house.answer("c")
        return
    for fingerprint in ("c", "d"):
        with pytest.raises(LedgerUnavailable, match="rolled back"):
            house.ledger.charge(house.wanted(fingerprint))
    with pytest.raises(LedgerUnavailable, match="rolled back"):
        house.ledger.register_version("liver", "[]", "d")
    assert house.ledger.distrusted == ROLLED_BACK
    assert "lacks what was written" in caplog.text
    # Nothing was written to it; and whoever starts a gateway on it is told by checkpoints alone.
    assert house.ledger.find_account(ANA).charges == 1


def test_a_ledger_that_came_back_from_a_backup_is_noticed_though_nobody_asks(own, house):
    copy = back_up(own, house)
    house.ledger.charge(house.wanted("a"))
    put_in_its_place(own, house, copy)
    wait_until(lambda: house.ledger.distrusted == ROLLED_BACK)
    with pytest.raises(LedgerUnavailable, match="rolled back"):
        house.ledger.charge(house.wanted("b"))


def test_a_ledger_that_grew_again_past_the_backup_is_written_no_more(own, house):
    copy = back_up(own, house)
    house.answer("a")
    with Ledger.open(house.directory / "other", url=own.url(copy)) as other:
        for fingerprint in "xyz":
            other.charge(house.wanted(fingerprint))
    put_in_its_place(own, house, copy)
    with pytest.raises(LedgerUnavailable, match="rolled back"):
        house.ledger.charge(house.wanted("b"))


def test_another_ledger_at_the_same_address_is_not_written_to(own, house):
    """Known by its name alone: this gateway has written nothing that it could miss."""
    url = own.make_database()
    Ledger.open(house.directory / "other", url=url).shut()
    house.reopen()
    put_in_its_place(own, house, psycopg.conninfo.conninfo_to_dict(url)["dbname"])
    with pytest.raises(LedgerUnavailable, match="rolled back"):
        house.ledger.charge(house.wanted("a"))


def test_what_another_gateway_added_meanwhile_is_gone_on_from(own, house):
    house.answer("a")
    with Ledger.open(house.directory, url=house.url) as second:
        second.close(second.charge(house.wanted("b")).id, '""')
        end_sessions(own, database(house))
        wait_until(lambda: there(house))
        house.answer("c")
    assert house.ledger.distrusted == ""
    assert kinds(house) == ["charge", "answer"] * 3


def test_a_lock_that_is_let_go_in_time_for_a_second_try_refuses_nobody(house, monkeypatch):
    monkeypatch.setitem(server.SETTINGS, "lock_timeout", "300ms")
    house.reopen()
    told = []
    with closing(psycopg.connect(house.url)) as other:
        other.execute("SELECT id FROM account WHERE parent IS NULL FOR UPDATE")
        asker = threading.Thread(target=lambda: told.append(house.ledger.charge(house.wanted("f"))))
        asker.start()
        asker.join(0.45)
        other.rollback()
        asker.join()
    assert len(told) == 1
    assert house.ledger.find_account(ANA).charges == 1


def waiting(url):
    """Return whether a session waits for a lock."""
    with closing(psycopg.connect(url, autocommit=True)) as looking:
        (count,) = looking.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    return count > 0


def test_a_batch_that_falls_to_a_deadlock_is_carried_out_once_more(own, house):
    """The other session takes what it has no business with, in the wrong order."""
    house.answer("a")
    own.run(f"ALTER DATABASE {database(house)} SET deadlock_timeout = '1s'")
    house.reopen()
    told = []
    asker = threading.Thread(target=lambda: told.append(house.ledger.charge(house.wanted("f"))))
    with closing(psycopg.connect(house.url)) as other:
        other.execute("SET deadlock_timeout = '60s'")  # so that ours is the one to be ended
        other.commit()
        other.execute("SELECT dataset FROM chain FOR UPDATE")
        asker.start()
        wait_until(lambda: waiting(house.url))
        other.execute("SELECT id FROM account WHERE parent IS NULL FOR UPDATE")
        other.rollback()
    asker.join()
    assert len(told) == 1
    assert house.ledger.find_account(ANA).charges == 2
    assert house.ledger.verify().fault is None
    deadlocks = f"SELECT deadlocks FROM pg_stat_database WHERE datname = '{database(house)}'"
    wait_until(lambda: own.run(deadlocks) == "1")
