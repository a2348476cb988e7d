"""`noisegate genomes verify`: published findings against a release, or against a private answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer import Argument, Option, Typer

from noisegate.cli import genomes_show, options, show
from noisegate.cli.door import open_door
from noisegate.cli.kinship import writable
from noisegate.errors import BadInput
from noisegate.genomics.check import DRAWS, LEVEL, THRESHOLD, check_levels
from noisegate.genotypes.extra import genome_libraries

REFUSED = 3  # the exit status of a verdict that is not the one required
VERDICTS = ("consistent", "not consistent", "cannot tell")
Json = Mapping[str, Any]


def add_verification(program: Typer) -> None:
    """Add the command to `noisegate genomes`."""
    program.command(
        epilog="Example: noisegate genomes verify findings.csv --release cohort-1 --reference cohort.panel"
    )(verify)


def verify(
    findings: Annotated[
        Path,
        Argument(
            help="The reported findings: a table with headings, plink's, or Parquet.", show_default=False
        ),
    ],
    reference: Annotated[
        str,
        Option(
            "--reference",
            help="The controls, a public panel: dataset.table; a store with a folder as --release.",
            metavar="PANEL",
            show_default=False,
        ),
    ],
    release: Annotated[
        str | None,
        Option("--release", help="Hold them against this release: its id, or a folder --as-published."),
    ] = None,
    genotypes: Annotated[
        str | None,
        Option(
            "--genotypes", help="Or against a private answer about these: dataset.table.", metavar="TABLE"
        ),
    ] = None,
    cases: Annotated[
        str | None, Option("--cases", help="For that, who is a case, as for `associate`.", metavar="SQL")
    ] = None,
    among: Annotated[
        str | None, Option("--among", help="For that, who takes part; everybody without it.", metavar="SQL")
    ] = None,
    manifest: Annotated[
        str | None, Option("--manifest", help="For that, a public panel whose variants are meant.")
    ] = None,
    epsilon: Annotated[str | None, Option("--epsilon", "-e", help="For that, ε of the whole answer.")] = None,
    test: Annotated[
        str, Option("--test", help="The test that the findings rest on: chi2, odds, trend or allelic.")
    ] = "chi2",
    threshold: Annotated[
        float, Option("--threshold", help="A finding is found again where p in the release is below.")
    ] = THRESHOLD,
    alpha: Annotated[
        float, Option("--alpha", help="Share of honest tables that may be found not consistent.")
    ] = LEVEL,
    beta: Annotated[
        float, Option("--beta", help="Share of made-up tables that may pass; above it, it cannot tell.")
    ] = LEVEL,
    draws: Annotated[int, Option("--draws", help="How many releases of each kind are simulated.")] = DRAWS,
    page: Annotated[
        Path | None, Option("--page", help="A page of the verdict to write.", metavar="FILE.html")
    ] = None,
    require: Annotated[
        str | None,
        Option("--require", help="Exit with status 3 unless the verdict is this one.", metavar="VERDICT"),
    ] = None,
    analyst: Annotated[
        str, Option("--as", help="Whose account pays a private answer, in-process.")
    ] = "local",
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Say whether reported findings are consistent with a release, not consistent, or cannot be told."""
    if require is not None and require not in VERDICTS:
        raise BadInput(f"{require!r} is no verdict", f"a verdict is {', '.join(VERDICTS)}")
    check_levels(test, threshold, alpha, beta, draws)
    private = {
        "genotypes": genotypes,
        "cases": cases,
        "among": among,
        "manifest": manifest,
        "epsilon": epsilon,
    }
    if (release is None) == (genotypes is None or cases is None):
        raise BadInput(
            "findings are held against a release, or against a private answer",
            "give --release, or --genotypes and --cases",
        )
    settings = {"test": test, "threshold": threshold, "alpha": alpha, "beta": beta, "draws": draws}
    if release is not None and Path(release).is_dir():
        from noisegate.cli.genome_tools import verified

        with genomes_show.bar(show.progress(), "simulating releases") as progress:
            said = verified(findings, Path(release), Path(reference), progress, **settings)
    else:
        with genome_libraries():
            from noisegate.genomics.verifying.findings import rows_of

            rows = rows_of(findings)
        with (
            open_door(url, token, state=state, catalog=catalog, analyst=analyst) as door,
            genomes_show.bar(show.progress(), "simulating releases"),
        ):
            said = door.verify_findings(rows, reference=reference, release=release, **private, **settings)
    if page is not None:
        _write(page, said, findings.name)
    show.as_json(said) if as_json else _show(show.out(), said, page)
    if require is not None and said["verdict"] != require:
        raise typer.Exit(REFUSED)


def _write(file: Path, said: Json, title: str) -> None:
    with genome_libraries():
        from noisegate.genomics.report.verdict import verdict_page

        with writable(file):
            file.write_text(verdict_page(said, title), encoding="utf-8")


def _show(console: Console, said: Json, page: Path | None) -> None:
    used, errors = said["findings"]["used"], said["errors"]
    console.print(f"[bold]{said['verdict']}[/bold]")
    console.print(escape(said["reason"]))
    rows = [
        ["found again", f"{said['retained']:,} of {used:,}", _share(said["retention"])],
        ["expected if honest", "", _share(said["expected"])],
        ["expected if made up", "", _share(said["falsified"])],
        ["other variants", "", _share(said["background"])],
        ["fewest that pass", f"{said['critical']:,} of {used:,}", ""],
        ["honest, yet refused", "", _share(errors["honest_refused"])],
        ["made up, yet passes", "", _share(errors["falsified_passes"])],
    ]
    head = f"p < {said['threshold']:.4g} in the release"
    console.print(show.table([head, "findings", "share"], rows, numbers=(1, 2)))
    smallest = said["smallest_share"]
    if smallest is not None:
        console.print(f"from {smallest:.0%} on, made-up findings are noticed with {1 - said['beta']:.0%}")
    for note in said["notes"]:
        console.print(escape(f"- {note}"))
    if page is not None:
        console.print(escape(str(page)), soft_wrap=True)


def _share(found: Json) -> str:
    return f"{found['value']:.1%} ({found['low']:.1%} to {found['high']:.1%})"
