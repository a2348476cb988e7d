"""Shares of budget: an account's first period, its renewals, and transfers between siblings. TRUSTED.

A period's limits are fixed when it begins and never change; more budget is always a new period, written
as an entry that the custodian's key signs. What the former period had left is forfeited, what it lost
stays in the lifetime's sums. PROOFS.md, "Periods".
"""

from fractions import Fraction

from noisegate.errors import BadInput, BudgetExhausted, Conflict
from noisegate.ledger import balances, chain
from noisegate.ledger.accounts import Account, AccountState, Balance, chain_of, limits_as_json
from noisegate.ledger.balances import Held
from noisegate.ledger.receipts import signed
from noisegate.ledger.records import ReceiptKind
from noisegate.ledger.signing import Signer
from noisegate.ledger.transaction import Transaction
from noisegate.privacy.filter import Limits, spent_epsilon
from noisegate.privacy.loss import NANO

LEAST = Fraction(1, 10**6)  # ε that a transfer leaves with the giver, at least


def open_account(
    transaction: Transaction, account: Account, until: int | None, by: str, signer: Signer
) -> None:
    """Open an account with its first period, or find it open with the same limits."""
    if balances.read(transaction, account.id) is None:
        _ends_later(transaction, until)
    balance = balances.open_row(transaction, account, until)
    if balance is not None:
        _record(transaction, balance, ReceiptKind.OPENED, {"by": by}, signer)


def renew(
    transaction: Transaction,
    account: str,
    limits: Limits | None,
    until: int | None,
    by: str,
    reason: str,
    signer: Signer,
    former: int | None = None,
) -> Balance:
    """Begin an account's next period, with these limits or those it had. Its state stays as it is."""
    _ends_later(transaction, until)
    held = balances.lock_one(transaction, account)
    if former is not None and held.balance.period.number != former:
        raise Conflict(
            f"account {account!r} began another period in the meantime",
            "look at it with `noisegate budget show` before you begin a further one",
        )
    balance = balances.renew(transaction, held, held.balance.limits if limits is None else limits, until)
    _record(transaction, balance, ReceiptKind.RENEWED, {"by": by, "reason": reason}, signer)
    return balance


def transfer(
    transaction: Transaction, giver: str, taker: str, epsilon: Fraction, by: str, signer: Signer
) -> tuple[Balance, Balance]:
    """Move ε from what an account has left to a sibling: a new period for both, δ and ends as they were."""
    if epsilon <= 0:
        raise BadInput("a transfer moves an epsilon above 0")
    held = balances.lock(transaction, {giver, taker})
    for account in (giver, taker):
        if account not in held:
            raise balances.not_open(account)
        _is_open(held[account].balance, transaction.at)
    parents = {h.balance.account.parent for h in held.values()}
    if giver == taker or len(parents) != 1 or None in parents:
        raise Conflict(
            f"{giver!r} and {taker!r} are not two accounts under one account",
            "budget moves between siblings; for all else a custodian renews each with limits of its own",
        )
    left = {account: left_of(h.balance) for account, h in held.items()}
    if left[giver] - epsilon < LEAST:
        most = max(left[giver] - LEAST, Fraction(0))
        raise BudgetExhausted(
            f"account {giver!r} has ε {float(left[giver]):.9g} left and keeps at least {float(LEAST):.0e}: "
            f"it can give at most {float(most):.9g}",
            "transfer less",
            account=giver,
            epsilon_left=float(left[giver]),
        )
    moved: dict[str, object] = {"by": by, "from": giver, "to": taker, "moved": str(epsilon)}
    new = [
        _begin(transaction, held[account], left[account] + sign * epsilon, moved, signer)
        for account, sign in ((giver, -1), (taker, 1))
    ]
    return new[0], new[1]


def left_of(balance: Balance) -> Fraction:
    """Return the ε that an account has left, rounded down to the ledger's units; never below 0."""
    left = balance.limits.epsilon - spent_epsilon(balance.limits, balance.counted)
    return max(Fraction(left * NANO // 1, NANO), Fraction(0))


def _begin(
    transaction: Transaction, held: Held, epsilon: Fraction, moved: dict[str, object], signer: Signer
) -> Balance:
    old = held.balance
    limits = Limits(epsilon, old.limits.delta, old.limits.delta_keys)
    balance = balances.renew(transaction, held, limits, old.period.until)
    _record(transaction, balance, ReceiptKind.TRANSFERRED, moved, signer)
    return balance


def _is_open(balance: Balance, at: int) -> None:
    """Raise Conflict where an account is suspended, locked or past its period's end."""
    if balance.state is not AccountState.OPEN:
        raise Conflict(
            f"account {balance.id!r} is {balance.state.value}: no budget moves to it or from it",
            "open it again with `noisegate budget resume`",
        )
    if balance.period.until is not None and at >= balance.period.until:
        raise Conflict(
            f"the period of account {balance.id!r} has ended: nothing is left to move",
            "renew it with `noisegate budget renew`",
        )


def share(balance: Balance) -> dict[str, object]:
    """Return what an entry tells of a period that begins: limits, capacity, number, ends, lifetime."""
    period, lifetime = balance.period, balance.lifetime
    return {
        "account": balance.id,
        **limits_as_json(balance.limits, balance.capacity),
        "period": {"number": period.number, "since": period.since, "until": period.until},
        "lifetime": {"epsilon": str(lifetime.epsilon), "delta": str(lifetime.delta)},
    }


def _record(
    transaction: Transaction, balance: Balance, kind: ReceiptKind, more: dict[str, object], signer: Signer
) -> None:
    body = signed({**share(balance), **more}, signer)
    chain.append(transaction, chain_of(balance.id), kind, body)


def _ends_later(transaction: Transaction, until: int | None) -> None:
    if until is not None and until <= transaction.at:
        raise BadInput("a period ends after it begins", "give an end in the future, or none")
