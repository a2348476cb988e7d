"""Window functions within a person's rows."""

from dataclasses import dataclass, field, replace
from fractions import Fraction

from sqlglot import exp

from noisegate.errors import NotUnitLocal
from noisegate.privacy.expressions import Case, ColumnRef, Expression
from noisegate.privacy.relations import FoldWindow, Order, RankWindow, Window
from noisegate.sql.aggregates import Kind, is_aggregate, read_aggregate
from noisegate.sql.conditions import TRUE, not_null
from noisegate.sql.domains import domain_of
from noisegate.sql.expressions import Reading, translate
from noisegate.sql.facts import Facts
from noisegate.sql.folds import fold_facts, orders, unit_fold
from noisegate.sql.intervals import facts_of
from noisegate.sql.literals import constant, fit
from noisegate.sql.nodes import bare, only, refusal, shown, text_of
from noisegate.sql.scope import Scope, unit_of

_POSITIONS: dict[type[exp.Expr], Window] = {
    exp.RowNumber: Window.ROW_NUMBER,
    exp.Rank: Window.RANK,
    exp.DenseRank: Window.DENSE_RANK,
}
_VALUES: dict[type[exp.Expr], Window] = {
    exp.Lag: Window.LAG,
    exp.Lead: Window.LEAD,
    exp.FirstValue: Window.FIRST,
    exp.First: Window.FIRST,
    exp.LastValue: Window.LAST,
    exp.Last: Window.LAST,
}
_FRAME_HINT = "leave the frame out, or write ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"


@dataclass(slots=True)
class Windows:
    """The windows that one SELECT asks for, each once, under names of one derived table."""

    name: str
    scope: Scope
    reading: Reading
    found: dict[RankWindow | FoldWindow, str] = field(default_factory=dict)
    known: dict[str, Facts] = field(default_factory=dict)

    def add(self, node: exp.Expr) -> Expression:
        """Return the column that holds a window function.

        Raises:
            NotUnitLocal: the window does not stay within a person's rows.
        """
        only(node, "this", "partition_by", "order", "spec", "over")
        partition = self._partition(node)
        ordering = node.args.get("order")
        order = orders(tuple(ordering.expressions), self.reading) if ordering is not None else ()
        whole = _is_whole(node, bool(order))
        function = node.this
        if type(function) in _POSITIONS:
            only(function)
            rank = RankWindow(_POSITIONS[type(function)], partition, order)
            return self._keep(rank, self._position_facts(rank))
        if type(function) in _VALUES:
            return self._value(function, partition, order, whole=whole)
        if not is_aggregate(function):
            raise refusal(f"the window function {shown(node)}")
        aggregate = read_aggregate(function)
        if aggregate.kind in (Kind.COUNT_DISTINCT, Kind.ARG_MIN, Kind.ARG_MAX):
            raise refusal(
                f"{shown(function)} over a window", "compute it with GROUP BY the person and join it"
            )
        fold = unit_fold(aggregate, self.scope, self.reading)
        window = FoldWindow(fold, partition, () if whole else order)
        return self._keep(window, fold_facts(fold, self.scope.rows.known, self.scope.rows.rows))

    def _partition(self, node: exp.Expr) -> tuple[Expression, ...]:
        unit = unit_of(self.scope.rows)
        keys = [translate(k, self.reading) for k in node.args.get("partition_by") or []]
        if unit is None or unit not in keys:
            name = unit.name.partition(".")[2] if unit is not None else "the person"
            raise NotUnitLocal(
                f"the window {shown(node)} spans several people",
                f"add PARTITION BY {name}",
            )
        return tuple(k for k in keys if k != unit)

    def _value(
        self,
        function: exp.Expr,
        partition: tuple[Expression, ...],
        order: tuple[Order, ...],
        *,
        whole: bool,
    ) -> Expression:
        only(function, "this", "offset", "default")
        kind = _VALUES[type(function)]
        if kind is Window.LAST and not whole:
            raise refusal("LAST_VALUE over a running window", _FRAME_HINT.partition(", or ")[2])
        value = translate(function.this, self.reading)
        offset = 1
        if kind in (Window.LAG, Window.LEAD) and function.args.get("offset") is not None:
            shift = bare(function.args["offset"])
            number = constant(shift).value if isinstance(shift, exp.Literal) else None
            if not isinstance(number, int):
                raise refusal(shown(function), "LAG and LEAD go a constant number of rows")
            offset = number
        facts = facts_of(value, self.scope.rows.known)
        # LAG and LEAD find no row at the ends of a partition.
        nullable = facts.nullable or kind in (Window.LAG, Window.LEAD)
        kept = replace(facts, nullable=nullable, by=None, positions=None)
        column = self._keep(RankWindow(kind, partition, order, value, offset), kept)
        default = function.args.get("default")
        if default is None or kind not in (Window.LAG, Window.LEAD):
            return column
        # The default stands where there is no such row, not where its value is NULL.
        there = self._keep(RankWindow(kind, partition, order, TRUE, offset), Facts(domain=(True,)))
        found, other = fit([column, translate(default, self.reading)], function)
        return Case(((not_null(there), found),), other)

    def _keep(self, window: RankWindow | FoldWindow, facts: Facts) -> ColumnRef:
        name = self.found.setdefault(window, f"{self.name}.{len(self.found)}")
        self.known[name] = facts
        return ColumnRef(name, window.type)

    def _position_facts(self, window: RankWindow) -> Facts:
        rows = self.scope.rows
        positions: int | None = None
        if window.function is Window.ROW_NUMBER:
            positions = 1
            for key in window.partition:
                domain = domain_of(key, rows.known)
                positions = positions * len(domain) if domain is not None and positions is not None else None
        return Facts(
            Fraction(1), Fraction(max(rows.rows, 1)), Fraction(1), nullable=False, positions=positions
        )


def _is_whole(node: exp.Expr, ordered: bool) -> bool:
    """Whether the window is the whole partition, rather than up to the current row.

    Raises:
        UnsupportedSql: any other frame.
    """
    spec = node.args.get("spec")
    if spec is None:
        return not ordered
    start = (text_of(spec, "start"), text_of(spec, "start_side"))
    end = (text_of(spec, "end"), text_of(spec, "end_side"))
    if spec.args.get("exclude") or start != ("UNBOUNDED", "PRECEDING"):
        raise refusal(f"the frame of {shown(node)}", _FRAME_HINT)
    if end == ("UNBOUNDED", "FOLLOWING"):
        return True
    if end[0] == "CURRENT ROW" and text_of(spec, "kind") == "RANGE" and ordered:
        return False
    raise refusal(f"the frame of {shown(node)}", _FRAME_HINT)
