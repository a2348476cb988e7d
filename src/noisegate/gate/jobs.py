"""Releases in steps, such as training and streams: the whole schedule is charged first, then drawn from.

TRUSTED. `open_job` goes through the same door as a question, with the loss of all steps together. Each step
is drawn from that, durably, before it runs; a job may so be left, killed and resumed, and what it never
started returns to the accounts when it ends. PROOFS.md, "Jobs".
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from noisegate.errors import (
    Blocked,
    Conflict,
    EngineFailed,
    EngineTimeout,
    InternalError,
    LedgerUnavailable,
    NoisegateError,
    NotFound,
    RequestError,
)
from noisegate.gate.access import Asker, Right, require
from noisegate.gate.door import Gate, Offer, own_accounts, twice
from noisegate.ledger.accounts import Kind, kind_of
from noisegate.ledger.records import Job, JobState, Receipt, ReceiptKind, Role, canonical, loss_as_json
from noisegate.ledger.store import Ledger
from noisegate.privacy.loss import ZERO, Loss


@dataclass(frozen=True, slots=True)
class Schedule:
    """All steps of a job, in order: each part is a loss and how many steps with it follow each other."""

    parts: tuple[tuple[Loss, int], ...]

    def __post_init__(self) -> None:
        if not self.parts or any(count < 1 for _, count in self.parts):
            raise ValueError("a schedule has at least one part, and each part at least one step")

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return sum(count for _, count in self.parts)

    @property
    def total(self) -> Loss:
        """The loss of all steps together, which is what is charged."""
        return sum((loss.times(count) for loss, count in self.parts), ZERO)

    def at(self, step: int) -> Loss:
        """Return the loss of a step, counted from 0.

        Raises:
            ValueError: the schedule has no such step.
        """
        left = step
        for loss, count in self.parts:
            if 0 <= left < count:
                return loss
            left -= count
        raise ValueError(f"a schedule of {self.steps} steps has no step {step}")

    def of(self, first: int, steps: int) -> Loss:
        """Return the loss of so many steps from one on, counted from 0; past the end there is none."""
        found, begins = ZERO, 0
        for loss, count in self.parts:
            among = min(first + steps, begins + count) - max(first, begins)
            found += loss.times(max(among, 0))
            begins += count
        return found


@dataclass(slots=True)
class JobPassage:
    """A job past its charge. `stored` holds the answer where the same job was finished before.

    `job` is how it stood after the last step that was drawn here, None where nothing was charged.
    """

    stored: str | None
    receipt: Receipt
    job: Job | None
    _ledger: Ledger
    _fingerprint: str
    _schedule: Schedule
    _refused: NoisegateError | None = field(default=None)

    @property
    def replayed(self) -> bool:
        """Whether the answer was already there, at no cost."""
        return self.job is None

    def spend(self, loss: Loss | None = None, steps: int = 1) -> Job:
        """Draw the loss of the next steps from what was reserved; durable when it returns.

        Only then may the steps run, once. The job that comes back counts every step drawn by anyone, so
        `steps_drawn - 1` is the number of the last one, and nobody else's.

        Args:
            loss: of all these steps together, at least what the schedule says; None for just that.
            steps: how many they are, at least 1.

        Raises:
            ValueError: the schedule says that these steps lose more.
            BudgetExhausted: the schedule has no such loss, or not so many steps, left.
            Conflict: the job has ended, perhaps in another process; or another process drew meanwhile, so
                that these steps are others, which lose more: they stay drawn and may not run.
            Blocked: an account that it draws on, or its plan, is closed.
            LedgerUnavailable: it could not be written, so the step may not run.
        """
        running = self._running()
        wanted = self._schedule.of(running.steps_drawn, steps)
        if loss is None:
            loss = wanted
        elif not covers(loss, wanted):
            raise ValueError("a draw is of no less than its schedule says these steps lose")
        try:
            drawn = self._ledger.draw(running.charge, loss, steps)
            self.job = drawn
            if not covers(loss, self._schedule.of(drawn.steps_drawn - steps, steps)):
                raise Conflict(
                    f"another process drew from job {drawn.charge}, and the steps that come now lose more",
                    "these steps may not run; draw again, from where the job is now",
                )
        except NoisegateError as refused:
            self._refused = refused
            raise
        return drawn

    def finish(self, answer: str) -> str:
        """Record the answer, return what was never drawn, and give the text to release.

        That is this one, or the one that a twin of this job finished with before. Finishing again changes
        nothing.

        Raises:
            Conflict: the job has failed or was cancelled, or no step of it was drawn: nothing may be
                released for it.
            LedgerUnavailable: it could not be recorded, so nothing is released; the job runs on.
        """
        charge = self._running().charge
        try:
            self.job = twice(lambda: self._ledger.end_job(charge, JobState.FINISHED, answer))
        except (LedgerUnavailable, RequestError) as refused:
            self._refused = refused
            raise
        found = self._ledger.find_answer(self._fingerprint)
        if found is None:
            raise InternalError("the job is finished and its answer cannot be found")
        self.receipt = found.receipt
        return found.answer

    def failed(self, reason: str) -> None:
        """End the job as failed unless it has ended; its plan is then closed for everyone."""
        if self.job is not None and self.job.state is JobState.RUNNING:
            charge = self.job.charge
            self.job = twice(lambda: self._ledger.end_job(charge, JobState.FAILED, reason=reason))

    def refused_with(self, error: BaseException) -> bool:
        """Whether an error is the ledger's refusal of the last draw or end, and no failure of the work."""
        return error is self._refused

    def _running(self) -> Job:
        if self.job is None:
            raise InternalError("this job was finished before: its answer is stored and nothing is reserved")
        return self.job


