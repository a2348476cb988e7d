"""Bearer tokens: 256 random bits, of which the ledger keeps a SHA-256.

A token reads `ng_<id>_<secret>`; the id is a lookup prefix and no secret. With 256 random bits a fast
hash is enough: there is nothing to guess that a slow one would protect.
"""

import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import BigInteger, bindparam, insert, select, update

from noisegate.errors import NotFound
from noisegate.ledger import schema
from noisegate.ledger.records import Role, Token, canonical
from noisegate.ledger.transaction import Row, Transaction

_PREFIX = "ng"
_ID_BYTES = 6
_SECRET_BYTES = 32

_t = schema.token.c
_COLUMNS = (_t.id, _t.name, _t.role, _t.grants, _t.created, _t.expires, _t.revoked, _t.project)
_ADD = insert(schema.token)
_ONE = select(_t.secret_hash, *_COLUMNS).where(_t.id == bindparam("of"))
_EVERY = select(*_COLUMNS).order_by(_t.created, _t.id)
_REVOKE = (
    update(schema.token)
    .where(_t.id == bindparam("of"), _t.revoked.is_(None))
    .values({_t.revoked: bindparam("now", type_=BigInteger)})
)


def make(
    name: str,
    role: Role,
    grants: tuple[str, ...] | Literal["*"],
    created: int,
    expires: datetime | None,
    project: str,
) -> tuple[Token, str]:
    """Return a new token and its secret. Raises ValueError for a time without a zone."""
    if not name:
        raise ValueError("a token has a name")
    if expires is not None and expires.tzinfo is None:
        raise ValueError("expires has a time zone")
    id_ = secrets.token_hex(_ID_BYTES)
    secret = f"{_PREFIX}_{id_}_{secrets.token_hex(_SECRET_BYTES)}"
    ends = None if expires is None else _time(int(expires.timestamp()))
    held: tuple[str, ...] | Literal["*"] = "*" if grants == "*" else tuple(sorted(set(grants)))
    return Token(id_, name, role, held, _time(created), ends, None, project), secret


def add(transaction: Transaction, token: Token, secret: str) -> None:
    """Store a token."""
    transaction.change(
        _ADD,
        id=token.id,
        name=token.name,
        role=token.role.value,
        grants=canonical(token.grants),
        secret_hash=hash_of(secret),
        created=int(token.created.timestamp()),
        expires=None if token.expires is None else int(token.expires.timestamp()),
        revoked=None,
        project=token.project,
    )


def find(transaction: Transaction, secret: str) -> Token | None:
    """Return the token of a secret, revoked and expired ones too, None where there is none."""
    parts = secret.split("_")
    named = parts[1] if len(parts) == 3 and parts[0] == _PREFIX else ""
    row = transaction.row(_ONE, of=named)
    # Compared even where no such id exists, so that time does not tell which ids do.
    same = hmac.compare_digest(hash_of(secret), row[0] if row is not None else "0" * 64)
    return _token_of(row[1:]) if row is not None and same else None


def read_all(transaction: Transaction) -> tuple[Token, ...]:
    """Return all tokens, oldest first."""
    return tuple(_token_of(row) for row in transaction.rows(_EVERY))


def revoke(transaction: Transaction, token: str, at: int) -> None:
    """Revoke a token; one that is revoked already stays as it is."""
    if transaction.row(_ONE, of=token) is None:
        raise NotFound(f"there is no token {token!r}", "`noisegate token list` shows the ids")
    transaction.change(_REVOKE, of=token, now=at)


def hash_of(secret: str) -> str:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _token_of(row: Row) -> Token:
    id_, name, role, grants, created, expires, revoked, project = row
    listed = json.loads(grants)
    return Token(
        id_,
        name,
        Role(role),
        "*" if listed == "*" else tuple(listed),
        _time(created),
        None if expires is None else _time(expires),
        None if revoked is None else _time(revoked),
        project,
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
