"""The plots of a study: for each test two PNG files, and all that its page draws."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.gwas import pictures, scans
from noisegate.genomics.gwas.genome_line import GenomeLine, line_of
from noisegate.genomics.gwas.scans import Manhattan, Quantiles
from noisegate.genotypes.variants import Variants

Reals = NDArray[np.float64]
HITS = 20
_ON_PAGE = 9_000  # points of a Manhattan plot, so that a page of many tests stays small
_IN_FILE = 120_000
# How many points can be told apart, across and up; a page is looked at more closely than its pixels.
_FINE = (2_000, 700)
_QUANTILE_STEPS = 500
TITLES = {
    "p_allelic": "Alleles, χ²",
    "p_trend": "Cochran–Armitage trend",
    "p_genotypic": "Genotypes, χ² (2 df)",
    "p_dominant": "Dominant model, χ²",
    "p_recessive": "Recessive model, χ²",
    "p_fisher": "Fisher's exact test of alleles",
    "p_fisher_genotypic": "Exact test of genotypes",
}


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """One test of all variants.

    Attributes:
        sheet: the table it stands in.
        name: what its files are called after: "trend", "linear".
        title: what it is.
        p: float64, shape (variants,), in the order of the store; NaN where there is none.
        picture: its Manhattan plot, as on a page.
        quantiles: its QQ plot.
    """

    sheet: str
    name: str
    title: str
    p: Reals
    picture: Manhattan
    quantiles: Quantiles

    def beyond(self, level: float) -> int:
        """Return how many p-values are below a level."""
        with np.errstate(invalid="ignore"):
            return int((self.p < level).sum())


def scans_of(
    found: Mapping[str, Mapping[str, Reals]], variants: Variants, titles: Mapping[str, str]
) -> tuple[Scan, ...]:
    """Return the scans of a study.

    Args:
        found: of each table its columns of p-values, float64 of shape (variants,), NaN where there is none.
        variants: all variants of the store.
        titles: what a table is whose only column of p-values is called "p".
    """
    line = line_of(variants)
    return tuple(
        Scan(
            sheet,
            column.removeprefix("p_") if column in TITLES else sheet,
            TITLES.get(column) or titles[sheet],
            p,
            _drawn(p, line, variants, _ON_PAGE),
            scans.quantiles(p, steps=_QUANTILE_STEPS),
        )
        for sheet, columns in found.items()
        for column, p in columns.items()
    )


def write_pictures(
    folder: Path,
    found: Sequence[Scan],
    variants: Variants,
    trait: str,
    told: Callable[[float], None] = lambda _: None,
) -> list[Path]:
    """Write NAME.manhattan.png and NAME.qq.png for each scan into a folder; return the files."""
    names = names_of(found, variants)
    files = []
    for done, scan in enumerate(found, 1):
        title = f"{trait}: {scan.title}"
        picture = _drawn(scan.p, scan.picture.line, variants, _IN_FILE)
        files += [folder / f"{scan.name}.manhattan.png", folder / f"{scan.name}.qq.png"]
        pictures.write_manhattan(files[-2], picture, title, names)
        pictures.write_qq(files[-1], scan.quantiles, title)
        told(done / len(found))
    return files


def names_of(found: Sequence[Scan], variants: Variants) -> dict[int, str]:
    """Return what each hit of the scans is called: its id, or its place."""
    return {place: _name(variants, place) for place in _hits(found)}


def _drawn(p: Reals, line: GenomeLine, variants: Variants, most: int) -> Manhattan:
    return scans.manhattan(p, line, variants, width=_FINE[0], height=_FINE[1], hits=HITS, most=most)


def _hits(found: Sequence[Scan]) -> Iterator[int]:
    for scan in found:
        yield from (hit.variant for hit in scan.picture.hits)


def _name(variants: Variants, place: int) -> str:
    named = str(variants.id[place])
    return named or f"{variants.chrom[place]}:{variants.pos[place]}"
