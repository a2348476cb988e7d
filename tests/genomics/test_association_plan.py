"""Private associations: what is drawn is what is charged, within the budget, and right without noise."""

import itertools
import json
import math
from dataclasses import replace
from fractions import Fraction

import dp_accounting
import numpy as np
import pytest
from dp_accounting import rdp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

from noisegate.errors import BadInput
from noisegate.genomics import association_plan
from noisegate.genomics.association_design import design
from noisegate.genomics.association_plan import (
    At,
    Choosing,
    Named,
    Tabling,
    Top,
    carry_out,
    from_json,
    scoring,
)
from noisegate.genomics.choosing import FULL, SENSITIVITY, Selection, Weights, choose
from noisegate.genomics.counts import Groups, Plan, Sizes, again, measure
from noisegate.genomics.panel import Panel
from noisegate.genotypes.packed import unpack
from noisegate.privacy import samplers
from noisegate.privacy.filter import UNBOUNDED, stand_alone_epsilon
from noisegate.privacy.loss import NANO, ORDERS
from noisegate.privacy.noise import Gaussian, Laplace, standard_deviation

from .held import held
from .held import laws as find_laws

F = Fraction
laws = find_laws()
DELTA = F(1, 10**6)
QUIET = Gaussian(F(1, 64))  # a draw other than 0 has probability below exp(-2000)
VARIANTS, PEOPLE = 300, 130


def places(*found):
    return np.array(found, np.int64)


@pytest.fixture(scope="module")
def calls():
    rng = np.random.default_rng(3)
    found = rng.binomial(2, rng.uniform(0.05, 0.95, VARIANTS)[:, None], (VARIANTS, PEOPLE)).astype(np.int8)
    found[7, :60], found[7, 60:] = 2, 0
    found[41, :60], found[41, 60:110] = 0, 2
    return found


@pytest.fixture(scope="module")
def labels():
    found = np.full(PEOPLE, -1, np.int8)
    found[:60], found[60:110] = 1, 0
    return found


def tables_of(calls, labels, at):
    return np.array([[[np.sum(calls[v, labels == g] == x) for x in range(3)] for g in (0, 1)] for v in at])


def quiet(wanted):
    """The mechanism with next to no noise."""
    tables = Plan(Groups(len(wanted.places) if isinstance(wanted, Named) else wanted.count), QUIET)
    if isinstance(wanted, Named):
        return Tabling(wanted, tables)
    return Choosing(wanted, Plan(Sizes(), QUIET), Selection(wanted.count, F(1, 64)), tables)


def test_named_variants_get_their_tables_in_the_order_they_were_named(calls, labels):
    wanted = Named(places(41, 7, 299, 0))
    found = carry_out(quiet(wanted), held(calls), labels)
    assert (found.tables.cells == tables_of(calls, labels, wanted.places)).all()
    assert (found.places.tolist(), found.sizes, found.looked_at) == ([41, 7, 299, 0], None, 4)
    assert found.tables.people == PEOPLE


def test_the_top_are_those_whose_cases_and_controls_lie_furthest_apart(calls, labels):
    found = carry_out(quiet(Top(VARIANTS, 5)), held(calls), labels)
    assert set(found.places[:2].tolist()) == {7, 41}
    assert (found.tables.cells == tables_of(calls, labels, found.places)).all()
    assert found.sizes.cells.tolist() == [50, 60]
    assert found.looked_at == VARIANTS
    means = [calls[:, labels == g].mean(axis=1) for g in (0, 1)]
    apart = np.abs(means[1] - means[0])
    assert set(found.places.tolist()) == set(np.argsort(-apart)[:5].tolist())


def test_everything_follows_who_is_a_case(calls, labels):
    shuffled = np.roll(labels, 35)
    one, other = (carry_out(quiet(Top(VARIANTS, 5)), held(calls), who) for who in (labels, shuffled))
    assert one.places.tolist() != other.places.tolist()
    assert (other.tables.cells == tables_of(calls, shuffled, other.places)).all()
    nobody = carry_out(quiet(Named(places(3))), held(calls), np.full(PEOPLE, -1, np.int8))
    assert not nobody.tables.cells.any()


