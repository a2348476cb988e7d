"""What becomes of a charge: an answer, a failure, or a loss in a crash. Its loss stays spent in each case.

Under one fingerprint there is one answer, the first that was closed; whoever computed another in the
meantime hands out the stored one, so that the same question never shows two draws of noise.
TRUSTED. PROOFS.md, "Stored answers".
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import BigInteger, bindparam, delete, exists, insert, select, update

from noisegate.errors import Conflict, NotFound
from noisegate.ledger import chain, schema
from noisegate.ledger.bulk import write
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
from noisegate.ledger.transaction import Row, Transaction, any_of, named
from noisegate.ledger.writer import Raised, Together

_c, _a, _s, _j = schema.charge.c, schema.answer.c, schema.suspension.c, schema.job.c

_COLUMNS = (_c.id, _c.fingerprint, _c.datasets, _c.state, _c.principal, _c.key, _c.request_hash)
_FACTS = (_c.population, _c.asker, _c.tier, _c.conditions, _c.at)
_CHARGES = select(*_COLUMNS).where(any_of(_c.id, "among")).order_by(_c.id).with_for_update()
_POPULATIONS = select(_c.population).where(any_of(_c.id, "among")).distinct()
_NOT_A_JOB = ~exists().where(_j.charge == _c.id)
_JOBS_AMONG = select(_j.charge).where(any_of(_j.charge, "among"))
_OPEN = select(*_COLUMNS).where(_c.state == ChargeState.OPEN.value, _NOT_A_JOB)
_EVERY_OPEN = _OPEN.order_by(_c.id)
_OPEN_OF = _OPEN.where(any_of(_c.replica, "among")).order_by(_c.id)
_OPEN_AMONG = _OPEN.where(any_of(_c.id, "among")).order_by(_c.id)
_REPLICAS = select(_c.replica).where(_c.state == ChargeState.OPEN.value, _NOT_A_JOB).distinct()
_SETTLE = (
    update(schema.charge)
    .where(_c.id == bindparam("of", type_=BigInteger), _c.state == ChargeState.OPEN.value)
    .values({_c.state: bindparam("to_state")})
)
EVERY_CHARGE = select(*_COLUMNS, *_FACTS).order_by(_c.id)
EVERY_ANSWER = select(_a.fingerprint, _a.charge, _a.text).order_by(_a.fingerprint)
EVERY_SUSPENSION = select(_s.fingerprint, _s.charge, _s.reason)
_STORED = select(_a.charge, _a.text).where(_a.fingerprint == bindparam("of"))
_STORED_AMONG = select(_a.fingerprint, _a.charge, _a.text).where(any_of(_a.fingerprint, "among"))
_STORE = insert(schema.answer)
_SUSPENSION = select(_s.charge, _s.reason).where(_s.fingerprint == bindparam("of"))
SUSPENDED_AMONG = select(_s.fingerprint).where(any_of(_s.fingerprint, "among"))
_SUSPENDED = (
    select(_s.fingerprint, _s.charge, _s.reason, _c.datasets).join_from(schema.suspension, schema.charge)
).order_by(_s.charge)
_SUSPEND = insert(schema.suspension)
_UNSUSPEND = delete(schema.suspension).where(_s.fingerprint == bindparam("of"))


@dataclass(frozen=True, slots=True)
class Closing:
    """An answer to be stored, with its SHA-256, for a charge; `job` where that is a job's, which ends."""

    charge: int
    text: str
    sha256: str
    job: bool = False


def closing(charge: int, text: str, *, job: bool = False) -> Closing:
    """Return the request to close a charge with an answer."""
    return Closing(charge, text, sha256(text), job)


def _populations(transaction: Transaction, requests: Sequence[Closing]) -> frozenset[str]:
    among = transaction.listed([r.charge for r in requests])
    return frozenset(row[0] for row in transaction.rows(_POPULATIONS, among=among))


