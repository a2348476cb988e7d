"""The ledger: accounts, charges, receipts, stored answers, data versions and tokens, in one durable place.

TRUSTED, with the files it stands on: `charges.py`, `balances.py` and `schema.py` (the filter, all accounts
or none), `answers.py` (one answer a question), `writer.py` and `sqlite.py` (on disk before anyone is told).
Every release is charged here before a private row is read; what cannot be written is refused. Writing is
one thread's work, reading anyone's. PROOFS.md, "Charge" and "Stored answers".
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from noisegate.ledger import answers, audit, balances, chain, charges, tokens, versions
from noisegate.ledger.accounts import Account, Balance, Kind
from noisegate.ledger.memory import Memory
from noisegate.ledger.migrate import migrate
from noisegate.ledger.records import (
    Charge,
    Charged,
    ChargeState,
    DataVersion,
    Earlier,
    IdempotencyKey,
    Receipt,
    ReceiptKind,
    Role,
    StoredAnswer,
    Suspended,
    Token,
    charge_body,
)
from noisegate.ledger.sqlite import (
    LEDGER_FILE,
    StateLock,
    connect,
    connect_to_read,
    make_directory,
    make_file,
    unavailable,
)
from noisegate.ledger.transaction import Texts, Transaction
from noisegate.ledger.writer import Writer

__all__ = [
    "Account",
    "Balance",
    "Charge",
    "ChargeState",
    "Charged",
    "DataVersion",
    "Earlier",
    "IdempotencyKey",
    "Kind",
    "Ledger",
    "Receipt",
    "ReceiptKind",
    "Role",
    "StoredAnswer",
    "Token",
]

_ANSWERS_REMEMBERED = 512
_LONGEST_REMEMBERED = 64 * 1024
_TOKENS_REMEMBERED = 1024


def _now() -> int:
    return int(time.time())


class Ledger:
    """One open ledger; any number of threads may use it. The state directory is this process's alone."""

    def __init__(self, file: Path, lock: StateLock, clock: Callable[[], int]) -> None:
        """Take a file that is migrated and recovered, and the lock on its directory; use `open`."""
        self._file = file
        self._lock = lock
        self._clock = clock
        self._texts = Texts()
        self._writer = Writer(lambda: connect(file), self._texts)
        self._readers: list[sqlite3.Connection] = []
        self._open = True
        self._answers: Memory[str, StoredAnswer] = Memory(_ANSWERS_REMEMBERED)
        self._tokens: Memory[str, Token] = Memory(_TOKENS_REMEMBERED)

    @classmethod
    def open(cls, directory: Path, *, clock: Callable[[], int] = _now) -> Self:
        """Open the ledger in a state directory, making both where there is none.

        Charges that a crash left without an answer stay spent, and are recorded as lost.

        Args:
            directory: local disk; the ledger keeps it locked until `shut`.
            clock: seconds since 1970 UTC.

        Raises:
            StateLocked: another ledger is open in the directory.
            LedgerUnavailable: it cannot be read or written, or its commits would not be durable.
        """
        try:
            make_directory(directory)
            lock = StateLock(directory)
        except OSError as error:
            raise unavailable(error) from error
        file = directory / LEDGER_FILE
        try:
            make_file(file)
            with closing(connect(file)) as connection:
                migrate(connection)
            with closing(connect(file)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                answers.recover(Transaction(connection, Texts()), clock())
                connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            lock.release()
            raise unavailable(error) from error
        except BaseException:
            lock.release()
            raise
        return cls(file, lock, clock)

    def shut(self) -> None:
        """Finish what is being written, then give the state directory back. Later calls are refused."""
        if not self._open:
            return
        self._open = False
        self._writer.stop()
        while self._readers:
            self._readers.pop().close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shut()

    def open_account(self, account: Account) -> None:
        """Open an account with its limits, which then stand; opening it again with the same is no change.

        Raises:
            Conflict: it is open with other limits.
            NotFound: its parent is not open.
        """
        at = self._clock()
        self._writer.run(lambda transaction: balances.open_account(transaction, account, at))

    def find_account(self, account: str) -> Balance | None:
        """Return an account with what it has spent, None where it is not open."""
        with self._reading() as transaction:
            return balances.read(transaction, account)

    def accounts(self) -> tuple[Balance, ...]:
        """Return all accounts, parents before their children."""
        with self._reading() as transaction:
            return balances.read_all(transaction)

    def charge(self, charge: Charge) -> Charged:
        """Take a loss from every account named, durably, or raise and take nothing.

        The caller may read private rows once this has returned, unless `earlier` is set.

        Raises:
            BudgetExhausted: some account cannot bear it.
            Blocked: this fingerprint is suspended.
            Conflict: the idempotency key was used for another request, or its request has no answer.
            NotFound: an account is not open.
            LedgerUnavailable: it could not be written.
        """
        at, body = self._clock(), charge_body(charge)
        taken = self._writer.run(lambda transaction: charges.take(transaction, charge, body, at))
        if isinstance(taken, charges.Shortfall):
            raise charges.exhausted(taken)
        return taken

    def find_idempotent(self, key: IdempotencyKey) -> Earlier | None:
        """Return the charge that a key paid for, None if it never did.

        Raises:
            Conflict: it paid for another request.
        """
        with self._reading() as transaction:
            return charges.find_idempotent(transaction, key)

    def close(self, charge: int, answer: str) -> StoredAnswer:
        """Store the answer to a charge, durably, and return the one to release.

        That is this one, or the one that another charge of the same fingerprint closed with before.

        Raises:
            Conflict: the charge has failed or was lost; nothing may be released for it.
        """
        at = self._clock()
        return self._writer.run(lambda transaction: answers.close(transaction, charge, answer, at))

    def fail(self, charge: int, reason: str) -> None:
        """Mark a charge failed, which stays spent, and suspend its fingerprint for everyone.

        `reason` is a code from public facts; it goes on the receipt.
        """
        at = self._clock()
        self._writer.run(lambda transaction: answers.fail(transaction, charge, reason, at))

    def find_answer(self, fingerprint: str) -> StoredAnswer | None:
        """Return the answer stored under a fingerprint, with its receipts, or None."""
        known = self._answers.get(fingerprint)
        if known is not None:
            return known
        with self._reading() as transaction:
            found = answers.find(transaction, fingerprint)
        # An answer never changes, so it is never forgotten; long ones are read again each time.
        if found is not None and len(found.answer) <= _LONGEST_REMEMBERED:
            self._answers.put(fingerprint, found, self._answers.age)
        return found

    def is_suspended(self, fingerprint: str) -> bool:
        """Return whether charges for a fingerprint are refused since one failed."""
        with self._reading() as transaction:
            return answers.is_suspended(transaction, fingerprint)

    def suspended(self) -> tuple[Suspended, ...]:
        """Return the plans that failed after a charge and have not been opened again, oldest first."""
        with self._reading() as transaction:
            return answers.suspended(transaction)

    def unsuspend(self, fingerprint: str) -> None:
        """Let a fingerprint be charged again; the custodian's decision. Raises NotFound if it may be."""
        at = self._clock()
        self._writer.run(lambda transaction: answers.unsuspend(transaction, fingerprint, at))

    def receipts_of(self, charge: int, kind: ReceiptKind) -> tuple[Receipt, ...]:
        """Return the receipts of one kind on a charge, one a dataset."""
        with self._reading() as transaction:
            return chain.of_charge(transaction, charge, kind)

    def receipts(self, dataset: str, after_seq: int = 0, limit: int = 100) -> tuple[Receipt, ...]:
        """Return at most `limit` receipts of a dataset's chain, from the one after `after_seq` on."""
        with self._reading() as transaction:
            return chain.after(transaction, dataset, after_seq, limit)

    def receipt(self, id_: str) -> Receipt | None:
        """Return the receipt with an id such as `liver:17`, None where there is none."""
        dataset, _, seq = id_.rpartition(":")
        if not (seq.isascii() and seq.isdecimal() and len(seq) < 19):
            return None
        with self._reading() as transaction:
            return chain.one(transaction, dataset, int(seq))

    def verify(self) -> audit.Report:
        """Check all rows against the receipts; see `audit.py`."""
        with self._reading() as transaction:
            transaction.connection.execute("BEGIN")
            try:
                return audit.verify_rows(transaction)
            finally:
                transaction.connection.execute("COMMIT")

    def register_version(self, dataset: str, declaration: str, digest: str) -> int:
        """Record a snapshot of a dataset and return its version, one more than the last.

        Args:
            dataset: the dataset's name.
            declaration: what the custodian declared of it, public.
            digest: keyed digest of the rows, which stays with the custodian.
        """
        at = self._clock()
        return self._writer.run(
            lambda transaction: versions.register(transaction, dataset, declaration, digest, at)
        )

    def current_version(self, dataset: str) -> int | None:
        """Return the number of a dataset's last version, None where none is registered."""
        with self._reading() as transaction:
            return versions.current(transaction, dataset)

    def find_version(self, dataset: str, version: int) -> DataVersion | None:
        """Return a registered version with its declaration and digest, None where there is none."""
        with self._reading() as transaction:
            return versions.one(transaction, dataset, version)

    def create_token(
        self,
        name: str,
        role: Role,
        grants: tuple[str, ...] | Literal["*"],
        expires: datetime | None = None,
    ) -> tuple[Token, str]:
        """Make a bearer token; its secret is returned this once and cannot be read again."""
        token, secret = tokens.make(name, role, grants, self._clock(), expires)
        self._writer.run(lambda transaction: tokens.add(transaction, token, secret))
        return token, secret

    def find_token(self, secret: str) -> Token | None:
        """Return the valid token of a secret; None if it is unknown, revoked or expired."""
        key, age = tokens.hash_of(secret), self._tokens.age
        found = self._tokens.get(key)
        if found is None:
            with self._reading() as transaction:
                found = tokens.find(transaction, secret)
            if found is not None:
                self._tokens.put(key, found, age)
        if found is None or found.revoked is not None:
            return None
        expired = found.expires is not None and found.expires <= datetime.fromtimestamp(self._clock(), UTC)
        return None if expired else found

    def list_tokens(self) -> tuple[Token, ...]:
        """Return all tokens, oldest first, revoked and expired ones too."""
        with self._reading() as transaction:
            return tokens.read_all(transaction)

    def revoke_token(self, token: str) -> None:
        """Revoke a token by its id, from this moment on. Raises NotFound for an unknown one."""
        at = self._clock()
        try:
            self._writer.run(lambda transaction: tokens.revoke(transaction, token, at))
        finally:
            self._tokens.forget()

    @contextmanager
    def _reading(self) -> Iterator[Transaction]:
        """Lend a connection that sees all that is committed."""
        if not self._open:
            raise unavailable()
        try:
            connection = self._reader()
        except sqlite3.Error as error:
            raise unavailable(error) from error
        whole = True
        try:
            yield Transaction(connection, self._texts)
        except sqlite3.Error as error:
            whole = False
            raise unavailable(error) from error
        finally:
            if whole and self._open:
                self._readers.append(connection)
            else:
                connection.close()

    def _reader(self) -> sqlite3.Connection:
        try:
            return self._readers.pop()
        except IndexError:
            return connect_to_read(self._file)
