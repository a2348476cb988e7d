"""Spending added up by the database from the tallies: a custodian's look at a million charges is quick.

Sums of 64-bit integers may leave 64 bits, so each column is added in two halves, which cannot for the first
2^31 tallies, and put together here, saturated as `Loss` is. Nothing is decided on these figures.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    bindparam,
    func,
    literal_column,
    or_,
    select,
)

from noisegate.ledger import schema
from noisegate.ledger.transaction import Row, Transaction
from noisegate.privacy.loss import INFINITE, ORDERS, ZERO, Loss

_t = schema.tally.c
_SPENT = (*schema.SPENT, "spent_delta")
_SURCHARGE = (*schema.SURCHARGE, "surcharge_delta")
_HALF = 32
_SHIFT, _LOW = literal_column("32", Integer), literal_column("4294967295", BigInteger)


class Group(enum.Enum):
    """What tallies are added up by."""

    ACCOUNT = "account"
    TIER = "tier"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Spending:
    """The tallies of one account, tier or day together; `of` says which. `first_day` is the earliest of them.

    Days count from 1970-01-01 UTC.
    """

    of: str | int
    first_day: int
    charges: int
    spent: Loss
    surcharge: Loss


def _halves(names: tuple[str, ...]) -> list[ColumnElement[int]]:
    return [
        func.sum(half)
        for name in names
        for half in (_t[name].bitwise_rshift(_SHIFT), _t[name].bitwise_and(_LOW))
    ]


def _beneath() -> ColumnElement[bool]:
    """Whether a tally's account is the bound one or beneath it; compared as text, in no order."""
    length = bindparam("length", type_=Integer)
    return or_(_t.account == bindparam("of"), func.substr(_t.account, 1, length) == bindparam("above"))


def _statements(group: Group) -> tuple[Select[tuple[int, ...]], Select[tuple[int, ...]]]:
    """Return what adds up the losses, and the surcharges of those tallies that have any."""
    # As an expression: in the order of an index, each tally would be looked up by itself.
    key = _t[group.value].concat("") if group is Group.ACCOUNT else _t[group.value]
    since = (_t.day >= bindparam("since", type_=BigInteger), _beneath())
    losses = select(key, func.min(_t.day), func.sum(_t.charges), *_halves(_SPENT))
    surcharges = select(key, *_halves(_SURCHARGE)).where(_t[schema.SURCHARGE[-1]] > 0)
    return losses.where(*since).group_by(key), surcharges.where(*since).group_by(key)


_STATEMENTS: Mapping[Group, tuple[Select[tuple[int, ...]], Select[tuple[int, ...]]]] = {
    group: _statements(group) for group in Group
}


def spending(transaction: Transaction, account: str, group: Group, since_day: int) -> tuple[Spending, ...]:
    """Return what an account and all beneath it were charged from a day on, added up; "" for all accounts."""
    losses, surcharges = _STATEMENTS[group]
    above = f"{account}/" if account else ""
    asked = {"since": since_day, "of": account, "above": above, "length": len(above)}
    extra = {row[0]: _loss(row[1:]) for row in transaction.rows(surcharges, **asked)}
    return tuple(
        Spending(of, first, charges, _loss(halves), extra.get(of, ZERO))
        for of, first, charges, *halves in transaction.rows(losses, **asked)
    )


def _loss(halves: Row | list[int]) -> Loss:
    sums = [min((high << _HALF) + low, INFINITE) for high, low in zip(halves[::2], halves[1::2], strict=True)]
    return Loss(tuple(sums[: len(ORDERS)]), sums[-1])
