"""The files a catalog names, opened as relations of a building database."""
# ruff: noqa: S608  (the SQL is made of quoted names and constants)

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from noisegate.catalog.model import Table
from noisegate.engines.quote import quoted
from noisegate.errors import CatalogError

_ARROW = "opened_source"


@dataclass(frozen=True, slots=True)
class Source:
    """What stands in FROM for a file, and its columns: DuckDB's type by name."""

    relation: str
    columns: Mapping[str, str]


@contextmanager
def opened(
    connection: duckdb.DuckDBPyConnection, place: str, table: Table, path: Path, people: pa.Table | None
) -> Iterator[Source]:
    """Open a table's file for as long as the context lasts, or the rows that were made of its genotypes.

    Raises:
        CatalogError: no such file, or not a readable one of its kind.
    """
    if people is not None:
        connection.register(_ARROW, people)
        relation = _ARROW
    elif not path.is_file():
        raise no_file(place, table)
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


def no_file(place: str, table: Table) -> CatalogError:
    """Return the error for a source that is not there."""
    return CatalogError(f"{place}: no file {table.source}", "source is a path relative to the catalog")
