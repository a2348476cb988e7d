import math
from fractions import Fraction

import dp_accounting
import pytest
from dp_accounting import pld
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.privacy.curves import gaussian, pure, with_delta
from noisegate.privacy.filter import (
    UNBOUNDED,
    Capacity,
    Limits,
    admits,
    capacity,
    cost_share,
    more_like_this,
    spent_epsilon,
    stand_alone_epsilon,
    weights,
)
from noisegate.privacy.loss import INFINITE, NANO, ORDERS, ZERO, Loss

F = Fraction
ACCOUNT = Limits.of(F(10), F(1, 10**6))
PURE = Limits.of(F(2), F(0))


def tight(event, count, delta=1e-6):
    accountant = pld.PLDAccountant()
    accountant.compose(event, count)
    return accountant.get_epsilon(delta)


@pytest.mark.parametrize(
    ("loss", "event"),
    [
        (pure(F(1, 20)), dp_accounting.LaplaceDpEvent(20.0)),
        (gaussian(F(1, 800)), dp_accounting.GaussianDpEvent(20.0)),
    ],
)
def test_a_thousand_small_releases_cost_within_12_percent_of_the_tight_figure(loss, event):
    shown, least = float(spent_epsilon(ACCOUNT, loss.times(1000))), tight(event, 1000)
    assert least <= shown <= 1.12 * least
    # The account's tenth of δ for keys and its shares over orders are in `shown`; alone it is tighter.
    assert least <= stand_alone_epsilon(loss.times(1000), F(1, 10**6)) <= F(shown)


def test_the_facts_file_workloads_are_met():
    assert stand_alone_epsilon(pure(F(1, 10)).times(100), F(1, 10**6)) < F("5.3")
    assert stand_alone_epsilon(gaussian(F(1, 200)).times(100), F(1, 10**6)) < F("5.3")


LOSSES = st.one_of(
    st.fractions(min_value=F(1, 1000), max_value=3, max_denominator=1000).map(pure),
    st.fractions(min_value=F(1, 1000), max_value=2, max_denominator=1000).map(gaussian),
)
HISTORIES = st.lists(LOSSES, min_size=1, max_size=12)
LIMITS = st.builds(
    Limits.of,
    st.fractions(min_value=F(1, 10), max_value=20, max_denominator=100),
    st.sampled_from([F(0), F(1, 10**4), F(1, 10**6), F(1, 10**9)]),
)


def summed(history):
    total = ZERO
    for loss in history:
        total = total + loss
    return total


@given(HISTORIES, LIMITS)
@settings(deadline=None)
def test_what_is_admitted_shows_no_more_than_the_limit_and_what_is_not_shows_more(history, limits):
    spent = summed(history)
    shown = spent_epsilon(limits, spent)
    if admits(capacity(limits), spent):
        assert shown <= limits.epsilon + F(2, NANO)
    else:
        assert shown > limits.epsilon - F(2, NANO)


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0.02, 1.5)), min_size=1, max_size=8),
    st.floats(0.5, 12),
)
@settings(deadline=None, max_examples=40)
def test_no_admitted_history_loses_more_than_the_tight_accountant_allows(history, epsilon):
    limits = Limits.of(F(epsilon), F(1, 10**5))
    room = capacity(limits)
    spent, accountant = ZERO, pld.PLDAccountant(value_discretization_interval=1e-3)
    for is_laplace, size in history:
        each = pure(F(size)) if is_laplace else gaussian(F(size) ** 2 / 2)
        if not admits(room, spent + each):
            continue
        spent = spent + each
        event = dp_accounting.LaplaceDpEvent if is_laplace else dp_accounting.GaussianDpEvent
        accountant.compose(event(1 / size))
    if spent != ZERO:
        # The oracle discretises its distribution upwards, by 1e-3 a release.
        assert accountant.get_epsilon(1e-5) <= epsilon + 1e-3 * len(history)


@given(LOSSES, HISTORIES, LIMITS)
@settings(deadline=None)
def test_more_like_this_is_the_largest_number_that_is_admitted(loss, history, limits):
    room, spent = capacity(limits), summed(history)
    more = more_like_this(room, spent, loss)
    assert admits(room, spent + loss.times(more)) or more == 0
    assert not admits(room, spent + loss.times(more + 1))


