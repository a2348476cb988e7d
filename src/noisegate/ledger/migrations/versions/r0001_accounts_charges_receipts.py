"""Accounts, charges, receipts, answers, suspensions, data versions and tokens.

Written out apart from `schema.py`, which may move on: this is what the first ledgers were made with.
There is no way down, since a ledger is never unmade.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ORDERS = 17


def _vector(prefix: str, *, start: str | None = None) -> list[sa.Column[int]]:
    names = [*(f"{prefix}_{i}" for i in range(_ORDERS)), f"{prefix}_delta"]
    default = None if start is None else sa.text(start)
    return [sa.Column(name, sa.BigInteger(), nullable=False, server_default=default) for name in names]


def _all(prefix: str, condition: str) -> str:
    return " AND ".join(f"{c.name} {condition}" for c in _vector(prefix))


def _account() -> None:
    within = " OR ".join(f"spent_{i} <= capacity_{i} - surcharge_{i}" for i in range(_ORDERS))
    op.create_table(
        "account",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("chain", sa.String(), nullable=False),
        sa.Column("epsilon", sa.BigInteger(), nullable=False),
        sa.Column("delta", sa.BigInteger(), nullable=False),
        sa.Column("delta_keys", sa.BigInteger(), nullable=False),
        *_vector("capacity"),
        *_vector("spent", start="0"),
        *_vector("surcharge", start="0"),
        sa.Column("charges", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.CheckConstraint(
            "kind IN ('population', 'dataset', 'project', 'analyst')", name=op.f("ck_account_known_kind")
        ),
        sa.CheckConstraint("(parent IS NULL) = (kind = 'population')", name=op.f("ck_account_rooted")),
        sa.CheckConstraint(within, name=op.f("ck_account_within_some_order")),
        sa.CheckConstraint(
            "spent_delta <= capacity_delta - surcharge_delta", name=op.f("ck_account_within_delta")
        ),
        sa.CheckConstraint(_all("spent", ">= 0"), name=op.f("ck_account_spent_not_negative")),
        sa.CheckConstraint(_all("surcharge", ">= 0"), name=op.f("ck_account_surcharge_not_negative")),
        sa.CheckConstraint(
            f"kind = 'analyst' OR ({_all('surcharge', '= 0')})", name=op.f("ck_account_surcharge_on_analysts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.ForeignKeyConstraint(["parent"], ["account.id"], name=op.f("fk_account_parent")),
    )
    dataset = sa.text("kind = 'dataset'")
    op.create_index(
        "one_account_a_dataset",
        "account",
        ["chain"],
        unique=True,
        sqlite_where=dataset,
        postgresql_where=dataset,
    )


def _charge() -> None:
    op.create_table(
        "charge",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("datasets", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=True),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("request_hash", sa.String(), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'answered', 'failed', 'lost')", name=op.f("ck_charge_known_state")
        ),
        sa.CheckConstraint(
            "(principal IS NULL) = (key IS NULL) AND (key IS NULL) = (request_hash IS NULL)",
            name=op.f("ck_charge_whole_key"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charge")),
        sa.UniqueConstraint("principal", "key", name=op.f("uq_charge_principal_key")),
    )
    still_open = sa.text("state = 'open'")
    op.create_index("open_charges", "charge", ["id"], sqlite_where=still_open, postgresql_where=still_open)


def _receipt() -> None:
    op.create_table(
        "receipt",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("charge", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('opened', 'registered', 'charge', 'answer', 'failed', 'lost', 'unsuspended')",
            name=op.f("ck_receipt_known_kind"),
        ),
        sa.CheckConstraint("seq >= 1", name=op.f("ck_receipt_counted_from_one")),
        sa.PrimaryKeyConstraint("dataset", "seq", name=op.f("pk_receipt")),
        sa.ForeignKeyConstraint(["charge"], ["charge.id"], name=op.f("fk_receipt_charge")),
    )
    op.create_index("receipts_of_charge", "receipt", ["charge"])
    op.create_table(
        "chain",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("dataset", name=op.f("pk_chain")),
    )


def _answer() -> None:
    op.create_table(
        "answer",
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("charge", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_answer")),
        sa.ForeignKeyConstraint(["charge"], ["charge.id"], name=op.f("fk_answer_charge")),
    )
    op.create_table(
        "suspension",
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("charge", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_suspension")),
        sa.ForeignKeyConstraint(["charge"], ["charge.id"], name=op.f("fk_suspension_charge")),
    )


def _data_version() -> None:
    op.create_table(
        "data_version",
        sa.Column("dataset", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("declaration", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_data_version_counted_from_one")),
        sa.PrimaryKeyConstraint("dataset", "version", name=op.f("pk_data_version")),
    )


def _token() -> None:
    op.create_table(
        "token",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("grants", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.String(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('custodian', 'analyst', 'auditor')", name=op.f("ck_token_known_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
    )


def upgrade() -> None:
    """Make the first schema. Triggers keep receipts and answers from being changed."""
    _account()
    _charge()
    _receipt()
    _answer()
    _data_version()
    _token()
    if op.get_context().dialect.name == "sqlite":
        for table in ("receipt", "answer"):
            for verb in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table}s are only ever added'); END"
                )
    else:
        op.execute(
            "CREATE FUNCTION only_ever_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', "
            "MESSAGE = TG_TABLE_NAME || 's are only ever added'; END $$"
        )
        for table in ("receipt", "answer"):
            op.execute(
                f"CREATE TRIGGER {table}_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION only_ever_added()"
            )
