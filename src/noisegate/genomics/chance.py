"""What chance alone makes of a variant's score when variants are chosen, from public frequencies.

Nothing of the guarantee rests on this file: whatever is taken off scores is public.
"""

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.choosing import Weights
from noisegate.genomics.counts import Cells

Reals = NDArray[np.float64]


def offsets(
    frequency: Reals, weights: Weights, sizes: tuple[float, float], scale: float, variants: int
) -> Cells:
    """Return what to take off scores so that variants nobody's group depends on are alike to be chosen.

    Such a variant's score is about |N|, N normal of deviation d, which its frequency gives. Chosen with noise
    of scale s it has the weight E exp(|N| / s) = 2 Φ(t) exp(t² / 2), t = d / s, so s times the logarithm of
    that is taken off. Of many variants, past t = √(2 ln variants) the largest alone counts and the logarithm
    grows evenly: the freezing of the random energy model, Derrida (1981).

    Args:
        frequency: float64, shape (variants,), of the alternate allele in public people, above 0 and below 1.
        weights: of the scores.
        sizes: how many controls and cases there are, about.
        scale: of the noise that variants are chosen with.
        variants: how many are looked at.

    Returns:
        int64, shape (variants,), at least 0.
    """
    from scipy.special import log_ndtr  # an extra's module, and slow to load

    controls, cases = sizes
    spread = weights.case**2 * cases + weights.control**2 * controls
    t = np.sqrt(2 * frequency * (1 - frequency) * spread) / scale
    freezing = np.sqrt(2 * np.log(max(variants, 2)))
    grown = np.where(t <= freezing, t**2 / 2, freezing * t - freezing**2 / 2)
    found: Cells = np.rint(scale * (grown + np.log(2) + log_ndtr(t))).astype(np.int64)
    return found
