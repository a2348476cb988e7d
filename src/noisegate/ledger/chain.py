"""Receipts as they are added and read. What their hashes are made of is in `receipts.py`."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, Integer, bindparam, insert, select, update

from noisegate.ledger import schema
from noisegate.ledger.bulk import write
from noisegate.ledger.receipts import GENESIS, link
from noisegate.ledger.records import Receipt, ReceiptKind
from noisegate.ledger.transaction import Change, Row, Transaction, any_of

_r, _c = schema.receipt.c, schema.chain.c
_COLUMNS = (_r.dataset, _r.seq, _r.kind, _r.charge, _r.at, _r.body, _r.previous, _r.hash)

HEADS = select(_c.dataset, _c.seq, _c.hash).where(any_of(_c.dataset, "among"))
_BEGIN_CHAIN = insert(schema.chain)
_MOVE_HEAD = (
    update(schema.chain)
    .where(_c.dataset == bindparam("of"), _c.seq == bindparam("from_seq", type_=BigInteger))
    .values(
        {
            _c.seq: bindparam("to_seq", type_=BigInteger),
            _c.hash: bindparam("to_hash"),
            _c.at: bindparam("to_at", type_=BigInteger),
        }
    )
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
OF_CHARGES = (
    select(*_COLUMNS)
    .where(any_of(_r.charge, "among"), _r.kind == bindparam("of_kind"))
    .order_by(_r.dataset, _r.seq)
)
EVERY_RECEIPT = select(*_COLUMNS).order_by(_r.dataset, _r.seq)
EVERY_HEAD = select(_c.dataset, _c.seq, _c.hash, _c.at)


@dataclass(slots=True)
class Links:
    """Receipts to be added to chains, each after the one before it. `ends` are the heads that were read.

    `noted` is told where the chains end then.
    """

    ends: Mapping[str, tuple[int, str]]
    at: int
    noted: dict[str, tuple[int, str]]
    added: list[Receipt] = field(default_factory=list)
    _last: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, dataset: str, kind: ReceiptKind, body: str, charge: int | None = None) -> Receipt:
        """Add a receipt to a chain. `body` is canonical JSON."""
        seq, previous = self._last.get(dataset) or self.ends.get(dataset, (0, GENESIS))
        receipt = link(previous, dataset, seq + 1, kind, charge, self.at, body)
        self._last[dataset] = (receipt.seq, receipt.hash)
        self.added.append(receipt)
        return receipt

    def changes(self) -> tuple[Change, ...]:
        """Return what writes the receipts, and moves the heads from where they were read."""
        self.noted.update(self._last)
        begun = [
            (dataset, seq, head, self.at)
            for dataset, (seq, head) in self._last.items()
            if dataset not in self.ends
        ]
        moved = [
            (seq, head, self.at, dataset, self.ends[dataset][0])
            for dataset, (seq, head) in self._last.items()
            if dataset in self.ends
        ]
        rows = [
            (r.dataset, r.seq, r.kind.value, r.charge, r.at, r.body, r.previous, r.hash) for r in self.added
        ]
        return (
            Change(_ADD, tuple(c.name for c in _COLUMNS), rows),
            Change(_BEGIN_CHAIN, ("dataset", "seq", "hash", "at"), begun),
            Change(_MOVE_HEAD, ("to_seq", "to_hash", "to_at", "of", "from_seq"), moved),
        )


def links(transaction: Transaction, datasets: Collection[str]) -> Links:
    """Return the ends of chains, to add receipts to."""
    return links_of(transaction, transaction.rows(HEADS, among=transaction.listed(sorted(datasets))))


def links_of(transaction: Transaction, heads: Iterable[Row]) -> Links:
    """Return the ends of chains in rows of HEADS."""
    ends = {dataset: (seq, head) for dataset, seq, head in heads}
    return Links(ends, transaction.at, transaction.ends)


def append(
    transaction: Transaction, dataset: str, kind: ReceiptKind, body: str, *, charge: int | None = None
) -> Receipt:
    """Add a receipt to a dataset's chain. `body` is canonical JSON."""
    ends = links(transaction, [dataset])
    receipt = ends.add(dataset, kind, body, charge)
    write(transaction, *ends.changes())
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
