"""Writing many rows at once, each exactly as meant. TRUSTED: one that changed meanwhile stops it all."""

from collections.abc import Mapping, Sequence

from sqlalchemy.sql import ClauseElement

from noisegate.ledger.transaction import Transaction

Change = tuple[ClauseElement, Sequence[Mapping[str, object]]]


def write(transaction: Transaction, *changes: Change) -> None:
    """Run each statement for each of its rows of values; every one of them changes exactly one row.

    Raises:
        InternalError: one changed none, as its row was not what had been read; it may come as late as from
            the commit. The caller undoes all.
    """
    transaction.change_exactly(*((statement, rows) for statement, rows in changes if rows))
