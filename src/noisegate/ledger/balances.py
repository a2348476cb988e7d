"""Accounts as rows, with what they have spent. TRUSTED: rows move by the guarded updates below alone.

Whoever changes an account has read it in the same transaction, with its trees held, and writes what it
becomes as absolute values; the update finds the row only at the version that was read. What takes from an
account has the filter over the new values as a further condition; with the CHECK of the schema and `admits`
of the privacy package the rule is held three times.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, reduce
from operator import or_
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, Update, bindparam, insert, select, update
from sqlalchemy.types import TypeEngine

from noisegate.errors import BadInput, Conflict, InternalError, NotFound
from noisegate.ledger import schema
from noisegate.ledger.accounts import (
    Account,
    AccountState,
    Balance,
    Kind,
    Lifetime,
    Period,
    chain_of,
)
from noisegate.ledger.bulk import write
from noisegate.ledger.decide import Standing
from noisegate.ledger.transaction import Change, Row, Transaction, any_of, named
from noisegate.privacy.filter import Capacity, Limits, capacity
from noisegate.privacy.loss import DELTA_UNIT, INFINITE, NANO, ZERO, Loss

_t = schema.account.c
_N = schema.ORDER_COUNT + 1  # a vector and its δ
_CAPACITY = (*schema.CAPACITY, "capacity_delta")
_SPENT = (*schema.SPENT, "spent_delta")
_SURCHARGE = (*schema.SURCHARGE, "surcharge_delta")
_FORMER = (*schema.FORMER, "former_delta")
_SHARE = ("epsilon", "delta", "delta_keys", *_CAPACITY)
_LIFETIME = ("lifetime_epsilon", "lifetime_delta")
_PERIOD = ("period", "since", "until")
_STATE = ("state", "reason", "strikes")
_COUNTED = ("charges", "former_charges")
_STATES = {state.value: state for state in AccountState}


def _new(name: str) -> ColumnElement[Any]:
    kind: TypeEngine[Any] = Text() if name in ("state", "reason") else BigInteger()
    return bindparam(f"new_{name}", type_=kind)


def _fits() -> ColumnElement[bool]:
    """Return the filter over the new values: some order within capacity, and δ within its own."""
    some_order = reduce(
        or_,
        (
            _new(spent) <= _t[limit] - _new(surcharge)
            for spent, limit, surcharge in zip(schema.SPENT, schema.CAPACITY, schema.SURCHARGE, strict=True)
        ),
    )
    return some_order & (_new("spent_delta") <= _t.capacity_delta - _new("surcharge_delta"))


def _set(*names: str) -> Update:
    """Return the update of these columns of one account, which must be at the version that was read."""
    return (
        update(schema.account)
        .where(_t.id == bindparam("of"), _t.version == bindparam("at_version", type_=BigInteger))
        .values({_t[name]: _new(name) for name in (*names, "version")})
    )


_TAKING = (*(f"new_{name}" for name in (*_SPENT, *_SURCHARGE, "charges", "version")), "of", "at_version")
_TAKE = _set(*_SPENT, *_SURCHARGE, "charges").where(_fits())
_RETURN = _set(*_SPENT, *_FORMER)
_RENEW = _set(*_SHARE, *_SPENT, *_SURCHARGE, *_FORMER, *_COUNTED, *_LIFETIME, *_PERIOD)
_RESTATE = _set(*_STATE)
_OPEN = insert(schema.account)
_COLUMNS = (
    *(_t.id, _t.parent, _t.kind, _t.chain),
    *(_t[n] for n in (*_SHARE, *_SPENT, *_SURCHARGE, *_FORMER, *_COUNTED, *_LIFETIME, *_PERIOD, *_STATE)),
    _t.version,
)
_EVERY = select(*_COLUMNS).order_by(_t.id)
_ONE = select(*_COLUMNS).where(_t.id == bindparam("of"))
_LIMITS = select(_t.id, _t.epsilon, _t.delta, _t.delta_keys).where(any_of(_t.id, "among"))
HELD = select(*_COLUMNS).where(any_of(_t.id, "among")).order_by(_t.id).with_for_update()
STANDING = (
    select(
        *(_t.id, _t.parent, _t.kind, _t.epsilon, _t.delta, _t.delta_keys),
        *(_t[n] for n in (*_CAPACITY, *_SPENT, *_SURCHARGE)),
        *(_t.charges, _t.period, _t.until, _t.state, _t.reason, _t.version),
    )
    .where(any_of(_t.id, "among"))
    .order_by(_t.id)
    .with_for_update()
)
_DATASET = select(_t.id).where(_t.chain == bindparam("of"), _t.kind == Kind.DATASET.value)


@dataclass(frozen=True, slots=True)
class Held:
    """An account as it was read: with what its former periods lost, and how often it had been changed."""

    balance: Balance
    former: Loss
    version: int


def lock(transaction: Transaction, accounts: Collection[str]) -> dict[str, Held]:
    """Return those of the accounts that are open, held until the transaction ends."""
    rows = transaction.rows(HELD, among=transaction.listed(sorted(accounts)))
    return {row[0]: held_of(row) for row in rows}


def lock_one(transaction: Transaction, account: str) -> Held:
    """Return an account as it stands, held until the transaction ends. Raises NotFound."""
    held = lock(transaction, [account])
    if account not in held:
        raise not_open(account)
    return held[account]


def not_open(account: str) -> NotFound:
    """Return the error for an account that nobody has opened."""
    return NotFound(f"account {account!r} is not open", "ask the custodian to open it")


def open_row(transaction: Transaction, account: Account, until: int | None) -> Balance | None:
    """Open an account; None where it is open with these limits already."""
    limits = whole(account.limits)
    held = lock(transaction, {account.id} | ({account.parent} if account.parent is not None else set()))
    if account.id in held:
        if whole(held[account.id].balance.limits) != limits:
            raise Conflict(
                f"account {account.id!r} is open with other limits",
                "limits are fixed for a period; declare the ones it has, or renew it with others",
            )
        return None
    if account.parent is not None and account.parent not in held:
        raise NotFound(f"account {account.parent!r} is not open", f"open it before {account.id!r}")
    chain = chain_of(account.id)
    if account.kind is Kind.DATASET and transaction.row(_DATASET, of=chain) is not None:
        raise Conflict(
            f"dataset {chain!r} has an account in another population",
            "a dataset counts the people of one population; give this one another name",
        )
    granted = limits_of(limits)
    fixed = capacity(granted)
    transaction.change(
        _OPEN,
        id=account.id,
        parent=account.parent,
        kind=account.kind.value,
        chain=chain,
        **dict(zip(_SHARE, (*limits, *fixed.renyi, fixed.delta_keys), strict=True)),
        **dict(zip(_LIFETIME, limits, strict=False)),
        **dict(zip(_PERIOD, (1, transaction.at, until), strict=True)),
        state=AccountState.OPEN.value,
        reason="",
    )
    return Balance(
        Account.at(account.id, granted),
        fixed,
        spent=ZERO,
        surcharge=ZERO,
        charges=0,
        period=Period(1, transaction.at, until),
        lifetime=Lifetime(granted.epsilon, granted.delta, ZERO, 0),
    )


def standings(rows: Iterable[Row]) -> dict[str, Standing]:
    """Return accounts, of rows of STANDING, as charges of a batch find them."""
    return {
        row[0]: Standing(
            account=row[0],
            parent=row[1],
            analyst=row[2] == Kind.ANALYST.value,
            whole=row[3:6],
            capacity=_capacity(row[6 : 6 + _N]),
            spent=loss_of(row[6 + _N : 6 + 2 * _N]),
            surcharge=loss_of(row[6 + 2 * _N : 6 + 3 * _N]),
            charges=row[-6],
            period=row[-5],
            until=row[-4],
            state=_STATES[row[-3]],
            reason=row[-2],
            version=row[-1],
        )
        for row in rows
    }


def take(standings: Iterable[Standing]) -> Change:
    """Return what writes accounts that were charged, each only where the filter allows it."""
    return Change(
        _TAKE,
        _TAKING,
        [
            (
                *now.spent.renyi,
                now.spent.delta,
                *now.surcharge.renyi,
                now.surcharge.delta,
                now.charges + now.taken,
                now.version + now.taken,
                now.account,
                now.version,
            )
            for now in standings
        ],
    )


def renew(transaction: Transaction, held: Held, limits: Limits, until: int | None) -> Balance:
    """End an account's period and begin the next one with these limits, rounded down, unspent."""
    old = held.balance
    share = whole(limits)
    granted = limits_of(share)
    fixed = capacity(granted)
    life = old.lifetime
    lifetime = Lifetime(life.epsilon + granted.epsilon, life.delta + granted.delta, life.spent, life.charges)
    period = Period(old.period.number + 1, transaction.at, until)
    row = {
        **_at(held),
        **_values(_SHARE, (*share, *fixed.renyi, fixed.delta_keys)),
        **_values((*_SPENT, *_SURCHARGE), (0,) * (2 * _N)),
        **_values(_FORMER, (*life.spent.renyi, life.spent.delta)),
        **_values(_COUNTED, (0, life.charges)),
        **_values(_LIFETIME, _sums(lifetime)),
        **_values(_PERIOD, (period.number, period.since, period.until)),
    }
    write(transaction, named(_RENEW, [row]))
    return Balance(
        Account.at(old.id, granted),
        fixed,
        spent=ZERO,
        surcharge=ZERO,
        charges=0,
        period=period,
        lifetime=lifetime,
        state=old.state,
        reason=old.reason,
        strikes=old.strikes,
    )


