"""A writer who holds the key cannot hide what no ledger does: books that do not add up are found."""

import io
import json
from collections.abc import Callable
from fractions import Fraction

import pytest

from noisegate.privacy.curves import gaussian, pure
from noisegate.privacy.filter import Limits, capacity, spent_epsilon
from noisegate.privacy.loss import DELTA_UNIT, INFINITE, ZERO, Loss
from noisegate.verifier import Report, verify

from .paper import ANA, CENT, ROOMY, Paper, Written, canonical, chain_of, loss_json, path_to

BEN = "olmsted/panel/default/ben"
ONE = Limits.of(Fraction(1), Fraction(1, 10**6))
HALF = pure(Fraction(1, 2))
BY = {"by": "cus", "reason": "a question"}


def checked(paper: Paper) -> Report:
    """Verify with the writer's own key pinned: all that is signed, is."""
    return verify(io.BytesIO(paper.export()), keys=[paper.public])


def fault(paper: Paper) -> str:
    return str(checked(paper).fault)


@pytest.fixture
def paper() -> Paper:
    """Two datasets of one population, an analyst on each."""
    paper = Paper()
    paper.open_path(ANA)
    paper.open_path(BEN)
    paper.answer(paper.charge())
    assert checked(paper).whole
    return paper


def with_limits(limits: Limits, leaf: str = ANA) -> Paper:
    paper = Paper()
    paper.open_path(leaf, limits)
    return paper


# Spending


def test_spending_to_the_limit_is_whole_and_one_more_is_found() -> None:
    paper = with_limits(ONE)
    for _ in range(2):
        paper.charge(loss=HALF)
    assert checked(paper).whole
    paper.charge(loss=Loss((1,) * 17))
    assert "past its limits" in fault(paper)


def test_some_order_within_its_capacity_suffices() -> None:
    limits = Limits.of(Fraction(1), Fraction(1, 10**6))
    one = gaussian(Fraction(1, 5_000))
    paper = with_limits(limits)
    spent, count = ZERO, 0
    while any(s <= c for s, c in zip((spent + one).renyi, capacity(limits).renyi, strict=True)):
        spent, count = spent + one, count + 1
        paper.charge(loss=one)
    assert count > 20  # at the infinite order not even one fits
    report = checked(paper)
    assert report.whole
    shown = {s.account: s.spent_epsilon() for s in report.shares}
    assert abs(shown[ANA] - spent_epsilon(limits, spent)) <= Fraction(2, 10**9)
    paper.charge(loss=one)
    assert "past its limits" in fault(paper)


def test_the_delta_of_private_keys_has_a_limit_of_its_own() -> None:
    most = capacity(ONE).delta_keys
    assert most == 10**8
    paper = with_limits(ONE)
    paper.charge(loss=Loss(CENT.renyi, most))
    assert checked(paper).whole
    paper.charge(loss=Loss(CENT.renyi, 1))
    assert "past its limits" in fault(paper)


def test_an_unbounded_loss_is_past_every_limit() -> None:
    paper = with_limits(ONE)
    paper.charge(loss=Loss((INFINITE,) * 17))
    assert "past its limits" in fault(paper)


def test_a_surcharge_counts_against_the_analyst_alone() -> None:
    paper = with_limits(ONE)
    half = loss_json(HALF)
    paper.charge(loss=HALF, surcharges={ANA: half})
    report = checked(paper)
    assert report.whole
    assert {s.account: s.spent_epsilon() for s in report.shares} == {
        ANA: Fraction(1),
        "olmsted/liver/default": Fraction(1, 2),
        "olmsted/liver": Fraction(1, 2),
        "olmsted": Fraction(1, 2),
    }
    paper.charge(loss=CENT)
    assert "past its limits" in fault(paper)


@pytest.mark.parametrize("account", ["olmsted", "olmsted/liver", "olmsted/liver/default", BEN, "nobody"])
def test_a_surcharge_on_another_account_is_found(paper: Paper, account: str) -> None:
    paper.charge(surcharges={account: loss_json(CENT)})
    assert "surcharge" in fault(paper)


