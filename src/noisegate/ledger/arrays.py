"""Values, and rows of values, as PostgreSQL reads them.

TRUSTED: a value arrives as it is or is refused. Many rows go as one array a column, so that a batch costs
the server as many statements as one charge does. PROOFS.md, "Durability".
"""

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import cast

import psycopg

from noisegate.ledger.transaction import Change, Text

Value = bytes | None
Sent = tuple[str, Sequence[Value]]

_BIND = re.compile(r"\$(\d+)::([A-Z]+)")


def filled(text: Text, values: Mapping[str, object]) -> Sent:
    """Return a statement with its values in order."""
    given = {**text.constants, **values}
    return text.sql, [value(given[name]) for name in text.binds]


def spread(text: Text, change: Change) -> Sent:
    """Return a statement that does for all rows of values at once what the given one does for one."""
    count = len(change.rows)
    columns = dict(zip(change.names, zip(*change.rows, strict=True), strict=True))
    columns |= {name: (constant,) * count for name, constant in text.constants.items()}
    places = _columns_of(text.sql)
    # Surcharges are, and δ is, 0 in most batches: half of all columns.
    nothing, zeros = (0,) * count, []
    arrays: list[Value] = []
    for (place, is_number), name in zip(places, text.binds, strict=True):
        column = columns[name]
        if column == nothing and is_number and place != places[-1][0]:
            zeros.append(place)
        else:
            arrays.append(_numbers(column) if is_number else array(column))
    return _over_rows(text.sql, frozenset(zeros)), arrays


def exactly(text: Text, change: Change) -> Sent:
    """Return the same, as a statement that divides by zero unless each row of values changes one row."""
    sql, arrays = spread(text, change)
    return _counted(sql, len(arrays) + 1), [*arrays, value(len(change.rows))]


def value(given: object) -> Value:
    r"""Return a value as PostgreSQL reads it.

    >>> value(True), value(-3), value("ε"), value(None)
    (b't', b'-3', b'\xce\xb5', None)
    """
    if given is None or isinstance(given, bytes):
        return given
    if isinstance(given, bool):
        return b"t" if given else b"f"
    return _encoded(str(given))


def array(given: Collection[object]) -> bytes:
    r"""Return values as one PostgreSQL array.

    >>> array([1, -2]), array(["a", None, 'say "no" \\'])
    (b'{1,-2}', b'{"a",NULL,"say \\"no\\" \\\\"}')
    """
    try:
        text = "\0".join(cast("Collection[str]", given))
    except TypeError:  # not texts alone
        return _encoded("{" + ",".join(map(_element, given)) + "}")
    # All at once, as every asker waits for it; but a NUL may have been in one of them.
    if text.count("\0") != max(len(given) - 1, 0):
        return _encoded(text)  # which refuses it
    return _encoded('{"' + _escaped(text).replace("\0", '","') + '"}') if given else b"{}"


def _numbers(given: Collection[object]) -> bytes:
    """Return numbers, of which some may be missing, as one array, quicker than `array`.

    >>> _numbers((1, None, -2))
    b'{1, NULL, -2}'
    """
    text = str(list(given))
    return b"{%b}" % (text.replace("None", "NULL") if "None" in text else text)[1:-1].encode()


def _element(given: object) -> str:
    if isinstance(given, str):
        return f'"{_escaped(given)}"'
    if given is None:
        return "NULL"
    if isinstance(given, bool):
        return "t" if given else "f"
    return str(given)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"') if '"' in text or "\\" in text else text


def _encoded(text: str) -> bytes:
    """Return a text in UTF-8. Raises psycopg.DataError for one that PostgreSQL cannot hold."""
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise psycopg.DataError("a text is not Unicode") from error
    if b"\0" in encoded:
        # libpq would end the text there and say nothing.
        raise psycopg.DataError("a text has a NUL in it")
    return encoded


@cache
def _columns_of(sql: str) -> list[tuple[str, bool]]:
    """Return the places of a statement's binds, and whether each is of a number."""
    types = dict(_BIND.findall(sql))
    return [(place, types[place] == "BIGINT") for place in sorted(types, key=int)]


@cache
def _over_rows(sql: str, zeros: frozenset[str]) -> str:
    """Return an INSERT or UPDATE of one row as one over the rows of arrays; `zeros` are binds that are all 0.

    >>> print(_over_rows("INSERT INTO t (a, b) VALUES ($1::BIGINT, $2::VARCHAR)", frozenset()))
    INSERT INTO t (a, b) SELECT v.v1, v.v2 FROM unnest($1::BIGINT[], $2::VARCHAR[]) AS v (v1, v2)
    >>> print(_over_rows("UPDATE t SET a=$2::BIGINT, b=$1::BIGINT WHERE t.id = $3::VARCHAR", frozenset("1")))
    UPDATE t SET a=v.v2, b=0 FROM unnest($1::BIGINT[], $2::VARCHAR[]) AS v (v2, v3) WHERE t.id = v.v3
    """
    types = dict(_BIND.findall(sql))
    places = sorted(types.keys() - zeros, key=int)
    arrays = ", ".join(f"${i}::{types[place]}[]" for i, place in enumerate(places, 1))
    given = f"FROM unnest({arrays}) AS v ({', '.join(f'v{place}' for place in places)})"
    taken = _BIND.sub(lambda bind: "0" if bind[1] in zeros else f"v.v{bind[1]}", sql)
    inserted, values, rest = taken.partition(" VALUES (")
    if values:
        return f"{inserted} SELECT {rest.rstrip().removesuffix(')')} {given}"
    changed, _, condition = taken.partition(" WHERE ")
    return f"{changed} {given} WHERE {condition}"


@cache
def _counted(sql: str, last: int) -> str:
    """Return a statement as one that divides by zero unless it changes as many rows as its last bind says.

    >>> print(_counted("DELETE FROM t WHERE id = $1::BIGINT", 2))
    WITH done AS (DELETE FROM t WHERE id = $1::BIGINT RETURNING 1) SELECT 1 / (count(*) = $2)::int FROM done
    """
    return f"WITH done AS ({sql} RETURNING 1) SELECT 1 / (count(*) = ${last})::int FROM done"  # noqa: S608
