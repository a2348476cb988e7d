"""Any sequence of operations against plain lists: of shares of budget, and of charges."""

import math
import tempfile
from fractions import Fraction
from pathlib import Path

import pytest
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
from noisegate.ledger.records import JobState
from noisegate.ledger.store import Account, AccountState, Charge, Daily, IdempotencyKey, Ledger
from noisegate.privacy.curves import gaussian, pure, with_delta
from noisegate.privacy.filter import Limits, admits, capacity, spent_epsilon
from noisegate.privacy.loss import INFINITE, NANO, ZERO, Loss

LIMITS = {
    "p": Limits.of(Fraction(3), Fraction(1, 10**6)),
    "p/a": Limits.of(Fraction(2), Fraction(1, 10**6)),
    "p/b": Limits.of(Fraction(2), Fraction(0)),
    "p/a/x": Limits.of(Fraction(5), Fraction(1, 10**5)),
    "p/b/x": Limits.of(Fraction(1), Fraction(0)),
    "p/a/x/ana": Limits.of(Fraction(1), Fraction(1, 10**6)),
    "p/a/x/ben": Limits.of(Fraction(2), Fraction(1, 10**6)),
    "p/b/x/ana": Limits.of(Fraction(1), Fraction(0)),
}
LEAVES = ("p/a/x/ana", "p/a/x/ben", "p/b/x/ana", "p/b")
ANALYSTS = tuple(n for n in LEAVES if n.count("/") == 3)
SIBLINGS = (("p/a/x/ana", "p/a/x/ben"), ("p/a/x/ben", "p/a/x/ana"), ("p/a", "p/b"), ("p/b", "p/a"))
LOSSES = (
    ZERO,
    pure(Fraction(1, 10)),
    pure(Fraction(1, 2)),
    gaussian(Fraction(1, 200)),
    with_delta(pure(Fraction(1, 100)), Fraction(1, 10**8)),
    with_delta(gaussian(Fraction(1, 1000)), Fraction(1, 10**7)),
)
DAY, DAILY = 86_400, 3


def kept_of(reserved, drawn):
    """What a job that has ended cost: what it drew, and without a bound where it had reserved none."""
    pairs = zip((*reserved.renyi, reserved.delta), (*drawn.renyi, drawn.delta), strict=True)
    parts = tuple(INFINITE if r == INFINITE else d for r, d in pairs)
    return Loss(parts[:-1], parts[-1])


