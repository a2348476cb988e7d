"""Receipts as they are shown, exported and checked, and the checkpoints that a gateway keeps of them."""

import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from heapq import merge
from itertools import islice
from pathlib import Path

from noisegate.app.budgets import dataset_of
from noisegate.ask.desk import Desk
from noisegate.errors import BadInput, Forbidden, SetupError
from noisegate.gate.access import Asker, Right, require
from noisegate.ledger import checkpoints
from noisegate.ledger.export import export
from noisegate.ledger.keeper import Keeper
from noisegate.ledger.records import Receipt
from noisegate.ledger.store import Ledger

log = logging.getLogger("noisegate.ledger")

Json = dict[str, object]
# Readers that hold numbers as IEEE doubles keep integers exact up to here.
_SAFE = 2**53 - 1


def page(desk: Desk, asker: Asker, dataset: str | None, after: str | None, limit: int) -> Json:
    """List receipts of one dataset's chain, or of all chains the asker may see, the earliest first.

    Args:
        desk: what asking needs.
        asker: an auditor or custodian.
        dataset: only its chain; None for all.
        after: where the last page ended: its `next`, or for one dataset a receipt's number. None to begin.
        limit: at most so many.

    Returns:
        `receipts`; `next`, to go on from, now or once there are more; and `more`, whether there are already.
        Every receipt comes on one page, whatever is added between two of them.
    """
    require(asker, Right.SEE_RECEIPTS)
    only = None if dataset is None else dataset_of(desk, asker, dataset).name
    chains = _visible(desk.ledger, asker) if only is None else (only,)
    ends = {chain: seq for chain, seq in _ends(after, only).items() if chain in chains}
    # Each chain in its own order, whatever its clock said; among chains the earlier first.
    upcoming = merge(
        *(desk.ledger.receipts(chain, ends.get(chain, 0), limit + 1) for chain in chains),
        key=lambda receipt: (receipt.at, receipt.dataset),
    )
    shown = list(islice(upcoming, limit))
    ends |= {receipt.dataset: receipt.seq for receipt in shown}
    return {
        "receipts": [receipt_json(receipt) for receipt in shown],
        "next": ",".join(f"{chain}:{seq}" for chain, seq in sorted(ends.items())),
        "more": next(upcoming, None) is not None,
    }


def exported(desk: Desk, asker: Asker, dataset: str | None) -> Iterator[bytes]:
    """Return the file of one dataset's chain, or of all that the asker may see, in pieces of whole lines."""
    require(asker, Right.SEE_RECEIPTS)
    return export(desk.ledger, _chains(desk, asker, dataset))


def checkpoint(desk: Desk, asker: Asker) -> Json:
    """Return a signed checkpoint of all chains the asker may see, as they end now."""
    require(asker, Right.SEE_RECEIPTS)
    taken = checkpoints.take(desk.ledger, _chains(desk, asker, None))
    return checkpoints.signed(desk.ledger.signer, taken.as_json())


def verify(desk: Desk, asker: Asker) -> Json:
    """Recompute all chains and hold the rest of the ledger against them, for whoever may see all of it.

    Raises:
        Forbidden: the asker may not see all datasets.
        Throttled: the ledger is being checked already.
    """
    require(asker, Right.SEE_RECEIPTS)
    if asker.datasets is not None:
        raise Forbidden(
            "the ledger is checked as a whole, and this token has not a grant on all of it",
            "export the receipts you may see with `noisegate receipts export FILE` and verify that file",
        )
    report = desk.ledger.verify()
    return {
        "whole": report.whole,
        "key": desk.ledger.signer.public,
        "receipts": report.receipts,
        "charges": report.charges,
        "fault": report.fault,
    }


@contextmanager
def kept_in(directory: Path | None, ledger: Ledger, every: float) -> Iterator[Keeper | None]:
    """Hold a ledger against the checkpoints in a directory, and write further ones for as long as it is open.

    Args:
        directory: where checkpoints are kept; None for nowhere.
        ledger: an open ledger.
        every: seconds between two of them, at most.

    Raises:
        LedgerUnavailable: the ledger was rolled back or rewritten since one of them.
        SetupError: the directory cannot be read or written.
    """
    if directory is None:
        yield None
        return
    try:
        held = checkpoints.hold(ledger, checkpoints.kept_in(directory))
    except OSError as error:
        raise SetupError(
            f"the directory of checkpoints {directory} cannot be read: {error.strerror}",
            "make it, or name another as `checkpoints`; it best lies where this computer cannot change it",
        ) from None
    if held.strange:
        log.warning(
            "%d files among the checkpoints in %s are none by a key of this ledger", held.strange, directory
        )
    with Keeper(ledger, partial(checkpoints.write, directory), every, held=held) as keeper:
        yield keeper


def receipt_json(receipt: Receipt) -> Json:
    """Return a receipt as JSON values; everything its hash covers is there, the body as it was hashed too."""
    return {
        "id": receipt.id,
        "chain": receipt.dataset,
        "number": receipt.seq,
        "kind": receipt.kind.value,
        "charge": receipt.charge,
        "at": receipt.at,
        "time": datetime.fromtimestamp(receipt.at, UTC).isoformat(),
        "body": _plain(receipt.content()),
        "body_text": receipt.body,
        "previous": receipt.previous,
        "hash": receipt.hash,
    }


def _visible(ledger: Ledger, asker: Asker) -> tuple[str, ...]:
    """Return the chains that an asker may see: of the datasets granted; with all of them, populations too."""
    return tuple(chain for chain in ledger.heads() if asker.datasets is None or chain in asker.datasets)


def _chains(desk: Desk, asker: Asker, dataset: str | None) -> Collection[str] | None:
    """Return the chains of an export or a checkpoint; None for all that there are."""
    return asker.datasets if dataset is None else (dataset_of(desk, asker, dataset).name,)


def _ends(after: str | None, only: str | None) -> dict[str, int]:
    """Return after which receipt of each chain a page begins."""
    if not after:
        return {}
    if only is not None and _is_number(after):
        return {only: int(after)}
    parts = [part.rpartition(":") for part in after.split(",")]
    if not all(chain and _is_number(number) for chain, _, number in parts):
        raise BadInput(
            f"{after[:100]!r} is no place among receipts",
            "give what the last page said as `next`; for one dataset a receipt's number will do",
        )
    return {chain: int(number) for chain, _, number in parts}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _plain(value: object) -> object:
    """Return JSON values with whole numbers as text where a reader may not hold them."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) <= _SAFE else str(value)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
