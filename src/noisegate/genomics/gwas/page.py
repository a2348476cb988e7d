"""The page of a study: plots, the strongest variants, and what was done; in one file without a script."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from noisegate.genomics.gwas import drawings
from noisegate.genomics.gwas.plots import Scan, names_of
from noisegate.genomics.gwas.scans import ALPHA, GENOME_WIDE, scaled_to_thousand
from noisegate.genomics.report.numbers import NONE, plain
from noisegate.genomics.report.page import Section, page, paragraph, table, warning
from noisegate.genotypes.variants import Variants

Row = Mapping[str, object]
PRIVATE = (
    "For the custodian only. This page holds exact results of private genotypes, which no noise protects. "
    "Do not pass it on: analysts get associations through the gate."
)
FOOT = "Made by Noisegate. This page needs no network and holds no script."
INFLATED = 1.1  # λ of which a reader should be warned
_ENOUGH = 100  # p-values without which λ says little
WARNING = (
    "there are more small p-values than chance and a few causal variants make. Groups that differ in "
    "ancestry, relatives, or batches do this. A regression with principal components as covariates "
    "(--components) adjusts for ancestry; tests of tables adjust for nothing."
)
READING = """
A Manhattan plot has a point for each variant, at its place in the genome, the higher the smaller its
p-value. The line at 5 × 10⁻⁸ is the usual threshold of a genome-wide study; the dashed one divides 0.05 by
the number of variants tested here. A causal variant lifts its neighbours with it, so look for towers rather
than for single points.

A QQ plot sets the p-values against those of a study in which nothing matters. Points that leave the grey
band at the upper end are findings. If they leave it all along, λ is well above 1, and what is found may be
ancestry, kinship or batches rather than biology.

Where many points lie on one another some are left out of the drawing; the tables have all.
"""
PLACE = ("chrom", "pos", "id", "ref", "alt")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a page says beside the plots.

    Attributes:
        trait: what was studied.
        source: which genotypes.
        people: who takes part, in words, as "1,000 cases and 1,504 controls".
        groups: cases and controls; None for a quantitative trait.
        variants: how many there are.
        kept: how many were tested.
        done: what was done, as (what, value).
        top: of each table the rows of its strongest variants, each a column's name and its value.
        files: what was written, as (name, what it is).
        public: whether the genotypes are public.
    """

    trait: str
    source: str
    people: str
    groups: tuple[int, int] | None
    variants: int
    kept: int
    done: Sequence[tuple[str, str]]
    top: Mapping[str, Sequence[Row]]
    files: Sequence[tuple[str, str]]
    public: bool


def page_of(facts: Facts, found: Sequence[Scan], variants: Variants) -> str:
    """Return the page of a study as an HTML document."""
    names = names_of(found, variants)
    tested = f"{facts.kept:,}" if facts.kept == facts.variants else f"{facts.kept:,} of {facts.variants:,}"
    lead = (
        f'<p class="kicker">Association study</p>\n<h1>{escape(facts.trait)}</h1>\n'
        f"<p>{escape(facts.people)}; {tested} variants of {escape(facts.source)}.</p>\n"
        f"{_short(found, names)}"
    )
    sections = [
        *_scans(facts, found, names, variants),
        Section("done", "What was done", table("The study", ("what", "value"), facts.done)),
        Section("files", "Files", table("Written beside this page", ("file", "what it is"), facts.files)),
        Section("reading", "How to read the plots", "".join(map(paragraph, READING.strip().split("\n\n")))),
    ]
    banner = "" if facts.public else PRIVATE
    return page(f"{facts.trait}: association study", lead, sections, banner=banner, foot=FOOT)


def in_words(scan: Scan, names: Mapping[int, str]) -> str:
    """Return what came of a test, in a sentence."""
    if not scan.picture.hits:
        return "no variant could be tested"
    hit = scan.picture.hits[0]
    below = scan.beyond(GENOME_WIDE)
    some = f"{below:,} variants are" if below > 1 else "one variant is" if below else "no variant is"
    factor = scan.quantiles.inflation
    inflated = "" if factor is None else f"; λ = {factor:.3f}"
    return (
        f"{some} below 5 × 10⁻⁸, the strongest is {names[hit.variant]} with p = "
        f"{cell(float(scan.p[hit.variant]))}{inflated}"
    )


def _short(found: Sequence[Scan], names: Mapping[int, str]) -> str:
    """Return the box at the top: a line for each test."""
    lines = "".join(
        f"<li><strong>{escape(scan.title)}:</strong> {escape(in_words(scan, names))}.</li>" for scan in found
    )
    inflated = [
        scan.title
        for scan in found
        if (scan.quantiles.inflation or 0) > INFLATED and scan.quantiles.tested > _ENOUGH
    ]
    said = warning(f"λ is above {INFLATED} in: {', '.join(inflated)}. That is, {WARNING}") if inflated else ""
    return f'<div class="short"><h2 id="short">In short</h2><ul>{lines}</ul></div>\n{said}'


