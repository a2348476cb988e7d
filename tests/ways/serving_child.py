"""Serves a gateway over HTTP until it is killed, for the tests of races, kills and full disks.

This process itself never opens one: for each line of JSON that it reads it forks a process that does,
and writes that one's number, then its port, and in the end its exit code. So a restart costs a fork and
not an import.

`step` and `passes` name a place in a question's way, and how often it is passed before the process kills
itself there; without a step it lives until it is killed. `flaw` puts a mistake in, which the tests must
notice.
"""

import json
import os
import pkgutil
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from noisegate.app import open_gateway
from noisegate.ask import desk
from noisegate.config import Config
from noisegate.engines import register
from noisegate.engines.duckdb import DuckDB
from noisegate.errors import BudgetExhausted
from noisegate.ledger.records import Charge, Charged
from noisegate.ledger.sqlite import SqliteSession
from noisegate.ledger.store import Ledger
from noisegate.server.http import caller
from noisegate.server.http.app import build_app
from noisegate.server.serve import listen, run

FULL_BYTES = 700_000
FLAWED_LIMIT = 100
# Where a question passes, in this order: a name, what has it, and whether to die before it or after.
STEPS: dict[str, tuple[Any, str, bool]] = {
    "before the charge": (Ledger, "charge", True),
    "after the charge": (Ledger, "charge", False),
    "after the engine": (DuckDB, "run", False),
    "after the noise": (desk, "release", False),
    "before the answer is stored": (Ledger, "close", True),
    "after the answer is stored": (Ledger, "close", False),
    "before the reply": (caller, "encode", True),
}
# The same of an association; named by module, since only its tests need what reads genotypes.
ASSOCIATING: dict[str, tuple[str, str, bool]] = {
    "before the members": ("noisegate.engines.duckdb:DuckDB", "members", True),
    "after the members": ("noisegate.engines.duckdb:DuckDB", "members", False),
    "after the tables": ("noisegate.genomics.association_plan", "carry_out", False),
}
# The same before it serves.
OPENING: dict[str, tuple[Any, str, bool]] = {
    "before a snapshot is published": (register, "_publish", True),
    "after a snapshot is published": (register, "_publish", False),
}


def die_at(step: str, passes: int, armed: threading.Event) -> None:
    """Kill this process once a place has been passed so often since it was armed."""
    guard, left = threading.Lock(), [passes]

    def die() -> None:
        if not armed.is_set():
            return
        with guard:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    if step in ("before a commit", "after a commit"):
        home, name, before = SqliteSession, "commit", step == "before a commit"
    elif step in ASSOCIATING:
        place, name, before = ASSOCIATING[step]
        home = pkgutil.resolve_name(place)
    else:
        home, name, before = (STEPS | OPENING)[step]
    work = getattr(home, name)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        if before:
            die()
        done = work(*args, **kwargs)
        if not before:
            die()
        return done

    setattr(home, name, deadly)


def check_then_insert(ledger: Ledger, charge: Charge) -> Charged:
    """The mistake of looking first and writing afterwards, when others have written too."""
    held = ledger.find_account(charge.accounts[0])
    if held is not None and held.charges >= FLAWED_LIMIT:
        raise BudgetExhausted("nothing is left")
    time.sleep(0.02)
    return TAKE(ledger, charge)


def answer_first(ledger: Ledger, charge: int, answer: str) -> Any:
    """The mistake of letting the answer go before it is stored."""
    threading.Timer(0.5, lambda: CLOSE(ledger, charge, answer)).start()
    found = ledger.receipts("ward", limit=10_000)
    mine = next(r for r in found if r.charge == charge)
    return type("Released", (), {"answer": answer, "receipt": mine})


TAKE, CLOSE = Ledger.charge, Ledger.close


def flawed(flaw: str) -> None:
    """Put a mistake in."""
    if flaw == "check then insert":
        Ledger.charge = check_then_insert
    if flaw == "answer first":
        Ledger.close = answer_first


def serve(order: dict[str, Any], told: int) -> None:
    """Serve as ordered."""
    home = Path(order["home"])
    flawed(order.get("flaw", ""))
    armed = threading.Event()
    if order.get("step") in OPENING:
        armed.set()
    if order.get("step"):
        die_at(order["step"], order["passes"], armed)
    with (
        listen("127.0.0.1", 0) as bound,
        open_gateway(Config(catalog=home / "catalog.toml", state=home / "state", threads=1)) as gateway,
    ):
        if order.get("full"):
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (FULL_BYTES, resource.RLIM_INFINITY))
            signal.signal(signal.SIGUSR1, lambda *_: room())
        armed.set()
        os.write(told, f"{bound.getsockname()[1]}\n".encode())
        run(build_app(gateway, version="0", padding_ms=order.get("padding_ms", 0)), bound)


def room() -> None:
    """Let files grow again."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.close(told)
                serve(order, tell)
                code = 0
            finally:
                os._exit(code)
        os.close(tell)
        print(child, flush=True)
        with os.fdopen(told) as reader:
            print(reader.readline().strip(), flush=True)  # empty if it died before it could serve
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
