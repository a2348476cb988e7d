"""Expressions: the same as the twin where results are told apart, total and clean everywhere."""
# ruff: noqa: DTZ001  (timestamps have no time zone here)

import math
from datetime import date, datetime
from functools import cache
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisegate.engines.expressions import MAX_DEPTH, expression
from noisegate.engines.quote import identifier, quoted
from noisegate.engines.texts import MAX_TEXT_BYTES
from noisegate.privacy.expressions import (
    INT64_MAX,
    Case,
    Expression,
    Function,
    PlanError,
    Scalar,
    Type,
)
from noisegate.privacy.relations import Scan, ScanColumn

from . import twin
from .lab import BOOL, DATE, FLOAT, INT, STR, TIMESTAMP, Lab, call, close, col, lit

F = Function
MOST = 1.7976931348623157e308
VALUES: dict[Type, list[Scalar]] = {
    INT: [None, 0, 1, -1, 2, 7, -13, 100, 2**31, 2**53 + 1, INT64_MAX, -(2**63)],
    FLOAT: [None, 0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 1e-300, 5e-324, 0.1, 1e16, 1e300, MOST, -MOST],
    BOOL: [None, True, False],
    STR: [
        None,
        "",
        " a ",
        "a%b",
        "A_b",
        "é€😀",
        "x" * 4096,
        "1",
        "-0",
        "nan",
        "inf",
        "1e400",
        "2020-02-30",
        "'",
        "\x00",
    ],
    DATE: [None, date(1, 1, 1), date(9999, 12, 31), date(1970, 1, 1), date(2024, 2, 29)],
    TIMESTAMP: [
        None,
        datetime(1, 1, 1),
        datetime(9999, 12, 31, 23, 59, 59, 999999),
        datetime(2024, 2, 29, 13, 5),
    ],
}
COLUMNS = [(f"{kind.value}{n}", kind) for kind in Type for n in (1, 2, 3)]
SCAN = Scan("lab", "t", (ScanColumn("id", "id", INT), *(ScanColumn(n, n, k) for n, k in COLUMNS)), None, None)


def signatures() -> list[tuple[Function, tuple[Type, ...]]]:
    """Every function with every combination of up to three column types that it takes."""
    found = []
    for function, count in product(Function, (1, 2, 3)):
        for kinds in product(Type, repeat=count):
            try:
                call(function, *(col(f"{k.value}{i + 1}", k) for i, k in enumerate(kinds)))
            except PlanError:
                continue
            found.append((function, kinds))
    return found


SIGNATURES = signatures()
# Where the engine's own form of a value is the answer, there is no twin: only totality is tested.
UNTOLD = {F.TO_STR, F.TO_INT, F.TO_FLOAT, F.TO_BOOL, F.TO_DATE, F.TO_TIMESTAMP, F.UPPER, F.LOWER}


def adversarial_rows(kinds: tuple[Type, ...]) -> list[twin.Row]:
    found = []
    for n, values in enumerate(product(*(VALUES[k] for k in kinds))):
        row: twin.Row = dict.fromkeys([name for name, _ in COLUMNS])
        row["id"] = n
        for place, (kind, v) in enumerate(zip(kinds, values, strict=True)):
            row[f"{kind.value}{place + 1}"] = v
        found.append(row)
    return found


def well_formed(value: Scalar, kind: Type) -> bool:
    match value:
        case None:
            return True
        case float():
            return (
                kind is FLOAT
                and math.isfinite(value)
                and math.copysign(1, value) * value >= 0
                and str(value) != "-0.0"
            )
        case str():
            return kind is STR and len(value.encode()) <= 3 * MAX_TEXT_BYTES
        case bool():
            return kind is BOOL
        case int():
            return kind is INT and -(2**63) <= value < 2**63
        case datetime():
            return kind is TIMESTAMP
        case date():
            return kind is DATE


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab(threads=1)


def test_the_adversarial_values_are_what_they_claim() -> None:
    assert {f for f, _ in SIGNATURES} >= set(Function) - {F.LIKE, F.ILIKE, F.IN}
    assert not well_formed(math.nan, FLOAT)
    assert not well_formed(-0.0, FLOAT)
    assert not well_formed(1, FLOAT)


