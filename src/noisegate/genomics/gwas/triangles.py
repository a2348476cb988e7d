"""Cholesky's factors of the small matrices of one variant, for compiled loops."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def factor(a, first, size, least):  # type: ignore[no-untyped-def]
    """Factor columns `first` to `size` - 1 of a symmetric matrix in place; those before are factored already.

    All rows of `a`, float64 with the lower triangle filled, are carried along: a row below the `size` first
    becomes what forward substitution makes of it.

    Returns:
        How many columns were factored: fewer than `size` where what is left of a diagonal entry is not above
        `least` times what it was, so that its column depends on those before it.
    """
    for j in range(first, size):
        left = a[j, j]
        for i in range(j):
            left -= a[j, i] * a[j, i]
        if not left > least * a[j, j]:
            return j
        root = np.sqrt(left)
        a[j, j] = root
        for r in range(j + 1, a.shape[0]):
            s = a[r, j]
            for i in range(j):
                s -= a[r, i] * a[j, i]
            a[r, j] = s / root
    return size


@njit(cache=True, nogil=True)
def back(a, size, x):  # type: ignore[no-untyped-def]
    """Solve Lᵀ x = x in place, L the lower triangle of the first `size` columns of `a`."""
    for i in range(size - 1, -1, -1):
        s = x[i]
        for r in range(i + 1, size):
            s -= a[r, i] * x[r]
        x[i] = s / a[i, i]


@njit(cache=True, nogil=True)
def invert(a, size, out):  # type: ignore[no-untyped-def]
    """Write the inverse of L, the lower triangle of the first `size` columns of `a`, to out[:size, :size]."""
    for c in range(size):
        for r in range(size):
            s = 1.0 if r == c else 0.0
            for i in range(c, r):
                s -= a[r, i] * out[i, c]
            out[r, c] = s / a[r, r] if r >= c else 0.0
