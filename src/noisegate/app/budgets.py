"""What custodians do about budgets: grant, renew, transfer, suspend, resume.

A limit never moves. Each of these grants begins a new period, a further share that the account's lifetime
sums keep, and forfeits the rest of the one before.
"""

from fractions import Fraction

from noisegate.app.ends import end_of, every_of, iso, until_of
from noisegate.app.spending import (
    Json,
    account_json,
    ended,
    find,
    is_beneath,
    left,
    visible,
)
from noisegate.ask.desk import Desk
from noisegate.catalog.model import Dataset, Every
from noisegate.errors import BadInput, Conflict, NotFound
from noisegate.gate.access import Asker, Right, require
from noisegate.gate.door import project_account
from noisegate.ledger.accounts import Account, Balance, parent_of
from noisegate.privacy.filter import Limits

NAME = "letters, digits and _ . - @, 1 to 100 of them and not dots alone"
LONGEST_REASON = 500


def grant(
    desk: Desk,
    asker: Asker,
    dataset: str,
    analyst: str | None,
    epsilon: Fraction,
    delta: Fraction | None,
    *,
    project: str,
    until: str | None,
    every: str | None,
) -> Json:
    """Give an analyst's account on a dataset a share of its own; without an analyst, the project's.

    Args:
        desk: what asking needs.
        asker: a custodian with a grant on the dataset.
        dataset: its name.
        analyst: the name on their token.
        epsilon: the limit on ε.
        delta: the limit on δ; None for the account's own, or that of the account above a new one.
        project: the project.
        until: when the period ends, as `until_of` reads it.
        every: or: how long it lasts by the calendar. With neither, a period that has not ended keeps its end,
            and another ends with that of the account above.

    Raises:
        Conflict: the project has no budget on the dataset, or somebody else changed the account just now.
    """
    require(asker, Right.GRANT_BUDGET)
    found = dataset_of(desk, asker, dataset)
    path = project_account(found.population, found.name, name_of(project))
    if analyst is not None:
        path = f"{path}/{name_of(analyst)}"
    now = desk.ledger.now()
    former = desk.ledger.find_account(path)
    above = desk.ledger.find_account(parent_of(path) or "")
    if above is None:
        raise Conflict(
            f"project {project!r} has no budget on {found.name}, so its analysts cannot have one",
            f"grant it one first: `noisegate budget grant {found.name} --project {project}`",
        )
    known = (former or above).limits
    limits = _limits(epsilon, known.delta if delta is None else delta)
    end = _given_end(until, every, now)
    if end is None:
        end = _end_above(above, now) if former is None or ended(former, now) else former.period.until
    if former is None:
        account = Account.at(path, limits)
        desk.ledger.open_account(account, until=end, by=asker.name)
        return {**_now(desk, path), "opened": True, "forfeited": 0.0}
    if _is_same(former, limits, end, now):
        return {**account_json(former, now), "opened": False, "forfeited": 0.0}
    desk.ledger.renew(path, limits, until=end, by=asker.name, former=former.period.number)
    return {**_now(desk, path), "opened": False, "forfeited": float(left(former))}


def renew(
    desk: Desk,
    asker: Asker,
    name: str,
    reason: str,
    epsilon: Fraction | None,
    delta: Fraction | None,
    *,
    until: str | None,
    every: str | None,
) -> Json:
    """Begin the next period of an account, and of those beneath it that have ended, with their own limits.

    Args:
        desk: what asking needs.
        asker: a custodian of the account's dataset; of all its datasets for a population's account.
        name: a dataset, a population, or an account's path.
        reason: why, for the receipt.
        epsilon: the limit on ε, None for the one it had.
        delta: the limit on δ, None for the one it had.
        until: when the period ends, as `until_of` reads it.
        every: or: how long it lasts by the calendar. With neither, a period that has not ended keeps its end,
            and another lasts as long as the catalog says.

    Raises:
        NotFound: there is no such account, or none that the asker may know of.
        Conflict: neither limits nor an end are given and the period has not ended; or somebody else changed
            the account just now.
        BadInput: nothing says when the period is to end.
    """
    require(asker, Right.GRANT_BUDGET)
    _reason(reason)
    held = visible(desk, asker)
    former = find(name, held)
    now = desk.ledger.now()
    if epsilon is None and delta is None and until is None and every is None and not ended(former, now):
        stands = former.period.until
        raise Conflict(
            f"the period of {former.id} " + ("has no end" if stands is None else f"runs until {iso(stands)}"),
            "to begin another before, and forfeit the rest, say --epsilon, --until or --every",
        )
    limits = None
    if epsilon is not None or delta is not None:
        had = former.limits
        limits = _limits(had.epsilon if epsilon is None else epsilon, had.delta if delta is None else delta)
    end = _given_end(until, every, now)
    if end is None:
        end = _next_end(desk, former, now)
    below = [b for b in held if is_beneath(b.id, former.id) and b.id != former.id and ended(b, now)]
    # The one that was named comes last: as long as it has not begun anew, the same command may be repeated.
    for balance in sorted(below, key=lambda b: b.id.count("/"), reverse=True):
        desk.ledger.renew(
            balance.id, None, until=end, by=asker.name, reason=reason, former=balance.period.number
        )
    desk.ledger.renew(former.id, limits, until=end, by=asker.name, reason=reason, former=former.period.number)
    return {
        "accounts": [{**_now(desk, b.id), "forfeited": float(left(b))} for b in (*below, former)],
    }


