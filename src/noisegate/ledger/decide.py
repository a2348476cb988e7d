"""Which charges of a batch are taken, decided one after the other on rows that were read. TRUSTED.

Nothing here reads or writes: what is decided follows from the charges, in their order, and from the rows
alone. PROOFS.md, "Charge".
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime

from noisegate.errors import Blocked, Conflict, InternalError, NoisegateError, NotFound
from noisegate.ledger.accounts import AccountState
from noisegate.ledger.records import Charge, ChargeState, Daily, Earlier, IdempotencyKey, Tally
from noisegate.privacy.filter import Capacity, admits
from noisegate.privacy.loss import INFINITE, ZERO, Loss

WHY_NOT = {
    ChargeState.OPEN: (
        "a request with this idempotency key is still running",
        "wait for it, then send the same request again to get its answer",
    ),
    ChargeState.FAILED: (
        "the request with this idempotency key failed after it was charged",
        "ask the custodian: the plan is closed for everyone until they have looked at it",
    ),
    ChargeState.LOST: (
        "the request with this idempotency key was cut off after it was charged",
        "its charge stays spent; ask again with a new key",
    ),
}
CANCELLED = (
    "the job with this idempotency key was cancelled",
    "what it had drawn stays spent, the rest was given back; open it again with a new key",
)


@dataclass(slots=True)
class Standing:
    """An account in the course of a batch: as it was read, but for what the batch's charges have added.

    `whole` are its limits in the ledger's units; `taken` is how many charges of the batch name it.
    """

    account: str
    parent: str | None
    analyst: bool
    whole: tuple[int, int, int]
    capacity: Capacity
    spent: Loss
    surcharge: Loss
    charges: int
    period: int
    until: int | None
    state: AccountState
    reason: str
    version: int
    taken: int = 0

    def after(self, spent: Loss, surcharge: Loss, taken: int) -> "Standing":
        """Return the account with other sums, and so many more charges of the batch that name it."""
        return Standing(
            self.account,
            self.parent,
            self.analyst,
            self.whole,
            self.capacity,
            spent,
            surcharge,
            self.charges,
            self.period,
            self.until,
            self.state,
            self.reason,
            self.version,
            self.taken + taken,
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """What a batch is decided on, all of it read with the trees held.

    Attributes:
        at: the ledger's time, seconds since 1970 UTC.
        day: the UTC day of it.
        accounts: those named by the charges, as far as they are open.
        earlier: what the idempotency keys of the batch were used for before, by principal and key, with the
            hash of the request.
        suspended: fingerprints of the batch that are suspended.
        tallies: of the analysts' accounts on this day, by account and tier.
    """

    at: int
    day: int
    accounts: Mapping[str, Standing]
    earlier: Mapping[tuple[str, str], tuple[Earlier, str]]
    suspended: Set[str]
    tallies: Mapping[tuple[str, str], Tally]


@dataclass(frozen=True, slots=True)
class Taken:
    """The charge is taken; `periods` names the period of each of its accounts."""

    periods: dict[str, int]


@dataclass(frozen=True, slots=True)
class Again:
    """The idempotency key paid before and was answered; nothing is taken."""

    earlier: Earlier


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is taken."""

    error: NoisegateError


@dataclass(frozen=True, slots=True)
class Shortfall:
    """An account cannot bear the charge. Nothing is taken from any."""

    account: str
    whole: tuple[int, int, int]
    capacity: Capacity
    counted: Loss
    wanted: Loss


@dataclass(frozen=True, slots=True)
class DayFull:
    """The asker's maximum of the day for a tier does not allow the charge. Nothing is taken."""

    account: str
    tier: str
    limit: int
    left: int
    wanted: int


Decision = Taken | Again | Refused | Shortfall | DayFull


@dataclass(slots=True)
class Decided:
    """The decisions in the order of the charges, and what the rows become: accounts taken from, tallies."""

    decisions: list[Decision] = field(default_factory=list)
    accounts: dict[str, Standing] = field(default_factory=dict)
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)


def decide(charges: Sequence[Charge], rows: Rows) -> Decided:
    """Decide a batch of charges.

    Claim: a charge is `Taken` only if, counting those of the batch taken before it, no account that it
    names is closed, every account's new sums are admitted by its capacity, the analysts' sums of the day
    are within the day's maximum, its fingerprint is not suspended and its key not used; then each account
    named has its loss added once, and each analyst's its surcharge. Of any other charge nothing remains.
    Needs: `rows` hold the accounts, tallies, keys and suspensions that the charges name, as they stand.
    Argued in PROOFS.md, "Charge".
    """
    return together(charges, rows) or in_turn(charges, rows)


