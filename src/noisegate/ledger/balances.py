"""Accounts as rows, with what they have spent. TRUSTED: rows move by the conditional update below alone.

The update adds the loss in the database and has the filter over the new values as its condition; with
the CHECK of the schema and `admits` of the privacy package the rule is held three times.
"""

import math
from fractions import Fraction
from functools import reduce
from operator import or_

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, insert, literal_column, select, update

from noisegate.errors import BadInput, Conflict, NotFound
from noisegate.ledger import schema
from noisegate.ledger.accounts import Account, Balance, Kind, chain_of, limits_as_json
from noisegate.ledger.chain import append
from noisegate.ledger.records import ReceiptKind, canonical
from noisegate.ledger.transaction import Row, Transaction
from noisegate.privacy.filter import Capacity, Limits, capacity
from noisegate.privacy.loss import DELTA_UNIT, INFINITE, NANO, ZERO, Loss

_t = schema.account.c
_N = schema.ORDER_COUNT
_HELD = (*schema.SPENT, "spent_delta", *schema.SURCHARGE, "surcharge_delta")
_ADDED = tuple(f"add_{name}" for name in _HELD)


def _sum(held: str, added: str) -> ColumnElement[int]:
    """Return a column plus a bound value, or INFINITE where that would leave 64 bits."""
    top = literal_column(str(INFINITE), BigInteger)
    value = bindparam(added, type_=BigInteger)
    return case((_t[held] >= top - value, top), else_=_t[held] + value)


def _fits(new: dict[str, ColumnElement[int]]) -> ColumnElement[bool]:
    """Return the filter over the new values: some order within capacity, and δ within its own."""
    some_order = reduce(
        or_,
        (
            new[spent] <= _t[limit] - new[surcharge]
            for spent, limit, surcharge in zip(schema.SPENT, schema.CAPACITY, schema.SURCHARGE, strict=True)
        ),
    )
    return some_order & (new["spent_delta"] <= _t.capacity_delta - new["surcharge_delta"])


_NEW = {held: _sum(held, added) for held, added in zip(_HELD, _ADDED, strict=True)}
_TAKE = (
    update(schema.account)
    .where(_t.id == bindparam("of"), _fits(_NEW))
    .values({_t[held]: value for held, value in _NEW.items()} | {_t.charges: _t.charges + 1})
)
_OPEN = insert(schema.account)
_COLUMNS = (
    *(_t.id, _t.parent, _t.kind, _t.chain),
    *(_t[name] for name in ("epsilon", "delta", "delta_keys", *schema.CAPACITY, "capacity_delta", *_HELD)),
    _t.charges,
)
_EVERY = select(*_COLUMNS).order_by(_t.id)
_ONE = select(*_COLUMNS).where(_t.id == bindparam("of"))
_LOCK = _ONE.with_for_update()
_DATASET = select(_t.id).where(_t.chain == bindparam("of"), _t.kind == Kind.DATASET.value)


def open_account(transaction: Transaction, account: Account, at: int) -> None:
    """Open an account, or find it open with the same limits."""
    limits = _whole(account.limits)
    row = transaction.row(_LOCK, of=account.id)
    if row is not None:
        if tuple(row[4:7]) != limits:
            raise Conflict(
                f"account {account.id!r} is open with other limits",
                "limits are fixed when an account is opened; declare the ones it has",
            )
        return
    if account.parent is not None and transaction.row(_LOCK, of=account.parent) is None:
        raise NotFound(f"account {account.parent!r} is not open", f"open it before {account.id!r}")
    chain = chain_of(account.id)
    if account.kind is Kind.DATASET and transaction.row(_DATASET, of=chain) is not None:
        raise Conflict(
            f"dataset {chain!r} has an account in another population",
            "a dataset counts the people of one population; give this one another name",
        )
    fixed = capacity(_limits_of(limits))
    transaction.change(
        _OPEN,
        id=account.id,
        parent=account.parent,
        kind=account.kind.value,
        chain=chain,
        **dict(zip(("epsilon", "delta", "delta_keys"), limits, strict=True)),
        **dict(zip(schema.CAPACITY, fixed.renyi, strict=True)),
        capacity_delta=fixed.delta_keys,
    )
    body = {"account": account.id, **limits_as_json(_limits_of(limits), fixed)}
    append(transaction, chain, ReceiptKind.OPENED, canonical(body), at=at)


def lock(transaction: Transaction, accounts: tuple[str, ...]) -> list[Balance]:
    """Return accounts as they stand, held until the transaction ends, the root first.

    Every charge of a population so takes the same lock first, and no two wait for each other in a ring.
    """
    found = []
    for account in sorted(accounts, key=lambda a: (a.count("/"), a)):
        row = transaction.row(_LOCK, of=account)
        if row is None:
            raise NotFound(f"account {account!r} is not open", "ask the custodian to open it")
        found.append(balance_of(row))
    return found


def take(transaction: Transaction, account: str, loss: Loss, surcharge: Loss) -> bool:
    """Add to what an account has spent if the filter allows, and return whether it did."""
    added = (*loss.renyi, loss.delta, *surcharge.renyi, surcharge.delta)
    return transaction.change(_TAKE, of=account, **dict(zip(_ADDED, added, strict=True))) == 1


def read(transaction: Transaction, account: str) -> Balance | None:
    """Return an account as it stands, None where it is not open."""
    row = transaction.row(_ONE, of=account)
    return None if row is None else balance_of(row)


def read_all(transaction: Transaction) -> tuple[Balance, ...]:
    """Return all accounts, parents before their children."""
    return tuple(balance_of(row) for row in transaction.rows(_EVERY))


def balance_of(row: Row) -> Balance:
    """Return the account in a row."""
    (name, parent, kind, chain), limits, rest = row[:4], row[4:7], row[7:]
    if chain != chain_of(name):
        raise ValueError(f"account {name!r} stands in the wrong chain")
    fixed, spent, surcharge = (rest[i * (_N + 1) : (i + 1) * (_N + 1)] for i in range(3))
    return Balance(
        Account(name, parent, Kind(kind), _limits_of(limits)),
        Capacity(fixed[:-1], fixed[-1]),
        Loss(spent[:-1], spent[-1]),
        Loss(surcharge[:-1], surcharge[-1]) if any(surcharge) else ZERO,
        rest[-1],
    )


def _whole(limits: Limits) -> tuple[int, int, int]:
    """Return limits in the ledger's units, rounded down: an account never admits more than was declared."""
    epsilon = math.floor(limits.epsilon * NANO)
    if epsilon < 1:
        raise BadInput("an account's epsilon is at least 1e-9", "declare a larger budget")
    return epsilon, math.floor(limits.delta * DELTA_UNIT), math.floor(limits.delta_keys * DELTA_UNIT)


def _limits_of(whole: tuple[int, ...]) -> Limits:
    epsilon, delta, delta_keys = whole
    return Limits(Fraction(epsilon, NANO), Fraction(delta, DELTA_UNIT), Fraction(delta_keys, DELTA_UNIT))