@pytest.mark.parametrize("kinds", sorted({k for _, k in SIGNATURES}, key=str), ids=str)
def test_no_function_fails_on_adversarial_values(lab: Lab, kinds: tuple[Type, ...]) -> None:
    rows = adversarial_rows(kinds)
    lab.put(SCAN, rows)
    by_id = {r["id"]: r for r in rows}
    args = [col(f"{k.value}{i + 1}", k) for i, k in enumerate(kinds)]
    for function, taken in SIGNATURES:
        if taken != kinds:
            continue
        node = call(function, *args)
        got = lab.values(node, SCAN, "id")
        assert all(well_formed(v, node.type) for v in got.values()), function
        if function not in UNTOLD:
            wrong = {i: v for i, v in got.items() if not close(v, twin.value(node, by_id[i]))}
            shown = {i: (by_id[i], v, twin.value(node, by_id[i])) for i, v in list(wrong.items())[:3]}
            assert not wrong, (function, shown)


LITERAL_CALLS = [
    *(call(F.ROUND, col("float1", FLOAT), lit(d)) for d in (-400, -308, -20, -2, 0, 1, 2, 15, 308, 400)),
    *(call(F.ROUND, col("int1", INT), lit(d)) for d in (-400, -38, -20, -19, -18, -2, -1, 0, 5)),
    call(F.ROUND, col("int1", INT), lit(None, INT)),
    call(F.ROUND, col("float1", FLOAT), lit(None, INT)),
    *(call(F.INT_DIVIDE, col("int1", INT), lit(d)) for d in (0, 1, -1, 7, -7, INT64_MAX)),
    *(call(F.MODULO, col("int1", INT), lit(d)) for d in (0, 1, -1, 7, -7, INT64_MAX)),
    *(
        call(f, col("str1", STR), lit(p))
        for f in (F.LIKE, F.ILIKE)
        for p in (
            "",
            "%",
            "_",
            "a%b",
            "A_B",
            "%b",
            "a\\_b",
            "___",
            "a.b",
            ".*",
            "\\Q%_",
            "é_%",
            "%%x%",
            None,
        )
        if p is not None
    ),
    call(F.LIKE, col("str1", STR), lit(None, STR)),
    call(F.IN, col("int1", INT), lit(1), lit(None, INT), lit(7)),
    call(F.IN, col("int1", INT), lit(1.0), lit(0.5)),
    call(F.IN, col("float1", FLOAT), lit(1), lit(0)),
    call(F.IN, col("str1", STR), lit("'"), lit("")),
    call(F.EQ, col("str1", STR), lit(None, INT)),
    call(F.SAME, col("str1", STR), lit(None, INT)),
    call(F.NULLIF, col("int1", INT), lit(1.0)),
    call(F.COALESCE, col("int1", INT), lit(0.5)),
    Case(((call(F.GT, col("int1", INT), lit(0)), col("int1", INT)),), lit(0.5)),
    Case(((col("bool1", BOOL), col("date1", DATE)),), lit(None, DATE)),
    call(F.ADD, lit(INT64_MAX), lit(1)),
    call(F.DIVIDE, lit(1), lit(0)),
    call(F.INT_DIVIDE, lit(1), lit(0)),
    call(F.MULTIPLY, lit(1e308), lit(10.0)),
    call(F.SQRT, lit(-1.0)),
    call(F.ADD_DAYS, lit(date(9999, 12, 31)), lit(1)),
]


@pytest.mark.parametrize("node", LITERAL_CALLS, ids=lambda n: f"{n}"[:60])
def test_constants_among_the_arguments_change_nothing(lab: Lab, node: Expression) -> None:
    rows = [
        {**r, "date1": DATES[i % 5], "bool1": BOOLS[i % 3], "float1": REALS[i % len(REALS)]}
        for i, r in enumerate(adversarial_rows((STR, INT)))
    ]
    rows = [{**r, "int1": r["int2"]} for r in rows]
    lab.put(SCAN, rows)
    got = lab.values(node, SCAN, "id")
    for row in rows:
        assert well_formed(got[row["id"]], node.type)
        assert close(got[row["id"]], twin.value(node, row)), (row, got[row["id"]], twin.value(node, row))


DATES, BOOLS, REALS = VALUES[DATE], VALUES[BOOL], VALUES[FLOAT]


@cache
def of_type(kind: Type, depth: int) -> st.SearchStrategy[Expression]:
    leaves = st.one_of(
        st.sampled_from([col(n, k) for n, k in COLUMNS if k is kind]),
        st.sampled_from([lit(v, kind) for v in VALUES[kind] if v not in (-(2**63), "\x00")]),
    )
    if depth == 0:
        return leaves
    made = [
        st.builds(call, st.just(f), *(of_type(k, depth - 1) for k in kinds))
        for f, kinds in SIGNATURES
        if len(kinds) <= 3 and f not in UNTOLD and call(f, *(col("x", k) for k in kinds)).type is kind
    ]
    case = st.builds(
        lambda c, a, b: Case(((c, a),), b),
        of_type(BOOL, depth - 1),
        of_type(kind, depth - 1),
        of_type(kind, depth - 1),
    )
    return st.one_of(leaves, case, *made)