def perform(transaction: Transaction, requests: Sequence[Closing]) -> list[StoredAnswer | Raised]:
    """Store the answers to charges, or find those stored under their fingerprints, and record which.

    Claim: each result is the one answer of its charge's fingerprint, stored, with its hash on a receipt
    of the charge, when the transaction has committed.
    Needs: the trees of the charges are held.
    Argued in PROOFS.md, "Stored answers".
    """
    listed = transaction.listed
    numbers = sorted({r.charge for r in requests})
    rows = {row[0]: charge_of(row) for row in transaction.rows(_CHARGES, among=listed(numbers))}
    fingerprints = sorted({row.fingerprint for row in rows.values()})
    datasets = sorted({dataset for row in rows.values() for dataset in row.datasets})
    answered = [n for n, row in rows.items() if row.state is ChargeState.ANSWERED]
    texts, heads, of_jobs, told = transaction.gather(
        (_STORED_AMONG, {"among": listed(fingerprints)}),
        (chain.HEADS, {"among": listed(datasets)}),
        (_JOBS_AMONG, {"among": listed(numbers)}),
        (chain.OF_CHARGES, {"among": listed(answered), "of_kind": ReceiptKind.ANSWER.value}),
    )
    stored = {fingerprint: Closing(charge, text, sha256(text)) for fingerprint, charge, text in texts}
    jobs = {row[0] for row in of_jobs}
    receipts: dict[int, list[Receipt]] = {}
    for receipt in map(chain.receipt_of, told):
        receipts.setdefault(receipt.charge or 0, []).append(receipt)
    ends = chain.links_of(transaction, heads)
    results: list[StoredAnswer | Raised] = []
    settled, added = [], []
    for request in requests:
        row = rows.get(request.charge)
        if row is None:
            results.append(Raised(NotFound(f"there is no charge {request.charge}")))
            continue
        if row.state is ChargeState.OPEN and row.id in jobs and not request.job:
            results.append(Raised(_ends_as_job(row.id)))
            continue
        if row.state is ChargeState.OPEN:
            if row.fingerprint not in stored:
                stored[row.fingerprint] = request
                added.append({"fingerprint": row.fingerprint, "charge": row.id, "text": request.text})
            answer = stored[row.fingerprint]
            body = canonical({"answer_of": answer.charge, "sha256": answer.sha256})
            receipts[row.id] = [ends.add(d, ReceiptKind.ANSWER, body, row.id) for d in row.datasets]
            settled.append({"of": row.id, "to_state": ChargeState.ANSWERED.value})
            rows[row.id] = replace(row, state=ChargeState.ANSWERED)
        elif row.state is not ChargeState.ANSWERED:
            results.append(Raised(_settled_already(row, ChargeState.ANSWERED)))
            continue
        answer = stored[row.fingerprint]
        results.append(
            StoredAnswer(row.fingerprint, answer.charge, answer.text, answer.sha256, tuple(receipts[row.id]))
        )
    write(transaction, named(_SETTLE, settled), named(_STORE, added), *ends.changes())
    return results


CLOSE: Together[Closing, StoredAnswer] = Together(_populations, perform)


def fail(transaction: Transaction, charge: int, reason: str, *, job: bool = False) -> None:
    """Mark a charge failed and suspend its fingerprint for everyone; `job` where a job fails, and ends so."""
    row = find_charge(transaction, charge)
    if row.state is ChargeState.FAILED:
        return
    of_job = bool(transaction.rows(_JOBS_AMONG, among=transaction.listed([charge])))
    if row.state is ChargeState.OPEN and of_job and not job:
        raise _ends_as_job(charge)
    settle(transaction, row, ChargeState.FAILED)
    if transaction.row(_SUSPENSION, of=row.fingerprint) is None:
        transaction.change(_SUSPEND, fingerprint=row.fingerprint, charge=charge, reason=reason)
    record(transaction, row, ReceiptKind.FAILED, {"reason": reason})


