"""What the ledger's functions see of the database: statements in SQLAlchemy Core, run in an open transaction.

Building and compiling a statement costs more than running it, and the one writer's time is what every
asker waits for; so the text is kept, and SQLAlchemy's own execution is not in the way.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from sqlalchemy import ARRAY, Boolean, ColumnElement, Dialect, Insert, Table, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, bindparam
from sqlalchemy.sql.compiler import SQLCompiler

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """An INSERT or UPDATE to be run for each of many rows of values; `names` are their binds, in order."""

    statement: ClauseElement
    names: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]


def named(statement: ClauseElement, rows: Sequence[Mapping[str, object]]) -> Change:
    """Return the change of rows of values that are given by bind name, all with the same names."""
    names = tuple(rows[0]) if rows else ()
    return Change(statement, names, [tuple([row[name] for name in names]) for row in rows])


class Transaction(Protocol):
    """An open transaction. Values are given by bind name."""

    @property
    def at(self) -> int:
        """The ledger's time of this transaction, seconds since 1970 UTC, read once its locks are held."""

    @property
    def lately(self) -> int:
        """A time not after `at`, and on nearly all days of the same day, without asking the database."""

    @property
    def ends(self) -> dict[str, tuple[int, str]]:
        """The last receipt of each chain that this transaction has added to, as who adds them has noted."""

    def rows(self, statement: ClauseElement, /, **values: object) -> list[Row]:
        """Return all rows of a statement. Raises OverflowError where a sum leaves 64 bits, on SQLite."""

    def gather(self, *asked: tuple[ClauseElement, Mapping[str, object]]) -> list[list[Row]]:
        """Return the rows of several statements, in order, for one way to the database and back."""

    def each(self, statement: ClauseElement, /, **values: object) -> Iterator[Row]:
        """Yield the rows of a statement as the database finds them, without holding them all."""

    def row(self, statement: ClauseElement, /, **values: object) -> Row | None:
        """Return the first row of a statement, None where there is none."""

    def change(self, statement: ClauseElement, /, **values: object) -> int:
        """Run a statement that changes rows and return how many it changed."""

    def change_exactly(self, *changes: "Change") -> None:
        """Make changes, in order; each row of their values changes exactly one row, and none the same.

        PostgreSQL takes the rows of a change all at once, and may be asked only when something is read
        next, or with the commit.

        Raises:
            InternalError: some row of values changed none. It, and what the database raises at a value, may
                come as late as from the commit, and undoes the transaction, or the savepoint it is in.
        """

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what happened inside where it raises, and nothing else."""

    def listed(self, values: Sequence[str] | Sequence[int]) -> object:
        """Return what a bind of `any_of` takes."""

    def numbers(self, table: Table, count: int) -> list[int]:
        """Return so many numbers for new rows of a table whose key counts by itself, none given out before.

        The statement that adds the rows names the key: `insert(t).values({t.c.id: bindparam("id")})`.
        """


@dataclass(frozen=True, slots=True)
class Text:
    """A statement as a database reads it: its text, its binds in order, and the values of its constants."""

    sql: str
    binds: tuple[str, ...]
    constants: Mapping[str, Any]


@dataclass(slots=True)
class Texts:
    """The texts of statements in one dialect."""

    dialect: Dialect
    _known: dict[ClauseElement, Text] = field(default_factory=dict)

    def of(self, statement: ClauseElement) -> Text:
        """Return the text of a statement."""
        found = self._known.get(statement)
        if found is None:
            found = self._known[statement] = self._compile(statement)
        return found

    def _compile(self, statement: ClauseElement) -> Text:
        filled = None
        if isinstance(statement, Insert):
            # Columns with a default, and a key that counts by itself, are the database's to fill.
            columns = statement.table.columns
            filled = [c.name for c in columns if c.server_default is None and c.autoincrement is not True]
        compiled = cast("SQLCompiler", statement.compile(dialect=self.dialect, column_keys=filled))
        constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        return Text(str(compiled), tuple(compiled.positiontup or compiled.params), constants)


class _AnyOf(ColumnElement[bool]):
    """Whether a column is among values that are bound as one: a JSON list on SQLite, an array elsewhere."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: ColumnElement[Any], bind: str) -> None:
        self.in_json = column.in_(select(func.json_each(bindparam(bind)).table_valued("value").c.value))
        self.in_array = column == func.any(bindparam(bind, type_=ARRAY(column.type)))

    def self_group(self, against: Any = None) -> ColumnElement[bool]:  # noqa: ARG002
        """Stay as it is: with the `= 1` that SQLAlchemy would add for SQLite no index is used."""
        return self


@compiles(_AnyOf)
def _array(element: _AnyOf, compiler: SQLCompiler, **how: Any) -> str:
    return compiler.process(element.in_array, **how)


@compiles(_AnyOf, "sqlite")
def _json(element: _AnyOf, compiler: SQLCompiler, **how: Any) -> str:
    return compiler.process(element.in_json, **how)


def any_of(column: ColumnElement[Any], bind: str) -> ColumnElement[bool]:
    """Return whether a column is among the values that are bound, through `Transaction.listed`."""
    return _AnyOf(column, bind)