def restate(transaction: Transaction, held: Held, state: AccountState, reason: str, strikes: int) -> None:
    """Set whether an account bears charges, and its strikes."""
    row = {**_at(held), **_values(_STATE, (state.value, reason, strikes))}
    write(transaction, named(_RESTATE, [row]))


def give_back(transaction: Transaction, periods: Mapping[str, int], returned: Loss) -> None:
    """Take a loss that never happened off accounts, in the periods that it was charged in.

    In an account whose period has ended since, it comes off the lifetime's sum alone.
    """
    held = lock(transaction, periods.keys())
    rows = []
    for account, number in periods.items():
        now = held[account]
        spent, former = now.balance.spent, now.former
        if number == now.balance.period.number:
            spent = less(spent, returned)
        else:
            former = less(former, returned)
        rows.append(
            {
                **_at(now),
                **_values(_SPENT, (*spent.renyi, spent.delta)),
                **_values(_FORMER, (*former.renyi, former.delta)),
            }
        )
    write(transaction, named(_RETURN, rows))


def less(total: Loss, returned: Loss) -> Loss:
    """Return a sum without a part of it; where the sum has no bound it keeps having none.

    Raises:
        InternalError: it was no part of it.
    """
    parts = tuple(
        INFINITE if a == INFINITE else a - b
        for a, b in zip((*total.renyi, total.delta), (*returned.renyi, returned.delta), strict=True)
    )
    if min(parts) < 0:
        raise InternalError("more would be given back than was charged; nothing was given back")
    return Loss(parts[:-1], parts[-1])


