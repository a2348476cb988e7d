"""Any sequence of operations against a plain list of charges."""

import tempfile
from fractions import Fraction
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from noisegate.errors import Blocked, BudgetExhausted, Conflict
from noisegate.ledger.store import Account, Charge, IdempotencyKey, Ledger
from noisegate.privacy.curves import gaussian, pure, with_delta
from noisegate.privacy.filter import Limits, admits, capacity
from noisegate.privacy.loss import ZERO

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
LOSSES = (
    ZERO,
    pure(Fraction(1, 10)),
    pure(Fraction(1, 2)),
    gaussian(Fraction(1, 200)),
    with_delta(pure(Fraction(1, 100)), Fraction(1, 10**8)),
    with_delta(gaussian(Fraction(1, 1000)), Fraction(1, 10**7)),
)


class Model(RuleBasedStateMachine):
    """`self.charges` is the list; everything else the ledger says must follow from it."""

    def __init__(self):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.ledger = Ledger.open(Path(self.directory.name) / "state")
        for path, limits in LIMITS.items():
            self.ledger.open_account(Account.at(path, limits))
        self.charges = []
        self.answers = {}
        self.suspended = set()

    def teardown(self):
        self.ledger.shut()
        self.directory.cleanup()

    def sums(self, path):
        mine = [c for c in self.charges if path in c["accounts"]]
        spent = sum((c["loss"] for c in mine), ZERO)
        return spent, sum((c["surcharges"].get(path, ZERO) for c in mine), ZERO)

    @rule(
        leaves=st.sets(st.sampled_from(LEAVES), min_size=1),
        loss=st.sampled_from(LOSSES),
        more=st.sampled_from(LOSSES),
        fingerprint=st.sampled_from("fgh"),
        key=st.none() | st.sampled_from("kl"),
    )
    def charge(self, leaves, loss, more, fingerprint, key):
        accounts = {"/".join(leaf.split("/")[: i + 1]) for leaf in leaves for i in range(leaf.count("/") + 1)}
        datasets = tuple(sorted({leaf.split("/")[1] for leaf in leaves}))
        surcharges = {leaf: more for leaf in leaves if leaf.endswith("ana")}
        fingerprint += ",".join(datasets)
        idempotency = None if key is None else IdempotencyKey("ana", key, fingerprint)
        expected = self.expected(accounts, loss, surcharges, fingerprint, idempotency)
        wanted = Charge(
            accounts=tuple(accounts),
            loss=loss,
            surcharges=surcharges,
            datasets=datasets,
            fingerprint=fingerprint,
            idempotency=idempotency,
        )
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
                    "accounts": accounts,
                    "loss": loss,
                    "surcharges": surcharges,
                    "fingerprint": fingerprint,
                    "key": idempotency,
                    "state": "open",
                }
            )

    def expected(self, accounts, loss, surcharges, fingerprint, idempotency):
        """Return the error that must come, the earlier charge's id, or None for a charge."""
        for c in self.charges if idempotency else ():
            if c["key"] and c["key"].key == idempotency.key:
                same = c["key"] == idempotency and c["state"] == "answered"
                return c["id"] if same else Conflict
        if fingerprint in self.suspended:
            return Blocked
        for path in accounts:
            total = sum(self.sums(path), loss + surcharges.get(path, ZERO))
            if not admits(capacity(LIMITS[path]), total):
                return BudgetExhausted
        return None

    def pick(self, data):
        return data.draw(st.sampled_from(self.charges))

    @precondition(lambda self: self.charges)
    @rule(data=st.data())
    def close(self, data):
        c = self.pick(data)
        try:
            stored = self.ledger.close(c["id"], f'"{c["id"]}"')
        except Conflict:
            assert c["state"] in ("failed", "lost")
            return
        assert c["state"] in ("open", "answered")
        c["state"] = "answered"
        assert stored.answer == self.answers.setdefault(c["fingerprint"], f'"{c["id"]}"')

    @precondition(lambda self: self.charges)
    @rule(data=st.data())
    def fail(self, data):
        c = self.pick(data)
        try:
            self.ledger.fail(c["id"], "timeout")
        except Conflict:
            assert c["state"] in ("answered", "lost")
            return
        if c["state"] == "open":
            self.suspended.add(c["fingerprint"])
        c["state"] = "failed"

    @precondition(lambda self: self.suspended)
    @rule(data=st.data())
    def unsuspend(self, data):
        fingerprint = data.draw(st.sampled_from(sorted(self.suspended)))
        self.ledger.unsuspend(fingerprint)
        self.suspended.remove(fingerprint)

    @rule()
    def reopen(self):
        self.ledger.shut()
        self.ledger = Ledger.open(Path(self.directory.name) / "state")
        for c in self.charges:
            if c["state"] == "open":
                c["state"] = "lost"

    @invariant()
    def the_ledger_says_what_the_list_says(self):
        for balance in self.ledger.accounts():
            assert (balance.spent, balance.surcharge) == self.sums(balance.id)
            assert balance.charges == sum(balance.id in c["accounts"] for c in self.charges)
        for fingerprint in {c["fingerprint"] for c in self.charges}:
            found = self.ledger.find_answer(fingerprint)
            assert (found and found.answer) == self.answers.get(fingerprint)
            assert self.ledger.is_suspended(fingerprint) == (fingerprint in self.suspended)
        report = self.ledger.verify()
        assert (report.fault, report.charges) == (None, len(self.charges))


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=15,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
