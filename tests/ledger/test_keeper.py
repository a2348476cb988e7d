import errno
import sqlite3
import time
from contextlib import closing
from functools import partial

import pytest

from noisegate.errors import LedgerUnavailable, SetupError
from noisegate.ledger.checkpoints import Held, hold, kept_in, read, take, write
from noisegate.ledger.keeper import LATE, Keeper
from noisegate.ledger.same import ROLLED_BACK
from noisegate.ledger.sqlite import LEDGER_FILE, SqliteSession
from noisegate.ledger.writer import Writer


@pytest.fixture
def store():
    return "sqlite"


class Shelf:
    """A destination that keeps checkpoints in memory, and fails while it is told to."""

    def __init__(self):
        self.kept = []
        self.failing = None

    def __call__(self, name, content):
        if self.failing is not None:
            raise self.failing
        self.kept.append(read(name, content))


@pytest.fixture
def shelf():
    return Shelf()


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def keeper(house, shelf):
    """A keeper that looks when it is told to: its interval is long, and its clock stands still."""
    clock = Clock()
    made = Keeper(house.ledger, shelf, 100.0, receipts=6, clock=clock)
    made.clock = clock
    with made:
        yield made


def test_the_first_and_the_last_are_written(house, shelf):
    with Keeper(house.ledger, shelf, 1_000.0):
        assert [c.receipts for c in shelf.kept] == [4]
        house.answer("a")
    assert [c.receipts for c in shelf.kept] == [4, 6]
    assert shelf.kept[-1] == take(house.ledger)


def test_nothing_is_written_where_there_is_nothing_new(house, shelf, keeper):
    keeper.clock.now += 10_000
    keeper.look()
    keeper.look(last=True)
    with Keeper(house.ledger, shelf, 1_000.0, held=Held(take(house.ledger).heads)):
        pass
    assert len(shelf.kept) == 1


def test_one_is_written_after_so_many_receipts(house, shelf, keeper):
    for i in range(6):
        house.answer(f"question {i}")
        keeper.look()
    assert [c.receipts for c in shelf.kept] == [4, 10, 16]


def test_one_is_written_after_so_many_seconds(house, shelf, keeper):
    house.answer("a")
    keeper.look()
    keeper.clock.now += 99
    keeper.look()
    assert len(shelf.kept) == 1
    keeper.clock.now += 1
    keeper.look()
    assert [c.receipts for c in shelf.kept] == [4, 6]


def test_a_failure_is_shown_tried_again_and_stops_nothing(house, shelf, keeper, caplog):
    for error in (OSError(errno.ENOSPC, "No space left"), RuntimeError("of some client library")):
        shelf.failing = error
        house.answer(f"a question before {error}")
        keeper.look(last=True)
        keeper.look(last=True)
        assert "noisegate_checkpoint_failing 1" in keeper.metrics()
        shelf.failing = None
        keeper.look(last=True)
        assert "noisegate_checkpoint_failing 0" in keeper.metrics()
    assert [c.receipts for c in shelf.kept] == [4, 6, 8]
    assert caplog.messages == [f"a checkpoint could not be written: {k}" for k in ("OSError", "RuntimeError")]


def test_receipts_that_no_checkpoint_holds_for_long_make_it_late(house, shelf, keeper):
    shelf.failing = OSError("gone")
    keeper.clock.now += 10_000
    keeper.look()
    assert not keeper.late()  # nothing is missing
    house.answer("a")
    keeper.look()
    keeper.clock.now += LATE * 100
    keeper.look()
    assert not keeper.late()
    keeper.clock.now += 1
    keeper.look()
    assert keeper.late()
    assert "noisegate_checkpoint_age_seconds 10301" in keeper.metrics()
    shelf.failing = None
    keeper.look()
    assert not keeper.late()
    assert "noisegate_checkpoint_age_seconds 0" in keeper.metrics()


def test_a_ledger_that_cannot_be_read_makes_it_fail_not_fall(house, shelf, keeper):
    house.ledger.shut()
    keeper.look()
    assert "noisegate_checkpoint_failing 1" in keeper.metrics()


def test_a_first_checkpoint_that_cannot_be_written_is_refused(house, shelf, tmp_path):
    shelf.failing = OSError(errno.EROFS, "Read-only file system")
    with pytest.raises(SetupError, match="Read-only file system"), Keeper(house.ledger, shelf, 1.0):
        pass
    write_nowhere = partial(write, tmp_path / "nowhere")
    with pytest.raises(SetupError, match="No such file"), Keeper(house.ledger, write_nowhere, 1.0):
        pass


