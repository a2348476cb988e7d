"""The two-stage scheme as its authors' code has it: noise shaped by a reference, then exact frequencies.

Jiang, Ji, Li, Ayday, "PROVGEN", PoPETs 2026(2), 642-661, as the public code runs, not as the text describes
it. It carries no guarantee: allele frequencies are restored to the exact private ones, and the exact loss
of its flips is not the one claimed. So it is here for comparison, on stores marked public alone, always
labelled with both. Reimplemented from the formulas. TRUST.md, "The published scheme".
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.errors import BadInput, Forbidden
from noisegate.genomics.account import account
from noisegate.genomics.keystream import KeyStream
from noisegate.genomics.laws import Independent, Thresholds
from noisegate.genotypes.packed import Block, Counts, Words, pack, tally, unpack
from noisegate.leakage.genomes import Genomes
from noisegate.leakage.pairs import bits
from noisegate.privacy.curves import decimal_of, exactly
from noisegate.privacy.loss import NANO, nano_up

Floats = NDArray[np.float64]
Bits = NDArray[np.bool_]

TINY = 2.0**-52  # added to counts, as published
SCALE = 2**64
FLIPS, CHOICES = 0, 16  # domains of the key stream


@dataclass(frozen=True, slots=True, eq=False)
class Correlations:
    """The log odds ratios θ̃ of all pairs of bits of a reference, as far as the scheme uses them.

    Attributes:
        norm: ‖θ̃‖_F.
        diagonal: float64, shape (bits,).
        negative: the same shape: sums of a bit's θ̃ below 0 with all others.
        positive: likewise above 0.
    """

    norm: float
    diagonal: Floats
    negative: Floats
    positive: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Scheme:
    """How the scheme flips bits at an ε a variant.

    Attributes:
        flip: uint64, shape (bits,): bit j is flipped with probability flip[j] / 2**64, which may be 0.
        claimed: the total ε that is claimed, for one person.
        exact: that of the flips, None where a bit is never flipped: infinite. Restoring to exact private
            frequencies afterwards voids it.
        variants: int64, shape (variants,): exact nano-ε of each variant; empty where `exact` is None.
    """

    flip: Thresholds
    claimed: Fraction
    exact: Fraction | None
    variants: Counts

    def as_json(self) -> dict[str, object]:
        """Return the label that goes with whatever it makes."""
        return {
            "kind": "as published",
            "claimed_epsilon": float(self.claimed),
            "exact_epsilon_of_flips": "infinite" if self.exact is None else float(self.exact),
            "guarantee": "none once allele frequencies are restored to exact private ones",
        }


@dataclass(frozen=True, slots=True)
class Baseline:
    """The published local baseline: a genotype is drawn anew with a probability meant to keep it.

    `replaced` / 2**64 is that probability; the new genotype is any of the three, the old one too.
    """

    replaced: int
    claimed: Fraction

    @property
    def exact_variant(self) -> Fraction:
        """The ε of one variant, rounded up: ln of the chance to keep it over that of one other."""
        kept = Fraction(3 * SCALE - 2 * self.replaced, self.replaced)
        with localcontext(exactly()):
            log = Fraction(decimal_of(kept).ln() + Decimal(10) ** -40)
        return Fraction(nano_up(log), NANO)


def correlations(reference: Genomes) -> Correlations:
    """Return the log odds ratios of a public reference: O(bits²) time, memory for its planes and some sums.

    Raises:
        Forbidden: the reference is not marked public.
        BadInput: it has missing calls.
    """
    _check_public(reference)
    rows = np.concatenate([_rows(block) for _, block in reference.blocks()])
    ones = np.bitwise_count(rows).sum(axis=1, dtype=np.int64)
    diagonal = np.log((ones + TINY) / (reference.people - ones + TINY))
    negative, positive = np.zeros(len(rows)), np.zeros(len(rows))
    squares = np.empty(len(rows))
    _pairs(rows, ones, reference.people, TINY, negative, positive, squares)
    norm = math.sqrt(2 * math.fsum(squares) + math.fsum(diagonal**2))
    return Correlations(norm, diagonal, negative, positive)


def scheme(found: Correlations, epsilon: Fraction) -> Scheme:
    """Return how bits flip at this ε a variant.

    Θ = ε_total θ̃ / (bits ‖θ̃‖_F); with a, b its diagonal and twice its negative or positive row sums,
    p = (1 + c / (1 + exp(t))) / 2, where c = exp(a) - 1, and t = a if c < 0, else b.
    """
    if epsilon <= 0:
        raise BadInput("the scheme needs an epsilon above 0")
    width = len(found.diagonal)
    claimed = epsilon * width / 2
    scale = float(claimed) / (width * found.norm)
    low = scale * (found.diagonal + 2 * found.negative)
    high = scale * (found.diagonal + 2 * found.positive)
    with np.errstate(over="ignore"):
        gain = np.expm1(low)
        chances = (1 + gain / (1 + np.exp(np.where(gain < 0, low, high)))) / 2
    flip = np.floor(np.clip(chances, 0, 1 - 2.0**-53) * 2.0**64).astype(np.uint64)
    if not flip.all():
        return Scheme(flip, claimed, None, np.zeros(0, np.int64))
    # Flipping with probability p tells as much as flipping with 1 - p.
    rare = np.where(flip > np.uint64(SCALE // 2), ~flip + np.uint64(1), flip)
    cost = account(Independent(rare))
    return Scheme(flip, claimed, cost.person, cost.variants)


def release(
    target: Genomes, law: Scheme, stream: KeyStream, towards: Genomes | None = None
) -> Iterator[tuple[int, Block]]:
    """Yield the release of a public store, block by block: flips, then restoration.

    Args:
        target: what is released; marked public.
        law: from a reference with the same variants.
        stream: of a key that is used for nothing else.
        towards: a public store whose frequencies are restored; by default the target's own exact ones, as
            published.

    Raises:
        Forbidden: a store is not marked public, or the loss of the flips is infinite.
        BadInput: missing calls, or other variants.
    """
    _check_public(target)
    wanted = target if towards is None else towards
    _check_public(wanted)
    if law.exact is None:
        raise Forbidden(
            "at this epsilon the published scheme never flips some bits: its loss is infinite",
            "ask for less epsilon a variant, or use the exact mechanism",
        )
    shares = np.concatenate([tally(block).alleles for _, block in wanted.blocks()]) / (2 * wanted.people)
    if len(law.flip) != 2 * len(shares):
        raise BadInput("target, reference and frequencies have the same variants")
    for number, (start, block) in enumerate(target.blocks()):
        stop = start + block.variants
        yield start, _released(block, law.flip[2 * start : 2 * stop], shares[start:stop], stream, number)


def baseline(variants: int, epsilon: Fraction) -> Baseline:
    """Return the local baseline as published at this ε, which its code divides by the variants once more."""
    if epsilon <= 0:
        raise BadInput("the baseline needs an epsilon above 0")
    odds = math.exp(min(float(epsilon / max(variants, 1)), 64.0))
    return Baseline(int(odds / (odds + 2) * SCALE), epsilon * variants)


def respond(target: Genomes, law: Baseline, stream: KeyStream) -> Iterator[tuple[int, Block]]:
    """Yield the baseline's release of a public store, block by block.

    Raises:
        Forbidden: the store is not marked public.
    """
    _check_public(target)
    for number, (start, block) in enumerate(target.blocks()):
        _check_complete(block)
        calls = unpack(block)
        drawn, others = (
            stream.words(number, domain, calls.size).reshape(calls.shape) for domain in (FLIPS, CHOICES)
        )
        anew = (others % np.uint64(3)).astype(np.int8)
        yield start, pack(np.where(drawn < np.uint64(law.replaced), anew, calls))


def _released(block: Block, flip: Thresholds, shares: Floats, stream: KeyStream, number: int) -> Block:
    _check_complete(block)
    calls = unpack(block)
    planes = np.stack([calls == 2, calls >= 1], axis=1)
    drawn = stream.words(number, FLIPS, planes.size).reshape(planes.shape)
    planes ^= drawn < flip.reshape(-1, 2, 1)
    _restore(planes.reshape(len(calls), -1), shares, stream.words(number, CHOICES, planes.size))
    return pack(planes.sum(axis=1).astype(np.int8))


def _restore(planes: Bits, shares: Floats, keys: Words) -> None:
    """Set or clear as many random bits of a variant as its frequency is off, cut towards 0 as published."""
    alleles = planes.shape[1]
    off = np.trunc((planes.sum(axis=1) / alleles - shares) * alleles).astype(np.int64)
    # The bits that may change come first, in random order; the others after them.
    last = np.uint64(1 << 63)
    order = np.where(planes == (off > 0)[:, None], keys.reshape(planes.shape) & ~last, last).argsort(axis=1)
    changed = np.arange(alleles) < np.abs(off)[:, None]
    rows = np.broadcast_to(np.arange(len(planes))[:, None], planes.shape)
    planes[rows[changed], order[changed]] ^= True


def _rows(block: Block) -> Words:
    """Return the bits of all variants, hi and lo in turn, uint64 of shape (2 variants, words)."""
    _check_complete(block)
    return np.stack([block.hi, block.lo], axis=1).reshape(-1, block.hi.shape[1])


def _check_public(genomes: Genomes) -> None:
    if genomes.public is not True:
        raise Forbidden(
            "the published scheme has no privacy guarantee, and this store is not marked public",
            "use xor or response, whose loss is exact, for people who are not public",
        )


def _check_complete(block: Block) -> None:
    if np.any(block.hi & ~block.lo):
        raise BadInput(
            "the published scheme has no word for a missing call", "fill missing calls from a public panel"
        )


@njit(cache=True, nogil=True)
def _pairs(rows, ones, people, tiny, negative, positive, squares):  # type: ignore[no-untyped-def]
    """Add up the log odds ratios of all pairs of different bits; squares of each pair once."""
    for j in range(len(rows)):
        total = 0.0
        for k in range(j + 1, len(rows)):
            both = np.int64(0)
            for w in range(rows.shape[1]):
                both += np.int64(bits(rows[j, w] & rows[k, w]))
            neither = people - ones[j] - ones[k] + both
            apart = (ones[j] - both) * (ones[k] - both)
            log = np.log((both * neither + tiny) / (apart + tiny))
            total += log * log
            if log < 0:
                negative[j] += log
                negative[k] += log
            else:
                positive[j] += log
                positive[k] += log
        squares[j] = total
