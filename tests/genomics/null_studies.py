"""Studies in which nothing is to be found, drawn plainly and tilted, for tests of p-values.

Noise is drawn from its law by numpy, far faster than by the samplers that releases use.
"""

import numpy as np

from noisegate.privacy.noise import Laplace


def genotypes(frequency):
    """Return the shares of people with 0, 1 and 2 alternate alleles, under Hardy-Weinberg."""
    return np.array([(1 - frequency) ** 2, 2 * frequency * (1 - frequency), frequency**2])


def draw(noise, shape, rng):
    """Draw discrete noise of a law."""
    scale = float(noise.scale)
    if isinstance(noise, Laplace):
        heads = -np.expm1(-1 / scale)
        return (rng.geometric(heads, shape) - rng.geometric(heads, shape)).astype(float)
    if scale >= 8:
        return np.round(rng.normal(0, np.sqrt(scale**2 - 1 / 12), shape))
    values = np.arange(-80, 81)
    weights = np.exp(-((values / scale) ** 2) / 2)
    return rng.choice(values, shape, p=weights / weights.sum()).astype(float)


def exact(variants, controls, cases, frequency, rng):
    """Draw tables of groups that do not differ, float64 (variants, 2, 3)."""
    shares = genotypes(frequency)
    return np.stack([rng.multinomial(size, shares, variants) for size in (controls, cases)], axis=1).astype(
        float
    )


def noisy(variants, controls, cases, frequency, noise, rng):
    """Draw such tables with noise; return them and the exact ones."""
    tables = exact(variants, controls, cases, frequency, rng)
    return tables + draw(noise, tables.shape, rng), tables


def tilted(variants, controls, cases, frequency, noise, weights, steep, rng):
    """Draw noisy tables in which a contrast lies far out, and the logarithm of how much too often each is.

    Half of them are drawn under exp(+steep T), half under exp(-steep T), T the contrast; a mean weighted by
    exp of what is returned is one under the null.
    """
    shares, scale = genotypes(frequency), float(noise.scale)
    r = cases / (controls + cases)
    signs = np.where(rng.random(variants) < 0.5, 1.0, -1.0)
    found, level = np.empty((variants, 2, 3)), {}
    for sign in (1.0, -1.0):
        places, total = np.nonzero(signs == sign)[0], 0.0
        for group, size, share in ((0, controls, -r), (1, cases, 1 - r)):
            grown = shares * np.exp(sign * steep * share * weights)
            total += size * np.log(grown.sum())
            found[places, group] = rng.multinomial(size, grown / grown.sum(), len(places))
            for k in range(3):
                tilt = sign * steep * share * weights[k]
                if isinstance(noise, Laplace):
                    up, down = np.exp(-1 / scale + tilt), np.exp(-1 / scale - tilt)
                    moved = rng.geometric(1 - up, len(places)) - rng.geometric(1 - down, len(places))
                    total += 2 * np.log1p(-np.exp(-1 / scale)) - np.log1p(-up) - np.log1p(-down)
                else:
                    moved = np.round(rng.normal(scale**2 * tilt, np.sqrt(scale**2 - 1 / 12), len(places)))
                    total += scale**2 * tilt**2 / 2
                found[places, group, k] += moved
        level[sign] = total
    contrast = (weights * ((1 - r) * found[:, 1] - r * found[:, 0])).sum(axis=1)
    both = np.logaddexp(
        np.log(0.5) + steep * contrast - level[1.0], np.log(0.5) - steep * contrast - level[-1.0]
    )
    return found, -both
