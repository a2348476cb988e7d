"""`noisegate genomes kinship|identify`: who is kin to whom, and whether somebody is in it; for custodians.

Both read stores on this machine and release nothing: what they print is as private as the stores.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from rich.markup import escape
from typer import Argument, Option, Typer

from noisegate.cli import genomes_show, options, show
from noisegate.errors import BadInput
from noisegate.genotypes.extra import genome_libraries

SHOWN = 20  # pairs that are printed
Json = Mapping[str, Any]


def add_kinship(program: Typer) -> None:
    """Add the commands to `noisegate genomes`."""
    program.command(epilog="Example: noisegate genomes kinship cohort.zarr --out pairs.tsv")(kinship)
    program.command(
        epilog="Example: noisegate genomes identify consented.zarr --in cohort-1 --controls public.zarr"
    )(identify)


def kinship(
    store: Annotated[Path, Argument(help="A store.", show_default=False)],
    degree: Annotated[
        int, Option("--degree", min=0, max=3, help="The furthest degree to list; 0 is duplicates alone.")
    ] = 3,
    all_: Annotated[bool, Option("--all", help="Write every pair to --out, strangers too.")] = False,
    out: Annotated[
        Path | None, Option("--out", help="A table of the pairs to write, as plink2 has it.", metavar="FILE")
    ] = None,
    unrelated: Annotated[
        Path | None,
        Option("--unrelated", help="Write the names of people of whom no two are related.", metavar="FILE"),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Find duplicates and relatives in a store. Exact: for its custodian alone."""
    if all_ and out is None:
        raise BadInput("--all writes every pair, so it needs a file", "give --out FILE")
    with genome_libraries(), genomes_show.bar(show.progress(), "comparing people") as progress:
        from noisegate.genomics.kin import kin_json, kinship_of_store, write_pairs
        from noisegate.genotypes.store import Store
        from noisegate.leakage.relatives import Degree

        held, furthest = Store.open(store), Degree(degree)
        found = kinship_of_store(held, least=float("-inf") if all_ else furthest.least, progress=progress)
        if out is not None:
            with writable(out):
                write_pairs(out, found, held.samples)
        if unrelated is not None:
            kept = found.unrelated(furthest)
            names = [name for name, keep in zip(held.samples, kept.tolist(), strict=True) if keep]
            with writable(unrelated):
                unrelated.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        said = kin_json(found, furthest, held.samples)
    files = [str(file) for file in (out, unrelated) if file is not None]
    show.as_json({**said, "files": files}) if as_json else _show_kinship(show.out(), said, files)


def identify(
    probe: Annotated[
        Path, Argument(help="A store of whoever is looked for, with their consent.", show_default=False)
    ],
    within: Annotated[
        str, Option("--in", help="Where: a store, a folder of a release, or the id of one.", metavar="WHERE")
    ],
    controls: Annotated[
        Path,
        Option("--controls", help="A store of people like the probe who are not in it.", metavar="STORE"),
    ],
    members: Annotated[
        Path | None,
        Option(
            "--members",
            help="A store of people who are in it, to say how many are missed. Known of a release by its id.",
            metavar="STORE",
        ),
    ] = None,
    level: Annotated[
        float, Option("--level", help="Share of outsiders who may be named wrongly, above 0 and below 1.")
    ] = 0.01,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Say whether a person is in a store or a release, with its error rates. For the custodian alone."""
    from noisegate.cli.genome_tools import identified

    if not 0 < level < 1:
        raise BadInput("a level is a share above 0 and below 1", "0.01 names one outsider of a hundred")
    config = options.settings(state=state, catalog=catalog)
    with genomes_show.bar(show.progress(), "looking") as progress:
        said = identified(config, probe, within, controls, members, level, progress)
    show.as_json(said) if as_json else _show_identified(show.out(), said)


@contextmanager
def writable(file: Path) -> Iterator[None]:
    """Tell of a file that cannot be written as of bad input.

    Raises:
        BadInput: it cannot.
    """
    try:
        yield
    except OSError as wrong:
        raise BadInput(
            f"{file} cannot be written: {wrong.strerror}", "name a file in a folder of yours"
        ) from None


def _show_kinship(console: Console, said: Json, files: Sequence[str]) -> None:
    console.print(escape(said["note"]))
    facts = [
        ["people", f"{said['people']:,}, {said['pairs']:,} pairs"],
        ["variants", f"{said['variants']:,} of autosomes"],
        *([row["degree"], f"{row['pairs']:,} pairs{_chance(row)}"] for row in said["degrees"]),
        ["families", f"{said['families']:,}, with {said['in_families']:,} people"],
        ["no two related", f"{said['unrelated']:,} people"],
    ]
    if said["without_heterozygote"]:
        blank = said["without_heterozygote"]
        names = ", ".join(blank[:5]) + (", …" if blank[5:] else "")
        facts.append(["without any heterozygote, so not compared", f"{len(blank):,} people: {names}"])
    console.print(show.table(["what", "how many"], facts))
    pairs = said["related"][:SHOWN]
    if pairs:
        rows = [
            [p["first"], p["second"], f"{p['kinship']:.4f}", p["degree"].partition(":")[0]] for p in pairs
        ]
        console.print()
        console.print(show.table(["person", "and", "kinship", "relation"], rows, numbers=(2,)))
    if len(said["related"]) > SHOWN:
        console.print(f"and {len(said['related']) - SHOWN:,} more pairs; --out FILE writes all")
    for file in files:
        console.print(escape(file), soft_wrap=True)


def _chance(row: Json) -> str:
    """Return how many pairs of strangers would look like this, where that is not next to none."""
    return "" if row["by_chance"] < 0.1 else f", and at least {row['by_chance']:,.1f} would be by chance"


def _show_identified(console: Console, said: Json) -> None:
    console.print(escape(said["note"]))
    rows = [
        [
            p["person"],
            p["presence"],
            str(p["nearest"]),
            "–" if p["kinship"] is None else f"{p['kinship']:.3f}",
            f"{p['distance']:.4f}",
            f"{p['p']:.2g}",
            (p["relation"] or "").partition(":")[0],
        ]
        for p in said["people"]
    ]
    heads = ["person", "verdict", "nearest row", "kinship", "alleles that differ", "p", "relation"]
    console.print(show.table(heads, rows, numbers=(3, 4, 5)))
    console.print(escape(said["rates"]))
