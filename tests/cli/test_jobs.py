"""`noisegate jobs`: a job that is running here is listed, shown with a bar, and ended."""

from fractions import Fraction
from pathlib import Path

import pytest

from noisegate.cli.jobs import BAR
from noisegate.gate.access import Asker
from noisegate.gate.door import Gate, Offer
from noisegate.gate.jobs import Schedule, open_job
from noisegate.ledger.records import Role
from noisegate.ledger.store import Ledger
from noisegate.privacy.curves import pure

from .conftest import Command

HALF_DONE = Schedule(((pure(Fraction(1, 100)), 24),))


@pytest.fixture
def job(cli: Command, tmp_path: Path) -> int:
    """A job on ward, half of it drawn."""
    assert cli("budget", "show").code == 0  # makes the state directory
    with Ledger.open(tmp_path / "state") as ledger:
        offer = Offer("town", ("ward",), "f", HALF_DONE.total, {"title": "a stream [of counts]"})
        with open_job(Gate(ledger, {}), Asker("ana", Role.ANALYST, None), offer, HALF_DONE) as passage:
            for number in range(12):
                passage.spend(HALF_DONE.at(number))
            assert passage.job is not None
            return passage.job.charge


def test_jobs_are_listed_with_a_bar(cli: Command, job: int) -> None:
    shown = cli("jobs", "list").out
    row = next(line for line in shown.splitlines() if line.startswith(str(job)))
    for piece in ("running", "12 of 24", "0.1164", "0.1869", "ana", "ward", "a stream [of counts]"):
        assert piece in row
    assert row.count("━") == BAR // 2


def test_a_job_is_shown_and_cancelled(cli: Command, job: int) -> None:
    shown = cli("jobs", "show", str(job)).out
    for piece in (
        f"job {job}",
        "running",
        "12 of 24",
        "a stream [of counts]",
        "ε 0.1869 at δ 1e-06",
        "ward:",
    ):
        assert piece in shown
    assert "cancelled" in cli("jobs", "cancel", str(job)).out
    again = cli("jobs", "cancel", str(job), "--json").json
    assert (again["state"], again["steps_drawn"]) == ("cancelled", 12)
    accounts = {a["account"]: a["spent"] for a in cli("budget", "show", "--json").json["accounts"]}
    assert accounts["town"] == accounts["town/ward/default/ana"] == pytest.approx(0.12)
    assert cli("receipts", "verify").code == 0


def test_jobs_are_json_on_request(cli: Command, job: int) -> None:
    (listed,) = cli("jobs", "list", "--json").json["jobs"]
    one = cli("jobs", "show", str(job), "--json").json
    assert one.pop("receipts")
    assert listed == one


def test_no_job_and_an_unknown_one_are_told_apart_from_a_failure(cli: Command) -> None:
    assert cli("jobs", "list").out.strip() == "there are no jobs"
    told = cli("jobs", "show", "9", "--json")
    assert (told.code, told.error["code"]) == (2, "not_found")
    assert cli("jobs", "show", "nine").code == 2
