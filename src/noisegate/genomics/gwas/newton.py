"""Newton's steps of logistic regressions, many variants at once, in float32 vectors.

All is written in the null model's own coordinates: covariates are made orthonormal under its weights, so the
information about them begins as the identity and float32 sums lose nothing to their scales. The last step is
so small (`SMALL`) that rounding, about 1e-5 of a standard error for thousands of people, is what remains.

exp is that of Cephes' expf (Moshier): a polynomial on [-ln 2 / 2, ln 2 / 2], exact to 1.2e-7, written so that
compilers put 16 people into a register.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.genomics.gwas.lanes import CONTRACTED, add_dots, add_information, copies, from_bits
from noisegate.genomics.gwas.triangles import back, factor
from noisegate.genotypes.packed import Block, Words

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Single = NDArray[np.float32]
Places = NDArray[np.int64]

SMALL = 1e-6  # the square of the last step, in standard errors
PASSES = 12  # what has not converged after so many, or is
FAR = 12.0  # beyond this log odds ratio, is left to float64
OUTSIDE = -100.0  # log odds of somebody who takes no part: neither a case nor any information
_F = np.float32
_TILE = 1024


def climb(
    block: Block,
    part: Words,
    flipped: Flags,
    which: Places,
    theta: Floats,
    basis: Single,
    start: Single,
    y: Single,
) -> tuple[Floats, Flags]:
    """Take Newton's steps until they are small.

    Args:
        block: the calls; who has none takes no part in that variant.
        part: who takes part, uint64 of shape (words,).
        flipped: bool, shape (variants,); where the reference allele is counted.
        which: the places of the variants to fit, int64.
        theta: float64, shape (variants, k + 1), where to start; what is found is written there. The last
            is the genotype's log odds ratio.
        basis: float32, shape (k, 64 * words); the covariates, 0 outside.
        start: float32, shape (64 * words,); log odds under the null model, OUTSIDE outside.
        y: float32, shape (64 * words,); 1 for cases, else 0.

    Returns:
        The standard error of each variant's log odds ratio, float64 of shape (variants,), and whether its
        steps became small; both say something for those in `which` alone.
    """
    width = len(basis) + 1
    error, done = np.full(block.variants, np.nan), np.zeros(block.variants, np.bool_)
    left = which
    for _ in range(PASSES):
        if not len(left):
            break
        slope, matrix = np.zeros((len(left), width)), np.zeros((len(left), width, width))
        _information(block.hi, block.lo, part, flipped, left, theta, basis, start, y, slope, matrix, _TILE)
        state = np.zeros(len(left), np.int8)
        _step(left, slope, matrix, theta, error, state)
        done[left[state == 1]] = True
        left = left[state == 0]
    return error, done


@njit(cache=True, nogil=True, fastmath=CONTRACTED, error_model="numpy")
def link(odds, y, weight, residual):  # type: ignore[no-untyped-def]
    """Write p (1 - p) and y - p, p = 1 / (1 + exp(-odds)), float32.

    `odds` beyond 87 are taken for 87. The weight keeps its relative accuracy however near p is to 0 or 1.
    """
    for i in range(odds.shape[0]):
        x = -odds[i]
        x = x if x < _F(87) else _F(87)
        x = x if x > _F(-87) else _F(-87)
        # The sum is above 0, so cutting its fraction off rounds to the nearest power of 2.
        power = np.int32(x * _F(1.44269504088896341) + _F(127.5))
        whole = _F(power) - _F(127)
        # ln 2 in two parts, the first of which has few enough bits to be multiplied exactly.
        f = x - whole * _F(0.693359375)
        f = f - whole * _F(-2.12194440e-4)
        e = _F(1.9875691500e-4)
        e = e * f + _F(1.3981999507e-3)
        e = e * f + _F(8.3334519073e-3)
        e = e * f + _F(4.1665795894e-2)
        e = e * f + _F(1.6666665459e-1)
        e = e * f + _F(5.0000001201e-1)
        e = e * (f * f) + f + _F(1)
        e = e * from_bits(np.int32(power << 23))
        p = _F(1) / (_F(1) + e)
        residual[i] = y[i] - p
        weight[i] = (e * p) * p


@njit(cache=True, nogil=True, fastmath=CONTRACTED)
def odds_of(start, theta, rows, out):  # type: ignore[no-untyped-def]
    """Write the log odds: start plus theta times rows, four rows at a time."""
    for i in range(out.shape[0]):
        out[i] = start[i]
    j = 0
    while j + 4 <= rows.shape[0]:
        a, b, c, d = theta[j], theta[j + 1], theta[j + 2], theta[j + 3]
        _add_four(a, rows[j], b, rows[j + 1], c, rows[j + 2], d, rows[j + 3], out)
        j += 4
    while j < rows.shape[0]:
        _add_one(theta[j], rows[j], out)
        j += 1


@njit(cache=True, nogil=True, fastmath=CONTRACTED)
def _add_four(a, x, b, y, c, z, d, u, out):  # type: ignore[no-untyped-def]
    a, b, c, d = out.dtype.type(a), out.dtype.type(b), out.dtype.type(c), out.dtype.type(d)
    for i in range(out.shape[0]):
        out[i] += a * x[i] + b * y[i] + c * z[i] + d * u[i]


@njit(cache=True, nogil=True, fastmath=CONTRACTED)
def _add_one(a, x, out):  # type: ignore[no-untyped-def]
    a = out.dtype.type(a)
    for i in range(out.shape[0]):
        out[i] += a * x[i]


@njit(cache=True, nogil=True)
def leave_out(hi, lo, part, first, weight, residual):  # type: ignore[no-untyped-def]
    """Take those without a call out of words from `first` on."""
    for w in range(weight.shape[0] // 64):
        gone = hi[first + w] & ~lo[first + w] & part[first + w]
        if gone:
            for i in range(64):
                if (gone >> np.uint64(i)) & np.uint64(1):
                    weight[64 * w + i] = 0
                    residual[64 * w + i] = 0


@njit(cache=True, nogil=True)
def _information(hi, lo, part, flipped, which, theta, basis, start, y, slope, matrix, tile):  # type: ignore[no-untyped-def]
    """Add up the likelihood's slope and information of each variant at its theta."""
    width = basis.shape[0] + 1
    for first in range(0, basis.shape[1], tile):
        last = min(first + tile, basis.shape[1])
        size = last - first
        rows = np.empty((width, size), np.float32)
        for j in range(width - 1):
            rows[j] = basis[j, first:last]
        odds = np.empty(size, np.float32)
        weight = np.empty(size, np.float32)
        residual = np.empty(size, np.float32)
        outcome = y[first:last]
        null = start[first:last]
        for n in range(which.shape[0]):
            v = which[n]
            copies(hi[v], lo[v], part, flipped[v], first // 64, rows[width - 1])
            odds_of(null, theta[v], rows, odds)
            link(odds, outcome, weight, residual)
            leave_out(hi[v], lo[v], part, first // 64, weight, residual)
            add_dots(residual, rows, 0, width, 0, size, slope[n])
            add_information(weight, rows, matrix[n])


@njit(cache=True, nogil=True)
def _step(which, slope, matrix, theta, error, state):  # type: ignore[no-untyped-def]
    """Step; state becomes 1 where the step was small, 2 where there is no step to take."""
    width = slope.shape[1]
    a = np.empty((width + 1, width))
    move = np.empty(width)
    for n in range(which.shape[0]):
        v = which[n]
        for i in range(width):
            for j in range(i + 1):
                a[i, j] = matrix[n, i, j]
            a[width, i] = slope[n, i]
        if factor(a, 0, width, 1e-6) < width:
            state[n] = 2
            continue
        square = 0.0
        for i in range(width):
            move[i] = a[width, i]
            square += move[i] * move[i]
        back(a, width, move)
        for i in range(width):
            theta[v, i] += move[i]
        error[v] = 1.0 / a[width - 1, width - 1]
        if not np.abs(theta[v, width - 1]) < FAR:
            state[n] = 2
        elif square <= SMALL:
            state[n] = 1
