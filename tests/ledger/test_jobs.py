"""Jobs in the ledger: the whole schedule first, each step from it, and back what never started."""

import itertools
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from noisegate.errors import Blocked, BudgetExhausted, Conflict, InternalError, NotFound
from noisegate.ledger import balances, jobs, returns
from noisegate.ledger.records import ChargeState, JobState, ReceiptKind, loss_as_json
from noisegate.ledger.sqlite import LEDGER_FILE
from noisegate.ledger.store import Daily, IdempotencyKey, Ledger
from noisegate.ledger.transaction import Texts
from noisegate.privacy.curves import gaussian, pure, with_delta
from noisegate.privacy.filter import Limits, admits
from noisegate.privacy.loss import INFINITE, ORDERS, ZERO, Loss

ANA = "olmsted/liver/default/ana"
PATH = ("olmsted", "olmsted/liver", "olmsted/liver/default", ANA)
ENDS = (JobState.FINISHED, JobState.FAILED, JobState.CANCELLED)


def reserve(house, loss=None, steps=4, fingerprint="job", **more):
    """Charge a job of so many steps, and return its number."""
    wanted = house.wanted(fingerprint, loss=house.cent.times(steps) if loss is None else loss)
    charge = replace(wanted, steps=steps, asker="ana", tier="clinical", **more)
    return house.ledger.charge(charge).id


def end(house, job, state):
    """End a job in one of the three ways."""
    answer = '{"n":1}' if state is JobState.FINISHED else None
    return house.ledger.end_job(job, state, answer, reason="timeout")


def spent(house, account=ANA):
    return house.ledger.find_account(account).spent


def at_order(place, entry, others=0):
    """A loss with one entry that differs from the others; past the orders, its δ."""
    entries = [others] * (len(ORDERS) + 1)
    entries[place] = entry
    return Loss(tuple(entries[:-1]), entries[-1])


def whole(house):
    report = house.ledger.verify()
    assert report.fault is None
    return True


def test_a_job_takes_its_whole_schedule_before_its_first_step(house):
    job = reserve(house, steps=4)
    assert [spent(house, account) for account in PATH] == [house.cent.times(4)] * 4
    found = house.ledger.job(job)
    assert (found.state, found.asker, found.datasets) == (JobState.RUNNING, "ana", ("liver",))
    assert (found.reserved, found.drawn, found.steps, found.steps_drawn) == (house.cent.times(4), ZERO, 4, 0)
    assert whole(house)


def test_a_draw_takes_nothing_more_from_the_accounts(house):
    job = reserve(house, steps=4)
    after = house.ledger.draw(job, house.cent)
    assert (after.drawn, after.steps_drawn) == (house.cent, 1)
    after = house.ledger.draw(job, house.cent.times(2), 2)
    assert (after.drawn, after.steps_drawn) == (house.cent.times(3), 3)
    assert after == house.ledger.job(job)
    assert spent(house) == house.cent.times(4)
    assert whole(house)


def test_no_order_and_no_delta_of_a_reservation_can_be_passed(house):
    for place in range(len(ORDERS) + 1):
        each = at_order(place, 3, others=2)
        job = reserve(house, each.times(2), steps=9, fingerprint=f"job {place}")
        house.ledger.draw(job, each)
        with pytest.raises(BudgetExhausted):
            house.ledger.draw(job, each + at_order(place, 1))
        assert house.ledger.draw(job, each).drawn == each + each
        with pytest.raises(BudgetExhausted):
            house.ledger.draw(job, at_order(place, 1))
        assert house.ledger.draw(job, ZERO).steps_drawn == 3


def test_no_more_steps_are_drawn_than_the_schedule_has(house):
    job = reserve(house, steps=2)
    with pytest.raises(BudgetExhausted):
        house.ledger.draw(job, ZERO, 3)
    with pytest.raises(BudgetExhausted):
        house.ledger.draw(job, ZERO, 2**63 - 1)
    house.ledger.draw(job, ZERO, 2)
    with pytest.raises(BudgetExhausted, match="drawn 2 of 2 steps"):
        house.ledger.draw(job, ZERO)


