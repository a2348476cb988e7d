"""Registered versions of datasets: a number anyone may know, counted up by each registration.

Registering unchanged data gives a new number too: whether private rows changed is not public.
"""

from sqlalchemy import BigInteger, bindparam, func, insert, select

from noisegate.ledger import schema
from noisegate.ledger.chain import append
from noisegate.ledger.receipts import registration
from noisegate.ledger.records import DataVersion, ReceiptKind
from noisegate.ledger.transaction import Row, Transaction

_v = schema.data_version.c
_COLUMNS = (_v.dataset, _v.version, _v.declaration, _v.digest)
_LAST = select(func.max(_v.version)).where(_v.dataset == bindparam("of"))
_ADD = insert(schema.data_version)
_ONE = select(*_COLUMNS).where(
    _v.dataset == bindparam("of"), _v.version == bindparam("which", type_=BigInteger)
)
_EVERY = select(*_COLUMNS).order_by(_v.dataset, _v.version)


def register(transaction: Transaction, dataset: str, declaration: str, digest: str) -> int:
    """Add a version and return its number."""
    version = (current(transaction, dataset) or 0) + 1
    added = DataVersion(dataset, version, declaration, digest)
    transaction.change(_ADD, dataset=dataset, version=version, declaration=declaration, digest=digest)
    append(transaction, dataset, ReceiptKind.REGISTERED, registration(added))
    return version


def current(transaction: Transaction, dataset: str) -> int | None:
    """Return the number of the last version, None where none is registered."""
    row = transaction.row(_LAST, of=dataset)
    return None if row is None else row[0]


def one(transaction: Transaction, dataset: str, version: int) -> DataVersion | None:
    """Return a version, None where there is no such one."""
    row = transaction.row(_ONE, of=dataset, which=version)
    return None if row is None else _version_of(row)


def read_all(transaction: Transaction) -> tuple[DataVersion, ...]:
    """Return all versions of all datasets."""
    return tuple(_version_of(row) for row in transaction.rows(_EVERY))


def _version_of(row: Row) -> DataVersion:
    dataset, version, declaration, digest = row
    return DataVersion(dataset, version, declaration, digest)
