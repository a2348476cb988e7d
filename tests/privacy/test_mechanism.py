from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.errors import Refused
from noisegate.privacy.curves import gaussian, pure
from noisegate.privacy.loss import DELTA_UNIT, NANO, least
from noisegate.privacy.mechanism import (
    Family,
    Mechanism,
    check,
    describe,
    design,
    deviation_of,
    half_width_of,
    loss_of,
    threshold_of,
)
from noisegate.privacy.noise import Gaussian, Laplace
from noisegate.privacy.question import Aggregation, Bounding, CountRows, CountUnits, Key, Moment, Rank, Sum
from noisegate.privacy.relations import Grid
from noisegate.privacy.selection import PermuteAndFlip
from noisegate.privacy.staircase import Staircase

from . import laws
from .twin import SCAN, SITE, X

F = Fraction
GRID = Grid(0, 10, F(1))
PUBLIC = Key("site", SITE, ("a", "b", "c", None))
PRIVATE = Key("site", SITE)
MEDIAN = Rank(X, GRID, 1, F(1, 2))
MINIMUM = Rank(X, GRID, 1, F(0))
EPSILONS = st.fractions(min_value=F(1, 50), max_value=6, max_denominator=500)


def asked(measures, *, keys=(), rows=1, groups=1):
    return Aggregation(SCAN, tuple(keys), tuple(measures), Bounding(rows, groups))


@given(EPSILONS, st.integers(1, 4), st.integers(1, 3), st.sampled_from(Family))
@settings(deadline=None)
def test_a_design_costs_what_was_asked_and_hardly_less(epsilon, rows, groups, family):
    measures = (CountRows(), Sum(X, GRID), MEDIAN, MINIMUM)
    if family is Family.STAIRCASE:
        aggregation = asked(measures, rows=rows)
    else:
        aggregation = asked(measures, keys=[PUBLIC], rows=rows, groups=groups)
    loss = loss_of(aggregation, design(aggregation, epsilon, family, F(0)))
    assert loss.delta == 0
    if family is Family.GAUSSIAN:
        # Two Gaussians of weight 1/4 and two selections of ε / 4 each.
        most = gaussian(epsilon**2 / 4) + pure(epsilon / 2)
        assert loss.pure_epsilon is None
        assert loss.renyi[3] <= most.renyi[3] + 10
        assert loss.renyi[3] >= gaussian(epsilon**2 / 4).renyi[3] * 0.999
    else:
        asked_nano = epsilon * NANO
        assert asked_nano * F(999, 1000) <= loss.renyi[-1] <= asked_nano + 10


def test_a_loss_is_that_of_the_noise_whatever_was_asked():
    aggregation = asked([CountRows()], keys=[PUBLIC], rows=3, groups=2)
    assert loss_of(aggregation, Mechanism((Laplace(F(6)),))) == pure(F(1, 2), 2)
    assert loss_of(aggregation, Mechanism((Gaussian(F(3)),))) == gaussian(F(1))
    assert loss_of(aggregation, Mechanism((Staircase(2, F(1), 1),))) == pure(F(2), 2)
    ranked = asked([MEDIAN], keys=[PUBLIC], rows=3, groups=2)
    how = PermuteAndFlip(F(6), F(12), 5)
    assert loss_of(ranked, Mechanism((how,))) == pure(F(1), 2) + pure(F(1, 2), 4)
    extreme = asked([MINIMUM], keys=[PUBLIC], rows=3, groups=2)
    assert loss_of(extreme, Mechanism((PermuteAndFlip(F(6), None, 5),))) == pure(F(1), 2)


def test_rows_shared_out_over_groups_cost_what_they_add_up_to():
    bounding = Bounding(3, 2, 4)
    aggregation = Aggregation(SCAN, (PUBLIC,), (CountRows(),), bounding)
    assert loss_of(aggregation, Mechanism((Laplace(F(8)),))) == least(pure(F(3, 8), 2), pure(F(1, 2)))
    assert loss_of(aggregation, Mechanism((Gaussian(F(5)),))) == gaussian(F(10, 50))
    apart = Aggregation(SCAN, (PUBLIC,), (CountRows(),), Bounding(3, 2))
    for family in (Family.LAPLACE, Family.GAUSSIAN):
        noises = [design(a, F(1), family, F(0)).noises[0].scale for a in (aggregation, apart)]
        assert noises[0] < noises[1]


@pytest.mark.parametrize("noise", [Laplace(F(4)), Gaussian(F(4))])
def test_a_tenth_less_noise_costs_more(noise):
    aggregation = asked([CountRows()])
    less = type(noise)(F(float(noise.scale * F(9, 10))))
    full, thin = (loss_of(aggregation, Mechanism((n,))) for n in (noise, less))
    assert all(a < b for a, b in zip(full.renyi[:-1], thin.renyi[:-1], strict=True))