def test_the_population_is_held_to_its_limits_over_all_its_datasets() -> None:
    paper = Paper()
    paper.share("opened", "olmsted", ONE)
    paper.open_path(ANA)
    paper.open_path(BEN)
    paper.charge(loss=HALF)
    paper.charge(BEN, loss=HALF)
    assert checked(paper).whole
    paper.charge(BEN, loss=CENT)
    assert "account 'olmsted' spent more than its limits" in fault(paper)


def test_a_charge_on_two_datasets_counts_once_for_the_population() -> None:
    paper = Paper()
    paper.share("opened", "olmsted", ONE)
    paper.open_path(ANA)
    paper.open_path(BEN)
    paper.charge(ANA, BEN, loss=pure(Fraction(1)))
    assert checked(paper).whole
    paper.charge(ANA, BEN, loss=CENT)
    assert not checked(paper).whole


# Capacities and limits


@pytest.mark.parametrize("epsilon", [Fraction(1, 100), Fraction(1), Fraction(8), Fraction(50)])
@pytest.mark.parametrize("delta", [Fraction(0), Fraction(1, 10**9), Fraction(1, 10**6), Fraction(1, 10**3)])
def test_the_capacities_of_the_filter_are_found_sound(epsilon: Fraction, delta: Fraction) -> None:
    assert checked(with_limits(Limits.of(epsilon, delta))).whole


@pytest.mark.parametrize("order", range(17))
def test_a_capacity_that_is_more_than_the_limits_allow_is_found(order: int) -> None:
    for delta in (Fraction(0), Fraction(1, 10**6)):
        limits = Limits.of(Fraction(1), delta)
        renyi = list(capacity(limits).renyi)
        renyi[order] += 10**6
        paper = Paper()
        keys = capacity(limits).delta_keys
        paper.share("opened", "olmsted", limits, capacity={"renyi": renyi, "delta_keys": keys})
        assert "capacities" in fault(paper), (order, delta)


@pytest.mark.parametrize(
    "change",
    [
        {"epsilon": "1/2"},
        {"delta": "1/10000000"},
        {"delta": "1/20000000"},
        {"delta": "2"},
        {"delta_keys": "1/1000000"},
        {"delta_keys": "1/100000000"},
        {"delta_keys": "1/1000"},
        {"epsilon": "1.0"},
        {"epsilon": "-1"},
        {"epsilon": 1},
        {"epsilon": "1/0"},
        {"epsilon": "9" * 400},
        {"capacity": {"renyi": [0] * 16, "delta_keys": 0}},
        {"capacity": {"renyi": [0.5] * 17, "delta_keys": 0}},
        {"capacity": {"renyi": [-1] * 17, "delta_keys": 0}},
        {"capacity": {"renyi": [INFINITE] * 17, "delta_keys": 0}},
        {"capacity": None},
        {"lifetime": {"epsilon": "2", "delta": "1/1000000"}},
        {"period": {"number": 2, "since": 1_700_000_000, "until": None}},
        {"period": {"number": 0, "since": 1_700_000_000, "until": None}},
        {"period": {"number": 1, "since": 1_600_000_000, "until": None}},
        {"period": {"number": 1, "since": 1_700_000_000, "until": 1_700_000_000}},
        {"period": None},
    ],
)
def test_an_opening_that_cannot_be_is_found(change: dict[str, object]) -> None:
    paper = Paper()
    paper.share("opened", "olmsted", ONE, **change)
    assert not checked(paper).whole


@pytest.mark.parametrize("account", ["", "olmsted/a/b/c/d", "olmsted//b", "/", "olmsted/"])
def test_an_account_is_at_one_of_four_levels(account: str) -> None:
    paper = Paper()
    for part in ("olmsted", "olmsted/a", "olmsted/a/b", "olmsted/a/b/c"):
        paper.share("opened", part, ONE)
    assert checked(paper).whole
    paper.share("opened", account, ONE)
    assert not checked(paper).whole


def test_accounts_are_opened_once_and_from_the_root() -> None:
    paper = with_limits(ONE)
    paper.share("opened", ANA, ONE)
    assert "opened twice" in fault(paper)
    paper = Paper()
    paper.share("opened", "olmsted/liver/default", ONE)
    assert "before the one above it" in fault(paper)
    paper = Paper()
    paper.share("renewed", "olmsted", ONE)
    assert "is not open" in fault(paper)


