"""The odometer against the slow way to count, and the forecast against living through the days."""

from collections import defaultdict
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate.gate.odometer import (
    DAY,
    FURTHEST,
    WINDOW,
    By,
    RunsOut,
    date_of,
    group_of,
    more_like_average,
    rates,
    readings,
    runs_out,
    share,
    total,
    window,
)
from noisegate.ledger.accounts import Account, Balance, Lifetime, Period
from noisegate.ledger.spending import Group, Spending
from noisegate.privacy.curves import gaussian, pure
from noisegate.privacy.filter import Limits, admits, capacity
from noisegate.privacy.loss import INFINITE, ORDERS, ZERO, Loss

TODAY = 20_000
NOW = TODAY * DAY + 3_600
LOSSES = st.sampled_from(
    [
        ZERO,
        pure(Fraction(1, 10)),
        pure(Fraction(2)),
        gaussian(Fraction(1, 50)),
        Loss((INFINITE,) * len(ORDERS), 5),
    ]
)
ACCOUNTS = ("town/ward/default/ana", "town/ward/default/ben", "town/clinic/default/ana", "abroad/x/p/ben")


def part(of: str | int = ACCOUNTS[0], day: int = TODAY, spent: Loss = ZERO, **more: object) -> Spending:
    plain = {"charges": 1, "surcharge": ZERO}
    return Spending(of=of, first_day=day, spent=spent, **(plain | more))


def spendings(keys: st.SearchStrategy[str | int]) -> st.SearchStrategy[list[Spending]]:
    return st.lists(
        st.builds(
            Spending,
            of=keys,
            first_day=st.integers(TODAY - 20, TODAY),
            charges=st.integers(0, 9),
            spent=LOSSES,
            surcharge=LOSSES,
        ),
        max_size=12,
        unique_by=lambda s: s.of,
    )


KEYS = {
    Group.ACCOUNT: st.sampled_from(ACCOUNTS),
    Group.TIER: st.sampled_from(["clinical", "genomic", "demographic"]),
    Group.DAY: st.integers(TODAY - 20, TODAY),
}


def balance(
    epsilon: Fraction = Fraction(3),
    delta: Fraction = Fraction(1, 10**6),
    spent: Loss = ZERO,
    charges: int = 0,
    until: int | None = None,
) -> Balance:
    limits = Limits.of(epsilon, delta)
    return Balance(
        account=Account.at(ACCOUNTS[0], limits),
        capacity=capacity(limits),
        spent=spent,
        surcharge=ZERO,
        charges=charges,
        period=Period(1, 0, until),
        lifetime=Lifetime(epsilon, delta, spent, charges),
    )


@given(st.lists(LOSSES, max_size=6))
def test_a_total_is_the_sum_one_by_one(losses: list[Loss]) -> None:
    slow = ZERO
    for loss in losses:
        slow += loss
    assert total(losses) == slow


@given(LOSSES, st.integers(1, 40))
def test_the_parts_of_a_loss_are_never_less_than_the_whole_and_hardly_more(loss: Loss, parts: int) -> None:
    again = share(loss, parts).times(parts)
    for whole, of in zip((*loss.renyi, loss.delta), (*again.renyi, again.delta), strict=True):
        assert whole <= of
        assert of < whole + parts or of == INFINITE


@given(st.data(), st.sampled_from(By))
def test_readings_are_what_counting_by_hand_gives(data: st.DataObject, by: By) -> None:
    parts = data.draw(spendings(KEYS[group_of(by)]))
    slow: dict[str, tuple[int, Loss, Loss]] = defaultdict(lambda: (0, ZERO, ZERO))
    for p in parts:
        of = {
            By.DATASET: lambda _: "",
            By.ANALYST: lambda of: of.split("/")[3],
            By.TIER: lambda of: of,
            By.DAY: date_of,
        }[by](p.of)
        charges, spent, surcharge = slow[of]
        slow[of] = charges + p.charges, spent + p.spent, surcharge + p.surcharge
    found = readings(by, "ward", parts)
    assert [(r.dataset, r.of) for r in found] == [("ward", of) for of in sorted(slow)]
    for r in found:
        assert (r.charges, r.spent, r.surcharge) == slow[r.of]


