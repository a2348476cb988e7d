"""`noisegate catalog check`: does the catalog hold together, and do the files have what it declares?

Only schemas are read: the footer of a Parquet file, the first line of a CSV file, the variants of a
genotype file. What rows must satisfy (types, domains, one row a person) is verified when a version of
the data is registered.
"""

import csv
import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from noisegate.catalog.describe import note
from noisegate.catalog.keys import Value, nearest, shown
from noisegate.catalog.load import load, read_document
from noisegate.catalog.model import Catalog, Column, Dataset, Table, TableKind, Tier
from noisegate.errors import CatalogError
from noisegate.privacy.expressions import NUMERIC, Type

SQUARES = 2**31  # half a range of more steps than this has squares that fill 62 bits: no variances


class Severity(enum.Enum):
    """ERROR: registration will fail. WARNING: it is likely not meant. NOTE: a consequence to know of."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know: `where` is the key path in the catalog, empty for the file as a whole."""

    severity: Severity
    where: str
    message: str

    def as_json(self) -> dict[str, str]:
        """Return the finding as JSON values."""
        return {"severity": self.severity.value, "where": self.where, "message": self.message}


def check(path: Path) -> list[Finding]:
    """Return everything there is to say about a catalog, errors first. Raises nothing about its content."""
    try:
        document = read_document(path)
        catalog = load(path)
    except CatalogError as error:
        problems = error.detail.get("problems")
        if not isinstance(problems, list):
            return [Finding(Severity.ERROR, "", error.message)]
        return [Finding(Severity.ERROR, p["where"], p["message"]) for p in problems]
    found = [*_budgets(catalog), *_days(catalog)]
    for dataset in catalog.datasets:
        for table in dataset.tables:
            kind = "genotypes" if table.kind is TableKind.GENOTYPES else "tables"
            where = f"{dataset.name}.{kind}.{table.name}"
            found += _file(where, dataset, table)
            found += _contributions(where, table, _keys(document, dataset.name, kind, table.name))
            if table.kind is TableKind.ROWS:
                for column in table.columns:
                    found += _column(f"{where}.columns.{column.name}", table, column)
    order = list(Severity)
    return sorted(found, key=lambda f: order.index(f.severity))


def _budgets(catalog: Catalog) -> Iterator[Finding]:
    for dataset in catalog.datasets:
        root = catalog.populations[dataset.population]
        if dataset.budget.epsilon > root.epsilon or dataset.budget.delta > root.delta:
            yield Finding(
                Severity.WARNING,
                f"{dataset.name}.budget",
                f"more than the population {dataset.population} may lose in all (epsilon "
                f"{shown(root.epsilon)}, delta {shown(root.delta)}): it can never be used up",
            )
        if dataset.budget.every is not None and root.every is None:
            yield Finding(
                Severity.WARNING,
                f"{dataset.name}.budget.every",
                f"renewed every {dataset.budget.every.value}, but what its people may lose through the "
                f"population {dataset.population} is not: once that is spent, renewing changes nothing",
            )


def _days(catalog: Catalog) -> Iterator[Finding]:
    for tier, rule in catalog.policy.tiers.items():
        if rule.max_per_day is not None and rule.max_per_day < rule.max_epsilon:
            yield Finding(
                Severity.WARNING,
                f"policy.tiers.{tier.value}.max_per_day",
                f"{shown(rule.max_per_day)} is less than max_epsilon {shown(rule.max_epsilon)}, which no "
                "question can then spend",
            )


def _file(where: str, dataset: Dataset, table: Table) -> Iterator[Finding]:
    """Compare the file's schema with the declared columns."""
    if table.kind is TableKind.GENOTYPES:  # its columns were made from the file
        if table.genotypes is not None and not table.genotypes.in_sql:
            yield Finding(Severity.NOTE, where, note(table.genotypes))
        return
    path = Path(table.source)
    try:
        schema = _schema(path)
    except (OSError, UnicodeDecodeError, csv.Error, pa.ArrowException) as error:
        reason = (error.strerror or "") if isinstance(error, OSError) else ""
        reason = reason or "not a file of its kind"
        yield Finding(Severity.ERROR, f"{where}.source", f"{path}: cannot be read: {reason}")
        return
    for column in table.columns:
        place = f"{where}.columns.{column.name}"
        if column.name not in schema:
            hint = nearest(column.name, schema)
            if column.name == table.unit and not hint:
                hint = f"; name it with unit = … here, or in [{dataset.name}]"
            yield Finding(Severity.ERROR, place, f"{path.name} has no column {column.name!r}{hint}")
            continue
        stored = schema[column.name]
        if stored is not None and column.tier is not Tier.RESTRICTED and column.type not in _fits(stored):
            message = f"declared as {column.type.value}, but {path.name} holds {stored}"
            yield Finding(Severity.ERROR, place, message)


