import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest

from noisegate.ledger import audit
from noisegate.ledger import told as audit_told
from noisegate.ledger.receipts import GENESIS, Fault, is_signed, link, linked, pack, registration
from noisegate.ledger.records import DataVersion, JobState, ReceiptKind, canonical
from noisegate.ledger.sqlite import LEDGER_FILE, SqliteSession
from noisegate.ledger.store import Daily, IdempotencyKey

ANA = "olmsted/liver/default/ana"
BEN = "olmsted/panel/default/ben"
CLEO = "olmsted/liver/default/cleo"


@pytest.fixture
def store():
    """What is done here is done to a file."""
    return "sqlite"


@pytest.fixture
def told(house):
    """A ledger in which everything has happened that a receipt can tell of."""
    ledger = house.ledger
    ledger.register_version("liver", "[liver]", "d1")
    house.open_path(BEN)
    house.answer("a")
    ledger.charge(
        house.wanted("b", surcharges={ANA: house.cent}, idempotency=IdempotencyKey("ana", "k", "r"))
    )
    house.reopen()
    ledger = house.ledger
    ledger.register_version("liver", "[liver]", "d1")
    both = ledger.charge(house.wanted("c", leaves=(ANA, BEN)))
    ledger.close(both.id, '"c"')
    ledger.fail(ledger.charge(house.wanted("d")).id, "timeout")
    ledger.fail(ledger.charge(house.wanted("e", leaves=(BEN,))).id, "timeout")
    ledger.unsuspend("e")
    ledger.charge(house.wanted("f"))
    jobs = [
        ledger.charge(replace(house.wanted(f"j{i}", house.cent.times(4)), steps=2, **facts)).id
        for i, facts in enumerate(({"tier": "clinical", "daily": Daily(4, 99)}, {"asker": "ana"}, {}))
    ]
    ledger.draw(jobs[0], house.cent)
    ledger.renew(ANA, None, until=ledger.now() + 10**6, by="cleo")
    ledger.end_job(jobs[0], JobState.FINISHED, answer='"j0"')
    ledger.end_job(jobs[1], JobState.CANCELLED)
    ledger.charge(house.wanted("g"))
    house.open_path(CLEO)
    ledger.transfer(ANA, CLEO, Fraction(1), by="cleo")
    ledger.strike((ANA, CLEO), "restricted_column", 2, {"question": "SELECT case_id FROM liver.patients"})
    ledger.suspend("olmsted/liver", "a question", by="cleo")
    ledger.resume("olmsted/liver", by="cleo")
    ledger.strike((CLEO,), "restricted_column", 2, {})
    report = ledger.verify()
    assert (report.fault, report.charges, report.keys) == (None, 10, {ledger.signer.public})
    return house


@pytest.fixture
def chain(told):
    receipts = told.ledger.receipts("liver", limit=1000)
    assert {r.kind for r in receipts} | {ReceiptKind.UNSUSPENDED} == set(ReceiptKind)
    return receipts


def heads(receipts):
    return {"liver": (receipts[-1].seq, receipts[-1].hash)}


def whole(receipts, ends):
    try:
        return list(linked(receipts, ends)) == list(receipts)
    except Fault:
        return False


def test_a_chain_as_recorded_is_whole(chain):
    assert whole(chain, heads(chain))
    assert chain[0].previous == GENESIS
    assert [r.seq for r in chain] == list(range(1, len(chain) + 1))


def test_a_single_changed_byte_breaks_the_chain(chain):
    ends = heads(chain)
    for i, receipt in enumerate(chain):
        for field in ("dataset", "body", "previous", "hash"):
            text = getattr(receipt, field)
            for at in range(0, len(text), 1 if len(text) < 100 else 13):
                changed = text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
                forged = replace(receipt, **{field: changed})
                assert not whole([*chain[:i], forged, *chain[i + 1 :]], ends), (receipt.id, field, at)


@pytest.mark.parametrize("field", ["seq", "at", "charge"])
def test_a_changed_number_breaks_the_chain(chain, field):
    for i, receipt in enumerate(chain):
        value = getattr(receipt, field)
        for other in (1, 2) if value is None else (value + 1, value - 1, value ^ 64):
            forged = replace(receipt, **{field: other})
            assert not whole([*chain[:i], forged, *chain[i + 1 :]], heads(chain))