def test_the_thread_writes_by_itself(house, tmp_path):
    with Keeper(house.ledger, partial(write, tmp_path), 0.05):
        house.answer("a")
        deadline = time.monotonic() + 20
        while len(list(kept_in(tmp_path))) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(list(kept_in(tmp_path))) == 2
    assert hold(house.ledger, kept_in(tmp_path)).heads == take(house.ledger).heads


# A ledger that is rolled back while the gateway runs


def put_back(house):
    """Make the ledger what it was three receipts ago, under the running gateway."""
    with closing(sqlite3.connect(house.directory / LEDGER_FILE, isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("DELETE FROM receipt WHERE dataset = 'liver' AND seq > 4")
        connection.execute(
            "UPDATE chain SET (seq, hash, at) = (SELECT seq, hash, at FROM receipt "
            "WHERE dataset = 'liver' AND seq = 4) WHERE dataset = 'liver'"
        )
        connection.execute("DELETE FROM answer")
        connection.execute("DELETE FROM charge WHERE id > 1")


def refused(house, keeper, shelf, caplog):
    """Assert that a look finds it, writes nothing of it, and has the ledger refuse to go on."""
    before = list(shelf.kept)
    keeper.clock.now += 10_000
    keeper.look()
    assert any("rolled back or rewritten" in message for message in caplog.messages)
    with pytest.raises(LedgerUnavailable, match="nothing more is written") as wrong:
        house.ledger.charge(house.wanted("spends it a second time"))
    assert "put the newest ledger back" in wrong.value.hint
    with pytest.raises(LedgerUnavailable, match="nothing more is written"):
        house.ledger.renew("olmsted", None, until=None, by="cleo")
    assert "noisegate_checkpoint_failing 1" in keeper.metrics()
    keeper.look(last=True)
    assert "noisegate_checkpoint_failing 1" in keeper.metrics()
    assert shelf.kept == before
    return True


def test_a_ledger_that_is_shorter_than_it_was_is_written_no_more(house, shelf, keeper, caplog):
    house.answer("a")
    house.answer("b")
    keeper.look()
    put_back(house)
    assert refused(house, keeper, shelf, caplog)


@pytest.mark.parametrize("more", [0, 2, 3])
def test_the_writer_knows_at_once_when_it_must_connect_anew(house, monkeypatch, more):
    """No keeper looks; and the writer's own connection would not tell, were it not lost."""
    house.answer("a")
    house.answer("b")
    put_back(house)
    with monkeypatch.context() as patched:
        other = Writer(house.ledger._storage)
        patched.setattr(house.ledger, "_writer", other)
        for i in range(more):
            house.answer(f"new {i}")
        other.stop()
    monkeypatch.setattr(SqliteSession, "alive", lambda _: False)
    with pytest.raises(LedgerUnavailable, match="rolled back or rewritten while the gateway ran"):
        house.ledger.charge(house.wanted("spends it a second time"))
    assert house.ledger.distrusted == ROLLED_BACK


def test_a_writer_that_connects_anew_goes_on_where_nothing_is_missing(house, monkeypatch):
    monkeypatch.setattr(SqliteSession, "alive", lambda _: False)
    for fingerprint in "abc":
        house.answer(fingerprint)
    assert house.ledger.distrusted == ""
    assert house.ledger.verify().fault is None


@pytest.mark.parametrize("more", [2, 3])
def test_a_ledger_that_grew_again_over_a_rollback_is_written_no_more(house, shelf, keeper, caplog, more):
    """To the same length, where nothing seems new, or beyond it."""
    house.answer("a")
    house.answer("b")
    keeper.look(last=True)
    put_back(house)
    for i in range(more):
        house.answer(f"another {i}")
    assert refused(house, keeper, shelf, caplog)


def test_a_ledger_that_lost_what_the_kept_checkpoints_hold_is_not_taken(house, shelf):
    house.answer("a")
    held = Held(take(house.ledger).heads)
    put_back(house)
    with pytest.raises(LedgerUnavailable, match="rolled back"), Keeper(house.ledger, shelf, 1.0, held=held):
        pass
    assert shelf.kept == []


def test_a_ledger_that_cannot_be_read_for_a_while_is_trusted_again(house, shelf, keeper, monkeypatch):
    def unreadable(_):
        raise LedgerUnavailable("the ledger cannot be read")

    house.answer("a")
    keeper.look()
    house.answer("b")
    with monkeypatch.context() as patched:
        patched.setattr(house.ledger, "receipt", unreadable)
        keeper.look(last=True)
    keeper.look(last=True)
    assert "noisegate_checkpoint_failing 0" in keeper.metrics()
    house.answer("c")


def test_files_that_bind_nothing_are_counted(house, shelf):
    with Keeper(house.ledger, shelf, 1_000.0, held=Held({}, strange=7)) as keeper:
        assert "noisegate_checkpoint_strange_files 7" in keeper.metrics()
