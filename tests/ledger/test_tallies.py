from dataclasses import replace
from fractions import Fraction

import pytest

from noisegate.errors import BudgetExhausted
from noisegate.ledger.records import Asked, JobState
from noisegate.ledger.store import Daily, IdempotencyKey, Tally
from noisegate.privacy.curves import gaussian
from noisegate.privacy.filter import Limits
from noisegate.privacy.loss import NANO, ZERO

ANA = "olmsted/liver/default/ana"
BEN = "olmsted/liver/default/ben"
PANEL = "olmsted/panel/default/ana"
DAY = 86_400
CENT = NANO // 100


def wanted(house, fingerprint, tier="clinical", amount=CENT, limit=3 * CENT, **more):
    daily = None if limit is None else Daily(amount, limit)
    return replace(house.wanted(fingerprint, **more), asker="ana", tier=tier, daily=daily)


def whole(house):
    report = house.ledger.verify()
    assert report.fault is None
    return True


def today(house):
    return house.clock() // DAY


def test_what_a_day_held_is_tallied_by_analyst_and_tier(timed):
    timed.open_path(BEN)
    more = {ANA: timed.cent.times(2)}
    timed.ledger.charge(wanted(timed, "f", surcharges=more))
    timed.ledger.charge(wanted(timed, "g", loss=gaussian(Fraction(1, 200))))
    timed.ledger.charge(wanted(timed, "h", tier="genomic", limit=None))
    timed.ledger.charge(wanted(timed, "i", leaves=(BEN,)))
    timed.ledger.charge(timed.wanted("j", leaves=(BEN,)))
    day = today(timed)
    both = timed.cent + gaussian(Fraction(1, 200))
    assert timed.ledger.tallies() == (
        Tally(ANA, day, "clinical", 2, both, timed.cent.times(2), 2 * CENT),
        Tally(ANA, day, "genomic", 1, timed.cent, ZERO, 0),
        Tally(BEN, day, "", 1, timed.cent, ZERO, 0),
        Tally(BEN, day, "clinical", 1, timed.cent, ZERO, CENT),
    )
    assert whole(timed)


def test_tallies_are_found_beneath_an_account_and_since_a_day(timed):
    timed.open_path(PANEL)
    timed.open_path("olmsted/liver-2/default/ana")
    for i, leaf in enumerate((ANA, PANEL, "olmsted/liver-2/default/ana")):
        timed.ledger.charge(wanted(timed, f"f{i}", leaves=(leaf,)))
    timed.clock.seconds += DAY
    timed.ledger.charge(wanted(timed, "g"))
    day = today(timed)

    def found(account="", since=0):
        return [(t.account, t.day) for t in timed.ledger.tallies(account, since)]

    assert len(found()) == 4
    assert found("olmsted/liver") == found("olmsted/liver/default") == found(ANA)
    assert found(ANA) == [(ANA, day - 1), (ANA, day)]
    assert found("olmsted") == found()
    assert found("", day) == found("olmsted", day) == [(ANA, day)]
    assert found("olm") == found("olmsted/liv") == found("", day + 1) == []


def test_a_days_maximum_is_held_exactly_and_begins_again_at_midnight(timed):
    for i in range(3):
        timed.ledger.charge(wanted(timed, f"f{i}"))
    with pytest.raises(BudgetExhausted, match=r"ε 0 left of 0\.03 a day on clinical columns") as refused:
        timed.ledger.charge(wanted(timed, "g"))
    assert refused.value.detail == {"account": ANA, "tier": "clinical", "day_limit": 0.03, "day_left": 0.0}
    assert refused.value.hint
    assert timed.ledger.find_account(ANA).charges == 3
    timed.clock.seconds += DAY // 2 - 1
    with pytest.raises(BudgetExhausted):
        timed.ledger.charge(wanted(timed, "g"))
    timed.clock.seconds += 1
    timed.ledger.charge(wanted(timed, "g"))
    assert whole(timed)


def test_what_passes_a_days_maximum_by_one_billionth_is_refused(timed):
    timed.ledger.charge(wanted(timed, "f", amount=CENT + 1))
    with pytest.raises(BudgetExhausted, match=r"0\.0199 left of 0\.03 a day"):
        timed.ledger.charge(wanted(timed, "g", amount=2 * CENT))
    timed.ledger.charge(wanted(timed, "g", amount=2 * CENT - 1))
    assert timed.ledger.tallies()[0].amount == 3 * CENT


def test_a_days_maximum_is_one_of_a_tier_and_of_an_account(timed):
    timed.open_path(BEN)
    timed.ledger.charge(wanted(timed, "f", amount=3 * CENT))
    timed.ledger.charge(wanted(timed, "g", tier="genomic", amount=3 * CENT))
    timed.ledger.charge(wanted(timed, "h", leaves=(BEN,), amount=3 * CENT))
    timed.ledger.charge(wanted(timed, "i", limit=None))
    for tier, leaf in (("clinical", ANA), ("genomic", ANA), ("clinical", BEN)):
        with pytest.raises(BudgetExhausted, match=f"{leaf}' has ε 0 left .* on {tier}"):
            timed.ledger.charge(wanted(timed, "j", tier=tier, leaves=(leaf,)))


