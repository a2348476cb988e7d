"""Books that were forged by someone who can write to the database, hashes and all, and has no signing key."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from threading import Event

import pytest

from noisegate.errors import LedgerUnavailable, Throttled
from noisegate.ledger import audit, charges, decide, jobs, periods, states
from noisegate.ledger.decide import Taken
from noisegate.ledger.receipts import link
from noisegate.ledger.records import JobState, ReceiptKind, canonical, charge_body
from noisegate.ledger.signing import Signer
from noisegate.ledger.sqlite import LEDGER_FILE
from noisegate.ledger.store import Account, Charge, Daily, Ledger
from noisegate.privacy.filter import Limits
from noisegate.privacy.loss import INFINITE, ZERO, Loss

ANA = "olmsted/liver/default/ana"
BEN = "olmsted/liver/default/ben"
PURE = Limits.of(Fraction(1, 10), Fraction(0))


@pytest.fixture
def store():
    """The check is the same for every store."""
    return "sqlite"


def fault(house):
    return house.ledger.verify().fault


def tamper(house, change):
    with closing(sqlite3.connect(house.directory / LEDGER_FILE, isolation_level=None)) as connection:
        assert connection.execute(change).rowcount == 1


def append(house, kind, body, charge=None):
    with closing(sqlite3.connect(house.directory / LEDGER_FILE, isolation_level=None)) as connection:
        seq, head, at = connection.execute(
            "SELECT seq, hash, at FROM chain WHERE dataset = 'liver'"
        ).fetchone()
        r = link(head, "liver", seq + 1, kind, charge, at, body)
        row = (r.dataset, r.seq, r.kind.value, r.charge, r.at, r.body, r.previous, r.hash)
        connection.execute("INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute("UPDATE chain SET seq = ?, hash = ? WHERE dataset = 'liver'", (r.seq, r.hash))


def test_a_share_that_another_key_signed_is_found_unless_that_key_is_known(timed, tmp_path):
    other = Signer.open(tmp_path)
    timed.ledger._writer.run(lambda t: periods.renew(t, ANA, PURE, None, "mallory", "", other))
    assert f"is signed by {other.public}, which is no key of this ledger" in fault(timed)
    timed.ledger.shut()
    timed.ledger = Ledger.open(timed.directory, clock=timed.clock, known_keys=[other.public])
    report = timed.ledger.verify()
    assert report.fault is None
    assert report.keys == {timed.ledger.signer.public, other.public}


def first_form(body, _):
    """Write an opening as the first schema did."""
    return canonical({k: v for k, v in body.items() if k not in ("by", "lifetime", "period")})


def test_an_unsigned_account_below_a_signed_one_is_found(timed, monkeypatch):
    """On a chain of its own, which has no signed entry before it, within the second of the others."""
    monkeypatch.setattr(periods, "signed", first_form)
    timed.ledger.open_account(Account.at("olmsted/heart", PURE))
    assert "the opening of account 'olmsted/heart' is not signed" in fault(timed)


def test_an_unsigned_account_that_is_later_than_a_signed_one_is_found(timed, monkeypatch):
    tamper(timed, "UPDATE ledger SET created = 99999999999")
    timed.clock.seconds += 1
    monkeypatch.setattr(periods, "signed", first_form)
    timed.ledger.open_account(Account.at("rochester", PURE))
    assert "later than one that is signed" in fault(timed)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"accounts": ("olmsted",)}, "names the datasets whose accounts it charges"),
        ({"datasets": ("liver", "panel")}, "names the datasets whose accounts it charges"),
        ({"accounts": ("olmsted", "olmsted/liver", "olmsted/panel")}, "names the datasets"),
        ({"accounts": ("olmsted", "olmsted/liver", "rochester")}, "belong to one population"),
        ({"surcharges": {"olmsted/liver": ZERO}}, "only analysts' accounts"),
        ({"fingerprint": ""}, "has a fingerprint"),
        ({"steps": 0}, "at least one step"),
        ({"daily": Daily(1, 1)}, "is one of a tier"),
    ],
)
def test_a_charge_that_is_none_is_found(timed, monkeypatch, change, why):
    timed.open_path("olmsted/panel")
    timed.open_path("rochester")
    wanted = timed.wanted("f")
    monkeypatch.setattr(Charge, "__post_init__", lambda _: None)
    cooked = charge_body(replace(wanted, **change))
    monkeypatch.undo()
    named = change.get("accounts", wanted.accounts)
    body = cooked[0] + canonical(dict.fromkeys(named, 1)) + cooked[1]
    append(timed, ReceiptKind.CHARGE, body, 1)
    assert why in fault(timed)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(":", ": ", 1),
        lambda text: text.replace('"reason":', '"reason":"another","reason":'),
        lambda text: text.replace('"by":"cleo",', "").replace("}", ',"by":"cleo"}'),
    ],
)
def test_a_body_that_can_be_read_in_two_ways_is_found(timed, monkeypatch, change):
    monkeypatch.setattr(states, "canonical", lambda body: change(canonical(body)))
    timed.ledger.suspend("olmsted/liver", "r", by="cleo")
    assert "is not in canonical form" in fault(timed)


MUCH = {"renyi": [10**12] * 17, "delta": 0}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("renewed", {"account": ANA, "epsilon": "1/0", "delta": "0", "delta_keys": "0"}),
        ("renewed", {"account": ANA, "epsilon": "1e999999999999", "delta": "0", "delta_keys": "0"}),
        ("renewed", {"account": ANA, "epsilon": 1, "delta": "0", "delta_keys": "0"}),
        ("renewed", {"account": None}),
        ("renewed", {}),
        ("suspended", '{"account":' + "[" * 100_000 + "]" * 100_000 + "}"),
        ("suspended", "[]"),
        ("suspended", "{"),
        ("suspended", '{"account":NaN}'),
        ("charge", {"surcharges": []}),
        ("charge", {"loss": None}),
        ("charge", {"loss": {"renyi": [0.5] * 17, "delta": 0}}),
        ("charge", {"loss": {"renyi": [True] * 17, "delta": 0}}),
        ("charge", {"loss": {"renyi": [10**30] * 17, "delta": 0}}),
        ("charge", {"accounts": {}}),
        ("charge", {"daily": [1]}),
        ("charge", {"daily": ["1", "2"]}),
        ("charge", {"periods": {ANA: 1.0}}),
        ("charge", {"public": []}),
        ("finished", {"drawn": MUCH, "returned": MUCH, "steps": 3, "steps_drawn": 3, "state": "finished"}),
        ("finished", {"drawn": MUCH, "returned": MUCH, "steps": 3, "steps_drawn": "3", "state": []}),
        ("answer", {"answer_of": [], "sha256": None}),
    ],
)
def test_cooked_books_are_a_fault_whatever_reading_them_raises(timed, kind, body):
    job = timed.ledger.charge(replace(timed.wanted("f"), steps=3)).id
    assert fault(timed) is None
    number = job + (kind == "charge")
    if kind == "charge":
        body = timed.ledger.receipts_of(job, ReceiptKind.CHARGE)[0].content() | body
    text = body if isinstance(body, str) else canonical(body)
    of = number if kind in ("charge", "finished", "answer") else None
    append(timed, ReceiptKind(kind), text, of)
    assert fault(timed) is not None


def test_a_ledger_that_cannot_be_read_is_no_cooked_one(timed):
    timed.ledger.shut()
    with pytest.raises(LedgerUnavailable):
        timed.ledger.verify()


@pytest.mark.parametrize("resumed", [False, True])
def test_a_charge_on_a_suspended_population_is_found(timed, monkeypatch, resumed):
    timed.ledger.suspend("olmsted", "a question", by="cleo")
    timed.ledger.resume("olmsted", by="cleo")
    timed.ledger.charge(timed.wanted("f"))
    timed.ledger.suspend("olmsted", "a question", by="cleo")
    assert fault(timed) is None  # all within one second, whose order nothing tells
    monkeypatch.setattr(decide, "why_closed", lambda *_: None)
    timed.clock.seconds += 1
    timed.ledger.charge(timed.wanted("g"))
    timed.clock.seconds += 1
    if resumed:
        timed.ledger.resume("olmsted", by="cleo")
    assert "while account 'olmsted' was suspended" in fault(timed)


def test_a_charge_that_is_counted_in_a_populations_former_period_is_found(timed, monkeypatch):
    timed.ledger.renew("olmsted", None, until=None, by="cleo")
    timed.clock.seconds += 1
    monkeypatch.setattr(decide, "Taken", lambda periods: Taken({**periods, "olmsted": 1}))
    timed.ledger.charge(timed.wanted("f"))
    former = ", ".join(f"former_{i} = spent_{i}, spent_{i} = 0" for i in range(17))
    tamper(timed, f"UPDATE account SET {former}, former_charges = 1, charges = 0 WHERE id = 'olmsted'")
    assert "account 'olmsted' was charged outside of period 1" in fault(timed)


def test_a_charge_past_the_maximum_of_the_day_is_found(timed, monkeypatch):
    wanted = replace(timed.wanted("f"), tier="clinical", daily=Daily(5, 9))
    timed.ledger.charge(wanted)
    assert fault(timed) is None
    monkeypatch.setattr(charges, "charge_body", lambda c: charge_body(replace(c, daily=Daily(4, 8))))
    tamper(timed, "UPDATE tally SET amount = 4")  # so that the ledger lets it pass
    timed.ledger.charge(replace(wanted, fingerprint="g"))
    assert "past its maximum of the day" in fault(timed)


def test_a_job_with_an_answer_that_nothing_was_drawn_for_is_found(timed, monkeypatch):
    job = timed.ledger.charge(replace(timed.wanted("f"), steps=2)).id
    monkeypatch.setattr(jobs, "ZERO", timed.cent)
    timed.ledger.end_job(job, JobState.FINISHED, "{}")
    assert timed.ledger.find_account(ANA).spent == ZERO
    assert "has an answer, and has drawn nothing for it" in fault(timed)


def test_a_job_of_no_loss_may_end_with_nothing_drawn(timed):
    job = timed.ledger.charge(replace(timed.wanted("f", ZERO), steps=2)).id
    timed.ledger.end_job(job, JobState.FINISHED, "{}")
    assert fault(timed) is None


def test_a_job_that_ended_otherwise_than_its_charge_is_found(timed, monkeypatch):
    """A cancelled one whose answer is released all the same."""
    job = timed.ledger.charge(replace(timed.wanted("f"), steps=2)).id
    timed.ledger.draw(job, timed.cent)
    plain = jobs._settle
    monkeypatch.setattr(jobs, "_settle", lambda t, j, *_: plain(t, j, JobState.FINISHED, "{}", ""))
    timed.ledger.end_job(job, JobState.CANCELLED)
    assert f"job {job} has ended otherwise than its charge" in fault(timed)


def test_a_sum_that_once_had_no_bound_has_none_for_good(timed):
    """As in the ledger: what a transfer then has left to move is what the ledger said."""
    timed.open_path(BEN)
    huge = Loss((10**6,) * 16 + (6 * 10**18,))
    for i in range(2):
        timed.ledger.charge(replace(timed.wanted(f"job {i}", huge), steps=2))
    for i in (1, 2):
        timed.ledger.end_job(i, JobState.CANCELLED)
    timed.ledger.charge(timed.wanted("f", timed.cent.times(50)))
    assert timed.ledger.find_account(ANA).spent.renyi[-1] == INFINITE
    timed.ledger.transfer(ANA, BEN, Fraction(1), by="cleo")
    assert fault(timed) is None


def test_sums_that_were_never_out_of_bounds_at_once_keep_theirs(timed):
    timed.open_path(BEN)
    huge = Loss((10**6,) * 16 + (6 * 10**18,))
    for i in range(3):
        job = timed.ledger.charge(replace(timed.wanted(f"job {i}", huge), steps=2)).id
        timed.ledger.end_job(job, JobState.CANCELLED)
    timed.ledger.charge(timed.wanted("f", timed.cent.times(50)))
    assert timed.ledger.find_account(ANA).spent == timed.cent.times(50)
    timed.ledger.transfer(ANA, BEN, Fraction(1), by="cleo")
    assert fault(timed) is None


def test_one_check_runs_at_a_time_and_takes_no_session_from_others(timed, monkeypatch):
    monkeypatch.setattr(timed.ledger, "_reading", None)
    assert timed.ledger.verify().whole
    started, go_on = Event(), Event()
    plain = audit.verify_rows

    def slow(*given):
        started.set()
        assert go_on.wait(20)
        return plain(*given)

    monkeypatch.setattr(audit, "verify_rows", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(timed.ledger.verify)
        assert started.wait(20)
        with pytest.raises(Throttled, match="is being checked already"):
            timed.ledger.verify()
        go_on.set()
        assert first.result().whole
    assert timed.ledger.verify().whole
