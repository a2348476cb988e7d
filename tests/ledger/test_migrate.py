import sqlite3
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import StaticPool, create_engine

from noisegate.errors import LedgerUnavailable
from noisegate.ledger import migrate, schema
from noisegate.ledger.sqlite import LEDGER_FILE, connect
from noisegate.ledger.store import Ledger


def made(connection):
    """Return what the database was made with, one line a table, index or trigger, spacing and order apart."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'alembic_version'"
    )
    clauses = {name: sql.replace(", \n", "\n").split("\n") for name, sql in rows}
    return {name: sorted(line.strip(" \t,") for line in lines) for name, lines in clauses.items()}


@pytest.fixture
def migrated(tmp_path):
    with closing(connect(tmp_path / "migrated.sqlite")) as connection:
        migrate.migrate(connection)
    with closing(connect(tmp_path / "migrated.sqlite")) as connection:
        yield connection


def test_migrating_from_nothing_gives_the_schema_that_is_declared(migrated, tmp_path):
    with closing(connect(tmp_path / "created.sqlite")) as created:
        engine = create_engine("sqlite://", creator=lambda: created, poolclass=StaticPool)
        schema.METADATA.create_all(engine)
        assert made(migrated) == made(created)
        engine.dispose()
    assert len(made(migrated)) > len(schema.METADATA.tables) + 4


def test_alembic_sees_no_difference_either(migrated):
    engine = create_engine("sqlite://", creator=lambda: migrated, poolclass=StaticPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.METADATA) == []
        assert context.get_current_revision() == migrate.HEAD
    engine.dispose()


def test_head_is_the_last_migration_there_is():
    script = ScriptDirectory(migrate._MIGRATIONS)
    assert script.get_current_head() == migrate.HEAD


def test_a_ledger_at_head_is_left_as_it_is(migrated):
    before = made(migrated)
    migrate.migrate(migrated)
    assert made(migrated) == before


def test_a_crash_in_a_migration_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    file = tmp_path / "half.sqlite"
    with closing(connect(file)) as connection:
        connection.execute("CREATE TABLE token (in_the_way INTEGER)")
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            migrate.migrate(connection)
    with closing(connect(file)) as connection:
        assert set(made(connection)) == {"token"}
        connection.execute("DROP TABLE token")
        migrate.migrate(connection)
    with closing(connect(file)) as connection:
        assert "account" in made(connection)


def test_a_ledger_that_a_later_version_wrote_is_refused(tmp_path):
    Ledger.open(tmp_path).shut()
    with closing(sqlite3.connect(tmp_path / LEDGER_FILE)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(LedgerUnavailable, match="later version"):
        Ledger.open(tmp_path)
