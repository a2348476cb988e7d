"""Spending added up by the database from the tallies: a custodian's look at a million charges is quick.

A sum of 64-bit integers may leave 64 bits, at which SQLite raises. Each column is then added in two halves,
which do not for the first 2^31 tallies, and put together here, saturated as `Loss` is. That of pure ε, which
is INFINITE after any Gaussian noise, always is. Nothing is decided on these figures.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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
from noisegate.ledger.transaction import Transaction
from noisegate.privacy.loss import INFINITE, Loss

_t = schema.tally.c
# Pure ε last.
_SPENT = (*schema.SPENT[:-1], "spent_delta", schema.SPENT[-1])
_SURCHARGE = (*schema.SURCHARGE[:-1], "surcharge_delta", schema.SURCHARGE[-1])
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


def _sums(names: tuple[str, ...]) -> list[ColumnElement[int]]:
    return [*(func.sum(_t[name]) for name in names[:-1]), *_halves(names[-1:])]


_SINCE = (_t.day >= bindparam("since", type_=BigInteger), _beneath())


def _statement(group: Group, columns: Callable[[tuple[str, ...]], list[ColumnElement[int]]]) -> Select[Any]:
    # As an expression: in the order of an index, each tally would be looked up by itself.
    key = _t[group.value].concat("") if group is Group.ACCOUNT else _t[group.value]
    losses = (*columns(_SPENT), *columns(_SURCHARGE))
    return select(key, func.min(_t.day), func.sum(_t.charges), *losses).where(*_SINCE).group_by(key)


_WHOLE = {group: _statement(group, _sums) for group in Group}
_IN_HALVES = {group: _statement(group, _halves) for group in Group}


def spending(transaction: Transaction, account: str, group: Group, since_day: int) -> tuple[Spending, ...]:
    """Return what an account and all beneath it were charged from a day on, added up; "" for all accounts."""
    above = f"{account}/" if account else ""
    asked = {"since": since_day, "of": account, "above": above, "length": len(above)}
    loss_of = _of_sums
    try:
        rows = transaction.rows(_WHOLE[group], **asked)
    except OverflowError:
        rows, loss_of = transaction.rows(_IN_HALVES[group], **asked), _of_halves
    return tuple(Spending(of, first, charges, *_both(loss_of, sums)) for of, first, charges, *sums in rows)


def _both(loss_of: Callable[[Sequence[int]], Loss], sums: Sequence[int]) -> tuple[Loss, Loss]:
    """Return the loss and the surcharge that a row's sums are of."""
    half = len(sums) // 2
    return loss_of(sums[:half]), loss_of(sums[half:])


def _of_sums(row: Sequence[int]) -> Loss:
    return _loss((*row[:-2], (row[-2] << _HALF) + row[-1]))


def _of_halves(row: Sequence[int]) -> Loss:
    return _loss([(high << _HALF) + low for high, low in zip(row[::2], row[1::2], strict=True)])


def _loss(sums: Sequence[int]) -> Loss:
    *finite, delta, pure = [min(each, INFINITE) for each in sums]
    return Loss((*finite, pure), delta)
