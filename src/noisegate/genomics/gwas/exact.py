"""Exact tests of small whole numbers: Fisher's, Freeman and Halton's, and of Hardy and Weinberg's law.

All begin with the table at hand, taken for 1, and walk from it to its neighbours by the quotients of their
probabilities; so no factorial is computed, and the smallest p-value is as exact as the largest. A table that
is as probable as the one at hand but for rounding counts with it.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Counts = NDArray[np.int64]

# As probable as the table at hand, but for rounding; tails end where a term adds nothing to a float64.
_AS = 1.0 + 1e-7
_NOTHING = 1e-18
_FAINT = -60.0  # a whole row of tables so much less probable, in logarithms, adds nothing either


def fisher(a: Reals, of_a: Reals, b: Reals, of_b: Reals) -> Reals:
    """Return two-sided p-values of `a` of `of_a` against `b` of `of_b`; Fisher (1935).

    All are whole numbers of shape (variants,).
    """
    found = np.empty(len(a))
    a, of_a, b, of_b = (np.asarray(x, np.float64) for x in (a, of_a, b, of_b))
    _fishers(a, of_a, b, of_b, found)
    return found


def freeman_halton(tables: Counts) -> Reals:
    """Return p-values of tables, int64 of shape (variants, 2, 3); Freeman and Halton (1951)."""
    found = np.empty(len(tables))
    _freeman_haltons(tables, found)
    return found


def hardy_weinberg(genotypes: Counts) -> Reals:
    """Return p-values of counts of 0, 1 and 2 alleles, int64 of shape (variants, 3), against the law's.

    Wigginton, Cutler and Abecasis (2005), "A note on exact tests of Hardy-Weinberg equilibrium". 1 where
    nobody is.
    """
    found = np.empty(len(genotypes))
    _hardy_weinbergs(genotypes, found)
    return found


@njit(cache=True, nogil=True)
def _fishers(a, of_a, b, of_b, found):  # type: ignore[no-untyped-def]
    for v in range(len(found)):
        found[v] = _fisher(a[v], of_a[v] - a[v], b[v], of_b[v] - b[v])


@njit(cache=True, nogil=True)
def _fisher(a, b, c, d):  # type: ignore[no-untyped-def]
    """Return the p-value of cells a b / c d, by a walk to both sides of a."""
    tail = 1.0
    middle = 0.0
    for side in range(2):
        term = 1.0
        # To the right a and d grow; to the left b and c do, which is the same with the cells exchanged.
        w, x, y, z = (a, b, c, d) if side == 0 else (b, a, d, c)
        while x > 0.5 and y > 0.5:
            w += 1.0
            z += 1.0
            quotient = x * y / (w * z)
            term *= quotient
            x -= 1.0
            y -= 1.0
            if term > _AS:
                middle += term
                if middle > 1e290:
                    return 0.0
            else:
                tail += term
                if quotient < 1.0 and term < _NOTHING * tail:
                    break
    return min(1.0, tail / (tail + middle))


@njit(cache=True, nogil=True)
def _hardy_weinbergs(genotypes, found):  # type: ignore[no-untyped-def]
    for v in range(len(found)):
        a = float(min(genotypes[v, 0], genotypes[v, 2]))
        b = float(genotypes[v, 1])
        c = float(max(genotypes[v, 0], genotypes[v, 2]))
        tail = 1.0
        middle = 0.0
        for side in range(2):
            term = 1.0
            rare, both, often = a, b, c
            while True:
                if side == 0:  # two homozygotes more, of either kind, for two heterozygotes less
                    if both < 1.5:
                        break
                    quotient = both * (both - 1.0) / (4.0 * (rare + 1.0) * (often + 1.0))
                    both, rare, often = both - 2.0, rare + 1.0, often + 1.0
                else:
                    if rare < 0.5:
                        break
                    quotient = 4.0 * rare * often / ((both + 1.0) * (both + 2.0))
                    both, rare, often = both + 2.0, rare - 1.0, often - 1.0
                term *= quotient
                if term > _AS:
                    middle += term
                    if middle > 1e290:
                        break
                else:
                    tail += term
                    if quotient < 1.0 and term < _NOTHING * tail:
                        break
        found[v] = 0.0 if middle > 1e290 else tail / (tail + middle)


@njit(cache=True, nogil=True)
def _freeman_haltons(tables, found):  # type: ignore[no-untyped-def]
    longest = 2
    for v in range(len(tables)):
        longest = max(longest, tables[v].sum() + 2)
    logs = np.empty(longest)  # logarithms of factorials
    for i in range(longest):
        logs[i] = math.lgamma(i + 1.0)
    for v in range(len(tables)):
        found[v] = _freeman_halton(tables[v], logs)


@njit(cache=True, nogil=True)
def _freeman_halton(table, logs):  # type: ignore[no-untyped-def]
    """Sum over tables of the same margins, row by row of the rarest genotype.

    Given that cell the other two follow a hypergeometric law, of one peak: tables that count lie in its two
    tails, which are found from the peak, and summed outwards until a term adds nothing.
    """
    order = np.argsort(table[0] + table[1])
    rare, some, most = table[:, order[0]], table[:, order[1]], table[:, order[2]]
    in_rare, in_some, in_most = rare.sum(), some.sum(), most.sum()
    cases = rare[1] + some[1] + most[1]
    here = _weight(logs, rare[1], in_rare) + _weight(logs, some[1], in_some) + _weight(logs, most[1], in_most)
    limit = here + np.log(_AS)
    total = logs[in_rare + in_some + in_most] - logs[cases] - logs[in_rare + in_some + in_most - cases]
    both = in_some + in_most
    p = 0.0
    for x in range(max(0, cases - in_some - in_most), min(in_rare, cases) + 1):
        left = cases - x
        low, high = max(0, left - in_most), min(in_some, left)
        peak = min(max((left + 1) * (in_some + 1) // (in_some + in_most + 2), low), high)
        base = _weight(logs, x, in_rare)
        row = base + _weight(logs, left, both)
        if row < here + _FAINT:
            continue
        if base + _weight(logs, peak, in_some) + _weight(logs, left - peak, in_most) <= limit:
            # The peak itself counts, and with it the whole row.
            p += np.exp(row - total)
            continue
        for side in range(2):
            # The first y beyond the peak that counts, by halving.
            inside, outside = (peak, high + 1) if side == 0 else (peak, low - 1)
            while abs(outside - inside) > 1:
                y = (inside + outside) // 2
                if base + _weight(logs, y, in_some) + _weight(logs, left - y, in_most) <= limit:
                    outside = y
                else:
                    inside = y
            y = outside
            if y > high or y < low:
                continue
            term = np.exp(base + _weight(logs, y, in_some) + _weight(logs, left - y, in_most) - total)
            while term > 0.0:
                p += term
                if side == 0:
                    if y == high:
                        break
                    term *= (in_some - y) * (left - y) / ((y + 1.0) * (in_most - left + y + 1.0))
                    y += 1
                else:
                    if y == low:
                        break
                    term *= y * (in_most - left + y) / ((in_some - y + 1.0) * (left - y + 1.0))
                    y -= 1
                if term < _NOTHING * p:
                    break
    return min(1.0, p)


@njit(cache=True, nogil=True)
def _weight(logs, k, n):  # type: ignore[no-untyped-def]
    """Return the logarithm of n choose k."""
    return logs[n] - logs[k] - logs[n - k]