def covers(loss: Loss, wanted: Loss) -> bool:
    """Whether a loss is no smaller than another, at every order and for δ."""
    pairs = zip((*loss.renyi, loss.delta), (*wanted.renyi, wanted.delta), strict=True)
    return all(held >= needed for held, needed in pairs)


@contextmanager
def open_job(
    gate: Gate, asker: Asker, offer: Offer, schedule: Schedule, idempotency_key: str | None = None
) -> Iterator[JobPassage]:
    """Reserve a whole schedule and let the job through, or refuse it at no cost.

    Inside, draw each step before it runs and finish with the answer. Work that raises fails the job and
    closes its plan; leaving without an answer, an interruption, and what the ledger itself refuses leave it
    running, to be resumed.

    Args:
        gate: the gate to go through.
        asker: whose accounts pay.
        offer: the release as a whole; its loss is the schedule's total.
        schedule: all steps.
        idempotency_key: a key with the same job is charged once.

    Raises:
        Forbidden: the asker lacks the role or a grant.
        Blocked: this plan failed after a charge before, or an account is closed.
        Conflict: the asker runs the same job already, or the key was used for another.
        BudgetExhausted: some account cannot bear the whole schedule.
        LedgerUnavailable: nothing can be recorded, so nothing is released.
    """
    whole = scheduled(offer, schedule)
    gate.authorise(asker, whole)
    ledger = gate.ledger
    with gate.alone(whole.fingerprint):
        if ledger.find_answer(whole.fingerprint) is None:
            _refuse_twice(ledger, asker, whole)
        taken = gate.take_job(asker, whole, idempotency_key, schedule.steps)
    job = None if taken.charge is None else ledger.job(taken.charge)
    if taken.stored is None and job is None:
        raise InternalError("a schedule was reserved and its job cannot be found")
    passage = JobPassage(taken.stored, taken.receipt, job, ledger, whole.fingerprint, schedule)
    with _closing(passage):
        yield passage