@pytest.mark.parametrize("steps", [0, -1])
def test_a_draw_is_for_a_step_at_least(steps):
    with pytest.raises(ValueError, match="one step"):
        jobs.Draw(1, ZERO, steps)


def test_only_jobs_are_drawn_from_and_ended(house):
    question = house.ledger.charge(house.wanted("f")).id
    for charge in (question, 99):
        assert house.ledger.job(charge) is None
        with pytest.raises(NotFound):
            house.ledger.draw(charge, ZERO)
        with pytest.raises(NotFound):
            house.ledger.end_job(charge, JobState.CANCELLED)


def test_what_never_started_returns_to_every_account_however_a_job_ends(house):
    house.open_path("olmsted/panel/default/ben")
    house.ledger.charge(house.wanted("other", leaves=("olmsted/panel/default/ben",)))
    kept = 0
    for state, drawn in itertools.product(ENDS, (0, 1, 4)):
        if state is JobState.FINISHED and drawn == 0:
            continue
        job = reserve(house, steps=4, fingerprint=f"{state.value} {drawn}")
        for _ in range(drawn):
            house.ledger.draw(job, house.cent)
        ended = end(house, job, state)
        assert (ended.state, ended.drawn, ended.steps_drawn) == (state, house.cent.times(drawn), drawn)
        assert ended == house.ledger.job(job)
        kept += drawn
        assert [spent(house, account) for account in PATH[1:]] == [house.cent.times(kept)] * 3
        assert spent(house, "olmsted") == house.cent.times(kept + 1)
        balances = {b.id: b for b in house.ledger.accounts()}
        for parent in ("olmsted", *PATH[1:3]):
            children = [b for b in balances.values() if b.account.parent == parent]
            assert sum((b.spent for b in children), ZERO) == balances[parent].spent
            assert sum((b.lifetime.spent for b in children), ZERO) == balances[parent].lifetime.spent
    assert whole(house)


def test_the_end_is_on_the_chain_of_every_dataset(house):
    house.open_path("olmsted/panel/default/ana")
    leaves = (ANA, "olmsted/panel/default/ana")
    for state in ENDS:
        wanted = replace(house.wanted(state.value, house.cent.times(3), leaves), steps=3, asker="ana")
        job = house.ledger.charge(wanted).id
        house.ledger.draw(job, house.cent)
        end(house, job, state)
        receipts = house.ledger.receipts_of(job, ReceiptKind.FINISHED)
        assert [r.dataset for r in receipts] == ["liver", "panel"]
        assert receipts[0].content() == {
            "state": state.value,
            "steps": 3,
            "steps_drawn": 1,
            "drawn": loss_as_json(house.cent),
            "returned": loss_as_json(house.cent.times(2)),
            "periods": dict.fromkeys(wanted.accounts, 1),
        }
    assert whole(house)


def test_a_finished_job_has_an_answer_and_its_twin_gets_the_same(house):
    first, second = reserve(house), reserve(house)
    for job in (first, second):
        house.ledger.draw(job, house.cent)
    house.ledger.end_job(first, JobState.FINISHED, '"one"')
    house.ledger.end_job(second, JobState.FINISHED, '"two"')
    assert house.ledger.find_answer("job").answer == '"one"'
    assert len(house.ledger.receipts_of(second, ReceiptKind.ANSWER)) == 1
    assert whole(house)


def test_a_job_is_not_finished_without_an_answer(house):
    job = reserve(house)
    with pytest.raises(InternalError):
        house.ledger.end_job(job, JobState.FINISHED)
    with pytest.raises(InternalError):
        house.ledger.end_job(job, JobState.RUNNING)
    assert house.ledger.job(job).state is JobState.RUNNING
    assert spent(house) == house.cent.times(4)


def test_a_job_that_drew_nothing_releases_nothing(house):
    job = reserve(house)
    with pytest.raises(Conflict, match="drawn no step"):
        end(house, job, JobState.FINISHED)
    assert house.ledger.find_answer("job") is None
    assert house.ledger.job(job).state is JobState.RUNNING
    assert spent(house) == house.cent.times(4)
    with pytest.raises(Conflict, match="is a job's"):
        house.ledger.close(job, '"free"')
    assert house.ledger.find_answer("job") is None
    harmless = reserve(house, ZERO, fingerprint="public")
    assert end(house, harmless, JobState.FINISHED).state is JobState.FINISHED
    assert whole(house)


