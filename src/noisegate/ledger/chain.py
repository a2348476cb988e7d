"""Receipts as they are added and read. What their hashes are made of is in `receipts.py`."""

from sqlalchemy import BigInteger, Integer, bindparam, insert, select, update

from noisegate.ledger import schema
from noisegate.ledger.receipts import GENESIS, link
from noisegate.ledger.records import Receipt, ReceiptKind
from noisegate.ledger.transaction import Row, Transaction

_r, _c = schema.receipt.c, schema.chain.c
_COLUMNS = (_r.dataset, _r.seq, _r.kind, _r.charge, _r.at, _r.body, _r.previous, _r.hash)

_HEAD = select(_c.seq, _c.hash).where(_c.dataset == bindparam("of"))
_BEGIN_CHAIN = insert(schema.chain)
_MOVE_HEAD = (
    update(schema.chain)
    .where(_c.dataset == bindparam("of"), _c.seq == bindparam("from_seq", type_=BigInteger))
    .values({_c.seq: bindparam("to_seq", type_=BigInteger), _c.hash: bindparam("to_hash")})
)
_ADD = insert(schema.receipt)
_ONE = select(*_COLUMNS).where(_r.dataset == bindparam("of"), _r.seq == bindparam("at_seq", type_=BigInteger))
_AFTER = (
    select(*_COLUMNS)
    .where(_r.dataset == bindparam("of"), _r.seq > bindparam("after_seq", type_=BigInteger))
    .order_by(_r.seq)
    .limit(bindparam("most", type_=Integer))
)
_OF_CHARGE = (
    select(*_COLUMNS)
    .where(_r.charge == bindparam("of_charge", type_=BigInteger), _r.kind == bindparam("of_kind"))
    .order_by(_r.dataset, _r.seq)
)
EVERY_RECEIPT = select(*_COLUMNS).order_by(_r.dataset, _r.seq)
EVERY_HEAD = select(_c.dataset, _c.seq, _c.hash)


def append(
    transaction: Transaction,
    dataset: str,
    kind: ReceiptKind,
    body: str,
    *,
    at: int,
    charge: int | None = None,
) -> Receipt:
    """Add a receipt to a dataset's chain. `body` is canonical JSON."""
    head = transaction.row(_HEAD, of=dataset)
    seq, previous = (0, GENESIS) if head is None else head
    receipt = link(previous, dataset, seq + 1, kind, charge, at, body)
    transaction.change(
        _ADD,
        dataset=dataset,
        seq=receipt.seq,
        kind=kind.value,
        charge=charge,
        at=at,
        body=body,
        previous=previous,
        hash=receipt.hash,
    )
    if head is None:
        transaction.change(_BEGIN_CHAIN, dataset=dataset, seq=receipt.seq, hash=receipt.hash)
    else:
        transaction.change(_MOVE_HEAD, of=dataset, from_seq=seq, to_seq=receipt.seq, to_hash=receipt.hash)
    return receipt


def one(transaction: Transaction, dataset: str, seq: int) -> Receipt | None:
    """Return one receipt of a chain, None where there is none."""
    row = transaction.row(_ONE, of=dataset, at_seq=seq)
    return None if row is None else receipt_of(row)


def after(transaction: Transaction, dataset: str, seq: int, most: int) -> tuple[Receipt, ...]:
    """Return at most `most` receipts of a chain, from the one after `seq` on."""
    return tuple(receipt_of(r) for r in transaction.rows(_AFTER, of=dataset, after_seq=seq, most=most))


def of_charge(transaction: Transaction, charge: int, kind: ReceiptKind) -> tuple[Receipt, ...]:
    """Return the receipts of one kind on a charge, one a dataset."""
    found = transaction.rows(_OF_CHARGE, of_charge=charge, of_kind=kind.value)
    return tuple(receipt_of(r) for r in found)


def receipt_of(row: Row) -> Receipt:
    """Return the receipt in a row."""
    dataset, seq, kind, charge, at, body, previous, hash_ = row
    return Receipt(dataset, seq, ReceiptKind(kind), charge, at, body, previous, hash_)