def test_a_rate_is_the_mean_a_day_since_the_first_charge_of_a_fortnight() -> None:
    tenth = pure(Fraction(1, 10))
    found = rates([part(day=TODAY - 3, spent=tenth.times(8))], TODAY)
    assert found == dict.fromkeys(("town", "town/ward", "town/ward/default", ACCOUNTS[0]), tenth.times(2))


def test_the_first_charge_of_any_analyst_begins_the_days_of_the_accounts_above() -> None:
    tenth = pure(Fraction(1, 10))
    found = rates(
        [
            part(ACCOUNTS[0], TODAY - 4, tenth),
            part(ACCOUNTS[1], TODAY, tenth),
            part(ACCOUNTS[2], TODAY - 9, tenth),
        ],
        TODAY,
    )
    assert found[ACCOUNTS[1]] == tenth
    assert found["town/ward"] == share(tenth.times(2), 5)
    assert found["town"] == share(tenth.times(3), 10)


def test_a_fortnight_is_today_and_thirteen_days_before() -> None:
    assert TODAY - window(TODAY) + 1 == WINDOW == 14
    assert rates([part(day=window(TODAY), spent=pure(Fraction(1)))], TODAY)["town"] == share(
        pure(Fraction(1)), 14
    )


def test_the_surcharge_is_in_the_rate_of_the_analyst_alone() -> None:
    tenth = pure(Fraction(1, 10))
    found = rates([part(spent=tenth, surcharge=tenth)], TODAY)
    assert found[ACCOUNTS[0]] == tenth.times(2)
    assert found["town/ward/default"] == tenth


def test_no_spending_is_no_rate_and_no_rate_no_forecast() -> None:
    assert rates([part()], TODAY) == {}
    assert runs_out(balance(until=NOW + DAY), None, NOW) is None


@pytest.mark.parametrize("spent_days", [0, 1, 7])
@pytest.mark.parametrize("daily", [pure(Fraction(1, 7)), gaussian(Fraction(1, 100))])
def test_the_forecast_is_the_day_on_which_living_on_like_this_fails(daily: Loss, spent_days: int) -> None:
    held = balance(spent=daily.times(spent_days))
    spent, day = held.spent, TODAY
    while admits(held.capacity, spent + daily):
        spent, day = spent + daily, day + 1
    assert runs_out(held, daily, NOW) == RunsOut(day, period_ends=False)


def test_what_cannot_be_spent_today_runs_out_today() -> None:
    assert runs_out(balance(), pure(Fraction(4)), NOW) == RunsOut(TODAY, period_ends=False)


def test_the_period_s_end_comes_first_where_it_is_earlier() -> None:
    daily = pure(Fraction(1, 2))  # lasts 6 days
    for days, ends in ((3, True), (6, True), (7, False)):
        found = runs_out(balance(until=(TODAY + days) * DAY), daily, NOW)
        assert found == RunsOut(TODAY + min(days, 6), period_ends=ends)
    assert runs_out(balance(until=NOW - DAY), daily, NOW) == RunsOut(TODAY, period_ends=True)


def test_a_budget_that_lasts_a_century_has_no_forecast_but_its_period_s_end() -> None:
    least = Loss((1,) * len(ORDERS))
    assert runs_out(balance(), least, NOW) is None
    far = (TODAY + FURTHEST + 9) * DAY
    assert runs_out(balance(until=far), least, NOW) == RunsOut(far // DAY, period_ends=True)


def test_more_like_the_average_is_what_still_fits() -> None:
    tenth = pure(Fraction(1, 10))
    assert more_like_average(balance()) is None
    for charges, more in ((6, 24), (3, 12), (7, 27), (12, 48)):
        held = balance(delta=Fraction(0), spent=tenth.times(6), charges=charges)
        assert more_like_average(held) == more
    assert more_like_average(balance(delta=Fraction(0), spent=tenth.times(30), charges=30)) == 0