def test_a_failed_job_closes_its_plan_for_everyone(house):
    job = reserve(house)
    end(house, job, JobState.FAILED)
    assert house.ledger.is_suspended("job")
    with pytest.raises(Blocked):
        reserve(house)
    assert house.ledger.receipts_of(job, ReceiptKind.FAILED)[0].content() == {"reason": "timeout"}


def test_nothing_can_be_released_for_a_cancelled_job(house):
    job = reserve(house)
    end(house, job, JobState.CANCELLED)
    with pytest.raises(Conflict, match=ChargeState.LOST.value):
        house.ledger.close(job, "{}")
    with pytest.raises(Conflict):
        end(house, job, JobState.FINISHED)
    assert house.ledger.find_answer("job") is None
    assert not house.ledger.is_suspended("job")
    again = reserve(house)
    assert house.ledger.job(again).steps_drawn == 0


def test_a_job_ends_once(house):
    for state in ENDS:
        job = reserve(house, fingerprint=state.value)
        house.ledger.draw(job, house.cent)
        first = end(house, job, state)
        before = house.ledger.accounts(), house.ledger.verify()
        assert end(house, job, state) == first
        for other in set(ENDS) - {state}:
            with pytest.raises(Conflict, match=state.value):
                end(house, job, other)
        assert (house.ledger.accounts(), house.ledger.verify()) == before
        with pytest.raises(Conflict, match=state.value):
            house.ledger.draw(job, ZERO)


@pytest.mark.parametrize("drawn", [0, 1])
@pytest.mark.parametrize("how", ["close", "fail"])
def test_the_charge_of_a_job_is_settled_by_its_end_alone(house, how, drawn):
    job = reserve(house)
    for _ in range(drawn):
        house.ledger.draw(job, house.cent)
    before = house.ledger.accounts(), house.ledger.verify(), house.ledger.job(job)
    with pytest.raises(Conflict, match="is a job's") as refused:
        getattr(house.ledger, how)(job, '"early"')
    assert "end the job" in refused.value.hint
    assert (house.ledger.accounts(), house.ledger.verify(), house.ledger.job(job)) == before
    assert house.ledger.find_answer("job") is None
    assert not house.ledger.is_suspended("job")
    house.ledger.draw(job, house.cent)
    assert end(house, job, JobState.FINISHED).state is JobState.FINISHED
    # What has an answer already is found again, whoever asks.
    assert house.ledger.close(job, '"late"').answer == house.ledger.find_answer("job").answer != '"late"'
    assert spent(house) == house.cent.times(drawn + 1)
    assert whole(house)


def test_a_plan_that_failed_elsewhere_lets_no_further_step_begin(house):
    first, second = reserve(house), reserve(house)
    house.ledger.draw(second, house.cent)
    end(house, first, JobState.FAILED)
    with pytest.raises(Blocked):
        house.ledger.draw(second, house.cent)
    house.ledger.unsuspend("job")
    assert house.ledger.draw(second, house.cent).steps_drawn == 2


def test_a_suspended_account_lets_no_further_step_begin(house):
    job = reserve(house, steps=9)
    for drawn, account in enumerate(PATH):
        house.ledger.suspend(account, "an audit", by="cus")
        with pytest.raises(Blocked):
            house.ledger.draw(job, house.cent)
        house.ledger.resume(account, by="cus")
        assert house.ledger.draw(job, house.cent).steps_drawn == drawn + 1
    house.ledger.suspend("olmsted", "an audit", by="cus")
    end(house, job, JobState.CANCELLED)
    assert spent(house) == house.cent.times(len(PATH))
    assert whole(house)


# Returns and sums that saturate


