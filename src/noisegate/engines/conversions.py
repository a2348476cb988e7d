"""What a stored value must be like to pass as a declared type without loss, as SQL over a source column.

For each declared type and kind of source there is an expression that gives the value, or NULL where it
has no such form. A value that was there and came out NULL is a loss, and refuses the registration.
"""

from dataclasses import dataclass

from noisegate.engines.expressions import CALENDAR, CLOCK, FIRST_DAY, LAST_DAY, cleaned
from noisegate.privacy.expressions import Type

MAX_TEXT = 4_096
_WHOLE = frozenset(
    {
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "UHUGEINT",
    }
)
_REAL = frozenset({"FLOAT", "DOUBLE"})
_WHOLE_TEXT = "'[+-]?[0-9]{1,19}'"
_REAL_TEXT = "'(?i)[+-]?(([0-9]+([.][0-9]*)?|[.][0-9]+)(e[+-]?[0-9]+)?|inf(inity)?|nan)'"


@dataclass(frozen=True, slots=True)
class Conversion:
    """How a source column becomes a declared one.

    `value` gives the stored value. `lost` is true for a source value that has no such form; what is not
    a finite number is not lost but NULL, as the declared type says.
    """

    value: str
    lost: str


def conversion(source: str, stored: str, declared: Type) -> Conversion | None:
    """Return the conversion of a column, None where types have nothing in common.

    Args:
        source: the column, quoted.
        stored: the engine's name of its type.
        declared: the type in the catalog.
    """
    kind = stored.split("(")[0]
    if kind.startswith("ENUM"):
        kind, source = "VARCHAR", f"CAST({source} AS VARCHAR)"
    value = _value(source, kind, declared)
    if value is None:
        return None
    lost = f"({source} IS NOT NULL AND ({value}) IS NULL)"
    return Conversion(cleaned(value) if declared is Type.FLOAT else value, lost)


def _value(source: str, kind: str, declared: Type) -> str | None:
    text = f"trim({source})"
    match declared:
        case Type.INT if kind in _WHOLE or kind == "BOOLEAN":
            return f"TRY_CAST({source} AS BIGINT)"
        case Type.INT if kind in _REAL or kind == "DECIMAL":
            return f"(CASE WHEN {source} = floor({source}) THEN TRY_CAST({source} AS BIGINT) END)"
        case Type.INT if kind == "VARCHAR":
            return f"(CASE WHEN regexp_full_match({text}, {_WHOLE_TEXT}) THEN TRY_CAST({text} AS BIGINT) END)"
        case Type.FLOAT if kind in _REAL or kind == "DECIMAL":
            return f"CAST({source} AS DOUBLE)"
        case Type.FLOAT if kind in _WHOLE:
            wide = f"TRY_CAST({source} AS HUGEINT)"
            return f"(CASE WHEN abs({wide}) <= {2**53} THEN CAST({source} AS DOUBLE) END)"
        case Type.FLOAT if kind == "VARCHAR":
            return f"(CASE WHEN regexp_full_match({text}, {_REAL_TEXT}) THEN TRY_CAST({text} AS DOUBLE) END)"
        case Type.BOOL if kind == "BOOLEAN":
            return source
        case Type.BOOL if kind in _WHOLE or kind in _REAL:
            return f"(CASE WHEN {source} = 1 THEN TRUE WHEN {source} = 0 THEN FALSE END)"
        case Type.BOOL if kind == "VARCHAR":
            low = f"lower({text})"
            return f"(CASE WHEN {low} IN ('true', '1') THEN TRUE WHEN {low} IN ('false', '0') THEN FALSE END)"
        case Type.STR if kind == "VARCHAR":
            return source
        case Type.STR if kind in _WHOLE:
            return f"CAST({source} AS VARCHAR)"
        case Type.DATE if kind in ("DATE", "VARCHAR") or kind.startswith("TIMESTAMP"):
            if kind == "VARCHAR":
                day = f"(CASE WHEN regexp_full_match({text}, {CALENDAR}) THEN TRY_CAST({text} AS DATE) END)"
            elif kind == "DATE":
                day = source
            else:
                moment = _moment(source, kind)
                day = f"(CASE WHEN {moment} = CAST({moment} AS DATE) THEN CAST({moment} AS DATE) END)"
            return _in_calendar(day)
        case Type.TIMESTAMP if kind in ("DATE", "VARCHAR") or kind.startswith("TIMESTAMP"):
            if kind == "VARCHAR":
                fits = f"regexp_full_match({text}, {CLOCK})"
                return _in_calendar(f"(CASE WHEN {fits} THEN TRY_CAST({text} AS TIMESTAMP) END)")
            if kind == "DATE":
                return _in_calendar(f"CAST({source} AS TIMESTAMP)")
            return _in_calendar(_moment(source, kind))
        case _:
            return None


def _moment(source: str, kind: str) -> str:
    """Return a stored timestamp in whole microseconds, in UTC; NULL where that loses some."""
    if kind == "TIMESTAMP WITH TIME ZONE":
        # The cast would go to the session's time zone, and needs no extension this way round.
        return f"make_timestamp(epoch_us({source}))"
    if kind == "TIMESTAMP_NS":
        return f"(CASE WHEN epoch_ns({source}) % 1000 = 0 THEN CAST({source} AS TIMESTAMP) END)"
    return f"CAST({source} AS TIMESTAMP)"


def _in_calendar(value: str) -> str:
    return f"(CASE WHEN CAST({value} AS DATE) BETWEEN {FIRST_DAY} AND {LAST_DAY} THEN {value} END)"