def test_a_changed_kind_breaks_the_chain(chain):
    for i, receipt in enumerate(chain):
        for kind in set(ReceiptKind) - {receipt.kind}:
            forged = replace(receipt, kind=kind)
            assert not whole([*chain[:i], forged, *chain[i + 1 :]], heads(chain))


def test_a_receipt_left_out_added_or_moved_breaks_the_chain(chain):
    ends = heads(chain)
    for i in range(len(chain)):
        assert not whole([*chain[:i], *chain[i + 1 :]], ends)
        assert not whole([*chain[: i + 1], *chain[i:]], ends)
        for j in range(i):
            moved = list(chain)
            moved[i], moved[j] = moved[j], moved[i]
            assert not whole(moved, ends)
    last = chain[-1]
    more = link(last.hash, "liver", last.seq + 1, ReceiptKind.LOST, 1, last.at, "{}")
    assert not whole([*chain, more], ends)
    assert not whole([], ends)
    assert not whole(chain, {})


def test_two_different_receipts_never_pack_to_the_same_bytes():
    assert pack("ab", "c") != pack("a", "bc")
    assert pack("a", "", "b") != pack("a", "b", "")
    fields = ("liver", 1, ReceiptKind.CHARGE, 12, 3, "{}")
    assert link(GENESIS, *fields).hash != link(GENESIS, "liver", 11, ReceiptKind.CHARGE, 2, 3, "{}").hash


def test_the_hash_is_what_its_description_says():
    fields = ["noisegate receipt 1", GENESIS, "liver", "7", "charge", "3", "100", '{"a":1}']
    packed = b"".join(len(f).to_bytes(8, "big") + f.encode() for f in fields)
    made = link(GENESIS, "liver", 7, ReceiptKind.CHARGE, 3, 100, '{"a":1}')
    assert made.hash == hashlib.sha256(packed).hexdigest()


def test_a_registration_does_not_tell_whether_the_rows_are_the_same():
    first, second = (registration(DataVersion("liver", v, "[liver]", "same")) for v in (1, 2))
    assert first.replace('"version":1', '"version":2') != second
    assert "same" not in first


# What the check cannot see, because no receipt depends on it: tokens, gateways, the ledger's own name and
# Alembic's table. How far a job has drawn is on no receipt until it ends; the one that runs drew nothing.
COVERED = ("account", "tally", "charge", "job", "receipt", "chain", "answer", "suspension", "data_version")
UNCOVERED = {"replica"}


@pytest.mark.parametrize("table", COVERED)
def test_any_single_changed_value_or_missing_row_is_found(told, table, monkeypatch):
    """Every value of every row, and every row, changed behind the ledger's back."""
    tried = 0
    # The same signatures are looked at thousands of times.
    monkeypatch.setattr(audit_told, "is_signed", lambda said: checked(canonical(said)))
    with closing(sqlite3.connect(told.directory / LEDGER_FILE, isolation_level=None)) as tamper:
        tamper.execute("PRAGMA ignore_check_constraints = ON")
        tamper.execute("PRAGMA wal_autocheckpoint = 0")
        transaction = SqliteSession(tamper, int)
        tamper.execute("BEGIN")
        for (trigger,) in tamper.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            tamper.execute(f"DROP TRIGGER {trigger}")
        assert audit.verify_rows(transaction, told.ledger.keys).whole
        columns = {c[1] for c in tamper.execute(f"PRAGMA table_info({table})")} - UNCOVERED
        for (row,) in tamper.execute(f"SELECT rowid FROM {table}").fetchall():
            changes = [f"DELETE FROM {table} WHERE rowid = {row}"]
            changes += [f"UPDATE {table} SET {c} = {changed(c)} WHERE rowid = {row}" for c in columns]
            for change in changes:
                tamper.execute("SAVEPOINT attempt")
                tamper.execute(change)
                report = audit.verify_rows(transaction, told.ledger.keys)
                assert not report.whole, change
                tamper.execute("ROLLBACK TO attempt")
                tried += 1
        assert audit.verify_rows(transaction, told.ledger.keys).whole
        tamper.execute("ROLLBACK")
    assert tried > len(columns)