def read(transaction: Transaction, account: str) -> Balance | None:
    """Return an account as it stands, None where it is not open."""
    row = transaction.row(_ONE, of=account)
    return None if row is None else held_of(row).balance


def limits(transaction: Transaction, accounts: Collection[str]) -> dict[str, Limits]:
    """Return the present limits of those of the accounts that are open."""
    rows = transaction.rows(_LIMITS, among=transaction.listed(sorted(accounts)))
    return {name: limits_of(tuple(whole)) for name, *whole in rows}


def read_all(transaction: Transaction) -> tuple[Balance, ...]:
    """Return all accounts, parents before their children."""
    return tuple(held_of(row).balance for row in transaction.rows(_EVERY))


def every(transaction: Transaction) -> Iterator[Held]:
    """Yield all accounts, parents before their children."""
    return map(held_of, transaction.each(_EVERY))


def held_of(row: Row) -> Held:
    """Return the account in a row."""
    name, parent, kind, chain = row[:4]
    if chain != chain_of(name):
        raise ValueError(f"account {name!r} stands in the wrong chain")
    fixed, spent, surcharge, former = (row[7 + i * _N : 7 + (i + 1) * _N] for i in range(4))
    charges, former_charges, epsilon, delta, number, since, until, state, reason, strikes, version = row[-11:]
    lost = loss_of(former)
    balance = Balance(
        Account(name, parent, Kind(kind), limits_of(row[4:7])),
        Capacity(fixed[:-1], fixed[-1]),
        loss_of(spent),
        loss_of(surcharge),
        charges,
        Period(number, since, until),
        Lifetime(
            Fraction(epsilon, NANO),
            Fraction(delta, DELTA_UNIT),
            lost + loss_of(spent),
            former_charges + charges,
        ),
        AccountState(state),
        reason,
        strikes,
    )
    return Held(balance, lost, version)


def whole(limits: Limits) -> tuple[int, int, int]:
    """Return limits in the ledger's units, rounded down: an account never admits more than was declared."""
    epsilon = math.floor(limits.epsilon * NANO)
    if not 1 <= epsilon < INFINITE:
        raise BadInput("an account's epsilon is at least 1e-9 and below 9e9", "declare another budget")
    return epsilon, math.floor(limits.delta * DELTA_UNIT), math.floor(limits.delta_keys * DELTA_UNIT)


@lru_cache(maxsize=4096)
def limits_of(whole: tuple[int, ...]) -> Limits:
    """Return limits that are given in the ledger's units."""
    epsilon, delta, delta_keys = whole
    return Limits(Fraction(epsilon, NANO), Fraction(delta, DELTA_UNIT), Fraction(delta_keys, DELTA_UNIT))


def _sums(lifetime: Lifetime) -> tuple[int, int]:
    sums = int(lifetime.epsilon * NANO), int(lifetime.delta * DELTA_UNIT)
    if max(sums) > INFINITE:
        raise BadInput("the budgets of all periods together are more than the ledger can count")
    return sums


@lru_cache(maxsize=4096)
def _capacity(entries: tuple[int, ...]) -> Capacity:
    return Capacity(entries[:-1], entries[-1])


def loss_of(entries: tuple[int, ...]) -> Loss:
    """Return the loss in a row's columns: its vector and δ."""
    return Loss(entries[:-1], entries[-1]) if any(entries) else ZERO


def _at(held: Held) -> dict[str, object]:
    return {"of": held.balance.id, "at_version": held.version, "new_version": held.version + 1}


def _values(names: tuple[str, ...], values: Iterable[object]) -> dict[str, object]:
    return {f"new_{name}": value for name, value in zip(names, values, strict=True)}
