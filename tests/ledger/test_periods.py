import json
from fractions import Fraction

import pytest

from noisegate.errors import BadInput, Blocked, BudgetExhausted, Conflict, NotFound
from noisegate.ledger.receipts import ENTRY_TAG, is_signed
from noisegate.ledger.records import canonical
from noisegate.ledger.signing import signed_by
from noisegate.ledger.store import Account, AccountState, Period, ReceiptKind
from noisegate.privacy.curves import gaussian, pure, with_delta
from noisegate.privacy.filter import Limits, capacity, spent_epsilon
from noisegate.privacy.loss import ZERO

ANA = "olmsted/liver/default/ana"
BEN = "olmsted/liver/default/ben"
PATH = ("olmsted", "olmsted/liver", "olmsted/liver/default", ANA)
PURE = Limits.of(Fraction(1, 10), Fraction(0))
DAY = 86_400


def told(house, kind, chain="liver"):
    return [r.content() for r in house.ledger.receipts(chain, limit=1000) if r.kind is kind]


def whole(house):
    report = house.ledger.verify()
    assert report.fault is None
    return True


def spend(house, times, name="f", **more):
    for i in range(times):
        house.ledger.charge(house.wanted(f"{name}{i}", **more))


def test_an_account_opens_with_its_first_period(timed):
    balance = timed.ledger.find_account(ANA)
    assert balance.period == Period(1, timed.clock())
    assert (balance.lifetime.epsilon, balance.lifetime.delta) == (100, Fraction(1, 10**6))
    assert (balance.lifetime.spent, balance.lifetime.charges) == (ZERO, 0)
    assert (balance.state, balance.reason, balance.strikes) == (AccountState.OPEN, "", 0)


def test_a_renewal_begins_unspent_and_the_lifetime_keeps_what_was_spent(make_house):
    house = make_house(PURE)
    spend(house, 4, surcharges={ANA: house.cent})
    for account in PATH:
        renewed = house.ledger.renew(account, None, until=None, by="cleo", reason="a new month")
        assert renewed == house.ledger.find_account(account)
        assert (renewed.spent, renewed.surcharge, renewed.charges) == (ZERO, ZERO, 0)
        assert renewed.period.number == 2
        assert (renewed.lifetime.epsilon, renewed.lifetime.spent) == (Fraction(1, 5), house.cent.times(4))
        assert renewed.lifetime.charges == 4
    spend(house, 10, "g")
    with pytest.raises(BudgetExhausted):
        house.ledger.charge(house.wanted("h"))
    balance = house.ledger.find_account(ANA)
    assert (balance.spent, balance.charges) == (house.cent.times(10), 10)
    assert (balance.lifetime.spent, balance.lifetime.charges) == (house.cent.times(14), 14)
    assert whole(house)


def test_what_a_period_had_left_is_forfeited(make_house):
    house = make_house(PURE)
    spend(house, 1)
    for account in PATH:
        house.ledger.renew(account, None, until=None, by="cleo")
    with pytest.raises(BudgetExhausted, match=r"takes ε 0\.11$"):
        house.ledger.charge(house.wanted("g", pure(Fraction(11, 100))))


def test_a_renewed_account_is_still_held_by_those_above_it(make_house):
    house = make_house(PURE)
    spend(house, 10)
    house.ledger.renew(ANA, None, until=None, by="cleo")
    with pytest.raises(BudgetExhausted, match="account 'olmsted' has"):
        house.ledger.charge(house.wanted("g"))
    assert whole(house)


def test_a_raise_and_a_cut_are_new_periods_with_the_limits_given(timed):
    wider = Limits.of(Fraction(200), Fraction(1, 10**5))
    for number, limits in enumerate((wider, PURE, Limits.of(Fraction(1, 3), Fraction(0))), 2):
        balance = timed.ledger.renew(ANA, limits, until=None, by="cleo")
        assert balance.period.number == number
        assert balance.capacity == capacity(balance.limits)
        assert balance.limits.epsilon <= limits.epsilon
    assert balance.limits.epsilon == Fraction(333_333_333, 10**9)
    assert balance.lifetime.epsilon == 300 + Fraction(1, 10) + Fraction(333_333_333, 10**9)
    assert balance.lifetime.delta == Fraction(1, 10**6) + Fraction(1, 10**5)
    assert whole(timed)


