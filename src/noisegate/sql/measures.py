"""Private aggregates: which measures are taken, and how answers are estimated from them.

Aggregates share measures: AVG(x) and COUNT(x) take one count, STDDEV(x) adds one second moment.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from sqlglot import exp

from noisegate.privacy.after import CountOf, Estimate, MeanOf, NamedEstimate, QuantileOf, SumOf, VarianceOf
from noisegate.privacy.expressions import Call, Case, ColumnRef, Expression, Function, Literal, Type
from noisegate.privacy.question import CountRows, CountUnits, CountValues, Measure, Moment, Rank, Sum
from noisegate.sql.aggregates import Aggregate, Kind, read_aggregate
from noisegate.sql.canonical import canonical, measure_text
from noisegate.sql.conditions import all_of, not_null
from noisegate.sql.expressions import Reading, translate, translate_condition
from noisegate.sql.facts import Facts, Known, refine
from noisegate.sql.folds import as_number
from noisegate.sql.grids import grid_of, stride_of
from noisegate.sql.intervals import facts_of
from noisegate.sql.nodes import refusal, shown
from noisegate.sql.scope import Scope, unit_of


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An estimate before the order of measures is known."""

    measures: tuple[Measure, ...]
    build: Callable[..., Estimate]
    type: Type
    facts: Facts


@dataclass(slots=True)
class Measures:
    """The aggregates that one SELECT asks for, each once."""

    scope: Scope
    reading: Reading
    wanted: list[_Wanted] = field(default_factory=list)
    names: dict[tuple[object, ...], str] = field(default_factory=dict)

    def add(self, node: exp.Expr) -> Expression:
        """Return the column that will hold the noisy answer to an aggregate.

        Raises:
            MissingBounds: a sum, mean or quantile of values without bounds.
            UnsupportedSql: an aggregate that cannot be taken over everyone.
        """
        wanted = self._read(read_aggregate(node))
        key = (wanted.measures, wanted.build(*range(len(wanted.measures))))
        if key not in self.names:
            self.names[key] = f"e{len(self.wanted)}"
            self.wanted.append(wanted)
        return ColumnRef(self.names[key], wanted.type)

    def _read(self, aggregate: Aggregate) -> _Wanted:
        conditions: list[Expression] = []
        if aggregate.where is not None:
            conditions.append(translate_condition(aggregate.where, self.reading))
        kind = aggregate.kind
        if kind is Kind.COUNT_IF:
            conditions.append(translate_condition(aggregate.argument, self.reading))
        if kind in (Kind.COUNT_ROWS, Kind.COUNT_IF):
            return _count(CountRows(_where(conditions)))
        if kind in _UNIT_ONLY:
            raise refusal(
                f"{shown(aggregate.node)} over everyone",
                "aggregate each person's rows first: GROUP BY the person in a sub-query, then count",
            )
        value = canonical(translate(aggregate.argument, self.reading))
        value, conditions = _without_case(value, conditions, zero=kind is Kind.SUM)
        where = _where(conditions)
        known = self.scope.rows.known
        inside = refine(where, known) if where is not None else known
        if kind is Kind.COUNT:
            return _count(CountRows(_where(conditions + _present(value, inside))))
        if kind is Kind.COUNT_DISTINCT:
            unit = value == unit_of(self.scope.rows)
            return _count(CountUnits(where) if unit else CountValues(value, where))
        if kind is Kind.SUM and (value.type is Type.BOOL or value == _ONE):
            # A sum of true and false counts the rows where it is true.
            return _count(CountRows(_where(conditions if value == _ONE else [*conditions, value])))
        value = canonical(as_number(value, aggregate.node))
        return self._of_numbers(aggregate, value, where, inside, conditions)

    def _of_numbers(
        self,
        aggregate: Aggregate,
        value: Expression,
        where: Expression | None,
        inside: Known,
        conditions: list[Expression],
    ) -> _Wanted:
        kind, text = aggregate.kind, shown(aggregate.node)
        about = Facts(measured_in=facts_of(value, inside).measured_in)
        squares = kind not in (Kind.SUM, Kind.MEAN, Kind.MIN, Kind.MAX, Kind.QUANTILE)
        grid = grid_of(value, inside, text, squares=squares)
        kind_of_number = Type.INT if value.type is Type.INT and grid.step == 1 else Type.FLOAT
        if kind is Kind.SUM:
            return _Wanted((Sum(value, grid, where),), SumOf, kind_of_number, about)
        if not squares and kind is not Kind.MEAN:
            share = _SHARES.get(kind, aggregate.quantile)
            rank = Rank(value, grid, stride_of(grid), share, where)
            return _Wanted((rank,), QuantileOf, kind_of_number, about)
        count = CountRows(_where(conditions + _present(value, inside)))
        first = Moment(value, grid, 1, where)
        if kind is Kind.MEAN:
            return _Wanted((first, count), MeanOf, Type.FLOAT, about)
        sample, root = kind in (Kind.VAR_SAMP, Kind.STD_SAMP), kind in (Kind.STD_SAMP, Kind.STD_POP)

        def variance(first: int, second: int, rows: int) -> Estimate:
            return VarianceOf(first, second, rows, sample, root)

        moments = (first, Moment(value, grid, 2, where), count)
        return _Wanted(moments, variance, Type.FLOAT, about if root else Facts())

    def settle(self, *, private_keys: bool) -> tuple[tuple[Measure, ...], tuple[NamedEstimate, ...], Known]:
        """Return the measures in their one order, the estimates, and what is known of these.

        The order does not depend on that of the question, so that questions which differ in it alone
        are the same private question.
        """
        single = self.scope.rows.relation.shape.single

        def taken(measure: Measure) -> Measure:
            if private_keys and single and isinstance(measure, CountRows):
                # With one row a unit, rows are units: the count that selects the keys serves as well.
                return CountUnits(measure.where)
            return measure

        found = {taken(m) for w in self.wanted for m in w.measures}
        first: tuple[Measure, ...] = (CountUnits(),) if private_keys else ()
        rest = tuple(sorted(found - set(first), key=measure_text))
        measures = first + rest
        places = {m: i for i, m in enumerate(measures)}
        estimates = tuple(
            NamedEstimate(f"e{i}", w.build(*(places[taken(m)] for m in w.measures)), w.type)
            for i, w in enumerate(self.wanted)
        )
        return measures, estimates, {f"e{i}": w.facts for i, w in enumerate(self.wanted)}


