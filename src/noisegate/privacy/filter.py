"""What an account may still lose: limits, capacities at each order, and the test that admits a charge.

TRUSTED. An account of (ε, δ) gives each finite order a share of δ when it opens. It admits charges while
at least one order stays within what converts to (ε, its share): the order need not be chosen beforehand.
Whole numbers of nano-units throughout; capacities are rounded down, what is shown as spent up.
Fixed-order filter: Feldman and Zrnic (2021). Why any order will do: PROOFS.md, "Filter".
"""

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

from noisegate.privacy.curves import SLACK, decimal_of, exactly
from noisegate.privacy.loss import DELTA_UNIT, INFINITE, NANO, ORDERS, Loss

FINITE = tuple(Fraction(order) for order in ORDERS[:-1])
HALF = Fraction(1, 2)
UNBOUNDED = Fraction(INFINITE, NANO)


@dataclass(frozen=True, slots=True)
class Limits:
    """An (ε, δ) budget, of which at most `delta_keys` may go to selecting private keys."""

    epsilon: Fraction
    delta: Fraction
    delta_keys: Fraction

    def __post_init__(self) -> None:
        if self.epsilon <= 0:
            raise ValueError("an account needs epsilon > 0")
        if not 0 <= self.delta < 1:
            raise ValueError("an account needs 0 <= delta < 1")
        if not 0 <= self.delta_keys <= self.delta:
            raise ValueError("delta_keys is part of delta")

    @classmethod
    def of(cls, epsilon: Fraction, delta: Fraction) -> "Limits":
        """Return limits with a tenth of δ for private keys."""
        return cls(epsilon, delta, delta / 10)


@dataclass(frozen=True, slots=True)
class Capacity:
    """The most an account may lose: nano-units at each order, and 1e-15 units of δ."""

    renyi: tuple[int, ...]
    delta_keys: int

    def __post_init__(self) -> None:
        if len(self.renyi) != len(ORDERS):
            raise ValueError(f"a capacity has {len(ORDERS)} orders, got {len(self.renyi)}")
        if not all(0 <= c < INFINITE for c in self.renyi):
            raise ValueError("a capacity is finite, so that an infinite loss never fits")
        if self.delta_keys < 0:
            raise ValueError("a capacity is not negative")


@lru_cache(maxsize=4096)
def weights(limits: Limits) -> tuple[Fraction, ...]:
    """Return each finite order's share of δ - δ_keys. They sum to 1, or to 0 where no order has room.

    Half goes to the order that admits most Gaussian loss, the rest evenly to the others with room.
    """
    rest = limits.delta - limits.delta_keys
    if rest == 0:
        return (Fraction(0),) * len(FINITE)
    room = [_room(a, limits.epsilon, HALF * rest) for a in FINITE]
    best = max(range(len(FINITE)), key=lambda i: room[i] / FINITE[i])
    if room[best] <= 0:
        return (Fraction(0),) * len(FINITE)
    least = HALF / (len(FINITE) - 1)
    others = [
        i for i, a in enumerate(FINITE) if i != best and _room(a, limits.epsilon, least * rest) * NANO >= 1
    ]
    if not others:
        return tuple(Fraction(i == best) for i in range(len(FINITE)))
    return tuple(
        HALF if i == best else HALF / len(others) if i in others else Fraction(0) for i in range(len(FINITE))
    )


