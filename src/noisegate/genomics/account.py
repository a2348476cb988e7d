"""What noise on genotypes costs: the exact loss of a law, from its whole-number thresholds, rounded up.

TRUSTED. Neighbours differ in one person, whose whole row is replaced by any other (replace-one); how many
people there are is public. The account is of what is drawn, all four words of two bits; what is made of it
afterwards (a genotype of each word, restored frequencies) costs nothing more. PROOFS.md, "Exact account".
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.laws import Chain, Family, Independent, Law, Response, Thresholds
from noisegate.genomics.trellis import family_loss, renyi_loss, row_loss, variant_losses
from noisegate.privacy.curves import pure
from noisegate.privacy.loss import NANO, ORDERS, Loss, least, nano_up

Floats = NDArray[np.float64]
Nanos = NDArray[np.int64]

# NumPy's exp, log and log1p, and what is made of them here, err by less, relative to 1 + ε.
SLACK = 2.0**-44
# Past this many members the finite orders of a family are those of its pure ε: they take minutes.
LARGEST_MOMENTS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """What one release under a law may reveal; every number is rounded up.

    Attributes:
        person: pure ε of replacing one person's whole row, a whole number of nano-units.
        variants: int64, shape (variants,): nano-ε of replacing one variant of one person.
        family: pure ε of replacing a whole declared family, None where none is declared.
        loss: of replacing one person, for the ledger. Its last order is `person`.
    """

    person: Fraction
    variants: Nanos
    family: Fraction | None
    loss: Loss

    @property
    def worst_variant(self) -> Fraction:
        """The largest ε of one variant, 0 where there is none."""
        return Fraction(int(self.variants.max(initial=0)), NANO)


def account(law: Law) -> Account:
    """Return the account of one release under the law.

    Claim: noise drawn by the law has a replace-one loss of at most `loss`, and none of the ε is too small.
    Needs: everybody's noise is drawn afresh, once, as the law says.
    Argued in PROOFS.md, "Exact account".
    """
    match law:
        case Independent(flip=flip):
            epsilons = _flip_epsilons(flip)
            return _of_parts(epsilons, epsilons.reshape(-1, 2).sum(1), others=0)
        case Response(change=change):
            epsilons = _change_epsilons(change)
            return _of_parts(epsilons, epsilons, others=1)
        case Chain():
            person = pure_epsilon(law)
            loss = least(pure(person), renyi_loss(law, 0))
            return Account(person, variant_losses(law, 0), None, loss)
        case Family():
            return _of_family(law)
        case _:
            assert_never(law)


def pure_epsilon(law: Law) -> Fraction:
    """Return the account's `person` alone, which is quicker."""
    match law:
        case Independent(flip=flip):
            return _total(*np.unique(_flip_epsilons(flip), return_counts=True))
        case Response(change=change):
            return _total(*np.unique(_change_epsilons(change), return_counts=True))
        case Chain():
            return _whole(row_loss(law, 0))
        case Family():
            rows = range(law.size if law.groups else 0)
            return max([pure_epsilon(law.single), *(_whole(row_loss(law, row)) for row in rows)])
        case _:
            assert_never(law)


def _of_parts(epsilons: Floats, variants: Floats, others: int) -> Account:
    """Account for independent parts: randomised responses over 2 + others values, of these ε."""
    nanos = np.ceil(variants * (1 + SLACK) * NANO).astype(np.int64)
    distinct, counts = np.unique(epsilons, return_counts=True)
    curve = [nano_up(Fraction(math.fsum(_renyi(distinct, a, others) * counts))) for a in ORDERS[:-1]]
    person = _total(distinct, counts)
    most = nano_up(person)
    return Account(person, nanos, None, Loss((*(min(c, most) for c in curve), most)))


def _total(epsilons: Floats, counts: Nanos) -> Fraction:
    """Return the sum of so many parts of each ε, in whole nano-units, rounded up."""
    return _whole(Fraction(math.fsum(epsilons * (1 + SLACK) * counts)))


def _of_family(law: Family) -> Account:
    """Account for whoever loses most: somebody in no family, or the member of one."""
    alone = account(law.single)
    if not law.groups:
        return alone
    rows = range(law.size)
    person = _whole(max(row_loss(law, row) for row in rows))
    loss = pure(person)
    if law.size <= LARGEST_MOMENTS:
        loss = least(loss, _most(*(renyi_loss(law, row) for row in rows)))
    variants = np.maximum.reduce([alone.variants, *(variant_losses(law, row) for row in rows)])
    return Account(max(alone.person, person), variants, _whole(family_loss(law)), _most(alone.loss, loss))


def _most(*losses: Loss) -> Loss:
    return Loss(tuple(max(orders) for orders in zip(*(loss.renyi for loss in losses), strict=True)))


def _whole(epsilon: Fraction) -> Fraction:
    return Fraction(nano_up(epsilon), NANO)


def _flip_epsilons(flip: Thresholds) -> Floats:
    """Return ln((2**64 - T) / T) of each bit, never too small by more than SLACK allows for."""
    gap = (np.uint64(2**63) - flip).astype(np.float64) * 2
    return np.log1p(gap / flip.astype(np.float64))


def _change_epsilons(change: Thresholds) -> Floats:
    """Return ln of the chance to keep a genotype, 2**64 - T, over that of one other, T / 2."""
    other = change >> np.uint64(1)
    gap = ~change - other + np.uint64(1)
    return np.log1p(gap.astype(np.float64) / other.astype(np.float64))


def _renyi(epsilon: Floats, order: float, others: int) -> Floats:
    """Return the Rényi divergence of randomised response over 2 + others values, rounded up."""
    above = np.exp(-(2 * order - 1) * epsilon) + others * np.exp(-order * epsilon)
    gain = np.log1p(above) - np.log1p((1 + others) * np.exp(-epsilon))
    exact = epsilon + gain / (order - 1) + (1 + epsilon) * SLACK
    return np.asarray(np.minimum(exact, order / 2 * epsilon**2 * (1 + 8 * SLACK)))