def test_an_order_that_bounds_nothing_gives_nothing_back(house):
    """A Gaussian job has no pure ε: INFINITE was reserved there, and INFINITE stays."""
    each = gaussian(Fraction(1, 1000))
    job = reserve(house, each.times(4))
    house.ledger.draw(job, each)
    ended = end(house, job, JobState.CANCELLED)
    assert ended.reserved.renyi[-1] == ended.drawn.renyi[-1] == INFINITE
    assert spent(house) == each
    assert spent(house).renyi[-1] == INFINITE
    assert whole(house)


def test_a_job_that_drew_nothing_leaves_no_bound_where_it_reserved_none(house):
    """Conservative: the account cannot know what else its INFINITE holds."""
    job = reserve(house, gaussian(Fraction(1, 1000)))
    end(house, job, JobState.CANCELLED)
    assert spent(house) == at_order(len(ORDERS) - 1, INFINITE)
    assert whole(house)


def test_an_account_without_a_bound_at_an_order_does_not_get_one_from_a_return(house):
    rough = gaussian(Fraction(1, 1000))
    job = reserve(house, house.cent.times(4))
    house.ledger.charge(house.wanted("g", rough))
    house.ledger.draw(job, house.cent)
    end(house, job, JobState.CANCELLED)
    assert spent(house) == rough + house.cent
    assert spent(house).renyi[-1] == INFINITE
    assert whole(house)


def test_a_schedule_whose_sum_saturates_gives_nothing_back_there(house):
    huge = at_order(3, 2**62)
    job = reserve(house, huge.times(3), steps=3)
    assert house.ledger.job(job).reserved.renyi[3] == INFINITE
    house.ledger.draw(job, huge)
    end(house, job, JobState.CANCELLED)
    assert spent(house).renyi[3] == INFINITE
    assert whole(house)


def test_a_sum_that_saturated_stays_so_when_its_parts_return(house):
    huge = at_order(3, 2**62)
    one, two = reserve(house, huge, 1, "one"), reserve(house, huge, 1, "two")
    assert spent(house).renyi[3] == INFINITE
    end(house, one, JobState.CANCELLED)
    end(house, two, JobState.CANCELLED)
    assert spent(house).renyi[3] == INFINITE
    assert house.ledger.find_account(ANA).lifetime.spent.renyi[3] == INFINITE
    assert whole(house)


def test_a_sum_that_never_saturated_returns_exactly_at_the_edge_of_64_bits(house):
    one, two = reserve(house, at_order(3, 2**62), 1, "one"), reserve(house, at_order(3, 2**62 - 2), 1, "two")
    assert spent(house).renyi[3] == INFINITE - 1
    end(house, one, JobState.CANCELLED)
    assert spent(house).renyi[3] == 2**62 - 2
    end(house, two, JobState.CANCELLED)
    assert spent(house) == ZERO
    assert whole(house)


ENTRIES = st.sampled_from((0, 1, 2**40, 2**61, 2**62, INFINITE - 1, INFINITE)) | st.integers(0, INFINITE)


@given(
    st.lists(
        st.tuples(st.lists(ENTRIES, min_size=1, max_size=4), st.integers(0, 4), st.booleans()), max_size=6
    ),
    st.randoms(use_true_random=False),
)
def test_what_an_entry_counts_is_never_less_than_what_was_begun(schedules, moment):
    """Any jobs at one order, reserved, drawn and ended in any order, with and without saturation."""

    def loss(entry):
        return at_order(0, entry)

    counted, begun, running, waiting = ZERO, 0, [], list(schedules)
    while waiting or running:
        if waiting and (not running or moment.random() < 0.5):
            steps, most, _ = waiting.pop()
            reserved = sum(map(loss, steps), ZERO)
            counted += reserved
            running.append([reserved, ZERO, steps[:most]])
            continue
        job = moment.choice(running)
        if job[2]:
            step = job[2].pop()
            job[1] += loss(step)
            begun = INFINITE if INFINITE in (step, begun) else begun + step
        else:
            running.remove(job)
            counted = balances.less(counted, returns.left_over(job[0], job[1]))
        assert counted.renyi[0] >= min(begun, INFINITE)


