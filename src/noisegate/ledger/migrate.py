"""Bringing a ledger to the schema this version writes, with Alembic, whole or not at all."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisegate.errors import LedgerUnavailable

if TYPE_CHECKING:
    import psycopg
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

HEAD = "0002"
# Held shared by every session that writes to a ledger on a server, and alone by who changes its schema.
IN_USE = 1852797298
WAIT_SECONDS = 10.0
_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file behind a connection up to HEAD. The connection has no transaction open.

    Raises:
        LedgerUnavailable: a later version of Noisegate has written it.
    """
    if _revision(connection) != HEAD:
        # A table that is made anew around its rows is named by others all the while; see r0002.
        connection.execute("PRAGMA foreign_keys = OFF")
        _upgrade(connection, "sqlite://", "BEGIN IMMEDIATE", lambda: True)
        connection.execute("PRAGMA foreign_keys = ON")


def migrate_server(connection: "psycopg.Connection[Any]") -> None:
    """Bring the database behind a connection, which commits by itself, up to HEAD; one gateway at a time.

    Raises:
        LedgerUnavailable: a later version of Noisegate has written it, or other gateways use it.
    """

    def alone() -> bool:
        """Wait until nobody else uses the ledger, or has brought it to HEAD."""
        patience = time.monotonic() + WAIT_SECONDS
        while _revision(connection) != HEAD:
            if connection.execute("SELECT pg_try_advisory_xact_lock(%s, 0)", (IN_USE,)).fetchone() == (True,):
                return _revision(connection) != HEAD
            if time.monotonic() > patience:
                raise LedgerUnavailable(
                    "other gateways use this ledger, so its schema cannot be changed",
                    "stop all gateways of the former version, then start this one",
                )
            time.sleep(0.05)
        return False

    if _revision(connection) != HEAD:
        _upgrade(connection, "postgresql+psycopg://", "BEGIN", alone)


def refuse_other_schema(connection: "psycopg.Connection[Any]") -> None:
    """Refuse a ledger that is not at HEAD. Once IN_USE is held, it stays as it is found.

    Raises:
        LedgerUnavailable: another version of Noisegate has changed it since this gateway started.
    """
    if _revision(connection) != HEAD:
        raise LedgerUnavailable(
            "another version of Noisegate has changed this ledger's schema",
            "restart this gateway with the version that the others have",
        )


def _revision(connection: "sqlite3.Connection | psycopg.Connection[Any]") -> str | None:
    if isinstance(connection, sqlite3.Connection):
        exists = "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
    else:
        exists = "SELECT count(to_regclass('alembic_version'))"
    tables = connection.execute(exists).fetchone()
    if tables is None or tables[0] == 0:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _upgrade(
    connection: "sqlite3.Connection | psycopg.Connection[Any]", url: str, begin: str, wait: Callable[[], bool]
) -> None:
    # Imported here: a ledger is migrated once, and Alembic takes longer to load than to open a ledger.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import ScriptDirectory
    from sqlalchemy import StaticPool, create_engine
    from sqlalchemy.exc import DBAPIError

    script = ScriptDirectory(_MIGRATIONS)

    def steps(revision: str, _: MigrationContext) -> list[RevisionStep]:
        return script._upgrade_revs(HEAD, revision)

    engine = create_engine(
        url, creator=lambda: connection, poolclass=StaticPool, isolation_level="AUTOCOMMIT"
    )
    try:
        with engine.connect() as bound:
            # One transaction around all of it, so that a crash leaves the old schema or the new one.
            bound.exec_driver_sql(begin)
            if wait():
                _refuse_later(script, _revision(connection))
                with EnvironmentContext(Config(), script, fn=steps) as environment:
                    environment.configure(connection=bound)
                    environment.run_migrations()
                if bound.dialect.name == "postgresql":
                    _compare_bytes(bound)
                    _leave_room(bound)
            bound.exec_driver_sql("COMMIT")
    except DBAPIError as error:
        raise error.orig or error from error


def _refuse_later(script: "ScriptDirectory", found: str | None) -> None:
    if found is not None and found not in {s.revision for s in script.walk_revisions()}:
        raise LedgerUnavailable(
            f"a later version of Noisegate has written this ledger (schema {found}, here {HEAD})",
            "start the version that wrote it, or a later one",
        )


def _compare_bytes(bound: "Connection") -> None:
    """Have texts compared and sorted byte by byte, as on SQLite, whatever the database's language."""
    texts = bound.exec_driver_sql(
        "SELECT table_name, column_name, udt_name FROM information_schema.columns "
        "WHERE table_schema = current_schema() AND udt_name IN ('varchar', 'text') "
        "AND collation_name IS DISTINCT FROM 'C'"
    ).all()
    for table in sorted({table for table, _, _ in texts}):
        columns = (f'ALTER "{column}" TYPE {type_} COLLATE "C"' for of, column, type_ in texts if of == table)
        bound.exec_driver_sql(f'ALTER TABLE "{table}" {", ".join(columns)}')


def _leave_room(bound: "Connection") -> None:
    """Have rows that change all the time change within their page, so that tables do not grow by it."""
    for table in ("account", "chain", "tally"):
        bound.exec_driver_sql(f"ALTER TABLE {table} SET (fillfactor = 40)")
