"""What a job gives back when it ends: what it reserved for steps that never started. TRUSTED.

It goes back to every account it was taken from, in the period it was taken in, and to the tallies of the
day it was charged on. The surcharge stays: it paid for the question, not for its steps. PROOFS.md, "Charge".
"""

from collections.abc import Mapping

from noisegate.errors import InternalError
from noisegate.ledger import balances, chain, tallies
from noisegate.ledger.accounts import Kind, kind_of
from noisegate.ledger.records import Job, ReceiptKind
from noisegate.ledger.transaction import Transaction
from noisegate.privacy.loss import INFINITE, Loss


def left_over(reserved: Loss, drawn: Loss) -> Loss:
    """Return what of a reserved loss was never drawn; nothing at an order where no bound was reserved."""
    pairs = zip((*reserved.renyi, reserved.delta), (*drawn.renyi, drawn.delta), strict=True)
    parts = tuple(0 if whole == INFINITE else whole - part for whole, part in pairs)
    if min(parts) < 0:
        raise InternalError("more was drawn than was reserved; nothing was given back")
    return Loss(parts[:-1], parts[-1])


def amount_back(amount: int, reserved: Loss, drawn: Loss, steps: int, steps_drawn: int) -> int:
    """Return what of a charge's amount for the day's maximum goes back, rounded down.

    What was drawn keeps the largest of its shares: of the steps, and of the loss at each order and for δ.

    >>> from fractions import Fraction
    >>> from noisegate.privacy.curves import pure
    >>> half, cent = pure(Fraction(1, 2)), pure(Fraction(1, 100))
    >>> amount_back(1000, cent.times(3), cent, steps=3, steps_drawn=1)
    666
    >>> amount_back(1000, half + cent.times(50), cent.times(50), steps=51, steps_drawn=50)
    19
    """
    shares = [(steps_drawn, steps)]
    shares += zip((*drawn.renyi, drawn.delta), (*reserved.renyi, reserved.delta), strict=True)
    return amount - max(-(-amount * part // whole) for part, whole in shares if whole)


def give_back(transaction: Transaction, job: Job, periods: Mapping[str, int], returned: Loss) -> None:
    """Give back what a job never drew. The caller has settled the job, so that it happens once.

    Args:
        transaction: the trees of the accounts are held.
        job: as it stood when it ended.
        periods: the period of each account that the job was charged in.
        returned: what was reserved and never drawn.
    """
    told = chain.of_charge(transaction, job.charge, ReceiptKind.CHARGE)[0]
    content = told.content()
    daily, tier = content["daily"], content["tier"]
    if content["steps"] != job.steps or not isinstance(tier, str):
        raise InternalError(f"charge {job.charge} is no such job's; nothing was given back")
    amount = 0
    if isinstance(daily, list):
        amount = amount_back(daily[0], job.reserved, job.drawn, job.steps, job.steps_drawn)
    balances.give_back(transaction, periods, returned)
    analysts = [account for account in periods if kind_of(account) is Kind.ANALYST]
    tallies.give_back(transaction, analysts, told.at, tier, returned, amount)
