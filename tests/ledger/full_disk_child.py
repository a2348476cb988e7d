"""Charges until a file size limit stops it, lifts the limit, charges once more; tells as JSON what it saw."""

import json
import resource
import signal
import sys
from fractions import Fraction
from pathlib import Path

from noisegate.errors import LedgerUnavailable
from noisegate.ledger.store import Account, Charge, Ledger
from noisegate.privacy.curves import pure
from noisegate.privacy.filter import Limits

CENT = pure(Fraction(1, 100))


def wanted(number: int) -> Charge:
    return Charge(
        accounts=("olmsted", "olmsted/liver"), loss=CENT, datasets=("liver",), fingerprint=f"f{number}"
    )


def main(directory: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = Limits.of(Fraction(10**6), Fraction(0))
    with Ledger.open(directory) as ledger:
        for account in ("olmsted", "olmsted/liver"):
            ledger.open_account(Account.at(account, limits))
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
        granted, refused = 0, None
        while refused is None and granted < 10_000:
            try:
                ledger.charge(wanted(granted))
                granted += 1
            except LedgerUnavailable as error:
                refused = [error.message, error.hint]
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        ledger.charge(wanted(granted))
        balance = ledger.find_account("olmsted/liver")
        spent = None if balance is None else balance.spent.renyi[-1] // CENT.renyi[-1]
        fault = ledger.verify().fault
    print(json.dumps({"granted": granted, "refused": refused, "spent": spent, "fault": fault}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
