"""A batch of charges, decided without a database: what each of them may count on, and what it may not."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.errors import Blocked, Conflict, InternalError, NotFound
from noisegate.ledger.accounts import AccountState, parent_of
from noisegate.ledger.decide import (
    Again,
    DayFull,
    Decided,
    Refused,
    Rows,
    Shortfall,
    Standing,
    Taken,
    decide,
    in_turn,
    together,
)
from noisegate.ledger.records import Charge, ChargeState, Daily, Earlier, IdempotencyKey, Tally
from noisegate.privacy.curves import gaussian, pure, with_delta
from noisegate.privacy.filter import Limits, admits, capacity
from noisegate.privacy.loss import INFINITE, ORDERS, ZERO, Loss

NOON = 20_000 * 86_400 + 43_200
CENT = pure(Fraction(1, 100))
TREE = ("p", "p/a", "p/a/x", "p/a/x/ana", "p/a/x/ben", "p/b", "p/b/x", "p/b/x/ana")
LEAVES = ("p/a/x/ana", "p/a/x/ben", "p/b/x/ana", "p/b")
TEN = Limits.of(Fraction(1, 10), Fraction(1, 10**6))


def standing(account, limits=TEN, **more):
    held = Standing(
        account=account,
        parent=parent_of(account),
        analyst=account.count("/") == 3,
        whole=(0, 0, 0),
        capacity=capacity(limits),
        spent=ZERO,
        surcharge=ZERO,
        charges=0,
        period=1,
        until=None,
        state=AccountState.OPEN,
        reason="",
        version=0,
    )
    return replace(held, **more)


def rows(*, earlier=(), suspended=(), tallies=(), **changed):
    accounts = {name: standing(name) for name in TREE}
    for name, values in changed.items():
        accounts[name.replace("_", "/")] = replace(accounts[name.replace("_", "/")], **values)
    return Rows(
        at=NOON,
        day=NOON // 86_400,
        accounts=accounts,
        earlier=dict(earlier),
        suspended=set(suspended),
        tallies={(t.account, t.tier): t for t in tallies},
    )


def charge(*leaves, loss=CENT, fingerprint="f", **more):
    leaves = leaves or ("p/a/x/ana",)
    return Charge(
        accounts=tuple({"/".join(n.split("/")[: i + 1]) for n in leaves for i in range(n.count("/") + 1)}),
        loss=loss,
        datasets=tuple(sorted({n.split("/")[1] for n in leaves})),
        fingerprint=fingerprint,
        **more,
    )


def kinds(decided):
    return [type(d) for d in decided.decisions]


def test_each_charge_of_a_batch_counts_those_before_it():
    done = decide([charge() for _ in range(12)], rows())
    assert kinds(done) == [Taken] * 10 + [Shortfall] * 2
    for account in ("p", "p/a", "p/a/x", "p/a/x/ana"):
        assert (done.accounts[account].spent, done.accounts[account].taken) == (CENT.times(10), 10)
    assert done.accounts.keys() == {"p", "p/a", "p/a/x", "p/a/x/ana"}


def test_a_charge_that_does_not_fit_leaves_room_for_a_smaller_one_after_it():
    batch = [charge(loss=CENT.times(9)), charge(loss=CENT.times(2)), charge(), charge()]
    assert kinds(decide(batch, rows())) == [Taken, Shortfall, Taken, Shortfall]


def test_siblings_in_a_batch_share_what_is_above_them():
    batch = [charge("p/a/x/ana", loss=CENT.times(6)), charge("p/b/x/ana", loss=CENT.times(6))]
    done = decide(batch, rows())
    assert kinds(done) == [Taken, Shortfall]
    assert done.decisions[1].account == "p"
    assert "p/b" not in done.accounts


def test_the_rows_that_were_read_stay_as_they_are():
    read = rows()
    before = {name: replace(held) for name, held in read.accounts.items()}
    decide([charge(), charge(loss=CENT.times(50))], read)
    assert read.accounts == before
    assert (read.earlier, read.tallies) == ({}, {})


@pytest.mark.parametrize("account", ["p", "p/a", "p/a/x", "p/a/x/ana"])
def test_every_account_of_the_path_must_bear_the_charge(account):
    for closed, error in (
        ({"state": AccountState.SUSPENDED, "reason": "r"}, Blocked),
        ({"state": AccountState.LOCKED, "reason": "r"}, Blocked),
        ({"until": NOON}, Blocked),
    ):
        (decision,) = decide([charge()], rows(**{account.replace("/", "_"): closed})).decisions
        assert isinstance(decision, Refused)
        assert isinstance(decision.error, error)
        assert repr(account) in decision.error.message
    open_still = rows(**{account.replace("/", "_"): {"until": NOON + 1}})
    assert kinds(decide([charge()], open_still)) == [Taken]
    full = rows(**{account.replace("/", "_"): {"spent": CENT.times(10)}})
    assert decide([charge()], full).decisions[0].account == account
    missing = rows()
    del missing.accounts[account]
    assert isinstance(decide([charge()], missing).decisions[0].error, NotFound)


def test_the_parents_in_the_rows_must_be_among_the_accounts_named():
    odd = rows(p_a={"parent": "q"})
    assert isinstance(decide([charge()], odd).decisions[0].error, InternalError)


def test_a_key_serves_one_request_also_within_a_batch():
    first = charge(idempotency=IdempotencyKey("ana", "k", "r"))
    other = charge(idempotency=IdempotencyKey("ana", "k", "s"))
    elsewhere = charge(idempotency=IdempotencyKey("ben", "k", "s"))
    done = decide([first, first, other, elsewhere], rows())
    assert kinds(done) == [Taken, Refused, Refused, Taken]
    assert "still running" in done.decisions[1].error.message
    assert "another request" in done.decisions[2].error.message
    assert done.accounts["p"].taken == 2


def test_a_key_of_a_refused_charge_is_free_for_the_next_in_the_batch():
    key = IdempotencyKey("ana", "k", "r")
    batch = [charge(loss=CENT.times(50), idempotency=key), charge(idempotency=key)]
    assert kinds(decide(batch, rows())) == [Shortfall, Taken]


@pytest.mark.parametrize("state", ChargeState)
def test_a_key_that_was_used_before_pays_once(state):
    earlier = {("ana", "k"): (Earlier(7, state, "f"), "r")}
    done = decide([charge(idempotency=IdempotencyKey("ana", "k", "r"))], rows(earlier=earlier))
    if state is ChargeState.ANSWERED:
        assert done.decisions == [Again(Earlier(7, state, "f"))]
    else:
        assert isinstance(done.decisions[0].error, Conflict)
    assert done.accounts == {}


def test_the_key_of_a_cancelled_job_says_that_it_was_cancelled():
    earlier = {("ana", "k"): (Earlier(7, ChargeState.LOST, "f", cancelled=True), "r")}
    (refused,) = decide(
        [charge(idempotency=IdempotencyKey("ana", "k", "r"))], rows(earlier=earlier)
    ).decisions
    assert "was cancelled" in refused.error.message
    assert "given back" in refused.error.hint


def test_a_suspended_plan_is_refused_and_no_other():
    done = decide([charge(), charge(fingerprint="g")], rows(suspended="f"))
    assert kinds(done) == [Refused, Taken]


def test_a_days_maximum_counts_what_the_batch_took_before():
    def daily(amount, tier="clinical"):
        return charge(loss=ZERO, tier=tier, daily=Daily(amount, 10))

    there = Tally("p/a/x/ana", NOON // 86_400, "clinical", 1, ZERO, ZERO, 4)
    done = decide([daily(5), daily(2), daily(1), daily(1), daily(10, "genomic")], rows(tallies=[there]))
    assert kinds(done) == [Taken, DayFull, Taken, DayFull, Taken]
    assert done.decisions[1] == DayFull("p/a/x/ana", "clinical", 10, 1, 2)
    assert done.tallies["p/a/x/ana", "clinical"].amount == 10


def test_a_day_is_also_held_against_the_maxima_of_less_sensitive_tiers():
    def daily(amount, wider):
        held = (("demographic", ("demographic", "genomic"), 10),) if wider else ()
        return charge(loss=ZERO, tier="clinical", daily=Daily(amount, 100, held))

    there = [
        Tally("p/a/x/ana", NOON // 86_400, tier, 1, ZERO, ZERO, amount)
        for tier, amount in (("demographic", 4), ("genomic", 1), ("public", 50))
    ]
    done = decide([daily(3, True), daily(3, True), daily(2, True), daily(90, False)], rows(tallies=there))
    assert kinds(done) == [Taken, DayFull, Taken, Taken]
    assert done.decisions[1] == DayFull("p/a/x/ana", "demographic", 10, 2, 3)


def test_a_surcharge_counts_on_its_account_alone():
    batch = [charge(surcharges={"p/a/x/ana": CENT.times(4)}) for _ in range(3)]
    done = decide([*batch, charge("p/a/x/ben")], rows())
    assert kinds(done) == [Taken, Taken, Shortfall, Taken]
    short = done.decisions[2]
    assert (short.account, short.counted, short.wanted) == ("p/a/x/ana", CENT.times(10), CENT.times(5))
    assert done.accounts["p/a/x"].surcharge == ZERO
    assert done.tallies["p/a/x/ana", ""].surcharge == CENT.times(8)


LOSSES = (
    ZERO,
    CENT,
    CENT.times(4),
    gaussian(Fraction(1, 2000)),
    with_delta(CENT, Fraction(1, 10**8)),
    Loss((INFINITE - 1,) * (len(ORDERS) - 1) + (1,)),
)


@st.composite
def charges(draw):
    leaves = draw(st.sets(st.sampled_from(LEAVES), min_size=1))
    analysts = sorted(n for n in leaves if n.count("/") == 3)
    tier = draw(st.sampled_from(["", "clinical"]))
    return charge(
        *sorted(leaves),
        loss=draw(st.sampled_from(LOSSES)),
        fingerprint=draw(st.sampled_from("fg")),
        surcharges={n: draw(st.sampled_from(LOSSES)) for n in analysts if draw(st.booleans())},
        tier=tier,
        daily=Daily(draw(st.integers(0, 4)), 10) if tier and draw(st.booleans()) else None,
        idempotency=draw(
            st.none() | st.builds(IdempotencyKey, st.just("ana"), st.sampled_from("kl"), st.just("r"))
        ),
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(charges(), max_size=12))
def test_a_batch_is_what_its_charges_are_one_by_one(batch):
    together, read = decide(batch, rows(suspended="g" * (len(batch) % 2))), rows()
    read = replace(read, suspended=set("g" * (len(batch) % 2)))
    alone = Decided()
    for one in batch:
        done = decide([one], read)
        (decision,) = done.decisions
        alone.decisions.append(decision)
        read = replace(
            read,
            accounts={**read.accounts, **done.accounts},
            tallies={**read.tallies, **done.tallies},
            earlier=dict(read.earlier)
            | (
                {("ana", one.idempotency.key): (Earlier(0, ChargeState.OPEN, one.fingerprint), "r")}
                if one.idempotency and isinstance(decision, Taken)
                else {}
            ),
        )
        alone.accounts |= done.accounts
        alone.tallies |= done.tallies
    assert [repr(d) for d in together.decisions] == [repr(d) for d in alone.decisions]
    assert (together.accounts, together.tallies) == (alone.accounts, alone.tallies)


@settings(max_examples=300, deadline=None)
@given(st.lists(charges(), max_size=12), st.booleans())
def test_one_look_at_each_account_decides_as_one_charge_after_the_other(batch, roomy):
    read = rows(suspended="g" * (len(batch) % 2))
    if roomy:
        wide = capacity(Limits.of(Fraction(10), Fraction(1, 10**6)))
        read = replace(read, accounts={n: replace(a, capacity=wide) for n, a in read.accounts.items()})
    quick, slow = together(batch, read), in_turn(batch, read)
    if quick is None:
        assert {Shortfall, DayFull} & set(kinds(slow))
    else:
        assert [repr(d) for d in quick.decisions] == [repr(d) for d in slow.decisions]
        assert (quick.accounts, quick.tallies) == (slow.accounts, slow.tallies)


def test_one_look_is_enough_where_all_fits_to_the_last_unit_and_not_one_past_it():
    full = [charge() for _ in range(10)]
    assert together(full, rows()) == in_turn(full, rows())
    assert together([*full, charge(loss=ZERO)], rows()) is not None
    assert together([*full, charge(loss=Loss((1,) * len(ORDERS)))], rows()) is None
    assert together([charge(surcharges={"p/a/x/ana": CENT.times(9)}), charge()], rows()) is None


@settings(max_examples=200, deadline=None)
@given(st.lists(charges(), max_size=12))
def test_what_is_taken_is_the_plain_sum_and_always_admitted(batch):
    done = decide(batch, rows())
    taken = [c for c, d in zip(batch, done.decisions, strict=True) if isinstance(d, Taken)]
    for name, held in done.accounts.items():
        mine = [c for c in taken if name in c.accounts]
        assert held.spent == sum((c.loss for c in mine), ZERO)
        assert held.surcharge == sum((c.surcharges.get(name, ZERO) for c in mine), ZERO)
        assert (held.taken, held.charges, held.version) == (len(mine), 0, 0)
        assert admits(held.capacity, held.spent + held.surcharge)
    assert set(done.accounts) == {name for c in taken for name in c.accounts}
    for (name, tier), tally in done.tallies.items():
        mine = [c for c in taken if name in c.accounts and c.tier == tier]
        assert (tally.spent, tally.charges) == (sum((c.loss for c in mine), ZERO), len(mine))
        assert tally.amount == sum(c.daily.amount for c in mine if c.daily)
    for one, decision in zip(batch, done.decisions, strict=True):
        if isinstance(decision, Shortfall):
            assert decision.account in one.accounts
            assert not admits(decision.capacity, decision.counted + decision.wanted)
