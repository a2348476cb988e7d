"""The shapes of budgets in requests and replies; see `bodies.py`."""

from typing import Annotated, Literal

from pydantic import Field

from noisegate.server.http.bodies import Body, Name, Number

AccountName = Annotated[str, Field(min_length=1, max_length=403)]
Reason = Annotated[str, Field(min_length=1, max_length=500)]
Moment = Annotated[str, Field(min_length=1, max_length=40)]
Lasts = Literal["day", "week", "month", "quarter", "year"]
UNTIL = "when the period ends, a date or an ISO 8601 time; dates begin at midnight UTC"
EVERY = "or: the period ends with the calendar's present one, UTC"


class GrantBody(Body):
    """A share of budget for one analyst's account on a dataset, or without `analyst` for a project's.

    An account that is open begins a new period with it, and the rest of the former one is forfeited.
    """

    dataset: Name
    analyst: Name | None = Field(
        None, description="the name on their token; without it, the project's account"
    )
    epsilon: Number = Field(description="the limit on ε", examples=[1])
    delta: Number | None = Field(
        None, description="the limit on δ; else as it was, or the account's above it"
    )
    project: Name = Field("default", description="the project")
    until: Moment | None = Field(None, description=UNTIL)
    every: Lasts | None = Field(None, description=EVERY)


class RenewalBody(Body):
    """A new period for an account; the rest of the present one is forfeited.

    Accounts beneath it whose periods have ended are renewed with it, with the limits they had. With neither
    limits nor an end, only a period that has ended is renewed, for as long as the catalog says.
    """

    account: AccountName = Field(description="a dataset, a population, or an account's path")
    reason: Reason = Field(description="why, for the receipt")
    epsilon: Number | None = Field(None, description="the limit on ε; else as it was")
    delta: Number | None = Field(None, description="the limit on δ; else as it was")
    until: Moment | None = Field(None, description=UNTIL)
    every: Lasts | None = Field(None, description=EVERY)


class TransferBody(Body):
    """What one analyst has left goes to another of the same project. Both begin a new period with it."""

    dataset: Name
    giver: Name
    taker: Name
    epsilon: Number = Field(description="how much ε, at most what the giver has left", examples=[0.5])
    project: Name = Field("default", description="the project of both")


class SuspensionBody(Body):
    """Why an account bears no more charges until a custodian resumes it."""

    reason: Reason


class PeriodReply(Body):
    """A share of an account's budget; `number` counts from 1, without `until` it has no end."""

    number: int
    since: str
    until: str | None


class LifetimeReply(Body):
    """All periods together: the sums of their limits, and the true loss; `spent` is null without a bound."""

    epsilon: float
    delta: float
    spent: float | None
    charges: int


class RunsOutReply(Body):
    """The day on which the account will bear no more at the present rate, and why."""

    on: str
    because: Literal["spent", "period ends"]


class AccountReply(Body):
    """An account. `spent` is an estimate, ε at the account's δ, as is all that follows from it."""

    account: str = Field(description="its path in the tree")
    kind: Literal["population", "dataset", "project", "analyst"]
    state: Literal["open", "expired", "suspended", "locked"]
    reason: str = Field(description="why it is suspended or locked")
    strikes: int = Field(description="restricted questions since a custodian last opened it")
    epsilon: float = Field(description="the present period's limit on ε")
    delta: float = Field(description="the present period's limit on δ")
    spent: float = Field(description="in the present period, surcharges included")
    left: float = Field(description="in the present period")
    surcharge: float = Field(
        description="how much of `spent` is the adaptive price's; analysts' accounts only"
    )
    charges: int = Field(description="in the present period")
    period: PeriodReply | None = Field(description="null before the account's first charge")
    lifetime: LifetimeReply
    more_like_average: int | str | None = Field(description="how many more like the period's average so far")
    runs_out: RunsOutReply | None = Field(description="a forecast from the last 14 days")


class AccountsReply(Body):
    """Accounts, parents before their children."""

    accounts: list[AccountReply]
    note: str


class ReadingReply(Body):
    """What was charged on a dataset for one analyst, tier or day; `epsilon` is that of this part alone."""

    dataset: str
    of: str
    charges: int
    epsilon: float | None
    surcharge: float | None
    delta: float


class OdometerReply(Body):
    """Spending of all periods, told apart. The ε of the parts do not add up to that of the whole."""

    by: Literal["dataset", "analyst", "tier", "day"]
    readings: list[ReadingReply]
    note: str


class GrantedReply(AccountReply):
    """The account as it is now; `forfeited` is the ε that was left of the period before."""

    opened: bool
    forfeited: float


class RenewedReply(AccountReply):
    """An account as it is now; `forfeited` is the ε that was left of the period before."""

    forfeited: float


class RenewalsReply(Body):
    """The accounts that began a new period, the one that was named last."""

    accounts: list[RenewedReply]
