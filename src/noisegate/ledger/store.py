"""The ledger: accounts, charges, receipts, stored answers, data versions and tokens, in one durable place.

TRUSTED, with the files it stands on: `charges.py`, `balances.py` and `schema.py` (the filter, all accounts
or none), `answers.py` (one answer a question), `writer.py`, `sqlite.py` and `postgres.py` (on disk before
anyone is told).
Every release is charged here before a private row is read; what cannot be written is refused. Writing is
one thread's work, reading anyone's. PROOFS.md, "Charge", "Durability" and "Stored answers".
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from noisegate.errors import LedgerUnavailable, SetupError
from noisegate.ledger import answers, charges, jobs, periods, replicas, same, sqlite, states, tokens, versions
from noisegate.ledger.accounts import Account, AccountState, Balance, Kind, Lifetime, Period
from noisegate.ledger.books import Books
from noisegate.ledger.decide import DayFull, Shortfall
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

_log = logging.getLogger("noisegate.ledger")


def _now() -> int:
    return int(time.time())


class Ledger(Books):
    """One open ledger; any number of threads may use it. What only reads is in `Books`.

    On SQLite the state directory is this process's alone; a ledger on a server may be open in many.

    Attributes:
        id: the ledger's own name, random, made with it.
        signer: signs what the custodian declares.
        keys: the signer's public key, and others that are known.
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
        super().__init__(storage, clock, frozenset({signer.public, *known_keys}))
        self.id = name
        self.signer = signer
        self.distrusted = ""
        self._lock = lock
        self._writer = Writer(storage, self._recognise)
        self._presence = replicas.Presence(storage, self._recognise) if storage.shared else None

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
                    (name,) = session.rows(same.NAME)[0]
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

    def unsuspend(self, fingerprint: str) -> None:
        """Let a fingerprint be charged again; the custodian's decision. Raises NotFound if it may be."""
        self._writer.run(lambda transaction: answers.unsuspend(transaction, fingerprint))

    def distrust(self, reason: str) -> None:
        """Write nothing more until the ledger is opened anew: it is not what it was, for a public reason."""
        self.distrusted = reason
        self._writer.distrust(reason)

    def _recognise(self, session: Session) -> None:
        """Distrust the ledger, and raise, where a new connection leads to another state than was written."""
        if not self.distrusted:
            if same.is_same(session, self.id, self._writer.ends):
                return
            _log.critical("the ledger that was connected to anew lacks what was written before")
            self.distrust(same.ROLLED_BACK)
        raise LedgerUnavailable(self.distrusted)

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

    def revoke_token(self, token: str) -> None:
        """Revoke a token by its id, from this moment on. Raises NotFound for an unknown one."""
        try:
            self._writer.run(lambda transaction: tokens.revoke(transaction, token, transaction.at))
        finally:
            self._tokens.forget()


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