def test_giving_back_more_than_was_taken_is_found_out():
    with pytest.raises(InternalError, match="nothing was given back"):
        balances.less(at_order(2, 1), at_order(2, 2))
    with pytest.raises(InternalError, match="nothing was given back"):
        returns.left_over(at_order(2, 1), at_order(2, 2))


# Periods, days, keys


def test_nothing_returns_to_a_period_that_it_was_not_taken_from(house):
    """Every account but the population's is renewed while the job runs."""
    job = reserve(house, steps=4)
    house.ledger.draw(job, house.cent)
    for account in PATH[1:]:
        house.ledger.renew(account, None, until=None, by="cus")
    house.ledger.charge(house.wanted("new"))
    house.ledger.draw(job, house.cent)
    end(house, job, JobState.CANCELLED)
    assert spent(house, "olmsted") == house.cent.times(3)
    assert [spent(house, account) for account in PATH[1:]] == [house.cent] * 3
    for account in PATH:
        assert house.ledger.find_account(account).lifetime.spent == house.cent.times(3)
    assert whole(house)


def test_a_job_goes_on_past_the_end_of_its_period(house):
    """What it reserved was taken while the period lasted; only a new charge needs a new one."""
    job = reserve(house, steps=4)
    house.ledger.renew(ANA, Limits.of(Fraction(1, 10**6), Fraction(0)), until=None, by="cus")
    assert house.ledger.draw(job, house.cent).steps_drawn == 1
    with pytest.raises(BudgetExhausted):
        reserve(house, fingerprint="new")


def test_a_return_is_taken_off_the_day_it_was_charged_on(house):
    job = reserve(house, steps=4, surcharges={ANA: house.cent})
    house.ledger.charge(replace(house.wanted("q"), asker="ana", tier="clinical"))
    house.ledger.draw(job, house.cent)
    end(house, job, JobState.FAILED)
    (tally,) = house.ledger.tallies(ANA)
    assert (tally.spent, tally.surcharge, tally.charges) == (house.cent.times(2), house.cent, 2)
    assert house.ledger.find_account(ANA).surcharge == house.cent
    assert whole(house)


def test_what_returned_can_be_spent_again_and_no_more(make_house):
    house = make_house(Limits.of(Fraction(1), Fraction(0)))
    job = reserve(house, house.cent.times(90), steps=90)
    for _ in range(30):
        house.ledger.draw(job, house.cent)
    with pytest.raises(BudgetExhausted):
        reserve(house, house.cent.times(70), steps=70, fingerprint="next")
    end(house, job, JobState.FINISHED)
    reserve(house, house.cent.times(70), steps=70, fingerprint="next")
    with pytest.raises(BudgetExhausted):
        house.ledger.charge(house.wanted("one more"))


def test_a_key_reserves_once(house):
    key = IdempotencyKey("ana", "k", "job")
    job = reserve(house, idempotency=key)
    with pytest.raises(Conflict, match="still running"):
        reserve(house, idempotency=key)
    end(house, job, JobState.CANCELLED)
    with pytest.raises(Conflict, match="the job with this idempotency key was cancelled"):
        reserve(house, idempotency=key)
    with pytest.raises(Conflict, match="for another request"):
        house.ledger.charge(house.wanted("q", idempotency=IdempotencyKey("ana", "k", "other")))
    assert len(house.ledger.jobs()) == 1


# Restarts


def test_a_running_job_outlives_the_gateway_and_a_question_does_not(house):
    job, question = reserve(house, steps=4), house.ledger.charge(house.wanted("q")).id
    house.ledger.draw(job, house.cent)
    house.reopen()
    assert house.ledger.receipts_of(question, ReceiptKind.LOST)
    assert not house.ledger.receipts_of(job, ReceiptKind.LOST)
    assert house.ledger.draw(job, house.cent).steps_drawn == 2
    end(house, job, JobState.FINISHED)
    assert spent(house) == house.cent.times(3)
    house.reopen()
    assert house.ledger.job(job).state is JobState.FINISHED
    assert whole(house)


