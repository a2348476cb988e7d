"""Post-processing: SQL's answers over noisy rows, and where each row came from."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.engines.after import AfterEngine
from noisegate.errors import EngineFailed
from noisegate.privacy.after import Compute, Fold, Keep, Limit, OuterFold, Sort, Step, Unique
from noisegate.privacy.expressions import Function, PlanError, Scalar

from .lab import DATE, FLOAT, INT, STR, call, col, lit

COLUMNS = (("site", STR), ("n", INT), ("mean", FLOAT))
ROWS: list[tuple[Scalar, ...]] = [("a", 10, 1.5), ("b", -3, None), (None, 10, 2.5), ("c", 7, 1.5)]
SITE, N, MEAN = col("site", STR), col("n", INT), col("mean", FLOAT)


@pytest.fixture(scope="module")
def engine() -> AfterEngine:
    return AfterEngine()


def run(engine: AfterEngine, *steps: Step) -> tuple[list[tuple[Scalar, ...]], list[int | None]]:
    _, rows, origins = engine.run(COLUMNS, ROWS, steps)
    return rows, origins


def test_no_steps_change_nothing_and_ask_no_engine() -> None:
    idle = AfterEngine()
    idle._connection.close()
    assert idle.run(COLUMNS, ROWS, ()) == (COLUMNS, ROWS, [0, 1, 2, 3])


def test_rows_keep_their_order_and_origin_through_compute_and_keep(engine: AfterEngine) -> None:
    steps = (Keep(call(Function.GT, N, lit(0))), Compute((("double", call(Function.MULTIPLY, N, lit(2))),)))
    columns, rows, origins = engine.run(COLUMNS, ROWS, steps)
    assert columns == (("double", INT),)
    assert rows == [(20,), (20,), (14,)]
    assert origins == [0, 2, 3]


def test_sorting_is_stable_and_puts_nulls_where_it_is_told(engine: AfterEngine) -> None:
    assert run(engine, Sort(((N, True, False),)))[1] == [0, 2, 3, 1]
    assert run(engine, Sort(((SITE, False, True),)))[1] == [2, 0, 1, 3]
    assert run(engine, Sort(((MEAN, True, False), (N, False, False))))[1] == [2, 3, 0, 1]


def test_limits_skip_and_count_in_the_order_of_the_rows(engine: AfterEngine) -> None:
    by_n = Sort(((N, False, False),))
    assert run(engine, by_n, Limit(2))[1] == [1, 3]
    assert run(engine, by_n, Limit(2, 1))[1] == [3, 0]
    assert run(engine, by_n, Limit(None, 3))[1] == [2]
    assert run(engine, Limit(0)) == ([], [])


def test_unique_keeps_the_first_of_equal_rows(engine: AfterEngine) -> None:
    assert run(engine, Compute((("n", N),)), Unique()) == ([(10,), (-3,), (7,)], [0, 1, 3])


def test_a_fold_has_no_origin_and_groups_in_order_of_appearance(engine: AfterEngine) -> None:
    fold = Fold(
        (("mean", MEAN),),
        (
            ("count", OuterFold.COUNT, None),
            ("sites", OuterFold.COUNT, SITE),
            ("sum", OuterFold.SUM, N),
            ("avg", OuterFold.AVG, N),
            ("low", OuterFold.MIN, SITE),
            ("high", OuterFold.MAX, N),
            ("mid", OuterFold.MEDIAN, N),
        ),
    )
    columns, rows, origins = engine.run(COLUMNS, ROWS, (fold,))
    assert rows == [
        (1.5, 2, 2, 17, 8.5, "a", 10, 8.5),
        (None, 1, 1, -3, -3.0, "b", -3, -3.0),
        (2.5, 1, 0, 10, 10.0, None, 10, 10.0),
    ]
    assert origins == [None] * 3
    assert [kind for _, kind in columns] == [FLOAT, INT, INT, INT, FLOAT, STR, INT, FLOAT]


def test_a_fold_of_everything_has_one_row_even_of_nothing(engine: AfterEngine) -> None:
    fold = Fold((), (("count", OuterFold.COUNT, None), ("sum", OuterFold.SUM, N)))
    assert run(engine, fold)[0] == [(4, 24)]
    assert run(engine, Limit(0), fold)[0] == [(0, None)]


def test_sums_that_overflow_saturate_or_are_null(engine: AfterEngine) -> None:
    columns = (("n", INT), ("x", FLOAT))
    fold = Fold((), (("n", OuterFold.SUM, col("n", INT)), ("x", OuterFold.SUM, col("x", FLOAT))))
    rows: list[tuple[Scalar, ...]] = [(2**62, 1.7e308)] * 4
    assert engine.run(columns, rows, (fold,))[1] == [(2**63 - 1, None)]


def test_values_of_all_types_pass_through(engine: AfterEngine) -> None:
    columns = (("d", DATE), ("s", STR))
    rows: list[tuple[Scalar, ...]] = [(date(2024, 2, 29), "x'\"\x00é"), (None, None)]
    assert engine.run(columns, rows, (Keep(lit(True)),))[1] == rows


def test_nothing_can_be_read_but_the_noisy_rows(engine: AfterEngine) -> None:
    for sql in ("SELECT * FROM read_csv('/etc/passwd')", "ATTACH '/tmp/x.duckdb'", "SET threads = 2"):
        with pytest.raises(Exception, match=r"disabled|locked|Cannot"):
            engine._connection.cursor().execute(sql)


def test_runs_at_the_same_time_do_not_see_each_other(engine: AfterEngine) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def one(n: int) -> list[tuple[Scalar, ...]]:
        return engine.run((("n", INT),), [(n,)] * 50, (Unique(),))[1]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(40))) == [[(n,)] for n in range(40)]


def test_what_is_not_there_cannot_be_read(engine: AfterEngine) -> None:
    with pytest.raises(PlanError, match="gone"):
        run(engine, Compute((("n", N),)), Keep(call(Function.IS_NULL, col("gone", STR))))


def test_a_closed_engine_fails_with_its_constant_text() -> None:
    closed = AfterEngine()
    closed._connection.close()
    with pytest.raises(EngineFailed):
        closed.run(COLUMNS, ROWS, (Unique(),))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["a", "b", None]), st.integers(-3, 3), st.floats(-9, 9)), max_size=8
    )
)
def test_sort_then_limit_is_pythons(engine: AfterEngine, rows: list[tuple[Scalar, ...]]) -> None:
    _, _, origins = engine.run(COLUMNS, rows, (Sort(((N, False, False), (MEAN, True, False))), Limit(3, 1)))
    expected = sorted(range(len(rows)), key=lambda i: (rows[i][1], -(rows[i][2] or 0.0)))
    assert origins == expected[1:4]
