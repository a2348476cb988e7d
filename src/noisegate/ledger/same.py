"""Whether a ledger that is connected to anew is the one that was written to. TRUSTED.

A server may come back with an older state: from a backup, or as a standby that took over without the last
commits. What was spent would be unspent. PROOFS.md, "Durability"; for rollbacks that nobody here saw,
"Checkpoints".
"""

from collections.abc import Mapping

from sqlalchemy import select

from noisegate.ledger import chain, schema
from noisegate.ledger.transaction import Transaction

NAME = select(schema.ledger.c.id)
ROLLED_BACK = "it was rolled back or rewritten while the gateway ran"


def is_same(transaction: Transaction, name: str, ends: Mapping[str, tuple[int, str]]) -> bool:
    """Whether this is the ledger of that name, and its chains still have these receipts: number and hash."""
    if [row[0] for row in transaction.rows(NAME)] != [name]:
        return False
    heads = {dataset: (seq, head) for dataset, seq, head, _ in transaction.rows(chain.EVERY_HEAD)}
    for dataset, (seq, hash_) in ends.items():
        if heads.get(dataset) != (seq, hash_):  # others may have added to it
            receipt = chain.one(transaction, dataset, seq)
            if receipt is None or receipt.hash != hash_:
                return False
    return True
