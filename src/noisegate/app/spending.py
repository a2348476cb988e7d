"""Accounts and the odometer as JSON values: what was spent, what is left, and for how long.

Every ε of spending is an estimate (`gate/odometer.py`), and the replies say so.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from noisegate.app.ends import iso
from noisegate.ask.desk import Desk
from noisegate.catalog.model import Dataset
from noisegate.errors import BadInput, LedgerUnavailable, NotFound
from noisegate.gate.access import Asker, Right, require
from noisegate.gate.door import analyst_account, project_account
from noisegate.gate.odometer import (
    DAY,
    By,
    Reading,
    date_of,
    group_of,
    more_like_average,
    rates,
    readings,
    runs_out,
    window,
)
from noisegate.ledger.accounts import Account, AccountState, Balance, Kind, Lifetime, Period
from noisegate.ledger.records import Role
from noisegate.ledger.spending import Group
from noisegate.privacy.filter import UNBOUNDED, Limits, capacity, spent_epsilon
from noisegate.privacy.loss import ZERO, Loss

Json = dict[str, object]
NOTE = (
    "spent is ε at the account's δ, and an estimate: an odometer has no guarantee at times chosen from "
    "answers; the limits have one"
)
EXPIRED = "expired"


def budget(desk: Desk, asker: Asker, name: str | None) -> Json:
    """Show the asker's own accounts, or all of them to whoever may see them.

    Args:
        desk: what asking needs.
        asker: who wants to know.
        name: only this dataset, population or account and what is beneath it; None for all.
    """
    now = desk.ledger.now()
    today = now // DAY
    held = _seen(desk, asker, now)
    top = None if name is None else find(name, held).id
    recent = rates(
        (
            part
            for account in _told_apart(asker, held, top)
            for part in desk.ledger.spending(account, Group.ACCOUNT, window(today))
        ),
        today,
    )
    shown = held if top is None else [b for b in held if is_beneath(b.id, top)]
    return {"accounts": [account_json(b, now, recent) for b in shown], "note": NOTE}


def odometer(desk: Desk, asker: Asker, by: str, name: str | None, days: int | None) -> Json:
    """Tell spending apart by dataset, analyst, tier or day; analysts see their own alone.

    Args:
        desk: what asking needs.
        asker: who wants to know.
        by: one of the words of `By`.
        name: only of this dataset, population or account and what is beneath it; None for all.
        days: only of the last so many days, today included; None for all.
    """
    word = _by(by)
    now = desk.ledger.now()
    held = _seen(desk, asker, now)
    top = None if name is None else find(name, held).id
    since = 0 if days is None else max(now // DAY - days + 1, 0)
    found = []
    for account, limits in _told_apart(asker, held, top).items():
        spent = desk.ledger.spending(account, group_of(word), since)
        found += [_reading_json(reading, limits) for reading in readings(word, account.split("/")[1], spent)]
    return {"by": by, "readings": found, "note": NOTE}


def _reading_json(reading: Reading, limits: Limits) -> Json:
    return {
        "dataset": reading.dataset,
        "of": reading.of,
        "charges": reading.charges,
        "epsilon": _epsilon(limits, reading.spent),
        "surcharge": _epsilon(limits, reading.surcharge),
        "delta": float(limits.delta),
    }


def _by(text: str) -> By:
    try:
        return By(text)
    except ValueError:
        words = ", ".join(by.value for by in By)
        raise BadInput(f"spending is told apart by one of {words}, not by {text!r}") from None


def _seen(desk: Desk, asker: Asker, now: int) -> tuple[Balance, ...]:
    if asker.role is Role.ANALYST:
        require(asker, Right.SEE_OWN_BUDGET)
        return own(desk, asker, now)
    require(asker, Right.SEE_ALL_BUDGETS)
    return visible(desk, asker)


def own(desk: Desk, asker: Asker, now: int) -> tuple[Balance, ...]:
    """Return an analyst's own accounts in their project; one that is not open as it would be opened."""
    found = []
    for dataset in desk.catalog.datasets:
        if not asker.may_see(dataset.name):
            continue
        path = analyst_account(dataset.population, dataset.name, asker)
        balance = desk.ledger.find_account(path)
        if balance is None:
            project = desk.ledger.find_account(
                project_account(dataset.population, dataset.name, asker.project)
            )
            balance = None if project is None else _unopened(path, project, now)
        if balance is not None:
            found.append(balance)
    return tuple(found)


def _unopened(path: str, project: Balance, now: int) -> Balance:
    limits = project.limits
    return Balance(
        account=Account.at(path, limits),
        capacity=capacity(limits),
        spent=ZERO,
        surcharge=ZERO,
        charges=0,
        period=Period(1, min(project.period.since, now), project.period.until),
        lifetime=Lifetime(limits.epsilon, limits.delta, ZERO, 0),
    )


