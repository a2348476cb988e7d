"""Taking a loss from accounts: all of them or none. TRUSTED. PROOFS.md, "Charge"."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from functools import lru_cache

from sqlalchemy import Integer, bindparam, exists, insert, select

from noisegate.errors import BudgetExhausted
from noisegate.ledger import answers, balances, chain, schema, tallies
from noisegate.ledger.bulk import write
from noisegate.ledger.decide import Again, DayFull, Refused, Rows, Shortfall, Taken, decide, earlier_of
from noisegate.ledger.records import (
    Asked,
    Charge,
    Charged,
    ChargeState,
    Earlier,
    IdempotencyKey,
    JobState,
    ReceiptKind,
    canonical,
    charge_body,
    title_of,
)
from noisegate.ledger.transaction import Change, Row, Transaction, any_of, named
from noisegate.ledger.writer import Raised, Together
from noisegate.privacy.filter import UNBOUNDED, spent_epsilon
from noisegate.privacy.loss import DELTA_UNIT, NANO

_c, _j = schema.charge.c, schema.job.c
_ADD = insert(schema.charge).values({_c.id: bindparam("id")})
_COLUMNS = tuple(column.name for column in schema.charge.columns)
_ADD_JOB = insert(schema.job)
_CANCELLED = exists().where(_j.charge == _c.id, _j.state == JobState.CANCELLED.value)
_USED = select(
    *(_c.principal, _c.key, _c.id, _c.state, _c.fingerprint, _c.request_hash), _CANCELLED.label("cancelled")
).where(any_of(_c.principal, "principals"), any_of(_c.key, "keys"))
_ASKED = (
    select(_c.id, _c.fingerprint, _c.datasets, _c.conditions, _c.at)
    .where(_c.asker == bindparam("by"), ~exists().where(_j.charge == _c.id))
    .order_by(_c.id.desc())
    .limit(bindparam("most", type_=Integer))
)


@dataclass(frozen=True, slots=True)
class Request:
    """A charge to be taken, its receipt's body before and after the periods, and the gateway that asks."""

    charge: Charge
    body: tuple[str, str]
    replica: int


def request(charge: Charge, replica: int) -> Request:
    """Return the request of a gateway to take a charge."""
    return Request(charge, charge_body(charge), replica)


def _populations(_: Transaction, requests: Sequence[Request]) -> frozenset[str]:
    return frozenset(r.charge.accounts[0].partition("/")[0] for r in requests)


def perform(
    transaction: Transaction, requests: Sequence[Request]
) -> list[Charged | Shortfall | DayFull | Raised]:
    """Take charges from all their accounts and record them, one after the other; the others change nothing.

    Claim: when the transaction has committed, each account named by a charge that is `Charged` now (not
    `earlier`) has its loss added once, and each analyst's account its surcharge; `admits` held for every
    one of them on the new sums. Of the others nothing was taken. Where anything is raised, nothing was.
    Needs: the trees of the accounts are held; the caller rolls back what raised, and nobody computes
    anything before the commit.
    Argued in PROOFS.md, "Charge".
    """
    rows, ends = _read(transaction, requests)
    done = decide([r.charge for r in requests], rows)
    numbers = iter(transaction.numbers(schema.charge, sum(isinstance(d, Taken) for d in done.decisions)))
    results: list[Charged | Shortfall | DayFull | Raised] = []
    charged, jobs = [], []
    for asked, decision in zip(requests, done.decisions, strict=True):
        match decision:
            case Taken(periods=periods):
                number = next(numbers)
                text = _periods(tuple(periods.items())).join(asked.body)
                receipts = tuple(
                    ends.add(dataset, ReceiptKind.CHARGE, text, number)
                    for dataset in sorted(asked.charge.datasets)
                )
                charged.append(_row(asked, number, rows.at))
                if asked.charge.steps is not None:
                    jobs.append(_job(asked.charge, number, periods, rows.at))
                results.append(Charged(number, receipts))
            case Again(earlier=earlier):
                receipts = chain.of_charge(transaction, earlier.charge, ReceiptKind.CHARGE)
                results.append(Charged(earlier.charge, receipts, earlier=True))
            case Refused(error=error):
                results.append(Raised(error))
            case Shortfall() | DayFull():
                results.append(decision)
    write(
        transaction,
        balances.take(done.accounts.values()),
        Change(_ADD, _COLUMNS, charged),
        *ends.changes(),
        *tallies.changes(rows.tallies, done.tallies.values()),
        named(_ADD_JOB, jobs),
    )
    return results


