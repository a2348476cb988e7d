"""What was spent so far, by whom and when, and when it will run out at the present rate.

All of it is an estimate: an odometer is read at times that answers may have influenced, and no theorem
holds for the ε that it shows then. What is guaranteed is an account's limit. Nothing here decides anything.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import assert_never

from noisegate.ledger.accounts import Balance
from noisegate.ledger.spending import Group, Spending
from noisegate.privacy.filter import more_like_this
from noisegate.privacy.loss import INFINITE, ZERO, Loss

DAY = 86_400
_FIRST = date(1970, 1, 1)
# The rate is that of the last fortnight: a week has its quiet days, and a month is long ago.
WINDOW = 14
# A forecast further ahead than a century says nothing.
FURTHEST = 36_525


class By(enum.Enum):
    """What spending is told apart by, within each dataset."""

    DATASET = "dataset"
    ANALYST = "analyst"
    TIER = "tier"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was charged on one dataset for one analyst, tier or day; `of` says which, "" for all together.

    A charge on several datasets stands in full in the readings of each. Days are dates, UTC. Over all
    periods; what jobs gave back is taken off.
    """

    dataset: str
    of: str
    charges: int
    spent: Loss
    surcharge: Loss


@dataclass(frozen=True, slots=True)
class RunsOut:
    """On which day, in days since 1970, an account will bear no more: for its loss, or its period's end."""

    day: int
    period_ends: bool


def total(losses: Iterable[Loss]) -> Loss:
    """Return the sum of many losses; sums saturate at INFINITE."""
    held = list(losses)
    if not held:
        return ZERO
    columns = zip(*(loss.renyi for loss in held), strict=True)
    return Loss(
        tuple(min(sum(column), INFINITE) for column in columns),
        min(sum(loss.delta for loss in held), INFINITE),
    )


def share(loss: Loss, parts: int) -> Loss:
    """Return one of `parts` equal parts of a loss, rounded up."""
    return Loss(tuple(_part(r, parts) for r in loss.renyi), _part(loss.delta, parts))


def _part(whole: int, parts: int) -> int:
    return INFINITE if whole == INFINITE else -(-whole // parts)


def readings(by: By, dataset: str, spent: Iterable[Spending]) -> tuple[Reading, ...]:
    """Return what was charged on a dataset, told apart, in order.

    Args:
        by: what by.
        dataset: its name.
        spent: added up by `group_of(by)`.
    """
    groups: dict[str | int, list[Spending]] = {}
    for part in spent:
        groups.setdefault(_of(by, part.of), []).append(part)
    return tuple(
        Reading(
            dataset,
            date_of(int(of)) if by is By.DAY else str(of),
            sum(part.charges for part in held),
            total(part.spent for part in held),
            total(part.surcharge for part in held),
        )
        for of, held in sorted(groups.items())
    )


def date_of(day: int) -> str:
    """Return the date of a day that is counted from 1970-01-01.

    >>> date_of(0), date_of(20_000)
    ('1970-01-01', '2024-10-04')
    """
    return (_FIRST + timedelta(days=day)).isoformat()


def group_of(by: By) -> Group:
    """Return what the ledger is to add spending up by."""
    match by:
        case By.DATASET | By.ANALYST:
            return Group.ACCOUNT
        case By.TIER:
            return Group.TIER
        case By.DAY:
            return Group.DAY
        case _:
            assert_never(by)


def _of(by: By, of: str | int) -> str | int:
    match by:
        case By.DATASET:
            return ""
        case By.ANALYST:  # in whichever project
            return str(of).rpartition("/")[2]
        case By.TIER | By.DAY:
            return of
        case _:
            assert_never(by)


def rates(spent: Iterable[Spending], today: int) -> Mapping[str, Loss]:
    """Return what accounts lose a day at present: the mean since their first charge in the last WINDOW days.

    For every account at or above one that lost something in that time. A charge on several datasets counts
    once for each of them in the rate of their population, so that one may be too high. An analyst's account
    counts its surcharge too, as its limit does.

    Args:
        spent: by account, since `window(today)`.
        today: days since 1970.
    """
    held: dict[str, list[Loss]] = {}
    first: dict[str, int] = {}
    for part in spent:
        parts = str(part.of).split("/")
        for level in range(1, len(parts) + 1):
            account = "/".join(parts[:level])
            of = held.setdefault(account, [])
            of.append(part.spent)
            if level == len(parts):
                of.append(part.surcharge)
            first[account] = min(first.get(account, today), part.first_day)
    means = {account: share(total(of), today - first[account] + 1) for account, of in held.items()}
    return {account: mean for account, mean in means.items() if mean != ZERO}


def window(today: int) -> int:
    """Return the first day that counts for the present rate."""
    return today - WINDOW + 1


def runs_out(balance: Balance, rate: Loss | None, now: int) -> RunsOut | None:
    """Return on which day an account bears no more if it goes on losing `rate` a day.

    None without a rate, and where the budget lasts beyond any forecast and the period has no end. `now` is
    in seconds since 1970.
    """
    if rate is None:
        return None
    days = more_like_this(balance.capacity, balance.counted, rate)
    day = now // DAY + days if days <= FURTHEST else None
    until = balance.period.until
    if until is not None and (day is None or until <= day * DAY):
        return RunsOut(max(until, now) // DAY, period_ends=True)
    return None if day is None else RunsOut(day, period_ends=False)


def more_like_average(balance: Balance) -> int | None:
    """Return how many more questions like the period's average the account bears, None before the first."""
    if balance.charges == 0 or balance.counted == ZERO:
        return None
    return more_like_this(balance.capacity, balance.counted, share(balance.counted, balance.charges))