def test_jobs_are_listed_newest_first_and_by_asker(house):
    first, second = reserve(house, fingerprint="a"), reserve(house, fingerprint="b")
    house.open_path("olmsted/liver/default/ben")
    wanted = house.wanted("c", leaves=("olmsted/liver/default/ben",))
    third = house.ledger.charge(replace(wanted, steps=1, asker="ben")).id
    assert [j.charge for j in house.ledger.jobs()] == [third, second, first]
    assert [j.charge for j in house.ledger.jobs("ana")] == [second, first]
    assert house.ledger.jobs("eve") == ()


# Races


def at_once(*works):
    """Run works in a thread each, and return what they raised."""
    raised, start = [], threading.Barrier(len(works))

    def run(work):
        start.wait()
        try:
            work()
        except Exception as error:  # noqa: BLE001
            raised.append(error)

    threads = [threading.Thread(target=run, args=(w,)) for w in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_drawers_at_once_never_pass_the_reservation_and_never_share_a_step(house):
    job = reserve(house, steps=40)
    numbers = []

    def draw_until_refused():
        while True:
            numbers.append(house.ledger.draw(job, house.cent).steps_drawn)

    raised = at_once(*[draw_until_refused] * 8)
    assert [type(error) for error in raised] == [BudgetExhausted] * 8
    assert sorted(numbers) == list(range(1, 41))
    assert house.ledger.job(job).drawn == house.cent.times(40)


def test_a_heavy_step_counts_in_the_day_for_its_share_of_the_loss(house):
    heavy, light = pure(Fraction(9, 10)), pure(Fraction(1, 1000))
    for number in range(5):
        job = reserve(house, heavy + light.times(99), 100, f"job {number}", daily=Daily(9 * 10**8, 5 * 10**9))
        house.ledger.draw(job, heavy)
        end(house, job, JobState.CANCELLED)
    (tally,) = house.ledger.tallies(ANA)
    assert tally.amount >= 0.9 * tally.spent.renyi[-1]
    assert whole(house)


@pytest.mark.parametrize("state", [JobState.FINISHED, JobState.CANCELLED])
def test_an_end_that_races_with_draws_returns_exactly_what_they_left(house, state):
    job = reserve(house, steps=400)
    drawn, begun = [], threading.Event()

    def draw_until_refused():
        while True:
            house.ledger.draw(job, house.cent)
            drawn.append(1)
            begun.set()

    def end_it():
        begun.wait(10)
        end(house, job, state)

    raised = at_once(*[draw_until_refused] * 4, end_it)
    assert [type(error) for error in raised] == [Conflict] * 4
    ended = house.ledger.job(job)
    assert (ended.state, ended.steps_drawn) == (state, len(drawn))
    assert 0 < len(drawn) < 400
    assert spent(house) == ended.drawn == house.cent.times(len(drawn))
    assert whole(house)


def test_ends_at_once_return_once(house):
    job = reserve(house, steps=4)
    house.ledger.draw(job, house.cent)
    ways = [lambda s=s: end(house, job, s) for s in ENDS for _ in range(4)]
    raised = at_once(*ways)
    assert [type(error) for error in raised] == [Conflict] * 8
    assert spent(house) == house.cent
    assert len(house.ledger.receipts_of(job, ReceiptKind.FINISHED)) == 1
    assert whole(house)


def test_charges_and_draws_and_ends_at_once_keep_the_books(house):
    def work(number):
        for i in range(4):
            job = reserve(house, steps=3, fingerprint=f"{number}.{i}")
            house.ledger.draw(job, house.cent)
            house.ledger.charge(house.wanted(f"q{number}.{i}"))
            end(house, job, ENDS[i % 3])

    assert at_once(*[lambda n=n: work(n) for n in range(6)]) == []
    assert spent(house) == spent(house, "olmsted") == house.cent.times(48)
    assert admits(house.ledger.find_account(ANA).capacity, spent(house))
    assert whole(house)


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_two_gateways_share_one_job_and_never_pass_its_reservation(house):
    """Each draws on a connection of its own; then one of them ends it under the other's feet."""
    numbers = []
    with Ledger.open(house.directory / "second", url=house.url) as second:
        job = reserve(house, steps=40)

        def draw_until_refused(ledger):
            while True:
                numbers.append(ledger.draw(job, house.cent).steps_drawn)

        raised = at_once(*[lambda g=g: draw_until_refused(g) for g in (house.ledger, second) * 3])
        assert [type(error) for error in raised] == [BudgetExhausted] * 6
        assert sorted(numbers) == list(range(1, 41))

        other, drawn = reserve(house, steps=400, fingerprint="other"), []

        def draw_until_ended():
            while True:
                second.draw(other, house.cent)
                drawn.append(1)

        def end_it():
            while len(drawn) < 3:
                threading.Event().wait(0.001)
            end(house, other, JobState.CANCELLED)

        assert [type(error) for error in at_once(draw_until_ended, draw_until_ended, end_it)] == [
            Conflict
        ] * 2
        assert second.job(other).steps_drawn == len(drawn)
        assert spent(house) == house.cent.times(40 + len(drawn))
    house.reopen()
    assert whole(house)


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_ending_one_job_and_drawing_from_another_waits_for_no_gateway_in_a_ring(house):
    """What one transaction may hold: the trees first, so that the rows of jobs are had in any order."""
    first, second = reserve(house, fingerprint="1"), reserve(house, fingerprint="2")
    ends, drew = threading.Event(), threading.Event()
    wanted = [jobs.Draw(first, house.cent)], [jobs.Draw(first, house.cent), jobs.Draw(second, house.cent)]

    def end_and_draw():
        with closing(house.ledger._storage.connect()) as session:
            session.begin()
            session.hold(None)
            jobs.end(session, second, JobState.CANCELLED, None, "")
            ends.set()
            drew.wait(0.5)
            jobs.DRAW.perform(session, wanted[0])
            session.commit()

    def draw_both():
        with closing(house.ledger._storage.connect()) as session:
            ends.wait()
            session.begin()
            session.hold(jobs.DRAW.populations(session, wanted[1]))
            one = jobs.DRAW.perform(session, wanted[1][:1])
            drew.set()
            two = jobs.DRAW.perform(session, wanted[1][1:])
            assert one[0].steps_drawn == 2
            assert isinstance(two[0].error, Conflict)
            session.commit()

    assert at_once(end_and_draw, draw_both) == []
    assert house.ledger.job(first).steps_drawn == 2


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_a_job_of_a_gateway_that_is_gone_can_be_drawn_from_by_another(house):
    with Ledger.open(house.directory / "gone", url=house.url) as gone:
        job = gone.charge(replace(house.wanted("job", house.cent.times(4)), steps=4, asker="ana")).id
        gone.draw(job, house.cent)
    assert house.ledger.draw(job, house.cent).steps_drawn == 2
    assert end(house, job, JobState.FINISHED).steps_drawn == 2
    assert spent(house) == house.cent.times(2)
    assert whole(house)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "change", ["drawn_3 = reserved_3 + 1", "drawn_delta = 1", "steps_drawn = 5", "drawn_0 = -1"]
)
def test_the_schema_itself_refuses_a_job_that_passes_its_reservation(house, change):
    job = reserve(house, steps=4)
    with closing(sqlite3.connect(house.directory / LEDGER_FILE)) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            connection.execute(f"UPDATE job SET {change} WHERE charge = {job}")
        connection.execute(f"UPDATE job SET drawn_3 = reserved_3, steps_drawn = 4 WHERE charge = {job}")


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_draw_finds_its_rows_by_their_keys_however_many_there_are(house):
    text = Texts(sqlite.dialect(paramstyle="named")).of(jobs._DRAW)
    with closing(sqlite3.connect(house.directory / LEDGER_FILE)) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {text.sql}", dict.fromkeys(text.binds, 0))
        steps = [row[3] for row in plan]
    assert [step for step in steps if step.startswith("SCAN") and "VIRTUAL" not in step] == []
    assert sum("USING" in step for step in steps) >= 4


def test_a_delta_of_keys_returns_as_the_orders_do(house):
    each = with_delta(pure(Fraction(1, 100)), Fraction(1, 10**9))
    job = reserve(house, each.times(4))
    house.ledger.draw(job, each)
    end(house, job, JobState.CANCELLED)
    assert spent(house) == each