@given(st.lists(st.integers(0, VARIANTS - 1), min_size=1, max_size=40, unique=True), st.data())
@settings(max_examples=60, deadline=None)
def test_variants_at_any_places_are_read_as_they_are(calls, chosen, data):
    start = data.draw(st.integers(0, len(chosen) - 1))
    stop = data.draw(st.integers(start + 1, len(chosen)))
    with pytest.MonkeyPatch.context() as few:
        few.setattr(association_plan, "AT_ONCE", PEOPLE * data.draw(st.sampled_from([1, 7, 100, 1000])))
        found = At(held(calls), places(*chosen)).block(start, stop)
    assert (unpack(found) == calls[chosen[start:stop]]).all()


BUDGETS = [(F(1, 10), DELTA), (F(1), DELTA), (F(1), F(0)), (F(8), DELTA), (F(8), F(0))]
WANTED = [Named(places(5)), Named(np.arange(1000)), Top(10**5, 1), Top(10**5, 10), Top(10**5, 100)]


@pytest.mark.parametrize(("epsilon", "delta"), BUDGETS)
@pytest.mark.parametrize("wanted", WANTED, ids=lambda w: f"{type(w).__name__}")
def test_designs_stay_within_the_budget_and_use_nearly_all_of_it(wanted, epsilon, delta):
    made = design(wanted, epsilon, delta)
    assert epsilon * F(99, 100) < stand_alone_epsilon(made.loss, delta) <= epsilon
    if delta == 0:
        assert made.loss.pure_epsilon <= epsilon


def test_a_pure_budget_gives_pure_noise_and_a_delta_less_noise_where_many_are_chosen():
    pure, mixed = (design(Top(10**5, 50), F(1), delta) for delta in (F(0), DELTA))
    assert isinstance(pure.tables.noise, Laplace)
    assert isinstance(mixed.tables.noise, Gaussian)
    assert standard_deviation(mixed.tables.noise) < standard_deviation(pure.tables.noise) / 2
    assert mixed.selection.scale < pure.selection.scale / 2
    assert stand_alone_epsilon(mixed.loss, F(0)) == UNBOUNDED


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(F(0), DELTA), (F(-1), F(0)), (F(1), F(1)), (F(1, 10**8), DELTA)]
)
@pytest.mark.parametrize("wanted", [Named(places(1)), Top(10, 2)])
def test_no_mechanism_is_made_of_a_budget_that_makes_no_sense(wanted, epsilon, delta):
    with pytest.raises(BadInput):
        design(wanted, epsilon, delta)


@pytest.mark.parametrize("count", [1, 10, 100])
@pytest.mark.parametrize("delta", [F(0), DELTA])
def test_what_is_charged_is_no_less_than_the_oracle_finds(count, delta):
    """Each part from its noise alone, composed by dp-accounting."""
    made = design(Top(10**5, count), F(2), delta)
    events = []
    for plan, absolute, squared in ((made.sizes, 2, 2), (made.tables, 2 * count, 2 * count)):
        match plan.noise:
            case Laplace(scale=scale):
                events.append(dp_accounting.LaplaceDpEvent(float(scale) / absolute))
            case Gaussian(scale=scale):
                events.append(dp_accounting.GaussianDpEvent(float(scale) / squared**0.5))
    range_ = 2 * SENSITIVITY / float(made.selection.scale)
    accountant = rdp.RdpAccountant(orders=list(ORDERS[:-1]))
    for event in events:
        accountant.compose(event)
    each = [count * order * range_**2 / 8 for order in ORDERS[:-1]]  # of k choices, by zero-concentration
    least = [count * _randomised_response(range_, order) for order in ORDERS[:-1]]
    for i, ours in enumerate(made.loss.renyi[:-1]):
        theirs = float(accountant._rdp[i]) + min(each[i], least[i])
        assert ours >= theirs * NANO * (1 - 1e-9)
        if isinstance(made.tables.noise, Gaussian):  # a Laplace is charged as any pure mechanism is
            assert ours <= theirs * NANO * (1 + 1e-6) + 3


def _randomised_response(epsilon, order):
    p = 1 / (1 + np.exp(-epsilon))
    return np.log(p**order * (1 - p) ** (1 - order) + (1 - p) ** order * p ** (1 - order)) / (order - 1)


def test_a_mechanism_loses_what_its_parts_do():
    made = design(Top(1000, 4), F(3), DELTA)
    assert made.loss == made.sizes.loss + made.selection.loss + made.tables.loss
    named = design(Named(np.arange(6)), F(3), DELTA)
    assert named.loss == named.tables.loss


