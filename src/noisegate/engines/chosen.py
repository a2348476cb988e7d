"""Measures for which a unit's rows are chosen rather than folded: different values, and ranks. TRUSTED."""
# ruff: noqa: S608  (writing SQL is what this file is for; names and constants go through quote.py)

from noisegate.engines.grids import steps
from noisegate.engines.unitrows import SALT, Rows, Statement, among, where
from noisegate.privacy.question import CountValues, Rank


def different(rows: Rows, i: int, measure: CountValues) -> Statement:
    """Return how many different values there are, each unit naming some, chosen by keyed hash."""
    value = rows.take(measure.value)
    if rows.aggregation.single:
        aggregates = f"count(*) AS n, count(DISTINCT {value}){among(measure.where, rows)} AS m{i}"
        columns = ", ".join([*rows.key_columns("i"), aggregates])
        groups = f"SELECT {columns} FROM {rows.text()}{rows.grouped('i')}"
        columns = ", ".join([*rows.key_columns("g"), f"g.m{i} AS m{i}"])
        return rows.statement(f"SELECT {columns} FROM ({groups}) AS g{where(rows.within_domains('g'))}", [i])
    if measure.where is not None:
        value = f"(CASE WHEN {rows.take(measure.where)} THEN {value} END)"
    named, kept = _in_kept_groups(rows, value)
    part = ", ".join(rows.within_unit("q"))
    nth = f"row_number() OVER (PARTITION BY {part} ORDER BY {rows.by_hash('q', 'q.v')})"
    columns = ", ".join([*rows.key_columns("q"), "q.v AS v", f"{nth} AS nth"])
    listed = f"SELECT {columns} FROM {named} AS q{where(['q.v IS NOT NULL', *kept])}"
    columns = ", ".join([*rows.key_columns("w"), f"count(DISTINCT w.v) AS m{i}"])
    few = where([f"w.nth <= {rows.aggregation.bounding.rows}"])
    return rows.statement(f"SELECT {columns} FROM ({listed}) AS w{few}{rows.grouped('w')}", [i])


def ranked(rows: Rows, i: int, measure: Rank) -> Statement:
    """Return how many rows stand at each candidate.

    Of a unit's n > bounding.rows rows in a group it keeps bounding.rows, spread evenly over their order
    from a start that the keyed hash of (unit, group) chooses: systematic sampling. So they are as many at
    each candidate, to within one, as the unit's own share of rows there.
    """
    most = rows.aggregation.bounding.rows
    value = steps(rows.take(measure.value), measure.value.type, measure.grid)
    above = f"(CAST({value} AS BIGINT) - CAST({measure.grid.low} AS BIGINT))"
    place = f"({above} // CAST({measure.stride} AS BIGINT))"
    if measure.where is not None:
        place = f"(CASE WHEN {rows.take(measure.where)} THEN {place} END)"
    if rows.aggregation.single:
        columns = ", ".join([*rows.key_columns("i"), f"{place} AS v"])
        placed = f"(SELECT {columns} FROM {rows.text()}) AS w"
        columns = ", ".join([*rows.key_columns("w"), "w.v AS v", "count(*) AS n"])
        groups = f"SELECT {columns} FROM {placed}{rows.grouped('w', 'w.v')}"
        columns = ", ".join([*rows.key_columns("g"), "g.v AS candidate", f"g.n AS m{i}"])
        found = where(["g.v IS NOT NULL", *rows.within_domains("g")])
        return rows.statement(f"SELECT {columns} FROM ({groups}) AS g{found}", [i], True)
    counted, kept = _in_kept_groups(rows, place)
    part = ", ".join(rows.within_unit("q"))
    start = ", ".join(["q.u", *(f"q.{k}" for k in rows.keys), SALT])
    columns = ", ".join(
        [
            *rows.key_columns("q"),
            "q.v AS v",
            "q.n AS n",
            f"CAST(sum(q.n) OVER (PARTITION BY {part} ORDER BY q.v) AS BIGINT) AS upto",
            f"CAST(sum(q.n) OVER (PARTITION BY {part}) AS BIGINT) AS total",
            f"hash(hash({start})) AS start",
        ]
    )
    spread = f"SELECT {columns} FROM {counted} AS q{where(['q.v IS NOT NULL', *kept])}"
    columns = ", ".join([*rows.key_columns("w"), "w.v AS v", f"{_evenly(most)} AS n"])
    bounded = f"SELECT {columns} FROM ({spread}) AS w"
    columns = ", ".join([*rows.key_columns("g"), "g.v AS candidate", f"CAST(sum(g.n) AS BIGINT) AS m{i}"])
    return rows.statement(f"SELECT {columns} FROM ({bounded}) AS g{rows.grouped('g', 'g.v')}", [i], True)


def _in_kept_groups(rows: Rows, value: str) -> tuple[str, list[str]]:
    """Return each unit's different values v in each of its groups, with how many rows have them, n; and
    the conditions (on it, as q) that rows are in a group, and in one that is kept.

    A NULL v stands for the rows that have no value: their group takes its place among the unit's all the
    same. Groups go by the same hash as in lower.py, so the same ones are kept.
    """
    columns = ", ".join(["i.u AS u", *rows.key_columns("i"), f"{value} AS v"])
    placed = f"SELECT {columns} FROM {rows.text()}"
    columns = ", ".join(["h.u AS u", *rows.key_columns("h"), "h.v AS v", "count(*) AS n"])
    by = ", ".join(["h.u", *(f"h.{k}" for k in rows.keys), "h.v"])
    counted = f"(SELECT {columns} FROM ({placed}) AS h GROUP BY {by})"
    if not rows.aggregation.bound_groups:
        return counted, rows.within_domains("q")
    place = f"dense_rank() OVER (PARTITION BY f.u ORDER BY {rows.by_hash('f')}) AS place"
    columns = ", ".join(["f.u AS u", *rows.key_columns("f"), "f.v AS v", "f.n AS n", place])
    listed = f"(SELECT {columns} FROM {counted} AS f{where(rows.within_domains('f'))})"
    return listed, [f"q.place <= {rows.aggregation.bounding.groups}"]


def _evenly(most: int) -> str:
    """Return how many of w.n rows are kept, where w.upto of w.total rows lie at or below them.

    Rows are numbered 1 .. total in order, and row r is kept where (r * most + start) // total moves on. It
    moves on `most` times from 0 to total, whatever the start.
    """
    start = "CAST(w.start % CAST(w.total AS UBIGINT) AS BIGINT)"
    upto, before = (f"((({r}) * {most} + {start}) // w.total)" for r in ("w.upto", "w.upto - w.n"))
    return f"(CASE WHEN w.total <= {most} THEN w.n ELSE {upto} - {before} END)"