TREES = st.sampled_from(list(Type)).flatmap(lambda kind: of_type(kind, 3))
ROW = st.fixed_dictionaries({n: st.sampled_from(VALUES[k]) for n, k in COLUMNS})
# Two correct implementations may differ in the last digit, and a later step can make that a different
# whole number or side of a comparison; these are compared one by one above.
INEXACT = {F.LN, F.LOG10, F.EXP, F.POWER, F.ROUND}


def functions_in(node: Expression) -> set[Function]:
    from noisegate.privacy.expressions import Call, children

    here = {node.function} if isinstance(node, Call) else set()
    return here.union(*(functions_in(c) for c in children(node)))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(node=TREES, row=ROW)
def test_nested_expressions_agree_with_the_twin(lab: Lab, node: Expression, row: twin.Row) -> None:
    row = {**row, "id": 0}
    lab.put(SCAN, [row])
    got = lab.values(node, SCAN, "id")[0]
    assert well_formed(got, node.type)
    if not functions_in(node) & INEXACT:
        assert close(got, twin.value(node, row)), (got, twin.value(node, row))


def nested(function: Function, leaf: Expression, depth: int) -> Expression:
    node = leaf
    for _ in range(depth):
        arity = next(len(k) for f, k in SIGNATURES if f is function)
        node = call(function, node, *[leaf] * (arity - 1))
    return node


def same_type_functions() -> list[tuple[Function, Type]]:
    return [
        (f, kinds[0])
        for f, kinds in SIGNATURES
        if len(set(kinds)) == 1 and call(f, *(col("x", k) for k in kinds)).type is kinds[0]
    ]


@pytest.mark.parametrize(("function", "kind"), same_type_functions(), ids=str)
def test_the_deepest_nesting_that_is_written_runs(lab: Lab, function: Function, kind: Type) -> None:
    lab.put(SCAN, adversarial_rows((kind,)))
    leaf = col(f"{kind.value}1", kind)
    names = {n: f"s.{n}" for n, _ in COLUMNS}
    for depth in (MAX_DEPTH, 60, 30, 15, 8):
        try:
            text = expression(nested(function, leaf, depth), names)
        except PlanError as refusal:
            assert "split" in str(refusal)  # noqa: PT017  (shallower nesting must still run)
            continue
        assert len(text) < depth * 2_500
        assert all(
            well_formed(v, kind) for v in lab.values(nested(function, leaf, depth), SCAN, "id").values()
        )
        return
    pytest.fail("even shallow nesting is refused")


def test_a_score_of_many_variants_is_one_expression(lab: Lab) -> None:
    lab.put(SCAN, adversarial_rows((INT,)))
    terms = [call(F.MULTIPLY, lit(0.1), col("int1", INT)) for _ in range(140)]
    counts: Expression = col("int1", INT)
    score: Expression = terms[0]
    for term in terms[1:]:
        score, counts = call(F.ADD, score, term), call(F.ADD, counts, col("int1", INT))
    assert close(lab.values(score, SCAN, "id")[5], 0.1 * 7 * 140)
    assert lab.values(counts, SCAN, "id")[5] == 7 * 140


def test_deeper_nesting_is_refused_from_the_plan_alone() -> None:
    node = nested(F.NEGATE, col("int1", INT), MAX_DEPTH + 1)
    with pytest.raises(PlanError, match="nested"):
        expression(node, {"int1": "s.int1"})


def test_a_thousand_conjuncts_run_however_they_are_nested(lab: Lab) -> None:
    lab.put(SCAN, adversarial_rows((INT,)))
    tests = [call(F.NE, col("int1", INT), lit(n)) for n in range(1_000)]
    node = tests[0]
    for other in tests[1:]:
        node = call(F.AND, node, other)
    flat = call(F.AND, *tests)
    assert lab.values(node, SCAN, "id") == lab.values(flat, SCAN, "id")


@pytest.mark.parametrize("text", ["'; DROP TABLE t; --", "\\'", "$salt", "{x}", '"', "\u202e"])
def test_a_text_constant_is_only_ever_itself(lab: Lab, text: str) -> None:
    lab.put(SCAN, [{**adversarial_rows((STR,))[0], "str1": text}])
    assert lab.values(call(F.EQ, col("str1", STR), lit(text)), SCAN, "id") == {0: True}
    assert lab.values(lit(text), SCAN, "id") == {0: text}


