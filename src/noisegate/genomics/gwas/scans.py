"""What the plots of a study show, before it is drawn: points thinned to what can be seen, lines and hits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.gwas.genome_line import GenomeLine
from noisegate.genotypes.variants import Variants

Reals = NDArray[np.float64]
Places = NDArray[np.int64]
# Of tests of some million common variants (Pe'er et al. 2008, Genetic Epidemiology 32).
GENOME_WIDE = 5e-8
ALPHA = 0.05
# Median of chi-squared with one degree of freedom.
_MEDIAN = 0.454936423119572
_LEAST = 5e-324
_LOCUS = 500_000  # base pairs within which hits are taken for one
_LABELLED = 12
_BAND = 160  # points of the band of a QQ plot


@dataclass(frozen=True, slots=True)
class Hit:
    """A variant worth a label: its place in the store, where it stands, -log10 p, and which locus."""

    variant: int
    x: float
    y: float
    locus: int


@dataclass(frozen=True, slots=True, eq=False)
class Manhattan:
    """-log10 p along the genome.

    `variants` are the places in the store of the points that are drawn, `x` in [0, 1], `y` their -log10 p;
    `hits` the strongest, the strongest first; `lines` what is drawn across: a name and a height; `top` the
    upper end of the scale.
    """

    line: GenomeLine
    variants: Places
    x: Reals
    y: Reals
    hits: tuple[Hit, ...]
    lines: tuple[tuple[str, float], ...]
    top: float


@dataclass(frozen=True, slots=True, eq=False)
class Quantiles:
    """Observed against expected -log10 p, largest first and thinned; `band` is float64 of shape (3, points):
    expected -log10 p, and where 95 % of such a point lie if no variant matters and all are independent.
    """

    expected: Reals
    observed: Reals
    band: Reals
    inflation: float | None
    tested: int


def heights(p: Reals) -> Reals:
    """Return -log10 p; NaN stays NaN, and a p that is 0 as a double is taken for the least one above it."""
    found: Reals = -np.log10(np.maximum(p, _LEAST))
    return found


def inflation(p: Reals) -> float | None:
    """Return the genomic inflation factor λ: the median of chi-squared (1 df) over what it is by chance.

    Devlin and Roeder (1999), Biometrics 55. p-values of other tests are turned into chi-squared of one degree
    of freedom first. None where nothing was tested.
    """
    from scipy.special import ndtri

    tested = p[np.isfinite(p)]
    if not len(tested):
        return None
    return float(ndtri(float(np.median(tested)) / 2) ** 2 / _MEDIAN)


def scaled_to_thousand(factor: float, cases: int, controls: int) -> float:
    """Return λ as it would be with 1,000 cases and 1,000 controls (de Bakker et al. 2008).

    >>> round(scaled_to_thousand(1.1, 2_000, 2_000), 3)
    1.05
    """
    return 1 + (factor - 1) * (1 / cases + 1 / controls) / (2 / 1_000)


def manhattan(
    p: Reals, line: GenomeLine, variants: Variants, *, width: int, height: int, hits: int, most: int
) -> Manhattan:
    """Return what a Manhattan plot shows.

    Args:
        p: float64, shape (variants,); NaN where there is none.
        line: where variants stand.
        variants: the same, with their positions.
        width: how many points side by side can be told apart.
        height: how many one above the other.
        hits: how many of the strongest to name.
        most: how many points to draw at most, about; coarser steps are taken until there are as few.
    """
    y = heights(p)
    there = np.flatnonzero(np.isfinite(y))
    tallest = float(y[there].max()) if len(there) else 0.0
    bars = [("5 × 10⁻⁸", -math.log10(GENOME_WIDE))]
    if len(there):
        own = -math.log10(ALPHA / len(there))
        if abs(own - bars[0][1]) > 0.3:
            bars.append((f"0.05 / {_short(len(there))}", own))
    top = 1.06 * max(tallest, bars[0][1] + 0.5)
    coarse = 1.0
    kept = thinned(line.at[there], y[there], 1 / width, top / height)
    while len(kept) > most:
        coarse *= 1.2
        kept = kept[thinned(line.at[there[kept]], y[there[kept]], coarse / width, coarse * top / height)]
    drawn = there[kept]
    strongest = there[np.argsort(-y[there], kind="stable")[:hits]]
    named = loci(strongest, line, variants)
    found = tuple(
        Hit(int(v), float(line.at[v]), float(y[v]), locus) for v, locus in zip(strongest, named, strict=True)
    )
    return Manhattan(line, drawn, line.at[drawn], y[drawn], found, tuple(bars), top)


def loci(strongest: Places, line: GenomeLine, variants: Variants) -> list[int]:
    """Return which locus each of some hits is of, from 1; hits within 500 kb of a stronger one share its.

    Args:
        strongest: places of variants, the strongest first.
        line: where they stand.
        variants: all variants of the store.
    """
    leads: list[tuple[int, int, int]] = []
    found = []
    for v in strongest.tolist():
        where, pos = int(line.which[v]), int(variants.pos[v])
        near = (
            number
            for number, (c, at, _) in enumerate(leads, 1)
            if c == where and pos and abs(at - pos) <= _LOCUS
        )
        number = next(near, 0)
        if not number:
            leads.append((where, pos, v))
            number = len(leads)
        found.append(number)
    return found


def labelled(picture: Manhattan, room: float) -> tuple[Hit, ...]:
    """Return the hits to name in the picture: the strongest of each locus above a line that is drawn, apart.

    Args:
        picture: the plot.
        room: the share of the width that a name takes.
    """
    least = min(height for _, height in picture.lines)
    chosen: list[Hit] = []
    seen: set[int] = set()
    for hit in picture.hits:
        first = hit.locus not in seen
        seen.add(hit.locus)
        free = all(
            abs(other.x - hit.x) > room or abs(other.y - hit.y) > 0.055 * picture.top for other in chosen
        )
        if first and hit.y >= least and free and len(chosen) < _LABELLED:
            chosen.append(hit)
    return tuple(chosen)


def quantiles(p: Reals, *, steps: int) -> Quantiles:
    """Return what a QQ plot shows.

    The i-th smallest of m p-values is set against (i - 1/2) / m; of m independent uniform numbers it follows
    a Beta(i, m - i + 1), whose 2.5 % and 97.5 % quantiles are the band.

    Args:
        p: float64, shape (variants,); NaN where there is none.
        steps: how many points along an axis can be told apart.
    """
    from scipy.special import betaincinv

    tested = np.sort(p[np.isfinite(p)])
    m = len(tested)
    if not m:
        nothing = np.empty(0)
        return Quantiles(nothing, nothing, np.empty((3, 0)), None, 0)
    expected = -np.log10((np.arange(1, m + 1) - 0.5) / m)
    observed = heights(tested)
    kept = thinned(expected, observed, expected[0] / steps, max(float(observed[0]), 1e-9) / steps)
    rank = np.unique(np.geomspace(1, m, min(_BAND, m)).round())
    ends = [-np.log10(betaincinv(rank, m - rank + 1, share)) for share in (0.975, 0.025)]
    band = np.stack([-np.log10((rank - 0.5) / m), *ends])
    return Quantiles(expected[kept], observed[kept], band, inflation(tested), m)


def thinned(x: Reals, y: Reals, across: float, up: float) -> Places:
    """Return the places of one point in each cell of a grid that has any, in the order of the points.

    Args:
        x: float64, 0 or more.
        y: float64, 0 or more.
        across: width of a cell.
        up: height of a cell.
    """
    column, row = (np.floor(values / step).astype(np.int64) for values, step in ((x, across), (y, up)))
    _, kept = np.unique(column * (2**31) + row, return_index=True)
    return np.sort(kept)


def _short(count: int) -> str:
    """Return a number in few characters.

    >>> [_short(n) for n in (127, 9_091, 99_999, 812_345, 8_123_456)]
    ['127', '9,091', '100k', '812k', '8.1M']
    """
    if count < 10_000:
        return f"{count:,}"
    return f"{count / 1_000:.0f}k" if count < 999_500 else f"{count / 1e6:.1f}M"


def ticks(top: float, most: int) -> Sequence[int]:
    """Return the whole numbers that are marked on a scale from 0.

    >>> list(ticks(8.2, 6)), list(ticks(310.0, 6))
    ([0, 2, 4, 6, 8], [0, 100, 200, 300])
    """
    step = next(
        factor * 10**power for power in range(6) for factor in (1, 2, 5) if top / (factor * 10**power) <= most
    )
    return range(0, math.floor(top) + 1, step)
