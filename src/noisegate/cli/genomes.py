"""`noisegate genomes`: sharing genotypes through the gate, comparing methods, attacking releases."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option, Typer, confirm

from noisegate.cli import genomes_show, options, show
from noisegate.cli.associate import add_association
from noisegate.cli.door import Door, Json, open_door
from noisegate.cli.genome_files import add_files
from noisegate.cli.genome_inputs import cases_in, families_in, frequencies_in
from noisegate.cli.gwas import add_gwas
from noisegate.cli.kinship import add_kinship
from noisegate.cli.releases import program as releases_program
from noisegate.cli.verify import add_verification
from noisegate.errors import BadInput, Conflict, EngineFailed, NoisegateError

program = Typer(help="Genotypes that can be shared: noisy, synthetic, or counted.", no_args_is_help=True)
program.add_typer(releases_program, name="releases")
add_files(program)
add_association(program)
add_kinship(program)
add_verification(program)
add_gwas(program)

Genotypes = Annotated[
    str, Argument(help="Whose genotypes: dataset.table of the catalog.", show_default=False)
]
Epsilon = Annotated[str, Option("--epsilon", "-e", help="ε of one person, all variants together.")]
Delta = Annotated[str | None, Option("--delta", help="δ of the release; 0, pure privacy, without it.")]
Reference = Annotated[
    str | None, Option("--reference", help="A public panel to lean on, dataset.table.", metavar="PANEL")
]
Manifest = Annotated[
    str | None, Option("--manifest", help="A public panel whose variants are meant.", metavar="PANEL")
]
Explain = Annotated[bool, Option("--explain", help="Say what it would do and cost; spend nothing.")]
Yes = Annotated[bool, Option("--yes", help="Go on after a warning, unasked.")]
Resume = Annotated[bool, Option("--resume", help="Go on with one that was begun; begin none.")]


@program.command(
    epilog="Example: noisegate genomes share panel.snps --method response --epsilon 100 "
    "--reference panel.public --restore public --format bed --format vcf"
)
def share(
    genotypes: Annotated[
        str,
        Argument(
            help="Whose genotypes: dataset.table of the catalog; with --as-published a public store.",
            show_default=False,
        ),
    ],
    epsilon: Epsilon,
    method: Annotated[str, Option("--method", "-m", help="xor, response, tables or synthetic.")] = "xor",
    delta: Delta = None,
    reference: Reference = None,
    manifest: Manifest = None,
    coupling: Annotated[
        str | None,
        Option("--coupling", help="For xor: how flips of neighbouring bits hang together, -0.5 to 0.5."),
    ] = None,
    families: Annotated[
        Path | None,
        Option(
            "--families", help="For xor: declared pedigrees, one a line, names of people.", metavar="FILE"
        ),
    ] = None,
    restore: Annotated[
        str, Option("--restore", help="Move genotypes to frequencies: none, public, declared or released.")
    ] = "none",
    target: Annotated[
        str | None,
        Option("--target", help="For --restore: the public panel, or the release of frequencies."),
    ] = None,
    published_table: Annotated[
        Path | None,
        Option("--published-table", help="For --restore declared: CSV of variant,frequency.", metavar="FILE"),
    ] = None,
    statement: Annotated[
        str | None, Option("--statement", help="Where that table was published; goes on the receipt.")
    ] = None,
    cases: Annotated[
        Path | None,
        Option("--cases", help="For tables: the names of the cases, one a line.", metavar="FILE"),
    ] = None,
    format_: Annotated[
        list[str] | None,
        Option("--format", help="bed, pgen, vcf, vcf-zarr or parquet; repeat for more. Default bed."),
    ] = None,
    as_published: Annotated[
        bool,
        Option(
            "--as-published", help="The published recipe, which guarantees less than it says; public stores."
        ),
    ] = False,
    out: Annotated[
        Path | None, Option("--out", help="For --as-published: the folder to make.", metavar="DIR")
    ] = None,
    explain: Explain = False,
    resume: Resume = False,
    yes: Yes = False,
    scheduler: options.Scheduler = None,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Share genotypes: charged first, then made. The same command again goes on with it, or finds it."""
    if as_published:
        _share_as_published(genotypes, epsilon, reference, target, restore, out, as_json=as_json)
        return
    wanted = {
        "method": method,
        "epsilon": epsilon,
        "delta": delta,
        "reference": reference,
        "manifest": manifest,
        "coupling": coupling,
        "families": None if families is None else families_in(families),
        "restore": restore,
        "target": target,
        "frequencies": None if published_table is None else frequencies_in(published_table),
        "statement": statement,
        "cases": None if cases is None else cases_in(cases),
        "formats": format_ or None,
    }
    with open_door(url, token, state=state, catalog=catalog, scheduler=scheduler) as door:
        _share(door, genotypes, wanted, explain=explain, resume=resume, yes=yes, as_json=as_json)


