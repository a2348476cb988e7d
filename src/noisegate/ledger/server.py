"""The server that a ledger on PostgreSQL lies on: connections to it, and what is asked of it first.

TRUSTED for durability: `check` refuses a server whose commits might not survive a power cut, and a session
that may write holds the locks that show its gateway lives and keep its schema. PROOFS.md, "Durability".
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from noisegate.errors import LedgerUnavailable, SetupError
from noisegate.ledger.migrate import IN_USE, refuse_other_schema

CONNECT_SECONDS = 5
LOCK_SECONDS = 5
STATEMENT_SECONDS = 10
# A gateway that stands still in the middle of a transaction loses its locks after this.
STILL_SECONDS = 10
OLDEST = 130000

# Advisory lock (GATEWAY, number) is shared by a gateway's sessions.
GATEWAY = 1852797299

SETTINGS = {
    "lock_timeout": f"{LOCK_SECONDS}s",
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{STILL_SECONDS}s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "default_transaction_isolation": "read committed",
    "jit": "off",
    # Statements find rows by their keys and are planned once: not while a table is small, as if it stayed so.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
}
# Where a role or a database has less: a commit then waits for the disk, and for synchronous standbys' too.
_WAIT_FOR_STANDBYS = (
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') <> 'remote_apply'"
)
_FACTS = (
    "SELECT current_setting('server_version_num')::bigint, pg_is_in_recovery(), current_setting('fsync'), "
    "current_setting('full_page_writes'), current_setting('synchronous_commit'), "
    "current_setting('server_encoding')"
)


def unavailable(cause: BaseException | None = None) -> LedgerUnavailable:
    """Return the one error for a ledger that cannot be read or written, whatever the reason."""
    error = LedgerUnavailable(
        "the ledger cannot be read or written, so nothing is released",
        "see that its PostgreSQL server runs, can be reached and has space, then try again",
    )
    error.__cause__ = cause
    return error


def server_of(url: str) -> dict[str, Any]:
    """Return libpq's parameters for a URL. Its errors never show the URL, which may hold a password."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        given = {}
    # A raw @ in a password makes its rest part of the host's name, which errors would show.
    if not given or "@" in str(given.get("host", "")):
        raise SetupError(
            "the ledger's address cannot be read as postgresql://USER@HOST:PORT/DATABASE",
            "write special characters of a password as %XX, or keep it in the file PGPASSFILE names",
        )
    bounds = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": STATEMENT_SECONDS * 1000}
    return bounds | given | {"client_encoding": "UTF8", "application_name": "noisegate"}


def connect(server: Mapping[str, Any]) -> psycopg.Connection[Any]:
    """Return a connection that leaves transactions to the caller."""
    return psycopg.connect(make_conninfo(**server), autocommit=True)


def check(connection: psycopg.Connection[Any]) -> None:
    """Refuse a server whose commits might not survive a power cut, or that cannot hold what is written.

    Raises:
        LedgerUnavailable: with what is wrong.
    """
    row = connection.execute(_FACTS).fetchone()
    version, standby, fsync, full_pages, synchronous, encoding = row or (0, True, "", "", "", "")
    if version < OLDEST:
        raise LedgerUnavailable("the ledger needs PostgreSQL 13 or later", "upgrade the server")
    if standby:
        raise LedgerUnavailable(
            "the ledger's PostgreSQL server is a standby, which cannot be written",
            "connect to the primary, or name several hosts with target_session_attrs=read-write",
        )
    off = {"fsync": fsync, "full_page_writes": full_pages, "synchronous_commit": synchronous}
    for name, setting in off.items():
        if setting == "off":
            raise LedgerUnavailable(
                f"the ledger's PostgreSQL server has {name} off; charges would not survive a power cut",
                f"set {name} = on in postgresql.conf, for the database and for the role",
            )
    if encoding != "UTF8":
        raise LedgerUnavailable(
            f"the ledger's database has the encoding {encoding}",
            "make one with: CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'",
        )


def prepare(connection: psycopg.Connection[Any], replica: int, *, write: bool) -> None:
    """Set a connection up for a session on a server that is checked, with our locks if it may write."""
    check(connection)
    settings = SETTINGS if write else SETTINGS | {"default_transaction_read_only": "on"}
    connection.execute("; ".join(f"SET {name} = '{setting}'" for name, setting in settings.items()))
    connection.execute(_WAIT_FOR_STANDBYS)
    if write:
        connection.execute(
            f"SELECT pg_advisory_lock_shared({IN_USE}, 0); "
            f"SELECT pg_advisory_lock_shared({GATEWAY}, {replica})"
        )
        refuse_other_schema(connection)


def unreachable(error: psycopg.Error, server: Mapping[str, Any]) -> LedgerUnavailable:
    """Return what to tell at start: the server's own words, unless they show a password."""
    said = str(error).strip().splitlines()
    password = str(server.get("password") or "")
    reason = said[0] if said and not (password and password in said[0]) else "no connection"
    return LedgerUnavailable(
        f"the ledger's PostgreSQL server cannot be used: {reason}",
        "see that it runs, that the address, role and password are right and that the role may create tables",
    )