@lru_cache(maxsize=4096)
def capacity(limits: Limits) -> Capacity:
    """Return the most that an account with these limits may lose, rounded down.

    Claim: an interactive process whose charges always pass `admits` is (ε, δ)-differentially private.
    Argued in PROOFS.md, "Filter".
    """
    rest = limits.delta - limits.delta_keys
    shares = weights(limits)
    renyi = [
        _down(_room(a, limits.epsilon, w * rest)) if w > 0 else 0 for a, w in zip(FINITE, shares, strict=True)
    ]
    keys = min(limits.delta_keys.numerator * DELTA_UNIT // limits.delta_keys.denominator, INFINITE - 1)
    return Capacity((*renyi, _down(limits.epsilon)), keys)


def admits(capacity: Capacity, spent: Loss) -> bool:
    """Whether an account may have lost `spent` in all: δ within its share, and some order within capacity."""
    if spent.delta > capacity.delta_keys:
        return False
    return any(s <= c for s, c in zip(spent.renyi, capacity.renyi, strict=True))


@lru_cache(maxsize=4096)
def spent_epsilon(limits: Limits, spent: Loss) -> Fraction:
    """Return the smallest ε whose account, with these limits' shares of δ, would admit `spent`.

    It passes limits.epsilon exactly when the account would refuse (but for rounding up, and the δ of
    keys, which has its own limit). UNBOUNDED where no order bounds the loss. Read at times chosen
    from answers it is an estimate: only the filter's limit is guaranteed.
    """
    return _least_epsilon(spent, _added_in_account(limits))


def stand_alone_epsilon(loss: Loss, delta: Fraction) -> Fraction:
    """Return the smallest ε for which one release of this loss is (ε, delta)-DP, rounded up.

    UNBOUNDED where there is none, among others if the loss itself has a greater δ.
    """
    rest = delta - Fraction(loss.delta, DELTA_UNIT)
    if rest < 0:
        return UNBOUNDED
    return _least_epsilon(loss, _added_alone(rest))


def more_like_this(capacity: Capacity, spent: Loss, loss: Loss) -> int:
    """Return how many more releases of this loss an account with `spent` on it admits; at most INFINITE."""
    if not admits(capacity, spent):
        return 0
    fits = max(
        _times(limit - used, each)
        for limit, used, each in zip(capacity.renyi, spent.renyi, loss.renyi, strict=True)
    )
    return min(fits, _times(capacity.delta_keys - spent.delta, loss.delta))


def cost_share(capacity: Capacity, loss: Loss) -> float:
    """Return the share of a fresh account that a loss takes, at the order that admits most of this loss.

    0 for no loss; infinite where no order admits it even once a million-fold.
    """
    shares = [
        0.0 if each == 0 else float("inf") if limit == 0 or each == INFINITE else each / limit
        for limit, each in zip(capacity.renyi, loss.renyi, strict=True)
    ]
    return min(shares)


def _times(left: int, each: int) -> int:
    if left < 0:
        return 0
    return INFINITE if each == 0 else left // each


def _least_epsilon(loss: Loss, added: tuple[int | None, ...]) -> Fraction:
    """Return the least ε over the orders, given what converting adds at each finite one."""
    least = loss.renyi[-1]
    for spent, more in zip(loss.renyi, added, strict=False):
        if spent == 0:  # outputs that do not differ at all
            return Fraction(0)
        if more is not None and spent < INFINITE:
            least = min(least, max(spent + more, 0))
    return Fraction(least, NANO)


@lru_cache(maxsize=4096)
def _added_in_account(limits: Limits) -> tuple[int | None, ...]:
    rest = limits.delta - limits.delta_keys
    return tuple(_added(a, w * rest) for a, w in zip(FINITE, weights(limits), strict=True))


@lru_cache(maxsize=4096)
def _added_alone(delta: Fraction) -> tuple[int | None, ...]:
    return tuple(_added(a, delta) for a in FINITE)


def _added(order: Fraction, delta: Fraction) -> int | None:
    """Return the nano-units that converting adds at an order, rounded up; None where δ has no share for it.

    A loss is a whole number of nano-units, so its sum with this is rounded up as a whole.
    """
    return math.ceil((_conversion(order, delta) + SLACK) * NANO) if delta > 0 else None


def _room(order: Fraction, epsilon: Fraction, delta: Fraction) -> Fraction:
    """Return the largest divergence that converts to (epsilon, delta), negative where none does."""
    return epsilon - _conversion(order, delta) - SLACK


@lru_cache(maxsize=65536)
def _conversion(order: Fraction, delta: Fraction) -> Fraction:
    """Return what converting to (ε, delta) adds to a divergence of this order.

    (ln(1/δ) + (a - 1) ln(1 - 1/a) - ln a) / (a - 1): Canonne, Kamath and Steinke (2020), Proposition 12.
    """
    with localcontext(exactly()):
        a = decimal_of(order)
        one = Decimal(1)
        added = -decimal_of(delta).ln() - a.ln() + (a - one) * (one - one / a).ln()
        return Fraction(added / (a - one))


def _down(value: Fraction) -> int:
    return max(0, min(value.numerator * NANO // value.denominator, INFINITE - 1))
