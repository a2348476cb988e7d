"""What becomes of a charge: an answer, a failure, or a loss in a crash. Its loss stays spent in each case.

Under one fingerprint there is one answer, the first that was closed; whoever computed another in the
meantime hands out the stored one, so that the same question never shows two draws of noise.
"""

import hashlib
import json

from sqlalchemy import BigInteger, bindparam, delete, insert, select, update

from noisegate.errors import Conflict, NotFound
from noisegate.ledger import chain, schema
from noisegate.ledger.records import (
    ChargeRow,
    ChargeState,
    IdempotencyKey,
    Receipt,
    ReceiptKind,
    StoredAnswer,
    Suspended,
    canonical,
)
from noisegate.ledger.transaction import Row, Transaction

_c, _a, _s = schema.charge.c, schema.answer.c, schema.suspension.c

_COLUMNS = (_c.id, _c.fingerprint, _c.datasets, _c.state, _c.principal, _c.key, _c.request_hash)
_CHARGE = select(*_COLUMNS).where(_c.id == bindparam("of", type_=BigInteger)).with_for_update()
_OPEN = select(*_COLUMNS).where(_c.state == ChargeState.OPEN.value).order_by(_c.id)
_SETTLE = (
    update(schema.charge)
    .where(_c.id == bindparam("of", type_=BigInteger), _c.state == ChargeState.OPEN.value)
    .values({_c.state: bindparam("to_state")})
)
EVERY_CHARGE = select(*_COLUMNS).order_by(_c.id)
EVERY_ANSWER = select(_a.fingerprint, _a.charge, _a.text).order_by(_a.fingerprint)
EVERY_SUSPENSION = select(_s.fingerprint, _s.charge, _s.reason)
_STORED = select(_a.charge, _a.text).where(_a.fingerprint == bindparam("of"))
_STORE = insert(schema.answer)
_SUSPENSION = select(_s.charge, _s.reason).where(_s.fingerprint == bindparam("of"))
_SUSPENDED = (
    select(_s.fingerprint, _s.charge, _s.reason, _c.datasets).join_from(schema.suspension, schema.charge)
).order_by(_s.charge)
_SUSPEND = insert(schema.suspension)
_UNSUSPEND = delete(schema.suspension).where(_s.fingerprint == bindparam("of"))


def close(transaction: Transaction, charge: int, text: str, at: int) -> StoredAnswer:
    """Store the answer to a charge, or find the one stored under its fingerprint, and record which."""
    row = _find(transaction, charge)
    stored = transaction.row(_STORED, of=row.fingerprint)
    if row.state is ChargeState.ANSWERED:
        receipts = chain.of_charge(transaction, charge, ReceiptKind.ANSWER)
    else:
        _settle(transaction, row, ChargeState.ANSWERED)
        if stored is None:
            transaction.change(_STORE, fingerprint=row.fingerprint, charge=charge, text=text)
            stored = (charge, text)
        body = {"answer_of": stored[0], "sha256": sha256(stored[1])}
        receipts = _record(transaction, row, ReceiptKind.ANSWER, body, at)
    if stored is None:
        raise LookupError(f"charge {charge} is answered and its answer is missing")
    return StoredAnswer(row.fingerprint, stored[0], stored[1], sha256(stored[1]), receipts)


def fail(transaction: Transaction, charge: int, reason: str, at: int) -> None:
    """Mark a charge failed and suspend its fingerprint for everyone."""
    row = _find(transaction, charge)
    if row.state is ChargeState.FAILED:
        return
    _settle(transaction, row, ChargeState.FAILED)
    if transaction.row(_SUSPENSION, of=row.fingerprint) is None:
        transaction.change(_SUSPEND, fingerprint=row.fingerprint, charge=charge, reason=reason)
    _record(transaction, row, ReceiptKind.FAILED, {"reason": reason}, at)


def unsuspend(transaction: Transaction, fingerprint: str, at: int) -> None:
    """Let a fingerprint be charged again."""
    suspended = transaction.row(_SUSPENSION, of=fingerprint)
    if suspended is None:
        raise NotFound("no plan with this fingerprint is suspended")
    transaction.change(_UNSUSPEND, of=fingerprint)
    row = _find(transaction, suspended[0])
    _record(transaction, row, ReceiptKind.UNSUSPENDED, {"fingerprint": fingerprint}, at)


def recover(transaction: Transaction, at: int) -> int:
    """Settle the charges that a crash left open: spent, never answered. Returns how many."""
    left = [charge_of(row) for row in transaction.rows(_OPEN)]
    for row in left:
        _settle(transaction, row, ChargeState.LOST)
        _record(transaction, row, ReceiptKind.LOST, {}, at)
    return len(left)


def find(transaction: Transaction, fingerprint: str) -> StoredAnswer | None:
    """Return the answer under a fingerprint, with the receipts of the charge that it was closed on."""
    stored = transaction.row(_STORED, of=fingerprint)
    if stored is None:
        return None
    charge, text = stored
    receipts = chain.of_charge(transaction, charge, ReceiptKind.ANSWER)
    return StoredAnswer(fingerprint, charge, text, sha256(text), receipts)


def suspended(transaction: Transaction) -> tuple[Suspended, ...]:
    """Return the plans that are suspended now."""
    return tuple(
        Suspended(fingerprint, charge, reason, tuple(json.loads(datasets)))
        for fingerprint, charge, reason, datasets in transaction.rows(_SUSPENDED)
    )


def is_suspended(transaction: Transaction, fingerprint: str) -> bool:
    """Return whether a fingerprint is suspended."""
    return transaction.row(_SUSPENSION, of=fingerprint) is not None


def sha256(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _find(transaction: Transaction, charge: int) -> ChargeRow:
    row = transaction.row(_CHARGE, of=charge)
    if row is None:
        raise NotFound(f"there is no charge {charge}")
    return charge_of(row)


def charge_of(row: Row) -> ChargeRow:
    """Return the charge in a row."""
    id_, fingerprint, datasets, state, *key = row
    idempotency = None if key == [None, None, None] else IdempotencyKey(*key)
    return ChargeRow(id_, fingerprint, tuple(json.loads(datasets)), ChargeState(state), idempotency)


def _settle(transaction: Transaction, row: ChargeRow, state: ChargeState) -> None:
    if transaction.change(_SETTLE, of=row.id, to_state=state.value) != 1:
        raise Conflict(
            f"charge {row.id} is {row.state.value} already, it cannot become {state.value}",
            "a charge is settled once; nothing computed for it afterwards may be released",
        )


def _record(
    transaction: Transaction, row: ChargeRow, kind: ReceiptKind, body: dict[str, object], at: int
) -> tuple[Receipt, ...]:
    text = canonical(body)
    return tuple(
        chain.append(transaction, dataset, kind, text, at=at, charge=row.id) for dataset in row.datasets
    )
