"""The reading side of a ledger: what its books say, to any number of threads at once.

TRUSTED: an answer that is found here is handed out again, at no cost (PROOFS.md, "Stored answers"). Otherwise
nothing is decided on what is read here: what writes reads anew, in its own transaction (`store.py`).
"""

import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from noisegate.errors import Throttled
from noisegate.ledger import (
    answers,
    audit,
    balances,
    chain,
    charges,
    jobs,
    spending,
    states,
    tallies,
    tokens,
    versions,
)
from noisegate.ledger.accounts import AccountState, Balance
from noisegate.ledger.memory import Memory
from noisegate.ledger.readers import Readers
from noisegate.ledger.records import (
    Asked,
    DataVersion,
    Earlier,
    IdempotencyKey,
    Job,
    Receipt,
    ReceiptKind,
    StoredAnswer,
    Suspended,
    Tally,
    Token,
)
from noisegate.ledger.storage import Session, Storage
from noisegate.privacy.filter import Limits

_ANSWERS_REMEMBERED = 512
_LONGEST_REMEMBERED = 64 * 1024
_TOKENS_REMEMBERED = 1024


class Books:
    """What is written in a ledger, as all that is committed says.

    Attributes:
        keys: the public keys whose signatures are this ledger's.
    """

    def __init__(self, storage: Storage, clock: Callable[[], int], keys: frozenset[str]) -> None:
        """Take storage that is migrated, and what its clock is where nobody else uses it."""
        self.keys = keys
        self._storage = storage
        self._clock = clock
        self._latest = 0  # the latest time seen, so that no token lives again when a clock is set back
        self._readers = Readers(storage)
        self._auditing = threading.Lock()
        self._answers: Memory[str, StoredAnswer] = Memory(_ANSWERS_REMEMBERED)
        self._tokens: Memory[str, Token] = Memory(_TOKENS_REMEMBERED)

    def now(self) -> int:
        """Return the ledger's time, seconds since 1970 UTC: the clock's, and never before any entry's."""
        with self._reading() as session:
            return session.now()

    def find_account(self, account: str) -> Balance | None:
        """Return an account with what it has spent, None where it is not open."""
        with self._reading() as transaction:
            return balances.read(transaction, account)

    def limits(self, accounts: Collection[str]) -> dict[str, Limits]:
        """Return the present limits of those of the accounts that are open."""
        with self._reading() as transaction:
            return balances.limits(transaction, accounts)

    def closed(self, accounts: Collection[str]) -> dict[str, tuple[AccountState, str]]:
        """Return those of the accounts that are suspended or locked, each with the reason."""
        with self._reading() as transaction:
            return states.closed(transaction, accounts)

    def accounts(self) -> tuple[Balance, ...]:
        """Return all accounts, parents before their children."""
        with self._reading() as transaction:
            return balances.read_all(transaction)

    def asked(self, asker: str, most: int) -> tuple[Asked, ...]:
        """Return an asker's last charged questions, newest first, at most so many; jobs are no questions."""
        with self._reading() as session:
            return charges.asked(session, asker, most)

    def tallies(self, account: str = "", since_day: int = 0) -> tuple[Tally, ...]:
        """Return what was charged by day and tier to analysts' accounts, of one and all beneath it.

        Args:
            account: "" for all accounts.
            since_day: days since 1970-01-01 UTC.
        """
        with self._reading() as session:
            return tallies.since(session, account, since_day)

    def spending(
        self, account: str, group: spending.Group, since_day: int = 0
    ) -> tuple[spending.Spending, ...]:
        """Return the tallies of an account and all beneath it, added up by account, tier or day.

        Args:
            account: "" for all accounts.
            group: what to add up by.
            since_day: days since 1970-01-01 UTC.
        """
        with self._reading() as session:
            return spending.spending(session, account, group, since_day)

    def find_idempotent(self, key: IdempotencyKey) -> Earlier | None:
        """Return the charge that a key paid for, None if it never did.

        Raises:
            Conflict: it paid for another request.
        """
        with self._reading() as transaction:
            return charges.find_idempotent(transaction, key)

    def job(self, charge: int) -> Job | None:
        """Return a job as it stands, None where the charge is none or not in steps."""
        with self._reading() as session:
            return jobs.find(session, charge)

    def jobs(self, asker: str | None = None) -> tuple[Job, ...]:
        """Return all jobs, or those of one asker, newest first."""
        with self._reading() as session:
            return jobs.find_all(session, asker)

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

    def receipts_of(self, charge: int, kind: ReceiptKind) -> tuple[Receipt, ...]:
        """Return the receipts of one kind on a charge, one a dataset."""
        with self._reading() as transaction:
            return chain.of_charge(transaction, charge, kind)

    def receipts(self, dataset: str, after_seq: int = 0, limit: int = 100) -> tuple[Receipt, ...]:
        """Return at most `limit` receipts of a dataset's chain, from the one after `after_seq` on."""
        with self._reading() as transaction:
            return chain.after(transaction, dataset, after_seq, limit)

    def heads(self) -> Mapping[str, tuple[int, str, int]]:
        """Return where each chain ends: the number, hash and time of its last receipt, all of one moment."""
        with self._reading() as session:
            return {name: (seq, hash_, at) for name, seq, hash_, at in session.rows(chain.EVERY_HEAD)}

    def receipt(self, id_: str) -> Receipt | None:
        """Return the receipt with an id such as `liver:17`, None where there is none."""
        dataset, _, seq = id_.rpartition(":")
        if not (seq.isascii() and seq.isdecimal() and len(seq) < 19):
            return None
        with self._reading() as transaction:
            return chain.one(transaction, dataset, int(seq))

    def verify(self) -> audit.Report:
        """Check all rows against the receipts, of which one thread at a time may wait; see `audit.py`.

        Raises:
            Throttled: another does already.
        """
        if not self._auditing.acquire(blocking=False):
            raise Throttled(
                "the whole ledger is being checked already", "ask again when that check is done, in a while"
            )
        try:
            with self._readers.apart() as session, session.snapshot():
                return audit.verify_rows(session, self.keys)
        finally:
            self._auditing.release()

    def current_version(self, dataset: str) -> int | None:
        """Return the number of a dataset's last version, None where none is registered."""
        with self._reading() as transaction:
            return versions.current(transaction, dataset)

    def find_version(self, dataset: str, version: int) -> DataVersion | None:
        """Return a registered version with its declaration and digest, None where there is none."""
        with self._reading() as transaction:
            return versions.one(transaction, dataset, version)

    def find_token(self, secret: str) -> Token | None:
        """Return the valid token of a secret; None if it is unknown, revoked or expired."""
        key, age = tokens.hash_of(secret), self._tokens.age
        found = self._tokens.get(key)
        if found is None:
            with self._reading() as transaction:
                found = tokens.find(transaction, secret)
                self._latest = max(self._latest, transaction.now())
            if found is not None and not self._storage.shared:  # another gateway may revoke it
                self._tokens.put(key, found, age)
        else:  # of a ledger that nobody else writes to; its time is this clock's
            self._latest = max(self._latest, self._clock())
        if found is None or found.revoked is not None:
            return None
        expired = found.expires is not None and found.expires <= datetime.fromtimestamp(self._latest, UTC)
        return None if expired else found

    def list_tokens(self) -> tuple[Token, ...]:
        """Return all tokens, oldest first, revoked and expired ones too."""
        with self._reading() as transaction:
            return tokens.read_all(transaction)

    def _reading(self) -> AbstractContextManager[Session]:
        return self._readers.lend()
