"""What registration verifies, column by column. Each refusal names the column and the way out."""
# ruff: noqa: S608  (the SQL is made of quoted names and constants)

from collections.abc import Mapping

import duckdb

from noisegate.catalog.model import Column, Table
from noisegate.engines.conversions import MAX_TEXT, Conversion, conversion
from noisegate.engines.quote import identifier, literal
from noisegate.engines.ranges import Ends, parted, sampled
from noisegate.engines.snapshot import stored_columns
from noisegate.engines.sources import Source
from noisegate.errors import CatalogError
from noisegate.privacy.expressions import Type

# Aggregates in one pass over a file: genotype tables have thousands of columns.
_AT_ONCE = 400
_ROWS_AT_ONCE = 2**22  # of the people who are compared with each other
_WAYS_OUT = {
    "lost": "mend the values, or declare the type they have",
    "missing": "fill or drop those rows, or declare nullable = true (NaN and infinities count as NULL)",
    "long": f"a text has at most {MAX_TEXT} characters; shorten it or leave the column out",
    "strange": "list every value in values, or mend the file; nothing is turned into NULL silently",
}


def conversions(place: str, table: Table, source: Source) -> dict[str, Conversion]:
    """Return how each stored column is made.

    Raises:
        CatalogError: a column is missing, or of a type that has nothing in common with the declared one.
    """
    found = {}
    for column in stored_columns(table):
        stored = source.columns.get(column.name)
        if stored is None:
            raise CatalogError(
                f"{place}.{column.name}: the file has no such column", "check the spelling, capitals included"
            )
        made = conversion(f"s.{identifier(column.name)}", stored, column.type)
        if made is None:
            raise CatalogError(
                f"{place}.{column.name} is declared {column.type.value}, but the file holds {stored}",
                "declare the type that is there, or convert the file",
            )
        found[column.name] = made
    return found


def while_loading(
    connection: duckdb.DuckDBPyConnection,
    place: str,
    table: Table,
    source: Source,
    converted: Mapping[str, Conversion],
) -> None:
    """Verify each value by itself, and the number of rows.

    Raises:
        CatalogError: with the first column at fault.
    """
    tests: list[tuple[Column, str, str]] = []
    for column in stored_columns(table):
        tests += [(column, fault, sql) for fault, sql in _faults(table, column, converted[column.name])]
    for start in range(0, max(len(tests), 1), _AT_ONCE):
        part = tests[start : start + _AT_ONCE]
        asked = ", ".join(["count(*)", *(f"coalesce(bool_or({sql}), FALSE)" for _, _, sql in part)])
        try:
            answer = connection.execute(f"SELECT {asked} FROM {source.relation} AS s").fetchall()[0]
        except duckdb.Error:
            raise CatalogError(
                f"{place}: {table.source} cannot be read to its end",
                "the file is damaged, or its rows differ in length; write it anew",
            ) from None
        if answer[0] > table.max_rows:
            raise CatalogError(
                f"{place} has more than {table.max_rows} rows", "raise max_rows, or thin the file"
            )
        for (column, fault, _), faulty in zip(part, answer[1:], strict=True):
            if faulty:
                raise CatalogError(_sentence(place, column, fault), _WAYS_OUT[fault])


def after_loading(connection: duckdb.DuckDBPyConnection, place: str, table: Table, name: str) -> None:
    """Verify what a table says of each unit: one row, or one value.

    Raises:
        CatalogError: it does not hold.
    """
    if table.unit is None:
        return
    unit = f"t.{identifier(table.unit)}"
    ends = sampled(connection, name, table.unit, _ROWS_AT_ONCE)
    if table.rows_per_unit == 1:
        each = f"SELECT count(*) AS n FROM {name} AS t"
        if any(_by_range(connection, "bool_or(g.n > 1)", each, unit, ends)):
            raise CatalogError(
                f"{place}: some person has more than one row, but rows_per_unit is 1",
                "declare the most rows of a person that answers should count, or drop duplicates",
            )
        return
    most = table.most_rows_per_unit
    fixed = [c for c in stored_columns(table) if c.per_unit and c.name != table.unit]
    differ = []
    for column in fixed:
        value = f"t.{identifier(column.name)}"
        differ.append(f"min({value}) IS DISTINCT FROM max({value}) OR count({value}) NOT IN (0, count(*))")
    columns = ", ".join([f"count(*) > {most} AS b", *(f"({d}) AS d{i}" for i, d in enumerate(differ))])
    asked = ", ".join(["bool_or(g.b)", *(f"bool_or(g.d{i})" for i in range(len(differ)))])
    each = f"SELECT {columns} FROM {name} AS t"
    many, *faulty = _by_range(connection, asked, each, unit, ends)
    if many:
        raise CatalogError(
            f"{place}: some person has more than {most} rows, the most that is declared",
            "declare most_rows_per_unit, or drop duplicates",
        )
    for column, wrong in zip(fixed, faulty, strict=True):
        if wrong:
            raise CatalogError(
                f"{place}.{column.name}: some person has more than one value, or rows with and without,"
                " but per_unit is true",
                "drop per_unit, or mend the file",
            )


def _by_range(
    connection: duckdb.DuckDBPyConnection, asked: str, each: str, unit: str, ends: Ends
) -> list[bool]:
    """Return whether what is asked is true for some people, of whom not all fit in memory.

    Args:
        connection: the building database.
        asked: aggregates of booleans over people, g.
        each: a SELECT of the table, to be grouped by person.
        unit: the column.
        ends: units that part all people.
    """
    parts = []
    for low, high in parted(ends):
        tests = [t for t, end in ((f"{unit} >= ?", low), (f"{unit} < ?", high)) if end is not None]
        condition = f" WHERE {' AND '.join(tests)}" if tests else ""
        given = [end for end in (low, high) if end is not None]
        query = f"SELECT {asked} FROM ({each}{condition} GROUP BY {unit}) AS g"
        parts.append(connection.execute(query, given).fetchall()[0])
    return [any(column) for column in zip(*parts, strict=True)]


def may_be_missing(table: Table, column: Column) -> bool:
    """Whether NULLs are allowed."""
    return column.nullable and column.name != table.unit


def _faults(table: Table, column: Column, made: Conversion) -> list[tuple[str, str]]:
    """Return what would be wrong with a value, as (fault, condition)."""
    value = made.value
    faults = [("lost", made.lost)]
    if not may_be_missing(table, column):
        faults.append(("missing", f"({value}) IS NULL"))
    if column.type is Type.STR:
        faults.append(("long", f"length({value}) > {MAX_TEXT}"))
    if column.values is not None:
        domain = [literal(v, column.type) for v in column.values if v is not None]
        strange = f"({value}) NOT IN ({', '.join(domain)})" if domain else f"({value}) IS NOT NULL"
        faults.append(("strange", strange))
    return faults


def _sentence(place: str, column: Column, fault: str) -> str:
    where = f"{place}.{column.name}"
    match fault:
        case "lost":
            return f"{where}: some value is not of the declared type {column.type.value}"
        case "missing":
            return f"{where}: some row has no value, but the column is declared without NULLs"
        case "long":
            return f"{where}: some text is too long"
        case _:
            return f"{where}: some value is not among the declared values"
