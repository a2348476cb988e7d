"""Random histories of releases, our account of them, and the tight one of dp-accounting.

`least_epsilon` is below the truth on purpose: the privacy-loss distributions are rounded down
(dp-accounting's optimistic estimates), and read at δ + ROUNDING, which is more than their floating-point
error and the truncation of their tails come to. So a figure of ours below it disproves us, however coarse
the distributions are.
"""

import math
import random
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from dp_accounting.pld import privacy_loss_distribution as pld

from noisegate.privacy.curves import gaussian, pure, subsampled_gaussian, with_delta
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.loss import ZERO, Loss

ROUNDING = 1e-11
FINEST, COARSEST = 1e-4, 2e-3
KINDS = ("laplace", "response", "gaussian", "sampled")
RATES = tuple(Fraction(rate) for rate in ("0.001", "0.01", "0.05", "0.2"))
SIGMAS = tuple(Fraction(sigma) for sigma in ("0.7", "1", "1.5", "3", "6"))


@dataclass(frozen=True)
class Asked:
    """`count` releases of one kind: a pure or Gaussian one of nominal `epsilon`, or a sampled Gaussian."""

    kind: str
    count: int
    epsilon: Fraction = Fraction(0)
    rate: Fraction = Fraction(0)
    sigma: Fraction = Fraction(0)

    def loss(self) -> Loss:
        """What the gateway would charge for all of them."""
        match self.kind:
            case "gaussian":
                return gaussian(self.epsilon**2 / 2).times(self.count)
            case "sampled":
                return subsampled_gaussian(self.rate, self.sigma, self.count)
            case _:
                return pure(self.epsilon).times(self.count)

    def distribution(self, interval: float, *, upwards: bool = False) -> pld.PrivacyLossDistribution:
        """The oracle's law of the privacy loss, add or remove one unit."""
        rounding = {"pessimistic_estimate": upwards, "value_discretization_interval": interval}
        match self.kind:
            case "laplace":
                one = pld.from_laplace_mechanism(
                    1 / float(self.epsilon), use_connect_dots=upwards, **rounding
                )
            case "response":
                one = pld.from_randomized_response(2 / (1 + math.exp(self.epsilon)), 2, **rounding)
            case "gaussian":
                one = pld.from_gaussian_mechanism(
                    1 / float(self.epsilon), use_connect_dots=upwards, **rounding
                )
            case _:
                one = pld.from_gaussian_mechanism(
                    float(self.sigma), sampling_prob=float(self.rate), use_connect_dots=upwards, **rounding
                )
        return one.self_compose(self.count) if self.count > 1 else one


@dataclass(frozen=True)
class History:
    """What one account was charged: releases, and the δ of each selection of private keys among them."""

    asked: tuple[Asked, ...]
    keys: tuple[Fraction, ...] = ()

    @cached_property
    def loss(self) -> Loss:
        total = ZERO
        for each in self.asked:
            total = total + each.loss()
        for delta in self.keys:
            total = total + with_delta(ZERO, delta)
        return total

    def least_epsilon(self, delta: float, interval: float) -> float:
        """Return an ε that the releases together do lose at this δ: a lower bound of the tight one."""
        composed = pld.identity(interval, pessimistic_estimate=False)
        for each in self.asked:
            composed = composed.compose(each.distribution(interval))
        for key in self.keys:
            # A selection may show, with this probability, what gives the person away.
            shown = pld.PrivacyLossDistribution.create_from_rounded_probability(
                {0: 1 - float(key)}, float(key), interval, pessimistic_estimate=False
            )
            composed = composed.compose(shown)
        return composed.get_epsilon_for_delta(delta + ROUNDING)


def interval_for(history: History, delta: Fraction) -> float:
    """How finely to cut the loss so that rounding down takes about a hundredth off the whole."""
    if sum(history.keys) > delta:
        return COARSEST  # all is lost anyway
    about = float(stand_alone_epsilon(history.loss, delta))
    return min(max(about / 30 / sum(each.count for each in history.asked), FINEST), COARSEST)


def random_history(name: str, kinds: tuple[str, ...], delta: Fraction) -> History:
    """Make the history of this name: 1 to 4 lots of releases, each lot losing about as much as the others."""
    chance = random.Random(name)
    share = 10 ** chance.uniform(-1, 0.7)
    asked = tuple(_asked(chance, chance.choice(kinds), share) for _ in range(chance.randint(1, 4)))
    # Now and then more of δ goes to private keys than there is of it.
    most = chance.choice((0, 0, 0, Fraction(1, 10), Fraction(1, 2), Fraction(3, 2))) * delta
    keys = tuple(most / 4 for _ in range(4)) if most else ()
    return History(asked, keys)


def _asked(chance: random.Random, kind: str, share: float) -> Asked:
    count = round(10 ** chance.uniform(0, 3))
    if kind == "sampled":
        count = max(count, 20)
        return Asked(kind, count, rate=chance.choice(RATES), sigma=chance.choice(SIGMAS))
    epsilon = max(share * chance.uniform(0.3, 1) / math.sqrt(count), 0.005)
    return Asked(kind, count, Fraction(epsilon).limit_denominator(1000) or Fraction(1, 1000))