def _scans(
    facts: Facts, found: Sequence[Scan], names: Mapping[int, str], variants: Variants
) -> Iterator[Section]:
    """Yield a section for each test; the first of a table has its strongest variants."""
    seen: set[str] = set()
    for scan in found:
        top = () if scan.sheet in seen else facts.top.get(scan.sheet, ())
        seen.add(scan.sheet)
        effects = {variant_of(row): _effect(row) for row in top}
        told = {hit.variant: _told(hit.variant, scan, names, variants, effects) for hit in scan.picture.hits}
        along = drawings.manhattan(scan.picture, f"Manhattan plot: {in_words(scan, names)}.", names, told)
        against = drawings.qq(scan.quantiles, f"QQ plot of {scan.quantiles.tested:,} p-values.")
        body = (
            f'<figure><div class="scroll">{along}</div>'
            f"<figcaption>Each point is a variant. Point at one of the {len(told)} strongest "
            "to see what it is, or step through them with the tabulator key.</figcaption></figure>\n"
            f'<div class="pair"><figure>{against}<figcaption>If nothing mattered and tests were independent, '
            "95 % of such points would lie in the grey band.</figcaption></figure>\n"
            f"<div>{table(f'{scan.title} in numbers', ('what', 'value'), list(_numbers(facts, scan)), (1,))}"
            f"</div></div>\n{_strongest(scan, top)}"
        )
        yield Section(f"scan-{scan.sheet}-{scan.name}", scan.title, body)


def _numbers(facts: Facts, scan: Scan) -> Iterator[tuple[str, str]]:
    tested, factor = scan.quantiles.tested, scan.quantiles.inflation
    yield "variants with a p-value", f"{tested:,}"
    if factor is None:
        return
    yield "below 5 × 10⁻⁸", f"{scan.beyond(GENOME_WIDE):,}"
    yield f"below 0.05 / {tested:,}", f"{scan.beyond(ALPHA / tested):,}"
    yield "genomic inflation λ", f"{factor:.3f}"
    if facts.groups is not None:
        yield "λ for 1,000 cases and 1,000 controls", f"{scaled_to_thousand(factor, *facts.groups):.3f}"


def _told(
    place: int,
    scan: Scan,
    names: Mapping[int, str],
    variants: Variants,
    effects: Mapping[tuple[str, str, str], str],
) -> tuple[str, ...]:
    """Return what is said of a variant that is pointed at, line by line."""
    row = {name: getattr(variants, name)[place] for name in PLACE}
    _, where, alleles = known = variant_of(row)
    effect = effects.get(known, "")
    return (
        names[place],
        f"{where}  {alleles}",
        f"p = {cell(float(scan.p[place]))}",
        *([effect] if effect else []),
    )


def _effect(row: Row) -> str:
    """Return the effect of a variant, in words."""
    joined = effects_joined(row)
    if joined.get("odds_ratio") is not None:
        return f"odds ratio {cell(joined['odds_ratio'])}"
    if row.get("beta") is not None:
        return f"β = {cell(row['beta'])} ± {cell(row['error'])}"
    return ""


def _strongest(scan: Scan, top: Sequence[Row]) -> str:
    """Return the table of the strongest variants."""
    if not top:
        return ""
    rows = [effects_joined(row) for row in top]
    columns = [name for name in rows[0] if name not in PLACE]
    lines = [[*variant_of(row), *(cell(row[name]) for name in columns)] for row in rows]
    head = ["variant", "place", "alleles", *(name.replace("_", " ") for name in columns)]
    caption = f"{scan.title}: the {len(lines)} strongest, by the second allele"
    return table(caption, head, lines, range(3, len(head)))


def effects_joined(row: Row) -> dict[str, object]:
    """Return a row in which an odds ratio and its interval are one value."""
    if not {"odds_ratio", "low", "high"} <= row.keys():
        return dict(row)
    ratio, low, high = (cell(row[name]) for name in ("odds_ratio", "low", "high"))
    known = row["low"] is not None and row["high"] is not None
    said = f"{ratio} ({low}–{high})" if known else ratio
    return {
        name: said if name == "odds_ratio" else value
        for name, value in row.items()
        if name not in ("low", "high")
    }


def variant_of(row: Row) -> tuple[str, str, str]:
    """Return what a variant is called, where it is, and its alleles."""
    return str(row["id"] or NONE), f"{row['chrom']}:{row['pos']}", f"{row['ref']} > {row['alt']}"


def cell(value: object) -> str:
    """Return a value of a table, a number with three figures.

    >>> [cell(x) for x in (None, 1234, 0.36, 26.0, 133.2, 3.21e-9, 0.0, 15234.5, 1.6e300, "fitted")]
    ['–', '1,234', '0.360', '26.0', '133', '3.21e-9', '0', '15,234', '1.60e300', 'fitted']
    """
    match value:
        case None:
            return NONE
        case int():
            return f"{value:,}"
        case float() if value == 0 or not math.isfinite(value):
            return plain(value)
        case float() if abs(value) >= 1e9:
            return f"{value:.2e}".replace("e+", "e")
        case float() if abs(value) >= 1_000:
            return f"{value:,.0f}"
        case float() if abs(value) < 1e-3:
            return f"{value:.2e}".replace("e-0", "e-")
        case float():
            return f"{value:#.3g}".removesuffix(".")
        case _:
            return str(value)
