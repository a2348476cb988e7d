"""Random tables, relations and aggregations."""

from collections.abc import Callable
from datetime import date
from fractions import Fraction

from hypothesis import strategies as st

from noisegate.privacy.expressions import Case, Expression, Function, Type
from noisegate.privacy.question import (
    Aggregation,
    Bounding,
    CountRows,
    CountUnits,
    CountValues,
    Key,
    Measure,
    Moment,
    Rank,
    Sum,
)
from noisegate.privacy.relations import (
    Distinct,
    Filter,
    Fold,
    FoldWindow,
    Grid,
    GroupWithinUnit,
    JoinKind,
    JoinOnUnit,
    JoinPublic,
    Matching,
    Order,
    Project,
    RankWindow,
    Relation,
    Scan,
    ScanColumn,
    Shape,
    Union,
    UnitFold,
    Window,
    WindowWithinUnit,
    constant_within_unit,
)

from .lab import BOOL, DATE, FLOAT, INT, STR, call, col, lit
from .twin import Database, Row

F = Function
HUGE = 1e300
VALUES = {
    INT: [None, 0, 1, 2, 3, -4, 2**62, -(2**62)],
    FLOAT: [None, 0.0, 0.5, 1.25, 2.0, -3.5, HUGE, -HUGE],
    BOOL: [None, True, False],
    STR: [None, "a", "b", "B", ""],
    DATE: [None, date(2020, 1, 1), date(2024, 2, 29)],
}
# Names that would be confused by an engine that does not tell capitals apart.
FIELDS = (("n", INT), ("N", INT), ("x", FLOAT), ("b", BOOL), ("s", STR), ("d", DATE))
STORED = {"n": "n", "N": "other n", "x": 'x"y', "b": "b", "s": "select", "d": "d"}


def scan(table: str, unit: str | None, single: bool = False, constant: tuple[str, ...] = ()) -> Scan:
    columns = [ScanColumn(STORED[n], n, k, n in constant) for n, k in FIELDS]
    if unit is not None:
        columns.insert(1, ScanColumn("patient", unit, INT))
    return Scan("lab", table, tuple(columns), unit, None if unit is None else "town", single)


VISITS = scan("visits", "u", constant=("s",))
PEOPLE = scan("people", "u", single=True)
PLACES = scan("places", None)
UNITS = (1, 2, 3, 4)

CELLS = st.fixed_dictionaries({STORED[n]: st.sampled_from(VALUES[k]) for n, k in FIELDS})


@st.composite
def databases(draw: st.DrawFn) -> Database:
    """Tables that hold what their scans declare: people once, visits of one `s` each."""
    of_unit = {u: draw(st.sampled_from(VALUES[STR])) for u in UNITS}
    visits: list[Row] = [
        {**draw(CELLS), "patient": unit, STORED["s"]: of_unit.get(unit, "b")}
        for unit in draw(st.lists(st.sampled_from([*UNITS, None]), max_size=14))
    ]
    people = [{**draw(CELLS), "patient": u} for u in draw(st.lists(st.sampled_from(UNITS), unique=True))]
    places = draw(st.lists(CELLS, max_size=3))
    return {("lab", "visits"): visits, ("lab", "people"): people, ("lab", "places"): places}


def without(database: Database, *units: int) -> Database:
    """The database in which some units never were."""
    return {t: [r for r in rows if r.get("patient") not in units] for t, rows in database.items()}