@program.command(
    epilog="Example: noisegate genomes frequencies panel.snps --epsilon 2 --delta 1e-7 --reference panel.all"
)
def frequencies(
    genotypes: Genotypes,
    epsilon: Epsilon,
    delta: Delta = None,
    reference: Reference = None,
    manifest: Manifest = None,
    explain: Explain = False,
    resume: Resume = False,
    yes: Yes = False,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Release allele frequencies with noise, drawn towards a public panel where that is nearer the truth."""
    wanted = {
        "method": "frequencies",
        "epsilon": epsilon,
        "delta": delta,
        "reference": reference,
        "manifest": manifest,
    }
    with open_door(url, token, state=state, catalog=catalog) as door:
        _share(door, genotypes, wanted, explain=explain, resume=resume, yes=yes, as_json=as_json)


@program.command(
    epilog="Example: noisegate genomes advise --reference panel.public --people 2504 --variants 127 -e 5"
)
def advise(
    reference: Annotated[
        str,
        Option(
            "--reference",
            help="A public panel the people resemble: dataset.table, or a public store's folder.",
            metavar="PANEL",
        ),
    ],
    people: Annotated[int, Option("--people", min=1, help="How many people there are.")],
    variants: Annotated[int, Option("--variants", min=1, help="How many variants are to be shared.")],
    epsilon: Epsilon,
    delta: Delta = None,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Compare all methods on public data before any budget is spent, and recommend one, or none."""
    if Path(reference).is_dir():
        from noisegate.cli.genome_tools import advise_on

        with genomes_show.bar(show.progress(), "comparing methods") as progress:
            found = advise_on(Path(reference), people, variants, epsilon, delta or "0", progress)
    else:
        with open_door(url, token, state=state, catalog=catalog) as door:
            found = door.advise_genomes(
                reference, people=people, variants=variants, epsilon=epsilon, delta=delta or 0
            )
    show.as_json(found) if as_json else genomes_show.advice(show.out(), found)


@program.command(
    epilog="Example: noisegate genomes attack panel-17 --members members.zarr --controls held-out.zarr "
    "--reference public.zarr"
)
def attack(
    release: Annotated[str, Argument(help="The release, or a folder of a noisy store.", show_default=False)],
    members: Annotated[
        Path, Option("--members", help="A store of people who are in the release.", metavar="STORE")
    ],
    controls: Annotated[
        Path, Option("--controls", help="A store of people like them who are not in it.", metavar="STORE")
    ],
    reference: Annotated[
        Path, Option("--reference", help="A store of a panel that holds neither.", metavar="STORE")
    ],
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Attack a release as an outsider would, and say how well it goes. Exact: for the custodian alone."""
    from noisegate.cli.genome_tools import attacked

    config = options.settings(state=state, catalog=catalog)
    with genomes_show.bar(show.progress(), "attacking"):
        found = attacked(config, release, members, controls, reference)
    show.as_json(found) if as_json else genomes_show.outcomes(show.out(), found)


def _share(
    door: Door,
    genotypes: str,
    wanted: Mapping[str, Any],
    *,
    explain: bool,
    resume: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Price a release, warn, charge for it, follow it, and show what came of it."""
    priced = door.explain_genomes(genotypes, **wanted)
    if explain:
        show.as_json(priced) if as_json else genomes_show.explanation(show.out(), priced)
        return
    _warn(priced, yes=yes, as_json=as_json)
    begun = door.share_genomes(genotypes, **wanted, accept=True, anew=not resume)
    with genomes_show.chunks(show.progress()) as on_progress:
        ended = door.wait_for_job(begun["job"], on_progress)
    if ended.get("stopped"):
        raise _stopped(ended["stopped"])
    if ended["state"] == "failed":
        raise EngineFailed
    if ended["state"] != "finished":
        raise Conflict(f"job {begun['job']} is {ended['state']}", "give the same command again to go on")
    found = door.release(begun["release"])
    show.as_json(found) if as_json else genomes_show.release(show.out(), found)


def _warn(priced: Json, *, yes: bool, as_json: bool) -> None:
    told = show.progress()
    for warning in priced["warnings"]:
        told.print(f"[bold]warning:[/bold] {warning}")
    if priced["warnings"] and not yes and (as_json or not confirm("share it all the same?", err=True)):
        raise BadInput("the warnings were not accepted", "give --yes to go on all the same")


def _stopped(said: Json) -> NoisegateError:
    """Return why a job does not go on as the error that it is."""
    from noisegate.client.failures import failure

    return failure({"error": said})


def _share_as_published(
    store: str,
    epsilon: str,
    reference: str | None,
    target: str | None,
    restore: str,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Make a copy by the published recipe, of a public store alone: no gate, no charge, labelled."""
    from noisegate.cli.genome_tools import share_as_published
    from noisegate.cli.local_genomes import exact

    if reference is None or out is None:
        raise BadInput(
            "--as-published needs --reference and --out", "both are folders: a public store, a new one"
        )
    if target is not None or restore == "none":
        raise BadInput("--as-published restores to frequencies", "--restore private, as published, or public")
    with genomes_show.bar(show.progress(), "sharing as published"):
        found = share_as_published(Path(store), Path(reference), exact("epsilon", epsilon), restore, out)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        genomes_show.published(show.out(), found)
