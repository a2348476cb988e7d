import math
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest

from noisegate import privacy
from noisegate.errors import BadInput
from noisegate.privacy.filter import stand_alone_epsilon

AGES = np.random.default_rng(3).normal(50, 12, 5000)
BOUNDED = [
    (privacy.mean, np.mean(AGES)),
    (privacy.sum, np.sum(AGES)),
    (privacy.variance, np.var(AGES, ddof=1)),
    (privacy.standard_deviation, np.std(AGES, ddof=1)),
    (privacy.median, np.median(AGES)),
]


@pytest.mark.parametrize(("function", "truth"), BOUNDED)
def test_answers_lie_near_the_truth_inside_their_interval(function, truth):
    found = function(AGES, low=-100, high=200, epsilon=2)
    assert found.low <= found.value <= found.high
    width = found.high - found.low
    assert found.low - width <= truth <= found.high + width
    assert width < 0.5 * abs(truth)
    assert found.loss.pure_epsilon <= 2 + Fraction(3, 10**9)
    assert found.delta == 0


def test_intervals_hold_the_truth_19_times_in_20():
    inside = 0
    for _ in range(300):
        found = privacy.mean(AGES[:50], low=0, high=100, epsilon=0.5)
        inside += found.low <= AGES[:50].mean() <= found.high
    assert inside >= 255


def test_extremes_stay_inside_the_data():
    least = privacy.minimum(AGES, low=0, high=120, epsilon=5)
    most = privacy.maximum(AGES, low=0, high=120, epsilon=5)
    assert least.low == 0
    assert most.high == 120
    assert AGES.min() - 1 <= least.value < 30 < 70 < most.value <= AGES.max() + 1


@pytest.mark.parametrize(
    "column",
    [
        [1, None, 3.0, math.nan, Decimal(5), Fraction(7), True],
        (v for v in (1, 2, None, 3, 4, 5)),
        np.array([1.0, np.nan, 2, 3, 4, 5]),
        np.ma.masked_array([1, 2, 3, 4, 5, 6], mask=[0, 0, 0, 0, 0, 1]),
        pd.Series([1, 2, None, 3, 4, 5]),
        pd.Series([1, 2, None, 3, 4, 5], dtype="Int64"),
        pl.Series([1, 2, None, 3, 4, 5]),
        pl.Series([1.0, 2, None, 3, 4, math.nan, 5]),
    ],
)
def test_any_column_of_numbers_will_do_and_missing_values_are_skipped(column):
    assert privacy.count(column, epsilon=90).value == 5


def test_values_beyond_the_bounds_are_clamped():
    found = privacy.sum([10**400, -math.inf, 1e300, 5], low=0, high=10, epsilon=100)
    assert found.value == pytest.approx(25, abs=2)


def test_no_data_is_no_error():
    for function in (privacy.mean, privacy.sum, privacy.variance, privacy.standard_deviation, privacy.median):
        for _ in range(200):
            found = function([], low=0, high=10, epsilon=1)
            assert found.low <= found.value <= found.high


@pytest.mark.parametrize("delta", [0, 1e-6, 0.4])
@pytest.mark.parametrize("epsilon", [0.1, 3, 40])
def test_the_loss_stays_within_what_was_asked(epsilon, delta):
    found = privacy.variance(AGES, low=0, high=100, epsilon=epsilon, delta=delta)
    shown = stand_alone_epsilon(found.loss, Fraction(str(delta)))
    assert shown <= Fraction(str(epsilon)) + Fraction(5, 10**9)
    assert len(found.mechanism) == 3


def test_noise_is_the_least_of_the_families():
    assert "Laplace" in privacy.sum(AGES, low=0, high=100, epsilon=20).mechanism[0]
    assert "staircase" in privacy.sum(AGES, low=0, high=100, epsilon=5).mechanism[0]
    assert "Gaussian" in privacy.variance(AGES, low=0, high=100, epsilon=0.1, delta=0.4).mechanism[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"low": 5, "high": 5}, "must be below"),
        ({"low": math.nan}, "low must be finite"),
        ({"high": "9"}, "high must be a number"),
        ({"epsilon": 0}, "epsilon must be"),
        ({"epsilon": math.inf}, "epsilon must be finite"),
        ({"epsilon": 1000}, "epsilon must be"),
        ({"epsilon": True}, "epsilon must be a number"),
        ({"delta": 1}, "delta must be"),
        ({"low": 1e18, "high": 1e18 + 1000}, "too close together"),
    ],
)
def test_bad_arguments_say_what_is_wrong(arguments, words):
    with pytest.raises(BadInput, match=words):
        privacy.mean(AGES, **({"low": 0, "high": 100, "epsilon": 1} | arguments))


@pytest.mark.parametrize(
    "column",
    ["424242", ["424242"], {"a": 424242}, 424242, [[1], [2]], np.array([["424242"]]), np.array(["424242"])],
)
def test_what_is_no_column_of_numbers_is_refused_without_being_quoted(column):
    with pytest.raises(BadInput) as refused:
        privacy.count(column, epsilon=1)
    assert "424242" not in str(refused.value)


def test_a_quantile_needs_a_simple_fraction_between_0_and_1():
    for q in (1.5, -0.1, 0.123456789):
        with pytest.raises(BadInput, match="quantile"):
            privacy.quantile(AGES, q, low=0, high=100, epsilon=1)
    assert privacy.quantile(AGES, 0.975, low=0, high=100, epsilon=5).value == pytest.approx(
        np.quantile(AGES, 0.975), abs=3
    )


def test_an_answer_says_that_nothing_was_charged():
    text = repr(privacy.mean(AGES, low=0, high=100, epsilon=0.5, delta=1e-6))
    assert "nothing was charged" in text
    assert "95 %" in text
    assert "ε 0.5" in text


def test_importing_the_core_loads_no_server_no_engine_and_no_sampler_yet():
    program = (
        "import sys, noisegate.privacy as p; assert 'opendp' not in sys.modules; p.count([1], epsilon=1);"
        "bad = {'duckdb', 'sqlglot', 'fastapi', 'sqlalchemy', 'pandas', 'polars'} & set(sys.modules);"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute"):
        privacy.nothing_of_the_kind  # noqa: B018
