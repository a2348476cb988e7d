"""`noisegate genomes import|export|show`: genotype files and stores, on this machine and without a gate.

An import releases nothing: the store it makes is as private as the file. What is registered in the catalog is
copied, verified, and shared through the gate alone.
"""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from noisegate.cli import genomes_show, options, show
from noisegate.errors import BadInput
from noisegate.genotypes.extra import genome_libraries


def add_files(program: Typer) -> None:
    """Add the commands to `noisegate genomes`."""
    program.command(
        "import",
        epilog="Example: noisegate genomes import cohort.bed cohort.zarr --build GRCh37",
    )(import_)
    program.command(epilog="Example: noisegate genomes export cohort.zarr cohort.vcf.gz")(export)
    program.command("show", epilog="Example: noisegate genomes show cohort.zarr")(show_store)


def import_(
    source: Annotated[
        Path,
        Argument(
            help="bed, pgen, VCF or BCF, VCF Zarr, 23andMe or AncestryDNA text, CSV or Parquet.",
            show_default=False,
        ),
    ],
    store: Annotated[Path, Argument(help="The store to make, NAME.zarr.", show_default=False)],
    format_: Annotated[
        str | None, Option("--format", help="What the source is, where its name does not say.")
    ] = None,
    public: Annotated[bool, Option("--public", help="Mark it as public: anybody may see all of it.")] = False,
    build: Annotated[str, Option("--build", help="The genome build of its positions.")] = "",
    manifest: Annotated[
        Path | None,
        Option("--manifest", help="A public list of variants, which some formats need.", metavar="FILE"),
    ] = None,
    person: Annotated[
        str,
        Option(
            "--person", help="Of a table, the column that names people; # numbers the rows.", metavar="COLUMN"
        ),
    ] = "",
    as_json: options.AsJson = False,
) -> None:
    """Read a genotype file into a store: packed, checked, whole or not at all."""
    with genome_libraries(), genomes_show.bar(show.progress(), f"importing {source.name}") as progress:
        from noisegate.genotypes.formats import read_into

        made = read_into(
            source,
            store,
            format=format_,
            public=public,
            build=build,
            manifest=manifest,
            person=person,
            progress=progress,
        )
    _show(made.path, as_json=as_json)


def export(
    store: Annotated[Path, Argument(help="A store.", show_default=False)],
    target: Annotated[Path, Argument(help="The file to make.", show_default=False)],
    format_: Annotated[
        str | None, Option("--format", help="bed, pgen, vcf, vcf-zarr or parquet; else from the name.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Write a store as a file of another format. It hides nothing: it is for whoever holds the store."""
    with genome_libraries(), genomes_show.bar(show.progress(), f"exporting {store.name}") as progress:
        from noisegate.genotypes.formats import WRITTEN, write_from
        from noisegate.genotypes.store import Store

        named = next((word for word, ending in WRITTEN.items() if target.name.endswith(ending)), "")
        if not (format_ or named):
            endings = ", ".join(WRITTEN.values())
            raise BadInput(
                f"{target.name} tells no format", f"give --format, or a name that ends in {endings}"
            )
        write_from(Store.open(store), target, format_ or named, progress)
    if as_json:
        show.as_json({"file": str(target)})
    else:
        show.out().print(str(target), markup=False, soft_wrap=True)


def show_store(
    store: Annotated[Path, Argument(help="A store.", show_default=False)],
    verify: Annotated[bool, Option("--verify", help="Read all of it against its digest.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Show what a store holds: how many people and variants, its build, its digest, and what marks it."""
    _show(store, verify=verify, as_json=as_json)


def _show(path: Path, *, verify: bool = False, as_json: bool) -> None:
    with genome_libraries():
        from noisegate.genotypes.store import Store

        held = Store.open(path)
        if verify:
            held.verify()
        said = {
            "store": str(held.path),
            "people": held.people,
            "variants": len(held.variants),
            "build": held.build,
            "public": held.public,
            "noisy": held.noisy,
            "chunk": held.chunk,
            "chunks": len(held.chunks()),
            "digest": held.digest,
            "provenance": held.provenance,
        }
    show.as_json(said) if as_json else genomes_show.store(show.out(), said)
