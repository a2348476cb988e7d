"""[X.tables.Y.columns.NAME]: one column, as the custodian declares it."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import assert_never

from noisegate.catalog.keys import Part, Section, Value, exact, named, nearest, shown
from noisegate.catalog.model import Column, Range, RangesBy, Tier
from noisegate.privacy.expressions import INT64_MAX, NUMERIC, Scalar, Type

MAX_VALUES = 10_000
MAX_TEXT = 1_000
MAX_STEPS = 2**52


def column(name: str, section: Section, *, public: bool) -> Column:
    """Return the column, noting what is wrong in the section.

    Fails closed: a column of a private table without a tier is noted, and stands in as restricted.
    Bounds `by` another column wait for `with_ranges`, when all columns of the table are known.
    """
    tier = _tier(section, public=public)
    kind = _type(section, tier)
    step = _step(section, kind)
    bounds = None
    if section.has("low") or section.has("high"):
        bounds = _range(section, kind, step)
    if kind is Type.FLOAT and not section.has("step") and (bounds or section.has("by")):
        section.note("step is missing: the resolution sums are taken at, as in step = 0.01")
    return Column(
        name=name,
        type=kind,
        tier=tier,
        bounds=bounds,
        step=step,
        values=_values(section, kind, bounds),
        nullable=section.flag("nullable", default=True),
        per_unit=section.flag("per_unit", default=False),
        measured_in=section.text("measured_in"),
        title=section.text("title"),
    )


def unit_column(name: str, section: Section | None, kind: Type) -> Column:
    """Return the column that names the person, declared or not. It is NOT NULL and never has a domain."""
    tier = Tier.DEMOGRAPHIC
    title = ""
    if section is not None:
        for key in section.values:
            if key not in ("type", "tier", "title"):
                section.note("the unit column takes type, tier and title only", key)
        if section.has("type") and _type(section, tier) is not kind:
            section.note(f"the unit is {kind.value} elsewhere in this dataset; it is of one type", "type")
        if section.has("tier"):
            tier = _tier(section, public=False)
            if tier is Tier.RESTRICTED:
                section.note("the unit cannot be restricted, tables are joined on it; nobody sees it", "tier")
        title = section.text("title")
    return Column(name, kind, tier, nullable=False, per_unit=True, title=title)


def with_ranges(
    column: Column, section: Section, columns: Mapping[str, Column], unit: str | None
) -> RangesBy | None:
    """Return the bounds that depend on another column of the table, or None.

    Args:
        column: the column read from `section`.
        section: where `by` may stand, as in by.test.sbp = { low = 60, high = 260 }.
        columns: all columns of the table, by casefolded name.
        unit: name of the unit column, which bounds may not depend on.
    """
    if not section.has("by"):
        return None
    by = section.values["by"]
    where = f"{section.where}.by"
    if not isinstance(by, dict) or len(by) != 1:
        section.note("names one other column, as in by.test.sbp = { low = 60, high = 260 }", "by")
        return None
    if column.type not in NUMERIC:
        section.note(f"a column of type {column.type.value} has no bounds", "by")
        return None
    ((other_name, ranges),) = by.items()
    other = columns.get(other_name.casefold())
    if other is None or other_name.casefold() in {column.name.casefold(), (unit or "").casefold()}:
        section.note(f"no other column {other_name!r} here{nearest(other_name, columns)}", "by")
        return None
    domain = _domain(other)
    if domain is None or other.tier is Tier.RESTRICTED:
        section.note(f"{other.name} needs public values, and not the tier restricted", "by")
        return None
    result: dict[Scalar, Range] = {}
    for text, inner in named(ranges, f"{where}.{other_name}", Part.RANGE, section.problems, strict=False):
        if text not in domain:
            inner.note(f"{text!r} is not among the values of {other.name}{nearest(text, domain)}")
        found = _range(inner, column.type, column.step)
        if text in domain and found is not None:
            result[domain[text]] = found
    return RangesBy(other.name, MappingProxyType(result)) if result else None


def _domain(column: Column) -> dict[str, Scalar] | None:
    """Return the public values of a column by the text that stands for them as a TOML key."""
    if column.type is Type.BOOL:
        return {"true": True, "false": False}
    if column.values is None or column.type is Type.FLOAT:
        return None
    return {v.isoformat() if isinstance(v, date) else str(v): v for v in column.values}


def _tier(section: Section, *, public: bool) -> Tier:
    known = [t.value for t in Tier]
    if public:
        if section.text("tier", "public") != "public":
            section.note("a public table has columns of the tier public only; leave it out", "tier")
        return Tier.PUBLIC
    if not section.has("tier"):
        section.note(f"tier is missing: how sensitive the column is, one of {', '.join(known)}")
        return Tier.RESTRICTED
    text = section.text("tier")
    if text not in known:
        section.note(f"is one of {', '.join(known)}{nearest(text, known)}", "tier")
        return Tier.RESTRICTED
    return Tier(text)


def _type(section: Section, tier: Tier) -> Type:
    known = [t.value for t in Type]
    if not section.has("type"):
        if tier is not Tier.RESTRICTED:
            section.note(f"type is missing: one of {', '.join(known)}")
        return Type.STR  # nobody reads a restricted column, so its type is never used
    text = section.text("type")
    if text not in known:
        section.note(f"is one of {', '.join(known)}{nearest(text, known)}", "type")
        return Type.STR
    return Type(text)


def _step(section: Section, kind: Type) -> Fraction:
    step = section.number("step")
    if step is None:
        return Fraction(1)
    if kind not in NUMERIC:
        section.note(f"a column of type {kind.value} has no step", "step")
    elif step <= 0:
        section.note("is above 0", "step")
    elif kind is Type.INT and step.denominator != 1:
        section.note("of a whole number is a whole number", "step")
    else:
        return step
    return Fraction(1)


def _range(section: Section, kind: Type, step: Fraction) -> Range | None:
    """Return the low and high of a column, or of one value of another."""
    low, high = section.number("low"), section.number("high")
    for key, value in (("low", low), ("high", high)):
        if not section.has(key):
            section.note(f"{key} is missing: bounds have a low and a high")
        elif value is not None and kind is Type.INT and value.denominator != 1:
            section.note("of a whole number is a whole number", key)
    if low is None or high is None:
        return None
    if kind not in NUMERIC:
        section.note(f"a column of type {kind.value} has no bounds")
        return None
    if low >= high:
        section.note(f"low {shown(low)} is not below high {shown(high)}")
        return None
    if max(abs(low), abs(high)) / step >= MAX_STEPS:
        section.note("bounds are too wide for their step: more than 2^52 steps; take a larger step")
        return None
    return Range(low, high)


def _values(section: Section, kind: Type, bounds: Range | None) -> tuple[Scalar, ...] | None:
    if not section.has("values"):
        return None
    listed = section.values["values"]
    if not isinstance(listed, list) or not listed:
        section.note("is a list of the values the column may have, with at least one", "values")
        return None
    if kind is Type.BOOL:
        section.note("a bool is true or false by itself; leave values out", "values")
        return None
    if len(listed) > MAX_VALUES:
        section.note(f"lists {len(listed):,} values; at most {MAX_VALUES:,} fit", "values")
        return None
    found: list[Scalar] = []
    for item in listed:
        value = _scalar(item, kind)
        if value is None:
            section.note(f"holds {_excerpt(item)}, which is not of type {kind.value}", "values")
        elif value in found:
            section.note(f"lists {_excerpt(item)} twice", "values")
        elif isinstance(value, int | float) and bounds and not bounds.low <= value <= bounds.high:
            section.note(f"holds {_excerpt(item)}, which is outside low and high", "values")
        else:
            found.append(value)
    return tuple(found) or None


def _scalar(item: Value, kind: Type) -> Scalar:
    """Return a TOML value as a value of that type, or None where it is of another."""
    match kind:
        case Type.INT:
            whole = isinstance(item, int) and not isinstance(item, bool) and abs(item) <= INT64_MAX
            return item if whole and isinstance(item, int) else None
        case Type.FLOAT:
            number = exact(item)
            return None if number is None else float(number)
        case Type.STR:
            return item if isinstance(item, str) and len(item) <= MAX_TEXT else None
        case Type.DATE:
            return item if isinstance(item, date) and not isinstance(item, datetime) else None
        case Type.TIMESTAMP:
            return item if isinstance(item, datetime) and item.tzinfo is None else None
        case Type.BOOL:
            return item if isinstance(item, bool) else None
        case _:
            assert_never(kind)


def _excerpt(item: Value) -> str:
    text = str(item) if isinstance(item, Decimal | int | date) else repr(item)
    return text if len(text) <= 40 else f"{text[:40]}…"
