"""Periods and lifetimes of accounts, their states, tallies by day, jobs, replicas, and the ledger's name.

On SQLite a table whose rules change is made anew around its rows, in the one transaction of the migration;
foreign keys are off for its length, and checked before it ends. On PostgreSQL no ledger was ever written
under the first schema, so its tables are empty and are altered as they stand.
"""

import json
import secrets
import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateIndex, CreateTable

from noisegate.errors import LedgerUnavailable

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ORDERS = 17
_SECONDS_A_DAY = 86_400
_INFINITE = 2**63 - 1
_KINDS = (
    "'opened', 'renewed', 'transferred', 'suspended', 'restricted', 'locked', 'resumed', 'registered', "
    "'charge', 'answer', 'failed', 'lost', 'finished', 'unsuspended'"
)


def _names(prefix: str) -> list[str]:
    return [*(f"{prefix}_{i}" for i in range(_ORDERS)), f"{prefix}_delta"]


def _vector(prefix: str, *, start: str | None = None) -> list[sa.Column[int]]:
    return [_whole(name, start=start) for name in _names(prefix)]


def _whole(name: str, *, start: str | None = None) -> sa.Column[int]:
    default = None if start is None else sa.text(start)
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=default)


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, autoincrement=False)


def _text(name: str, kind: type[sa.String] = sa.String) -> sa.Column[str]:
    return sa.Column(name, kind(), nullable=False)


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _not_negative(table: str, prefix: str) -> sa.CheckConstraint:
    return _check(table, f"{prefix}_not_negative", " AND ".join(f"{n} >= 0" for n in _names(prefix)))


def _account() -> None:
    added: list[sa.Column[int] | sa.Column[str]] = [
        *_vector("former", start="0"),
        _whole("former_charges", start="0"),
        *(_whole(name) for name in ("lifetime_epsilon", "lifetime_delta", "period", "since")),
        sa.Column("until", sa.BigInteger(), nullable=True),
        _text("state"),
        _text("reason", sa.Text),
        _whole("strikes", start="0"),
        _whole("version", start="0"),
    ]
    checks = [
        _check("account", "known_state", "state IN ('open', 'suspended', 'locked')"),
        _check("account", "counted_from_one", "period >= 1"),
        _check("account", "ends_after_it_began", "until IS NULL OR until > since"),
        _not_negative("account", "former"),
    ]
    filled = {
        "lifetime_epsilon": "epsilon",
        "lifetime_delta": "delta",
        "period": "1",
        "since": "0",
        "state": "'open'",
        "reason": "''",
        "version": "charges",
    }
    _alter("account", added, checks, filled)


def _charge() -> None:
    added: list[sa.Column[int] | sa.Column[str]] = [
        *(_text(name) for name in ("population", "asker", "tier")),
        _text("conditions", sa.Text),
        _whole("at"),
        _whole("replica"),
    ]
    filled = {
        "population": "''",
        "asker": "''",
        "tier": "''",
        "conditions": "'[]'",
        "at": "0",
        "replica": "0",
    }
    _alter("charge", added, [], filled)
    op.create_index("charges_of_asker", "charge", ["asker", "id"])


def _job() -> None:
    within = " AND ".join(f"{d} <= {r}" for d, r in zip(_names("drawn"), _names("reserved"), strict=True))
    op.create_table(
        "job",
        _key("charge"),
        _text("asker"),
        _text("title", sa.Text),
        _text("datasets", sa.Text),
        _text("state"),
        *_vector("reserved"),
        *_vector("drawn", start="0"),
        _whole("steps"),
        _whole("steps_drawn", start="0"),
        _whole("created"),
        _whole("changed"),
        _text("periods", sa.Text),
        _check("job", "known_state", "state IN ('running', 'finished', 'failed', 'cancelled')"),
        _check("job", "drawn_of_reserved", within),
        _not_negative("job", "drawn"),
        _check("job", "steps_of_schedule", "steps >= 1 AND steps_drawn BETWEEN 0 AND steps"),
        sa.PrimaryKeyConstraint("charge", name=op.f("pk_job")),
        sa.ForeignKeyConstraint(["charge"], ["charge.id"], name=op.f("fk_job_charge")),
    )


def _tally() -> None:
    op.create_table(
        "tally",
        _text("account"),
        _key("day"),
        _text("tier"),
        _whole("charges"),
        *_vector("spent"),
        *_vector("surcharge"),
        _whole("amount"),
        _not_negative("tally", "spent"),
        _not_negative("tally", "surcharge"),
        _check("tally", "not_negative", "charges >= 0 AND amount >= 0"),
        sa.PrimaryKeyConstraint("account", "day", "tier", name=op.f("pk_tally")),
        sa.ForeignKeyConstraint(["account"], ["account.id"], name=op.f("fk_tally_account")),
    )


