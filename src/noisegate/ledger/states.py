"""Whether an account bears charges: suspended by a custodian, locked after restricted questions, or open."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import select

from noisegate.errors import Conflict
from noisegate.ledger import balances, chain, schema
from noisegate.ledger.accounts import AccountState, Balance, Kind, chain_of
from noisegate.ledger.balances import Held
from noisegate.ledger.records import ReceiptKind, canonical
from noisegate.ledger.transaction import Transaction, any_of

_a = schema.account.c
_CLOSED = select(_a.id, _a.state, _a.reason).where(
    any_of(_a.id, "among"), _a.state != AccountState.OPEN.value
)


def closed(transaction: Transaction, accounts: Collection[str]) -> dict[str, tuple[AccountState, str]]:
    """Return those of the accounts that are suspended or locked, each with the reason."""
    rows = transaction.rows(_CLOSED, among=transaction.listed(sorted(accounts)))
    return {name: (AccountState(state), reason) for name, state, reason in rows}


def suspend(transaction: Transaction, account: str, reason: str, by: str) -> None:
    """Close an account, and with it all beneath it, since a charge names all ancestors."""
    held = balances.lock_one(transaction, account)
    if held.balance.state is AccountState.SUSPENDED:
        raise Conflict(f"account {account!r} is suspended already: {held.balance.reason}")
    balances.restate(transaction, held, AccountState.SUSPENDED, reason, held.balance.strikes)
    _record(transaction, ReceiptKind.SUSPENDED, {"account": account, "by": by, "reason": reason})


def resume(transaction: Transaction, account: str, by: str) -> None:
    """Open an account that is suspended or locked, and forget its strikes."""
    held = balances.lock_one(transaction, account)
    if held.balance.state is AccountState.OPEN and not held.balance.strikes:
        raise Conflict(f"account {account!r} is open and has no strikes")
    balances.restate(transaction, held, AccountState.OPEN, "", 0)
    _record(transaction, ReceiptKind.RESUMED, {"account": account, "by": by})


def strike(
    transaction: Transaction,
    accounts: Sequence[str],
    reason: str,
    lock_after: int,
    body: Mapping[str, object],
) -> tuple[Balance, ...]:
    """Count a restricted question against analysts' accounts, and lock those that have enough of them.

    An account that is closed already stays as it is: who has been locked out cannot fill the ledger.
    """
    held, wanted = balances.lock(transaction, accounts), sorted(set(accounts))
    for account in wanted:
        if account not in held:
            raise balances.not_open(account)
    return tuple(_strike(transaction, held[account], reason, lock_after, body) for account in wanted)


def _strike(
    transaction: Transaction, held: Held, reason: str, lock_after: int, body: Mapping[str, object]
) -> Balance:
    balance = held.balance
    if balance.account.kind is not Kind.ANALYST:
        raise ValueError("restricted questions count against analysts' accounts")
    if balance.state is not AccountState.OPEN:
        return balance
    strikes = balance.strikes + 1
    locks = strikes >= lock_after
    state, why = (AccountState.LOCKED, reason) if locks else (AccountState.OPEN, "")
    balances.restate(transaction, held, state, why, strikes)
    told = {"account": balance.id, "reason": reason, "strikes": strikes}
    _record(transaction, ReceiptKind.RESTRICTED, {**told, "public": body})
    if locks:
        _record(transaction, ReceiptKind.LOCKED, told)
    return replace(balance, state=state, reason=why, strikes=strikes)


def _record(transaction: Transaction, kind: ReceiptKind, body: dict[str, object]) -> None:
    chain.append(transaction, chain_of(str(body["account"])), kind, canonical(body))
