"""A snapshot: one version of a dataset's rows, in one immutable DuckDB file."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import duckdb

from noisegate.catalog.model import Column, Dataset, Table, Tier
from noisegate.engines.locked import locked
from noisegate.errors import CatalogError
from noisegate.privacy.expressions import Scalar

FORMAT = 2
METADATA = "noisegate.snapshot"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A registered version of a dataset.

    `declaration` is the fingerprint of what the catalog declared, and registration verified, of its rows:
    a snapshot serves a catalog whose declaration is the same. `declared` is what it is the fingerprint of, as
    JSON text. `digest` is a keyed digest of the source files, for the custodian alone; "" without a key.
    """

    dataset: str
    version: int
    path: Path
    declaration: str
    declared: str
    digest: str = ""


def stored_columns(table: Table) -> tuple[Column, ...]:
    """Return the columns a snapshot holds. Nobody may read a restricted column, so it is left behind."""
    return tuple(c for c in table.columns if c.tier is not Tier.RESTRICTED or c.name == table.unit)


def declaration(dataset: Dataset) -> str:
    """Return the sha256, in hex, of what the catalog declares of a dataset's rows."""
    return hashlib.sha256(declared(dataset).encode("ascii")).hexdigest()


def declared(dataset: Dataset) -> str:
    """Return what the catalog declares of a dataset's rows, as JSON text.

    Titles, bounds, budgets and all tiers but "restricted" are left out: they can change without another
    registration. So can the place of the files.
    """
    body = {
        "format": FORMAT,
        "dataset": dataset.name,
        "population": dataset.population,
        "tables": [_declared(table) for table in dataset.tables],
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def open_snapshot(path: Path) -> Snapshot:
    """Return what a snapshot file says of itself.

    Raises:
        CatalogError: no file, or not a snapshot of this format.
    """
    row = None
    try:
        connection = locked({"threads": "1"}, {"snapshot": path})
        try:
            row = connection.execute(
                "SELECT format, dataset, version, declaration, declared, digest"
                " FROM snapshot.noisegate.snapshot"
            ).fetchall()
        finally:
            connection.close()
    except duckdb.Error:
        pass  # said below, without the engine's text
    if row is None or len(row) != 1 or row[0][0] != FORMAT:
        raise CatalogError(
            f"{path.name}: not a snapshot of format {FORMAT}", "register the dataset again to make one"
        )
    return Snapshot(row[0][1], row[0][2], path, *row[0][3:])


def _declared(table: Table) -> dict[str, object]:
    # Where genotypes are private, the declaration stays that of versions registered without a store.
    public = table.genotypes is not None and table.genotypes.public
    return ({"public_genotypes": True} if public else {}) | {
        "name": table.name,
        "kind": table.kind.value,
        "unit": table.unit,
        "one_row_a_unit": not table.public and table.rows_per_unit == 1,
        "max_rows": table.max_rows,
        "most_rows_per_unit": table.most_rows_per_unit,
        "columns": [
            {
                "name": column.name,
                "type": column.type.value,
                "values": None if column.values is None else [_plain(v) for v in column.values],
                "nullable": column.nullable,
                "per_unit": column.per_unit,
            }
            for column in stored_columns(table)
        ],
    }


def _plain(value: Scalar) -> object:
    return value if isinstance(value, str | int | float | bool | None) else value.isoformat()