def together(charges: Sequence[Charge], rows: Rows) -> Decided | None:
    """Decide a batch as `in_turn` does, with one look at each account; None where that does not tell.

    Losses only add, so an account that admits all charges of the batch that name it admits each of them
    after those before it.
    """
    done = Decided()
    used = dict(rows.earlier)
    added: dict[str, list[Charge]] = {}
    for charge in charges:
        held = _bearers(charge, rows, used)
        if not isinstance(held, list):
            done.decisions.append(held)
            continue
        tallies = _tallies(charge, held, rows, done)
        if isinstance(tallies, DayFull):
            return None
        for standing in held:
            added.setdefault(standing.account, []).append(charge)
        _take(charge, held, tallies, used, done)
    for account, taken in added.items():
        standing = rows.accounts[account]
        spent = _total(standing.spent, [charge.loss for charge in taken])
        more = [charge.surcharges[account] for charge in taken if account in charge.surcharges]
        surcharge = _total(standing.surcharge, more)
        if not admits(standing.capacity, spent if surcharge is ZERO else spent + surcharge):
            return None
        done.accounts[account] = standing.after(spent, surcharge, len(taken))
    return done


def in_turn(charges: Sequence[Charge], rows: Rows) -> Decided:
    """Decide a batch one charge after the other, each on what those before it have left."""
    done = Decided()
    used = dict(rows.earlier)
    for charge in charges:
        held = _bearers(charge, rows, used)
        if not isinstance(held, list):
            done.decisions.append(held)
            continue
        held = [done.accounts.get(standing.account, standing) for standing in held]
        after = _after(charge, held)
        if isinstance(after, Shortfall):
            done.decisions.append(after)
            continue
        tallies = _tallies(charge, held, rows, done)
        if isinstance(tallies, DayFull):
            done.decisions.append(tallies)
            continue
        _take(charge, held, tallies, used, done)
        done.accounts.update(after)
    return done


def _bearers(
    charge: Charge, rows: Rows, used: Mapping[tuple[str, str], tuple[Earlier, str]]
) -> list[Standing] | Again | Refused:
    """Return the accounts that are to bear a charge as they were read, or why none does, sums apart."""
    if charge.idempotency is not None:
        try:
            earlier = earlier_of(charge.idempotency, used)
        except Conflict as error:
            return Refused(error)
        if earlier is not None:
            if earlier.state is ChargeState.ANSWERED:
                return Again(earlier)
            return Refused(Conflict(*(CANCELLED if earlier.cancelled else WHY_NOT[earlier.state])))
    if charge.fingerprint in rows.suspended:
        return Refused(
            Blocked(
                "this plan failed once after it was charged and is closed for everyone",
                "ask the custodian to look at it and open it again",
            )
        )
    held: list[Standing] = []
    for account in sorted(charge.accounts):  # every account after the one above it
        standing = rows.accounts.get(account)
        if standing is None:
            return Refused(NotFound(f"account {account!r} is not open", "ask the custodian to open it"))
        closed = why_closed(standing, rows.at)
        if closed is not None:
            return Refused(closed)
        held.append(standing)
    for standing in held:
        if standing.parent is not None and standing.parent not in charge.accounts:
            return Refused(
                InternalError("a charge leaves out an ancestor of an account it names; nothing was taken")
            )
    return held


def _after(charge: Charge, held: Sequence[Standing]) -> dict[str, Standing] | Shortfall:
    """Return what its accounts become with a charge, or the first that cannot bear it."""
    after = {}
    for standing in held:
        spent, surcharge = standing.spent + charge.loss, standing.surcharge
        if standing.account in charge.surcharges:
            surcharge += charge.surcharges[standing.account]
        if not admits(standing.capacity, spent if surcharge is ZERO else spent + surcharge):
            return _short(standing, charge)
        after[standing.account] = standing.after(spent, surcharge, 1)
    return after


