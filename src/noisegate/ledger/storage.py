"""What SQLite and PostgreSQL do each in their own way; the rest of the ledger speaks to these words only.

TRUSTED: a session's `commit` returns when what it did is on disk, and `hold` when nobody else can write
to the trees it named until then. PROOFS.md, "Durability".
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import func, select

from noisegate.errors import InternalError, LedgerUnavailable
from noisegate.ledger import schema
from noisegate.ledger.transaction import Transaction

# The time of the last entry in any chain: the ledger's clock never goes back before it.
LAST_ENTRY = select(func.coalesce(func.max(schema.chain.c.at), 0))


def changed_meanwhile() -> InternalError:
    """Return the error where a row was not what had been read, though its tree was held."""
    return InternalError("the ledger's rows are not what was decided on; nothing was taken")


class Session(Transaction, Protocol):
    """One connection to the ledger's database, used by one thread at a time. Reads need no `begin`."""

    def now(self) -> int:
        """Return the ledger's time, seconds since 1970 UTC: the clock's, and never before any entry's."""

    def is_gone(self, replica: int) -> bool:
        """Whether the gateway of that number has ended; then it stays so until this transaction ends."""

    def alive(self) -> bool:
        """Whether nobody has closed the connection from the other side, as far as is known here."""

    def begin(self) -> None:
        """Begin a transaction that writes."""

    def hold(self, populations: frozenset[str] | None) -> None:
        """Wait until no one else writes to the trees of these populations, None for all, and tell `at`.

        PostgreSQL may be asked only with what is read or written next, which then waits.
        """

    def commit(self) -> None:
        """End the transaction; everything it did is on disk when this returns."""

    def rollback(self) -> None:
        """End the transaction; nothing it did remains."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Show one state of the whole ledger to all reads inside, and text that is not UTF-8 as it is."""

    def close(self) -> None:
        """Give the connection back; a transaction that is open is undone."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A database that a ledger is kept in.

    Attributes:
        connect: a session that may write. Raises LedgerUnavailable where commits would not be durable.
        connect_to_read: a session that cannot write.
        readers: how many sessions may read at once.
        shared: whether other gateways may use it at the same time.
        replica: the number of this gateway among those that share it, 0 where none can.
        refused: what a session raises at a value that breaks a CHECK or cannot be stored.
        failed: what else it raises, when the storage itself fails.
        again: those of `failed` that say for certain that the transaction was undone, and may not come again.
        unavailable: the one error that callers see of `failed`, whatever the reason.
    """

    connect: Callable[[], Session]
    connect_to_read: Callable[[], Session]
    readers: int
    shared: bool
    replica: int
    refused: tuple[type[Exception], ...]
    failed: tuple[type[Exception], ...]
    again: tuple[type[Exception], ...]
    unavailable: Callable[[BaseException | None], LedgerUnavailable]
