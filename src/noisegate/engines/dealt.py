"""What of a unit's groups and rows is kept, where it has more than the bounding allows. TRUSTED.

A unit's groups are put in the order of a keyed hash of (unit, group). The first `bounding.groups` are kept,
and `bounding.total` rows are dealt out to them in that order. To order all units' groups in full costs far
more than all else together, so only those are ordered that must be: see `within_bounds`.
"""
# ruff: noqa: S608  (writing SQL is what this file is for; names and constants go through quote.py)

from noisegate.engines.unitrows import SALT, Rows, where

# The engine keeps the least hashes of each unit in an array of as many places, so only few.
FEW_GROUPS = 32


def within_bounds(rows: Rows, groups: str, folds: list[int], dealt: list[int]) -> tuple[str, str]:
    """Return common table expressions, and the SELECT over them of what is kept of each unit's groups.

    Its columns are the keys, the folds a<at>, and for each fold that is dealt out t<at>: how many rows the
    group and those before it have together, each taken for `rows` at most. For a unit whose rows cannot
    run out it is the group's own rows, which gives the same allowance: `rows`, or all there are.

    What is kept of a unit is a function of the salt and of the unit's own groups.

    Args:
        rows: the source.
        groups: a SELECT of u, the keys, the folds and a row count n, a row for each unit and group.
        folds: which folds there are.
        dealt: which of them are counts of rows that are dealt out.
    """
    parts = _Parts(rows, [f"a{at}" for at in folds], dealt)
    # Rows outside the public domains go before anything is dealt out, so that they take nothing.
    inside = f"FROM ({groups}) AS f{where(rows.within_domains('f'))}"
    if rows.aggregation.bound_groups and rows.aggregation.bounding.groups <= FEW_GROUPS:
        return parts.below_a_hash(inside)
    return parts.in_order(inside)


class _Parts:
    """SELECTs over b0, all units' groups, and b1, what is to be known of some units."""

    def __init__(self, rows: Rows, folded: list[str], dealt: list[int]) -> None:
        self.rows = rows
        self.bounding = rows.aggregation.bounding
        self.dealt = dealt
        self.columns = [*rows.key_columns("f"), *(f"f.{a} AS {a}" for a in folded)]
        self.names = [*rows.keys, *folded, *(f"t{at}" for at in dealt)]
        hashed = f"hash(hash({', '.join(['f.u', *(f'f.{k}' for k in rows.keys), SALT])}))"
        self.hashed = f"CAST({hashed} >> 1 AS BIGINT) AS h"
        # Not all rows of such a unit may be kept.
        self.past = [f"sum(least(q.a{at}, {self.bounding.rows})) > {self.bounding.total}" for at in dealt]

    def below_a_hash(self, inside: str) -> tuple[str, str]:
        """Keep groups by one number a unit: the hash past those of the groups it may keep, NULL for none.

        Fewer than groups + 1 hashes are less than the (groups + 1)th least, equal ones or not. Rows are dealt
        out, in order, only to the kept groups of units that are past the total.
        """
        next_one = self.bounding.groups + 1
        b0 = f"SELECT {', '.join(['f.u AS u', *self.columns, self.hashed])} {inside}"
        told = ["q.u AS u", f"list_extract(min(q.h, {next_one}), {next_one}) AS x"]
        if self.past:
            told.append(f"({' OR '.join(self.past)}) AS o")
        b1 = f"SELECT {', '.join(told)} FROM b0 AS q GROUP BY q.u"
        given = f"b0 AS MATERIALIZED ({b0}), b1 AS ({b1})"
        kept = "FROM b0 AS f INNER JOIN b1 AS t ON f.u = t.u WHERE coalesce(f.h < t.x, TRUE)"
        if not self.past:
            return given, f"SELECT {', '.join(self.columns)} {kept}"
        b2 = f"SELECT {', '.join(['f.u AS u', *self.columns, 'f.h AS h', 't.o AS o'])} {kept}"
        direct = f"SELECT {', '.join([*self.columns, *self.own()])} FROM b2 AS f WHERE NOT f.o"
        ordered = f"SELECT {', '.join([*self.columns, *self.upto()])} FROM b2 AS f WHERE f.o"
        return f"{given}, b2 AS MATERIALIZED ({b2})", f"({direct}) UNION ALL ({ordered})"

    def in_order(self, inside: str) -> tuple[str, str]:
        """Put the groups of those units in order that are past a bound; all others are kept as they are."""
        bound = self.rows.aggregation.bound_groups
        past = [*self.past, *([f"count(*) > {self.bounding.groups}"] if bound else [])]
        b0 = f"SELECT {', '.join(['f.u AS u', *self.columns])} {inside}"
        b1 = f"SELECT q.u AS u FROM b0 AS q GROUP BY q.u HAVING {' OR '.join(past)}"
        given = f"b0 AS MATERIALIZED ({b0}), b1 AS MATERIALIZED ({b1})"
        some = "EXISTS (SELECT 1 FROM b1 AS t WHERE t.u = f.u)"
        direct = f"SELECT {', '.join([*self.columns, *self.own()])} FROM b0 AS f WHERE NOT {some}"
        hashed = f"SELECT {', '.join(['f.u AS u', *self.columns, self.hashed])} FROM b0 AS f WHERE {some}"
        numbered = [*self.columns, *self.upto()]
        if bound:
            numbered.append(f"row_number() {self.over()} AS place")
        ordered = f"SELECT {', '.join(numbered)} FROM ({hashed}) AS f"
        if bound:
            columns = ", ".join(f"w.{n} AS {n}" for n in self.names)
            ordered = f"SELECT {columns} FROM ({ordered}) AS w WHERE w.place <= {self.bounding.groups}"
        return given, f"({direct}) UNION ALL ({ordered})"

    def own(self) -> list[str]:
        """Return t<at> of a unit whose rows do not run out."""
        return [f"CAST(least(f.a{at}, {self.bounding.rows}) AS BIGINT) AS t{at}" for at in self.dealt]

    def upto(self) -> list[str]:
        """Return t<at> in the order of the unit's groups."""
        counts = ((at, f"least(f.a{at}, {self.bounding.rows})") for at in self.dealt)
        return [f"CAST(sum({count}) {self.over()} AS BIGINT) AS t{at}" for at, count in counts]

    def over(self) -> str:
        """Return the window of a unit's groups in the order of the keyed hash; equal ones go by value."""
        order = ", ".join(["f.h", *(f"f.{k} NULLS LAST" for k in self.rows.keys)])
        return f"OVER (PARTITION BY f.u ORDER BY {order})"