def test_a_question_over_two_datasets_is_held_by_the_day_on_each(timed):
    timed.open_path(PANEL)
    timed.ledger.charge(wanted(timed, "f", leaves=(PANEL,), amount=2 * CENT))
    with pytest.raises(BudgetExhausted, match="olmsted/panel"):
        timed.ledger.charge(wanted(timed, "g", leaves=(ANA, PANEL), amount=2 * CENT))
    assert timed.ledger.find_account(ANA).charges == 0
    timed.ledger.charge(wanted(timed, "g", leaves=(ANA, PANEL)))
    assert [t.amount for t in timed.ledger.tallies()] == [CENT, 3 * CENT]
    assert whole(timed)


def test_a_renewal_does_not_begin_the_day_again(timed):
    timed.ledger.charge(wanted(timed, "f", amount=3 * CENT))
    timed.ledger.renew(ANA, None, until=None, by="cleo")
    with pytest.raises(BudgetExhausted, match="a day"):
        timed.ledger.charge(wanted(timed, "g"))


def test_a_limit_that_is_lowered_during_the_day_counts_what_was_before(timed):
    timed.ledger.charge(wanted(timed, "f", amount=3 * CENT))
    with pytest.raises(BudgetExhausted, match=r"ε 0 left of 0\.01 a day"):
        timed.ledger.charge(wanted(timed, "g", amount=0, limit=CENT))


def test_a_clock_that_is_set_back_does_not_begin_a_day_twice(timed):
    timed.clock.seconds += DAY
    timed.ledger.charge(wanted(timed, "f", amount=3 * CENT))
    timed.clock.seconds -= DAY
    with pytest.raises(BudgetExhausted, match="a day"):
        timed.ledger.charge(wanted(timed, "g"))
    assert {t.day for t in timed.ledger.tallies()} == {today(timed) + 1}


def test_a_key_that_was_paid_for_costs_the_day_nothing(timed):
    key = IdempotencyKey("ana", "k", "r")
    charged = timed.ledger.charge(wanted(timed, "f", amount=3 * CENT, idempotency=key))
    timed.ledger.close(charged.id, "{}")
    assert timed.ledger.charge(wanted(timed, "f", amount=3 * CENT, idempotency=key)).earlier
    assert timed.ledger.tallies()[0].charges == 1


def test_what_a_job_never_drew_comes_off_the_day_it_was_charged_on(timed):
    third = replace(wanted(timed, "f", loss=timed.cent.times(3), amount=3 * CENT), steps=3)
    job = timed.ledger.charge(third)
    timed.ledger.draw(job.id, timed.cent)
    timed.clock.seconds += 2 * DAY
    timed.ledger.charge(wanted(timed, "g"))
    timed.ledger.end_job(job.id, JobState.CANCELLED)
    first, second = timed.ledger.tallies()
    assert (first.charges, first.spent, first.amount) == (1, timed.cent, CENT)
    assert (second.charges, second.spent, second.amount) == (1, timed.cent, CENT)
    assert whole(timed)


def test_an_askers_own_questions_are_remembered_newest_first(timed):
    timed.open_path(BEN)
    timed.open_path(PANEL)
    for i in range(5):
        timed.ledger.charge(replace(wanted(timed, f"f{i}", limit=None), conditions=f"[{i}]"))
    timed.ledger.charge(replace(wanted(timed, "b", limit=None), asker="ben", conditions="[9]"))
    timed.ledger.charge(replace(wanted(timed, "j", limit=None), steps=2))
    timed.clock.seconds += 7
    both = timed.ledger.charge(wanted(timed, "both", leaves=(ANA, PANEL)))
    asked = timed.ledger.asked("ana", 3)
    assert asked[0] == Asked(both.id, "both", ("liver", "panel"), "[]", timed.clock())
    assert [(a.fingerprint, a.conditions) for a in asked[1:]] == [("f4", "[4]"), ("f3", "[3]")]
    assert len(timed.ledger.asked("ana", 100)) == 6
    assert [a.fingerprint for a in timed.ledger.asked("ben", 100)] == ["b"]
    assert timed.ledger.asked("nobody", 100) == ()
    timed.reopen()
    assert timed.ledger.asked("ana", 3) == asked


def test_a_refusal_is_neither_tallied_nor_remembered(make_house):
    house = make_house(Limits.of(Fraction(1, 100), Fraction(0)))
    with pytest.raises(BudgetExhausted):
        house.ledger.charge(wanted(house, "f", loss=house.cent.times(2)))
    assert house.ledger.tallies() == ()
    assert house.ledger.asked("ana", 10) == ()
