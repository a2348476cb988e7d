"""Registration: the rows a catalog names become a snapshot, if they are what it declares.

Plans rely on what is verified here (one row a unit, one value a unit, types, domains, no NULLs, NaN or
infinities), so any breach refuses the whole registration, and says which column and how to mend it. No
message holds a value: the custodian may paste it into a ticket.
"""
# ruff: noqa: S608  (the SQL is made of quoted names and constants)

import contextlib
import hashlib
import hmac
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from noisegate.catalog.model import Dataset, Table, TableKind
from noisegate.engines.locked import quiet
from noisegate.engines.quote import TYPES, identifier
from noisegate.engines.snapshot import (
    FORMAT,
    METADATA,
    Snapshot,
    declaration,
    declared,
    open_snapshot,
    stored_columns,
)
from noisegate.engines.sources import opened
from noisegate.engines.stores import STORES, ReadGenotypes, genotype_store, imported, published, store_name
from noisegate.engines.verify import after_loading, conversions, may_be_missing, while_loading
from noisegate.errors import CatalogError
from noisegate.genotypes import formats, vcf
from noisegate.privacy.expressions import Type

if TYPE_CHECKING:
    from noisegate.genotypes.store import Store

__all__ = ["Progress", "Snapshot", "declaration", "genotype_store", "open_snapshot", "register", "store_name"]

Progress = Callable[[str, float], None]


def register(
    dataset: Dataset,
    base: Path,
    directory: Path,
    version: int,
    progress: Progress | None = None,
    *,
    key: bytes | None = None,
    genotypes: ReadGenotypes = vcf.read,
    memory_limit: str = "2GB",
) -> Snapshot:
    """Verify a dataset's files and write them as `<directory>/<dataset>-<version>.duckdb`.

    Each table of genotypes becomes a store beside it, `<dataset>-<version>.<table>.zarr`. File and stores
    appear whole, the file last, or not at all; they are durable when this returns, and never overwritten.

    Args:
        dataset: what is declared; relative sources are taken from `base`.
        base: the directory of the catalog.
        directory: where snapshots are kept; made if missing.
        version: a number not yet registered, >= 1.
        progress: told the table that is done and the share of tables done.
        key: makes a digest of the source files and stores (HMAC-SHA256), for the custodian.
        genotypes: reads a VCF whose variants are columns.
        memory_limit: what sorting and verifying may hold in memory; the rest is spilled under `directory`.

    Raises:
        CatalogError: a file or a value is not as declared, or the version exists. Nothing is left behind.
        SetupError: a library that reads genotypes is missing.
    """
    if version < 1:
        raise CatalogError(f"version {version} is below 1", "versions are numbered 1, 2, 3, …")
    _check_units(dataset)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    target = directory / f"{dataset.name}-{version}.duckdb"
    if target.exists():
        raise CatalogError(
            f"version {version} of {dataset.name} is registered already",
            "a version never changes: register the new data as the next version",
        )
    keyed = None if key is None else _digest(dataset, base, key)
    stores: dict[str, Store] = {}
    with _working_directory(directory) as work:
        made = work / "snapshot.duckdb"
        with contextlib.closing(_builder(made, work, memory_limit)) as connection:
            for done, table in enumerate(dataset.tables):
                folder = work / store_name(dataset.name, version, table.name)
                told = _part(progress, table.name, done, len(dataset.tables))
                store = _load(connection, dataset, table, base, genotypes, folder, told)
                if store is not None:
                    stores[table.name] = store
                if progress is not None:
                    progress(table.name, (done + 1) / len(dataset.tables))
            for name, store in stores.items():
                if keyed is not None:
                    keyed.update(f"store:{name}:{store.digest}:".encode())
            digest = "" if keyed is None else keyed.hexdigest()
            connection.execute("CREATE SCHEMA noisegate")
            connection.execute(
                f"CREATE TABLE {METADATA} (format INTEGER, dataset VARCHAR, version BIGINT,"
                " declaration VARCHAR, declared VARCHAR, digest VARCHAR)"
            )
            connection.execute(
                f"INSERT INTO {METADATA} VALUES (?, ?, ?, ?, ?, ?)",
                [FORMAT, dataset.name, version, declaration(dataset), declared(dataset), digest],
            )
            connection.execute(f'CREATE TABLE {STORES} ("table" VARCHAR, digest VARCHAR)')
            for name, store in stores.items():
                connection.execute(f"INSERT INTO {STORES} VALUES (?, ?)", [name, store.digest])
            connection.execute("CHECKPOINT")
        with published(directory, [store.path for store in stores.values()]):
            _publish(made, target)
    return Snapshot(dataset.name, version, target, declaration(dataset), declared(dataset), digest)