def test_a_share_of_budget_is_signed_by_the_custodian(paper: Paper) -> None:
    forger = Paper()
    forger.periods = {ANA: [ROOMY]}
    forger.share("renewed", ANA, ROOMY)
    (entry,) = forger.chains["liver"]
    paper.chains["liver"].append(entry)
    assert "not a known key" in fault(paper)
    assert verify(io.BytesIO(paper.export())).whole  # nobody said which key it should be
    for change in ({"signature": "ab" * 64}, {"signature": None}, {"key": "zz"}):
        paper.chains["liver"].pop()
        paper.share("renewed", ANA, ROOMY)
        written = paper.chains["liver"][-1]
        body = json.loads(written.body) | change
        written.body = canonical(body)
        assert not checked(paper).whole


def test_openings_of_before_entries_were_signed_are_counted_apart() -> None:
    paper = Paper()
    fixed = capacity(ONE)
    body = {
        "account": "olmsted",
        "epsilon": "1",
        "delta": "1/1000000",
        "delta_keys": "1/10000000",
        "capacity": {"renyi": list(fixed.renyi), "delta_keys": fixed.delta_keys},
    }
    paper.add("population/olmsted", "opened", body)
    report = checked(paper)
    assert (report.whole, report.signed, report.unsigned) == (True, 0, 1)
    period = {"number": 1, "since": paper.now, "until": None}
    paper.chains.clear()
    paper.add("population/olmsted", "opened", body | {"period": period})
    assert "no key and signature" in fault(paper)


def unsigned(paper: Paper, account: str) -> None:
    """Open an account as before entries were signed."""
    fixed = capacity(ONE)
    paper.periods[account] = [ONE]
    body: dict[str, object] = {"account": account, "epsilon": "1", "delta": "1/1000000"}
    body |= {"delta_keys": "1/10000000"}
    body["capacity"] = {"renyi": list(fixed.renyi), "delta_keys": fixed.delta_keys}
    paper.add(chain_of(account), "opened", body)


def test_openings_are_unsigned_only_before_any_is_signed(paper: Paper) -> None:
    old = Paper()
    for account in path_to(ANA):
        unsigned(old, account)
    old.now += 10
    old.open_path(BEN)
    old.share("renewed", ANA, ONE)
    report = checked(old)
    assert (report.whole, report.unsigned) == (True, 4)
    # Behind a signed one on its chain; below a signed one, on a chain of its own; a tree of its own, later.
    for account in ("olmsted/liver/default/eve", "olmsted/heart"):
        unsigned(paper, account)
        assert "is not signed, and an entry before it is" in fault(paper)
        paper.chains[chain_of(account)].pop()
        paper.chains = {chain: written for chain, written in paper.chains.items() if written}
    paper.now += 1
    unsigned(paper, "rochester")
    assert "without a signature after entries were signed" in fault(paper)


# Periods and states


def test_a_renewal_gives_a_fresh_share_and_leaves_the_old_one_as_it_was() -> None:
    paper = with_limits(ONE)
    paper.charge(loss=pure(Fraction(1)))
    paper.now += 10
    for account in paper.charges[1]["accounts"]:  # type: ignore[attr-defined]
        paper.share("renewed", account, ONE)
    paper.charge(loss=pure(Fraction(1)))
    report = checked(paper)
    assert report.whole
    assert [(s.number, s.spent_epsilon()) for s in report.shares if s.account == ANA] == [(1, 1), (2, 1)]
    paper.charge(loss=CENT)
    assert not checked(paper).whole


@pytest.mark.parametrize("account", [ANA, "olmsted/liver", "olmsted"])
@pytest.mark.parametrize("number", [1, 3, 0, -1])
def test_a_charge_in_another_period_than_the_present_is_found(account: str, number: int) -> None:
    paper = with_limits(ONE)
    paper.now += 10
    paper.share("renewed", account, ONE)
    paper.now += 10
    paper.charge()
    assert checked(paper).whole
    paper.charge(periods={**paper.charges[1]["periods"], account: number})  # type: ignore[dict-item]
    assert "bore no charge" in fault(paper) or "is not a whole number" in fault(paper)


