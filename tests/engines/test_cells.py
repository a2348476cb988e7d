"""Cells from columns: those of a twin that looks rows up in a dictionary, and in memory for rows alone."""

import math
import random
import time
import tracemalloc
from collections.abc import Sequence
from datetime import date, datetime
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate.engines.cells import assembled
from noisegate.engines.unitrows import Statement
from noisegate.privacy.exact import Counted, _open
from noisegate.privacy.expressions import ColumnRef, Scalar, Type
from noisegate.privacy.question import Aggregation, Bounding, CountRows, CountUnits, Key, Rank
from noisegate.privacy.relations import Grid, Scan, ScanColumn

GroupKey = tuple[Scalar, ...]
X = ColumnRef("x", Type.FLOAT)
MEDIAN = Rank(X, Grid(0, 4, Fraction(1)), 1, Fraction(1, 2))
MEASURES = (CountUnits(), MEDIAN, CountRows())
DTYPES = {
    Type.INT: "int64",
    Type.FLOAT: "float64",
    Type.STR: "object",
    Type.BOOL: "bool",
    Type.DATE: "datetime64[us]",
    Type.TIMESTAMP: "datetime64[us]",
}
VALUES: dict[Type, list[Scalar]] = {
    Type.INT: [0, -(2**63) + 1, 7, None],
    Type.FLOAT: [0.5, math.nan, -math.inf, None],
    Type.STR: ["", "a", "é\n", None],
    Type.BOOL: [True, False, None],
    Type.DATE: [date(2020, 2, 29), date(1, 1, 1), None],
    Type.TIMESTAMP: [datetime.fromisoformat("2020-02-29T01:02:03.000456"), None],
}


def asked(kinds: Sequence[Type], domains: Sequence[tuple[Scalar, ...] | None]) -> Aggregation:
    columns = [ScanColumn("u", "u", Type.INT), ScanColumn("x", "x", Type.FLOAT)]
    columns += [ScanColumn(f"c{i}", f"c{i}", kind) for i, kind in enumerate(kinds)]
    keys = tuple(
        Key(f"c{i}", ColumnRef(f"c{i}", kind), domain)
        for i, (kind, domain) in enumerate(zip(kinds, domains, strict=True))
    )
    return Aggregation(Scan("d", "t", tuple(columns), "u", "p"), keys, MEASURES, Bounding(3, 2))


def column(values: Sequence[Scalar], kind: Type) -> np.ndarray:
    """As fetchnumpy gives it: masked where there are NULLs."""
    filler = next(v for v in VALUES[kind] if v is not None)
    data = np.array([filler if v is None else v for v in values], dtype=DTYPES[kind])
    missing = [v is None for v in values]
    return np.ma.masked_array(data, missing) if any(missing) else data


def columns(keys: Sequence[GroupKey], kinds: Sequence[Type], **more: Sequence[int]) -> dict[str, np.ndarray]:
    found = {f"k{i}": column([key[i] for key in keys], kind) for i, kind in enumerate(kinds)}
    return found | {name: np.array(values, dtype=np.int64) for name, values in more.items()}


def named(key: GroupKey) -> GroupKey:
    """A key that equals itself."""
    return tuple("NaN" if isinstance(v, float) and math.isnan(v) else v for v in key)


@given(st.data())
def test_cells_are_those_a_dictionary_finds(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=3), label="kinds")
    public = data.draw(st.booleans(), label="public") and Type.FLOAT not in kinds
    domains = [tuple(VALUES[kind]) if public else None for kind in kinds]
    key = st.tuples(*(st.sampled_from(VALUES[kind]) for kind in kinds))
    groups = data.draw(st.lists(key, unique_by=named, max_size=6), label="groups")
    place = st.tuples(st.sampled_from(groups or [()]), st.integers(0, 4))
    rows = data.draw(st.dictionaries(place, st.integers(1, 9), max_size=12 if groups else 0), label="rows")
    pairs = data.draw(st.permutations(list(rows)), label="order")
    aggregation = asked(kinds, domains)
    totals = Statement("", (0, 2), salted=False)
    by_candidate = Statement("", (1,), salted=False, by_candidate=True)
    count = range(len(groups))
    answers = [
        (totals, columns(groups, kinds, m0=[10 + i for i in count], m2=[20 + i for i in count])),
        (
            by_candidate,
            columns(
                [g for g, _ in pairs], kinds, candidate=[c for _, c in pairs], m1=[rows[p] for p in pairs]
            ),
        ),
    ]
    keys, cells = _open(assembled(aggregation, answers))
    if not public:
        assert [named(k) for k in keys] == [named(g) for g in groups]
    units, median, total = cells
    assert isinstance(median, Counted)
    table = median.dense(np.arange(len(keys)), MEDIAN.candidates)
    order = {named(g): i for i, g in enumerate(groups)}
    wanted = {(named(g), c): n for (g, c), n in rows.items()}
    for i, group in enumerate(map(named, keys)):
        assert np.asarray(units)[i] == (10 + order[group] if group in order else 0)
        assert np.asarray(total)[i] == (20 + order[group] if group in order else 0)
        assert table[i].tolist() == [wanted.get((group, c), 0) for c in range(5)]


def test_counts_of_groups_that_the_count_of_units_did_not_keep_are_left_out() -> None:
    aggregation = asked([Type.STR], [None])
    answers = [
        (Statement("", (0, 2), salted=False), columns([("a",), ("c",)], [Type.STR], m0=[1, 2], m2=[3, 4])),
        (
            Statement("", (1,), salted=False, by_candidate=True),
            columns([("c",), ("b",), ("a",)], [Type.STR], candidate=[1, 2, 3], m1=[5, 6, 7]),
        ),
    ]
    keys, (_, median, _) = _open(assembled(aggregation, answers))
    assert keys == (("a",), ("c",))
    assert isinstance(median, Counted)
    assert median.dense(np.arange(2), 5).tolist() == [[0, 0, 0, 7, 0], [0, 5, 0, 0, 0]]


@pytest.mark.parametrize("kind", [Type.STR, Type.INT])
def test_many_private_groups_take_memory_for_their_rows_alone(kind: Type) -> None:
    groups = 50_000
    names: list[GroupKey] = [(f"s{i}" if kind is Type.STR else i,) for i in range(groups)]
    shuffled = random.Random(2).sample(names, groups)
    aggregation = asked([kind], [None])
    answers = [
        (Statement("", (0, 2), salted=False), columns(names, [kind], m0=[9] * groups, m2=[9] * groups)),
        (
            Statement("", (1,), salted=False, by_candidate=True),
            columns(shuffled, [kind], candidate=[3] * groups, m1=[9] * groups),
        ),
    ]
    tracemalloc.start()
    started = time.perf_counter()
    assembled(aggregation, answers)
    taken, (_, most) = time.perf_counter() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 40 * 2**20  # some 400 bytes a group
    assert taken < 6  # half a second on a quiet machine, most of it for tracing