def transfer(
    desk: Desk, asker: Asker, dataset: str, giver: str, taker: str, epsilon: Fraction, *, project: str
) -> Json:
    """Move what one analyst of a project has left to another. Both begin a new period.

    Raises:
        NotFound: the dataset is not there, or one of them has no account on it.
        BudgetExhausted: the giver has not so much left.
        Conflict: an account is closed.
    """
    require(asker, Right.GRANT_BUDGET)
    found = dataset_of(desk, asker, dataset)
    if epsilon <= 0:
        raise BadInput("a transfer is of some ε, above 0")
    if giver == taker:
        raise BadInput(f"{giver} cannot transfer to themselves", "name two analysts")
    top = project_account(found.population, found.name, name_of(project))
    paths = (f"{top}/{name_of(giver)}", f"{top}/{name_of(taker)}")
    for path, analyst in zip(paths, (giver, taker), strict=True):
        if desk.ledger.find_account(path) is None:
            raise NotFound(
                f"{analyst} has no account on {found.name} in project {project!r}",
                "`noisegate budget grant` opens one, and so does a first question",
            )
    desk.ledger.transfer(*paths, epsilon, by=asker.name)
    return {"accounts": [_now(desk, path) for path in paths]}


def suspend(desk: Desk, asker: Asker, name: str, reason: str) -> Json:
    """Refuse all charges that name an account, and so all beneath it, until it is resumed.

    Raises:
        NotFound: there is no such account, or none that the asker may know of.
        Conflict: it is suspended already.
    """
    require(asker, Right.SUSPEND_ACCOUNTS)
    account = find(name, visible(desk, asker)).id
    desk.ledger.suspend(account, _reason(reason), by=asker.name)
    return _now(desk, account)


def resume(desk: Desk, asker: Asker, name: str) -> Json:
    """Open a suspended or locked account again; its strikes are forgotten.

    Raises:
        NotFound: there is no such account, or none that the asker may know of.
        Conflict: it is open.
    """
    require(asker, Right.SUSPEND_ACCOUNTS)
    account = find(name, visible(desk, asker)).id
    desk.ledger.resume(account, by=asker.name)
    return _now(desk, account)


def dataset_of(desk: Desk, asker: Asker, name: str) -> Dataset:
    """Return a dataset the asker may know of; one they may not is as good as none."""
    found = desk.catalog.dataset(name)
    if found is None or not asker.may_see(found.name):
        raise NotFound(f"there is no dataset {name!r} here", "`noisegate catalog show` lists them")
    return found


def name_of(text: str) -> str:
    """Return a name of an analyst or a project, which is a part of an account's path, or raise BadInput."""
    made_of = text.isascii() and all(c.isalnum() or c in "_.-@" for c in text)
    # As a part of an address, dots alone mean what is above.
    if not 1 <= len(text) <= 100 or not made_of or not text.strip("."):
        raise BadInput(f"{text!r} cannot be a name", f"a name is {NAME}")
    return text


def _reason(text: str) -> str:
    """Return a reason, which goes on a receipt, or raise BadInput."""
    if not text.strip() or len(text) > LONGEST_REASON:
        raise BadInput(f"a reason is 1 to {LONGEST_REASON} characters", "say why: it goes on the receipt")
    return text


def _limits(epsilon: Fraction, delta: Fraction) -> Limits:
    try:
        return Limits.of(epsilon, delta)
    except ValueError as wrong:
        raise BadInput(str(wrong)) from None


def _given_end(until: str | None, every: str | None, now: int) -> int | None:
    """Return the end that was asked for, None where none was."""
    if until is not None and every is not None:
        raise BadInput("give either an end or how long the period lasts, not both")
    if until is not None:
        return until_of(until, now)
    return None if every is None else end_of(every_of(every), now)


def _end_above(above: Balance, now: int) -> int | None:
    """Return the end of the account above, None where it has none."""
    if ended(above, now):
        raise Conflict(
            f"the period of {above.id} has ended, so that nothing beneath it bears a charge",
            f"renew it first: `noisegate budget renew {above.id}`",
        )
    return above.period.until


def _next_end(desk: Desk, former: Balance, now: int) -> int | None:
    """Return when the next period of an account ends where nobody said."""
    if not ended(former, now):
        return former.period.until
    every = _declared(desk, former.id)
    if every is not None:
        return end_of(every, now)
    above = desk.ledger.find_account(parent_of(former.id) or "")
    if above is not None and above.period.until is not None and not ended(above, now):
        return above.period.until
    raise BadInput(f"nothing says when the next period of {former.id} is to end", "say --until or --every")


def _declared(desk: Desk, account: str) -> Every | None:
    """Return how long a period of an account lasts by the catalog, None where it does not say."""
    population, *rest = account.split("/")
    if rest:
        dataset = desk.catalog.dataset(rest[0])
        return None if dataset is None else dataset.budget.every
    budget = desk.catalog.populations.get(population)
    return None if budget is None else budget.every


def _is_same(former: Balance, limits: Limits, end: int | None, now: int) -> bool:
    """Whether a grant repeats what stands and nothing was charged to, so that it need not begin anew."""
    return (
        former.charges == 0
        and former.limits == limits
        and former.period.until == end
        and not ended(former, now)
    )


def _now(desk: Desk, account: str) -> Json:
    balance = desk.ledger.find_account(account)
    if balance is None:
        raise NotFound(f"account {account} is not open")
    return account_json(balance, desk.ledger.now())