_ONE = Literal(1, Type.INT)
_NULL_FOR_NULL = frozenset(
    {
        Function.ADD, Function.SUBTRACT, Function.MULTIPLY, Function.NEGATE, Function.ABS, Function.SIGN,
        Function.ROUND, Function.FLOOR, Function.CEIL, Function.LEAST, Function.GREATEST,
    }
)  # fmt: skip
_SHARES = {Kind.MIN: Fraction(0), Kind.MAX: Fraction(1)}
_UNIT_ONLY = frozenset({Kind.ANY_TRUE, Kind.ALL_TRUE, Kind.ARG_MIN, Kind.ARG_MAX, Kind.FIRST, Kind.LAST})


def _count(measure: Measure) -> _Wanted:
    return _Wanted((measure,), CountOf, Type.INT, Facts())


def _where(conditions: list[Expression]) -> Expression | None:
    found = all_of(conditions)
    return canonical(found) if found is not None else None


def _present(value: Expression, known: Known) -> list[Expression]:
    """Return the conditions under which a value is there, as few and as plain as can be.

    -x is there where x is: aggregates of both then share their count.
    """
    if isinstance(value, Literal) and value.value is not None:
        return []
    if not facts_of(value, known).nullable:
        return []
    if isinstance(value, Call) and value.function in _NULL_FOR_NULL:
        return [c for arg in value.args for c in _present(arg, known)]
    return [not_null(value)]


def _without_case(
    value: Expression, conditions: list[Expression], *, zero: bool
) -> tuple[Expression, list[Expression]]:
    """Return CASE WHEN c THEN x END as x where c; in a sum, ELSE 0 is as good as no ELSE."""
    while isinstance(value, Case) and len(value.branches) == 1:
        nothing = isinstance(value.otherwise, Literal) and (
            value.otherwise.value is None or (zero and value.otherwise.value in (0, False))
        )
        if not nothing or value.type is not value.branches[0][1].type:
            break
        conditions = [*conditions, value.branches[0][0]]
        value = value.branches[0][1]
    return value, conditions