class Drawer:
    """Draws relations with names that are new each time."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"{'fF'[self.count % 2]}{self.count // 2}"

    def one_of(self, *choices: object) -> object:
        return self.draw(st.sampled_from(choices))

    def value(self, shape: Shape, kind: Type) -> Expression:
        """A small expression of a type."""
        columns = [col(f.name, f.type) for f in shape.fields if f.type is kind]
        constants = [lit(v, kind) for v in VALUES[kind]]
        leaf = self.draw(st.sampled_from([*columns * 3, *constants]))
        match self.draw(st.integers(0, 5)), kind:
            case 0, Type.INT:
                return call(F.ADD, leaf, lit(1))
            case 0, Type.FLOAT:
                return call(F.MULTIPLY, leaf, lit(2.0))
            case 0, Type.BOOL:
                return self.condition(shape)
            case 0, Type.STR:
                return call(F.CONCAT, leaf, lit("z"))
            case 1, _:
                return Case(((self.condition(shape), leaf),), lit(None, kind))
            case 2, _:
                return call(F.COALESCE, leaf, constants[1])
            case _:
                return leaf

    def condition(self, shape: Shape) -> Expression:
        kinds = [k for k in (INT, FLOAT, STR, DATE, BOOL) if any(f.type is k for f in shape.fields)]
        kind = self.draw(st.sampled_from(kinds))
        columns = [col(f.name, f.type) for f in shape.fields if f.type is kind]
        a, b = (self.draw(st.sampled_from([*columns, *(lit(v, kind) for v in VALUES[kind])])) for _ in "ab")
        function = self.draw(st.sampled_from([F.EQ, F.NE, F.LE, F.GT, F.SAME]))
        made = call(function, a, b)
        return call(F.OR, made, call(F.IS_NULL, a)) if self.draw(st.booleans()) else made

    def order(self, shape: Shape) -> tuple[Order, ...]:
        kinds = self.draw(st.lists(st.sampled_from([INT, FLOAT, STR]), max_size=2))
        return tuple(Order(self.value(shape, k), self.draw(st.booleans())) for k in kinds)

    def fold(self, shape: Shape, ordered: bool) -> UnitFold:
        chosen = self.draw(st.sampled_from([f for f in Fold if ordered or f not in (Fold.FIRST, Fold.LAST)]))
        where = self.condition(shape) if self.draw(st.booleans()) else None
        if chosen is Fold.COUNT_ROWS:
            return UnitFold(chosen, None, where)
        if chosen in (Fold.ANY_TRUE, Fold.ALL_TRUE):
            return UnitFold(chosen, self.value(shape, BOOL), where)
        kind = self.draw(
            st.sampled_from([INT, FLOAT] if chosen in (Fold.SUM, Fold.MEAN) else [INT, FLOAT, STR])
        )
        order = self.order(shape) if chosen in (Fold.FIRST, Fold.LAST) else ()
        grid = self.grid() if kind is FLOAT and chosen in (Fold.SUM, Fold.MEAN) else None
        return UnitFold(chosen, self.value(shape, kind), where, grid, order)

    def grid(self) -> Grid:
        # Powers of two, so that no value of VALUES lies where rounding could go either way unseen.
        step = self.draw(st.sampled_from([Fraction(1), Fraction(1, 4), Fraction(1, 2), Fraction(4)]))
        low = self.draw(st.integers(-20, 8))
        return Grid(low, low + self.draw(st.integers(1, 30)), step)

    def renamed(self, relation: Relation) -> Relation:
        unit = relation.shape.unit
        return Project(
            relation,
            tuple((self.name(), col(f.name, f.type)) for f in relation.shape.fields if f.name != unit),
        )

    def private(self, depth: int) -> Relation:
        relation: Relation = self.draw(st.sampled_from([VISITS, PEOPLE]))
        for _ in range(self.draw(st.integers(0, depth))):
            step: Callable[[Relation, int], Relation] = self.draw(st.sampled_from(STEPS))
            relation = step(self, relation, depth - 1)
        return relation


def filtered(d: Drawer, r: Relation, depth: int) -> Relation:
    return Filter(r, d.condition(r.shape))


def projected(d: Drawer, r: Relation, depth: int) -> Relation:
    kinds = [INT, FLOAT, STR, d.draw(st.sampled_from([INT, FLOAT, STR, BOOL, DATE]))]
    return Project(r, tuple((d.name(), d.value(r.shape, k)) for k in kinds))


def joined(d: Drawer, r: Relation, depth: int) -> Relation:
    right = d.renamed(d.private(min(depth, 1)))
    kind = d.draw(st.sampled_from(JoinKind))
    plain = JoinOnUnit(r, right, kind)
    return JoinOnUnit(r, right, kind, d.condition(plain.shape)) if d.draw(st.booleans()) else plain


def joined_public(d: Drawer, r: Relation, depth: int) -> Relation:
    right = d.renamed(PLACES)
    kind = d.draw(st.sampled_from(JoinKind))
    everything = JoinPublic(r, right, kind, lit(True))
    return JoinPublic(r, right, kind, d.condition(everything.shape))


def matching(d: Drawer, r: Relation, depth: int) -> Relation:
    anti = d.draw(st.booleans())
    if d.draw(st.booleans()):
        right = d.renamed(PLACES)
        return Matching(r, right, anti, d.condition(JoinPublic(r, right, JoinKind.INNER, lit(True)).shape))
    right = d.renamed(d.private(min(depth, 1)))
    plain = JoinOnUnit(r, right, JoinKind.INNER)
    return Matching(r, right, anti, d.condition(plain.shape) if d.draw(st.booleans()) else None)


def grouped(d: Drawer, r: Relation, depth: int) -> Relation:
    keys = tuple(
        (d.name(), d.value(r.shape, k)) for k in d.draw(st.lists(st.sampled_from([INT, STR]), max_size=2))
    )
    folds = tuple((d.name(), d.fold(r.shape, True)) for _ in range(d.draw(st.integers(1, 3))))
    return GroupWithinUnit(r, keys, folds)


def windowed(d: Drawer, r: Relation, depth: int) -> Relation:
    made: list[tuple[str, RankWindow | FoldWindow]] = []
    for _ in range(d.draw(st.integers(1, 2))):
        kinds = d.draw(st.lists(st.sampled_from([INT, STR]), max_size=1))
        part = tuple(d.value(r.shape, k) for k in kinds)
        order = d.order(r.shape)
        if d.draw(st.booleans()):
            made.append((d.name(), FoldWindow(d.fold(r.shape, False), part, order)))
            continue
        function = d.draw(st.sampled_from(Window))
        value = None
        if function not in (Window.ROW_NUMBER, Window.RANK, Window.DENSE_RANK):
            value = d.value(r.shape, INT)
        made.append((d.name(), RankWindow(function, part, order, value, d.draw(st.integers(0, 2)))))
    return WindowWithinUnit(r, tuple(made))


def united(d: Drawer, r: Relation, depth: int) -> Relation:
    return Union((r, Filter(r, d.condition(r.shape))))


def distinct(d: Drawer, r: Relation, depth: int) -> Relation:
    return Distinct(r)


STEPS = (filtered, projected, joined, joined_public, matching, grouped, windowed, united, distinct)


@st.composite
def relations(draw: st.DrawFn) -> Relation:
    return Drawer(draw).private(3)


@st.composite
def aggregations(draw: st.DrawFn, told: bool = False) -> Aggregation:
    """Any aggregation; if `told`, one for which the twin can tell the cells."""
    d = Drawer(draw)
    source = d.private(2)
    shape = source.shape
    keys = []
    for _ in range(draw(st.integers(0, 2))):
        kind = draw(st.sampled_from([STR, INT, FLOAT, BOOL]))
        some = draw(st.lists(st.sampled_from(VALUES[kind]), min_size=1, unique=True))
        domain = tuple(some) if told or draw(st.booleans()) else None
        keys.append(Key(d.name(), d.value(shape, kind), domain))
    private = any(k.domain is None for k in keys)
    one = all(constant_within_unit(k.expression, shape) for k in keys)
    rows = 1 if shape.single else draw(st.sampled_from([1, 2, 3, 20]))
    groups = 1 if one else 2**20 if told else draw(st.integers(1, 3))
    total = 2**40 if told else draw(st.sampled_from([rows, rows + 1, rows * groups]))
    measures: list[Measure] = [CountUnits()] if private else []
    for _ in range(draw(st.integers(1, 4))):
        made = measure(d, shape, exact_choice=told and not shape.single and rows < 20)
        if made not in measures:
            measures.append(made)
    return Aggregation(source, tuple(keys), tuple(measures), Bounding(rows, groups, total))


def measure(d: Drawer, shape: Shape, exact_choice: bool) -> Measure:
    where = d.condition(shape) if d.draw(st.booleans()) else None
    kind = d.draw(st.sampled_from([INT, FLOAT]))
    value = d.value(shape, kind)
    chosen = d.draw(st.integers(0, 4 if exact_choice else 6))
    match chosen:
        case 0:
            return CountRows(where)
        case 1:
            return CountUnits(where)
        case 2:
            return Sum(value, d.grid(), where)
        case 3 | 4:
            return Moment(value, d.grid(), chosen - 2, where)
        case 5:
            return CountValues(d.value(shape, d.draw(st.sampled_from([INT, STR, FLOAT]))), where)
        case _:
            low = d.draw(st.integers(-10, 3))
            grid = Grid(low, low + d.draw(st.integers(4, 20)), Fraction(1, 4))
            return Rank(value, grid, d.draw(st.integers(1, 3)), Fraction(1, 2), where)
