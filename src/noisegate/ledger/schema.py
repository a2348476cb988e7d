"""The ledger's tables. TRUSTED: the CHECK on `account` is the filter, stated a second time.

Losses are integers (nano-units of divergence, 1e-15 units of δ) in one column an order, so that the
database itself refuses a row that breaks the budget. 2^63 - 1 stands for "no bound"; no expression here
can leave 64 bits.
"""

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

from noisegate.ledger.accounts import AccountState, Kind
from noisegate.ledger.records import ChargeState, JobState, ReceiptKind, Role
from noisegate.privacy.loss import ORDERS

ORDER_COUNT = len(ORDERS)
METADATA = MetaData(
    naming_convention={
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def vector(prefix: str) -> tuple[str, ...]:
    """Return the names of the columns that hold one entry an order."""
    return tuple(f"{prefix}_{i}" for i in range(ORDER_COUNT))


CAPACITY, SPENT, SURCHARGE = vector("capacity"), vector("spent"), vector("surcharge")
FORMER, RESERVED, DRAWN = vector("former"), vector("reserved"), vector("drawn")


def _whole(names: tuple[str, ...], start: str | None = None) -> list[Column[int]]:
    default = None if start is None else text(start)
    return [Column(n, BigInteger, nullable=False, server_default=default) for n in names]


def _one_of(
    column: str, words: type[Kind | AccountState | ChargeState | JobState | ReceiptKind | Role]
) -> CheckConstraint:
    listed = ", ".join(f"'{w.value}'" for w in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"known_{column}")


def _not_negative(prefix: str) -> CheckConstraint:
    names = (*vector(prefix), f"{prefix}_delta")
    return CheckConstraint(" AND ".join(f"{n} >= 0" for n in names), name=f"{prefix}_not_negative")


# Written as a difference, because a sum of two 64-bit integers may leave 64 bits; see "Charge" in PROOFS.md.
WITHIN = " OR ".join(f"{s} <= {c} - {x}" for s, c, x in zip(SPENT, CAPACITY, SURCHARGE, strict=True))
WITHIN_DELTA = "spent_delta <= capacity_delta - surcharge_delta"

# `former` is what all periods before the present one lost; `version` counts what has changed the account.
account = Table(
    "account",
    METADATA,
    Column("id", String, primary_key=True),
    Column("parent", String, ForeignKey("account.id")),
    Column("kind", String, nullable=False),
    Column("chain", String, nullable=False),
    *_whole(("epsilon", "delta", "delta_keys")),
    *_whole((*CAPACITY, "capacity_delta")),
    *_whole((*SPENT, "spent_delta"), "0"),
    *_whole((*SURCHARGE, "surcharge_delta"), "0"),
    *_whole((*FORMER, "former_delta"), "0"),
    *_whole(("charges", "former_charges"), "0"),
    *_whole(("lifetime_epsilon", "lifetime_delta", "period", "since")),
    Column("until", BigInteger),
    Column("state", String, nullable=False),
    Column("reason", Text, nullable=False),
    *_whole(("strikes", "version"), "0"),
    _one_of("kind", Kind),
    _one_of("state", AccountState),
    CheckConstraint("(parent IS NULL) = (kind = 'population')", name="rooted"),
    CheckConstraint("period >= 1", name="counted_from_one"),
    CheckConstraint("until IS NULL OR until > since", name="ends_after_it_began"),
    CheckConstraint(WITHIN, name="within_some_order"),
    CheckConstraint(WITHIN_DELTA, name="within_delta"),
    _not_negative("spent"),
    _not_negative("surcharge"),
    _not_negative("former"),
    CheckConstraint(
        "kind = 'analyst' OR (" + " AND ".join(f"{s} = 0" for s in (*SURCHARGE, "surcharge_delta")) + ")",
        name="surcharge_on_analysts",
    ),
    Index(
        "one_account_a_dataset",
        "chain",
        unique=True,
        sqlite_where=text("kind = 'dataset'"),
        postgresql_where=text("kind = 'dataset'"),
    ),
)

charge = Table(
    "charge",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("fingerprint", String, nullable=False),
    Column("datasets", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("principal", String),
    Column("key", String),
    Column("request_hash", String),
    Column("population", String, nullable=False),
    Column("asker", String, nullable=False),
    Column("tier", String, nullable=False),
    Column("conditions", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("replica", BigInteger, nullable=False),
    _one_of("state", ChargeState),
    UniqueConstraint("principal", "key"),
    CheckConstraint(
        "(principal IS NULL) = (key IS NULL) AND (key IS NULL) = (request_hash IS NULL)", name="whole_key"
    ),
    Index("open_charges", "id", sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'")),
    Index("charges_of_asker", "asker", "id"),
)

# What a charge in steps has reserved and drawn. `periods` names the period of each account it was taken in.
job = Table(
    "job",
    METADATA,
    Column("charge", BigInteger, ForeignKey("charge.id"), primary_key=True, autoincrement=False),
    Column("asker", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("datasets", Text, nullable=False),
    Column("state", String, nullable=False),
    *_whole((*RESERVED, "reserved_delta")),
    *_whole((*DRAWN, "drawn_delta"), "0"),
    *_whole(("steps",)),
    *_whole(("steps_drawn",), "0"),
    *_whole(("created", "changed")),
    Column("periods", Text, nullable=False),
    _one_of("state", JobState),
    CheckConstraint(
        " AND ".join(
            f"{d} <= {r}" for d, r in zip((*DRAWN, "drawn_delta"), (*RESERVED, "reserved_delta"), strict=True)
        ),
        name="drawn_of_reserved",
    ),
    _not_negative("drawn"),
    CheckConstraint("steps >= 1 AND steps_drawn BETWEEN 0 AND steps", name="steps_of_schedule"),
)

# What an analyst's account was charged on a day for a tier, over all its periods.
tally = Table(
    "tally",
    METADATA,
    Column("account", String, ForeignKey("account.id"), primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("tier", String, primary_key=True),
    *_whole(("charges",)),
    *_whole((*SPENT, "spent_delta")),
    *_whole((*SURCHARGE, "surcharge_delta")),
    *_whole(("amount",)),
    _not_negative("spent"),
    _not_negative("surcharge"),
    CheckConstraint("charges >= 0 AND amount >= 0", name="not_negative"),
)

receipt = Table(
    "receipt",
    METADATA,
    Column("dataset", String, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("charge", BigInteger, ForeignKey("charge.id")),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("previous", String, nullable=False),
    Column("hash", String, nullable=False),
    _one_of("kind", ReceiptKind),
    CheckConstraint("seq >= 1", name="counted_from_one"),
    Index("receipts_of_charge", "charge"),
)

chain = Table(
    "chain",
    METADATA,
    Column("dataset", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String, nullable=False),
    Column("at", BigInteger, nullable=False),
)

answer = Table(
    "answer",
    METADATA,
    Column("fingerprint", String, primary_key=True),
    Column("charge", BigInteger, ForeignKey("charge.id"), nullable=False),
    Column("text", Text, nullable=False),
)

suspension = Table(
    "suspension",
    METADATA,
    Column("fingerprint", String, primary_key=True),
    Column("charge", BigInteger, ForeignKey("charge.id"), nullable=False),
    Column("reason", String, nullable=False),
)

data_version = Table(
    "data_version",
    METADATA,
    Column("dataset", String, primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("declaration", Text, nullable=False),
    Column("digest", String, nullable=False),
    CheckConstraint("version >= 1", name="counted_from_one"),
)

token = Table(
    "token",
    METADATA,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("grants", Text, nullable=False),
    Column("secret_hash", String, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("revoked", BigInteger),
    Column("project", String, nullable=False),
    _one_of("role", Role),
)

# One row: which ledger this is, whatever server or file it lies in.
ledger = Table(
    "ledger",
    METADATA,
    Column("id", String, primary_key=True),
    Column("created", BigInteger, nullable=False),
)

# Gateways that ever opened this ledger on a server; each holds a lock on its number while it lives.
replica = Table(
    "replica",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("started", BigInteger, nullable=False),
)

APPEND_ONLY = (receipt, answer)

for _table in APPEND_ONLY:
    for _verb in ("UPDATE", "DELETE"):
        event.listen(
            _table,
            "after_create",
            DDL(  # type: ignore[no-untyped-call]
                f"CREATE TRIGGER {_table.name}_no_{_verb.lower()} BEFORE {_verb} ON {_table.name} "
                f"BEGIN SELECT RAISE(ABORT, '{_table.name}s are only ever added'); END"
            ).execute_if(dialect="sqlite"),
        )