@contextmanager
def resume_job(
    gate: Gate, asker: Asker, charge: int, offer: Offer, schedule: Schedule
) -> Iterator[JobPassage]:
    """Go on with a job after a pause or a restart, with what is left of its schedule.

    `job.steps_drawn` says how many steps were started; they are not run again, whatever became of them.

    Args:
        gate: the gate to go through.
        asker: who opened the job, and nobody else.
        charge: the job's number.
        offer: as it was opened with, data versions included.
        schedule: as it was opened with.

    Raises:
        Forbidden: the asker lost the role or a grant.
        NotFound: there is no such job of theirs.
        Conflict: it has ended, or was opened as another job.
        Blocked: its plan was closed since.
    """
    whole = scheduled(offer, schedule)
    gate.authorise(asker, whole)
    ledger = gate.ledger
    job = ledger.job(charge)
    if job is None or not is_own(asker, job):
        raise not_found(charge)
    receipt = _receipt(ledger, job)
    if receipt.content()["fingerprint"] != whole.fingerprint:
        raise Conflict(
            f"job {charge} was reserved for another plan, schedule or version of the data",
            "cancel it, which gives back what it never drew, and open the new one",
        )
    if job.state is not JobState.RUNNING:
        raise Conflict(f"job {charge} is {job.state.value}", "open it anew; what was drawn stays spent")
    if ledger.is_suspended(whole.fingerprint):
        raise Blocked(
            f"the plan of job {charge} failed elsewhere and is closed for everyone",
            "ask the custodian to look at it and open it again",
        )
    passage = JobPassage(None, receipt, job, ledger, whole.fingerprint, schedule)
    with _closing(passage):
        yield passage


def cancel_job(ledger: Ledger, asker: Asker, charge: int) -> Job:
    """End a job without an answer and return what it never drew. Cancelling again is no change.

    Raises:
        Forbidden: the asker's role may not.
        NotFound: there is no such job, or none that the asker may know of.
        Conflict: it has finished or failed.
    """
    require(asker, Right.CANCEL_JOBS)
    job = ledger.job(charge)
    if job is None or not may_see(asker, job):
        raise not_found(charge)
    return ledger.end_job(charge, JobState.CANCELLED)


def may_see(asker: Asker, job: Job) -> bool:
    """Whether an asker may know of a job: of those on granted data, and an analyst of their own alone."""
    granted = all(asker.may_see(dataset) for dataset in job.datasets)
    return granted and (asker.role is not Role.ANALYST or is_own(asker, job))


def is_own(asker: Asker, job: Job) -> bool:
    """Whether a job was charged to an asker's own accounts, on data that they hold a grant on.

    Each custodian gives out names: the same name on another's data, or in another project, is another's.
    """
    population = job.accounts[0]
    paid = {account for account in job.accounts if kind_of(account) is Kind.ANALYST}
    return paid == set(own_accounts(population, job.datasets, asker)) and all(
        map(asker.may_see, job.datasets)
    )


def not_found(charge: int | str) -> NotFound:
    """Return the error for a job that there is not, or that the asker may not know of."""
    return NotFound(f"there is no job {charge} here", "`noisegate jobs list` lists them")


def scheduled(offer: Offer, schedule: Schedule) -> Offer:
    """Return an offer as the gate takes it for a job: its schedule is part of what it is.

    Raises:
        ValueError: the offer's loss is not the schedule's total.
    """
    total = schedule.total
    if offer.loss != total:
        raise ValueError("the loss of a job's offer is the total of its schedule")
    parts = [[loss_as_json(loss), count] for loss, count in schedule.parts]
    text = canonical(["job", offer.fingerprint, parts])
    return replace(
        offer,
        fingerprint=hashlib.sha256(text.encode()).hexdigest(),
        body={**offer.body, "schedule": [count for _, count in schedule.parts]},
    )


def _refuse_twice(ledger: Ledger, asker: Asker, whole: Offer) -> None:
    """Raise Conflict where the asker has the same job running: a restart resumes it, and pays once.

    A courtesy: where another gateway opens it at this very moment, both are charged.
    """
    for job in ledger.jobs(asker.name):
        if (
            job.state is JobState.RUNNING
            and is_own(asker, job)
            and _receipt(ledger, job).content()["fingerprint"] == whole.fingerprint
        ):
            raise Conflict(f"you have this job running, as job {job.charge}", "resume it, or cancel it first")


def _receipt(ledger: Ledger, job: Job) -> Receipt:
    """Return the receipt of a job's charge, on the first of its datasets."""
    return ledger.receipts_of(job.charge, ReceiptKind.CHARGE)[0]


@contextmanager
def _closing(passage: JobPassage) -> Iterator[None]:
    """Fail the job where the work raised, and tell the asker what the door tells of a question."""
    try:
        yield
    except (EngineFailed, EngineTimeout) as failure:
        passage.failed(failure.code)
        # How it failed is for the custodian: the asker is told one thing, whatever it was.
        raise EngineFailed from None
    except Exception as error:
        if not passage.refused_with(error):
            passage.failed("internal")
        raise