@pytest.mark.parametrize("account", [ANA, "olmsted/liver", "olmsted"])
def test_a_charge_after_the_end_of_a_period_is_found(account: str) -> None:
    paper = Paper()
    for part in ("olmsted", "olmsted/liver", "olmsted/liver/default", ANA):
        until = paper.now + 100 if part == account else None
        period = {"number": 1, "since": paper.now, "until": until}
        paper.share("opened", part, ONE, period=period)
    paper.now += 99
    paper.charge()
    assert checked(paper).whole
    paper.now += 1
    paper.charge()
    assert "bore no charge" in fault(paper)


@pytest.mark.parametrize("account", [ANA, "olmsted/liver", "olmsted"])
def test_a_charge_on_a_suspended_account_is_found(account: str) -> None:
    paper = with_limits(ONE)
    chain = "liver" if "/" in account else "population/olmsted"
    paper.add(chain, "suspended", {"account": account, **BY})
    paper.now += 10
    paper.add(chain, "resumed", {"account": account, "by": "cus"})
    paper.now += 10
    paper.charge()
    assert checked(paper).whole
    paper.add(chain, "suspended", {"account": account, **BY})
    paper.now += 10
    paper.charge()
    assert "bore no charge" in fault(paper)


def test_a_locked_account_bears_no_charge_until_it_is_resumed(paper: Paper) -> None:
    told = {"account": ANA, "reason": "restricted", "strikes": 3}
    paper.add("liver", "restricted", told | {"public": {}})
    paper.add("liver", "locked", told)
    paper.add("liver", "resumed", {"account": ANA, "by": "cus"})
    paper.add("liver", "resumed", {"account": ANA, "by": "cus"})
    paper.charge()
    assert checked(paper).whole
    paper.add("liver", "locked", told)
    paper.charge()
    assert "bore no charge" in fault(paper)


@pytest.mark.parametrize("kind", ["suspended", "locked", "restricted", "resumed"])
def test_an_entry_on_an_account_that_is_not_there_or_on_another_chain_is_found(
    paper: Paper, kind: str
) -> None:
    paper.add("liver", kind, {"account": "olmsted/liver/default/nobody", **BY})
    assert "is not open" in fault(paper)
    paper.chains["liver"].pop()
    paper.add("liver", kind, {"account": BEN, **BY})
    assert "another chain" in fault(paper)


# Charges and what became of them


@pytest.mark.parametrize(
    "change",
    [
        {"accounts": []},
        {"accounts": ["olmsted", "olmsted/liver", ANA]},
        {"accounts": ["olmsted/liver", "olmsted/liver/default", ANA]},
        {"accounts": ["olmsted", "olmsted", "olmsted/liver", "olmsted/liver/default", ANA]},
        {"accounts": ["olmsted", "olmsted/liver", "olmsted/liver/default", "olmsted/liver/default/bob"]},
        {"accounts": ["olmsted", "olmsted/liver", "olmsted/liver/default", ANA, "other"]},
        {"accounts": ["other", "other/liver"]},
        {"datasets": ["liver", "panel"]},
        {"datasets": ["panel"]},
        {"datasets": []},
        {"loss": {"renyi": [0] * 16, "delta": 0}},
        {"loss": {"renyi": [-1] * 17, "delta": 0}},
        {"loss": {"renyi": [0.0] * 17, "delta": 0}},
        {"loss": {"renyi": [True] * 17, "delta": 0}},
        {"loss": {"renyi": [2**63] * 17, "delta": 0}},
        {"loss": {"renyi": [0] * 17, "delta": -1}},
        {"loss": {"renyi": [0] * 17}},
        {"loss": None},
        {"surcharges": {ANA: {"renyi": [-(10**9)] * 17, "delta": 0}}},
        {"surcharges": []},
        {"fingerprint": 7},
        {"periods": {}},
        {"periods": {**dict.fromkeys(path_to(ANA), 1), BEN: 1}},
        {"periods": []},
        {"periods": {"olmsted": 1}},
    ],
)
def test_a_charge_that_cannot_be_is_found(paper: Paper, change: dict[str, object]) -> None:
    number = paper.charge()
    body = {**paper.charges[number], **change}
    accounts = body["accounts"]
    if "accounts" in change:
        body["periods"] = dict.fromkeys(accounts, 1)  # type: ignore[call-overload]
    paper.chains["liver"].pop()
    paper.add("liver", "charge", body, number)
    assert not checked(paper).whole


