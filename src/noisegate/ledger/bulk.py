"""Writing many rows at once, each exactly as meant. TRUSTED: one that changed meanwhile stops it all."""

from noisegate.ledger.transaction import Change, Transaction


def write(transaction: Transaction, *changes: Change) -> None:
    """Run each change for each of its rows of values; every one of them changes exactly one row.

    Raises:
        InternalError: one changed none, as its row was not what had been read; it may come as late as from
            the commit. The caller undoes all.
    """
    transaction.change_exactly(*(change for change in changes if change.rows))
