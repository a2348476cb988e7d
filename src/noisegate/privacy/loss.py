"""Privacy loss: Rényi divergences on a fixed grid of orders, and a δ. Losses add.

TRUSTED. A loss bounds what one release may reveal of one person (add or remove one unit). Order i of
`renyi` bounds the Rényi divergence of order ORDERS[i] between the outputs on neighbouring databases,
conditional on an event whose complement has probability at most `delta` (approximate Rényi DP); the
last order is infinity, pure ε. Integers only: nano-units of divergence and 1e-15 units of δ, rounded up
wherever a real number becomes one. Composition: Mironov (2017), Proposition 1; with δ, Papernot and
Steinke (2022), Lemma on approximate RDP. PROOFS.md, "Loss".
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from operator import add

ORDERS: tuple[float, ...] = (
    1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0, 256.0, math.inf,
)  # fmt: skip
NANO = 10**9
DELTA_UNIT = 10**15
INFINITE = 2**63 - 1  # absorbing; also what a 64-bit column can hold


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss vector; see the module. `renyi` has one entry an order, INFINITE where there is no bound."""

    renyi: tuple[int, ...]
    delta: int = 0

    def __post_init__(self) -> None:
        if len(self.renyi) != len(ORDERS):
            raise ValueError(f"a loss has {len(ORDERS)} orders, got {len(self.renyi)}")
        if min(self.renyi) < 0 or max(self.renyi) > INFINITE:
            raise ValueError("a loss is between 0 and INFINITE at every order")
        if not 0 <= self.delta <= INFINITE:
            raise ValueError("delta is between 0 and INFINITE")

    def __add__(self, other: "Loss") -> "Loss":
        """Return the loss of both releases together; sums saturate at INFINITE."""
        sums = tuple(map(add, self.renyi, other.renyi))  # both have all orders: the constructor sees to it
        if max(sums) > INFINITE:
            sums = tuple(min(s, INFINITE) for s in sums)
        return Loss(sums, min(self.delta + other.delta, INFINITE))

    def times(self, count: int) -> "Loss":
        """Return the loss of `count` such releases together."""
        if count < 0:
            raise ValueError("a release happens a whole number of times")
        return Loss(
            tuple(min(r * count, INFINITE) if count else 0 for r in self.renyi),
            min(self.delta * count, INFINITE),
        )

    @property
    def pure_epsilon(self) -> Fraction | None:
        """The ε of pure differential privacy, None where there is none (δ apart)."""
        return None if self.renyi[-1] == INFINITE else Fraction(self.renyi[-1], NANO)


ZERO = Loss((0,) * len(ORDERS))


def nano_up(value: Fraction) -> int:
    """Return a non-negative divergence in nano-units, rounded up, saturated at INFINITE."""
    return min(math.ceil(value * NANO), INFINITE)


def delta_up(value: Fraction) -> int:
    """Return a probability in 1e-15 units, rounded up, saturated at INFINITE."""
    return min(math.ceil(value * DELTA_UNIT), INFINITE)


def least(one: Loss, other: Loss) -> Loss:
    """Return the smaller bound at each order, of two bounds without δ on the same release."""
    if one.delta or other.delta:
        raise ValueError("two events of small probability are not one")
    return Loss(tuple(min(a, b) for a, b in zip(one.renyi, other.renyi, strict=True)))
