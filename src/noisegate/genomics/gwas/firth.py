"""Logistic regressions one variant at a time in float64, with or without Firth's penalty.

Firth (1993), Biometrika 80:27: the likelihood times the root of the information's determinant has a maximum
however cases and controls are parted. Its slope is that of the likelihood with y - p replaced by
y - p + h (1/2 - p), h the diagonal of the hat matrix. Steps are taken with weights (1 + h) p (1 - p), as
logistf (Heinze & Ploner) and plink2 take them; standard errors are those of the information itself, as
Heinze & Schemper (2002), Stat. Med. 21:2409, and plink2 (alpha 3) have them.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.genomics.gwas.lanes import CONTRACTED, add_dots, add_information, copies, from_bits
from noisegate.genomics.gwas.newton import FAR, leave_out, odds_of
from noisegate.genomics.gwas.triangles import back, factor, invert
from noisegate.genotypes.packed import Block, Words

Floats = NDArray[np.float64]

SMALL = 1e-10  # the square of the last step, in standard errors
STEPS = 100
# The first so many penalised steps are logistf's. Where cases and controls are parted it would take hundreds
# of them, each little shorter than the one before, so those that follow learn the curvature from the slopes:
# the update of Broyden, Fletcher, Goldfarb and Shanno (Nocedal & Wright 2006, Numerical Optimization, 6.1).
_PLAIN = 8
_WIDEST = 5.0  # what one step may change anybody's log odds by
_LEAST = 1e-9


def maximise(
    block: Block,
    part: Words,
    flipped: NDArray[np.bool_],
    which: NDArray[np.int64],
    theta: Floats,
    basis: Floats,
    start: Floats,
    y: Floats,
    *,
    penalty: bool,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Fit variants one after the other, from the null model on.

    Args are those of `newton.climb`, in float64; `penalty` says whether Firth's is there.

    Returns:
        The standard error of each variant's log odds ratio, float64 of shape (variants,), and whether its
        steps became small at an estimate that is finite; both for those in `which` alone.
    """
    error, done = np.full(block.variants, np.nan), np.zeros(block.variants, np.bool_)
    theta[which] = 0.0
    _maximise(block.hi, block.lo, part, flipped, which, theta, basis, start, y, penalty, error, done)
    return error, done


@njit(cache=True, nogil=True, fastmath=CONTRACTED, error_model="numpy")
def link(odds, y, weight, residual):  # type: ignore[no-untyped-def]
    """Write p (1 - p) and y - p, p = 1 / (1 + exp(-odds)), float64; `odds` beyond 700 are taken for 700."""
    for i in range(odds.shape[0]):
        x = -odds[i]
        x = x if x < 700.0 else 700.0
        x = x if x > -700.0 else -700.0
        power = np.int64(x * 1.4426950408889634 + 1023.5)
        whole = np.float64(power) - 1023.0
        # ln 2 in two parts, as in Cephes' exp.
        f = x - whole * 6.93145751953125e-1
        f = f - whole * 1.42860682030941723212e-6
        # Taylor's polynomial of exp, off by less than 1e-17 up to ln 2 / 2.
        e = 1.0 / 6227020800.0
        e = e * f + 1.0 / 479001600.0
        e = e * f + 1.0 / 39916800.0
        e = e * f + 1.0 / 3628800.0
        e = e * f + 1.0 / 362880.0
        e = e * f + 1.0 / 40320.0
        e = e * f + 1.0 / 5040.0
        e = e * f + 1.0 / 720.0
        e = e * f + 1.0 / 120.0
        e = e * f + 1.0 / 24.0
        e = e * f + 1.0 / 6.0
        e = e * f + 0.5
        e = e * (f * f) + f + 1.0
        e = e * from_bits(power << 52)
        p = 1.0 / (1.0 + e)
        residual[i] = y[i] - p
        weight[i] = (e * p) * p


