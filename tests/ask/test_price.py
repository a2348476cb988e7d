"""Prices: from question, tiers and accuracy wanted; families at equal cost; what is above a tier."""

from fractions import Fraction

import pytest

from noisegate import sql
from noisegate.ask.desk import Desk
from noisegate.ask.price import forecast, price, tiers_touched
from noisegate.ask.question import MIN_EPSILON, Question
from noisegate.catalog.model import Tier
from noisegate.errors import BadInput, EpsilonAboveTier, Refused
from noisegate.privacy.filter import Limits, stand_alone_epsilon
from noisegate.privacy.mechanism import Family, design, half_width_of, loss_of

F = Fraction
COUNT = "SELECT count(*) FROM ward.people WHERE age > 40"
COUNTS = "SELECT site, day, count(*) AS n FROM ward.visits WHERE site IN ('s0', 's1') GROUP BY site, day"


def priced(desk: Desk, text: str, epsilon=None, within=None, limits=None):
    plan = sql.read(text, desk.catalog)
    question = Question(text, epsilon, within)
    return plan, price(plan, question, desk.catalog, limits or desk.limits)


@pytest.mark.parametrize(
    ("text", "tiers", "epsilon"),
    [
        ("SELECT count(*) FROM ward.people", (Tier.DEMOGRAPHIC,), F(1, 2)),
        (COUNT, (Tier.DEMOGRAPHIC,), F(1, 2)),
        ("SELECT sex, avg(bmi) FROM ward.people GROUP BY sex", (Tier.DEMOGRAPHIC, Tier.CLINICAL), F(1, 4)),
        ("SELECT count(*) FROM ward.people WHERE person IN (SELECT person FROM ward.visits WHERE day > 9)",
         (Tier.DEMOGRAPHIC, Tier.CLINICAL), F(1, 4)),
    ],
)  # fmt: skip
def test_the_strictest_tier_that_a_question_touches_sets_its_epsilon(desk, text, tiers, epsilon):
    plan, found = priced(desk, text)
    assert set(tiers_touched(plan, desk.catalog)) == set(tiers)
    assert found.epsilon == epsilon


def test_epsilon_above_the_tier_is_refused_and_at_the_tier_is_not(desk):
    text = "SELECT avg(bmi) FROM ward.people"
    assert priced(desk, text, epsilon=F(1))[1].epsilon == 1
    with pytest.raises(EpsilonAboveTier) as refused:
        priced(desk, text, epsilon=F(11, 10))
    assert refused.value.detail["max_epsilon"] == 1.0


def test_the_tier_bounds_what_the_answer_alone_loses_not_what_it_is_called(desk):
    for epsilon in (F(1, 10), F(1, 4), F(1, 2), F(1)):
        _, found = priced(desk, COUNTS, epsilon=epsilon)
        assert found.stand_alone <= F(1000001, 1000000)
        assert found.stand_alone == stand_alone_epsilon(found.loss, found.delta)


def test_the_loss_is_that_of_the_noise(desk):
    plan, found = priced(desk, COUNTS)
    assert found.loss == loss_of(plan.private, found.mechanism)


def test_many_groups_get_gaussian_noise_where_delta_allows_and_it_errs_less(desk):
    plan, found = priced(desk, COUNTS, epsilon=F(1, 20))
    assert found.family is Family.GAUSSIAN
    laplace = design(plan.private, F(1, 20), Family.LAPLACE, F(0))
    assert half_width_of(found.mechanism, 0, 0.95) < half_width_of(laplace, 0, 0.95)


def test_an_account_without_delta_never_gets_gaussian_noise(desk):
    text = "SELECT count(*) FROM pure.people WHERE age > 40"
    _, found = priced(desk, text, epsilon=F(1, 20))
    assert found.family is not Family.GAUSSIAN
    assert found.loss.pure_epsilon is not None
    with pytest.raises(Refused, match="δ > 0"):
        priced(desk, "SELECT sex, count(*) FROM pure.people GROUP BY sex")


def test_one_cell_at_a_large_epsilon_gets_stairs(desk):
    _, found = priced(desk, "SELECT sum(age) FROM ward.people", epsilon=F(2))
    assert found.family is Family.STAIRCASE


@pytest.mark.parametrize("within", [3, 10, 50])
def test_accuracy_buys_the_smallest_epsilon_that_reaches_it(desk, within):
    plan, found = priced(desk, COUNT, within=F(within))
    assert half_width_of(found.mechanism, 0, 0.95) <= within
    assert not found.planned
    less = design(plan.private, found.epsilon - F(1, 5_000), found.family, F(0))
    assert half_width_of(less, 0, 0.95) > within or found.epsilon <= MIN_EPSILON + F(1, 5_000)


def test_accuracy_of_a_mean_is_a_planning_figure_and_says_so(desk):
    _, found = priced(desk, "SELECT avg(age) FROM ward.people", within=F(5))
    assert found.planned


def test_accuracy_out_of_reach_is_refused_with_the_most_that_may_be_spent(desk):
    with pytest.raises(EpsilonAboveTier, match=r"± 0.05"):
        priced(desk, "SELECT avg(bmi) FROM ward.people", within=F(1, 20))


def test_accuracy_of_a_quantile_has_no_forecast(desk):
    with pytest.raises(BadInput, match="forecast"):
        priced(desk, "SELECT median(age) FROM ward.people", within=F(5))


def test_a_forecast_is_exact_for_counts_and_sums(desk):
    plan, found = priced(desk, "SELECT count(*), sum(age) AS s, avg(age) AS m FROM ward.people")
    shown = {name: (width, exact) for name, width, exact in forecast(plan, found.mechanism, desk.catalog)}
    assert [exact for _, exact in shown.values()].count(True) == 2
    assert all(width is not None and width > 0 for width, _ in shown.values())


def test_a_price_follows_from_public_facts_alone(desk):
    assert priced(desk, COUNTS)[1] == priced(desk, COUNTS)[1]
    assert (
        priced(desk, COUNTS, limits={**desk.limits, "ward": Limits.of(F(1), F(0))})[1]
        != priced(desk, COUNTS)[1]
    )


@pytest.mark.parametrize("epsilon", [F(0), F(-1), F(1, 2000), F(2000)])
def test_an_epsilon_that_makes_no_sense_is_bad_input(epsilon):
    with pytest.raises(BadInput):
        Question(COUNT, epsilon)
