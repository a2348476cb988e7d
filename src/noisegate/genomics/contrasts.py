"""P-values of contrasts of noisy tables, valid at every level whatever the unknown counts and sizes are.

For weights w over genotypes, n cases among N people and M_k people of genotype k, chance alone makes

    T = (1 - r) (Σ_k w_k x_1k - μ n̂_1) - r (Σ_k w_k x_0k - μ n̂_0),   r = n / N,  μ = Σ_k w_k M_k / N,

a sum of mean 0 whose law is known if θ = (n, N, M) is: cases are drawn from the people at hand without
replacement, and x, n̂ are counts with noise of known law. Of θ only noisy estimates are seen. Berger and Boos
(1994), "P values maximized over a confidence set for the nuisance parameter", JASA 89: with C_β a set that
holds θ but for a chance β, due to noise, a test that rejects at level t where

    F(t) = sup { P_θ(|T| >= observed) : θ in C_{ηt} } / (1 - η) <= t

errs with a chance of at most t. P-values here are sup { t : F(t) > t }, so P(p <= t) <= t at all t at once.

That alone would be wasteful in the far tail, where C is wide. So the statistic is not T but

    S = ±T - s / 2 * (estimate of v - v),   v = the variance of T under θ due to the people,

where s is how steeply the tail of T falls about the level, z / √(variance of T) for a normal law. Its law is
as known as that of T, since the estimate of v is a sum of noisy cells too. A θ with a larger v makes tails
longer, and what is observed of S larger by as much, so that p_θ stays nearly the same all over C: the
supremum costs little. Both signs are counted: p_θ = P(S_+ >= m) + P(S_- >= m), m the
larger of the two observed. Levels lie in bands with one z and one C each, taken for the band's lowest level.

Kernels of floats; PROOFS.md, "Noise-aware tests".
"""

import math

import numpy as np
from numba import njit

from noisegate.genomics.known_noise import SEEN
from noisegate.genomics.saddlepoint import tail, tilt

ETA = 0.02  # share of the level that is spent on not knowing the counts and sizes
# Edges of the bands of levels, and the quantile about the middle of each.
EDGES = np.array(
    [1, 0.6, 0.3, 0.1, 0.03, 4e-3, 1e-4, 1e-6, 2e-8, 1e-10, 1e-13, 1e-20, 1e-40, 1e-80, 1e-160, 1e-300]
)
QUANTILES = np.array([0.25, 0.8, 1.3, 1.9, 2.5, 3.4, 4.4, 5.25, 6.0, 7.0, 8.4, 11.2, 16.2, 23.0, 32.0])
BANDS = len(QUANTILES)
TREND, DOMINANT, HETEROZYGOUS, RECESSIVE = 0, 1, 2, 3  # the others set genotype 0, 1, 2 apart
WEIGHTS = np.array([[-3, 0, 3], [-2, 1, 1], [-1, 2, -1], [-1, -1, 2]]) / 3
FEWEST = 0.5  # people in a group: fewer than one, so that an empty group is covered
GUARD, GUARD_AT_ONE = 0.1, 0.5  # how far saddlepoints are distrusted where variances are small


def miss(band: int) -> float:
    """Return -ln of the chance with which each one-sided bound of C fails in a band.

    There are at most eight: two of each of two counts and of each of two sizes.
    """
    return float(np.log(8 / (ETA * EDGES[band + 1])))


@njit(cache=True, nogil=True)
def _variance(m, w, people):  # type: ignore[no-untyped-def]
    mean = square = 0.0
    for k in range(3):
        mean += w[k] * m[k]
        square += w[k] * w[k] * m[k]
    mean /= people
    return mean, max(square - mean * mean * people, 0.0)