def test_the_delta_of_keys_has_its_own_limit():
    room = capacity(ACCOUNT)
    keyed = with_delta(pure(F(1, 100)), F(1, 10**8))
    assert more_like_this(room, ZERO, keyed) == 10
    assert admits(room, keyed.times(10))
    assert not admits(room, keyed.times(11))
    assert more_like_this(room, keyed.times(10), pure(F(1, 100))) > 100


def test_an_account_without_delta_is_pure():
    room = capacity(PURE)
    assert room == Capacity((0,) * (len(ORDERS) - 1) + (2 * NANO,), 0)
    assert more_like_this(room, ZERO, pure(F(1, 10))) == 20
    assert not admits(room, gaussian(F(1, 10**6)))
    assert not admits(room, with_delta(pure(F(1, 10)), F(1, 10**12)))
    assert spent_epsilon(PURE, pure(F(1, 2))) == F(1, 2)
    assert spent_epsilon(PURE, gaussian(F(1))) == UNBOUNDED


@given(LIMITS)
@settings(deadline=None)
def test_shares_of_delta_sum_to_one_at_most(limits):
    shares = weights(limits)
    assert sum(shares) in (0, 1)
    room = capacity(limits)
    for order, share, limit in zip(ORDERS, shares, room.renyi, strict=False):
        if share == 0:
            assert limit == 0
        elif limit:
            d = float(share * (limits.delta - limits.delta_keys))
            back = (math.log(1 / d) + (order - 1) * math.log(1 - 1 / order) - math.log(order)) / (order - 1)
            assert limit / NANO + back == pytest.approx(float(limits.epsilon), abs=1e-8)
    assert room.renyi[-1] <= limits.epsilon * NANO


def test_half_of_delta_goes_to_the_order_that_admits_most_gaussian_loss():
    room = capacity(ACCOUNT).renyi[:-1]
    best = max(range(len(room)), key=lambda i: room[i] / ORDERS[i])
    assert weights(ACCOUNT)[best] == F(1, 2)


def test_an_infinite_loss_never_fits():
    everything = Loss((INFINITE,) * len(ORDERS))
    for limits in (ACCOUNT, PURE, Limits.of(F(10**18), F(1, 2))):
        assert not admits(capacity(limits), everything)
        assert more_like_this(capacity(limits), ZERO, everything) == 0
    assert cost_share(capacity(ACCOUNT), everything) == math.inf
    assert stand_alone_epsilon(everything, F(1, 10)) == UNBOUNDED
    with pytest.raises(ValueError, match="finite"):
        Capacity((INFINITE,) * len(ORDERS), 0)


def test_a_stand_alone_figure_is_pure_where_that_is_smaller():
    assert stand_alone_epsilon(pure(F(1, 2)), F(0)) == F(1, 2)
    assert stand_alone_epsilon(pure(F(1, 2)), F(1, 10**6)) == F(1, 2)
    assert stand_alone_epsilon(ZERO, F(0)) == 0
    assert stand_alone_epsilon(with_delta(ZERO, F(1, 100)), F(1, 1000)) == UNBOUNDED
    assert float(stand_alone_epsilon(gaussian(F(1, 2)), F(1, 10**6))) == pytest.approx(5.22, abs=0.01)


def test_cost_is_the_share_of_the_order_that_admits_most_of_the_loss():
    room = capacity(ACCOUNT)
    assert cost_share(room, ZERO) == 0
    assert cost_share(room, pure(F(1))) == pytest.approx(0.1)
    small = pure(F(1, 20))
    assert cost_share(room, small) == pytest.approx(1 / more_like_this(room, ZERO, small), rel=0.01)
    assert cost_share(capacity(PURE), gaussian(F(1))) == math.inf


def test_limits_check_themselves():
    for wrong in ((0, 0, 0), (1, 1, 0), (1, F(1, 10), F(1, 5)), (1, -1, -1)):
        with pytest.raises(ValueError, match=r"needs|part"):
            Limits(*(F(w) for w in wrong))