def test_an_account_bears_charges_until_the_second_its_period_ends(timed):
    end = timed.clock() + 30 * DAY
    timed.ledger.renew("olmsted/liver", None, until=end, by="cleo")
    timed.clock.seconds = end - 1
    timed.ledger.charge(timed.wanted("f"))
    timed.clock.seconds = end
    with pytest.raises(Blocked, match="period of account 'olmsted/liver' ended at") as refused:
        timed.ledger.charge(timed.wanted("g"))
    assert "noisegate budget renew" in refused.value.hint
    assert refused.value.detail == {"account": "olmsted/liver"}
    assert timed.ledger.find_account(ANA).charges == 1
    timed.ledger.renew("olmsted/liver", None, until=end + 1, by="cleo")
    timed.ledger.charge(timed.wanted("g"))
    assert whole(timed)


def test_an_account_may_open_with_an_end(timed):
    timed.ledger.open_account(Account.at(BEN, PURE), until=timed.clock() + 1, by="cleo")
    assert timed.ledger.find_account(BEN).period == Period(1, timed.clock(), timed.clock() + 1)
    timed.ledger.charge(timed.wanted("f", leaves=(BEN,)))
    timed.clock.seconds += 1
    with pytest.raises(Blocked):
        timed.ledger.charge(timed.wanted("g", leaves=(BEN,)))
    timed.ledger.open_account(Account.at(BEN, PURE), until=timed.clock(), by="cleo")
    assert timed.ledger.find_account(BEN).period == Period(1, timed.clock() - 1, timed.clock())
    assert whole(timed)


def test_a_period_cannot_end_before_it_begins(timed):
    for until in (timed.clock(), timed.clock() - 1, 0):
        with pytest.raises(BadInput, match="ends after it begins"):
            timed.ledger.renew(ANA, None, until=until, by="cleo")
        with pytest.raises(BadInput, match="ends after it begins"):
            timed.ledger.open_account(Account.at(BEN, PURE), until=until)
    assert timed.ledger.find_account(ANA).period.number == 1
    assert timed.ledger.find_account(BEN) is None


def test_a_clock_that_is_set_back_opens_no_ended_period(timed):
    timed.ledger.renew(ANA, None, until=timed.clock() + 10, by="cleo")
    timed.clock.seconds += 10
    timed.ledger.register_version("liver", "[liver]", "d")
    timed.clock.seconds -= 5 * DAY
    assert timed.ledger.now() == timed.clock() + 5 * DAY
    with pytest.raises(Blocked, match="ended at"):
        timed.ledger.charge(timed.wanted("f"))
    timed.reopen()
    with pytest.raises(Blocked, match="ended at"):
        timed.ledger.charge(timed.wanted("f"))
    times = [r.at for r in timed.ledger.receipts("liver")]
    assert times == sorted(times)
    assert whole(timed)


def test_a_clock_that_jumps_ahead_ends_periods_and_loses_nothing(timed):
    timed.ledger.renew(ANA, None, until=timed.clock() + 10, by="cleo")
    spend(timed, 2)
    timed.clock.seconds += 3000 * DAY
    with pytest.raises(Blocked):
        timed.ledger.charge(timed.wanted("g"))
    assert timed.ledger.find_account(ANA).spent == timed.cent.times(2)
    assert whole(timed)


def test_openings_renewals_and_transfers_are_signed_and_tell_all_that_they_change(timed):
    timed.open_path(BEN)
    timed.ledger.renew(ANA, PURE, until=timed.clock() + DAY, by="cleo", reason="June")
    timed.ledger.transfer(ANA, BEN, Fraction(1, 20), by="cleo")
    entries = [
        said
        for kind in (ReceiptKind.OPENED, ReceiptKind.RENEWED, ReceiptKind.TRANSFERRED)
        for said in told(timed, kind)
    ]
    assert len(entries) == 4 + 1 + 2
    for said in entries:
        assert said["key"] == timed.ledger.signer.public
        unsigned = {name: value for name, value in said.items() if name != "signature"}
        assert signed_by(said["key"], said["signature"], ENTRY_TAG + canonical(unsigned).encode())
        for field in unsigned:
            assert not is_signed({**said, field: "other"}), field
            assert not is_signed({name: value for name, value in said.items() if name != field}), field
    renewed = entries[4]
    assert (renewed["account"], renewed["by"], renewed["reason"]) == (ANA, "cleo", "June")
    assert renewed["period"] == {"number": 2, "since": timed.clock(), "until": timed.clock() + DAY}
    assert (renewed["epsilon"], renewed["delta"]) == ("1/10", "0")
    assert renewed["lifetime"] == {"epsilon": "1001/10", "delta": "1/1000000"}
    assert {(e["from"], e["to"], e["moved"], e["by"]) for e in entries[5:]} == {(ANA, BEN, "1/20", "cleo")}
    assert {e["account"]: e["epsilon"] for e in entries[5:]} == {ANA: "1/20", BEN: "2001/20"}


