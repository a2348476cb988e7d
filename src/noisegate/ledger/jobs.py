"""Charges in steps: drawing from what a job reserved, and giving back what it never drew. TRUSTED.

A job's whole loss stands on its accounts from the start. `draw` moves a part of it from reserved to drawn,
by one conditional update, before the step runs; `end` returns the rest once, in the transaction that
settles the job. PROOFS.md, "Jobs".
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import assert_never

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, exists, literal_column, select, update

from noisegate.errors import Blocked, BudgetExhausted, Conflict, InternalError, NoisegateError, NotFound
from noisegate.ledger import answers, chain, returns, schema
from noisegate.ledger.accounts import AccountState
from noisegate.ledger.bulk import write
from noisegate.ledger.records import ChargeState, Job, JobState, ReceiptKind, canonical, loss_as_json
from noisegate.ledger.transaction import Row, Transaction, any_of, named
from noisegate.ledger.writer import Raised, Together
from noisegate.privacy.loss import INFINITE, ZERO, Loss

_j, _c, _a, _s = schema.job.c, schema.charge.c, schema.account.c, schema.suspension.c
_RESERVED, _DRAWN = (*schema.RESERVED, "reserved_delta"), (*schema.DRAWN, "drawn_delta")
_ADDED = tuple(f"add_{name}" for name in _DRAWN)
_N = schema.ORDER_COUNT + 1


@dataclass(frozen=True, slots=True)
class Draw:
    """A wish for the next `steps` steps of a job, whose loss is `loss` together."""

    charge: int
    loss: Loss
    steps: int = 1

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError("a draw is for one step at least")


def _more(held: str, added: str) -> ColumnElement[int]:
    """Return a column plus a bound value, or INFINITE where that would leave 64 bits."""
    top = literal_column(str(INFINITE), BigInteger)
    value = bindparam(added, type_=BigInteger)
    return case((_j[held] >= top - value, top), else_=_j[held] + value)


_NEW = {held: _more(held, added) for held, added in zip(_DRAWN, _ADDED, strict=True)}
_WITHIN = reduce(and_, (_NEW[drawn] <= _j[held] for drawn, held in zip(_DRAWN, _RESERVED, strict=True)))
_WANTED = bindparam("more_steps", type_=BigInteger)
_CHARGE_IS_OPEN = exists().where(
    _c.id == _j.charge,
    _c.state == ChargeState.OPEN.value,
    ~exists().where(_s.fingerprint == _c.fingerprint),
)
_ACCOUNTS_ARE_OPEN = ~exists().where(any_of(_a.id, "accounts"), _a.state != AccountState.OPEN.value)

_COLUMNS = (
    *(_j.charge, _j.asker, _j.title, _j.datasets, _j.state, _j.steps, _j.steps_drawn),
    *(_j.created, _j.changed, _j.periods),
    *(_j[name] for name in (*_RESERVED, *_DRAWN)),
)
_OF = _j.charge == bindparam("of", type_=BigInteger)
_ONE = select(*_COLUMNS).where(_OF)
_LOCK = _ONE.with_for_update()
_EVERY = select(*_COLUMNS).order_by(_j.charge.desc())
_OF_ASKER = _EVERY.where(_j.asker == bindparam("by"))
_PERIODS = select(_j.periods).where(_OF)
_POPULATIONS = select(_c.population).where(any_of(_c.id, "among")).distinct()
_DRAW = (
    update(schema.job)
    .where(
        _OF,
        _j.state == JobState.RUNNING.value,
        _WITHIN,
        _j.steps_drawn <= _j.steps - _WANTED,
        _CHARGE_IS_OPEN,
        _ACCOUNTS_ARE_OPEN,
    )
    .values(
        {_j[held]: value for held, value in _NEW.items()}
        | {_j.steps_drawn: _j.steps_drawn + _WANTED, _j.changed: bindparam("at", type_=BigInteger)}
    )
    .returning(*_COLUMNS)
)
_END = (
    update(schema.job)
    .where(_OF, _j.state == JobState.RUNNING.value)
    .values({_j.state: bindparam("to_state"), _j.changed: bindparam("at", type_=BigInteger)})
)


def draw(transaction: Transaction, wanted: Draw) -> Job:
    """Draw steps from what a job reserved; they may run once the transaction has committed.

    Claim: at every order and for δ, what a job has drawn is at most what it reserved, and so are its steps.
    Needs: `wanted.loss` bounds what the steps release, given all that was released before.
    Argued in PROOFS.md, "Jobs".

    Raises:
        NotFound: there is no such job.
        Conflict: it has ended.
        BudgetExhausted: it has not so much left, or not so many steps.
        Blocked: an account that it was charged to is suspended or locked, or its plan is closed.
    """
    # Which accounts a job was charged to never changes, so it may be read before the job's row is locked.
    periods = transaction.row(_PERIODS, of=wanted.charge)
    if periods is None:
        raise _none(wanted.charge)
    added = (*wanted.loss.renyi, wanted.loss.delta)
    row = transaction.row(
        _DRAW,
        of=wanted.charge,
        more_steps=wanted.steps,
        accounts=transaction.listed(sorted(json.loads(periods[0]))),
        at=transaction.at,
        **dict(zip(_ADDED, added, strict=True)),
    )
    if row is None:
        raise _why_not(transaction, wanted)
    return _job_of(row)


def end(transaction: Transaction, charge: int, state: JobState, answer: str | None, reason: str) -> Job:
    """End a job, settle its charge, and give back what it never drew; ending it so again is no change.

    Claim: what returns to an account is what the job took from it and never drew, once, and nothing at an
    order at which the job's or the account's sum saturated.
    Argued in PROOFS.md, "Jobs".

    Raises:
        NotFound: there is no such job.
        Conflict: it has ended otherwise, or its charge was settled; or an answer is to be released, of a
            schedule that loses something, and no step was drawn for it.
    """
    row = transaction.row(_LOCK, of=charge)
    if row is None:
        raise _none(charge)
    job, periods = _job_of(row), _periods_of(row)
    if job.state is not JobState.RUNNING:
        if job.state is state:
            return job
        raise _ended(job)
    _settle(transaction, job, state, answer, reason)
    returned = returns.left_over(job.reserved, job.drawn)
    returns.give_back(transaction, job, periods, returned)
    write(transaction, named(_END, [{"of": charge, "to_state": state.value, "at": transaction.at}]))
    body = canonical(
        {
            "state": state.value,
            "steps": job.steps,
            "steps_drawn": job.steps_drawn,
            "drawn": loss_as_json(job.drawn),
            "returned": loss_as_json(returned),
            "periods": periods,
        }
    )
    for dataset in job.datasets:
        chain.append(transaction, dataset, ReceiptKind.FINISHED, body, charge=charge)
    return _job_of(transaction.rows(_ONE, of=charge)[0])


def find(transaction: Transaction, charge: int) -> Job | None:
    """Return a job as it stands, None where the charge is none or not in steps."""
    row = transaction.row(_ONE, of=charge)
    return None if row is None else _job_of(row)


def find_all(transaction: Transaction, asker: str | None) -> tuple[Job, ...]:
    """Return all jobs, or those of one asker, newest first."""
    rows = transaction.rows(_EVERY) if asker is None else transaction.rows(_OF_ASKER, by=asker)
    return tuple(_job_of(row) for row in rows)


def _draw_all(transaction: Transaction, wanted: Sequence[Draw]) -> list[Job | Raised]:
    """Draw for each, and return what came of it in the same order."""
    outcomes: list[Job | Raised] = []
    for request in wanted:
        try:
            outcomes.append(draw(transaction, request))
        except NoisegateError as refused:
            outcomes.append(Raised(refused))
    return outcomes


def _populations(transaction: Transaction, wanted: Sequence[Draw]) -> frozenset[str]:
    among = transaction.listed(sorted({draw.charge for draw in wanted}))
    return frozenset(row[0] for row in transaction.rows(_POPULATIONS, among=among))


# A draw changes its job's row alone, but a transaction may end one job and draw from another: so the trees
# come first, as for all that is written, and no two gateways wait for each other's jobs in a ring.
DRAW = Together(_populations, _draw_all)


def _settle(transaction: Transaction, job: Job, state: JobState, answer: str | None, reason: str) -> None:
    """Settle the charge of a job as it ends."""
    match state:
        case JobState.FINISHED:
            if answer is None:
                raise InternalError("a job is finished with an answer")
            if job.steps_drawn == 0 and job.reserved != ZERO:
                # All of it would return, and the answer would have cost nothing.
                raise Conflict(
                    f"job {job.charge} has drawn no step, so it has nothing to release",
                    "draw each step before it runs; or cancel the job, which gives back what it reserved",
                )
            (closed,) = answers.perform(transaction, [answers.closing(job.charge, answer, job=True)])
            if isinstance(closed, Raised):
                raise closed.error
        case JobState.FAILED:
            answers.fail(transaction, job.charge, reason, job=True)
        case JobState.CANCELLED:
            # Nothing may be released for it any more, as for one that a crash cut off.
            row = answers.find_charge(transaction, job.charge)
            answers.settle(transaction, row, ChargeState.LOST)
            answers.record(transaction, row, ReceiptKind.LOST, {})
        case JobState.RUNNING:
            raise InternalError("a job does not end by running on")
        case _:
            assert_never(state)


def _why_not(transaction: Transaction, wanted: Draw) -> NoisegateError:
    """Return why a draw was refused, as far as it can be seen now."""
    job = find(transaction, wanted.charge)
    if job is None:
        return _none(wanted.charge)
    if job.state is not JobState.RUNNING:
        return _ended(job)
    drawn = job.drawn + wanted.loss
    within = all(
        d <= r
        for d, r in zip((*drawn.renyi, drawn.delta), (*job.reserved.renyi, job.reserved.delta), strict=True)
    )
    if not within or job.steps_drawn + wanted.steps > job.steps:
        return BudgetExhausted(
            f"job {job.charge} has drawn {job.steps_drawn} of {job.steps} steps, and not so much is left of "
            "what it reserved",
            "draw the losses of its schedule, each step once; what is to come besides is another job",
            job=job.charge,
            steps=job.steps,
            steps_drawn=job.steps_drawn,
        )
    return Blocked(
        f"job {job.charge} may not go on: its plan, or an account that it was charged to, is closed",
        "ask the custodian to open it again, or cancel the job",
    )


def _none(charge: int) -> NotFound:
    return NotFound(f"there is no job {charge}", "`noisegate jobs list` lists them")


def _ended(job: Job) -> Conflict:
    return Conflict(
        f"job {job.charge} is {job.state.value}", "no further step of it may run; open it anew if need be"
    )


def _job_of(row: Row) -> Job:
    """Return the job in a row."""
    charge, asker, title, datasets, state, steps, steps_drawn, created, changed, periods, *entries = row
    return Job(
        charge=charge,
        asker=asker,
        title=title,
        datasets=tuple(json.loads(datasets)),
        accounts=tuple(sorted(json.loads(periods))),
        state=JobState(state),
        reserved=_loss_of(entries[:_N]),
        drawn=_loss_of(entries[_N:]),
        steps=steps,
        steps_drawn=steps_drawn,
        created=created,
        changed=changed,
    )


def _periods_of(row: Row) -> dict[str, int]:
    """Return the period of each account that a job was charged in."""
    periods: dict[str, int] = json.loads(row[9])
    return periods


def _loss_of(entries: Sequence[int]) -> Loss:
    return Loss(tuple(entries[:-1]), entries[-1])