def visible(desk: Desk, asker: Asker) -> tuple[Balance, ...]:
    """Return all accounts that a custodian or an auditor may see, parents before their children.

    That is those of the datasets they hold grants on, and the population's of whoever holds all of its.
    """
    every = desk.ledger.accounts()
    if asker.datasets is None:
        return every
    needed: dict[str, set[str]] = {}
    for dataset in desk.catalog.datasets:
        needed.setdefault(dataset.population, set()).add(dataset.name)
    for balance in every:
        if balance.account.kind is Kind.DATASET:
            population, _, name = balance.id.partition("/")
            needed.setdefault(population, set()).add(name)
    return tuple(
        b
        for b in every
        if (
            needed.get(b.id, {""}) <= asker.datasets
            if "/" not in b.id
            else b.id.split("/")[1] in asker.datasets
        )
    )


def find(name: str, held: Sequence[Balance]) -> Balance:
    """Return the account that a name means, of those that the asker may see, parents before their children.

    A dataset's name means its account, for an analyst their own on it; else a population's name its account.
    `population/NAME` always means a population, as in the names of chains; other paths are accounts'.

    Raises:
        NotFound: there is none, or none that the asker may know of.
    """
    of_dataset = next((b for b in held if b.id.split("/")[1:2] == [name]), None)
    if of_dataset is not None:
        return of_dataset
    for path in (name, name.removeprefix("population/")):
        found = next((b for b in held if b.id == path), None)
        if found is not None:
            return found
    raise NotFound(f"there is no account {name!r} here", "`noisegate budget show` lists them")


def is_beneath(account: str, top: str) -> bool:
    """Whether an account is `top` or beneath it."""
    return account == top or account.startswith(f"{top}/")


def account_json(balance: Balance, now: int, rate: Mapping[str, Loss] | None = None) -> Json:
    """Return an account as JSON values: limits, period, state, and what is spent and left.

    `now` is in seconds since 1970; `rate` what accounts lose a day, for the forecast.
    """
    limits, lifetime = balance.limits, balance.lifetime
    used = spent_epsilon(limits, balance.counted)
    ends = runs_out(balance, (rate or {}).get(balance.id), now)
    because = None if ends is None else "period ends" if ends.period_ends else "spent"
    return {
        "account": balance.id,
        "kind": balance.account.kind.value,
        "state": state_of(balance, now),
        "reason": balance.reason,
        "strikes": balance.strikes,
        "epsilon": float(limits.epsilon),
        "delta": float(limits.delta),
        "spent": float(used),
        "left": float(left(balance)),
        "surcharge": float(used - spent_epsilon(limits, balance.spent)),
        "charges": balance.charges,
        "period": {
            "number": balance.period.number,
            "since": iso(balance.period.since),
            "until": None if balance.period.until is None else iso(balance.period.until),
        },
        "lifetime": {
            "epsilon": float(lifetime.epsilon),
            "delta": float(lifetime.delta),
            "spent": _epsilon(limits, lifetime.spent),
            "charges": lifetime.charges,
        },
        "more_like_average": more_like_average(balance),
        "runs_out": None if ends is None else {"on": date_of(ends.day), "because": because},
    }


def overview_json(desk: Desk, dataset: Dataset) -> Json:
    """Return what anybody may know of a dataset: what a person may lose by it, in this period and in all.

    As the catalog declares it where the ledger cannot be read.
    """
    try:
        balance = desk.ledger.find_account(f"{dataset.population}/{dataset.name}")
    except LedgerUnavailable:
        balance = None
    until = None if balance is None else balance.period.until
    limits = dataset.budget if balance is None else balance.limits
    lifetime = dataset.budget if balance is None else balance.lifetime
    return {
        "name": dataset.name,
        "title": dataset.title,
        "synthetic": dataset.synthetic,
        "epsilon": float(limits.epsilon),
        "delta": float(limits.delta),
        "until": None if until is None else iso(until),
        "periods": 1 if balance is None else balance.period.number,
        "lifetime_epsilon": float(lifetime.epsilon),
        "lifetime_delta": float(lifetime.delta),
    }


def left(balance: Balance) -> Fraction:
    """Return the ε that the present period has left, an estimate."""
    return max(balance.limits.epsilon - spent_epsilon(balance.limits, balance.counted), Fraction(0))


def ended(balance: Balance, now: int) -> bool:
    """Whether the account's period has ended, so that it bears no charge until it is renewed."""
    return balance.period.until is not None and balance.period.until <= now


def state_of(balance: Balance, now: int) -> str:
    """Return whether an account bears charges, in a word."""
    return EXPIRED if balance.state is AccountState.OPEN and ended(balance, now) else balance.state.value


def _told_apart(asker: Asker, held: Sequence[Balance], top: str | None) -> dict[str, Limits]:
    """Return the accounts beneath which spending is added up, with the limits it is told at.

    Those are the datasets', for analysts their own; `top` narrows them to what is beneath it.
    """
    level = Kind.ANALYST if asker.role is Role.ANALYST else Kind.DATASET
    found = {b.id: b.limits for b in held if b.account.kind is level}
    if top is None:
        return found
    return {
        (account if is_beneath(account, top) else top): limits
        for account, limits in found.items()
        if is_beneath(account, top) or is_beneath(top, account)
    }


def _epsilon(limits: Limits, loss: Loss) -> float | None:
    """Return a loss as ε at an account's δ, None where no order bounds it."""
    epsilon = spent_epsilon(limits, loss)
    return float(epsilon) if epsilon < UNBOUNDED else None