def test_a_charge_on_an_account_that_nobody_opened_is_found(paper: Paper) -> None:
    number = paper.charge("olmsted/liver/default/bob")
    assert "'olmsted/liver/default/bob' is charged and was not opened" in fault(paper)
    paper.chains["liver"].pop()
    paper.charges.pop(number)
    paper.open_path("else/other/default/eve")
    paper.charge("else/other/default/eve")
    assert checked(paper).whole
    paper.chains["population/else"][0] = Written("registered", None, paper.now, '{"version":1}')
    assert "'else' is charged and was not opened" in fault(paper)


def test_a_charge_is_told_of_once(paper: Paper) -> None:
    paper.add("liver", "charge", paper.charges[1], 1)
    assert "told of twice" in fault(paper)


def test_two_datasets_cannot_share_the_number_of_a_charge(paper: Paper) -> None:
    other = paper.charge(BEN)
    written = paper.chains["panel"].pop()
    paper.add("panel", "charge", written.body, 1)
    assert other == 2
    assert "told of twice" in fault(paper)


@pytest.mark.parametrize("change", [{"loss": loss_json(ZERO)}, {"fingerprint": "another"}, {"public": {}}])
def test_a_charge_on_two_chains_is_the_same_on_both(paper: Paper, change: dict[str, object]) -> None:
    both = paper.charge(ANA, BEN)
    assert checked(paper).whole
    paper.chains["panel"].pop()
    paper.add("panel", "charge", {**paper.charges[both], **change}, both)
    assert "told of twice" in fault(paper)


def test_a_charge_on_two_chains_is_missing_on_neither(paper: Paper) -> None:
    paper.charge(ANA, BEN)
    for dataset in ("liver", "panel"):
        written = paper.chains[dataset].pop()
        assert "do not tell the same" in fault(paper)
        paper.chains[dataset].append(written)
    assert checked(paper).whole


def test_what_became_of_a_charge_is_the_same_on_both_chains(paper: Paper) -> None:
    both = paper.charge(ANA, BEN)
    paper.add("liver", "lost", {}, both)
    assert "do not tell the same" in fault(paper)
    paper.add("panel", "failed", {"reason": "timeout"}, both)
    assert "do not tell the same" in fault(paper)
    paper.chains["panel"].pop()
    paper.add("panel", "lost", {}, both)
    assert checked(paper).whole


@pytest.mark.parametrize("kind", ["answer", "failed", "lost"])
def test_nothing_is_settled_that_was_not_charged_or_twice(paper: Paper, kind: str) -> None:
    body = {"answer": {"answer_of": 9, "sha256": "ab" * 32}, "failed": {"reason": "x"}, "lost": {}}[kind]
    paper.add("liver", kind, body, 9)
    assert "settled twice, or was not made before" in fault(paper)
    paper.chains["liver"].pop()
    paper.add("panel", kind, body, 1)
    assert "settled twice, or was not made before" in fault(paper)
    paper.chains["panel"].pop()
    paper.add("liver", kind, body, 1)
    assert "settled twice, or was not made before" in fault(paper)


def test_an_answer_before_its_charge_is_found(paper: Paper) -> None:
    paper.answer(paper.charge())
    written = paper.chains["liver"]
    written[-2:] = reversed(written[-2:])
    assert "was not made before" in fault(paper)


@pytest.mark.parametrize(
    "body",
    [
        {"answer_of": 1, "sha256": "ab" * 32},
        {"answer_of": 1, "sha256": "AB" * 32},
        {"answer_of": 0, "sha256": "ab" * 32},
        {"answer_of": 2},
        {"sha256": "ab" * 32},
        {"answer_of": 2, "sha256": "ab" * 31},
        {"answer_of": 2, "sha256": None},
    ],
)
def test_an_answer_is_that_of_its_own_question(paper: Paper, body: dict[str, object]) -> None:
    paper.outcome("answer", paper.charge(), body)
    assert not checked(paper).whole


def test_the_same_question_has_one_answer(paper: Paper) -> None:
    first, second, third = (paper.charge(fingerprint="q") for _ in range(3))
    paper.answer(first)
    paper.answer(second, of=first)
    assert checked(paper).whole
    paper.answer(third, of=first, text="another answer")
    assert "the one answer to its question" in fault(paper)


