"""A large ledger, filled by its own front door: every charge is made, and answered, as a gateway would.

`python -m bench.books PLACE` opens a ledger as a gateway does when it starts, and prints one JSON object: how
long that took, how many charges it found open and settled, and the memory it held.
"""

import argparse
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.charging import MOST_CLIENTS, open_accounts, question
from bench.memory import peak_mib
from noisegate.ledger.store import Ledger, ReceiptKind

DAY = 86_400
LEFT_OPEN = 32
BEGAN = 1_750_000_000  # mid-2025; the ledger's clock is given, so that its days pass as wanted
TIERS = ("demographic", "clinical", "genomic")
ANSWER = json.dumps({"columns": ["is_male", "m"], "rows": [[[0, 5141]], [[1, 5203]]]})


@dataclass(frozen=True, slots=True)
class Size:
    """How much is in the books: charges, spread evenly over days, analysts and tiers."""

    charges: int
    days: int
    analysts: int = 40

    @property
    def names(self) -> list[str]:
        """The analysts' names."""
        return [f"ana{i}" for i in range(self.analysts)]


class Calendar:
    """A clock that is set by hand, in seconds since 1970."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> int:
        return self.now


@contextmanager
def filled(place: Path, size: Size) -> Iterator[tuple[Ledger, float]]:
    """Open a ledger with so many charges, each answered, and give it with the seconds that filling took."""
    clock = Calendar()
    with Ledger.open(place, clock=clock) as ledger:
        open_accounts(ledger, size.names)
        started = time.perf_counter()
        _fill(ledger, clock, size)
        yield ledger, time.perf_counter() - started


def leave_open(ledger: Ledger) -> None:
    """Charge and answer nothing: whoever opens the ledger next settles these as lost."""
    for number in range(LEFT_OPEN):
        ledger.charge(question("ana0", secrets.token_hex(32), number))


def _fill(ledger: Ledger, clock: Calendar, size: Size) -> None:
    numbers = iter(range(size.charges))
    guard = threading.Lock()
    failed: list[BaseException] = []

    def work() -> None:
        try:
            while not failed:
                with guard:
                    number = next(numbers, None)
                    if number is None:
                        return
                    clock.now = BEGAN + number * size.days * DAY // size.charges
                turn, analyst = divmod(number, size.analysts)
                tier = TIERS[turn % len(TIERS)]
                asked = question(f"ana{analyst}", f"{number:064d}", number, tier)
                ledger.close(ledger.charge(asked).id, ANSWER)
        except BaseException as error:  # noqa: BLE001  told to the main thread, which raises it
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(MOST_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def main() -> None:
    """Open a ledger once, say how that went, and leave charges open, as a gateway that is killed does."""
    parser = argparse.ArgumentParser(prog="python -m bench.books")
    parser.add_argument("place", type=Path)
    given = parser.parse_args()
    before, started = peak_mib(), time.perf_counter()
    with Ledger.open(given.place) as ledger:
        seconds, held = time.perf_counter() - started, peak_mib() - before
        last, _, _ = ledger.heads()["liver"]
        latest = ledger.receipts("liver", max(last - LEFT_OPEN, 0), LEFT_OPEN)
        leave_open(ledger)
    settled = sum(receipt.kind is ReceiptKind.LOST for receipt in latest)
    print(json.dumps({"seconds": seconds, "mib": held, "settled": settled}))


if __name__ == "__main__":
    main()
