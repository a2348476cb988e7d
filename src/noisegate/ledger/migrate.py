"""Bringing a ledger file to the schema this version writes, with Alembic, whole or not at all."""

import sqlite3
from pathlib import Path

from noisegate.errors import LedgerUnavailable

HEAD = "0001"
_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file behind a connection up to HEAD. The connection has no transaction open.

    Raises:
        LedgerUnavailable: a later version of Noisegate has written it.
    """
    found = _revision(connection)
    if found != HEAD:
        _upgrade(connection, found)


def _revision(connection: sqlite3.Connection) -> str | None:
    tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'")
    if tables.fetchone()[0] == 0:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def _upgrade(connection: sqlite3.Connection, found: str | None) -> None:
    # Imported here: a ledger is migrated once, and Alembic takes longer to load than to open a ledger.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import ScriptDirectory
    from sqlalchemy import StaticPool, create_engine
    from sqlalchemy.exc import DBAPIError

    script = ScriptDirectory(_MIGRATIONS)
    if found is not None and found not in {s.revision for s in script.walk_revisions()}:
        raise LedgerUnavailable(
            f"a later version of Noisegate has written this ledger (schema {found}, here {HEAD})",
            "start the version that wrote it, or a later one",
        )

    def steps(revision: str, _: MigrationContext) -> list[RevisionStep]:
        return script._upgrade_revs(HEAD, revision)

    engine = create_engine(
        "sqlite://", creator=lambda: connection, poolclass=StaticPool, isolation_level="AUTOCOMMIT"
    )
    try:
        with engine.connect() as bound:
            # One transaction around all of it, so that a crash leaves the old schema or the new one.
            bound.exec_driver_sql("BEGIN IMMEDIATE")
            with EnvironmentContext(Config(), script, fn=steps) as environment:
                environment.configure(connection=bound)
                environment.run_migrations()
            bound.exec_driver_sql("COMMIT")
    except DBAPIError as error:
        raise error.orig or error from error