def test_a_closed_plan_is_not_charged_until_it_is_opened(paper: Paper) -> None:
    closed = paper.charge(fingerprint="f")
    paper.outcome("failed", closed, {"reason": "timeout"})
    paper.charge(fingerprint="f")
    assert "a plan that was closed" in fault(paper)
    paper.chains["liver"].pop()
    paper.outcome("unsuspended", closed, {"fingerprint": "f"})
    paper.add("liver", "charge", paper.charges[3], 3)
    assert checked(paper).whole
    paper.outcome("unsuspended", closed, {"fingerprint": "f"})
    assert "was not closed" in fault(paper)


def test_data_versions_count_up(paper: Paper) -> None:
    for version in (1, 2, 4):
        paper.add("liver", "registered", {"version": version})
    assert "data version 4 follows version 2" in fault(paper)


@pytest.mark.parametrize(
    ("kind", "charge"),
    [("charge", None), ("answer", None), ("lost", 0), ("registered", 1), ("resumed", 1), ("opened", 1)],
)
def test_receipts_name_charges_where_they_are_about_one(paper: Paper, kind: str, charge: int | None) -> None:
    paper.add("liver", kind, {"version": 1, "account": ANA, "by": "cus"}, charge)
    assert not checked(paper).whole


@pytest.mark.parametrize("kind", ["", "CHARGE", "refund", "noisegate"])
def test_there_are_no_other_kinds(paper: Paper, kind: str) -> None:
    paper.add("liver", kind, {}, 1)
    assert "no known kind" in fault(paper)


# Jobs


def finished(reserved: Loss, drawn: Loss, returned: Loss, steps_drawn: int = 1, **changes: object) -> Paper:
    """A job of three steps that ended."""
    paper = with_limits(ONE)
    job = paper.charge(loss=reserved, steps=3)
    paper.outcome("lost", job, {})
    story: dict[str, object] = {
        "state": "cancelled",
        "steps": 3,
        "steps_drawn": steps_drawn,
        "drawn": loss_json(drawn),
        "returned": loss_json(returned),
        "periods": paper.charges[job]["periods"],
    }
    paper.outcome("finished", job, story | changes)
    return paper


def test_what_a_job_gives_back_can_be_spent_again() -> None:
    paper = finished(pure(Fraction(1)), HALF, left(pure(Fraction(1)), HALF))
    assert checked(paper).whole
    assert {s.spent_epsilon() for s in checked(paper).shares} == {Fraction(1, 2)}
    paper.charge(loss=HALF)
    assert checked(paper).whole
    paper.charge(loss=CENT)
    assert not checked(paper).whole


def left(reserved: Loss, drawn: Loss) -> Loss:
    return Loss(
        tuple(a - b for a, b in zip(reserved.renyi, drawn.renyi, strict=True)), reserved.delta - drawn.delta
    )


def test_nothing_comes_back_where_the_schedule_has_no_bound() -> None:
    most = Loss((INFINITE, *pure(Fraction(1)).renyi[1:]))
    back = left(most, HALF)
    assert checked(finished(most, HALF, Loss((0, *back.renyi[1:])))).whole
    assert not checked(finished(most, HALF, back)).whole


@pytest.mark.parametrize(
    ("drawn", "returned", "steps"),
    [
        (HALF, pure(Fraction(1)), 1),
        (HALF, HALF.times(2), 1),
        (ZERO, HALF, 1),
        (pure(Fraction(1)) + CENT, ZERO, 3),
        (HALF, left(pure(Fraction(1)), HALF), 4),
        (HALF, left(pure(Fraction(1)), HALF), -1),
    ],
)
def test_a_job_that_gives_back_more_or_less_than_it_never_drew_is_found(
    drawn: Loss, returned: Loss, steps: int
) -> None:
    assert not checked(finished(pure(Fraction(1)), drawn, returned, steps)).whole