def unsuspend(transaction: Transaction, fingerprint: str) -> None:
    """Let a fingerprint be charged again."""
    suspended = transaction.row(_SUSPENSION, of=fingerprint)
    if suspended is None:
        raise NotFound("no plan with this fingerprint is suspended")
    transaction.change(_UNSUSPEND, of=fingerprint)
    row = find_charge(transaction, suspended[0])
    record(transaction, row, ReceiptKind.UNSUSPENDED, {"fingerprint": fingerprint})


def recover(transaction: Transaction, replicas: Collection[int] | None = None) -> int:
    """Settle the charges that a crash left open: spent, never answered. Returns how many.

    A job's charge stays open: what happens to jobs after a crash is theirs to say.

    Args:
        transaction: all trees are held.
        replicas: the gateways that are gone; None for any.
    """
    if replicas is None:
        return _lose(transaction, transaction.rows(_EVERY_OPEN))
    return _lose(transaction, transaction.rows(_OPEN_OF, among=transaction.listed(sorted(replicas))))


def lose(transaction: Transaction, charges: Collection[int]) -> int:
    """Settle charges that nobody was told of, and nobody will be: those of them that are there, and open.

    A job's charge stays open, as in `recover`. Returns how many there were; all trees are held.
    """
    return _lose(transaction, transaction.rows(_OPEN_AMONG, among=transaction.listed(sorted(charges))))


def _lose(transaction: Transaction, rows: Sequence[Row]) -> int:
    left = [charge_of(row) for row in rows]
    ends = chain.links(transaction, {dataset for row in left for dataset in row.datasets})
    for row in left:
        for dataset in row.datasets:
            ends.add(dataset, ReceiptKind.LOST, "{}", row.id)
    settled = [{"of": row.id, "to_state": ChargeState.LOST.value} for row in left]
    write(transaction, named(_SETTLE, settled), *ends.changes())
    return len(left)


def replicas_with_open_charges(transaction: Transaction) -> frozenset[int]:
    """Return the gateways that have taken charges, jobs' apart, that are not settled."""
    return frozenset(row[0] for row in transaction.rows(_REPLICAS))


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


def find_charge(transaction: Transaction, charge: int) -> ChargeRow:
    """Return a charge, held until the transaction ends. Raises NotFound."""
    row = transaction.row(_CHARGES, among=transaction.listed([charge]))
    if row is None:
        raise NotFound(f"there is no charge {charge}")
    return charge_of(row)


def charge_of(row: Row) -> ChargeRow:
    """Return the charge in a row."""
    id_, fingerprint, datasets, state, *key = row
    idempotency = None if key == [None, None, None] else IdempotencyKey(*key)
    return ChargeRow(id_, fingerprint, tuple(json.loads(datasets)), ChargeState(state), idempotency)


def settle(transaction: Transaction, row: ChargeRow, state: ChargeState) -> None:
    """Say what became of a charge, once. Raises Conflict where that was said before."""
    if transaction.change(_SETTLE, of=row.id, to_state=state.value) != 1:
        raise _settled_already(row, state)


def _ends_as_job(charge: int) -> Conflict:
    return Conflict(
        f"charge {charge} is a job's, and is settled when that ends",
        "end the job, which also gives back what it never drew",
    )


def _settled_already(row: ChargeRow, state: ChargeState) -> Conflict:
    return Conflict(
        f"charge {row.id} is {row.state.value} already, it cannot become {state.value}",
        "a charge is settled once; nothing computed for it afterwards may be released",
    )


def record(
    transaction: Transaction, row: ChargeRow, kind: ReceiptKind, body: dict[str, object]
) -> tuple[Receipt, ...]:
    """Add a receipt on a charge to the chain of each of its datasets."""
    ends, text = chain.links(transaction, row.datasets), canonical(body)
    receipts = tuple(ends.add(dataset, kind, text, row.id) for dataset in row.datasets)
    write(transaction, *ends.changes())
    return receipts
