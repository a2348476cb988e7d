"""`noisegate genomes associate`: which variants differ between two groups of people, privately."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from noisegate.cli import associations_show, options, show
from noisegate.cli.door import open_door
from noisegate.errors import BadInput


def add_association(program: Typer) -> None:
    """Add the command."""
    program.command(
        epilog="Example: noisegate genomes associate panel.snps "
        "--cases \"clinic.diagnoses WHERE condition = 'migraine'\" --variant rs4798812 --epsilon 0.5"
    )(associate)


def associate(
    genotypes: Annotated[
        str, Argument(help="Whose genotypes: dataset.table of the catalog.", show_default=False)
    ],
    cases: Annotated[
        str,
        Option(
            "--cases",
            help="Who is a case: what follows FROM in SQL, or a SELECT count(*).",
            metavar="SQL",
            show_default=False,
        ),
    ],
    among: Annotated[
        str | None, Option("--among", help="Who takes part, likewise; everybody without it.", metavar="SQL")
    ] = None,
    variant: Annotated[
        list[str] | None, Option("--variant", help="A variant by name; repeat for more.", metavar="ID")
    ] = None,
    variants_file: Annotated[
        Path | None, Option("--variants-file", help="Names of variants, one a line.", metavar="FILE")
    ] = None,
    top: Annotated[
        int | None, Option("--top", help="Find so many variants, those that differ most.", metavar="K")
    ] = None,
    reference: Annotated[
        str | None,
        Option(
            "--reference", help="A public panel that fills missing calls, dataset.table.", metavar="PANEL"
        ),
    ] = None,
    manifest: Annotated[
        str | None,
        Option("--manifest", help="A public panel whose variants are meant.", metavar="PANEL"),
    ] = None,
    epsilon: Annotated[
        str | None, Option("--epsilon", "-e", help="ε of the whole answer, at the account's δ.")
    ] = None,
    explain: Annotated[
        bool, Option("--explain", help="Say what it would do and cost; spend nothing.")
    ] = False,
    analyst: Annotated[str, Option("--as", help="Whose account pays, in-process.")] = "local",
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare cases with controls at variants: noisy tables, odds ratios and p-values that know the noise."""
    named = [*(variant or ()), *(() if variants_file is None else names_in(variants_file))]
    if bool(named) == (top is not None):
        raise BadInput(
            "name variants, or say how many are to be found", "give --variant or --variants-file, or --top"
        )
    with open_door(url, token, state=state, catalog=catalog, analyst=analyst) as door:
        if explain:
            priced = door.explain_association(
                genotypes,
                cases=cases,
                among=among,
                variants=named or None,
                top=top,
                reference=reference,
                manifest=manifest,
                epsilon=epsilon,
            )
            show.as_json(priced) if as_json else associations_show.explanation(show.out(), priced)
            return
        answer = door.associate(
            genotypes,
            cases=cases,
            among=among,
            variants=named or None,
            top=top,
            reference=reference,
            manifest=manifest,
            epsilon=epsilon,
        )
    show.as_json(dict(answer.json)) if as_json else associations_show.association(show.out(), answer)


def names_in(file: Path) -> list[str]:
    """Return the names in a file, one a line; empty lines are left out.

    Raises:
        BadInput: it cannot be read, or names nothing.
    """
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{file} cannot be read as text", "write a variant's name on each line") from None
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise BadInput(f"{file} names no variant", "write a variant's name on each line")
    return found
