"""The peer on SQLite: the plain way to charge a ledger, one commit a charge.

Every client has a connection of its own and waits for the others as SQLite has it wait: BEGIN IMMEDIATE, a
conditional UPDATE of each account with the filter as its condition, the charge, the day's tally, the receipt
with its hash, COMMIT with a full sync. It writes the tables of a ledger that Noisegate made and has shut, and
what it leaves behind passes the ledger's own check: nothing is left out that ours does.
"""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from noisegate.ledger import schema
from noisegate.ledger.receipts import link
from noisegate.ledger.records import Charge, ReceiptKind, canonical, charge_body
from noisegate.ledger.sqlite import LEDGER_FILE
from noisegate.privacy.loss import INFINITE, ZERO, Loss

BUSY_SECONDS = 60.0
DAY = 86_400
_SPENT = (*schema.SPENT, "spent_delta")
_SURCHARGE = (*schema.SURCHARGE, "surcharge_delta")


def _sum(table: str, held: str, added: str) -> str:
    """Return a column plus a value, or INFINITE where that would leave 64 bits."""
    return (
        f"CASE WHEN {table}.{held} >= {INFINITE} - {added} THEN {INFINITE} ELSE {table}.{held} + {added} END"
    )


def _new(held: str) -> str:
    return _sum("account", held, f":{held}")


_WITHIN = " OR ".join(
    f"{_new(s)} <= {c} - ({_new(x)})"
    for s, c, x in zip(schema.SPENT, schema.CAPACITY, schema.SURCHARGE, strict=True)
)
_TAKE = f"""
    UPDATE account SET {", ".join(f"{n} = {_new(n)}" for n in (*_SPENT, *_SURCHARGE))},
        charges = charges + 1, version = version + 1
    WHERE id = :id AND state = 'open' AND (until IS NULL OR until > :at) AND ({_WITHIN})
        AND {_new("spent_delta")} <= capacity_delta - ({_new("surcharge_delta")})
    RETURNING period
"""
_CHARGE = """
    INSERT INTO charge (fingerprint, datasets, state, population, asker, tier, conditions, at, replica)
    VALUES (?, ?, 'open', ?, ?, ?, ?, ?, 0)
"""
_END = "SELECT seq, hash, at FROM chain WHERE dataset = ?"
_COUNTED = ("charges", *_SPENT, *_SURCHARGE, "amount")
_TALLY = f"""
    INSERT INTO tally (account, day, tier, {", ".join(_COUNTED)})
    VALUES (:id, :day, :tier, 1, {", ".join(f":{n}" for n in (*_SPENT, *_SURCHARGE))}, :amount)
    ON CONFLICT DO UPDATE SET {", ".join(f"{n} = {_sum('tally', n, f'excluded.{n}')}" for n in _COUNTED)}
    WHERE tally.amount + :amount <= :most
"""


class Plain:
    """The books in a state directory, charged plainly. Nothing but a charge without a key is supported."""

    def __init__(self, place: Path) -> None:
        self._file = place / LEDGER_FILE

    def connect(self) -> Callable[[Charge], int]:
        """Return what charges the books over a connection of its own; that returns the charge's number."""
        connection = sqlite3.connect(
            self._file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

        def charge(wanted: Charge) -> int:
            body = charge_body(wanted)
            connection.execute("BEGIN IMMEDIATE")
            try:
                number = _charge(connection, wanted, body)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            return number

        return charge


def _charge(connection: sqlite3.Connection, wanted: Charge, body: tuple[str, str]) -> int:
    """Take a charge within a transaction, or raise."""
    if wanted.idempotency is not None or wanted.daily is None or wanted.steps is not None:
        raise NotImplementedError("the peer charges plain questions alone")
    found = connection.execute("SELECT 1 FROM suspension WHERE fingerprint = ?", (wanted.fingerprint,))
    if found.fetchone() is not None:
        raise RuntimeError("the plan is suspended")
    ends = {
        dataset: connection.execute(
            "SELECT seq, hash, at FROM chain WHERE dataset = ?", (dataset,)
        ).fetchone()
        for dataset in sorted(wanted.datasets)
    }
    at = max(int(time.time()), *(at for _, _, at in ends.values()))
    loss = _named(_SPENT, wanted.loss)
    periods = {}
    for account in sorted(wanted.accounts):
        added = loss | _named(_SURCHARGE, wanted.surcharges.get(account, ZERO))
        row = connection.execute(_TAKE, added | {"id": account, "at": at}).fetchone()
        if row is None:
            raise RuntimeError(f"account {account} cannot bear the charge")
        (periods[account],) = row
        if account.count("/") == 3:
            counted = {"id": account, "day": at // DAY, "tier": wanted.tier}
            counted |= {"amount": wanted.daily.amount, "most": wanted.daily.limit}
            if connection.execute(_TALLY, added | counted).rowcount != 1:
                raise RuntimeError("the day's maximum does not allow the charge")
    row = (wanted.fingerprint, canonical(sorted(wanted.datasets)), wanted.accounts[0], wanted.asker)
    row += (wanted.tier, wanted.conditions, at)
    number = connection.execute(_CHARGE, row).lastrowid
    assert number is not None
    text = canonical(periods).join(body)
    for dataset, (seq, previous, _) in ends.items():
        made = link(previous, dataset, seq + 1, ReceiptKind.CHARGE, number, at, text)
        connection.execute(
            "INSERT INTO receipt VALUES (?, ?, 'charge', ?, ?, ?, ?, ?)",
            (dataset, made.seq, number, at, text, previous, made.hash),
        )
        connection.execute(
            "UPDATE chain SET seq = ?, hash = ?, at = ? WHERE dataset = ?",
            (made.seq, made.hash, at, dataset),
        )
    return number


def _named(names: tuple[str, ...], loss: Loss) -> dict[str, int]:
    return dict(zip(names, (*loss.renyi, loss.delta), strict=True))