@pytest.mark.parametrize(("scale", "groups", "delta"), [(2.0, 1, 1e-6), (10.0, 3, 1e-9), (0.5, 1, 0.3)])
def test_a_threshold_is_the_smallest_that_keeps_delta(scale, groups, delta):
    tau = threshold_of(Laplace(F(scale)), groups, F(delta))
    law = laws.laplace(scale)
    values = np.arange(law.low, law.low + len(law.p))
    assert groups * law.p[1 + values >= tau].sum() <= delta * (1 + 1e-6)
    assert tau == 2 or groups * law.p[1 + values >= tau - 1].sum() > delta


def test_private_keys_pay_their_delta_and_count_their_people_with_laplace():
    aggregation = asked([CountUnits(), Sum(X, GRID)], keys=[PRIVATE], groups=2)
    delta = F(1, 10**6)
    mechanism = design(aggregation, F(1), Family.GAUSSIAN, delta)
    assert isinstance(mechanism.noises[0], Laplace)
    assert isinstance(mechanism.noises[1], Gaussian)
    loss = loss_of(aggregation, mechanism)
    assert 0 < loss.delta <= delta * DELTA_UNIT + 1
    assert loss.delta > delta * DELTA_UNIT / 3
    lower = Mechanism(mechanism.noises, mechanism.threshold - 1)
    assert loss_of(aggregation, lower).delta > delta * DELTA_UNIT


def test_private_keys_without_delta_are_refused():
    with pytest.raises(Refused, match="δ > 0"):
        design(asked([CountUnits()], keys=[PRIVATE]), F(1), Family.LAPLACE, F(0))


def test_a_staircase_for_many_cells_is_refused():
    with pytest.raises(Refused, match="staircase"):
        design(asked([CountRows()], keys=[PUBLIC]), F(1), Family.STAIRCASE, F(0))
    with pytest.raises(Refused, match="staircase"):
        design(asked([CountUnits()], keys=[PRIVATE]), F(1), Family.STAIRCASE, F(1, 100))
    with pytest.raises(Refused, match="staircase"):
        design(asked([CountRows()]), F(17), Family.STAIRCASE, F(0))


def test_no_epsilon_no_answer():
    with pytest.raises(Refused, match="epsilon > 0"):
        design(asked([CountRows()]), F(0), Family.LAPLACE, F(0))


@pytest.mark.parametrize(
    ("aggregation", "mechanism"),
    [
        (asked([CountRows()]), Mechanism((Laplace(F(1)), Laplace(F(1))))),
        (asked([CountRows()]), Mechanism((PermuteAndFlip(F(1), F(1), 1),))),
        (asked([MEDIAN]), Mechanism((Laplace(F(1)),))),
        (asked([MEDIAN]), Mechanism((PermuteAndFlip(F(1), None, 1),))),
        (asked([MINIMUM]), Mechanism((PermuteAndFlip(F(1), F(1), 1),))),
        (asked([CountRows()]), Mechanism((Laplace(F(1)),), 5)),
        (asked([CountUnits()], keys=[PRIVATE]), Mechanism((Laplace(F(1)),))),
        (asked([CountUnits()], keys=[PRIVATE]), Mechanism((Gaussian(F(1)),), 5)),
    ],
)
def test_a_mechanism_of_another_question_is_refused(aggregation, mechanism):
    with pytest.raises(ValueError, match=r"mechanism|permute|ends|threshold|Laplace"):
        check(aggregation, mechanism)


def test_a_threshold_below_two_would_show_one_person():
    with pytest.raises(ValueError, match="at least 2"):
        Mechanism((Laplace(F(1)),), 1)


def test_descriptions_are_words_and_widths_belong_to_additive_noise():
    aggregation = asked([CountUnits(), Moment(X, GRID, 1), MEDIAN, MINIMUM], keys=[PRIVATE])
    mechanism = design(aggregation, F(1), Family.GAUSSIAN, F(1, 10**6))
    lines = describe(aggregation, mechanism)
    assert [line.split(":")[0] for line in lines[:4]] == ["CountUnits", "Moment", "Rank", "Rank"]
    assert str(mechanism.threshold) in lines[4]
    assert "staircase" in describe(asked([CountRows()]), Mechanism((Staircase(1, F(1), 1),)))[0]
    assert half_width_of(mechanism, 1, 0.95) == pytest.approx(1.96 * deviation_of(mechanism, 1), rel=0.05)
    with pytest.raises(ValueError, match="own interval"):
        half_width_of(mechanism, 2, 0.95)


def test_a_staircase_is_less_noise_than_laplace_at_a_large_epsilon():
    aggregation = asked([Sum(X, GRID)])
    stairs = design(aggregation, F(4), Family.STAIRCASE, F(0))
    plain = design(aggregation, F(4), Family.LAPLACE, F(0))
    assert deviation_of(stairs, 0) < 0.9 * deviation_of(plain, 0)
