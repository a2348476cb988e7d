"""The genotypes a catalog names: a packed store of each table, and its rows for SQL.

A store is made beside the snapshot of a version, and is as immutable. What reads genotypes is imported
when a table of them is registered.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noisegate.catalog.genotypes import is_vcf_text
from noisegate.catalog.model import Genotypes, Table
from noisegate.engines.locked import locked
from noisegate.engines.sources import no_file
from noisegate.errors import BadInput, CatalogError
from noisegate.genotypes import formats, vcf
from noisegate.genotypes.durable import sync
from noisegate.genotypes.extra import genome_libraries
from noisegate.genotypes.variants import Variants

if TYPE_CHECKING:
    from noisegate.genotypes.store import Store

ReadGenotypes = Callable[[Path], vcf.Dosages]
Told = Callable[[float], None]
STORES = "noisegate.stores"  # of a snapshot: the digest of each table's store


@dataclass(frozen=True, slots=True)
class Imported:
    """One table of genotypes: its rows for SQL, and its store, None where none was asked for."""

    people: pa.Table
    store: "Store | None"


def store_name(dataset: str, version: int, table: str) -> str:
    """Return the name of the folder of a registered store."""
    return f"{dataset}-{version}.{table}.zarr"


def imported(
    place: str, table: Table, path: Path, target: Path, read_vcf: ReadGenotypes, told: Told
) -> Imported:
    """Read a table of genotypes and write its store.

    Args:
        place: names the table in errors.
        table: what is declared.
        path: its file or folder.
        target: the store to make.
        read_vcf: reads a VCF whose variants are columns.
        told: told the share that is done.

    Raises:
        CatalogError: no such file, or not as declared. Nothing is left behind.
        SetupError: a library is missing.
    """
    if not path.exists():
        raise no_file(place, table)
    how = table.genotypes
    try:
        if how is None or (how.in_sql and is_vcf_text(path, how)):
            found = read_vcf(path)
            names = [variant.name for variant in found.variants]
            store = None
            if how is not None and found.variants:
                store = _store_of(path, found, target, how, told)
            return Imported(_people(place, table, found.samples, names, found.calls), store)
        store = formats.read_into(
            path,
            target,
            format=how.format or None,
            public=how.public,
            build=how.build,
            manifest=Path(how.manifest) if how.manifest else None,
            person=how.person,
            progress=told,
        )
    except BadInput as error:
        raise CatalogError(f"{place}: {error.message}", error.hint) from None
    return Imported(_people_of_store(place, table, store), store)


def genotype_store(directory: Path, dataset: str, version: int, table: str) -> "Store":
    """Return the store of a table of genotypes, as it was registered.

    Args:
        directory: where snapshots are kept.
        dataset: its name in the catalog.
        version: a registered one.
        table: its name in the catalog.

    Raises:
        CatalogError: the version has no such store, or the store is not the one that was registered.
        SetupError: a library that reads genotypes is missing.
    """
    with genome_libraries():
        from noisegate.genotypes.store import Store
    snapshot = directory / f"{dataset}-{version}.duckdb"
    try:
        with closing(locked({"threads": "1"}, {"snapshot": snapshot})) as connection:
            found = connection.execute(
                'SELECT digest FROM snapshot.noisegate.stores WHERE "table" = ?', [table]
            ).fetchone()
    except duckdb.Error:
        found = None  # said below, without the engine's text
    if found is None:
        raise CatalogError(
            f"version {version} of {dataset} has no genotype store of {table}",
            f"run `noisegate catalog register {dataset}`, which makes one of each table of genotypes",
        )
    store = Store.open(directory / store_name(dataset, version, table))
    if store.digest != found[0]:
        raise CatalogError(
            f"{store.path.name} is not the store that version {version} of {dataset} was registered with",
            "put the registered folder back, or register the dataset again",
        )
    return store


@contextmanager
def published(directory: Path, stores: Sequence[Path]) -> Iterator[None]:
    """Give finished stores their names beside the snapshot's; they go again if what comes after fails."""
    placed: list[Path] = []
    try:
        for store in stores:
            for file in store.rglob("*"):
                if file.is_file():
                    file.chmod(0o400)
            target = directory / store.name
            if target.exists():
                raise CatalogError(
                    f"{target.name} was registered at the same time by another process",
                    "register the next version",
                )
            store.chmod(0o700)
            store.rename(target)
            placed.append(target)
        sync(directory)
        yield
    except BaseException:
        for store in placed:
            shutil.rmtree(store, ignore_errors=True)
        raise


def _store_of(path: Path, found: vcf.Dosages, target: Path, how: Genotypes, told: Told) -> "Store":
    """Return a store of the dosages that SQL is answered from."""
    with genome_libraries():
        from noisegate.genotypes.importing import filling
    from noisegate.genotypes.reading import agreed_build
    from noisegate.genotypes.vcf_sites import build_of

    listed = found.variants
    with filling(
        target,
        samples=found.samples,
        variants=Variants.of(
            [v.chrom for v in listed],
            [v.pos for v in listed],
            [v.id for v in listed],
            [v.ref for v in listed],
            [v.alt for v in listed],
        ),
        build=agreed_build(path, how.build, build_of(path)),
        public=how.public,
        provenance={"format": "vcf", "source": path.name},
        told=told,
    ) as filled:
        filled.add(found.calls)
        return filled.finish()


def _people_of_store(place: str, table: Table, store: "Store") -> pa.Table:
    """Return the rows of a store: a column a variant where the catalog has those, else its people alone."""
    from noisegate.genotypes.packed import unpack

    if len(table.columns) == 1:
        return _people(place, table, store.samples, [], np.empty((0, store.people), np.int8))
    calls = unpack(store.block(0, len(store.variants)))
    return _people(place, table, store.samples, store.variants.names().tolist(), calls)


def _people(
    place: str, table: Table, samples: tuple[str, ...], names: list[str], calls: NDArray[np.int8]
) -> pa.Table:
    """Return genotypes as a table: a row a person, a column a variant, NULL for a missing call."""
    if table.unit is None:
        raise CatalogError(f"{place}: genotypes are of people", "genotype tables have a unit")
    if table.unit in names:
        raise CatalogError(
            f"{place}: a variant is named {table.unit}, as the unit is", "give the variant another id"
        )
    columns = {table.unit: pa.array(samples, pa.string())}
    for name, row in zip(names, calls, strict=True):
        columns[name] = pa.array(np.ascontiguousarray(row), pa.int8(), mask=row == vcf.MISSING)
    return pa.table(columns)
