"""Tallies: what each analyst's account was charged on each day for each tier, kept as charges are taken."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sqlalchemy import BigInteger, Integer, bindparam, func, insert, or_, select, update

from noisegate.ledger import schema
from noisegate.ledger.balances import less, loss_of
from noisegate.ledger.bulk import write
from noisegate.ledger.records import Tally
from noisegate.ledger.transaction import Change, Row, Transaction, any_of
from noisegate.privacy.loss import Loss

SECONDS_A_DAY = 86_400

_t = schema.tally.c
_SPENT = (*schema.SPENT, "spent_delta")
_SURCHARGE = (*schema.SURCHARGE, "surcharge_delta")
_KEY = ("account", "day", "tier")
_HELD = ("charges", *_SPENT, *_SURCHARGE, "amount")
_SETTING = (*(f"new_{name}" for name in _HELD), "of", "on", "for_tier")
_N = schema.ORDER_COUNT + 1

_ADD = insert(schema.tally)
_SET = (
    update(schema.tally)
    .where(
        _t.account == bindparam("of"),
        _t.day == bindparam("on", type_=BigInteger),
        _t.tier == bindparam("for_tier"),
    )
    .values({_t[name]: bindparam(f"new_{name}", type_=BigInteger) for name in _HELD})
)
_COLUMNS = tuple(_t[name] for name in (*_KEY, *_HELD))
ON_DAY = (
    select(*_COLUMNS)
    .where(any_of(_t.account, "among"), _t.day == bindparam("on", type_=BigInteger))
    .with_for_update()
)
EVERY_TALLY = select(*_COLUMNS).order_by(*(_t[name] for name in _KEY))


_SINCE = select(*_COLUMNS).where(_t.day >= bindparam("since", type_=BigInteger))
_ORDER = (_t.account, _t.day, _t.tier)
_ALL_SINCE = _SINCE.order_by(*_ORDER)
# Compared as text, not by order: how texts are ordered is the database's own matter.
_BENEATH_SINCE = _SINCE.where(
    or_(
        _t.account == bindparam("of"),
        func.substr(_t.account, 1, bindparam("length", type_=Integer)) == bindparam("beneath"),
    )
).order_by(*_ORDER)


def day_of(at: int) -> int:
    """Return the UTC day of a time in seconds since 1970, counted from 1970-01-01.

    >>> day_of(86_399), day_of(86_400)
    (0, 1)
    """
    return at // SECONDS_A_DAY


def since(transaction: Transaction, account: str, day: int) -> tuple[Tally, ...]:
    """Return the tallies from a day on, of an account and all beneath it; "" for all accounts."""
    if not account:
        rows = transaction.rows(_ALL_SINCE, since=day)
    else:
        above = f"{account}/"
        rows = transaction.rows(_BENEATH_SINCE, since=day, of=account, beneath=above, length=len(above))
    return tuple(tally_of(row) for row in rows)


def changes(before: Mapping[tuple[str, str], Tally], after: Iterable[Tally]) -> tuple[Change, Change]:
    """Return what writes tallies of one day; `before` are those there were, by account and tier."""
    added, moved = [], []
    for tally in after:
        if (tally.account, tally.tier) in before:
            moved.append(_setting(tally))
        else:
            added.append((tally.account, tally.day, tally.tier, *_held(tally)))
    return Change(_ADD, (*_KEY, *_HELD), added), Change(_SET, _SETTING, moved)


def give_back(
    transaction: Transaction, accounts: Iterable[str], at: int, tier: str, returned: Loss, amount: int
) -> None:
    """Take what a job gave back off the tallies that it was charged on; `at` is when it was charged."""
    listed = transaction.listed(sorted(accounts))
    found = [tally_of(row) for row in transaction.rows(ON_DAY, among=listed, on=day_of(at))]
    less_now = [
        replace(tally, spent=less(tally.spent, returned), amount=tally.amount - amount)
        for tally in found
        if tally.tier == tier
    ]
    write(transaction, Change(_SET, _SETTING, [_setting(tally) for tally in less_now]))


def tally_of(row: Row) -> Tally:
    """Return the tally in a row."""
    account, day, tier, charges = row[:4]
    return Tally(account, day, tier, charges, loss_of(row[4 : 4 + _N]), loss_of(row[4 + _N : -1]), row[-1])


def _setting(tally: Tally) -> tuple[object, ...]:
    return (*_held(tally), tally.account, tally.day, tally.tier)


def _held(tally: Tally) -> tuple[int, ...]:
    spent, surcharge = tally.spent, tally.surcharge
    return (tally.charges, *spent.renyi, spent.delta, *surcharge.renyi, surcharge.delta, tally.amount)
