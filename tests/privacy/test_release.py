import json
import math
import time
import tracemalloc
from datetime import date, datetime
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import beta

from noisegate.errors import EngineFailed
from noisegate.privacy.exact import Counted, Exact
from noisegate.privacy.expressions import ColumnRef, Type
from noisegate.privacy.loss import DELTA_UNIT
from noisegate.privacy.mechanism import Family, Mechanism, design, loss_of
from noisegate.privacy.noise import Gaussian, Laplace
from noisegate.privacy.question import Aggregation, Bounding, CountRows, CountUnits, Key, Rank, Sum
from noisegate.privacy.relations import Grid, Scan, ScanColumn
from noisegate.privacy.release import Noisy, release
from noisegate.privacy.selection import PermuteAndFlip
from noisegate.privacy.staircase import Staircase

from . import laws
from .twin import SCAN, SITE, X, counted

F = Fraction
N = 20_000
NUMBERED = Scan(
    "d",
    "t",
    (ScanColumn("u", "u", Type.INT), ScanColumn("k", "k", Type.INT), ScanColumn("x", "x", Type.FLOAT)),
    "u",
    "p",
)
K = ColumnRef("k", Type.INT)
QUIET = Mechanism((Laplace(F(1, 2**20)),))  # noise that is 0 all but surely


def asked(measures, *, domain=None, groups=1):
    return Aggregation(NUMBERED, (Key("k", K, domain),), tuple(measures), Bounding(1, groups))


def sealed(keys, *cells):
    return Exact(
        tuple(keys), tuple(c if isinstance(c, Counted) else np.array(c, dtype=np.int64) for c in cells)
    )


def released(aggregation, mechanism, exact):
    """Many independent releases at once: each group of a public domain is one."""
    count = len(aggregation.keys[0].domain)
    cells = [counted([c] * count) if isinstance(c, list) else np.full(count, c) for c in exact]
    keys = [(i,) for i in range(count)]
    return release(sealed(keys, *cells), aggregation, mechanism).cells


def epsilon_shown(one, other):
    """The largest ε that draws of two neighbouring worlds prove, wrong less than once in 1e8 runs.

    Every half-line is tried, both ways round, with exact binomial limits.
    """
    cuts = np.unique(np.concatenate([one, other]))
    alpha = 1e-9 / (4 * len(cuts))
    best = 0.0
    for side in (1, -1):
        for a, b in ((side * one, side * other), (side * other, side * one)):
            a, b = np.sort(a), np.sort(b)
            for cut in side * cuts:
                more = len(a) - np.searchsorted(a, cut)
                less = len(b) - np.searchsorted(b, cut)
                p = beta.ppf(alpha, more, len(a) - more + 1) if more else 0.0
                q = beta.ppf(1 - alpha, less + 1, len(b) - less) if less < len(b) else 1.0
                if p > q:
                    best = max(best, math.log(p / q))
    return best


DOMAIN = tuple(range(N))
COUNTED = asked([CountRows()], domain=DOMAIN)


@pytest.mark.parametrize(
    ("full", "half"),
    [
        (Laplace(F(1)), Laplace(F(1, 2))),
        (Staircase(1, F(1), 1), Staircase(1, F(2), 1)),
    ],
)
def test_neighbours_cannot_be_told_apart_beyond_the_claim_and_can_with_half_the_noise(full, half):
    claim = float(loss_of(COUNTED, Mechanism((full,))).pure_epsilon)
    assert claim == 1.0
    for noise, caught in ((full, False), (half, True)):
        (without,) = released(COUNTED, Mechanism((noise,)), [7])
        (joined,) = released(COUNTED, Mechanism((noise,)), [8])
        shown = epsilon_shown(without, joined)
        assert (shown > claim) == caught
        assert shown > 0.5 * claim


def test_neighbouring_histograms_cannot_be_told_apart_by_a_selection_beyond_the_claim():
    few = tuple(range(6000))
    least = asked([Rank(ColumnRef("x", Type.FLOAT), Grid(0, 1, F(1)), 1, F(0))], domain=few)
    claim = float(loss_of(least, Mechanism((PermuteAndFlip(F(2), None, 1),))).pure_epsilon)
    assert claim == 1.0
    # One row moves one of these scores only, half of what the claim is made for: it takes a quarter of
    # the noise, not half of it, to break the claim.
    for scale, caught in ((F(2), False), (F(1, 2), True)):
        mechanism = Mechanism((PermuteAndFlip(scale, None, 1),))
        (without,) = released(least, mechanism, [[1, 0]])
        (joined,) = released(least, mechanism, [[2, 0]])
        assert (epsilon_shown(without[:, 0], joined[:, 0]) > claim) == caught
    middle = asked([Rank(ColumnRef("x", Type.FLOAT), Grid(0, 2, F(1)), 1, F(1, 2))], domain=few)
    mechanism = Mechanism((PermuteAndFlip(F(2), F(8), 3),))
    claim = float(loss_of(middle, mechanism).pure_epsilon)
    (without,) = released(middle, mechanism, [[1, 0, 0]])
    (joined,) = released(middle, mechanism, [[1, 0, 1]])
    places = [column @ (9, 3, 1) for column in (without, joined)]
    assert epsilon_shown(*places) <= claim == 1.5