@pytest.mark.parametrize("delta", [F(0), F(1, 1000)])
def test_every_cell_gets_the_noise_that_is_described(calls, labels, delta):
    """A tenth less noise on tables or on sizes would be found out."""
    small = Top(VARIANTS, 40) if delta else Top(VARIANTS, 8)
    made = design(small, F(9), delta)
    source = held(calls)
    tables, sizes = [], []
    for _ in range(200 if delta else 900):
        found = carry_out(made, source, labels)
        tables += (found.tables.cells - tables_of(calls, labels, found.places)).ravel().tolist()
    for _ in range(12_000):
        sizes += (measure(made.sizes, source, labels).cells - [50, 60]).tolist()
    law = laws.gaussian if isinstance(made.tables.noise, Gaussian) else laws.laplace
    for draws, plan in ((tables, made.tables), (sizes, made.sizes)):
        scale = float(plan.noise.scale)
        near = {"10 % less": law(0.9 * scale), "10 % more": law(1.1 * scale)}
        laws.assert_follows(draws, law(scale), not_these=near)


def told_apart(one, other):
    """Return the largest loss that draws of two laws prove, wrong in fewer than 1e-9 of runs.

    Every half-line is tried, both ways round, with exact binomial limits.
    """
    cuts = np.unique(np.concatenate([one, other]))
    alpha, best = 1e-9 / (4 * len(cuts)), 0.0
    for side, pair in itertools.product((1, -1), ((one, other), (other, one))):
        often, rarely = (np.sort(side * draws) for draws in pair)
        for cut in side * cuts:
            more = len(often) - int(np.searchsorted(often, cut))
            less = len(rarely) - int(np.searchsorted(rarely, cut))
            if more and less < len(rarely):
                p = beta.ppf(alpha, more, len(often) - more + 1)
                q = beta.ppf(1 - alpha, less + 1, len(rarely) - less)
                best = max(best, math.log(p / q))
    return best


def told_by_tables(plan):
    """How far one person shows in a table, a case with both alleles or a control with none.

    Rows that are equal get a draw each, so that one measurement is many of a table.
    """
    many, draws = 6_000, []
    for row, who in (([2, 1, 2, 0], [1, 1, 0, -1]), ([0, 1, 2, 0], [0, 1, 0, -1])):
        source = held(np.tile(np.array(row, np.int8), (many, 1)))
        cells = measure(Plan(Groups(many), plan.noise), source, np.array(who, np.int8)).cells
        draws.append(np.minimum(cells[:, 1, 2], 1 - cells[:, 0, 0]))
    return told_apart(*draws)


def test_one_person_shows_in_a_table_no_more_than_is_charged_and_more_with_half_the_noise():
    made = design(Named(places(0)), F(3, 2), F(0))
    assert 1.0 < told_by_tables(made.tables) <= 1.5
    assert told_by_tables(replace(made.tables, noise=Laplace(made.tables.noise.scale / 2))) > 1.5


def told_by_choice(selection):
    """How far one person shows in whether the one of eight variants is chosen that they differ in."""
    draws = []
    for x in (2, 0):
        source = held(np.array([[x, 2, 2, 2], *[[2 - x, 2, 2, 2]] * 7]))
        offsets, who = np.zeros(8, np.int64), np.ones(4, np.int8)
        chosen = [choose(selection, Weights(FULL, FULL), offsets, source, who)[0] for _ in range(5000)]
        draws.append(np.array(chosen) == 0)
    return told_apart(*(draw.astype(np.int64) for draw in draws))


def test_one_person_shows_in_a_choice_no_more_than_is_charged_and_more_with_half_the_scale(monkeypatch):
    monkeypatch.setattr(samplers, "PICKS", 8)
    selection = design(Top(8, 1), F(4), F(0)).selection
    charged = float(selection.loss.pure_epsilon)
    assert 0.4 * charged < told_by_choice(selection) <= charged
    assert told_by_choice(Selection(1, selection.scale / 2)) > charged