@cache
def checked(text):
    return is_signed(json.loads(text))


def changed(column):
    """Return an expression that differs from the column's value by one, in whatever type it has.

    Numbers that must be unique go far below all others instead.
    """
    step = 1_000 if column in ("id", "seq", "version", "charge") else 1
    return (
        f"CASE WHEN {column} IS NULL OR {column} = '' THEN 'x' "
        f"WHEN typeof({column}) = 'integer' THEN {column} - {step} "
        f"ELSE substr({column}, 1, length({column}) - 1) || char(unicode(substr({column}, -1)) + 1) END"
    )


def test_text_that_is_not_utf_8_is_a_fault_and_not_a_failure(told):
    with closing(sqlite3.connect(told.directory / LEDGER_FILE)) as tamper:
        tamper.execute("DROP TRIGGER receipt_no_update")
        tamper.execute("UPDATE receipt SET body = CAST(x'7bff7d' AS TEXT) WHERE seq = 2")
        tamper.commit()
    assert not told.ledger.verify().whole


def test_a_rewritten_chain_that_does_not_add_up_is_found(told):
    """Someone who makes all hashes fit again must still make the sums fit."""
    with closing(sqlite3.connect(told.directory / LEDGER_FILE, isolation_level=None)) as tamper:
        transaction = SqliteSession(tamper, int)
        tamper.execute("BEGIN")
        tamper.execute("DROP TRIGGER receipt_no_update")
        rows = transaction.rows(audit.chain.EVERY_RECEIPT)
        previous = GENESIS
        for receipt in (audit.chain.receipt_of(row) for row in rows if row[0] == "liver"):
            body = receipt.body
            if receipt.kind is ReceiptKind.CHARGE and '"steps":null' in body:
                body = body.replace('"delta":0,"renyi":[', '"delta":0,"renyi":[1', 1)
            new = link(previous, "liver", receipt.seq, receipt.kind, receipt.charge, receipt.at, body)
            tamper.execute(
                "UPDATE receipt SET body = ?, previous = ?, hash = ? WHERE dataset = 'liver' AND seq = ?",
                (body, previous, new.hash, receipt.seq),
            )
            tamper.execute("UPDATE chain SET hash = ? WHERE dataset = 'liver'", (new.hash,))
            previous = new.hash
        fault = audit.verify_rows(transaction, told.ledger.keys).fault
        tamper.execute("ROLLBACK")
    assert "not the sum of its charges" in fault or "tells of charge" in fault


@pytest.mark.parametrize("table", ["receipt", "answer"])
@pytest.mark.parametrize(
    "change", ["DELETE FROM {}", "UPDATE {} SET charge = 1", "REPLACE INTO {0} SELECT * FROM {0}"]
)
def test_the_database_itself_keeps_receipts_and_answers(told, table, change):
    with closing(sqlite3.connect(told.directory / LEDGER_FILE)) as tamper:
        tamper.execute("PRAGMA recursive_triggers = ON")
        with pytest.raises(sqlite3.IntegrityError, match="only ever added"):
            tamper.execute(change.format(table))


def test_receipts_are_read_in_pages_and_one_by_one(told):
    everything = told.ledger.receipts("liver", limit=1000)
    paged = []
    while page := told.ledger.receipts("liver", paged[-1].seq if paged else 0, 3):
        assert len(page) <= 3
        paged += page
    assert tuple(paged) == everything
    assert all(told.ledger.receipt(r.id) == r for r in everything)
    assert everything[0].id == "liver:1"
    assert told.ledger.receipt("population/olmsted:1").kind is ReceiptKind.OPENED
    for nonsense in (
        "liver:0",
        "liver:999",
        "liver",
        "liver:x",
        "",
        "liver:²",
        "nowhere:1",
        "liver:" + "9" * 30,
    ):
        assert told.ledger.receipt(nonsense) is None