@njit(cache=True, nogil=True)
def _chance(x, n1, n0, m, w, z, lattice, estimate, own, everybody, cells, terms, work):  # type: ignore[no-untyped-def]
    """Return p_θ, for θ = (n1, n0, m).

    Args:
        x: cells as seen, float64 (2, 3).
        n1: cases.
        n0: controls.
        m: people of each genotype, (3,), adding up to n1 + n0.
        w: weights, adding up to 0.
        z: quantile of the level.
        lattice: (step of the lattice that S lies on, what noise leaves of a wave of half a turn a count), the
            latter 0 where weights do not lie two apart.
        estimate: n̂ of (controls, cases).
        own: (2, 2): how far noise in a row of this very table moves each estimate.
        everybody: whether n1 + n0 is known.
        cells: (kind, size, variance) of the noise in a cell.
        terms: (coefficients (2, J), kind, size, count, variance): of other noise in the estimates.
        work: scratch, (coefficient, kind, size, count), each of at least 6 + J entries.
    """
    kind, size, spread = cells
    towards, kinds, sizes, counts, spreads = terms
    coefficient, all_kinds, all_sizes, all_counts = work
    people = n1 + n0
    r = n1 / people
    step, wave = lattice
    # Homozygotes alone lie two apart: an odd number of heterozygous cases sets S off by one, and such numbers
    # are as likely as even ones but for this power.
    if wave * abs(1 - 2 * r) ** m[1] > SEEN:
        step = 2.0
    mean, square = _variance(m, w, people)
    kappa = r * (1 - r)
    rows = (1 - r) * (1 - r) + r * r
    # The weights' common level matters through noise alone: the best one, from how well sizes are known.
    blur = 0.0
    for j in range(len(kinds)):
        moved = (1 - r) * towards[1, j] - r * towards[0, j]
        blur += counts[j] * moved * moved * spreads[j]
    for g in range(2):
        moved = (1 - r) * own[1, g] - r * own[0, g]
        blur += 3 * moved * moved * spread
    weight = w[0] * w[0] + w[1] * w[1] + w[2] * w[2]
    each = rows * spread
    level = -blur * mean / (3 * each + blur) if each + blur > 0 else 0.0
    mu = mean + level
    variance = kappa * square * people / max(people - 1, 1.0)
    variance += each * (weight + 3 * level * level) + blur * mu * mu
    if variance <= 1e-12:
        return 1.0
    centre = ((w[0] - mean) ** 2 + (w[1] - mean) ** 2 + (w[2] - mean) ** 2) / 3
    to1 = square * n0 * (n0 - n1) / people**3
    to0 = square * n1 * (n1 - n0) / people**3
    if not everybody:
        to1 += kappa * centre
        to0 += kappa * centre
    seen = -(1 - r) * mu * estimate[1] + r * mu * estimate[0]
    error = to1 * (estimate[1] - n1) + to0 * (estimate[0] - n0)
    for k in range(3):
        lifted = w[k] + level
        seen += (1 - r) * lifted * x[1, k] - r * lifted * x[0, k]
        error += kappa * ((w[k] - mean) ** 2 - centre) * (x[0, k] + x[1, k] - m[k])
    used = 0
    if kind == 0:
        for g in range(2):
            for k in range(3):
                c = (1 - r) * (w[k] + level) if g == 1 else -r * (w[k] + level)
                coefficient[used] = c - mu * ((1 - r) * own[1, g] - r * own[0, g])
                all_kinds[used], all_sizes[used], all_counts[used] = kind, size, 1.0
                used += 1
        rest = max(variance - each * (weight + 3 * level * level), 0.0)
        q = tilt(z * z / 2, rest, coefficient, all_kinds, all_sizes, all_counts, used) / 2
    else:
        q = z / (2 * math.sqrt(variance))
    observed = abs(seen) - q * error
    total = 0.0
    flipped = np.empty(3)
    for sign in (1.0, -1.0):
        used = 0
        normal = 0.0
        for g in range(2):
            for k in range(3):
                lifted = w[k] + level
                c = (1 - r) * lifted if g == 1 else -r * lifted
                c -= mu * ((1 - r) * own[1, g] - r * own[0, g])
                c = sign * c - q * (kappa * ((w[k] - mean) ** 2 - centre) + to1 * own[1, g] + to0 * own[0, g])
                if kind == 0:
                    coefficient[used], all_kinds[used], all_sizes[used], all_counts[used] = c, kind, size, 1.0
                    used += 1
                else:
                    normal += c * c * size * size
        for j in range(len(kinds)):
            c = -sign * mu * ((1 - r) * towards[1, j] - r * towards[0, j])
            c -= q * (to1 * towards[1, j] + to0 * towards[0, j])
            if kinds[j] == 0:
                coefficient[used], all_kinds[used] = c, 0
                all_sizes[used], all_counts[used] = sizes[j], counts[j]
                used += 1
            else:
                normal += counts[j] * c * c * sizes[j] * sizes[j]
        if normal > 0.0:
            coefficient[used], all_kinds[used], all_sizes[used], all_counts[used] = (
                1.0,
                1,
                math.sqrt(normal),
                1.0,
            )
            used += 1
        for k in range(3):
            flipped[k] = sign * w[k]
        total += tail(observed, step, n1, m, flipped, coefficient, all_kinds, all_sizes, all_counts, used)
    return min(1.0, total * (1 + min(GUARD, GUARD_AT_ONE / variance)))


