"""A DuckDB that runs questions and nothing else."""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from noisegate.engines.quote import identifier, quoted

_CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    # A table that does not exist must not become a Python variable of that name.
    "python_enable_replacements": "false",
}


def locked(
    settings: Mapping[str, str], attached: Mapping[str, Path] | None = None
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory database with read-only files attached, whose settings can no longer change.

    From then on it opens no file but those and its own spill directory, loads no extension, and obeys no
    SET. Statements that need no file (DETACH, CREATE TABLE in memory) are left to check.py.

    Args:
        settings: DuckDB's names and values.
        attached: files by the name to attach them under.
    """
    connection = duckdb.connect(":memory:", config={**_CLOSED, **settings})
    quiet(connection)
    for name, path in (attached or {}).items():
        connection.execute(f"ATTACH {quoted(str(path))} AS {identifier(name)} (READ_ONLY)")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def quiet(connection: duckdb.DuckDBPyConnection) -> None:
    """Print no progress bars, as the engine does by itself in notebooks and shells; cursors print none."""
    connection.execute("SET enable_progress_bar = false")