def test_a_charge_names_the_period_of_each_account_it_fell_in(timed):
    timed.ledger.renew(ANA, None, until=None, by="cleo")
    timed.ledger.renew(ANA, None, until=None, by="cleo")
    timed.ledger.renew("olmsted", None, until=None, by="cleo")
    charged = timed.ledger.charge(timed.wanted("f"))
    assert charged.receipts[0].content()["periods"] == {
        "olmsted": 2,
        "olmsted/liver": 1,
        "olmsted/liver/default": 1,
        ANA: 3,
    }
    assert whole(timed)


def test_a_transfer_moves_what_is_left_and_never_more(make_house):
    house = make_house(Limits.of(Fraction(1), Fraction(1, 10**6)))
    house.open_path(BEN, Limits.of(Fraction(1, 2), Fraction(0)))
    spend(house, 10)
    old = house.ledger.find_account(ANA)
    left = old.limits.epsilon - spent_epsilon(old.limits, old.counted)
    ana, ben = house.ledger.transfer(ANA, BEN, Fraction(1, 4), by="cleo")
    assert (ana, ben) == tuple(map(house.ledger.find_account, (ANA, BEN)))
    assert ana.limits.epsilon == Fraction(left * 10**9 // 1, 10**9) - Fraction(1, 4)
    assert ben.limits.epsilon == Fraction(3, 4)
    assert (ana.limits.delta, ben.limits.delta) == (Fraction(1, 10**6), 0)
    assert [b.period.number for b in (ana, ben)] == [2, 2]
    assert [b.spent for b in (ana, ben)] == [ZERO, ZERO]
    assert ana.lifetime.spent == house.cent.times(10)
    assert house.ledger.find_account("olmsted/liver/default").spent == house.cent.times(10)
    assert whole(house)


def test_a_transfer_that_the_giver_cannot_bear_says_what_it_can_give(make_house):
    house = make_house(PURE)
    house.open_path(BEN, PURE)
    spend(house, 4)
    with pytest.raises(BudgetExhausted, match=r"has ε 0\.06 left .* can give at most 0\.059999$"):
        house.ledger.transfer(ANA, BEN, Fraction(6, 100), by="cleo")
    assert {house.ledger.find_account(a).period.number for a in (ANA, BEN)} == {1}
    ana, _ = house.ledger.transfer(ANA, BEN, Fraction(59_999, 10**6), by="cleo")
    assert ana.limits.epsilon == Fraction(1, 10**6)
    assert whole(house)


def test_a_surcharge_counts_as_spent_where_budget_is_moved(make_house):
    house = make_house(PURE)
    house.open_path(BEN, PURE)
    house.ledger.charge(house.wanted("f", surcharges={ANA: house.cent.times(7)}))
    with pytest.raises(BudgetExhausted, match=r"has ε 0\.02 left"):
        house.ledger.transfer(ANA, BEN, Fraction(3, 100), by="cleo")
    ana, ben = house.ledger.transfer(ANA, BEN, Fraction(1, 100), by="cleo")
    assert (ana.limits.epsilon, ben.limits.epsilon) == (Fraction(1, 100), Fraction(11, 100))
    assert whole(house)


def test_budget_moves_between_siblings_that_are_open_and_nobody_else(timed):
    timed.open_path(BEN)
    timed.open_path("olmsted/panel/default/ben")
    timed.open_path("rochester")
    for giver, taker in (
        (ANA, "olmsted/panel/default/ben"),
        (ANA, ANA),
        (ANA, "olmsted/liver/default"),
        ("olmsted", "rochester"),
    ):
        with pytest.raises(Conflict, match="not two accounts under one account"):
            timed.ledger.transfer(giver, taker, Fraction(1), by="cleo")
    with pytest.raises(NotFound, match="cleo"):
        timed.ledger.transfer(ANA, "olmsted/liver/default/cleo", Fraction(1), by="cleo")
    for none in (Fraction(0), Fraction(-1)):
        with pytest.raises(BadInput):
            timed.ledger.transfer(ANA, BEN, none, by="cleo")
    timed.ledger.suspend(BEN, "on leave", by="cleo")
    with pytest.raises(Conflict, match="is suspended"):
        timed.ledger.transfer(ANA, BEN, Fraction(1), by="cleo")
    timed.ledger.resume(BEN, by="cleo")
    timed.ledger.renew(BEN, None, until=timed.clock() + 5, by="cleo")
    timed.clock.seconds += 5
    with pytest.raises(Conflict, match="has ended"):
        timed.ledger.transfer(BEN, ANA, Fraction(1), by="cleo")
    timed.ledger.transfer("olmsted/liver", "olmsted/panel", Fraction(1), by="cleo")
    assert whole(timed)


def test_a_transfer_keeps_the_ends_of_both_periods(timed):
    timed.open_path(BEN)
    until = timed.clock() + DAY
    timed.ledger.renew(ANA, None, until=until, by="cleo")
    ana, ben = timed.ledger.transfer(ANA, BEN, Fraction(1), by="cleo")
    assert (ana.period.until, ben.period.until) == (until, None)


def test_suspending_an_account_closes_all_beneath_it_until_it_is_resumed(timed):
    timed.open_path("olmsted/panel/default/ana")
    timed.ledger.suspend("olmsted/liver", "a complaint", by="cleo")
    balance = timed.ledger.find_account("olmsted/liver")
    assert (balance.state, balance.reason) == (AccountState.SUSPENDED, "a complaint")
    with pytest.raises(Blocked, match="account 'olmsted/liver' is suspended: a complaint") as refused:
        timed.ledger.charge(timed.wanted("f"))
    assert "noisegate budget resume" in refused.value.hint
    timed.ledger.charge(timed.wanted("g", leaves=("olmsted/panel/default/ana",)))
    with pytest.raises(Conflict, match="suspended already"):
        timed.ledger.suspend("olmsted/liver", "again", by="cleo")
    timed.ledger.resume("olmsted/liver", by="cleo")
    timed.ledger.charge(timed.wanted("f"))
    with pytest.raises(Conflict, match="is open"):
        timed.ledger.resume("olmsted/liver", by="cleo")
    [suspended], [resumed] = (told(timed, k) for k in (ReceiptKind.SUSPENDED, ReceiptKind.RESUMED))
    assert suspended == {"account": "olmsted/liver", "by": "cleo", "reason": "a complaint"}
    assert resumed == {"account": "olmsted/liver", "by": "cleo"}
    assert whole(timed)


def test_a_renewal_lifts_no_suspension(timed):
    timed.ledger.suspend(ANA, "a complaint", by="cleo")
    assert timed.ledger.renew(ANA, None, until=None, by="cleo").state is AccountState.SUSPENDED
    with pytest.raises(Blocked, match="suspended"):
        timed.ledger.charge(timed.wanted("f"))
    assert whole(timed)


def test_what_is_not_open_can_be_neither_renewed_nor_suspended_nor_resumed_nor_struck(timed):
    for act in (
        lambda: timed.ledger.renew(BEN, None, until=None, by="cleo"),
        lambda: timed.ledger.suspend(BEN, "gone", by="cleo"),
        lambda: timed.ledger.resume(BEN, by="cleo"),
        lambda: timed.ledger.strike((ANA, BEN), "restricted_column", 3, {}),
    ):
        with pytest.raises(NotFound, match="default/ben' is not open"):
            act()
    assert timed.ledger.find_account(ANA).strikes == 0


def test_enough_restricted_questions_lock_an_account_and_only_a_custodian_opens_it(timed):
    other = "olmsted/panel/default/ana"
    timed.open_path(other)
    asked = {"question": "SELECT avg(case_id) FROM liver.patients"}
    for strikes in (1, 2, 3):
        timed.ledger.charge(timed.wanted(f"f{strikes}"))
        ana, panel = timed.ledger.strike((ANA, other), "restricted_column", 3, asked)
        assert (ana, panel) == tuple(map(timed.ledger.find_account, (ANA, other)))
        assert ana.strikes == panel.strikes == strikes
    assert (ana.state, ana.reason) == (AccountState.LOCKED, "restricted_column")
    with pytest.raises(Blocked, match="locked after restricted questions: restricted_column"):
        timed.ledger.charge(timed.wanted("g"))
    assert told(timed, ReceiptKind.RESTRICTED) == [
        {"account": ANA, "reason": "restricted_column", "strikes": n, "public": asked} for n in (1, 2, 3)
    ]
    assert told(timed, ReceiptKind.LOCKED) == [{"account": ANA, "reason": "restricted_column", "strikes": 3}]
    assert whole(timed)
    timed.ledger.resume(ANA, by="cleo")
    assert timed.ledger.find_account(ANA).strikes == 0
    timed.ledger.charge(timed.wanted("g"))
    with pytest.raises(Blocked, match="panel"):
        timed.ledger.charge(timed.wanted("h", leaves=(other,)))
    assert whole(timed)


def test_an_account_that_is_closed_already_is_struck_no_further(timed):
    timed.ledger.strike((ANA,), "restricted_column", 1, {})
    before = len(timed.ledger.receipts("liver"))
    for _ in range(3):
        [ana] = timed.ledger.strike((ANA,), "restricted_column", 1, {})
        assert (ana.strikes, ana.state) == (1, AccountState.LOCKED)
    assert len(timed.ledger.receipts("liver")) == before
    timed.ledger.suspend(ANA, "a talk first", by="cleo")
    assert timed.ledger.find_account(ANA).state is AccountState.SUSPENDED
    timed.ledger.resume(ANA, by="cleo")
    assert timed.ledger.find_account(ANA).strikes == 0
    assert whole(timed)


def test_a_strike_alone_is_forgotten_too_when_a_custodian_resumes(timed):
    timed.ledger.strike((ANA,), "too_specific", 3, {})
    timed.ledger.resume(ANA, by="cleo")
    assert timed.ledger.find_account(ANA).strikes == 0
    with pytest.raises(ValueError, match="analysts"):
        timed.ledger.strike(("olmsted/liver",), "too_specific", 3, {})


def test_all_of_it_is_there_after_a_restart(timed):
    timed.open_path(BEN)
    timed.ledger.renew(ANA, PURE, until=timed.clock() + DAY, by="cleo")
    spend(timed, 3, surcharges={ANA: timed.cent})
    timed.ledger.renew("olmsted/liver", None, until=timed.clock() + DAY, by="cleo")
    timed.ledger.transfer(ANA, BEN, Fraction(1, 100), by="cleo")
    timed.ledger.strike((ANA,), "restricted_column", 1, {})
    before, key = timed.ledger.accounts(), timed.ledger.signer.public
    identity = timed.ledger.id
    timed.reopen()
    assert timed.ledger.accounts() == before
    assert (timed.ledger.id, timed.ledger.signer.public) == (identity, key)
    assert len(bytes.fromhex(identity)) == 16
    assert whole(timed)


def test_the_lifetime_of_losses_of_every_kind_is_their_sum(make_house):
    house = make_house(Limits.of(Fraction(5), Fraction(1, 10**6)))
    losses = (
        gaussian(Fraction(1, 200)),
        with_delta(pure(Fraction(1, 100)), Fraction(1, 10**8)),
        pure(Fraction(1, 7)),
        gaussian(Fraction(1, 300)),
    )
    for i, loss in enumerate(losses):
        house.ledger.charge(house.wanted(f"f{i}", loss))
        for account in PATH:
            house.ledger.renew(account, None, until=None, by="cleo")
    assert house.ledger.find_account(ANA).lifetime.spent == sum(losses, ZERO)
    assert house.ledger.find_account(ANA).lifetime.epsilon == 25
    assert whole(house)


def test_entries_are_canonical_json(timed):
    timed.ledger.renew(ANA, None, until=None, by="Zoë")
    timed.ledger.suspend(ANA, "naïve", by="Zoë")
    for receipt in timed.ledger.receipts("liver", limit=1000):
        assert receipt.body == canonical(json.loads(receipt.body))
