"""What an asker is told of accounts that do not bear a charge."""

from collections.abc import Collection

from noisegate.errors import Blocked, BudgetExhausted
from noisegate.ledger.accounts import AccountState


def as_told(refused: Blocked | BudgetExhausted, own: Collection[str]) -> Blocked | BudgetExhausted:
    """Return what an asker is told of a refusal: of accounts above their own that, and not how much or why.

    What such an account has left tells what others asked, and a custodian's reason is for custodians.
    """
    account = refused.detail.get("account")
    if account is None or account in own:
        return refused
    if isinstance(refused, BudgetExhausted):
        message = f"account {account!r} cannot bear this question"
        return BudgetExhausted(message, refused.hint, account=account)
    return Blocked(refused.message.partition(": ")[0], refused.hint, account=account)


def closed_to(
    account: str, state: AccountState, reason: str, own: Collection[str]
) -> Blocked | BudgetExhausted:
    """Return what an asker is told of an account that is suspended or locked."""
    refused = Blocked(
        f"account {account!r} is {state.value}: {reason}",
        "a custodian who has looked into it opens it again with `noisegate budget resume`",
        account=account,
    )
    return as_told(refused, own)