def _schema(path: Path) -> Mapping[str, pa.DataType | None]:
    """Return the columns of a file with their stored types, None where text stands for all types."""
    if path.suffix.lower() == ".csv":
        with path.open(newline="", encoding="utf-8-sig") as stream:
            return dict.fromkeys(next(csv.reader(stream), []))
    with path.open("rb") as file:
        schema = pq.read_schema(file)
    return dict(zip(schema.names, schema.types, strict=True))


def _fits(stored: pa.DataType) -> frozenset[Type]:
    """Return the types a stored column may be declared as. Registration verifies each value."""
    if pa.types.is_dictionary(stored):
        return _fits(stored.value_type)
    if pa.types.is_boolean(stored):
        return frozenset({Type.BOOL, Type.INT})
    if pa.types.is_integer(stored):
        return frozenset({Type.INT, Type.FLOAT, Type.BOOL})
    if pa.types.is_floating(stored) or pa.types.is_decimal(stored):
        return frozenset({Type.FLOAT})
    if pa.types.is_string(stored) or pa.types.is_large_string(stored) or pa.types.is_string_view(stored):
        return frozenset({Type.STR})
    if pa.types.is_date(stored):
        return frozenset({Type.DATE})
    if pa.types.is_timestamp(stored):
        return frozenset({Type.TIMESTAMP})
    return frozenset()


def _contributions(where: str, table: Table, keys: Mapping[str, Value]) -> Iterator[Finding]:
    if table.public:
        return
    if table.kind is TableKind.ROWS and "rows_per_unit" not in keys:
        yield Finding(
            Severity.WARNING,
            f"{where}.rows_per_unit",
            "not declared, so 1: registration refuses a file in which a person has two rows",
        )
    if table.groups_per_unit is not None and table.groups_per_unit > table.rows_per_unit:
        yield Finding(
            Severity.WARNING,
            f"{where}.groups_per_unit",
            f"a person with {table.rows_per_unit} rows stands in no more groups than that",
        )
    if table.expected_units is None:
        yield Finding(
            Severity.NOTE,
            f"{where}.expected_units",
            "not declared: expected errors cannot be given relative to the number of people",
        )


def _column(where: str, table: Table, column: Column) -> Iterator[Finding]:
    if column.name == table.unit or table.public or column.tier is Tier.RESTRICTED:
        return
    ranges = {} if column.by is None else dict(column.by.ranges)
    for bounds in [b for b in (column.bounds, *ranges.values()) if b is not None]:
        span = f"{shown(bounds.low)} to {shown(bounds.high)}"
        if (bounds.low / column.step).denominator != 1 or (bounds.high / column.step).denominator != 1:
            message = f"{span} does not begin and end on a whole number of steps of {shown(column.step)}"
            yield Finding(Severity.WARNING, where, message)
        if (bounds.high - bounds.low) / 2 / column.step >= SQUARES:
            message = f"{span} is so wide in steps of {shown(column.step)} that no variance can be asked for"
            yield Finding(Severity.WARNING, where, message)
    if column.type in NUMERIC and column.bounds is None and not ranges:
        message = "has no bounds: it can be counted, not summed or averaged"
        yield Finding(Severity.WARNING if column.type is Type.FLOAT else Severity.NOTE, where, message)
    if column.by is not None:
        other = table.column(column.by.column)
        rest = [str(v) for v in (other.values if other else None) or () if v not in ranges]
        if rest and column.bounds is None:
            message = f"has no bounds for {column.by.column} {', '.join(rest)}: counted there, not averaged"
            yield Finding(Severity.NOTE, where, message)
    if column.type is Type.STR and column.values is None:
        message = "lists no values: groups by it are private, cost delta, and rare ones are left out"
        yield Finding(Severity.NOTE, where, message)


def _keys(document: Mapping[str, Value], *path: str) -> Mapping[str, Value]:
    """Return the keys that are written at a place of the document."""
    value: Value = document
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}
