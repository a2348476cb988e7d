"""Which variants are significant in a release, against the controls: the p-values that retention counts.

Rows that were restored to frequencies, or drawn from a model, look like data, and are tested as the finding
was. Where noise was left on the rows, such a test would find the noise: nearly every variant would differ
from the controls, whatever is true. There, and of noisy counts, the law of the noise is taken out: means
are corrected for it, and its variance counts as sampling's does. These p-values need not be exact: what
follows from them is judged by simulation, in which the same is done.
"""

from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics import frequencies
from noisegate.genomics.counts import Noisy
from noisegate.genomics.design import flip_rates
from noisegate.genomics.laws import Family, Response
from noisegate.genomics.mechanism import Flipping
from noisegate.genomics.verifying.evidence import AsPublished, Evidence, Frequencies, Rows, Tables
from noisegate.genomics.verifying.statistic import Test, direction, p_values
from noisegate.privacy.noise import standard_deviation

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Signs = NDArray[np.int8]
Line = tuple[Floats, Floats]
LEAST_SLOPE = 1e-12


def words(evidence: Evidence, test: Test) -> str:
    """Return what is tested in the release, as a sentence."""
    match evidence:
        case Rows() if left(evidence) is not None:
            return "difference of mean genotypes from the controls', with the noise on the rows taken out"
        case Rows() | AsPublished():
            return f"{test.words}, of the released rows as if they were data"
        case Tables():
            return (
                "difference of mean genotypes between released tables of cases and controls, noise included"
            )
        case Frequencies():
            return "difference of released allele frequencies from the controls', noise included"
        case _:
            assert_never(evidence)


def of_rows(
    released: Counts, controls: Counts, test: Test, line: Line | None, towards: Signs | None = None
) -> Floats:
    """Return p-values of released rows.

    Args:
        released: int64, shape (variants, 3); rows with 0, 1, 2 alternate alleles.
        controls: the same of the controls.
        test: that findings rest on.
        line: that noise left on the rows of these variants, from `left`.
        towards: as `of_tables`; of the test's own direction where rows are tested as they are.
    """
    if line is None:
        p = p_values(test, released, controls)
        return p if towards is None else _held(p, direction(test, released, controls), towards)
    start, slope = line
    mean, variance = _moments(released)
    theirs, spread = _moments(controls)
    steep = np.maximum(slope, LEAST_SLOPE)
    people, panel = released.sum(axis=1), np.maximum(controls.sum(axis=1), 1)
    return _p((mean - start) / steep - theirs, variance / (people * steep**2) + spread / panel, towards)


def of_tables(
    cells: Floats, deviation: float, cases: int, controls: int, towards: Signs | None = None
) -> Floats:
    """Return p-values of noisy tables: of the difference of mean genotypes, twos less noughts over the size.

    Args:
        cells: float64, shape (variants, 2, 3); controls first.
        deviation: of the noise on a cell.
        cases: how many there are.
        controls: likewise.
        towards: int8, shape (variants,): 1 where only more alternate alleles among the cases count, -1 where
            only fewer do, 0 where either does. What lies the other way has a p-value of 1.
    """
    sizes = np.array([controls, cases], np.float64)
    mean = 1 + (cells[..., 2] - cells[..., 0]) / sizes
    share = np.clip((mean @ sizes) / (2 * sizes.sum()), 1 / (4 * sizes.sum()), 1 - 1 / (4 * sizes.sum()))
    variance = 2 * share * (1 - share) * (1 / sizes).sum() + 2 * deviation**2 * (1 / sizes**2).sum()
    return _p(mean[:, 1] - mean[:, 0], variance, towards)


def of_frequencies(
    shares: Floats, deviation: float, people: int, controls: Counts, towards: Signs | None = None
) -> Floats:
    """Return p-values of noisy allele frequencies.

    Args:
        shares: float64, shape (variants,), as measured.
        deviation: of the noise on them.
        people: how many they are of.
        controls: int64, shape (variants, 3).
        towards: as `of_tables`.
    """
    panel = np.maximum(controls.sum(axis=1), 1)
    theirs = (controls[:, 1] + 2 * controls[:, 2]) / (2 * panel)
    weight = people + panel
    pooled = np.clip((shares * people + theirs * panel) / weight, 1 / (4 * weight), 1 - 1 / (4 * weight))
    variance = pooled * (1 - pooled) * (1 / (2 * people) + 1 / (2 * panel)) + deviation**2
    return _p(shares - theirs, variance, towards)


def measured_shares(noisy: Noisy) -> tuple[Floats, float, float]:
    """Return noisy frequencies, their noise's deviation, and what one unit of noise is of a frequency."""
    shares, deviation = frequencies.measured(noisy)
    return shares, deviation, deviation / standard_deviation(noisy.plan.noise)


def left(evidence: Evidence) -> Line | None:
    """Return the line start + slope * genotype that is the mean of a released call, for each variant.

    None where rows were moved to frequencies afterwards, or drawn: there the mean says nothing of noise.
    """
    if not isinstance(evidence, Rows) or not isinstance(evidence.mechanism, Flipping):
        return None
    mechanism = evidence.mechanism
    if mechanism.target is not None or mechanism.plan is not None:
        return None
    law = mechanism.law.single if isinstance(mechanism.law, Family) else mechanism.law
    if isinstance(law, Response):
        change = law.change / 2.0**64
        return 1.5 * change, 1 - 1.5 * change
    flip = flip_rates(law).reshape(-1, 2).mean(axis=1)
    return 2 * flip, 1 - 2 * flip


def _moments(counts: Counts) -> tuple[Floats, Floats]:
    people = np.maximum(counts.sum(axis=1), 1)
    mean = (counts[:, 1] + 2 * counts[:, 2]) / people
    return mean, (counts[:, 1] + 4 * counts[:, 2]) / people - mean * mean


def _p(away: Floats, variance: Floats, towards: Signs | None) -> Floats:
    from scipy.special import ndtr  # an extra's module, and slow to load

    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(away) / np.sqrt(variance)
    found: Floats = 2 * ndtr(-np.where(variance > 0, z, 0.0))
    return found if towards is None else _held(found, np.sign(away), towards)


def _held(p: Floats, seen: Floats | Signs, towards: Signs) -> Floats:
    return np.where((towards == 0) | (seen == towards), p, 1.0)
