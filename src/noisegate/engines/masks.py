"""Counts of units by group, by way of one integer a unit: bit g is set if it stands in group g. TRUSTED.

Where there are few groups, all public, and only units are counted, the rows of a unit fold into one
integer, which is far cheaper than a row for each unit and group. What is counted is the same as in
lower.py, and the groups that are kept are chosen as evenly: by the least of keyed hashes of (unit, group).
"""
# ruff: noqa: S608  (writing SQL is what this file is for; names and constants go through quote.py)

from noisegate.engines.quote import literal
from noisegate.engines.unitrows import SALT, Rows, Statement, among
from noisegate.privacy.expressions import Scalar, Type
from noisegate.privacy.question import Aggregation, CountUnits, Key

BITS = 62  # of a BIGINT, sign and one to spare
_PLACE_BITS = 6  # hold a group's number; the hash keeps the 57 above them
_SEARCHED = 16  # texts that a list is looked through for


def fits(aggregation: Aggregation) -> bool:
    """Whether an aggregation's counts of units can be taken from one integer a unit."""
    if aggregation.single or aggregation.one_group or aggregation.private_keys or not aggregation.keys:
        return False
    return aggregation.group_count <= BITS and all(
        _placed(key.expression.type, key) for key in aggregation.keys
    )


def counted_by_mask(rows: Rows, measures: list[tuple[int, CountUnits]]) -> Statement:
    """Return the statement that counts units; `fits` says of what.

    Args:
        rows: the source; nothing else is taken from it.
        measures: with their places.
    """
    aggregation = rows.aggregation
    bit = f"(CAST(1 AS BIGINT) << {_group(rows)})"
    # The first mask is of all rows: which groups a unit stands in does not depend on what is counted.
    masks = [f"bit_or({bit}) AS a0"]
    masks += [f"bit_or({bit}){among(m.where, rows)} AS m{i}" for i, m in measures if m.where is not None]
    by_unit = f"SELECT i.u AS u, {', '.join(masks)} FROM {rows.text()} GROUP BY i.u"
    carried = [f"m{i}" for i, m in measures if m.where is not None]
    numbers = range(aggregation.group_count)
    of_group = f"unnest([{', '.join(f'CAST({n} AS BIGINT)' for n in numbers)}])"
    columns = ", ".join(["q.u AS u", *(f"q.{m} AS {m}" for m in ["a0", *carried]), f"{of_group} AS c"])
    apart = f"(SELECT {columns} FROM ({by_unit}) AS q) AS f WHERE ((f.a0 >> f.c) & 1) = 1"
    if aggregation.bound_groups:
        hashed = f"hash(hash(f.u, f.c, {SALT})) >> {_PLACE_BITS + 1} << {_PLACE_BITS}"
        ordered = f"CAST((({hashed}) | CAST(f.c AS UBIGINT)) AS BIGINT)"
        least = f"min({ordered}, {aggregation.bounding.groups}) AS l"
        picked = ", ".join([*(f"any_value(f.{m}) AS {m}" for m in carried), least])
        chosen = f"SELECT {picked} FROM {apart} GROUP BY f.u"
        columns = ", ".join(
            [*(f"w.{m} AS {m}" for m in carried), f"(unnest(w.l) & {2**_PLACE_BITS - 1}) AS c"]
        )
        kept = f"SELECT {columns} FROM ({chosen}) AS w"
    else:
        kept = f"SELECT {', '.join([*(f'f.{m} AS {m}' for m in carried), 'f.c AS c'])} FROM {apart}"
    counts = [
        f"count(*) AS m{i}"
        if m.where is None
        else f"count(*) FILTER (WHERE ((p.m{i} >> p.c) & 1) = 1) AS m{i}"
        for i, m in measures
    ]
    sums = f"SELECT p.c AS c, {', '.join(counts)} FROM ({kept}) AS p GROUP BY p.c"
    columns = ", ".join([*_keys(aggregation), *(f"g.m{i} AS m{i}" for i, _ in measures)])
    return rows.statement(f"SELECT {columns} FROM ({sums}) AS g", [i for i, _ in measures])


def _placed(kind: Type, key: Key) -> bool:
    return kind in (Type.INT, Type.BOOL) or len(key.domain or ()) <= _SEARCHED


def _group(rows: Rows) -> str:
    """Return the number of a row's group, from 0 in the order of itertools.product; NULL in none."""
    number = ""
    for name, key in zip(rows.keys, rows.aggregation.keys, strict=True):
        domain = key.domain or ()
        place = _place(f"i.{name}", domain, key.expression.type)
        number = place if not number else f"({number} * {len(domain)} + {place})"
    return number


def _place(value: str, domain: tuple[Scalar, ...], kind: Type) -> str:
    """Return the place of a value in its domain, from 0; NULL if it is not there."""
    known = [v for v in domain if v is not None]
    first = known[0] if known else None
    consecutive = isinstance(first, int) and kind is Type.INT
    if (
        consecutive
        and isinstance(first, int)
        and known == list(range(first, first + len(known))) == list(domain)
    ):
        inside = f"{value} BETWEEN {literal(first, kind)} AND {literal(first + len(known) - 1, kind)}"
        return f"(CASE WHEN {inside} THEN {value} - {literal(first, kind)} END)"
    found = f"(CAST(list_position([{', '.join(literal(v, kind) for v in domain)}], {value}) AS BIGINT) - 1)"
    if None not in domain:
        return found
    return f"(CASE WHEN {value} IS NULL THEN CAST({domain.index(None)} AS BIGINT) ELSE {found} END)"


def _keys(aggregation: Aggregation) -> list[str]:
    """Return the keys of group g.c, as columns."""
    columns = []
    below = aggregation.group_count
    for i, key in enumerate(aggregation.keys):
        domain = key.domain or ()
        below //= len(domain)
        place = f"((g.c // {below}) % {len(domain)}) + 1"
        values = ", ".join(literal(v, key.expression.type) for v in domain)
        columns.append(f"list_extract([{values}], {place}) AS k{i}")
    return columns
