"""Any sequence of reserving, drawing, ending, renewing and restarting against a plain list of jobs."""

import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from noisegate.errors import Blocked, BudgetExhausted, Conflict
from noisegate.ledger.records import Charge, JobState
from noisegate.ledger.store import Account, Ledger
from noisegate.privacy.curves import gaussian, pure, with_delta
from noisegate.privacy.filter import Limits, admits, capacity
from noisegate.privacy.loss import INFINITE, ZERO, Loss

LIMITS = {
    "p": Limits.of(Fraction(3), Fraction(1, 10**6)),
    "p/a": Limits.of(Fraction(2), Fraction(1, 10**6)),
    "p/b": Limits.of(Fraction(2), Fraction(0)),
    "p/a/x": Limits.of(Fraction(2), Fraction(1, 10**6)),
    "p/b/x": Limits.of(Fraction(1), Fraction(0)),
    "p/a/x/ana": Limits.of(Fraction(1), Fraction(1, 10**6)),
    "p/b/x/ana": Limits.of(Fraction(1), Fraction(0)),
}
LEAVES = ("p/a/x/ana", "p/b/x/ana")
STEP_LOSSES = (
    ZERO,
    pure(Fraction(1, 10)),
    pure(Fraction(1, 3)),
    gaussian(Fraction(1, 300)),
    with_delta(pure(Fraction(1, 100)), Fraction(1, 10**8)),
)


def path_to(leaf):
    parts = leaf.split("/")
    return {"/".join(parts[: i + 1]) for i in range(len(parts))}


def plain_sum(losses):
    """Exact sums an order, INFINITE where a part is; nothing here comes near 64 bits."""
    entries = [(*loss.renyi, loss.delta) for loss in losses]
    sums = [INFINITE if INFINITE in column else sum(column) for column in zip(*entries, strict=True)]
    return Loss(tuple(sums[:-1]), sums[-1]) if sums else ZERO