@njit(cache=True, nogil=True)
def _place(contrast, people, first, second, m):  # type: ignore[no-untyped-def]
    """Write the people of each genotype: of twos less noughts and of ones, or of the genotype set apart."""
    if contrast == TREND:
        gap = min(max(first, -people), people)
        ones = min(max(second, 0.0), people - abs(gap))
        m[0], m[1], m[2] = (people - ones - gap) / 2, ones, (people - ones + gap) / 2
        return
    apart = min(max(first, 0.0), people)
    for k in range(3):
        m[k] = 0.0
    m[contrast - 1] = apart
    m[2 if contrast == DOMINANT else 0] = people - apart


@njit(cache=True, nogil=True)
def _widest(contrast, people, first, second, far, wide, m):  # type: ignore[no-untyped-def]
    """Write the counts of largest variance with the first count within far, the second within wide."""
    if contrast == TREND:
        _place(contrast, people, math.copysign(max(abs(first) - far, 0.0), first), second - wide, m)
    else:
        _place(contrast, people, min(max(people / 2, first - far), first + far), 0.0, m)


@njit(cache=True, nogil=True)
def _largest(  # type: ignore[no-untyped-def]
    contrast, band, x, w, lattice, sizes, own, everybody, ranges, widths, corners, cells, terms, work
):
    """Return the largest p_θ over the set C of a band.

    Tried are the middle of C, the counts of largest variance, the ends of the counts, and at the ends of the
    sizes the counts that bring the contrast nearest to 0. Where C is {|cases| / a + |first count| / b <= 1},
    these are its corners and the middles of its edges. Tests compare with a grid. Arguments as `p_value` has.
    """
    estimate, centre = sizes[0], sizes[1]
    y0, y1, y2 = x[0, 0] + x[1, 0], x[0, 1] + x[1, 1], x[0, 2] + x[1, 2]
    people = centre[0] + centre[1]
    lift = (people - y0 - y1 - y2) / 3 if everybody else 0.0
    single = 1 if contrast == TREND else contrast - 1
    apart = (y0 if single == 0 else (y1 if single == 1 else y2)) + lift
    first, second = (y2 - y0, apart) if contrast == TREND else (apart, 0.0)
    m = np.empty(3)
    z, low, high, width = QUANTILES[band], ranges[band, 0], ranges[band, 1], widths[band]
    _place(contrast, people, first, second, m)
    worst = _chance(x, centre[1], centre[0], m, w, z, lattice, estimate, own, everybody, cells, terms, work)
    same = low[0] == high[0] and low[1] == high[1]
    both = corners[band, 0] > 0.0
    far = corners[band, 1] if both else width[0]
    # What T is at other sizes and counts is what it is here, and the product of how far both are off.
    mean, _ = _variance(m, w, people)
    share = centre[1] / people
    seen = 0.0
    for k in range(3):
        seen += (1 - share) * w[k] * x[1, k] - share * w[k] * x[0, k]
    seen -= mean * ((1 - share) * estimate[1] - share * estimate[0])
    rising = 1.0 if contrast == TREND or w[single] > 0 else -1.0  # of the mean weight in the first count
    ends = 0 if same else (2 if everybody else 4)
    once = 1 if contrast == TREND else 0  # two ends of the second count, or none
    for i in range(7 + 2 * ends):
        if worst >= EDGES[band]:
            break
        side = 1 - 2 * (i % 2)
        if side < 0 and not once and i != 5:  # the other end of a second count that there is not
            continue
        n1, n0 = centre[1], centre[0]
        if i == 0:
            _widest(contrast, people, first, second, far, width[1], m)
        elif i < 5:
            up = far if i < 3 else -far
            _place(contrast, people, first + up, second + once * side * width[1], m)
        elif i < 7:
            if not both:
                continue
            n1 = min(max(estimate[1] + (2 * i - 11) * corners[band, 0], FEWEST), people - FEWEST)
            n0 = people - n1
            _place(contrast, people, first, second + once * side * width[1], m)
        else:
            end = (i - 7) // 2
            if both:
                n1 = min(max(estimate[1] + (0.5 - end) * corners[band, 0], FEWEST), people - FEWEST)
            else:
                n1 = low[1] if end % 2 == 0 else high[1]
            n0 = people - n1 if everybody else (low[0] if end // 2 == 0 else high[0])
            shift = far / 2 if both else far
            if (n1 / (n1 + n0) - share) * seen * rising > 0:
                shift = -shift
            _place(contrast, n1 + n0, first + shift, second + once * side * width[1], m)
        found = _chance(x, n1, n0, m, w, z, lattice, estimate, own, everybody, cells, terms, work)
        worst = max(worst, found)
    return worst


@njit(cache=True, nogil=True)
def p_value(  # type: ignore[no-untyped-def]
    contrast, x, w, lattice, sizes, own, everybody, ranges, widths, corners, cells, terms, work
):
    """Return the p-value of one contrast at one variant.

    Args:
        contrast: which one, 0 to 3.
        x: cells as seen, float64 (2, 3).
        w: weights.
        lattice: as `_chance` takes it.
        sizes: float64 (2, 2): (controls, cases) as they were estimated, and the likeliest, both above 0.
        own: as `_chance` takes it.
        everybody: whether all people are in one of the groups.
        ranges: float64 (bands, 2, 2): least and most (controls, cases) in each band.
        widths: float64 (bands, 2): half-widths of the counts.
        corners: float64 (bands, 2): how far cases and the first count may lie off one at a time, and by half
            of it both at once; 0 where `ranges` and `widths` bound either by itself.
        cells: as `_chance` takes it.
        terms: likewise.
        work: likewise.
    """
    for band in range(BANDS):
        worst = _largest(
            contrast, band, x, w, lattice, sizes, own, everybody, ranges, widths, corners, cells, terms, work
        ) / (1 - ETA)
        if worst > EDGES[band + 1]:
            return min(worst, EDGES[band])
    return EDGES[BANDS]


@njit(cache=True, nogil=True)
def p_values(tables, lattices, sizes, own, everybody, ranges, widths, corners, cells, terms, found):  # type: ignore[no-untyped-def]
    """Write the p-value of every contrast at every variant, float64 (variants, 4).

    `tables` is float64 (variants, 2, 3), `lattices` (4, 2), `sizes` (2, 2): estimates as they came and
    centres; `widths` and `corners` (4, bands, 2), the rest as `p_value` takes it.
    """
    room = 7 + len(terms[1])
    work = (np.empty(room), np.empty(room, np.int64), np.empty(room), np.empty(room))
    for v in range(len(tables)):
        x = tables[v]
        for c in range(4):
            w, width, far = WEIGHTS[c], widths[c], corners[c]
            lattice = (lattices[c, 0], lattices[c, 1])
            found[v, c] = p_value(
                c, x, w, lattice, sizes, own, everybody, ranges, width, far, cells, terms, work
            )