@pytest.mark.parametrize("sizes", [(50, 60), (1, 110), (60, -12), (-3, -4), (500, 60)])
def test_weights_follow_the_noisy_sizes_and_the_larger_is_full(sizes):
    noisy = again(Plan(Sizes(), QUIET), np.array(sizes), PEOPLE)
    weights, offsets = scoring(Top(VARIANTS, 2), Selection(2, F(8)), noisy)
    assert max(weights.case, weights.control) == FULL
    controls, cases = (min(max(size, 1), PEOPLE) for size in sizes)
    assert weights.case / weights.control == pytest.approx(controls / cases, rel=2e-3)
    assert offsets.tolist() == [0] * VARIANTS


def test_a_panel_takes_more_off_the_scores_of_common_variants(calls):
    rare = np.zeros((VARIANTS, 50), np.int8)
    rare[1:, :25] = 2
    panel = Panel.of(held(rare, public=True), np.ones(VARIANTS, np.bool_))
    noisy = again(Plan(Sizes(), QUIET), np.array([50, 60]), PEOPLE)
    weights, offsets = scoring(Top(VARIANTS, 2, panel), Selection(2, F(FULL)), noisy)
    assert 0 <= offsets[0] < offsets[1] == offsets[2] < FULL * PEOPLE
    assert weights == scoring(Top(VARIANTS, 2), Selection(2, F(FULL)), noisy)[0]


@pytest.mark.parametrize("wanted", [Named(places(41, 7)), Top(VARIANTS, 3)], ids=["named", "top"])
def test_what_was_measured_is_read_back_as_it_was(calls, labels, wanted):
    made = design(wanted, F(5), DELTA)
    found = carry_out(made, held(calls), labels)
    stored = json.loads(json.dumps(found.as_json()))
    back = from_json(made, PEOPLE, stored)
    assert back.as_json() == found.as_json()
    assert (back.tables.plan, back.tables.people) == (made.tables, PEOPLE)
    assert back.looked_at == found.looked_at
    assert (back.sizes is None) == isinstance(wanted, Named)


@pytest.mark.parametrize("wanted", [Named(places(41, 7)), Top(VARIANTS, 2)], ids=["named", "top"])
@pytest.mark.parametrize(
    "change",
    [
        {"places": [41, 41]},
        {"places": [41]},
        {"places": [41, VARIANTS]},
        {"places": [-1, 7]},
        {"places": "41"},
        {"tables": [[1, 2, 3]]},
        {"tables": None},
        {"tables": [[[2**70] * 3] * 2] * 2},
        {"sizes": [1]},
        {"sizes": "both"},
    ],
)
def test_what_was_not_stored_so_is_refused(calls, labels, wanted, change):
    made = design(wanted, F(5), DELTA)
    stored = carry_out(made, held(calls), labels).as_json()
    with pytest.raises(ValueError, match="not a stored answer"):
        from_json(made, PEOPLE, {**stored, **change})
    with pytest.raises(ValueError, match="not a stored answer"):
        from_json(made, PEOPLE, {})


def test_a_mechanism_is_told_in_public_numbers():
    panel = Panel.of(held(np.zeros((10, 4), np.int8), public=True), np.ones(10, np.bool_))
    top = design(Top(10, 2, panel), F(1), DELTA).as_json()
    assert json.loads(json.dumps(top)) == top
    assert (top["kind"], top["variants"], top["chosen"], top["panel"]) == ("top", 10, 2, panel.digest)
    named = design(Named(places(3, 4)), F(1), F(0)).as_json()
    assert named == {"kind": "named", "variants": 2, "tables": {"noise": "discrete Laplace", "scale": 4.0}}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Named(places()),
        lambda: Named(places(3, 3)),
        lambda: Named(places(-1)),
        lambda: Named(np.array([1.0])),
        lambda: Top(5, 0),
        lambda: Top(5, 6),
        lambda: Top(5, 2, Panel.of(held(np.zeros((4, 3)), public=True), np.ones(4, np.bool_))),
        lambda: Tabling(Named(places(1)), Plan(Groups(2), QUIET)),
        lambda: Tabling(Named(places(1)), Plan(Sizes(), QUIET)),
        lambda: replace(quiet(Top(5, 2)), selection=Selection(3, F(1))),
        lambda: replace(quiet(Top(5, 2)), sizes=Plan(Groups(1), QUIET)),
        lambda: replace(quiet(Top(5, 2)), tables=Plan(Groups(3), QUIET)),
    ],
)
def test_what_makes_no_sense_is_refused(make):
    with pytest.raises(ValueError):  # noqa: PT011
        make()
