"""A state directory among several processes: who waits, whose rows are removed, whose ledger it is."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from noisegate.app.state import (
    DATA,
    KEY,
    LEDGER_ID,
    LOCK,
    SPILL,
    Room,
    alone,
    bind,
    clear_leftovers,
    digest_key,
    refuse_other_ledger,
)
from noisegate.errors import SetupError
from noisegate.ledger.sqlite import LEDGER_FILE

# A process that makes a room, says so, and waits to be killed.
CHILD = """
import sys, time
from pathlib import Path
from noisegate.app.state import Room, alone
state = Path(sys.argv[1])
with alone(state):
    room = Room(state)
room.path.mkdir()
(room.path / "rows.tmp").write_text("a row")
print(room.path, flush=True)
time.sleep(60)
"""


def test_who_starts_waits_until_the_other_has_started(tmp_path: Path) -> None:
    order: list[str] = []

    def other() -> None:
        order.append("waits")
        with alone(tmp_path):
            order.append("starts")

    thread = threading.Thread(target=other)
    with alone(tmp_path):
        thread.start()
        time.sleep(0.1)
        order.append("has started")
    thread.join()
    assert order == ["waits", "has started", "starts"]


def test_a_room_of_a_running_process_stays_and_of_a_killed_one_goes(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    rows = Path(child.stdout.readline().strip()) / "rows.tmp"
    with alone(tmp_path):
        clear_leftovers(tmp_path)
    assert rows.read_text() == "a row"
    child.kill()
    child.wait()
    child.stdout.close()
    with alone(tmp_path):
        clear_leftovers(tmp_path)
    assert list((tmp_path / SPILL).iterdir()) == []


def test_a_room_is_its_own_and_nobody_else_s_and_gone_when_it_is_left(tmp_path: Path) -> None:
    with alone(tmp_path):
        first, second = Room(tmp_path), Room(tmp_path)
    assert first.path != second.path
    for room in (first, second):
        room.path.mkdir()
        (room.path / "rows.tmp").touch()
    assert oct(first.path.parent.stat().st_mode & 0o777) == "0o700"
    first.close()
    with alone(tmp_path):
        clear_leftovers(tmp_path)
    assert [p.name for p in second.path.iterdir()] == ["rows.tmp"]
    second.close()
    assert list((tmp_path / SPILL).iterdir()) == []


def test_what_an_interrupted_registration_and_an_older_release_left_goes(tmp_path: Path) -> None:
    half = tmp_path / DATA / ".registering-ab"
    half.mkdir(parents=True)
    (half / "rows").touch()
    (tmp_path / DATA / "ward-1.duckdb").touch()
    (tmp_path / SPILL).mkdir()
    (tmp_path / SPILL / "duckdb_temp_storage_DEFAULT-0.tmp").touch()
    (tmp_path / SPILL / "half-made").mkdir()
    with alone(tmp_path):
        clear_leftovers(tmp_path)
    assert sorted(p.name for p in (tmp_path / DATA).iterdir()) == [LOCK, "ward-1.duckdb"]
    assert list((tmp_path / SPILL).iterdir()) == []


def test_a_state_directory_is_tied_to_its_ledger(tmp_path: Path) -> None:
    with alone(tmp_path):
        bind(tmp_path, "ab12")
        bind(tmp_path, "ab12")
        with pytest.raises(SetupError, match="unspent again"):
            bind(tmp_path, "cd34")
    assert (tmp_path / LEDGER_ID).read_text() == "ab12\n"
    assert oct((tmp_path / LEDGER_ID).stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize(
    ("bound", "here", "on_server", "refused"),
    [
        (False, False, False, False),
        (False, False, True, False),
        (False, True, False, False),
        (False, True, True, True),  # a ledger of an older release, with what was spent
        (True, False, False, True),
        (True, False, True, False),
        (True, True, False, False),
        (True, True, True, False),  # the id will tell
    ],
)
def test_a_ledger_in_the_wrong_place_is_not_even_opened(
    tmp_path: Path, bound: bool, here: bool, on_server: bool, refused: bool
) -> None:
    for there, name in ((bound, LEDGER_ID), (here, LEDGER_FILE)):
        if there:
            (tmp_path / name).touch()
    if refused:
        with pytest.raises(SetupError):
            refuse_other_ledger(tmp_path, on_server=on_server)
    else:
        refuse_other_ledger(tmp_path, on_server=on_server)


def test_the_digest_key_is_made_once_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    with alone(tmp_path):
        key = digest_key(tmp_path)
        assert len(key) == 32
        assert digest_key(tmp_path) == key
        assert oct((tmp_path / KEY).stat().st_mode & 0o777) == "0o600"
        (tmp_path / KEY).write_bytes(b"")
        with pytest.raises(SetupError, match="does not hold a key"):
            digest_key(tmp_path)


def test_the_lock_is_not_handed_on_to_child_processes(tmp_path: Path) -> None:
    with alone(tmp_path):
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False
        )
    held = os.open(tmp_path / DATA / LOCK, os.O_RDWR)
    patience = time.monotonic() + 10  # until the child has become its program
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            assert time.monotonic() < patience
            time.sleep(0.01)
        else:
            break
    os.close(held)
    assert child.poll() is None
    child.communicate(b"\n")
