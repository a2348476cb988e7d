"""Jobs at the door: who may open, resume and cancel one, and what leaving it in each way does."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate.errors import (
    Blocked,
    BudgetExhausted,
    Conflict,
    EngineFailed,
    EngineTimeout,
    Forbidden,
    InternalError,
    LedgerUnavailable,
    NotFound,
)
from noisegate.gate.access import Asker, Role
from noisegate.gate.door import Gate, Offer
from noisegate.gate.failures import MOST_FAILURES
from noisegate.gate.jobs import Schedule, cancel_job, may_see, open_job, resume_job, scheduled
from noisegate.ledger.accounts import Account
from noisegate.ledger.records import JobState, ReceiptKind
from noisegate.ledger.store import Ledger
from noisegate.privacy.curves import pure
from noisegate.privacy.filter import Limits
from noisegate.privacy.loss import ZERO, Loss

LIMITS = Limits.of(Fraction(1), Fraction(0))
ANA = Asker("ana", Role.ANALYST, frozenset({"liver"}))
TENTH = pure(Fraction(1, 10))
FIVE = Schedule(((TENTH, 5),))


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger.open(tmp_path) as opened:
        for path in ("olmsted", "olmsted/liver", "olmsted/liver/default"):
            opened.open_account(Account.at(path, LIMITS))
        yield opened


@pytest.fixture
def gate(ledger: Ledger) -> Gate:
    return Gate(ledger, {"liver": LIMITS})


def offer(name: str = "stream", schedule: Schedule = FIVE) -> Offer:
    return Offer("olmsted", ("liver",), name, schedule.total, {"question": name})


def spent(ledger: Ledger, account: str = "olmsted/liver/default/ana") -> Loss:
    found = ledger.find_account(account)
    return ZERO if found is None else found.spent


def paused(gate: Gate, steps: int = 0, asker: Asker = ANA, **more) -> int:
    """Open a job, run some steps, and leave it running."""
    with open_job(gate, asker, offer(**more), FIVE) as passage:
        for number in range(steps):
            passage.spend(FIVE.at(number))
        return passage.job.charge


# Schedules


def test_a_schedule_adds_up_and_knows_each_step():
    two = Schedule(((TENTH, 2), (ZERO, 1), (TENTH, 1)))
    assert (two.steps, two.total) == (4, TENTH.times(3))
    assert [two.at(i) for i in range(4)] == [TENTH, TENTH, ZERO, TENTH]
    for outside in (-1, 4):
        with pytest.raises(ValueError, match="no step"):
            two.at(outside)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=4))
def test_the_total_of_a_schedule_is_the_sum_of_its_steps(parts):
    schedule = Schedule(tuple((TENTH.times(size), count) for size, count in parts))
    assert sum(map(schedule.at, range(schedule.steps)), ZERO) == schedule.total


@pytest.mark.parametrize("parts", [(), ((TENTH, 0),), ((TENTH, 1), (TENTH, -1))])
def test_a_schedule_has_steps(parts):
    with pytest.raises(ValueError, match="at least"):
        Schedule(parts)


def test_an_offer_that_is_not_the_schedules_total_is_refused(gate, ledger):
    wrong = replace(offer(), loss=TENTH)
    with pytest.raises(ValueError, match="total"), open_job(gate, ANA, wrong, FIVE):
        pytest.fail("a job was let through for the price of one step")
    assert ledger.jobs() == ()


def test_jobs_of_other_schedules_and_questions_are_other_releases():
    others = [Schedule(((TENTH, 4), (TENTH, 1))), Schedule(((TENTH.times(5), 1),)), Schedule(((ZERO, 5),))]
    marks = {scheduled(offer(schedule=s), s).fingerprint for s in (FIVE, *others)}
    assert len(marks) == 4
    assert scheduled(offer("a"), FIVE).fingerprint != scheduled(offer("b"), FIVE).fingerprint
    assert offer().fingerprint not in marks


# Opening, spending, finishing


def test_the_whole_schedule_is_charged_before_the_first_step(gate, ledger):
    with open_job(gate, ANA, offer(), FIVE) as passage:
        assert spent(ledger) == spent(ledger, "olmsted") == FIVE.total
        assert passage.spend(TENTH).steps_drawn == 1
        assert ledger.job(passage.job.charge).drawn == TENTH
        passage.spend(TENTH.times(2), 2)
        assert passage.finish('{"n":1}') == '{"n":1}'
        assert passage.receipt.kind is ReceiptKind.ANSWER
    assert spent(ledger) == spent(ledger, "olmsted") == TENTH.times(3)
    assert ledger.verify().whole


def test_steps_are_drawn_at_the_losses_of_their_schedule(gate, ledger):
    mixed = Schedule(((TENTH.times(3), 1), (TENTH, 3), (ZERO, 1)))
    with open_job(gate, ANA, offer(schedule=mixed), mixed) as passage:
        for loss in (ZERO, TENTH, at_one_order_less(TENTH.times(3))):
            with pytest.raises(ValueError, match="no less"):
                passage.spend(loss)
        assert passage.job.steps_drawn == 0
        assert passage.spend().drawn == TENTH.times(3)
        with pytest.raises(ValueError, match="no less"):
            passage.spend(TENTH, 2)
        assert passage.spend(steps=2).drawn == TENTH.times(5)
        assert passage.spend(TENTH).drawn == TENTH.times(6)
        assert passage.spend().steps_drawn == 5
        with pytest.raises(BudgetExhausted):
            passage.spend()
        passage.finish("{}")
    assert spent(ledger) == mixed.total


def at_one_order_less(loss: Loss) -> Loss:
    first, *rest = loss.renyi
    return Loss((first - 1, *rest), loss.delta)


def test_a_step_that_another_process_left_over_does_not_run_for_less_than_it_loses(gate, ledger):
    rising = Schedule(((TENTH, 1), (TENTH.times(2), 2)))
    with open_job(gate, ANA, offer(schedule=rising), rising) as passage:
        ledger.draw(passage.job.charge, TENTH)
        with pytest.raises(Conflict, match="another process"):
            passage.spend()
        # That step is spent and did not run; the next one is known again.
        assert passage.spend().drawn == TENTH.times(4)
    assert ledger.jobs()[0].state is JobState.RUNNING


def test_a_job_that_drew_nothing_releases_nothing(gate, ledger):
    with pytest.raises(Conflict, match="no step"), open_job(gate, ANA, offer(), FIVE) as passage:
        passage.finish('"free"')
    assert ledger.find_answer(scheduled(offer(), FIVE).fingerprint) is None
    assert (ledger.jobs()[0].state, ledger.suspended()) == (JobState.RUNNING, ())


@pytest.mark.parametrize("times", [1, 2])
def test_a_ledger_that_is_away_at_the_end_is_no_failure_of_the_work(gate, ledger, monkeypatch, times):
    plain, tries = ledger.end_job, []

    def away(*given, **more):
        tries.append(given)
        if len(tries) <= times:
            raise LedgerUnavailable("a lock was held for too long")
        return plain(*given, **more)

    monkeypatch.setattr(ledger, "end_job", away)
    try:
        with open_job(gate, ANA, offer(), FIVE) as passage:
            passage.spend()
            assert passage.finish('"a"') == '"a"'
    except LedgerUnavailable:
        assert times == 2
    assert len(tries) == 2
    assert ledger.suspended() == ()
    assert ledger.jobs()[0].state is (JobState.FINISHED if times == 1 else JobState.RUNNING)


def test_the_receipt_tells_how_many_steps_there_are_and_who_asks(gate, ledger):
    paused(gate)
    (receipt,) = ledger.receipts_of(ledger.jobs()[0].charge, ReceiptKind.CHARGE)
    content = receipt.content()
    assert content["steps"] == 5
    assert content["public"]["asker"] == "ana"
    assert content["public"]["schedule"] == [5]


def test_a_finished_job_is_replayed_at_no_cost(gate, ledger):
    with open_job(gate, ANA, offer(), FIVE) as passage:
        passage.spend()
        passage.finish('"a"')
    with open_job(gate, replace(ANA, name="ben"), offer(), FIVE) as passage:
        assert (passage.replayed, passage.stored) == (True, '"a"')
        with pytest.raises(InternalError):
            passage.spend(ZERO)
        with pytest.raises(InternalError):
            passage.finish('"b"')
    assert spent(ledger) == TENTH
    assert len(ledger.jobs()) == 1


def test_a_twin_that_finishes_later_hands_out_the_first_answer(gate):
    ben = replace(ANA, name="ben")
    with open_job(gate, ANA, offer(), FIVE) as first, open_job(gate, ben, offer(), FIVE) as second:
        first.spend()
        second.spend()
        assert first.finish('"a"') == '"a"'
        assert second.finish('"b"') == '"a"'


def test_finishing_again_is_no_change(gate, ledger):
    with open_job(gate, ANA, offer(), FIVE) as passage:
        passage.spend()
        passage.finish('"a"')
        before = ledger.verify()
        assert passage.finish('"b"') == '"a"'
        assert ledger.verify() == before


def test_the_same_job_is_not_paid_for_twice_by_a_restart_that_opens_it_anew(gate, ledger):
    job = paused(gate, 1)
    with pytest.raises(Conflict, match=f"job {job}"), open_job(gate, ANA, offer(), FIVE):
        pytest.fail("the same job was let through twice")
    assert spent(ledger) == FIVE.total
    with open_job(gate, replace(ANA, name="ben"), offer(), FIVE):
        assert len(ledger.jobs()) == 2


def test_a_budget_that_cannot_bear_the_whole_schedule_takes_nothing(gate, ledger):
    long = Schedule(((TENTH, 11),))
    with pytest.raises(BudgetExhausted), open_job(gate, ANA, offer(schedule=long), long):
        pytest.fail("an unaffordable job was let through")
    assert (spent(ledger), ledger.jobs()) == (ZERO, ())


@pytest.mark.parametrize(
    "asker",
    [
        Asker("ana", Role.ANALYST, frozenset({"panel"})),
        Asker("ana", Role.ANALYST, frozenset()),
        Asker("cus", Role.CUSTODIAN, None),
        Asker("aud", Role.AUDITOR, None),
    ],
)
def test_without_the_role_and_the_grant_no_job_is_opened_or_resumed(gate, ledger, asker):
    with pytest.raises(Forbidden), open_job(gate, asker, offer(), FIVE):
        pytest.fail("a stranger was let through")
    assert spent(ledger, "olmsted") == ZERO
    job = paused(gate)
    with pytest.raises(Forbidden), resume_job(gate, asker, job, offer(), FIVE):
        pytest.fail("a stranger was let through")


def test_jobs_stop_where_a_few_plans_of_a_dataset_failed(gate):
    small = Schedule(((pure(Fraction(1, 100)), 1),))
    for i in range(MOST_FAILURES):
        with pytest.raises(EngineFailed), open_job(gate, ANA, offer(f"f{i}", small), small):
            raise EngineFailed
    with pytest.raises(Blocked), open_job(gate, ANA, offer("b", small), small):
        pytest.fail("a fresh job was let through")


# Leaving


@pytest.mark.parametrize("failure", [EngineFailed(), EngineTimeout(), RuntimeError("a bug"), MemoryError()])
def test_work_that_fails_ends_the_job_and_closes_the_plan(gate, ledger, failure):
    seen = EngineFailed if isinstance(failure, EngineTimeout) else type(failure)
    with pytest.raises(seen), open_job(gate, ANA, offer(), FIVE) as passage:
        passage.spend(TENTH)
        raise failure
    assert ledger.jobs()[0].state is JobState.FAILED
    assert spent(ledger) == TENTH
    with pytest.raises(Blocked), open_job(gate, ANA, offer(), FIVE):
        pytest.fail("a closed plan was let through")
    (receipt,) = ledger.receipts_of(ledger.jobs()[0].charge, ReceiptKind.FAILED)
    reasons = {EngineFailed: "engine_failed", EngineTimeout: "timeout"}
    assert receipt.content() == {"reason": reasons.get(type(failure), "internal")}


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit()])
def test_an_interruption_leaves_the_job_to_be_resumed(gate, ledger, interruption):
    with pytest.raises(type(interruption)), open_job(gate, ANA, offer(), FIVE) as passage:
        passage.spend(TENTH)
        raise interruption
    assert ledger.jobs()[0].state is JobState.RUNNING
    assert spent(ledger) == FIVE.total


def test_what_the_ledger_refuses_does_not_fail_the_job(gate, ledger, monkeypatch):
    with pytest.raises(BudgetExhausted), open_job(gate, ANA, offer(), FIVE) as passage:
        passage.spend(TENTH.times(6))
    (job,) = ledger.jobs()
    assert (job.state, job.drawn) == (JobState.RUNNING, ZERO)

    def down(*_):
        raise LedgerUnavailable("the disk is full")

    with (
        pytest.raises(LedgerUnavailable),
        resume_job(gate, ANA, job.charge, offer(), FIVE) as passage,
        monkeypatch.context() as patched,
    ):
        patched.setattr(ledger, "draw", down)
        passage.spend(TENTH)
    assert ledger.job(job.charge).state is JobState.RUNNING


def test_an_error_of_the_work_fails_the_job_even_after_a_refusal_that_it_mended(gate, ledger):
    with pytest.raises(RuntimeError), open_job(gate, ANA, offer(), FIVE) as passage:
        with pytest.raises(BudgetExhausted):
            passage.spend(TENTH.times(6))
        raise RuntimeError
    assert ledger.jobs()[0].state is JobState.FAILED


def test_a_failure_after_the_answer_is_stored_closes_nothing(gate, ledger):
    with pytest.raises(EngineFailed), open_job(gate, ANA, offer(), FIVE) as passage:
        passage.spend()
        passage.finish('"a"')
        raise EngineFailed
    assert ledger.jobs()[0].state is JobState.FINISHED
    with open_job(gate, ANA, offer(), FIVE) as passage:
        assert passage.stored == '"a"'


# Resuming


def test_a_paused_job_goes_on_with_what_is_left(gate, ledger):
    job = paused(gate, 2)
    with resume_job(gate, ANA, job, offer(), FIVE) as passage:
        assert (passage.job.steps_drawn, passage.job.drawn) == (2, TENTH.times(2))
        for number in range(passage.job.steps_drawn, FIVE.steps):
            assert passage.spend(FIVE.at(number)).steps_drawn == number + 1
        with pytest.raises(BudgetExhausted):
            passage.spend(ZERO)
        passage.finish("{}")
    assert spent(ledger) == FIVE.total
    assert ledger.verify().whole


def test_a_failure_in_a_resumed_job_fails_it_as_well(gate, ledger):
    job = paused(gate, 2)
    with pytest.raises(EngineFailed), resume_job(gate, ANA, job, offer(), FIVE):
        raise EngineFailed
    assert ledger.job(job).state is JobState.FAILED


def test_nobody_but_its_owner_resumes_a_job_and_nobody_learns_that_it_is_there(gate):
    job = paused(gate)
    for asker, number in ((replace(ANA, name="ben"), job), (ANA, job + 1)):
        with (
            pytest.raises(NotFound, match=f"no job {number} here"),
            resume_job(gate, asker, number, offer(), FIVE),
        ):
            pytest.fail("a stranger was let through")


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("other", FIVE),
        ("stream", Schedule(((TENTH, 4), (TENTH, 1)))),
        ("stream", Schedule(((TENTH, 6),))),
        ("stream", Schedule(((TENTH.times(2), 5),))),
    ],
)
def test_a_changed_job_cannot_draw_from_an_old_reservation(gate, name, schedule):
    job = paused(gate, 1)
    changed = offer(name, schedule)
    with pytest.raises(Conflict, match="another plan"), resume_job(gate, ANA, job, changed, schedule):
        pytest.fail("another job was let through")


@pytest.mark.parametrize("state", [JobState.FINISHED, JobState.FAILED, JobState.CANCELLED])
def test_a_job_that_has_ended_is_not_resumed(gate, ledger, state):
    job = paused(gate, 1)
    ledger.end_job(job, state, "{}" if state is JobState.FINISHED else None)
    with pytest.raises(Conflict, match=state.value), resume_job(gate, ANA, job, offer(), FIVE):
        pytest.fail("an ended job was let through")


def test_a_job_whose_plan_was_closed_meanwhile_is_not_resumed(gate):
    job = paused(gate, 1)
    with pytest.raises(EngineFailed), open_job(gate, replace(ANA, name="ben"), offer(), FIVE):
        raise EngineFailed
    with pytest.raises(Blocked), resume_job(gate, ANA, job, offer(), FIVE):
        pytest.fail("a closed plan was let through")


# Cancelling


def test_a_cancelled_job_draws_no_further_step_where_it_runs(gate, ledger):
    with pytest.raises(Conflict, match="cancelled"), open_job(gate, ANA, offer(), FIVE) as passage:
        passage.spend(TENTH)
        cancel_job(ledger, ANA, passage.job.charge)
        passage.spend(TENTH)
    (job,) = ledger.jobs()
    assert (job.state, job.steps_drawn) == (JobState.CANCELLED, 1)
    assert spent(ledger) == TENTH
    assert not ledger.suspended()


def test_a_job_cancelled_before_its_last_word_releases_nothing(gate, ledger):
    with pytest.raises(Conflict), open_job(gate, ANA, offer(), FIVE) as passage:
        cancel_job(ledger, ANA, passage.job.charge)
        passage.finish("{}")
    assert ledger.find_answer(scheduled(offer(), FIVE).fingerprint) is None


def test_owner_and_custodian_cancel_and_nobody_else_can(gate, ledger):
    job = paused(gate)
    for asker in (
        replace(ANA, name="ben"),
        Asker("cus", Role.CUSTODIAN, frozenset({"panel"})),
        Asker("cus", Role.CUSTODIAN, frozenset()),
    ):
        with pytest.raises(NotFound):
            cancel_job(ledger, asker, job)
    with pytest.raises(Forbidden):
        cancel_job(ledger, Asker("aud", Role.AUDITOR, None), job)
    assert cancel_job(ledger, Asker("cus", Role.CUSTODIAN, frozenset({"liver"})), job).steps_drawn == 0
    assert cancel_job(ledger, ANA, job).state is JobState.CANCELLED
    assert spent(ledger) == ZERO


def test_a_name_that_another_custodian_gave_out_is_another_person(gate, ledger):
    """Each custodian names analysts of their own; only who is charged to the same accounts is the same."""
    for path in ("olmsted/heart", "olmsted/heart/default", "olmsted/liver/stroke"):
        ledger.open_account(Account.at(path, LIMITS))
    job = paused(gate, 1)
    held = ledger.job(job)
    for other in (
        Asker("ana", Role.ANALYST, frozenset({"heart"})),
        Asker("ana", Role.ANALYST, frozenset()),
        replace(ANA, project="stroke"),
        Asker("ana", Role.ANALYST, None, "stroke"),
    ):
        assert not may_see(other, held)
        with pytest.raises(NotFound):
            cancel_job(ledger, other, job)
    for other in (replace(ANA, project="stroke"), Asker("ana", Role.ANALYST, None, "stroke")):
        with pytest.raises(NotFound), resume_job(gate, other, job, offer(), FIVE):
            pytest.fail("a namesake resumed another's job")
    with open_job(gate, replace(ANA, project="stroke"), offer(), FIVE):
        assert len(ledger.jobs("ana")) == 2
    assert may_see(ANA, held)
    assert may_see(replace(ANA, datasets=None), held)


def test_a_finished_job_is_not_cancelled(gate, ledger):
    with open_job(gate, ANA, offer(), FIVE) as passage:
        passage.spend()
        passage.finish("{}")
    with pytest.raises(Conflict):
        cancel_job(ledger, ANA, ledger.jobs()[0].charge)