def _take(
    charge: Charge,
    held: Sequence[Standing],
    tallies: Sequence[Tally],
    used: dict[tuple[str, str], tuple[Earlier, str]],
    done: Decided,
) -> None:
    """Note that a charge is taken, and what its key and its analysts' days become."""
    done.decisions.append(Taken({standing.account: standing.period for standing in held}))
    for tally in tallies:
        done.tallies[tally.account, tally.tier] = tally
    if charge.idempotency is not None:
        # Its number is not known yet, and is not told: a request that is running only conflicts.
        key, running = charge.idempotency, Earlier(0, ChargeState.OPEN, charge.fingerprint)
        used[key.principal, key.key] = (running, key.request_hash)


def _total(before: Loss, added: Sequence[Loss]) -> Loss:
    """Return losses together, `before` among them."""
    if len(added) < 2:
        return before + added[0] if added else before
    entries = zip(before.renyi, *(loss.renyi for loss in added), strict=True)
    renyi = tuple([min(total, INFINITE) for total in map(sum, entries)])
    return Loss(renyi, min(before.delta + sum(loss.delta for loss in added), INFINITE))


def why_closed(standing: Standing, at: int) -> Blocked | None:
    """Return why an account bears no charge at a time, None where it does."""
    if standing.state is AccountState.SUSPENDED:
        return _closed(
            standing,
            f"account {standing.account!r} is suspended: {standing.reason}",
            "a custodian opens it again with `noisegate budget resume`",
        )
    if standing.state is AccountState.LOCKED:
        return _closed(
            standing,
            f"account {standing.account!r} is locked after restricted questions: {standing.reason}",
            "a custodian who has looked at them opens it again with `noisegate budget resume`",
        )
    if standing.until is not None and at >= standing.until:
        return _closed(
            standing,
            f"the period of account {standing.account!r} ended at {_shown(standing.until)}",
            "a custodian renews it with `noisegate budget renew`",
        )
    return None


def earlier_of(key: IdempotencyKey, used: Mapping[tuple[str, str], tuple[Earlier, str]]) -> Earlier | None:
    """Return what a key paid for before, None if it never did. Raises Conflict if for another request."""
    found = used.get((key.principal, key.key))
    if found is None:
        return None
    earlier, request_hash = found
    if request_hash != key.request_hash:
        raise Conflict("this idempotency key was used for another request", "use a new key for a new request")
    return earlier


def _short(standing: Standing, charge: Charge) -> Shortfall:
    wanted = charge.loss + charge.surcharges.get(standing.account, ZERO)
    counted = standing.spent + standing.surcharge
    return Shortfall(standing.account, standing.whole, standing.capacity, counted, wanted)


def _tallies(charge: Charge, held: Sequence[Standing], rows: Rows, done: Decided) -> list[Tally] | DayFull:
    """Return what the tallies of a charge's analysts become, or which maximum of the day it would pass."""
    tallies = [_tally(standing.account, charge, rows, done) for standing in held if standing.analyst]
    if charge.daily is not None:
        for tally in tallies:
            full = _day_full(tally, charge.daily, rows, done)
            if full is not None:
                return full
    return tallies


def _tally(account: str, charge: Charge, rows: Rows, done: Decided) -> Tally:
    """Return what the account's tally of the day becomes with the charge."""
    key = (account, charge.tier)
    before = done.tallies.get(key) or rows.tallies.get(key)
    if before is None:
        before = Tally(account, rows.day, charge.tier, 0, ZERO, ZERO, 0)
    more = charge.surcharges.get(account)
    return Tally(
        account,
        rows.day,
        charge.tier,
        before.charges + 1,
        before.spent + charge.loss,
        before.surcharge if more is None else before.surcharge + more,
        before.amount if charge.daily is None else before.amount + charge.daily.amount,
    )


def _day_full(tally: Tally, daily: Daily, rows: Rows, done: Decided) -> DayFull | None:
    """Return which maximum of the day a tally would pass, None where it passes none."""
    for tier, others, limit in ((tally.tier, (), daily.limit), *daily.wider):
        keys = [(tally.account, other) for other in others]
        beside = [done.tallies.get(key) or rows.tallies.get(key) for key in keys]
        amount = tally.amount + sum(t.amount for t in beside if t is not None)
        if amount > limit:
            return DayFull(tally.account, tier, limit, max(limit - amount + daily.amount, 0), daily.amount)
    return None


def _closed(standing: Standing, message: str, hint: str) -> Blocked:
    return Blocked(message, hint, account=standing.account)


def _shown(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