def ended(state: str, outcome: str | None, loss: Loss, drawn: Loss, steps_drawn: int) -> Paper:
    """A job of three steps, and what became of its charge."""
    paper = with_limits(ONE)
    job = paper.charge(loss=loss, steps=3)
    if outcome == "answer":
        paper.answer(job)
    elif outcome is not None:
        paper.outcome(outcome, job, {"reason": "timeout"} if outcome == "failed" else {})
    story = {"state": state, "steps": 3, "steps_drawn": steps_drawn, "periods": paper.charges[job]["periods"]}
    back = left(loss, drawn)
    paper.outcome("finished", job, story | {"drawn": loss_json(drawn), "returned": loss_json(back)})
    return paper


def test_an_answer_that_nothing_was_drawn_for_is_found() -> None:
    assert "has drawn nothing for it" in fault(ended("finished", "answer", HALF, ZERO, 0))
    assert checked(ended("finished", "answer", HALF, CENT, 1)).whole
    assert checked(ended("finished", "answer", ZERO, ZERO, 0)).whole
    assert checked(ended("cancelled", "lost", HALF, ZERO, 0)).whole


@pytest.mark.parametrize("state", ["finished", "failed", "cancelled", "running", "", None])
@pytest.mark.parametrize("outcome", ["answer", "failed", "lost", None])
def test_a_job_ends_as_its_charge_does(state: str, outcome: str | None) -> None:
    fits = {("finished", "answer"), ("failed", "failed"), ("cancelled", "lost")}
    assert checked(ended(state, outcome, HALF, CENT, 1)).whole == ((state, outcome) in fits)


def test_only_a_job_finishes_and_once(paper: Paper) -> None:
    story = {
        "steps": 3,
        "steps_drawn": 0,
        "drawn": loss_json(ZERO),
        "returned": loss_json(CENT),
        "periods": {},
    }
    paper.outcome("finished", 1, story)
    assert "is no job that runs" in fault(paper)
    ended = finished(HALF, CENT, left(HALF, CENT))
    ended.chains["liver"].append(ended.chains["liver"][-1])
    assert "is no job that runs" in fault(ended)


def test_a_job_on_two_datasets_gives_back_once_to_the_population() -> None:
    paper = Paper()
    paper.share("opened", "olmsted", ONE)
    paper.open_path(ANA)
    paper.open_path(BEN)
    job = paper.charge(ANA, BEN, loss=pure(Fraction(1)), steps=2)
    back = left(pure(Fraction(1)), HALF)
    story = {"steps": 2, "steps_drawn": 1, "drawn": loss_json(HALF), "returned": loss_json(back)}
    story["state"] = "cancelled"
    paper.outcome("lost", job, {})
    paper.outcome("finished", job, story | {"periods": paper.charges[job]["periods"]})
    report = checked(paper)
    assert report.whole
    assert {s.spent_epsilon() for s in report.shares} == {Fraction(1, 2)}


# What one chain alone can tell


def test_one_chain_is_checked_for_what_it_tells(paper: Paper) -> None:
    paper.charge(ANA, BEN)
    report = verify(io.BytesIO(paper.export(chains=["panel"])), keys=[paper.public])
    assert (report.whole, report.every_chain) == (True, False)
    assert {s.account for s in report.shares} == {"olmsted/panel", "olmsted/panel/default", BEN}
    assert {s.charges for s in report.shares} == {1}


EVERY: list[Callable[[Paper], object]] = [
    lambda p: p.charge(ANA, BEN, loss=ROOMY_PURE),
    lambda p: p.add("panel", "answer", {"answer_of": 1, "sha256": "ab" * 32}, 1),
    lambda p: p.share("opened", BEN, ROOMY),
]
ROOMY_PURE = pure(Fraction(101))


@pytest.mark.parametrize("forge", EVERY)
def test_one_chain_alone_shows_its_own_faults(paper: Paper, forge: Callable[[Paper], object]) -> None:
    forge(paper)
    assert not verify(io.BytesIO(paper.export(chains=["panel"]))).whole


def test_capacities_for_private_keys_are_in_their_unit() -> None:
    limits = Limits.of(Fraction(1), Fraction(3, 10**15))
    most = capacity(limits)
    assert most.delta_keys == 0
    paper = Paper()
    paper.share("opened", "p", limits, capacity={"renyi": list(most.renyi), "delta_keys": 1})
    assert "private keys" in fault(paper)
    assert DELTA_UNIT == 10**15
