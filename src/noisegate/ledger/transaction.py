"""Statements written in SQLAlchemy Core, turned into text once, and run on the driver's connection.

Building and compiling a statement costs more than running it, and the one writer's time is what every
asker waits for; so the text is kept, and SQLAlchemy's own execution is not in the way.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Dialect, Insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement

Row = tuple[Any, ...]


def _sqlite_dialect() -> Dialect:
    return sqlite.dialect(paramstyle="named")


@dataclass(slots=True)
class Texts:
    """Statements as the database reads them, with the values of their constants."""

    dialect: Dialect = field(default_factory=_sqlite_dialect)
    _known: dict[ClauseElement, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def of(self, statement: ClauseElement) -> tuple[str, dict[str, Any]]:
        """Return the text of a statement and its constants by name."""
        found = self._known.get(statement)
        if found is None:
            found = self._known[statement] = self._compile(statement)
        return found

    def _compile(self, statement: ClauseElement) -> tuple[str, dict[str, Any]]:
        filled = None
        if isinstance(statement, Insert):
            # Columns with a default, and a key that counts by itself, are the database's to fill.
            columns = statement.table.columns
            filled = [c.name for c in columns if c.server_default is None and c.autoincrement is not True]
        compiled = statement.compile(dialect=self.dialect, column_keys=filled)
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        return str(compiled), constants


@dataclass(frozen=True, slots=True)
class Transaction:
    """A driver connection with a transaction open on it. Values are given by bind name."""

    connection: sqlite3.Connection
    texts: Texts

    def rows(self, statement: ClauseElement, /, **values: object) -> list[Row]:
        """Return all rows of a statement."""
        text, constants = self.texts.of(statement)
        return self.connection.execute(text, constants | values).fetchall()

    def each(self, statement: ClauseElement, /, **values: object) -> Iterator[Row]:
        """Yield the rows of a statement as the database finds them."""
        text, constants = self.texts.of(statement)
        return self.connection.execute(text, constants | values)

    def row(self, statement: ClauseElement, /, **values: object) -> Row | None:
        """Return the first row of a statement, None where there is none."""
        rows = self.rows(statement, **values)
        return rows[0] if rows else None

    def change(self, statement: ClauseElement, /, **values: object) -> int:
        """Run a statement that changes rows and return how many it changed."""
        text, constants = self.texts.of(statement)
        return self.connection.execute(text, constants | values).rowcount