def abandon(transaction: Transaction, results: Sequence[Charged | Shortfall | DayFull]) -> None:
    """Settle as lost what of these charges was written after all, though their askers were refused."""
    answers.lose(transaction, [r.id for r in results if isinstance(r, Charged) and not r.earlier])


TAKE: Together[Request, Charged | Shortfall | DayFull] = Together(_populations, perform, abandon)


def _read(transaction: Transaction, requests: Sequence[Request]) -> tuple[Rows, chain.Links]:
    """Read what a batch is decided on, with few statements."""
    listed, day = transaction.listed, tallies.day_of(transaction.lately)
    charges = [r.charge for r in requests]
    keys = [c.idempotency for c in charges if c.idempotency is not None]
    named = sorted({account for c in charges for account in c.accounts})
    datasets = sorted({dataset for c in charges for dataset in c.datasets})
    fingerprints = sorted({c.fingerprint for c in charges})
    analysts = listed([a for a in named if a.count("/") == 3])
    accounts, counted, heads, suspended, *used = transaction.gather(
        (balances.STANDING, {"among": listed(named)}),
        (tallies.ON_DAY, {"among": analysts, "on": day}),
        (chain.HEADS, {"among": listed(datasets)}),
        (answers.SUSPENDED_AMONG, {"among": listed(fingerprints)}),
        *([(_USED, _listed_keys(transaction, keys))] if keys else []),
    )
    if day != tallies.day_of(transaction.at):
        day = tallies.day_of(transaction.at)
        counted = transaction.rows(tallies.ON_DAY, among=analysts, on=day)
    rows = Rows(
        at=transaction.at,
        day=day,
        accounts=balances.standings(accounts),
        earlier=_earlier(used[0]) if used else {},
        suspended={row[0] for row in suspended},
        tallies={(t.account, t.tier): t for t in map(tallies.tally_of, counted)},
    )
    return rows, chain.links_of(transaction, heads)


def _listed_keys(transaction: Transaction, keys: Sequence[IdempotencyKey]) -> dict[str, object]:
    return {
        "principals": transaction.listed(sorted({k.principal for k in keys})),
        "keys": transaction.listed(sorted({k.key for k in keys})),
    }


def _earlier(rows: Sequence[Row]) -> dict[tuple[str, str], tuple[Earlier, str]]:
    """Return what keys were used for; some that were not asked for may be among them."""
    return {
        (principal, key): (Earlier(id_, ChargeState(state), fingerprint, bool(cancelled)), request_hash)
        for principal, key, id_, state, fingerprint, request_hash, cancelled in rows
    }


def find_idempotent(transaction: Transaction, key: IdempotencyKey) -> Earlier | None:
    """Return what a key paid for before, None if it never did. Raises Conflict if for another request."""
    return earlier_of(key, _earlier(transaction.rows(_USED, **_listed_keys(transaction, [key]))))


def asked(transaction: Transaction, asker: str, most: int) -> tuple[Asked, ...]:
    """Return an asker's last charged questions, newest first; jobs are no questions."""
    return tuple(
        Asked(id_, fingerprint, tuple(json.loads(datasets)), conditions, at)
        for id_, fingerprint, datasets, conditions, at in transaction.rows(_ASKED, by=asker, most=most)
    )