@njit(cache=True, nogil=True, fastmath=CONTRACTED)
def _penalise(inverse, rows, y, weight, residual, product, lever):  # type: ignore[no-untyped-def]
    """Replace residuals and weights by those of the penalised likelihood."""
    lever[:] = 0
    for j in range(rows.shape[0]):
        product[:] = 0
        for c in range(j + 1):
            scale = inverse[j, c]
            row = rows[c]
            for i in range(product.shape[0]):
                product[i] += scale * row[i]
        for i in range(product.shape[0]):
            lever[i] += product[i] * product[i]
    for i in range(product.shape[0]):
        h = weight[i] * lever[i]
        # Who is left out has weight 0, so h is 0 and the residual stays 0.
        residual[i] += h * (0.5 - (y[i] - residual[i]))
        weight[i] += h * weight[i]


@njit(cache=True, nogil=True)
def _learn(around, move, less):  # type: ignore[no-untyped-def]
    """Update the inverse curvature: after `move`, the slope was smaller by `less`."""
    across = 0.0
    for i in range(move.shape[0]):
        across += move[i] * less[i]
    if not across > 0.0:
        return
    turned = np.zeros(move.shape[0])
    size = 0.0
    for i in range(move.shape[0]):
        for j in range(move.shape[0]):
            turned[i] += around[i, j] * less[j]
        size += less[i] * turned[i]
    for i in range(move.shape[0]):
        for j in range(move.shape[0]):
            both = turned[i] * move[j] + move[i] * turned[j]
            around[i, j] += (1.0 + size / across) * move[i] * move[j] / across - both / across


@njit(cache=True, nogil=True)
def _maximise(hi, lo, part, flipped, which, theta, basis, start, y, penalty, error, done):  # type: ignore[no-untyped-def]
    width = basis.shape[0] + 1
    people = basis.shape[1]
    rows = np.empty((width, people))
    for j in range(width - 1):
        rows[j] = basis[j]
    odds, weight, residual = np.empty(people), np.empty(people), np.empty(people)
    product, lever, none = np.empty(people), np.empty(people), np.zeros(people)
    a = np.empty((width + 1, width))
    inverse, around = np.empty((width, width)), np.empty((width, width))
    slope, before, move = np.empty(width), np.empty(width), np.empty(width)
    for n in range(which.shape[0]):
        v = which[n]
        copies(hi[v], lo[v], part, flipped[v], 0, rows[width - 1])
        for step in range(STEPS):
            odds_of(start, theta[v], rows, odds)
            link(odds, y, weight, residual)
            leave_out(hi[v], lo[v], part, 0, weight, residual)
            if penalty:
                a[:] = 0
                add_information(weight, rows, a)
                if factor(a[:width], 0, width, _LEAST) < width:
                    break
                error[v] = 1.0 / a[width - 1, width - 1]
                invert(a, width, inverse)
                _penalise(inverse, rows, y, weight, residual, product, lever)
            before[:] = slope
            slope[:] = 0
            add_dots(residual, rows, 0, width, 0, people, slope)
            if penalty and step >= _PLAIN:
                _learn(around, move, before - slope)
                for i in range(width):
                    move[i] = 0.0
                    for j in range(width):
                        move[i] += around[i, j] * slope[j]
            else:
                a[:] = 0
                add_information(weight, rows, a)
                a[width] = slope
                if factor(a, 0, width, _LEAST) < width:
                    break
                move[:] = a[width]
                back(a, width, move)
                if not penalty:
                    error[v] = 1.0 / a[width - 1, width - 1]
                elif step == _PLAIN - 1:
                    invert(a, width, inverse)
                    for i in range(width):
                        for j in range(width):
                            around[i, j] = 0.0
                            for r in range(width):
                                around[i, j] += inverse[r, i] * inverse[r, j]
            square = 0.0
            for i in range(width):
                square += move[i] * slope[i]
            odds_of(none, move, rows, product)
            widest = max(np.max(product), -np.min(product))
            if widest > _WIDEST:
                for i in range(width):
                    move[i] *= _WIDEST / widest
            for i in range(width):
                theta[v, i] += move[i]
            if square <= SMALL:
                ratio = np.abs(theta[v, width - 1])
                # Where cases and controls are parted, the error outgrows the estimate without end.
                done[v] = ratio < FAR or error[v] < ratio
                break
