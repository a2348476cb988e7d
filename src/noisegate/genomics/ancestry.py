"""Groups of ancestry in a public panel, and the mixture of them that noisy frequencies look like.

A public panel often holds people of many populations, and a private dataset another mixture of them. The
groups are found in the panel alone: principal components, then k-means. Which mixture fits is found from
frequencies that were measured with noise: thousands of them say a good deal about three numbers, even where
each says nothing. So all here is post-processing, and costs nothing.
"""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.counts import Source, blocks
from noisegate.genotypes.packed import unpack

Labels = NDArray[np.int8]
Reals = NDArray[np.float64]

GROUPS = 4
MOST_VARIANTS = 1_000  # that components are found from, evenly spread
MOST_PEOPLE = 384  # likewise
ROUNDS = 50
CLEAR = 16.0  # by how much a mixture must fit better than the panel as it is, in units of a squared deviation


def groups(panel: Source, variants: int) -> Labels:
    """Return which group each person of a public panel is in: int8, shape (people,), 0 to GROUPS - 1.

    The same panel gives the same groups. Components are those of some people, everybody lies along them.
    """
    step = -(-variants // MOST_VARIANTS)
    calls = [unpack(block)[-start % step :: step] for start, block in blocks(panel, variants)]
    centred = np.concatenate(calls).astype(np.float32)
    centred -= centred.mean(axis=1, keepdims=True)
    # Evenly spread, for panels are sorted by population.
    some = centred[:, :: -(-panel.people // MOST_PEOPLE)]
    values, vectors = np.linalg.eigh(some.T @ some)
    kept = slice(-min(GROUPS - 1, len(values)), None)
    loadings = some @ vectors[:, kept] / np.sqrt(np.maximum(values[kept], 1e-6))
    return _means((centred.T @ loadings).astype(np.float64))


def mixture(raw: Reals, variance: Reals, parts: Reals, whole: Reals) -> Reals | None:
    """Return the shares of groups that measured frequencies look like, or None if the panel fits as well.

    Weighted least squares over shares that are not negative and sum to 1: the best of the solutions on every
    set of groups, of which there are few.

    Args:
        raw: measured frequencies, float64, shape (variants,).
        variance: how far each may lie from a mixture, noise and sampling, float64, above 0.
        parts: frequencies of the groups, float64, shape (groups, variants).
        whole: the panel's, float64, shape (variants,).
    """
    weight = 1 / variance
    gram = (parts * weight) @ parts.T
    towards = (parts * weight) @ raw
    constant = float(np.sum(weight * raw**2))
    least, best = float(np.sum(weight * (raw - whole) ** 2)) - CLEAR, None
    for size in range(1, len(parts) + 1):
        for chosen in map(list, combinations(range(len(parts)), size)):
            # Lagrange's equations of the sum, with a little on the diagonal where groups are alike.
            ridge = 1e-9 * np.trace(gram) * np.eye(size)
            bordered = np.ones((size + 1, size + 1))
            bordered[:size, :size] = gram[np.ix_(chosen, chosen)] + ridge
            bordered[size, size] = 0
            found = np.linalg.solve(bordered, np.append(towards[chosen], 1.0))[:size]
            if found.min() < 0:
                continue
            shares = np.zeros(len(parts))
            shares[chosen] = found
            misfit = constant - 2 * float(shares @ towards) + float(shares @ gram @ shares)
            if misfit < least:
                least, best = misfit, shares
    return best


def _means(places: Reals) -> Labels:
    """Return labels by k-means: Lloyd (1982), begun from people far from each other, Gonzalez (1985)."""
    centres = [places[np.argmax((places**2).sum(axis=1))]]
    while len(centres) < GROUPS:
        near = np.min([((places - c) ** 2).sum(axis=1) for c in centres], axis=0)
        centres.append(places[near.argmax()])
    middle = np.array(centres)
    found = np.zeros(len(places), np.int8)
    for _ in range(ROUNDS):
        found = ((places[:, None] - middle) ** 2).sum(axis=2).argmin(axis=1).astype(np.int8)
        for group in range(GROUPS):
            if (found == group).any():
                middle[group] = places[found == group].mean(axis=0)
    return found
