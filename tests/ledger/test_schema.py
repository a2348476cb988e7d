"""On PostgreSQL, too, the migrations make the schema that is declared. (On SQLite: `test_migrate.py`.)"""

import re

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from noisegate.ledger import schema

OTHER = "declared"
CONSTRAINTS = text(
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE connamespace = CAST(:schema AS regnamespace) AND contype <> 'n'"
)
INDEXES = text("SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = :schema")
COLUMNS = text(
    "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns "
    "WHERE table_schema = :schema AND table_name <> 'alembic_version'"
)


def plain(definition):
    """Leave out what the migration's collation changes in how PostgreSQL writes the same rule."""
    return re.sub(rf"{OTHER}\.|public\.|::(character varying|text)(\[\])?|[() ]", "", definition)


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_migrating_a_server_gives_the_schema_that_is_declared(make_url):
    engine = create_engine(make_url().replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.METADATA) == []
        connection.execute(text(f"CREATE SCHEMA {OTHER}"))
        declared = connection.execution_options(schema_translate_map={None: OTHER})
        schema.METADATA.create_all(declared, checkfirst=False)
        for question in (CONSTRAINTS, INDEXES, COLUMNS):
            migrated, made = (
                {
                    tuple(plain(part) for part in row)
                    for row in connection.execute(question, {"schema": name})
                    if "alembic" not in row[0]
                }
                for name in ("public", OTHER)
            )
            assert migrated == made
            assert migrated
    engine.dispose()