def test_gaussian_release_follows_its_law():
    (draws,) = released(COUNTED, Mechanism((Gaussian(F(3)),)), [0])
    near = {"10% less": laws.gaussian(2.7), "10% more": laws.gaussian(3.3)}
    laws.assert_follows(draws, laws.gaussian(3.0), not_these=near)


def test_a_group_that_one_person_holds_shows_no_more_often_than_delta():
    aggregation = asked([CountUnits()])
    mechanism = Mechanism((Laplace(F(2)),), 6)
    delta = loss_of(aggregation, mechanism).delta / DELTA_UNIT
    exact = sealed([(i,) for i in range(N)], np.ones(N))
    shown = len(release(exact, aggregation, mechanism).keys)
    spread = 6.2 * math.sqrt(N * delta * (1 - delta))
    assert abs(shown - N * delta) < spread
    below = Mechanism((Laplace(F(2)),), 5)
    assert len(release(exact, aggregation, below).keys) > N * delta + spread


def test_groups_nobody_stands_in_never_show():
    aggregation = asked([CountUnits()])
    exact = sealed([(i,) for i in range(N)], np.zeros(N))
    assert release(exact, aggregation, Mechanism((Laplace(F(20)),), 2)).keys == ()


def test_shown_groups_are_sorted_with_null_last_and_keep_their_own_cells():
    aggregation = asked([CountUnits(), CountRows()])
    mechanism = Mechanism((QUIET.noises[0], QUIET.noises[0]), 10)
    exact = sealed([(5,), (None,), (-3,), (4,)], [50, 60, 9, 30], [500, 600, 90, 300])
    noisy = release(exact, aggregation, mechanism)
    assert noisy.keys == ((4,), (5,), (None,))
    assert [c.tolist() for c in noisy.cells] == [[30, 50, 60], [300, 500, 600]]


def test_public_groups_come_in_the_order_of_their_domain_whatever_the_engine_gave():
    aggregation = asked([CountRows()], domain=(3, None, 1))
    noisy = release(sealed([(1,), (3,), (None,)], [10, 30, 0]), aggregation, QUIET)
    assert noisy.keys == ((3,), (None,), (1,))
    assert noisy.cells[0].tolist() == [30, 0, 10]


@pytest.mark.parametrize(
    "exact",
    [
        sealed([(1,), (3,)], [10, 30]),
        sealed([(1,), (3,), (7,)], [1, 2, 3]),
        sealed([(1,), (3,), (3,)], [1, 2, 3]),
        sealed([(1,), (3,), (None,)], [1, 2, 3], [1, 2, 3]),
        sealed([(1,), (3,), (None,)], counted([[1], [2], [3]])),
        sealed([(1, 1), (3, 1), (None, 1)], [1, 2, 3]),
    ],
)
def test_cells_of_another_question_are_refused_in_constant_words(exact):
    with pytest.raises(EngineFailed) as refused:
        release(exact, asked([CountRows()], domain=(3, None, 1)), QUIET)
    assert str(refused.value) == str(EngineFailed())


MEDIAN = Rank(ColumnRef("x", Type.FLOAT), Grid(0, 3, F(1)), 1, F(1, 2))
SURE = PermuteAndFlip(F(1, 2**20), F(1, 2**20), 0)  # selects the best all but surely


@pytest.mark.parametrize(
    "cells",
    [
        [1, 2, 3],
        counted([[0], [0], [0], [7]]),
        counted([[0, 0, 0, 0, 7]]),
    ],
)
def test_counts_of_another_quantile_are_refused_in_constant_words(cells):
    with pytest.raises(EngineFailed) as refused:
        release(
            sealed([(1,), (3,), (None,)], cells), asked([MEDIAN], domain=(3, None, 1)), Mechanism((SURE,))
        )
    assert str(refused.value) == str(EngineFailed())


def test_quantiles_are_those_of_their_own_group_in_whatever_order_groups_come():
    rows = counted([[9, 0, 0, 0], [0, 9, 0, 0], [0, 0, 0, 9], [0, 0, 9, 0]])
    keys = [(5,), (None,), (-3,), (4,)]
    public = asked([MEDIAN], domain=(-3, 4, 5, None))
    (medians,) = release(sealed(keys, rows), public, Mechanism((SURE,))).cells
    assert medians[:, 0].tolist() == [3, 2, 0, 1]
    private = asked([CountUnits(), MEDIAN])
    shown = release(sealed(keys, [50, 60, 9, 30], rows), private, Mechanism((QUIET.noises[0], SURE), 10))
    assert shown.keys == ((4,), (5,), (None,))
    assert shown.cells[1][:, 0].tolist() == [2, 0, 1]


