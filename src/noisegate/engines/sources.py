"""The files a catalog names, opened as relations of a building database."""
# ruff: noqa: S608  (the SQL is made of quoted names and constants)

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from noisegate.catalog.model import Table, TableKind
from noisegate.engines.quote import quoted
from noisegate.errors import CatalogError
from noisegate.genotypes import vcf

ReadGenotypes = Callable[[Path], vcf.Dosages]
_ARROW = "opened_source"


@dataclass(frozen=True, slots=True)
class Source:
    """What stands in FROM for a file, and its columns: DuckDB's type by name."""

    relation: str
    columns: Mapping[str, str]


@contextmanager
def opened(
    connection: duckdb.DuckDBPyConnection, place: str, table: Table, path: Path, genotypes: ReadGenotypes
) -> Iterator[Source]:
    """Open a table's file for as long as the context lasts.

    Raises:
        CatalogError: no such file, or not a readable one of its kind.
    """
    if not path.is_file():
        raise CatalogError(f"{place}: no file {table.source}", "source is a path relative to the catalog")
    if table.kind is TableKind.GENOTYPES:
        connection.register(_ARROW, _people(place, table, genotypes(path)))
        relation = _ARROW
    elif path.suffix.lower() == ".parquet":
        relation = f"read_parquet({quoted(str(path))}, hive_partitioning = false)"
    elif path.suffix.lower() == ".csv":
        # Every value as text, and the empty one as NULL: what it is read as is the catalog's to say.
        relation = (
            f"read_csv({quoted(str(path))}, all_varchar = true, header = true, delim = ',', quote = '\"',"
            " escape = '\"', comment = '', nullstr = '', skip = 0, strict_mode = true,"
            " hive_partitioning = false)"
        )
    else:
        raise CatalogError(
            f"{place}: {table.source} is neither .parquet nor .csv", "convert it to one of them"
        )
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    except duckdb.Error:
        raise CatalogError(
            f"{place}: {table.source} is not a readable {path.suffix.lower().lstrip('.')} file",
            "a CSV is UTF-8 with commas, a header, and as many values in each row; mend or convert it",
        ) from None
    try:
        yield Source(relation, {name: kind for name, kind, *_ in described})
    finally:
        if relation is _ARROW:
            connection.unregister(_ARROW)


def _people(place: str, table: Table, found: vcf.Dosages) -> pa.Table:
    """Return genotypes as a table: a row a person, a column a variant, NULL for a missing call."""
    if table.unit is None:
        raise CatalogError(f"{place}: genotypes are of people", "genotype tables have a unit")
    names = [variant.name for variant in found.variants]
    if table.unit in names:
        raise CatalogError(
            f"{place}: a variant is named {table.unit}, as the unit is", "give the variant another id"
        )
    columns = {table.unit: pa.array(found.samples, pa.string())}
    for name, calls in zip(names, found.calls, strict=True):
        columns[name] = pa.array(np.ascontiguousarray(calls), pa.int8(), mask=calls == vcf.MISSING)
    return pa.table(columns)
