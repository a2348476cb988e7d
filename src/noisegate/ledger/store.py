"""The ledger: accounts, charges, receipts, stored answers, data versions and tokens, in one durable place.

TRUSTED, with the files it stands on: `charges.py`, `balances.py` and `schema.py` (the filter, all accounts
or none), `answers.py` (one answer a question), `writer.py`, `sqlite.py` and `postgres.py` (on disk before
anyone is told).
Every release is charged here before a private row is read; what cannot be written is refused. Writing is
one thread's work, reading anyone's. PROOFS.md, "Charge", "Durability" and "Stored answers".
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from sqlalchemy import select

from noisegate.errors import SetupError, Throttled
from noisegate.ledger import (
    answers,
    audit,
    balances,
    chain,
    charges,
    jobs,
    periods,
    replicas,
    schema,
    spending,
    sqlite,
    states,
    tallies,
    tokens,
    versions,
)
from noisegate.ledger.accounts import Account, AccountState, Balance, Kind, Lifetime, Period
from noisegate.ledger.decide import DayFull, Shortfall
from noisegate.ledger.memory import Memory
from noisegate.ledger.readers import Readers
from noisegate.ledger.records import (
    Asked,
    Charge,
    Charged,
    ChargeState,
    Daily,
    DataVersion,
    Earlier,
    IdempotencyKey,
    Job,
    JobState,
    Receipt,
    ReceiptKind,
    Role,
    StoredAnswer,
    Suspended,
    Tally,
    Token,
)
from noisegate.ledger.signing import Signer
from noisegate.ledger.sqlite import StateLock, make_directory
from noisegate.ledger.storage import Session, Storage
from noisegate.ledger.writer import Writer
from noisegate.privacy.filter import Limits
from noisegate.privacy.loss import Loss

__all__ = [
    "Account",
    "AccountState",
    "Asked",
    "Balance",
    "Charge",
    "ChargeState",
    "Charged",
    "Daily",
    "DataVersion",
    "Earlier",
    "IdempotencyKey",
    "Kind",
    "Ledger",
    "Lifetime",
    "Period",
    "Receipt",
    "ReceiptKind",
    "Role",
    "StoredAnswer",
    "Tally",
    "Token",
]

_ANSWERS_REMEMBERED = 512
_LONGEST_REMEMBERED = 64 * 1024
_TOKENS_REMEMBERED = 1024
_NAME = select(schema.ledger.c.id)


def _now() -> int:
    return int(time.time())


class Ledger:
    """One open ledger; any number of threads may use it.

    On SQLite the state directory is this process's alone; a ledger on a server may be open in many.

    Attributes:
        id: the ledger's own name, random, made with it.
        signer: signs what the custodian declares.
        keys: the public keys whose signatures are this ledger's: the signer's, and others that are known.
        distrusted: why nothing more is written to it, "" where it is.
    """

    def __init__(
        self,
        storage: Storage,
        lock: StateLock,
        clock: Callable[[], int],
        name: str,
        signer: Signer,
        known_keys: Collection[str] = (),
    ) -> None:
        """Take storage that is migrated and recovered, and the lock on its directory; use `open`."""
        self.id = name
        self.signer = signer
        self.keys = frozenset({signer.public, *known_keys})
        self.distrusted = ""
        self._auditing = threading.Lock()
        self._storage = storage
        self._lock = lock
        self._clock = clock
        self._latest = 0  # the latest time seen, so that no token lives again when a clock is set back
        self._writer = Writer(storage)
        self._readers = Readers(storage)
        self._presence = replicas.Presence(storage) if storage.shared else None
        self._answers: Memory[str, StoredAnswer] = Memory(_ANSWERS_REMEMBERED)
        self._tokens: Memory[str, Token] = Memory(_TOKENS_REMEMBERED)

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        url: str | None = None,
        clock: Callable[[], int] | None = None,
        known_keys: Collection[str] = (),
    ) -> Self:
        """Open the ledger in a state directory, making both where there is none.

        Charges that a crash left without an answer stay spent, and are recorded as lost.

        Args:
            directory: local disk; the ledger keeps it locked until `shut`, for itself alone on SQLite.
            url: `postgresql://…` for a ledger on that server, None for SQLite in the directory.
            clock: seconds since 1970 UTC; None for this computer's, or the server's.
            known_keys: public keys in hexadecimal that also signed for this ledger: of gateways with another
                directory, or of a key that was replaced.

        Raises:
            StateLocked: another ledger is open in the directory.
            SetupError: the URL cannot be read, or what PostgreSQL needs is not installed.
            LedgerUnavailable: it cannot be read or written, or its commits would not be durable.
        """
        try:
            make_directory(directory)
            lock = StateLock(directory, shared=url is not None)
        except OSError as error:
            raise sqlite.unavailable(error) from error
        try:
            storage = sqlite.storage(directory, clock or _now) if url is None else _on_server(url, clock)
            try:
                with closing(storage.connect()) as session:
                    replicas.recover(session)
                    (name,) = session.rows(_NAME)[0]
                signer = Signer.open(directory)
                return cls(storage, lock, clock or _now, name, signer, known_keys)
            except storage.failed as error:
                raise storage.unavailable(error) from error
        except BaseException:
            lock.release()
            raise

    def shut(self) -> None:
        """Finish what is being written, then give the state directory back. Later calls are refused."""
        self._writer.stop()
        self._readers.close()
        if self._presence is not None:
            self._presence.stop()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shut()

    def now(self) -> int:
        """Return the ledger's time, seconds since 1970 UTC: the clock's, and never before any entry's."""
        with self._reading() as session:
            return session.now()

    def open_account(self, account: Account, *, until: int | None = None, by: str = "") -> None:
        """Open an account with its first period; opening it again with the same limits is no change.

        Args:
            account: with the limits of the period, which then stand.
            until: when the period ends, seconds since 1970 UTC; None for one without end.
            by: who declares it, for the receipt.

        Raises:
            Conflict: it is open with other limits.
            NotFound: its parent is not open.
        """
        self._writer.run(lambda t: periods.open_account(t, account, until, by, self.signer))

    def renew(
        self,
        account: str,
        limits: Limits | None,
        *,
        until: int | None,
        by: str,
        reason: str = "",
        former: int | None = None,
    ) -> Balance:
        """Begin an account's next period and return the account; what the former one had left is forfeited.

        `limits` None stands for those it has, `former` is the number of the period that the caller saw. An
        account that is suspended or locked stays so.

        Raises:
            NotFound: the account is not open.
            BadInput: the period would end before it begins.
            Conflict: another period than `former` is running.
        """
        return self._writer.run(
            lambda t: periods.renew(t, account, limits, until, by, reason, self.signer, former)
        )

    def transfer(self, giver: str, taker: str, epsilon: Fraction, *, by: str) -> tuple[Balance, Balance]:
        """Move ε from what an account has left to one under the same parent, and return both.

        Each begins a new period: the giver's with what it had left less `epsilon`, the taker's with what it
        had left and `epsilon`; δ and the periods' ends stay.

        Raises:
            NotFound: one is not open.
            Conflict: they are no siblings, or one is suspended, locked, or past its period's end.
            BudgetExhausted: the giver has not so much left.
        """
        return self._writer.run(lambda t: periods.transfer(t, giver, taker, epsilon, by, self.signer))

    def suspend(self, account: str, reason: str, *, by: str) -> None:
        """Refuse every charge that names an account, so all beneath it too, until it is resumed.

        Raises:
            NotFound: the account is not open.
            Conflict: it is suspended already.
        """
        self._writer.run(lambda t: states.suspend(t, account, reason, by))

    def resume(self, account: str, *, by: str) -> None:
        """Let an account that is suspended or locked bear charges again, and forget its strikes.

        Raises:
            NotFound: the account is not open.
            Conflict: it bears charges and has no strikes.
        """
        self._writer.run(lambda t: states.resume(t, account, by))

    def strike(
        self, accounts: tuple[str, ...], reason: str, lock_after: int, body: Mapping[str, object]
    ) -> tuple[Balance, ...]:
        """Count a restricted question against its asker's accounts, and return them as they stand then.

        An account that has `lock_after` strikes is locked; one that is closed already stays as it is.

        Args:
            accounts: analysts' accounts.
            reason: a code from public facts.
            lock_after: at least 1.
            body: public facts for the receipt, JSON values only.

        Raises:
            NotFound: an account is not open.
        """
        return self._writer.run(lambda t: states.strike(t, accounts, reason, lock_after, body))

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

    def charge(self, charge: Charge) -> Charged:
        """Take a loss from every account named, durably, or raise and take nothing.

        The caller may read private rows once this has returned, unless `earlier` is set.

        Raises:
            BudgetExhausted: some account cannot bear it, or the asker's maximum of the day does not allow it.
            Blocked: this fingerprint is suspended, or an account is suspended, locked or expired.
            Conflict: the idempotency key was used for another request, or its request has no answer.
            NotFound: an account is not open.
            LedgerUnavailable: it could not be written.
        """
        taken = self._writer.together(charges.TAKE, charges.request(charge, replica=self._storage.replica))
        if isinstance(taken, Shortfall):
            raise charges.exhausted(taken)
        if isinstance(taken, DayFull):
            raise charges.day_full(taken)
        return taken

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

    def close(self, charge: int, answer: str) -> StoredAnswer:
        """Store the answer to a charge, durably, and return the one to release.

        That is this one, or the one that another charge of the same fingerprint closed with before.

        Raises:
            Conflict: the charge has failed or was lost; nothing may be released for it.
        """
        return self._writer.together(answers.CLOSE, answers.closing(charge, answer))

    def fail(self, charge: int, reason: str) -> None:
        """Mark a charge failed, which stays spent, and suspend its fingerprint for everyone.

        `reason` is a code from public facts; it goes on the receipt.
        """
        self._writer.run(lambda transaction: answers.fail(transaction, charge, reason))

    def draw(self, charge: int, loss: Loss, steps: int = 1) -> Job:
        """Draw the next steps of a job from what it reserved, durably, and return the job.

        The steps may run once this has returned, each once. Draws of different processes never overlap:
        `steps_drawn` counts them all.

        Args:
            charge: the job's.
            loss: of these steps together.
            steps: how many, at least 1.

        Raises:
            NotFound: there is no such job.
            Conflict: it has ended.
            BudgetExhausted: it has not so much left, or not so many steps.
            Blocked: an account that it was charged to is suspended or locked, or its plan is closed.
        """
        return self._writer.together(jobs.DRAW, jobs.Draw(charge, loss, steps))

    def end_job(
        self, charge: int, state: JobState, answer: str | None = None, *, reason: str = "internal"
    ) -> Job:
        """End a job, settle its charge, and give back what it never drew; ending it so again is no change.

        Args:
            charge: the job's.
            state: FINISHED stores `answer`, or finds the one of an earlier twin. FAILED closes the plan for
                everyone. CANCELLED leaves the charge as lost: nothing may be released for it.
            answer: of a job that is finished.
            reason: of one that failed, a code from public facts, for the receipt.

        Raises:
            NotFound: there is no such job.
            Conflict: it has ended otherwise, or its charge was settled.
        """
        return self._writer.run(lambda t: jobs.end(t, charge, state, answer, reason))

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

    def unsuspend(self, fingerprint: str) -> None:
        """Let a fingerprint be charged again; the custodian's decision. Raises NotFound if it may be."""
        self._writer.run(lambda transaction: answers.unsuspend(transaction, fingerprint))

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

    def distrust(self, reason: str) -> None:
        """Write nothing more until the ledger is opened anew: it is not what it was, for a public reason."""
        self.distrusted = reason
        self._writer.distrust(reason)

    def register_version(self, dataset: str, declaration: str, digest: str) -> int:
        """Record a snapshot of a dataset and return its version, one more than the last.

        Args:
            dataset: the dataset's name.
            declaration: what the custodian declared of it, public.
            digest: keyed digest of the rows, which stays with the custodian.
        """
        return self._writer.run(
            lambda transaction: versions.register(transaction, dataset, declaration, digest)
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
        project: str = "default",
    ) -> tuple[Token, str]:
        """Make a bearer token; its secret is returned this once and cannot be read again."""
        token, secret = tokens.make(name, role, grants, self.now(), expires, project)
        self._writer.run(lambda transaction: tokens.add(transaction, token, secret))
        return token, secret

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
        if found is None or found.revoked is not None:
            return None
        self._latest = max(self._latest, self._clock())
        expired = found.expires is not None and found.expires <= datetime.fromtimestamp(self._latest, UTC)
        return None if expired else found

    def list_tokens(self) -> tuple[Token, ...]:
        """Return all tokens, oldest first, revoked and expired ones too."""
        with self._reading() as transaction:
            return tokens.read_all(transaction)

    def revoke_token(self, token: str) -> None:
        """Revoke a token by its id, from this moment on. Raises NotFound for an unknown one."""
        try:
            self._writer.run(lambda transaction: tokens.revoke(transaction, token, transaction.at))
        finally:
            self._tokens.forget()

    def _reading(self) -> AbstractContextManager[Session]:
        return self._readers.lend()


def _on_server(url: str, clock: Callable[[], int] | None) -> Storage:
    try:
        from noisegate.ledger import postgres
    except ImportError as error:
        if (error.name or "").startswith("noisegate"):
            raise
        raise SetupError(
            "a ledger on PostgreSQL needs psycopg, which is not installed",
            "pip install 'noisegate[postgres]'",
        ) from error
    return postgres.storage(url, clock)
