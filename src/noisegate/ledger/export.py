"""Receipts as a file that proves itself: docs/reference/receipts.md says how to read it.

A first line, one line a receipt, chain after chain, and a signed last line. The ends of the chains are
read once, at the beginning; receipts are only ever added, so what lies before these ends is one state of
the ledger, however long the writing takes and whatever is added meanwhile.
"""

import hashlib
from collections.abc import Collection, Iterator
from itertools import chain as joined

from noisegate.errors import InternalError
from noisegate.ledger.checkpoints import Checkpoint, signed, take
from noisegate.ledger.records import Receipt, canonical
from noisegate.ledger.store import Ledger

FORMAT = "noisegate receipts 1"
END = "noisegate receipts end 1"
MEDIA_TYPE = "application/jsonl"
_PAGE = 200  # receipts read, and handed on, at a time


def export(ledger: Ledger, chains: Collection[str] | None = None) -> Iterator[bytes]:
    """Yield the file of some chains, or of all, in pieces of whole lines.

    Raises:
        LedgerUnavailable: it cannot be read; the file is then without its last line, and shows that.
        InternalError: a chain does not lead to its head; likewise.
    """
    until = take(ledger, chains)
    named = sorted(until.heads, key=_place)
    header = {"format": FORMAT, "ledger": until.ledger, "chains": named, "all": chains is None}
    digest = hashlib.sha256()
    for piece in joined([f"{canonical(header)}\n".encode()], _pieces(ledger, until, named)):
        digest.update(piece)
        yield piece
    end = {**until.as_json(END), "sha256": digest.hexdigest()}
    yield f"{canonical(signed(ledger.signer, end))}\n".encode()


def line_of(receipt: Receipt) -> str:
    """Return a receipt's line: all that its hash covers, and the hash."""
    return canonical(
        {
            "at": receipt.at,
            "body": receipt.body,
            "chain": receipt.dataset,
            "charge": receipt.charge,
            "hash": receipt.hash,
            "kind": receipt.kind.value,
            "number": receipt.seq,
            "previous": receipt.previous,
        }
    )


def _pieces(ledger: Ledger, until: Checkpoint, chains: list[str]) -> Iterator[bytes]:
    for chain in chains:
        end, head = until.heads[chain]
        seq, last = 0, ""
        while seq < end:
            page = ledger.receipts(chain, seq, min(_PAGE, end - seq))
            if not page:
                break
            seq, last = page[-1].seq, page[-1].hash
            yield "".join(f"{line_of(receipt)}\n" for receipt in page).encode()
        if (seq, last) != (end, head):
            raise InternalError(f"chain {chain!r} does not lead to its head; the export was broken off")


def _place(chain: str) -> tuple[bool, str]:
    """Return what chains are put in order by: populations first, whose accounts datasets' charges name."""
    return not chain.startswith("population/"), chain
