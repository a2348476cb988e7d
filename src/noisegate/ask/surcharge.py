"""What a question takes from its asker beyond its true loss, and what becomes of restricted ones.

Computed anew for every question, since it depends on what its asker asked before. Nothing here reads a row.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from noisegate.ask.selections import Selection
from noisegate.ask.similar import Earlier
from noisegate.ask.specificity import Factor, factor
from noisegate.catalog.model import Catalog, Specificity, Tier
from noisegate.errors import Blocked, NoisegateError, RestrictedColumn
from noisegate.ledger.accounts import AccountState, Balance
from noisegate.ledger.records import Daily
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.loss import INFINITE, NANO, ZERO, Loss

Json = dict[str, object]


class Priced(Protocol):
    """What the adaptive price looks at: a loss, what it comes to alone, and the tiers it is of.

    `ask.price.Price` is one.
    """

    @property
    def loss(self) -> Loss:
        """What it loses."""

    @property
    def stand_alone(self) -> Fraction:
        """The ε that it alone loses, at `delta`."""

    @property
    def delta(self) -> Fraction:
        """The account's δ."""

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """The tiers of the columns it touches, least sensitive first."""


@dataclass(frozen=True, slots=True)
class Surcharge:
    """What is added on the asker's own accounts: `loss`, worth `epsilon` at the account's δ, and why."""

    factor: Factor
    loss: Loss
    epsilon: Fraction

    def as_json(self) -> Json:
        """Return the factor and what it adds, as JSON values."""
        return {"factor": float(self.factor.value), "epsilon": float(self.epsilon)}


# Of a stored answer, and of what custodians ask.
NOTHING = Surcharge(Factor(Fraction(1), ()), ZERO, Fraction(0))


def surcharge_of(
    selections: Sequence[Selection], earlier: Sequence[Earlier], priced: Priced, policy: Specificity
) -> Surcharge:
    """Return the surcharge of a priced question.

    Args:
        selections: whom it singles out.
        earlier: the asker's earlier questions, newest first.
        priced: what it loses.
        policy: the custodian's.
    """
    found = factor(selections, earlier, policy)
    added = found.surcharge(priced.loss)
    whole = stand_alone_epsilon(priced.loss + added, priced.delta)
    return Surcharge(found, added, max(whole - priced.stand_alone, Fraction(0)))


@dataclass(frozen=True, slots=True)
class Maximum:
    """A tier's maximum a day, and the tiers whose questions count for it: it and those more sensitive."""

    tier: Tier
    most: Fraction
    counted: tuple[Tier, ...]


def maxima_of(priced: Priced, catalog: Catalog) -> tuple[Maximum, ...]:
    """Return the maxima a day of all tiers that a question touches, that of the most sensitive one last."""
    order, policies = list(Tier), catalog.policy.tiers
    found = []
    for tier in priced.tiers:
        most = policies[tier].max_per_day
        if most is not None:
            found.append(Maximum(tier, most, tuple(order[order.index(tier) :])))
    return tuple(found)


def daily_of(priced: Priced, times: Fraction, catalog: Catalog) -> Daily | None:
    """Return what a question counts for against the maxima a day, None where it touches no tier with one.

    That is its stand-alone ε, times its factor. It is counted under the most sensitive tier that it touches,
    and held against the maxima of all of them, so that reading more never finds more room.
    """
    maxima, own = maxima_of(priced, catalog), priced.tiers[-1]
    if not maxima:
        return None
    limits = {m.tier: min(math.floor(m.most * NANO), INFINITE) for m in maxima}
    return Daily(
        min(math.ceil(priced.stand_alone * times * NANO), INFINITE),
        limits.get(own, INFINITE),
        tuple(
            (m.tier.value, tuple(t.value for t in m.counted if t is not own), limits[m.tier])
            for m in maxima
            if m.tier is not own
        ),
    )


def too_specific(found: Factor, policy: Specificity) -> Blocked:
    """Return the error for a question that singles out too few people."""
    return Blocked(
        f"this question singles out too few people: it would take {float(found.value):.3g} times its loss, "
        f"and the most that is answered is {float(policy.max_factor):g} times",
        "leave conditions out, or group more coarsely; `explain` tells line by line what makes it dear",
        factor=float(found.value),
        max_factor=float(policy.max_factor),
    )


def reason_of(error: Blocked | RestrictedColumn) -> str:
    """Return the code under which a restricted question is recorded."""
    return error.code if isinstance(error, RestrictedColumn) else "too_specific"


def told(error: Blocked | RestrictedColumn, balances: Sequence[Balance], lock_after: int) -> NoisegateError:
    """Return what the asker of a restricted question is told, once it is counted on their accounts."""
    for balance in balances:
        if balance.state is not AccountState.OPEN:
            return Blocked(
                f"account {balance.id!r} is {balance.state.value}: {balance.reason}",
                "a custodian who has looked at what was asked opens it with `noisegate budget resume`",
                account=balance.id,
                strikes=balance.strikes,
            )
    left = lock_after - max(balance.strikes for balance in balances)
    counted = f"{left} more such question{'s lock' if left > 1 else ' locks'} your account"
    return type(error)(error.message, f"{error.hint}; {counted}", **error.detail, strikes_left=left)