class Model(RuleBasedStateMachine):
    """`shares` and `charges` are the lists; everything else the ledger says must follow from them."""

    def __init__(self, url):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.url = url
        self.now = 20_000 * DAY
        self.open()
        self.shares = {}
        for path, limits in LIMITS.items():
            self.ledger.open_account(Account.at(path, limits))
            self.shares[path] = [(limits, self.now, None)]
        self.states = dict.fromkeys(LIMITS, AccountState.OPEN)
        self.strikes = dict.fromkeys(LIMITS, 0)
        self.charges = []
        self.answers = {}
        self.suspended = set()

    def open(self):
        directory = Path(self.directory.name) / "state"
        self.ledger = Ledger.open(directory, url=self.url, clock=lambda: self.now)

    def teardown(self):
        self.ledger.shut()
        self.directory.cleanup()

    def sums(self, path, *, lifetime=False):
        """What was spent in the present period, or in all, and the surcharge of the present one."""
        mine = [
            c
            for c in self.charges
            if lifetime or c["periods"].get(path) == len(self.shares[path])
            if path in c["periods"]
        ]
        return (
            sum((c["kept"] for c in mine), ZERO),
            sum((c["surcharges"].get(path, ZERO) for c in mine), ZERO),
            len(mine),
        )

    def closed(self, path):
        until = self.shares[path][-1][2]
        return self.states[path] is not AccountState.OPEN or (until is not None and self.now >= until)

    @rule(seconds=st.sampled_from([1, 3600, DAY - 1, DAY]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule(
        leaves=st.sets(st.sampled_from(LEAVES), min_size=1),
        loss=st.sampled_from(LOSSES),
        more=st.sampled_from(LOSSES),
        fingerprint=st.sampled_from("fgh"),
        key=st.none() | st.sampled_from("kl"),
        tier=st.sampled_from(["", "clinical", "genomic"]),
        amount=st.integers(0, DAILY),
        steps=st.sampled_from([None, None, 2, 3]),
    )
    def charge(self, leaves, loss, more, fingerprint, key, tier, amount, steps):
        accounts = {"/".join(leaf.split("/")[: i + 1]) for leaf in leaves for i in range(leaf.count("/") + 1)}
        datasets = tuple(sorted({leaf.split("/")[1] for leaf in leaves}))
        fingerprint += ",".join(datasets)
        wanted = Charge(
            accounts=tuple(accounts),
            loss=loss if steps is None else loss.times(steps),
            surcharges={leaf: more for leaf in leaves if leaf.endswith("ana")},
            datasets=datasets,
            fingerprint=fingerprint,
            idempotency=None if key is None else IdempotencyKey("ana", key, fingerprint),
            asker=min(leaves)[-3:],
            tier=tier,
            daily=Daily(amount, DAILY) if tier else None,
            steps=steps,
        )
        expected = self.expected(wanted)
        try:
            charged = self.ledger.charge(wanted)
        except (BudgetExhausted, Blocked, Conflict) as error:
            seen = type(error)
        else:
            seen = charged.id if charged.earlier else None
        assert seen == expected
        if seen is None:
            self.charges.append(
                {
                    "id": charged.id,
                    "charge": wanted,
                    "periods": {path: len(self.shares[path]) for path in accounts},
                    "step": loss,
                    "drawn": 0,
                    "kept": wanted.loss,
                    "amount": amount if tier else 0,
                    "surcharges": wanted.surcharges,
                    "fingerprint": fingerprint,
                    "key": wanted.idempotency,
                    "at": self.now,
                    "state": "open",
                }
            )

    def expected(self, wanted):
        """Return the error that must come, the earlier charge's id, or None for a charge."""
        for c in self.charges if wanted.idempotency else ():
            if c["key"] and c["key"].key == wanted.idempotency.key:
                same = c["key"] == wanted.idempotency and c["state"] == "answered"
                return c["id"] if same else Conflict
        if wanted.fingerprint in self.suspended or any(map(self.closed, wanted.accounts)):
            return Blocked
        for path in wanted.accounts:
            spent, surcharge, _ = self.sums(path)
            total = spent + surcharge + wanted.loss + wanted.surcharges.get(path, ZERO)
            if not admits(capacity(self.shares[path][-1][0]), total):
                return BudgetExhausted
            today = self.tallies().get((path, self.now // DAY, wanted.tier), (0, 0, 0, 0))[3]
            if wanted.daily and path in ANALYSTS and today + wanted.daily.amount > DAILY:
                return BudgetExhausted
        return None

    def tallies(self):
        told = {}
        for c in self.charges:
            for path in set(c["periods"]) & set(ANALYSTS):
                key = (path, c["at"] // DAY, c["charge"].tier)
                count, spent, surcharge, amount = told.get(key, (0, ZERO, ZERO, 0))
                more = c["surcharges"].get(path, ZERO)
                told[key] = (count + 1, spent + c["kept"], surcharge + more, amount + c["amount"])
        return told

    def pick(self, data, *, job):
        return data.draw(st.sampled_from([c for c in self.charges if (c["charge"].steps is not None) == job]))

    @precondition(lambda self: any(c["charge"].steps is None for c in self.charges))
    @rule(data=st.data())
    def close(self, data):
        c = self.pick(data, job=False)
        try:
            stored = self.ledger.close(c["id"], f'"{c["id"]}"')
        except Conflict:
            assert c["state"] in ("failed", "lost")
            return
        assert c["state"] in ("open", "answered")
        c["state"] = "answered"
        assert stored.answer == self.answers.setdefault(c["fingerprint"], f'"{c["id"]}"')

    @precondition(lambda self: any(c["charge"].steps is None for c in self.charges))
    @rule(data=st.data())
    def fail(self, data):
        c = self.pick(data, job=False)
        try:
            self.ledger.fail(c["id"], "timeout")
        except Conflict:
            assert c["state"] in ("answered", "lost")
            return
        if c["state"] == "open":
            self.suspended.add(c["fingerprint"])
        c["state"] = "failed"

    @precondition(lambda self: any(c["charge"].steps is not None for c in self.charges))
    @rule(data=st.data())
    def draw(self, data):
        c = self.pick(data, job=True)
        suspended = any(self.states[path] is not AccountState.OPEN for path in c["periods"])
        if c["state"] != "open":
            expected = Conflict
        elif c["drawn"] == c["charge"].steps:
            expected = BudgetExhausted
        elif suspended or c["fingerprint"] in self.suspended:
            expected = Blocked
        else:
            expected = None
        seen = None
        try:
            job = self.ledger.draw(c["id"], c["step"])
        except (Conflict, Blocked, BudgetExhausted) as error:
            seen = type(error)
        assert seen is expected
        if seen is None:
            c["drawn"] += 1
            assert (job.drawn, job.steps_drawn) == (c["step"].times(c["drawn"]), c["drawn"])

    @precondition(lambda self: any(c["charge"].steps is not None for c in self.charges))
    @rule(data=st.data(), state=st.sampled_from([JobState.FINISHED, JobState.FAILED, JobState.CANCELLED]))
    def end(self, data, state):
        c = self.pick(data, job=True)
        becomes = {JobState.FINISHED: "answered", JobState.FAILED: "failed", JobState.CANCELLED: "lost"}[
            state
        ]
        answer = f'"{c["id"]}"' if state is JobState.FINISHED else None
        drawn = c["step"].times(c["drawn"])
        # An answer of a schedule that loses something needs a step that was drawn for it.
        free = (c["state"], state) == ("open", JobState.FINISHED) and not c["drawn"]
        free = free and c["charge"].loss != ZERO
        try:
            self.ledger.end_job(c["id"], state, answer)
        except Conflict:
            assert c["state"] not in ("open", becomes) or free
            return
        assert c["state"] in ("open", becomes)
        assert not free
        if c["state"] == "open":
            c["state"], steps = becomes, c["charge"].steps
            c["kept"] = kept_of(c["charge"].loss, drawn)
            parts = zip(
                (*drawn.renyi, drawn.delta), (*c["charge"].loss.renyi, c["charge"].loss.delta), strict=True
            )
            shares = [Fraction(c["drawn"], steps), *(Fraction(d, w) for d, w in parts if w)]
            c["amount"] = math.ceil(c["amount"] * max(shares))
            if state is JobState.FINISHED:
                self.answers.setdefault(c["fingerprint"], answer)
            if state is JobState.FAILED:
                self.suspended.add(c["fingerprint"])

    @precondition(lambda self: self.suspended)
    @rule(data=st.data())
    def unsuspend(self, data):
        fingerprint = data.draw(st.sampled_from(sorted(self.suspended)))
        self.ledger.unsuspend(fingerprint)
        self.suspended.remove(fingerprint)

    @rule(
        path=st.sampled_from(sorted(LIMITS)),
        limits=st.none() | st.sampled_from(list(LIMITS.values())),
        lasts=st.none() | st.sampled_from([1, DAY, 3 * DAY]),
    )
    def renew(self, path, limits, lasts):
        until = None if lasts is None else self.now + lasts
        balance = self.ledger.renew(path, limits, until=until, by="cleo")
        self.shares[path].append((limits or self.shares[path][-1][0], self.now, until))
        assert balance == self.ledger.find_account(path)

    @rule(pair=st.sampled_from(SIBLINGS), part=st.sampled_from([Fraction(1, 3), Fraction(1), Fraction(5, 4)]))
    def transfer(self, pair, part):
        left = []
        for path in pair:
            limits = self.shares[path][-1][0]
            spent, surcharge, _ = self.sums(path)
            units = (limits.epsilon - spent_epsilon(limits, spent + surcharge)) * NANO // 1
            left.append(max(Fraction(units, NANO), Fraction(0)))
        moved = max(Fraction(left[0] * part * NANO // 1, NANO), Fraction(1, NANO))
        expected = None
        if any(map(self.closed, pair)):
            expected = Conflict
        elif left[0] - moved < Fraction(1, 10**6):
            expected = BudgetExhausted
        seen = None
        try:
            self.ledger.transfer(*pair, moved, by="cleo")
        except (Conflict, BudgetExhausted) as error:
            seen = type(error)
        assert seen is expected
        if seen is not None:
            return
        for path, epsilon in zip(pair, (left[0] - moved, left[1] + moved), strict=True):
            limits, _, until = self.shares[path][-1]
            self.shares[path].append((Limits(epsilon, limits.delta, limits.delta_keys), self.now, until))

    @rule(path=st.sampled_from(sorted(LIMITS)))
    def suspend(self, path):
        try:
            self.ledger.suspend(path, "a reason", by="cleo")
        except Conflict:
            assert self.states[path] is AccountState.SUSPENDED
        self.states[path] = AccountState.SUSPENDED

    @rule(data=st.data())
    def resume(self, data):
        closed = [path for path, state in self.states.items() if state is not AccountState.OPEN]
        path = data.draw(st.sampled_from(closed or sorted(LIMITS)))
        try:
            self.ledger.resume(path, by="cleo")
        except Conflict:
            assert (self.states[path], self.strikes[path]) == (AccountState.OPEN, 0)
        self.states[path], self.strikes[path] = AccountState.OPEN, 0

    @rule(paths=st.sets(st.sampled_from(ANALYSTS), min_size=1, max_size=2))
    def strike(self, paths):
        self.ledger.strike(tuple(paths), "restricted_column", 2, {"question": "SELECT 1"})
        for path in paths:
            if self.states[path] is AccountState.OPEN:
                self.strikes[path] += 1
                if self.strikes[path] == 2:
                    self.states[path] = AccountState.LOCKED

    @rule()
    def reopen(self):
        self.ledger.shut()
        self.open()
        for c in self.charges:
            if c["state"] == "open" and c["charge"].steps is None:
                c["state"] = "lost"

    @invariant()
    def the_ledger_says_what_the_lists_say(self):
        for balance in self.ledger.accounts():
            path, shares = balance.id, self.shares[balance.id]
            assert (balance.spent, balance.surcharge, balance.charges) == self.sums(path)
            assert (balance.limits, balance.period.since, balance.period.until) == shares[-1]
            assert (balance.period.number, balance.capacity) == (len(shares), capacity(shares[-1][0]))
            spent, _, count = self.sums(path, lifetime=True)
            assert (balance.lifetime.spent, balance.lifetime.charges) == (spent, count)
            assert balance.lifetime.epsilon == sum(share[0].epsilon for share in shares)
            assert balance.lifetime.delta == sum(share[0].delta for share in shares)
            assert (balance.state, balance.strikes) == (self.states[path], self.strikes[path])
        for fingerprint in {c["fingerprint"] for c in self.charges}:
            found = self.ledger.find_answer(fingerprint)
            assert (found and found.answer) == self.answers.get(fingerprint)
            assert self.ledger.is_suspended(fingerprint) == (fingerprint in self.suspended)
        told = {
            (t.account, t.day, t.tier): (t.charges, t.spent, t.surcharge, t.amount)
            for t in self.ledger.tallies()
        }
        assert told == self.tallies()
        for asker in ("ana", "ben"):
            single = [
                c["id"] for c in self.charges if c["charge"].asker == asker and c["charge"].steps is None
            ]
            assert [a.charge for a in self.ledger.asked(asker, 5)] == sorted(single, reverse=True)[:5]
        report = self.ledger.verify()
        assert (report.fault, report.charges) == (None, len(self.charges))


def run(make_url, examples, steps):
    run_state_machine_as_test(
        lambda: Model(make_url()),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_history_is_what_plain_lists_say(store, make_url):
    run(make_url, *((15, 25) if store == "sqlite" else (3, 20)))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_long_histories_are_what_plain_lists_say(store, make_url):
    run(make_url, *((300, 60) if store == "sqlite" else (40, 60)))
