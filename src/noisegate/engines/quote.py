"""Names and constants written down for DuckDB, so that nothing in them is read as SQL. TRUSTED."""

from datetime import date, datetime
from typing import assert_never

from noisegate.privacy.expressions import PlanError, Scalar, Type

TYPES = {
    Type.INT: "BIGINT",
    Type.FLOAT: "DOUBLE",
    Type.BOOL: "BOOLEAN",
    Type.STR: "VARCHAR",
    Type.DATE: "DATE",
    Type.TIMESTAMP: "TIMESTAMP",
}


def identifier(name: str) -> str:
    """Return a quoted identifier.

    >>> identifier('a"b')
    '"a""b"'
    """
    if not name or "\x00" in name:
        raise PlanError("a name is not empty and holds no NUL")
    return '"' + name.replace('"', '""') + '"'


def literal(value: Scalar, kind: Type) -> str:
    """Return a constant of exactly the given type.

    >>> literal("it's", Type.STR)
    "'it''s'"
    """
    match value:
        case None:
            return f"CAST(NULL AS {TYPES[kind]})"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return double(float(value)) if kind is Type.FLOAT else f"CAST({value} AS BIGINT)"
        case float():
            return double(value)
        case str():
            return quoted(value)
        case datetime():
            if value.tzinfo is not None:
                raise PlanError("a timestamp has no time zone here")
            return f"TIMESTAMP '{value.isoformat(sep=' ')}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case _:
            assert_never(value)


def double(value: float) -> str:
    """Return a finite constant as a DOUBLE, never a DECIMAL; -0.0 becomes 0.0.

    >>> double(0.1), double(1e300), double(-0.0)
    ('0.1e0', '1e+300', '0.0e0')
    """
    shown = repr(value + 0.0)
    if shown in ("inf", "-inf", "nan"):
        raise PlanError("a constant must be finite")
    shown = shown if "e" in shown else shown + "e0"
    return f"({shown})" if shown.startswith("-") else shown


def quoted(value: str) -> str:
    """Return a text constant. A NUL, which the engine's parser might stop at, is written as chr(0)."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise PlanError("a text constant must be Unicode without lone surrogates") from None
    quoted = ["'" + part.replace("'", "''") + "'" for part in value.split("\x00")]
    return quoted[0] if len(quoted) == 1 else "(" + " || chr(0) || ".join(quoted) + ")"
