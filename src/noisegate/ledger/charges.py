"""Taking a loss from accounts: all of them or none. TRUSTED. PROOFS.md, "Charge"."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

from sqlalchemy import bindparam, insert, select

from noisegate.errors import Blocked, BudgetExhausted, Conflict, InternalError
from noisegate.ledger import answers, balances, chain, schema
from noisegate.ledger.accounts import Balance
from noisegate.ledger.records import (
    Charge,
    Charged,
    ChargeState,
    Earlier,
    IdempotencyKey,
    ReceiptKind,
    canonical,
)
from noisegate.ledger.transaction import Transaction
from noisegate.privacy.filter import UNBOUNDED, admits, spent_epsilon
from noisegate.privacy.loss import DELTA_UNIT, ZERO, Loss

_c = schema.charge.c
_ADD = insert(schema.charge).returning(_c.id)
_BY_KEY = select(_c.id, _c.state, _c.fingerprint, _c.request_hash).where(
    _c.principal == bindparam("by"), _c.key == bindparam("under")
)

_WHY_NOT = {
    ChargeState.OPEN: (
        "a request with this idempotency key is still running",
        "wait for it, then send the same request again to get its answer",
    ),
    ChargeState.FAILED: (
        "the request with this idempotency key failed after it was charged",
        "ask the custodian: the plan is closed for everyone until they have looked at it",
    ),
    ChargeState.LOST: (
        "the request with this idempotency key was cut off by a crash after it was charged",
        "its charge stays spent; ask again with a new key",
    ),
}


@dataclass(frozen=True, slots=True)
class Shortfall:
    """An account that cannot bear a charge. Nothing was taken from any."""

    balance: Balance
    wanted: Loss


def take(transaction: Transaction, charge: Charge, body: str, at: int) -> Charged | Shortfall:
    """Take a charge from all its accounts and record it, or change nothing.

    Claim: when the transaction has committed, each account named has `charge.loss` added once, and each
    analyst's account its surcharge; `admits` held for every one of them on the new sums. Where a
    Shortfall is returned or anything is raised, nothing was taken.
    Needs: the caller rolls back what raised, and computes nothing before the commit.
    Argued in PROOFS.md, "Charge".
    """
    earlier = None if charge.idempotency is None else find_idempotent(transaction, charge.idempotency)
    if earlier is not None:
        if earlier.state is not ChargeState.ANSWERED:
            raise Conflict(*_WHY_NOT[earlier.state])
        receipts = chain.of_charge(transaction, earlier.charge, ReceiptKind.CHARGE)
        return Charged(earlier.charge, receipts, earlier=True)
    if answers.is_suspended(transaction, charge.fingerprint):
        raise Blocked(
            "this plan failed once after it was charged and is closed for everyone",
            "ask the custodian to look at it and open it again",
        )
    held = balances.lock(transaction, charge.accounts)
    named = {balance.id for balance in held}
    if not {balance.account.parent for balance in held} <= named | {None}:
        raise InternalError("a charge leaves out an ancestor of an account it names; nothing was taken")
    for balance in held:
        wanted = charge.loss
        if balance.id in charge.surcharges:
            wanted += charge.surcharges[balance.id]
        if not admits(balance.capacity, balance.counted + wanted):
            return Shortfall(balance, wanted)
    for balance in held:
        surcharge = charge.surcharges.get(balance.id, ZERO)
        if not balances.take(transaction, balance.id, charge.loss, surcharge):
            raise InternalError("the ledger's two filters disagree; nothing was taken")
    return _record(transaction, charge, body, at)


def find_idempotent(transaction: Transaction, key: IdempotencyKey) -> Earlier | None:
    """Return what a key paid for before, None if it never did. Raises Conflict if for another request."""
    row = transaction.row(_BY_KEY, by=key.principal, under=key.key)
    if row is None:
        return None
    id_, state, fingerprint, request_hash = row
    if request_hash != key.request_hash:
        raise Conflict("this idempotency key was used for another request", "use a new key for a new request")
    return Earlier(id_, ChargeState(state), fingerprint)


def exhausted(short: Shortfall) -> BudgetExhausted:
    """Return the error that tells what an account has left and what the charge would take."""
    balance, limits = short.balance, short.balance.limits
    keys_left = max(balance.capacity.delta_keys - balance.counted.delta, 0)
    if short.wanted.delta > keys_left:
        left, price = Fraction(keys_left, DELTA_UNIT), Fraction(short.wanted.delta, DELTA_UNIT)
        return BudgetExhausted(
            f"account {balance.id!r} has δ {_shown(left, up=False)} left for groups whose names are private, "
            f"this question takes δ {_shown(price, up=True)}",
            "group by columns with a declared list of values",
            account=balance.id,
            delta_left=float(left),
            delta_price=float(price),
        )
    used = spent_epsilon(limits, balance.counted)
    then = spent_epsilon(limits, balance.counted + short.wanted)
    left, price = max(limits.epsilon - used, Fraction(0)), then - used
    costs = f"takes ε {_shown(price, up=True)}" if then < UNBOUNDED else "has no bound on what it may reveal"
    return BudgetExhausted(
        f"account {balance.id!r} has ε {_shown(left, up=False)} left of {_shown(limits.epsilon, up=False)} "
        f"at δ {_shown(limits.delta, up=False)}, this question {costs}",
        "ask for fewer groups, accept more noise, or ask the custodian for a larger budget",
        account=balance.id,
        epsilon_left=float(left),
        epsilon_price=float(price) if then < UNBOUNDED else None,
    )


def _record(transaction: Transaction, charge: Charge, body: str, at: int) -> Charged:
    """Write the charge and a receipt on each dataset's chain."""
    key = charge.idempotency
    datasets = sorted(charge.datasets)
    added = transaction.row(
        _ADD,
        fingerprint=charge.fingerprint,
        datasets=canonical(datasets),
        state=ChargeState.OPEN.value,
        principal=None if key is None else key.principal,
        key=None if key is None else key.key,
        request_hash=None if key is None else key.request_hash,
    )
    if added is None:
        raise InternalError("the ledger gave the charge no number; nothing was taken")
    id_ = int(added[0])
    receipts = tuple(
        chain.append(transaction, dataset, ReceiptKind.CHARGE, body, at=at, charge=id_)
        for dataset in datasets
    )
    return Charged(id_, receipts)


def _shown(value: Fraction, *, up: bool) -> str:
    """Return a figure to three digits, rounded so that it never promises too much.

    >>> _shown(Fraction(1, 3), up=True), _shown(Fraction(1, 3), up=False), _shown(Fraction(10), up=True)
    ('0.334', '0.333', '10')
    """
    context = Context(prec=3, rounding=ROUND_CEILING if up else ROUND_FLOOR)
    shown = context.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(context)
    return f"{shown:f}" if shown == 0 or shown >= Decimal("0.001") else f"{shown:.2e}"
