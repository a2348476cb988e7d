"""Odds ratios of allele frequencies that are seen through noise, with intervals.

Each group's frequency gets an interval by inverting the score test: E. B. Wilson (1927), JASA 22, with the
variance of noise beside that of sampling. The two are joined on the log scale by the method of variance
estimates recovery: A. Donner and G. Y. Zou (2012), "Closed-form confidence intervals for functions of the
normal mean and standard deviation", Statistical Methods in Medical Research 21, Section 2. Where a frequency
or a bound lies at 0 or 1, that method has nothing to start from, and the interval is all that two intervals
of 97.5 % each allow.
"""

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Z_EACH, Z_BOTH = 1.959963984540054, 2.241402727604947  # of 95 %, and of 97.5 % for each of two
NEAR = 1e-12  # of 0 or 1: such a bound is 0 or 1


def odds_ratios(
    shares: Reals, deviations: Reals, sizes: Reals, inflation: Reals
) -> tuple[Reals, Reals, Reals]:
    """Return odds ratios of cases to controls, and the low and high ends of their 95 % intervals.

    Args:
        shares: float64, shape (variants, 2): frequencies of controls and cases, unbiased; may leave [0, 1].
        deviations: the same shape: standard deviations of the noise in them.
        sizes: float64, shape (2,): how many people each group has at least.
        inflation: float64, shape (variants,): variance of a person's allele count over that of two
            independent alleles.

    Returns:
        Three arrays of shape (variants,): odds ratios, finite and above 0; ends, from 0 up to infinity.
    """
    alleles = 2 * np.maximum(sizes, 0.5)
    seen = np.clip(shares, 0.0, 1.0)
    inside = np.clip(seen, 1 / (2 * alleles), 1 - 1 / (2 * alleles))
    log_odds = np.log(inside) - np.log1p(-inside)
    ratio = np.exp(log_odds[:, 1] - log_odds[:, 0])
    each = [_interval(seen, deviations, inflation[:, None] / alleles, z) for z in (Z_EACH, Z_BOTH)]
    low, high = _widest(*each[1])
    (below, above) = each[0]
    fit = ((below > 0) & (above < 1) & (below < inside) & (inside < above)).all(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        down = log_odds - np.log(below / (1 - below))
        up = np.log(above / (1 - above)) - log_odds
        middle = log_odds[:, 1] - log_odds[:, 0]
        low = np.where(fit, np.exp(middle - np.hypot(down[:, 1], up[:, 0])), low)
        high = np.where(fit, np.exp(middle + np.hypot(up[:, 1], down[:, 0])), high)
    if (sizes < 1).any():
        low, high = np.zeros_like(low), np.full_like(high, np.inf)
    return ratio, np.minimum(low, ratio), np.maximum(high, ratio)


def _interval(seen: Reals, deviations: Reals, sampling: Reals, z: float) -> tuple[Reals, Reals]:
    """Return the frequencies p with (seen - p)² <= z² (sampling p (1 - p) + deviation²)."""
    c = z * z * sampling
    middle = (2 * seen + c) / (2 * (1 + c))
    rest = (seen**2 - (z * deviations) ** 2) / (1 + c)
    half = np.sqrt(np.maximum(middle**2 - rest, 0.0))
    below, above = middle - half, middle + half
    return np.where(below < NEAR, 0.0, below), np.where(above > 1 - NEAR, 1.0, above)


def _widest(below: Reals, above: Reals) -> tuple[Reals, Reals]:
    """Return the least and the greatest odds ratio of frequencies within intervals."""
    with np.errstate(divide="ignore", invalid="ignore"):
        lowest, highest = below / (1 - below), above / (1 - above)
        low, high = lowest[:, 1] / highest[:, 0], highest[:, 1] / lowest[:, 0]
    # 0 / 0 and inf / inf are met where both groups can only lie at 0, or at 1: nothing bounds the ratio.
    return np.where(np.isnan(low), 0.0, low), np.where(np.isnan(high), np.inf, high)