@pytest.mark.parametrize("key", [1, None, math.inf])
def test_a_private_group_given_twice_is_refused(key):
    aggregation = asked([CountUnits()])
    with pytest.raises(EngineFailed):
        release(sealed([(key,), (2,), (key,)], [10, 20, 30]), aggregation, Mechanism(QUIET.noises, 2))


def test_not_a_number_given_twice_is_refused_although_no_two_are_equal():
    aggregation = Aggregation(
        NUMBERED, (Key("x", ColumnRef("x", Type.FLOAT)),), (CountUnits(),), Bounding(1, 1)
    )
    keys = [(float("nan"),), (2.0,), (float("nan"),)]
    assert len(release(sealed(keys[:2], [10, 20]), aggregation, Mechanism(QUIET.noises, 2)).keys) == 2
    with pytest.raises(EngineFailed):
        release(sealed(keys, [10, 20, 30]), aggregation, Mechanism(QUIET.noises, 2))


def test_a_mechanism_of_another_question_is_refused():
    with pytest.raises(ValueError, match="threshold"):
        release(sealed([(1,)], [1]), asked([CountUnits()]), QUIET)


def test_noisy_cells_survive_json_type_for_type():
    keys = (
        (1, 1.0, "1", None),
        (2**60, -0.0, "é\n", True),
        (date(2020, 2, 29), datetime.fromisoformat("2020-02-29T01:02:03.000456"), math.inf, False),
    )
    cells = (np.array([2**63 - 1, -(2**63), 0]), np.arange(9).reshape(3, 3))
    noisy = Noisy(keys, cells)
    again = Noisy.from_json(json.loads(json.dumps(noisy.as_json())))
    assert again == noisy
    assert [[(type(v), v) for v in k] for k in again.keys] == [[(type(v), v) for v in k] for k in keys]
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(again.cells, cells, strict=True))
    assert Noisy(((1,),), (np.array([1]),)) != Noisy(((True,),), (np.array([1]),))


@pytest.mark.parametrize("stored", [{}, {"keys": [[{"what": 1}]], "cells": []}, {"keys": [], "cells": [1]}])
def test_json_of_something_else_is_refused(stored):
    with pytest.raises(ValueError, match="stored"):
        Noisy.from_json(stored)


def test_one_cell_takes_less_than_half_a_millisecond_and_many_private_groups_a_moment():
    one = Aggregation(SCAN, (), (CountRows(),), Bounding(1, 1))
    exact = sealed([()], [5])
    mechanism = design(one, F(1), Family.LAPLACE, F(0))
    release(exact, one, mechanism)
    started = time.perf_counter()
    for _ in range(200):
        release(exact, one, mechanism)
    assert (time.perf_counter() - started) / 200 < 0.002  # 0.07 ms on a quiet machine

    many = Aggregation(SCAN, (Key("site", SITE),), (CountUnits(), Sum(X, Grid(0, 10, F(1)))), Bounding(1, 1))
    mechanism = design(many, F(1), Family.GAUSSIAN, F(1, 10**6))
    exact = sealed([(f"s{i}",) for i in range(100_000)], np.arange(100_000) % 100, np.arange(100_000))
    started = time.perf_counter()
    release(exact, many, mechanism)
    assert time.perf_counter() - started < 9  # under 2 s on a quiet machine


def test_a_quantile_over_many_private_groups_takes_memory_for_its_rows_and_not_for_its_candidates():
    groups = 50_000
    rank = Rank(X, Grid(0, 4095, F(1)), 1, F(1, 2))
    many = Aggregation(SCAN, (Key("site", SITE),), (CountUnits(), rank), Bounding(1, 1))
    mechanism = design(many, F(1), Family.LAPLACE, F(1, 10**6))
    units = np.where(np.arange(groups) % 500 == 0, 1000, 1)
    rows = Counted(np.arange(groups), np.arange(groups) % 4096, units)
    exact = sealed([(f"s{i:05}",) for i in range(groups)], units, rows)
    tracemalloc.start()
    started = time.perf_counter()
    noisy = release(exact, many, mechanism)
    taken, (_, most) = time.perf_counter() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(noisy.keys) == 100
    assert np.all(np.abs(noisy.cells[1][:, 0] - np.arange(groups)[units > 1] % 4096) <= 1)
    assert most < 100 * 2**20  # every group at every candidate would be 1.5 GiB
    assert taken < 10  # 1 s on a quiet machine
