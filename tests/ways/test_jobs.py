"""Jobs over HTTP: who sees which, who ends which, and what ending one gives back."""

from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction

import pytest

from noisegate.gate.access import Asker
from noisegate.gate.door import Offer
from noisegate.gate.jobs import Schedule, open_job
from noisegate.ledger.records import JobState, Role
from noisegate.privacy.curves import pure

from .door import Door, error

TENTH = pure(Fraction(1, 10))


def begin(door: Door, name: str, *, who: str = "the-analyst", steps: int = 1) -> int:
    """Open a job of five steps on ward, run some of them, and leave it running."""
    schedule = Schedule(((TENTH, 5),))
    offer = Offer("town", ("ward",), name, schedule.total, {"title": f"a stream, {name}"})
    asker = Asker(who, Role.ANALYST, None)
    with open_job(door.gateway._desk.gate, asker, offer, schedule) as passage:
        for number in range(steps):
            passage.spend(schedule.at(number))
        assert passage.job is not None
        return passage.job.charge


@pytest.fixture(autouse=True)
def no_job_is_left(door: Door) -> Iterator[None]:
    yield
    ledger = door.gateway._desk.ledger
    for job in ledger.jobs():
        if job.state is JobState.RUNNING:
            ledger.end_job(job.charge, JobState.CANCELLED)


def test_a_job_is_shown_with_how_far_it_is_and_what_it_costs(door: Door) -> None:
    job = begin(door, "shown", steps=2)
    said = door.send("GET", f"/v1/jobs/{job}").json()
    receipt = said.pop("receipts")
    created, changed = (
        datetime.fromisoformat(said.pop("created")),
        datetime.fromisoformat(said.pop("changed")),
    )
    assert created <= changed
    assert said == {
        "id": job,
        "title": "a stream, shown",
        "asker": "the-analyst",
        "datasets": ["ward"],
        "state": "running",
        "steps": 5,
        "steps_drawn": 2,
        "reserved": {"epsilon": 0.5, "delta": 1e-6},
        "drawn": {"epsilon": 0.2, "delta": 1e-6},
    }
    assert len(receipt) == 1
    ended = door.send("DELETE", f"/v1/jobs/{job}").json()
    assert (ended["state"], ended["steps_drawn"], ended["drawn"]["epsilon"]) == ("cancelled", 2, 0.2)
    assert len(door.send("GET", f"/v1/jobs/{job}").json()["receipts"]) == 2


def test_analysts_see_their_own_jobs_and_others_those_on_granted_data(door: Door) -> None:
    mine, others = begin(door, "mine"), begin(door, "others", who="somebody-else")
    sight = {
        "analyst": {mine},
        "clinic analyst": set(),
        "custodian": {mine, others},
        "auditor": {mine, others},
        "clinic custodian": set(),
        "clinic auditor": set(),
    }
    for who, seen in sight.items():
        listed = {job["id"] for job in door.send("GET", "/v1/jobs", who).json()["jobs"]}
        assert listed & {mine, others} == seen, who
        for job in (mine, others):
            reply = door.send("GET", f"/v1/jobs/{job}", who)
            if job in seen:
                assert reply.json()["id"] == job
            else:
                assert error(reply, 404, "not_found")["message"] == f"there is no job {job} here"


def test_a_custodian_of_other_data_sees_and_ends_no_job_by_giving_out_its_asker_s_name(door: Door) -> None:
    job = begin(door, "a namesake's")
    warden = Asker("warden", Role.CUSTODIAN, frozenset({"clinic"}))
    mole = str(door.gateway.create_token(warden, "the-analyst", "analyst", ["clinic"], None)["secret"])
    assert job not in {held["id"] for held in door.send("GET", "/v1/jobs", mole).json()["jobs"]}
    for method in ("GET", "DELETE"):
        error(door.send(method, f"/v1/jobs/{job}", mole), 404, "not_found")
    assert door.send("GET", f"/v1/jobs/{job}").json()["state"] == "running"


def test_who_may_not_end_a_job_changes_nothing(door: Door) -> None:
    job = begin(door, "kept", who="somebody-else")
    error(door.send("DELETE", f"/v1/jobs/{job}", "analyst"), 404, "not_found")
    error(door.send("DELETE", f"/v1/jobs/{job}", "clinic custodian"), 404, "not_found")
    error(door.send("DELETE", f"/v1/jobs/{job}", "auditor"), 403, "forbidden")
    assert door.send("GET", f"/v1/jobs/{job}", "custodian").json()["state"] == "running"
    assert door.send("DELETE", f"/v1/jobs/{job}", "custodian").json()["state"] == "cancelled"
    assert door.send("DELETE", f"/v1/jobs/{job}", "custodian").json()["state"] == "cancelled"


def test_what_a_cancelled_job_never_drew_is_in_the_budget_again(door: Door) -> None:
    def spent() -> float:
        accounts = door.send("GET", "/v1/budget").json()["accounts"]
        return float(next(a["spent"] for a in accounts if a["account"].startswith("town/ward/")))

    before = spent()
    job = begin(door, "budget", steps=2)
    assert spent() == pytest.approx(before + 0.5)
    door.send("DELETE", f"/v1/jobs/{job}")
    assert spent() == pytest.approx(before + 0.2)
    assert door.send("GET", "/v1/receipts/verify", "auditor").json()["whole"]


def test_a_finished_job_is_not_cancelled(door: Door) -> None:
    job = begin(door, "finished")
    door.gateway._desk.ledger.end_job(job, JobState.FINISHED, "{}")
    error(door.send("DELETE", f"/v1/jobs/{job}"), 409, "conflict")