def test_quoting_leaves_nothing_for_the_parser_to_stop_at() -> None:
    assert quoted("a\x00'b") == "('a' || chr(0) || '`b')".replace("`", "''")
    with pytest.raises(PlanError, match="surrogate"):
        quoted("\ud800")
    with pytest.raises(PlanError, match="NUL"):
        identifier("a\x00b")


def test_patterns_that_would_backtrack_are_matched_in_linear_time(lab: Lab) -> None:
    rows = [{**adversarial_rows((STR,))[0], "id": n, "str1": "a" * 4096} for n in range(300)]
    lab.put(SCAN, rows)
    node = call(F.LIKE, col("str1", STR), lit("%a_" * 16 + "b"))
    assert set(lab.values(node, SCAN, "id").values()) == {False}
    with pytest.raises(PlanError, match="wildcards"):
        expression(call(F.LIKE, col("str1", STR), lit("%a_" * 17)), {"str1": "s.str1"})


def test_casts_of_texts_give_null_rather_than_fail(lab: Lab) -> None:
    texts = [
        "12",
        " 12 ",
        "12.5",
        "9223372036854775808",
        "x",
        "",
        "true",
        "T",
        "infinity",
        "now",
        "today",
        "2020-02-30",
        "2024-02-29",
        "99999-01-01",
        "0000-01-01",
        "2024-02-29 10:00:00+02",
        "2024-02-29 10:00:00Z",
        " 2024-02-29T10:00 ",
        "2024-02-29+02",
        "2024-2-9",
        "epoch",
        "1e400",
    ]
    rows = [{**adversarial_rows((STR,))[0], "id": n, "str1": t} for n, t in enumerate(texts)]
    lab.put(SCAN, rows)

    def cast(function: Function) -> dict[str, Scalar]:
        got = lab.values(call(function, col("str1", STR)), SCAN, "id")
        return {t: got[n] for n, t in enumerate(texts) if got[n] is not None}

    assert cast(F.TO_DATE)["2024-02-29"] == date(2024, 2, 29)
    assert {"infinity", "now", "today", "2020-02-30", "99999-01-01", "0000-01-01"}.isdisjoint(cast(F.TO_DATE))
    assert {"infinity", "now", "today"}.isdisjoint(cast(F.TO_TIMESTAMP))
    # As a file's texts are read: an offset would be taken into account in silence.
    assert set(cast(F.TO_DATE)) == {"2024-02-29"}
    assert cast(F.TO_TIMESTAMP) == {
        "2024-02-29": datetime(2024, 2, 29),
        "2024-02-29 10:00:00Z": datetime(2024, 2, 29, 10),
        " 2024-02-29T10:00 ": datetime(2024, 2, 29, 10),
    }
    assert cast(F.TO_INT)["12"] == 12
    assert {"9223372036854775808", "x", "", "infinity"}.isdisjoint(cast(F.TO_INT))
    assert cast(F.TO_FLOAT)["12.5"] == 12.5
    assert {"infinity", "1e400", "x", ""}.isdisjoint(cast(F.TO_FLOAT))
    assert cast(F.TO_BOOL)["true"] is True
    assert call(F.TO_STR, lit(datetime(2024, 1, 1))).type is STR


def test_texts_that_would_grow_without_end_are_null(lab: Lab) -> None:
    lab.put(SCAN, [{**adversarial_rows((STR,))[0], "str1": "x" * 4096}])
    doubled = nested(F.CONCAT, col("str1", STR), 10)
    assert lab.values(doubled, SCAN, "id") == {0: None}
    grown = call(F.REPLACE, col("str1", STR), lit("x"), col("str1", STR))
    assert lab.values(grown, SCAN, "id") == {0: None}


def test_writing_an_ordinary_expression_takes_well_under_a_millisecond() -> None:
    import time

    node = call(
        F.GT, call(F.DIVIDE, col("float1", FLOAT), call(F.POWER, col("float2", FLOAT), lit(2))), lit(30)
    )
    node = call(
        F.AND, node, call(F.LIKE, col("str1", STR), lit("a%")), call(F.IN, col("int1", INT), lit(1), lit(2))
    )
    names = {n: f"s.{n}" for n, _ in COLUMNS}
    start = time.process_time()
    for _ in range(200):
        expression(node, names)
    assert (time.process_time() - start) / 200 < 1e-3
