import json
import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from noisegate.errors import LedgerUnavailable, StateLocked
from noisegate.ledger import sqlite
from noisegate.ledger.sqlite import LEDGER_FILE, SqliteSession
from noisegate.ledger.store import Ledger
from noisegate.ledger.writer import Writer

ANA = "olmsted/liver/default/ana"
HERE = Path(__file__).parent
CONSTANT = (sqlite.unavailable().message, sqlite.unavailable().hint)


@pytest.fixture
def store():
    """What is done here is done to a file."""
    return "sqlite"


def outcome(work):
    """Return what a caller is told when storage fails, or what it got."""
    try:
        return work()
    except LedgerUnavailable as error:
        return (error.message, error.hint)


def many(house, count=24):
    """Charge from many threads at once and return the outcomes."""
    outcomes = []

    def ask(i):
        outcomes.append(outcome(lambda: house.ledger.charge(house.wanted(f"m{i}")).id))

    running = [threading.Thread(target=ask, args=(i,)) for i in range(count)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return outcomes


def whole(house, charges):
    assert house.ledger.find_account(ANA).spent == house.cent.times(charges)
    report = house.ledger.verify()
    assert (report.fault, report.charges) == (None, charges)


def broken_connections(monkeypatch, *pragmas):
    """Make each new writer's connection run these first. Returns what undoes it."""
    plain = sqlite.connect

    def connect(file):
        connection = plain(file)
        for pragma in pragmas:
            connection.execute(pragma)
        return connection

    monkeypatch.setattr(sqlite, "connect", connect)
    return lambda: monkeypatch.setattr(sqlite, "connect", plain)


def test_a_full_disk_refuses_everyone_who_waits_and_takes_nothing(house, monkeypatch):
    with closing(sqlite3.connect(house.directory / LEDGER_FILE)) as look:
        pages = look.execute("PRAGMA page_count").fetchone()[0]
    mend = broken_connections(monkeypatch, f"PRAGMA max_page_count = {pages + 1}")
    house.reopen()
    outcomes = many(house, 200)
    assert CONSTANT in outcomes
    granted = [o for o in outcomes if o != CONSTANT]
    whole(house, len(granted))
    mend()
    # The writer drops its connection after a failure, so the next commit finds the mended disk.
    house.ledger.charge(house.wanted("after"))
    whole(house, len(granted) + 1)


def test_a_file_size_limit_that_is_reached_and_lifted_loses_nothing(tmp_path):
    told = subprocess.run(
        [sys.executable, HERE / "full_disk_child.py", tmp_path], capture_output=True, text=True, check=True
    )
    seen = json.loads(told.stdout)
    assert seen["refused"] == list(CONSTANT)
    assert seen["granted"] > 0
    assert seen["spent"] == seen["granted"] + 1
    assert seen["fault"] is None


def test_a_read_only_ledger_refuses_and_can_still_be_read(house, monkeypatch):
    house.answer("f")
    mend = broken_connections(monkeypatch, "PRAGMA query_only = ON")
    house.ledger._writer.stop()
    house.ledger._writer = Writer(house.ledger._storage)
    assert many(house) == [CONSTANT] * 24
    assert house.ledger.find_answer("f") is not None
    whole(house, 1)
    mend()
    house.ledger.charge(house.wanted("g"))
    whole(house, 2)


def test_a_database_that_someone_else_has_locked_refuses_until_it_is_free(house, monkeypatch):
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    house.reopen()
    with closing(sqlite3.connect(house.directory / LEDGER_FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert set(many(house)) == {CONSTANT}
        other.execute("ROLLBACK")
    house.ledger.charge(house.wanted("f"))
    whole(house, 1)


@pytest.mark.parametrize("fails", [False, True])
def test_nobody_is_told_before_the_commit_and_a_commit_that_fails_takes_nothing(house, monkeypatch, fails):
    reached, let_go, told = threading.Event(), threading.Event(), []
    plain = SqliteSession.commit

    def held(session):
        reached.set()
        let_go.wait()
        if fails:
            raise sqlite3.OperationalError("disk I/O error")
        plain(session)

    monkeypatch.setattr(SqliteSession, "commit", held)
    asker = threading.Thread(
        target=lambda: told.append(outcome(lambda: house.ledger.charge(house.wanted("f")).id))
    )
    asker.start()
    reached.wait()
    asker.join(0.1)
    assert told == []
    assert house.ledger.find_account(ANA).charges == 0
    let_go.set()
    asker.join()
    assert told == [CONSTANT if fails else 1]
    monkeypatch.setattr(SqliteSession, "commit", plain)
    whole(house, 0 if fails else 1)


def test_a_writer_that_dies_refuses_everyone_who_waits_and_is_replaced(house, monkeypatch):
    writer = house.ledger._writer
    original = writer._commit
    monkeypatch.setattr(writer, "_commit", lambda *_: (_ for _ in ()).throw(RuntimeError("a bug")))
    assert many(house) == [CONSTANT] * 24
    monkeypatch.setattr(writer, "_commit", original)
    house.ledger.charge(house.wanted("f"))
    whole(house, 1)


@pytest.mark.parametrize("start", [0, 4096])
def test_a_corrupted_file_refuses_with_the_same_words(house, start):
    for i in range(20):
        house.answer(f"f{i}")
    house.ledger.shut()
    file = house.directory / LEDGER_FILE
    content = file.read_bytes()
    file.write_bytes(content[:start] + b"\x55" * (len(content) - start))
    assert outcome(lambda: Ledger.open(house.directory)) == CONSTANT
    file.write_bytes(content)
    house.ledger = Ledger.open(house.directory)
    whole(house, 20)


def test_a_file_that_is_corrupted_while_open_refuses_and_does_not_crash(house):
    for i in range(50):
        house.answer(f"f{i}")
    with closing(sqlite3.connect(house.directory / LEDGER_FILE)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    file = house.directory / LEDGER_FILE
    content = file.read_bytes()
    with file.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\x55" * (len(content) - 4096))
    house.ledger._readers._idle.clear()
    assert outcome(lambda: house.ledger.find_account("olmsted/panel")) == CONSTANT
    assert outcome(house.ledger.verify) == CONSTANT


def test_a_file_system_without_durable_commits_is_refused(tmp_path):
    with pytest.raises(LedgerUnavailable, match="would not survive a power cut"):
        sqlite.connect(Path(":memory:"))


def test_every_connection_syncs_each_commit_to_the_log(house):
    with closing(sqlite.connect(house.directory / LEDGER_FILE)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    reader = sqlite.connect_to_read(house.directory / LEDGER_FILE)
    with closing(reader), pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM token")


def test_a_state_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert outcome(lambda: Ledger.open(tmp_path / "file")) == CONSTANT
    assert outcome(lambda: Ledger.open(tmp_path / "file" / "state")) == CONSTANT


def test_only_the_owner_can_read_the_state_directory(house):
    assert (house.directory.stat().st_mode & 0o777) == 0o700
    assert {f.stat().st_mode & 0o777 for f in house.directory.iterdir()} == {0o600}


def test_two_ledgers_cannot_be_open_in_one_directory(house):
    with pytest.raises(StateLocked, match="another process holds") as refused:
        Ledger.open(house.directory)
    assert refused.value.exit_code == 6
    assert refused.value.hint
    house.ledger.charge(house.wanted("f"))


def test_two_processes_cannot_open_one_ledger(house):
    program = (
        "import sys; from pathlib import Path; from noisegate.ledger.store import Ledger\n"
        "from noisegate.errors import StateLocked\n"
        "try: Ledger.open(Path(sys.argv[1]))\n"
        "except StateLocked as error: sys.exit(error.exit_code)"
    )
    command = [sys.executable, "-c", program, house.directory]
    assert subprocess.run(command, check=False).returncode == 6
    house.ledger.shut()
    assert subprocess.run(command, check=False).returncode == 0


def test_a_ledger_that_is_shut_refuses(house):
    house.ledger.shut()
    house.ledger.shut()
    assert outcome(lambda: house.ledger.charge(house.wanted("f"))) == CONSTANT
    assert outcome(lambda: house.ledger.find_answer("f")) == CONSTANT


def test_a_forked_child_is_refused_instead_of_waiting_for_ever(house):
    house.ledger.charge(house.wanted("f"))
    child = os.fork()
    if child == 0:
        refused = outcome(lambda: house.ledger.charge(house.wanted("g"))) == CONSTANT
        os._exit(0 if refused else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    whole(house, 1)
