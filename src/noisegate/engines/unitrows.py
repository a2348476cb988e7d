"""What the statements of lower.py have in common: the rows they read, and the words for groups. TRUSTED."""
# ruff: noqa: S608  (writing SQL is what this file is for; names and constants go through quote.py)

from collections.abc import Sequence
from dataclasses import dataclass

from noisegate.engines.expressions import expression
from noisegate.engines.grids import integer, steps
from noisegate.engines.quote import literal
from noisegate.engines.render import Inputs, Rendered, names_of, unit_of
from noisegate.privacy.expressions import Call, Expression, Function, Type
from noisegate.privacy.question import Aggregation, Key, Moment, Sum

SALT = "CAST($salt AS UBIGINT)"
# Places are found by looking through the domain, so only in short ones.
_CODED = 16


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL for some measures, given by their places in the aggregation.

    Its columns are k0, k1 and so on for the keys (see `coded`), `candidate` where `by_candidate`, and for
    the measure at place i a BIGINT m<i>. Groups and candidates without rows are missing. `salted` where it
    takes the parameter `salt`, 64 bits.

    Where `ranged` it takes `low` and `high` too, and answers for the units from low on and below high, NULL
    for no end. Over ranges that part all units, its columns add up; a total that might not fit in 64 bits
    is then m<i> + 2^40 * h<i>, |m<i>| < 2^40.
    """

    sql: str
    measures: tuple[int, ...]
    salted: bool
    by_candidate: bool = False
    ranged: bool = False


def coded(aggregation: Aggregation, key: Key) -> bool:
    """Whether a key is written as the place of its value in the public domain, from 1, NULL outside it.

    The engine picks a number for each unit much faster than a text.
    """
    if key.domain is None or key.expression.type is not Type.STR or None in key.domain:
        return False
    return aggregation.one_group and not aggregation.single and len(key.domain) <= _CODED


class Rows:
    """The rows of the aggregation's source under the alias i: unit u, keys k0, k1 and inputs x0, x1."""

    def __init__(self, aggregation: Aggregation, source: Rendered, ranged: bool = False) -> None:
        self.aggregation = aggregation
        self.source = source
        self.ranged = ranged
        self.names = names_of(aggregation.source.shape, "t")
        self.inputs = Inputs(self.names)
        self.take = self.inputs.take
        self.keys = [f"k{i}" for i in range(len(aggregation.keys))]

    def text(self) -> str:
        """Return what follows FROM, once all inputs are taken."""
        columns = [f"{unit_of(self.aggregation.source.shape, 't')} AS u"]
        columns += [
            f"{self.key(key)} AS {name}" for key, name in zip(self.aggregation.keys, self.keys, strict=True)
        ]
        columns += self.inputs.columns()
        return f"(SELECT {', '.join(columns)} FROM ({self.source.select}) AS t) AS i"

    def key(self, key: Key) -> str:
        """Return a key's value, or its place."""
        value = expression(key.expression, self.names)
        if not coded(self.aggregation, key):
            return value
        return f"list_position([{', '.join(literal(v, Type.STR) for v in key.domain or ())}], {value})"

    def within(self, key: Key, name: str) -> str:
        """Return whether a key's value is in its public domain; never NULL for a value that is."""
        if coded(self.aggregation, key):
            return f"{name} IS NOT NULL"
        domain = key.domain or ()
        parts = [f"{name} IS NULL"] if None in domain else []
        values = [literal(v, key.expression.type) for v in domain if v is not None]
        if values:
            parts.append(f"{name} IN ({', '.join(values)})")
        return f"({' OR '.join(parts)})"

    def statement(
        self, select: str, measures: Sequence[int], by_candidate: bool = False, given: str = ""
    ) -> Statement:
        """Return the statement of a SELECT; `given` are common table expressions that it reads."""
        before = self.source.given
        if given:
            before = f"{before.removesuffix(' ')}, {given} " if before else f"WITH {given} "
        sql = before + select
        return Statement(sql, tuple(measures), "$salt" in sql, by_candidate, self.ranged)

    def grouped(self, alias: str, *more: str) -> str:
        """Return GROUP BY the keys and more, "" for nothing."""
        by = [*(f"{alias}.{k}" for k in self.keys), *more]
        return f" GROUP BY {', '.join(by)}" if by else ""

    def within_unit(self, alias: str) -> list[str]:
        """Return what tells the groups of units apart: the unit, and the keys unless the unit fixes them."""
        keys = [] if self.aggregation.one_group else self.keys
        return [f"{alias}.u", *(f"{alias}.{k}" for k in keys)]

    def key_columns(self, alias: str) -> list[str]:
        """Return the keys, as columns."""
        return [f"{alias}.{k} AS {k}" for k in self.keys]

    def by_hash(self, alias: str, *more: str) -> str:
        """Return a total order of a unit's groups (and more) by keyed hash; equal hashes go by value.

        The hash loses its last bit, as it does in dealt.py, where it must fit a BIGINT.
        """
        told = [*(f"{alias}.{k}" for k in self.keys), *more]
        hashed = f"(hash(hash({', '.join([f'{alias}.u', *told, SALT])})) >> 1)"
        return ", ".join([hashed, *(f"{t} NULLS LAST" for t in told)])

    def within_domains(self, alias: str) -> list[str]:
        """Return the conditions (none or one) that keys are in their public domains, for rows with a count n.

        Asked of rows that were grouped already, of which there are fewer. The test of n, always true, keeps
        the engine from moving the condition back below the grouping.
        """
        tests = [
            self.within(key, f"{alias}.{name}")
            for key, name in zip(self.aggregation.keys, self.keys, strict=True)
            if key.domain is not None
        ]
        return [f"(CASE WHEN {alias}.n > 0 THEN {' AND '.join(tests)} END)"] if tests else []


def where(conditions: Sequence[str]) -> str:
    """Return WHERE, "" for no conditions."""
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def among(condition: Expression | None, rows: Rows) -> str:
    """Return the FILTER of a measure's condition."""
    return "" if condition is None else f" FILTER (WHERE {rows.take(condition)})"


def counted(condition: Expression | None, rows: Rows) -> str:
    """Return the aggregate that counts rows. Those with a value are counted fastest by the value."""
    match condition:
        case Call(Function.NOT, (Call(Function.IS_NULL, (value,)),)):
            return f"count({rows.take(value)})"
        case _:
            return f"count(*){among(condition, rows)}"


def added_by_row(measure: Sum | Moment, rows: Rows) -> str:
    """Return what one row adds: a Sum's steps, a Moment's distance from the centre or its square."""
    value = steps(rows.take(measure.value), measure.value.type, measure.grid)
    if isinstance(measure, Sum):
        return value
    # The value before it is centred must fit, as well as its distance and that squared.
    kind = integer(max(measure.reach, measure.grid.reach))
    distance = f"(CAST({value} AS {kind}) - CAST({measure.centre} AS {kind}))"
    return distance if measure.power == 1 else f"({distance} * {distance})"
