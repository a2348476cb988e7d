"""Variants chosen privately: those that look most associated, one after the other, each with noise.

TRUSTED. The score of a variant is how far the cases' alleles and the controls' lie apart, a whole number:

    |w₁ Σ_cases (x − 1) − w₀ Σ_controls (x − 1)| − offset,

x the alternate alleles of a person, and weights w₁, w₀ of at most FULL. One is chosen with probability
proportional to exp(score / scale), taken out, and the next one chosen among the rest. Genotypes are
counted from 1, so that nobody moves a score by more than FULL either way, whatever their genotype and label.
PROOFS.md, "Choosing variants".
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from noisegate.errors import BadInput
from noisegate.genomics import counting
from noisegate.genomics.counts import Cells, Masks, Source, blocks, groups_of
from noisegate.genomics.labels import Labels
from noisegate.privacy.curves import bounded_range
from noisegate.privacy.loss import Loss
from noisegate.privacy.samplers import exponential_choice

FULL = 2**16
SENSITIVITY = 2 * FULL  # how far replacing one person, genotypes and label, moves any score
MOST_OFFSET = 2**59
MOST_PEOPLE = 2**40


@dataclass(frozen=True, slots=True)
class Selection:
    """How variants are chosen: so many, one after the other, with noise of this scale on the score."""

    rounds: int
    scale: Fraction

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError("at least one variant is chosen")
        if self.scale <= 0 or Fraction(float(self.scale)) != self.scale:
            raise ValueError("a scale is positive and exactly a double")

    @property
    def loss(self) -> Loss:
        """What choosing loses of one person, replace-one."""
        return bounded_range(2 * SENSITIVITY / self.scale, self.rounds)


@dataclass(frozen=True, slots=True)
class Weights:
    """What one allele of a case and of a control counts in the score: public whole numbers."""

    case: int
    control: int

    def __post_init__(self) -> None:
        if not (0 <= self.case <= FULL and 0 <= self.control <= FULL):
            raise ValueError(f"a weight is between 0 and {FULL}")


def choose(selection: Selection, weights: Weights, offsets: Cells, source: Source, labels: Labels) -> Cells:
    """Return the places of variants that were chosen, in the order they were.

    Claim: what is returned loses no more of one person than `selection.loss`, if one person's row, genotypes
    and label together, is replaced.
    Needs: the loss is charged; weights and offsets are public, or come from what was charged for; genotypes
    are complete, and each row of the source and each label one person's own.
    Argued in PROOFS.md, "Choosing variants".

    Args:
        selection: how many, and the noise.
        weights: in the score.
        offsets: int64, shape (variants,), within ±2^59: what is taken off each score.
        source: genotypes of these variants.
        labels: int8, shape (people,), as `labels` gives them.

    Returns:
        int64, shape (rounds,): different places below the number of variants.

    Raises:
        BadInput: fewer variants than rounds, or labels or offsets of another type, length or size.
        InternalError: a call is missing; the text is constant.
    """
    if offsets.dtype != np.int64 or offsets.ndim != 1 or len(offsets) < selection.rounds:
        raise BadInput("there is an offset for each variant, and at least as many variants as are chosen")
    if ((offsets < -MOST_OFFSET) | (offsets > MOST_OFFSET)).any() or source.people > MOST_PEOPLE:
        raise BadInput("offsets are within 2^59, and people fewer than 2^40")
    groups = groups_of(labels, source.people)
    left = np.arange(len(offsets), dtype=np.int64)
    scores = _scores(weights, source, groups, len(offsets)) - offsets
    chosen = np.empty(selection.rounds, np.int64)
    for turn in range(selection.rounds):
        at = exponential_choice(scores, selection.scale)
        chosen[turn] = left[at]
        left, scores = np.delete(left, at), np.delete(scores, at)
    return chosen


def _scores(weights: Weights, source: Source, groups: Masks, variants: int) -> Cells:
    """Return the exact scores without offsets, int64 of shape (variants,)."""
    controls, cases = counting.sizes(groups)
    found = np.empty(variants, np.int64)
    for start, block in blocks(source, variants):
        of_controls, of_cases = (counting.alleles(block.hi, block.lo, group) for group in groups)
        apart = weights.case * (of_cases - cases) - weights.control * (of_controls - controls)
        found[start : start + block.variants] = np.abs(apart)
    return found
