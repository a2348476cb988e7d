"""Curves of a report from advice at several ε."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import t as student

from noisegate.genomics.advise import advise
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.report.curves import curves_of

from ..held import held
from ..panels import panels

EPSILONS = (10, 1)


@pytest.fixture(scope="module")
def advice():
    panel = held(panels.random_calls(np.random.default_rng(40), 64, 30), public=True)
    starts = np.arange(64) == 0
    return [
        advise(panel, starts, 20, Fraction(epsilon), Fraction(1, 10**6), ReleaseKey(bytes(16)))
        for epsilon in EPSILONS
    ]


def test_every_method_has_a_line_of_its_means_by_rising_epsilon(advice):
    found = {curve.measure: curve for curve in curves_of(advice)}
    assert set(found) == {
        "error of allele frequencies",
        "genotypes that differ",
        "findings kept at 5 % false positives",
    }
    curve = found["error of allele frequencies"]
    assert curve.public
    assert not curve.more_is_better
    assert {method for method, _ in curve.lines} == {t.method for t in advice[0].tried}
    for method, points in curve.lines:
        assert [p.epsilon for p in points] == [1.0, 10.0]
        assert [p.figure.value for p in points] == [advice[i].of(method).mean.frequency for i in (1, 0)]
        error = advice[1].of(method).error.frequency
        wide = student.ppf(0.975, advice[1].copies - 1) * error
        assert points[0].figure.high - points[0].figure.value == pytest.approx(wide)
        assert points[0].figure.low >= 0


def test_advice_that_does_not_belong_together_makes_no_curve(advice):
    with pytest.raises(ValueError, match="one number of people"):
        curves_of([advice[0], replace(advice[1], people=21)])
    with pytest.raises(ValueError, match="one point at an ε"):
        curves_of([advice[0], advice[0]])
    assert curves_of([]) == ()
