"""Shares genomes until it is killed, for `test_share_killed.py`.

It reads lines of JSON and forks a process for each, so that a restart costs no import. `step` names a place
in the way of a release, and `passes` how often it is passed before the process kills itself there; without a
step it shares to the end, and writes the digest of the release. `flaw` puts a mistake in, to be noticed.
"""

import importlib.util
import json
import os
import secrets
import signal
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

from noisegate.genomics import keys, share
from noisegate.genomics.keys import KeyStore
from noisegate.genomics.recipe import Method
from noisegate.genomics.releases import Shelf
from noisegate.genomics.scheduler import Threads
from noisegate.genotypes.store import Writer
from noisegate.ledger.store import Ledger

BESIDE = importlib.util.spec_from_file_location("workshop", Path(__file__).with_name("workshop.py"))
assert BESIDE is not None
assert BESIDE.loader is not None
workshop = importlib.util.module_from_spec(BESIDE)
sys.modules["workshop"] = workshop
BESIDE.loader.exec_module(workshop)

# Where a release passes: what has the place, its name, and whether to die before it or after.
STEPS: dict[str, tuple[Any, str, bool]] = {
    f"{when} {what}": (home, name, when == "before")
    for what, (home, name) in {
        "the charge": (Ledger, "charge"),
        "the key": (KeyStore, "_open"),
        "the draw": (Ledger, "draw"),
        "a chunk": (Writer, "write"),
        "the store": (Writer, "finish"),
        "the wipe": (KeyStore, "wipe"),
        "the exports": (share, "finished"),
        "the end": (Ledger, "end_job"),
        "the record": (Shelf, "publish"),
    }.items()
    for when in ("before", "after")
}


def die_at(step: str, passes: int) -> None:
    """Kill this process once a place has been passed so often."""
    home, name, before = STEPS[step]
    work, left = getattr(home, name), [passes]

    def deadly(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if before and left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        done = work(*args, **kwargs)
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(home, name, deadly)


def flawed(flaw: str) -> None:
    """Put a mistake in: noise that a restart draws anew, or a key that does not mind what it is used on."""
    if flaw == "new noise":
        derive = keys.derive
        keys.derive = lambda _, context: derive(secrets.token_bytes(keys.SECRET_BYTES), context)
    if flaw == "unbound key":
        keys.Context.encoded = lambda self: self.release.encode()
        keys.Context.digest = property(lambda _: "0" * 64)


def run(order: dict[str, Any]) -> str:
    """Share as ordered; return the digest of the release."""
    share.report = lambda *_: ()
    flawed(order.get("flaw", ""))
    with workshop.lab(Path(order["home"]), scheduler=Threads(1)) as made:
        if order.get("step"):
            die_at(order["step"], order.get("passes", 0))
        proposal = made.propose(
            workshop.recipe(Method(order["method"]), 50, delta=Fraction(1, 10**6)), chunk=8
        )
        begun = share.begin(made.shop, workshop.BOSS, proposal)
        release = begun.release or share.carry_out(made.shop, workshop.BOSS, begun.job, proposal)
        assert release is not None
        return release.digest


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                print("digest", run(order), flush=True)
                code = 0
            except Exception as error:  # noqa: BLE001 - told to the test
                print("raised", type(error).__name__, flush=True)
            finally:
                os._exit(code)
        print("ended", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
