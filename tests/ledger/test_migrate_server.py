"""The schema on a server: as declared, whole or not at all, and changed by nobody while others use it."""

import os
import random
import re
import signal
import threading
import time
from contextlib import closing

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import NullPool, create_engine

from noisegate.errors import LedgerUnavailable
from noisegate.ledger import migrate, schema
from noisegate.ledger.migrate import migrate_server
from noisegate.ledger.store import Ledger

COLUMNS = (
    "SELECT table_name, column_name, udt_name, is_nullable, column_default FROM information_schema.columns "
    "WHERE table_schema = 'public'"
)
CONSTRAINTS = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
)
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"


def made(url):
    """Return columns, constraints and indexes, as the server tells them; the collation is looked at apart."""
    with closing(psycopg.connect(url)) as connection:
        rows = [row for sql in (COLUMNS, CONSTRAINTS, INDEXES) for row in connection.execute(sql)]
    # text and varchar without a length are one type; a cast between them says nothing, nor do its brackets.
    cast = re.compile(r"::(text|character varying)(\[\])?|[()]")
    said = {tuple(cast.sub("", str(value)) for value in row) for row in rows}
    return {row for row in said if not row[0].startswith("alembic")}


def engine_of(url):
    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)


@pytest.fixture
def migrated(postgres):
    return postgres.make_ledger()


def test_migrating_from_nothing_gives_the_schema_that_is_declared(migrated, database):
    schema.METADATA.create_all(engine_of(database))
    assert made(migrated) ^ made(database) == set()
    assert len(made(migrated)) > 250


def test_alembic_sees_no_difference_either(migrated):
    with engine_of(migrated).connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, schema.METADATA) == []
        assert context.get_current_revision() == migrate.HEAD


def test_texts_are_compared_byte_by_byte(migrated):
    with closing(psycopg.connect(migrated)) as connection:
        found = connection.execute(
            "SELECT table_name, column_name, collation_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND udt_name IN ('varchar', 'text')"
        ).fetchall()
    assert len(found) > 30
    assert {collation for _, _, collation in found} == {"C"}


@pytest.mark.parametrize("change", ["UPDATE {} SET charge = 1", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
@pytest.mark.parametrize("table", ["receipt", "answer"])
def test_the_database_itself_keeps_receipts_and_answers(migrated, table, change):
    with (
        closing(psycopg.connect(migrated)) as connection,
        pytest.raises(psycopg.IntegrityError, match=f"{table}s are only ever added"),
    ):
        connection.execute(change.format(table))


def test_a_crash_in_a_migration_leaves_the_database_as_it_was(database):
    with closing(psycopg.connect(database, autocommit=True)) as connection:
        connection.execute("CREATE TABLE token (in_the_way INTEGER)")
        before = made(database)
        with pytest.raises(psycopg.errors.DuplicateTable):
            migrate_server(connection)
    assert made(database) == before
    with closing(psycopg.connect(database, autocommit=True)) as connection:
        connection.execute("DROP TABLE token")
        migrate_server(connection)
    assert {"account", "tally"} <= {row[0] for row in made(database)}


@pytest.mark.parametrize("kills", [6, pytest.param(150, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_a_migration_that_is_killed_leaves_the_old_schema_or_the_new_one(postgres, migrated, kills):
    whole, moment, found = made(migrated), random.Random(3), set()
    for _ in range(kills):
        url = postgres.make_database()
        child = os.fork()
        if child == 0:
            with closing(psycopg.connect(url, autocommit=True)) as connection:
                migrate_server(connection)
            os._exit(0)
        time.sleep(0.6 * moment.random())
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with closing(psycopg.connect(url, autocommit=True)) as connection:
            left = migrate._revision(connection)
            assert left in (None, migrate.HEAD)
            # The backend of one who was killed lives on until it next hears of it, and holds its locks.
            migrate_server(connection)
        assert made(url) == whole
        found.add(left)
    assert found <= {None, migrate.HEAD}


def test_gateways_that_start_at_once_on_nothing_make_one_ledger(database, tmp_path):
    names, failed = [], []
    start = threading.Barrier(4)

    def open_one(directory):
        start.wait()
        try:
            with Ledger.open(directory, url=database) as ledger:
                names.append(ledger.id)
                start.wait()
        except Exception as error:  # noqa: BLE001  it is looked at below
            failed.append(error)

    directories = [tmp_path / "shared", tmp_path / "shared", tmp_path / "b", tmp_path / "c"]
    running = [threading.Thread(target=open_one, args=(directory,)) for directory in directories]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert failed == []
    assert len(names) == 4
    assert len(set(names)) == 1


def stamp(url, revision):
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = %s", (revision,))


def test_a_ledger_that_a_later_version_wrote_is_refused(migrated, tmp_path):
    stamp(migrated, "9999")
    with pytest.raises(LedgerUnavailable, match="later version"):
        Ledger.open(tmp_path, url=migrated)


def test_a_ledger_that_others_use_keeps_its_schema(migrated, tmp_path, monkeypatch):
    monkeypatch.setattr(migrate, "WAIT_SECONDS", 0.2)
    with Ledger.open(tmp_path / "old", url=migrated):
        stamp(migrated, "0001")
        with pytest.raises(LedgerUnavailable, match="other gateways use this ledger") as refused:
            Ledger.open(tmp_path / "new", url=migrated)
    assert "stop all gateways" in refused.value.hint


def test_a_gateway_whose_ledger_was_changed_while_it_was_cut_off_writes_no_more(migrated, tmp_path):
    with Ledger.open(tmp_path, url=migrated) as ledger:
        ledger.register_version("liver", "[]", "d")
        stamp(migrated, "9999")
        with closing(psycopg.connect(migrated, autocommit=True)) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with pytest.raises(LedgerUnavailable):
            ledger.register_version("liver", "[]", "d")