def exhausted(short: Shortfall) -> BudgetExhausted:
    """Return the error that tells what an account has left and what the charge would take."""
    limits = balances.limits_of(short.whole)
    keys_left = max(short.capacity.delta_keys - short.counted.delta, 0)
    if short.wanted.delta > keys_left:
        left, price = Fraction(keys_left, DELTA_UNIT), Fraction(short.wanted.delta, DELTA_UNIT)
        return BudgetExhausted(
            f"account {short.account!r} has δ {_shown(left, up=False)} left for groups whose names are "
            f"private, this question takes δ {_shown(price, up=True)}",
            "group by columns with a declared list of values",
            account=short.account,
            delta_left=float(left),
            delta_price=float(price),
        )
    used = spent_epsilon(limits, short.counted)
    then = spent_epsilon(limits, short.counted + short.wanted)
    left, price = max(limits.epsilon - used, Fraction(0)), then - used
    costs = f"takes ε {_shown(price, up=True)}" if then < UNBOUNDED else "has no bound on what it may reveal"
    return BudgetExhausted(
        f"account {short.account!r} has ε {_shown(left, up=False)} left of "
        f"{_shown(limits.epsilon, up=False)} at δ {_shown(limits.delta, up=False)}, this question {costs}",
        "ask for less at a time, accept more noise, or ask the custodian for a larger budget",
        account=short.account,
        epsilon_left=float(left),
        epsilon_price=float(price) if then < UNBOUNDED else None,
    )


def day_full(short: DayFull) -> BudgetExhausted:
    """Return the error that tells what is left of a day's maximum."""
    limit, left, wanted = (Fraction(n, NANO) for n in (short.limit, short.left, short.wanted))
    return BudgetExhausted(
        f"account {short.account!r} has ε {_shown(left, up=False)} left of {_shown(limit, up=False)} a day "
        f"on {short.tier} columns, this question takes ε {_shown(wanted, up=True)}",
        "ask for less, or ask again tomorrow (days are UTC)",
        account=short.account,
        tier=short.tier,
        day_limit=float(limit),
        day_left=float(left),
    )


@lru_cache(maxsize=4096)
def _periods(numbers: tuple[tuple[str, int], ...]) -> str:
    return canonical(dict(numbers))


def _row(asked: Request, number: int, at: int) -> tuple[object, ...]:
    """Return the values of _COLUMNS."""
    charge, key = asked.charge, asked.charge.idempotency
    return (
        number,
        charge.fingerprint,
        _names(tuple(sorted(charge.datasets))),
        ChargeState.OPEN.value,
        *((None, None, None) if key is None else (key.principal, key.key, key.request_hash)),
        charge.accounts[0].partition("/")[0],
        charge.asker,
        charge.tier,
        charge.conditions,
        at,
        asked.replica,
    )


@lru_cache(maxsize=1024)
def _names(datasets: tuple[str, ...]) -> str:
    return canonical(datasets)


def _job(charge: Charge, number: int, periods: dict[str, int], at: int) -> dict[str, object]:
    reserved = (*charge.loss.renyi, charge.loss.delta)
    return {
        "charge": number,
        "asker": charge.asker,
        "title": title_of(charge.body),
        "datasets": _names(tuple(sorted(charge.datasets))),
        "state": JobState.RUNNING.value,
        **dict(zip((*schema.RESERVED, "reserved_delta"), reserved, strict=True)),
        "steps": charge.steps,
        "created": at,
        "changed": at,
        "periods": _periods(tuple(periods.items())),
    }


def _shown(value: Fraction, *, up: bool) -> str:
    """Return a figure to three digits, rounded so that it never promises too much.

    >>> _shown(Fraction(1, 3), up=True), _shown(Fraction(1, 3), up=False), _shown(Fraction(10), up=True)
    ('0.334', '0.333', '10')
    """
    context = Context(prec=3, rounding=ROUND_CEILING if up else ROUND_FLOOR)
    shown = context.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(context)
    return f"{shown:f}" if shown == 0 or shown >= Decimal("0.001") else f"{shown:.2e}"