def _ledger() -> None:
    op.create_table(
        "ledger", _text("id"), _whole("created"), sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger"))
    )
    op.create_table(
        "replica",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        _whole("started"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_replica")),
    )


def _alter(
    name: str,
    added: Sequence[sa.Column[int] | sa.Column[str]],
    checks: Sequence[sa.CheckConstraint],
    filled: dict[str, str],
    dropped: str | None = None,
) -> None:
    """Add columns and rules to a table. `filled` gives what old rows hold in the new columns."""
    if op.get_context().dialect.name == "sqlite":
        _remake(name, added, checks, filled, dropped)
        return
    for column in added:
        op.add_column(name, column)
    if dropped is not None:
        op.drop_constraint(dropped, name, type_="check")
    for check in checks:
        op.create_check_constraint(str(check.name), name, check.sqltext)


def _remake(
    name: str,
    added: Sequence[sa.Column[int] | sa.Column[str]],
    checks: Sequence[sa.CheckConstraint],
    filled: dict[str, str],
    dropped: str | None,
) -> None:
    """Make a table anew with its rows; what else names it by foreign key finds it under the same name."""
    bind = op.get_bind()
    table = sa.Table(name, sa.MetaData(), autoload_with=bind)
    held = ", ".join(column.name for column in table.columns)
    for column in added:
        table.append_column(column)
    for old in [c for c in table.constraints if c.name == dropped]:
        table.constraints.remove(old)
    for check in checks:
        table.append_constraint(check)
    bind.exec_driver_sql(f"CREATE TABLE kept AS SELECT * FROM {name}")  # noqa: S608  names from above only
    bind.exec_driver_sql(f"DROP TABLE {name}")
    bind.execute(CreateTable(table))
    for index in sorted(table.indexes, key=lambda i: str(i.name)):
        bind.execute(CreateIndex(index))
    into = ", ".join([held, *filled])
    values = ", ".join([held, *filled.values()])
    bind.exec_driver_sql(f"INSERT INTO {name} ({into}) SELECT {values} FROM kept ORDER BY rowid")  # noqa: S608
    bind.exec_driver_sql("DROP TABLE kept")


def _receipt() -> None:
    known = _check("receipt", "known_kind", f"kind IN ({_KINDS})")
    _alter("receipt", [], [known], {}, dropped="ck_receipt_known_kind")
    if op.get_context().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER receipt_no_{verb.lower()} BEFORE {verb} ON receipt "
                "BEGIN SELECT RAISE(ABORT, 'receipts are only ever added'); END"
            )
    last = "(SELECT r.at FROM receipt r WHERE r.dataset = kept.dataset AND r.seq = kept.seq)"
    _alter("chain", [_whole("at")], [], {"at": last})


def _tell_rows() -> None:
    """Fill in what only the receipts tell: when accounts were opened, and when and from what charges took."""
    bind = op.get_bind()
    told = bind.exec_driver_sql(
        "SELECT kind, charge, at, body FROM receipt WHERE kind IN ('opened', 'charge') ORDER BY dataset, seq"
    )
    opened: list[tuple[int, str]] = []
    charged: dict[int, tuple[str, int]] = {}
    tallies: dict[tuple[str, int], list[int]] = {}
    for kind, charge, at, body in told:
        content = json.loads(body)
        if kind == "opened":
            opened.append((at, content["account"]))
        elif charge not in charged:
            charged[charge] = (content["accounts"][0].split("/")[0], at)
            for account in content["accounts"]:
                if account.count("/") == 3:
                    sums = tallies.setdefault((account, at // _SECONDS_A_DAY), [0] * (1 + 2 * (_ORDERS + 1)))
                    _add(sums, content["loss"], content["surcharges"].get(account))
    if opened:
        bind.exec_driver_sql("UPDATE account SET since = ? WHERE id = ?", opened)
    if charged:
        bind.exec_driver_sql(
            "UPDATE charge SET population = ?, at = ? WHERE id = ?",
            [(population, at, charge) for charge, (population, at) in charged.items()],
        )
    if tallies:
        names = ["account", "day", "tier", "charges", *_names("spent"), *_names("surcharge"), "amount"]
        marks = ", ".join("?" * len(names))
        bind.exec_driver_sql(
            f"INSERT INTO tally ({', '.join(names)}) VALUES ({marks})",  # noqa: S608
            [(account, day, "", *sums, 0) for (account, day), sums in tallies.items()],
        )


def _add(sums: list[int], loss: dict[str, Any], surcharge: dict[str, Any] | None) -> None:
    sums[0] += 1
    for start, more in ((1, loss), (2 + _ORDERS, surcharge)):
        values = [] if more is None else [*more["renyi"], more["delta"]]
        for i, value in enumerate(values, start):
            sums[i] = min(sums[i] + value, _INFINITE)


def upgrade() -> None:
    """Make the second schema of the first, with all that it held."""
    _account()
    _charge()
    _receipt()
    _alter("token", [_text("project")], [], {"project": "'default'"})
    _job()
    _tally()
    _ledger()
    bind = op.get_bind()
    last = bind.exec_driver_sql("SELECT coalesce(max(at), 0) FROM receipt").scalar_one()
    # Entries up to `created` may be unsigned: those of the first schema.
    ledger = sa.table("ledger", sa.column("id"), sa.column("created"))
    bind.execute(ledger.insert().values(id=secrets.token_hex(16), created=max(int(time.time()), last)))
    if op.get_context().dialect.name == "sqlite":
        _tell_rows()
        if bind.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
            raise LedgerUnavailable(
                "rows of this ledger name others that it does not hold; it is left as it was",
                "put the ledger back from a backup",
            )
