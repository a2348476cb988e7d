"""What a study leaves beside its tables: plots, a page, and a summary for programs."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import assert_never

from noisegate.genomics.gwas.analyses import Analysis, Contingency, Linear, Logistic, Method, name_of
from noisegate.genomics.gwas.copies import in_words
from noisegate.genomics.gwas.page import Facts, page_of
from noisegate.genomics.gwas.plots import Scan, names_of, scans_of, write_pictures
from noisegate.genomics.gwas.scans import GENOME_WIDE
from noisegate.genomics.gwas.study import Study, Summary
from noisegate.genotypes import haploid
from noisegate.genotypes.durable import write

PAGE, SUMMARY = "report.html", "summary.json"
SCHEMA = "noisegate.genomes.gwas/1"
Json = dict[str, object]
_METHODS = {Method.WALD: "Wald", Method.SCORE: "score", Method.FIRTH: "Firth"}


def write_report(
    folder: Path,
    study: Study,
    summary: Summary,
    *,
    source: str,
    public: bool,
    said: Sequence[tuple[str, str]],
    more: Mapping[str, str],
    told: Callable[[float], None] = lambda _: None,
) -> Json:
    """Write plots, page and summary into the folder of a study's tables; the summary is written last.

    Args:
        folder: where the tables are.
        study: what was done.
        summary: what came of it.
        source: what the genotypes are called.
        public: whether they are public.
        said: further facts for the page, as (what, value).
        more: further files in the folder, and what they are.
        told: told the share that is done.

    Returns:
        The summary, as JSON values.
    """
    variants = study.source.variants
    titles = {name_of(analysis): _title(analysis) for analysis in study.analyses}
    found = scans_of({sheet.name: sheet.p for sheet in summary.sheets}, variants, titles)
    drawn = write_pictures(folder, found, variants, study.phenotype.name, lambda share: told(0.9 * share))
    files = [
        *((file.name, _contents(s.name, titles)) for s in summary.sheets for file in s.files),
        *more.items(),
        *((file.name, "a plot of this page") for file in drawn),
        (SUMMARY, "what this page says, for programs"),
    ]
    single = list(_single(study))
    binary = summary.cases is not None and summary.controls is not None
    facts = Facts(
        trait=study.phenotype.name,
        source=source,
        people=people_of(summary),
        groups=(summary.cases or 0, summary.controls or 0) if binary else None,
        variants=summary.variants,
        kept=summary.kept,
        done=[*said, *_done(study, summary), *single],
        top={sheet.name: sheet.top for sheet in summary.sheets},
        files=files,
        public=public,
    )
    write(folder / PAGE, page_of(facts, found, variants).encode())
    told(1.0)
    written: Json = {
        "schema": SCHEMA,
        "trait": study.phenotype.name,
        "source": source,
        "public": public,
        "done": [list(row) for row in facts.done],
        "single": [list(row) for row in single],
        **summary.as_json(),
        "tests": [_test(scan, names_of(found, variants)) for scan in found],
        "files": [PAGE, *(name for name, _ in files)],
    }
    written = {name: _plain(value) for name, value in written.items()}
    write(folder / SUMMARY, json.dumps(written, indent=1, ensure_ascii=False, allow_nan=False).encode())
    return written


def people_of(summary: Summary) -> str:
    """Return who took part, in words."""
    if summary.cases is None or summary.controls is None:
        return f"{summary.people:,} people"
    cases = "1 case" if summary.cases == 1 else f"{summary.cases:,} cases"
    controls = "1 control" if summary.controls == 1 else f"{summary.controls:,} controls"
    return f"{cases} and {controls}"


def _title(analysis: Analysis) -> str:
    match analysis:
        case Contingency():
            return "Tables of cases and controls"
        case Linear():
            return "Linear regression"
        case Logistic(method=method):
            return f"Logistic regression, {_METHODS[method]}"
        case _:
            assert_never(analysis)


def _contents(sheet: str, titles: Mapping[str, str]) -> str:
    """Return what a table is."""
    title = titles.get(sheet, "The variants' quality")
    return f"{title[0].casefold()}{title[1:]}, variant by variant"


def _done(study: Study, summary: Summary) -> list[tuple[str, str]]:
    covariates = study.covariates
    rows = [
        ("people who took part", people_of(summary)),
        ("variants", f"{summary.variants:,}"),
        ("variants tested", f"{summary.kept:,}"),
        *((f"variants left out: {_reason(study, why)}", f"{n:,}") for why, n in summary.dropped.items() if n),
    ]
    if covariates is not None and covariates.names:
        rows.append(("covariates of regressions", ", ".join(covariates.names)))
    return rows


def _single(study: Study) -> Iterator[tuple[str, str]]:
    """Yield what is done with variants of which somebody has one copy."""
    return in_words(
        haploid.copies(study.source.variants, study.source.build),
        tables=any(isinstance(analysis, Contingency) for analysis in study.analyses),
        law=study.quality or study.limits.hardy_weinberg > 0,
    )


def _reason(study: Study, why: str) -> str:
    limits = study.limits
    return {
        "missing": f"more than {100 * limits.missing:g} % of calls missing",
        "rare": f"minor allele below {100 * limits.maf:g} %",
        "hardy_weinberg": f"Hardy–Weinberg p below {limits.hardy_weinberg:g}",
    }[why]


def _test(scan: Scan, names: Mapping[int, str]) -> Json:
    hits = scan.picture.hits
    return {
        "name": scan.name,
        "table": scan.sheet,
        "title": scan.title,
        "tested": scan.quantiles.tested,
        "inflation": scan.quantiles.inflation,
        "genome_wide": scan.beyond(GENOME_WIDE),
        "strongest": [{"variant": names[hit.variant], "p": float(scan.p[hit.variant])} for hit in hits],
    }


def _plain(value: object) -> object:
    """Return a value as JSON has it, which knows no infinity."""
    match value:
        case dict():
            return {name: _plain(held) for name, held in value.items()}
        case list():
            return [_plain(held) for held in value]
        case float() if not math.isfinite(value):
            return "infinite" if value > 0 else None
        case _:
            return value