def _part(progress: Progress | None, table: str, done: int, tables: int) -> Callable[[float], None]:
    """Return what to tell of one table's genotypes; that it is done is told when its rows are, too."""
    if progress is None:
        return lambda _: None
    return lambda share: progress(table, (done + min(share, 1.0) * 0.9) / tables)


def _check_units(dataset: Dataset) -> None:
    """Refuse units that could not be compared without casts."""
    for table in dataset.tables:
        if table.unit is None:
            continue
        column = table.column(table.unit)
        if column is None or column.name != table.unit:
            raise CatalogError(
                f"{dataset.name}.{table.name} has no column {table.unit!r} to name the person",
                "declare it, or set unit to the column that does",
            )
        if column.type is not dataset.unit_type or column.type not in (Type.INT, Type.STR):
            raise CatalogError(
                f"{dataset.name}.{table.name}.{column.name} is {column.type.value}, but people are named by"
                f" {dataset.unit_type.value} in {dataset.name}",
                "the unit has one type in all tables, int or str",
            )


def _load(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    table: Table,
    base: Path,
    genotypes: ReadGenotypes,
    folder: Path,
    told: Callable[[float], None],
) -> "Store | None":
    """Write one table, verified, and return the store of its genotypes, made at `folder`, if it has any."""
    place = f"{dataset.name}.{table.name}"
    columns = stored_columns(table)
    path = base / table.source
    made = None
    if table.kind is TableKind.GENOTYPES:
        made = imported(place, table, path, folder, genotypes, told)
    with opened(connection, place, table, path, None if made is None else made.people) as source:
        converted = conversions(place, table, source)
        while_loading(connection, place, table, source, converted)
        declared = ", ".join(
            f"{identifier(c.name)} {TYPES[c.type]}{'' if may_be_missing(table, c) else ' NOT NULL'}"
            for c in columns
        )
        name = f"main.{identifier(table.name)}"
        connection.execute(f"CREATE TABLE {name} ({declared})")
        values = ", ".join(converted[c.name].value for c in columns)
        # A unit's rows lie together, so that the engine finds them together.
        order = "" if table.unit is None else f" ORDER BY {converted[table.unit].value}"
        connection.execute(f"INSERT INTO {name} SELECT {values} FROM {source.relation} AS s{order}")
    after_loading(connection, place, table, name)
    return None if made is None else made.store


@contextlib.contextmanager
def _working_directory(directory: Path) -> Iterator[Path]:
    work = directory / f".registering-{secrets.token_hex(8)}"
    work.mkdir(mode=0o700)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _builder(path: Path, work: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """Return a database that reads the named files and nothing by itself, and spills into `work`."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "python_enable_replacements": "false",
        "temp_directory": str(work / "spill"),
        "memory_limit": memory_limit,
        # Rows are put in the order of their unit, so that of the file need not be remembered.
        "preserve_insertion_order": "false",
    }
    connection = duckdb.connect(str(path), config=settings)
    quiet(connection)
    return connection


def _publish(made: Path, target: Path) -> None:
    """Give a finished file its name, durably, and never over another file."""
    made.chmod(0o400)
    _sync(made)
    try:
        os.link(made, target)
    except FileExistsError:
        raise CatalogError(
            f"{target.name} was registered at the same time by another process", "register the next version"
        ) from None
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(dataset: Dataset, base: Path, key: bytes) -> hmac.HMAC:
    """Return an HMAC-SHA256 of the source files: names, lengths and bytes, table by table."""
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for table in dataset.tables:
        path = base / table.source
        files = formats.files_of(path) if table.kind is TableKind.GENOTYPES else [path]
        try:
            for file in files:
                with file.open("rb") as stream:
                    digest.update(f"{len(table.name)}:{table.name}:{file.stat().st_size}:".encode())
                    while block := stream.read(2**20):
                        digest.update(block)
        except OSError as error:
            raise CatalogError(
                f"{dataset.name}.{table.name}: {table.source} cannot be read: {error.strerror}",
                "check the path and its permissions",
            ) from None
    return digest