class Jobs(RuleBasedStateMachine):
    """`self.held` lists jobs and single charges; everything the ledger says must follow from it."""

    make_url: Callable[[], str | None]

    def __init__(self):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.url = self.make_url()
        self.ledger = self.open()
        for path, limits in LIMITS.items():
            self.ledger.open_account(Account.at(path, limits))
        self.held = []
        self.period = dict.fromkeys(LIMITS, 1)

    def open(self):
        return Ledger.open(Path(self.directory.name) / "state", url=self.url)

    def teardown(self):
        self.ledger.shut()
        self.directory.cleanup()

    def counted(self, path, *, lifetime=False):
        """What an account counts: what every job reserved while it runs, afterwards what it drew.

        Where a job had no bound it never gets one back.
        """
        taken = []
        for held in self.held:
            if path in held["periods"] and (lifetime or held["periods"][path] == self.period[path]):
                kept = held["reserved"]
                if held["state"] not in ("running", "single"):
                    kept = plain_sum([held["drawn"], unbounded(held["reserved"])])
                taken.append(kept)
        return plain_sum(taken)

    def charge(self, leaves, loss, steps):
        accounts = set().union(*map(path_to, leaves))
        number = len(self.held)
        wanted = Charge(
            accounts=tuple(accounts),
            loss=loss,
            datasets=tuple(sorted({leaf.split("/")[1] for leaf in leaves})),
            fingerprint=f"f{number}",
            asker="ana",
            tier="clinical",
            steps=steps,
        )
        fits = all(admits(capacity(LIMITS[a]), self.counted(a) + loss) for a in accounts)
        try:
            charge = self.ledger.charge(wanted).id
        except BudgetExhausted:
            assert not fits
            return
        assert fits
        self.held.append(
            {
                "charge": charge,
                "periods": {a: self.period[a] for a in accounts},
                "reserved": loss,
                "drawn": ZERO,
                "steps": steps,
                "steps_drawn": 0,
                "state": "single" if steps is None else "running",
            }
        )

    @rule(
        leaves=st.sets(st.sampled_from(LEAVES), min_size=1),
        each=st.sampled_from(STEP_LOSSES),
        steps=st.integers(1, 4),
    )
    def reserve(self, leaves, each, steps):
        self.charge(leaves, plain_sum([each] * steps), steps)

    @rule(leaf=st.sampled_from(LEAVES), loss=st.sampled_from(STEP_LOSSES))
    def ask(self, leaf, loss):
        self.charge({leaf}, loss, None)

    def job(self, data):
        return data.draw(st.sampled_from([h for h in self.held if h["steps"] is not None]))

    @precondition(lambda self: any(h["steps"] for h in self.held))
    @rule(data=st.data(), loss=st.sampled_from(STEP_LOSSES), steps=st.integers(1, 3))
    def draw(self, data, loss, steps):
        job = self.job(data)
        drawn = plain_sum([job["drawn"], loss])
        within = zip(
            (*drawn.renyi, drawn.delta), (*job["reserved"].renyi, job["reserved"].delta), strict=True
        )
        try:
            self.ledger.draw(job["charge"], loss, steps)
        except Conflict:
            assert job["state"] != "running"
        except BudgetExhausted:
            assert any(d > r for d, r in within) or job["steps_drawn"] + steps > job["steps"]
        else:
            assert job["state"] == "running"
            assert all(d <= r for d, r in within)
            job["drawn"] = drawn
            job["steps_drawn"] += steps
            assert job["steps_drawn"] <= job["steps"]

    @precondition(lambda self: any(h["steps"] for h in self.held))
    @rule(data=st.data(), state=st.sampled_from(["finished", "failed", "cancelled"]))
    def end(self, data, state):
        job = self.job(data)
        unpaid = job["steps_drawn"] == 0 and job["reserved"] != ZERO
        free = (job["state"], state) == ("running", "finished") and unpaid
        try:
            self.ledger.end_job(
                job["charge"], JobState(state), "{}" if state == "finished" else None, reason="timeout"
            )
        except Conflict:
            assert job["state"] not in ("running", state) or free
        else:
            assert job["state"] in ("running", state)
            assert not free
            job["state"] = state

    @rule(path=st.sampled_from(sorted(LIMITS)))
    def renew(self, path):
        self.ledger.renew(path, None, until=None, by="cus")
        self.period[path] += 1

    @rule()
    def reopen(self):
        self.ledger.shut()
        self.ledger = self.open()

    @rule(path=st.sampled_from(sorted(LIMITS)))
    def suspend_and_resume(self, path):
        self.ledger.suspend(path, "an audit", by="cus")
        for held in self.held:
            if held["state"] == "running" and path in held["periods"] and held["steps_drawn"] < held["steps"]:
                try:
                    self.ledger.draw(held["charge"], ZERO)
                except Blocked:
                    continue
                raise AssertionError("a step was drawn from a suspended account")
        self.ledger.resume(path, by="cus")

    @invariant()
    def the_ledger_says_what_the_list_says(self):
        for balance in self.ledger.accounts():
            assert balance.spent == self.counted(balance.id)
            assert balance.lifetime.spent == self.counted(balance.id, lifetime=True)
            begun = plain_sum(
                [
                    h["reserved"] if h["state"] == "single" else h["drawn"]
                    for h in self.held
                    if h["periods"].get(balance.id) == self.period[balance.id]
                ]
            )
            assert admits(balance.capacity, begun)
            assert all(b <= s for b, s in zip(begun.renyi, balance.spent.renyi, strict=True))
        for held in self.held:
            job = self.ledger.job(held["charge"])
            if held["steps"] is None:
                assert job is None
            else:
                assert (job.state.value, job.reserved, job.drawn, job.steps, job.steps_drawn) == tuple(
                    held[name] for name in ("state", "reserved", "drawn", "steps", "steps_drawn")
                )
        report = self.ledger.verify()
        assert (report.fault, report.charges) == (None, len(self.held))


def unbounded(loss):
    """INFINITE where a loss is, and nothing elsewhere."""
    return Loss(tuple(r if r == INFINITE else 0 for r in loss.renyi))


def test_jobs_agree_with_a_plain_list(store, make_url):
    class OfStore(Jobs):
        """The same on one of the stores."""

    OfStore.make_url = staticmethod(make_url)
    run_state_machine_as_test(
        OfStore,
        settings=settings(
            max_examples=8 if store == "sqlite" else 4,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
