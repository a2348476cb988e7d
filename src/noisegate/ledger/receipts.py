"""The hash chain of receipts: what a receipt's hash is made of, and the check of a chain.

A receipt's hash covers the hash of the one before it in its dataset's chain. Fields are packed with
their lengths, so that no two different receipts pack to the same bytes. A chain proves that nothing was
changed, left out or moved only to someone who holds an earlier hash of it, or trusts its head: who can
rewrite every row can rewrite the chain too (PROOFS.md, "Chain").
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from noisegate.ledger.records import DataVersion, Receipt, ReceiptKind, canonical
from noisegate.ledger.signing import Signer, signed_by

GENESIS = "0" * 64
ENTRY_TAG = b"noisegate entry 1\0"
_TAG = "noisegate receipt 1"


class Fault(Exception):
    """Rows that do not agree; the message says which and how."""


def pack(*fields: str) -> bytes:
    """Return texts as bytes, each after its length in 8 bytes.

    >>> pack("ab", "") == bytes([0] * 7 + [2]) + b"ab" + bytes([0] * 8)
    True
    """
    encoded = [f.encode() for f in fields]
    return b"".join([part for e in encoded for part in (len(e).to_bytes(8, "big"), e)])


def link(
    previous: str, dataset: str, seq: int, kind: ReceiptKind, charge: int | None, at: int, body: str
) -> Receipt:
    """Return the receipt that follows `previous` in a chain."""
    of = "" if charge is None else str(charge)
    packed = pack(_TAG, previous, dataset, str(seq), kind.value, of, str(at), body)
    return Receipt(dataset, seq, kind, charge, at, body, previous, hashlib.sha256(packed).hexdigest())


def linked(receipts: Iterable[Receipt], heads: Mapping[str, tuple[int, str]]) -> Iterator[Receipt]:
    """Yield receipts, chain by chain, each once it is checked against the one before it.

    Raises:
        Fault: one was changed, left out, added or moved, or a chain does not end at its head.
    """
    ends: dict[str, tuple[int, str]] = {}
    for receipt in receipts:
        seq, previous = ends.get(receipt.dataset, (0, GENESIS))
        if receipt.seq != seq + 1:
            raise Fault(f"chain {receipt.dataset!r} goes from receipt {seq} to {receipt.seq}")
        expected = link(
            previous, receipt.dataset, receipt.seq, receipt.kind, receipt.charge, receipt.at, receipt.body
        )
        if receipt != expected:
            raise Fault(f"receipt {receipt.id} is not the one that was recorded")
        ends[receipt.dataset] = (receipt.seq, receipt.hash)
        yield receipt
    for dataset in sorted(ends.keys() | heads.keys()):
        if ends.get(dataset) != heads.get(dataset):
            raise Fault(f"chain {dataset!r} does not end at its head")


def registration(version: DataVersion) -> str:
    """Return the receipt body of a registered data version.

    The keyed digest itself stays out of it: equal digests would tell that the rows are the same. The
    commitment covers the version's number, so it differs for equal digests too.
    """
    packed = pack(version.dataset, str(version.version), version.digest)
    return canonical(
        {
            "version": version.version,
            "declaration_sha256": hashlib.sha256(version.declaration.encode()).hexdigest(),
            "digest_commitment": hashlib.sha256(packed).hexdigest(),
        }
    )


def signed(body: Mapping[str, object], signer: Signer) -> str:
    """Return the body of an entry that is the custodian's word, with the key and signature that say so.

    The signature is over ENTRY_TAG and the canonical JSON of the body with its key.
    """
    keyed = {**body, "key": signer.public}
    return canonical({**keyed, "signature": signer.sign(ENTRY_TAG + canonical(keyed).encode())})


def is_signed(content: Mapping[str, object]) -> bool:
    """Whether an entry's body bears the signature of the key that it names."""
    unsigned = {name: value for name, value in content.items() if name != "signature"}
    key, signature = content.get("key"), content.get("signature")
    if not isinstance(key, str) or not isinstance(signature, str):
        return False
    return signed_by(key, signature, ENTRY_TAG + canonical(unsigned).encode())
