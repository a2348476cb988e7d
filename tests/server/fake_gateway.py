"""A gateway without data or ledger: it answers from a table of replies and remembers what it was asked."""

import threading
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

from noisegate.ask.answer import Answer, AnswerColumn, BudgetLine, Estimated
from noisegate.ask.interval import Interval
from noisegate.ask.question import Question
from noisegate.errors import NotFound, Unauthorised
from noisegate.gate.access import Asker, Right, require
from noisegate.ledger.records import Role

Json = dict[str, object]
ASKERS = {
    "analyst-token": Asker("ana", Role.ANALYST, None),
    "custodian-token": Asker("cus", Role.CUSTODIAN, None),
    "auditor-token": Asker("aud", Role.AUDITOR, None),
}


def an_answer(value: int = 1_234, *, replayed: bool = False) -> Answer:
    return Answer(
        columns=(AnswerColumn("sex", "str", "", True), AnswerColumn("n", "int", "people", False)),
        rows=(("f", Estimated(value, Interval(value - 4.0, value + 4.0))), ("m", Estimated(7, None))),
        nominal=0.5,
        epsilon=0.5,
        delta=0.0,
        factor=1.0,
        surcharge=0.0,
        mechanisms=("discrete Laplace with scale 2",),
        clamping=(),
        notes=(),
        budget=BudgetLine(spent=0.5, left=9.5, delta=1e-6, more_like_this=19),
        replayed=replayed,
        receipt_id="liver:3",
        receipt_hash="ab" * 32,
    )


def a_statement(kind: str, name: str) -> Json:
    """A statement with one section; what real ones say is tried where they are made."""
    about: Json = {"version": 1, "notes": "", "synthetic": True, "hash": "ab", "question": "", "plan": []}
    about |= {"charged": "2026-01-15T10:00:00+00:00", "result": "An answer was released."}
    section: Json = {"title": "Bias", "says": ["None."], "facts": {}, "proofs": [], "weaknesses": []}
    return {
        "statement": kind,
        "name": name,
        "title": "A small ward",
        "as_of": "2026-01-15T10:00:00+00:00",
        "guideline": "a guideline",
        "software": "Noisegate",
        "about": about,
        "sections": {"bias": section},
    }


# ruff: noqa: ARG002


class FakeGateway:
    """`on_ask` decides what a question gives; by default a fresh answer, and its replay from then on."""

    def __init__(self, on_ask: Callable[[Question], Answer] | None = None) -> None:
        self.on_ask = on_ask or self._answer_or_replay
        self.asked: list[tuple[Question, Asker, str | None]] = []
        self.calls: list[tuple[object, ...]] = []
        self.export: Callable[[], Iterator[bytes]] = lambda: iter((b'{"format":1}\n', b"{}\n" * 1_000))
        self._seen: set[Question] = set()
        self._guard = threading.Lock()

    def _answer_or_replay(self, question: Question) -> Answer:
        with self._guard:
            replayed = question in self._seen
            self._seen.add(question)
        return an_answer(replayed=replayed)

    def authenticate(self, token: str) -> Asker:
        if token not in ASKERS:
            raise Unauthorised("this token is not known")
        return ASKERS[token]

    def ask(self, question: Question, asker: Asker, idempotency_key: str | None) -> Answer:
        require(asker, Right.ASK)
        self.asked.append((question, asker, idempotency_key))
        return self.on_ask(question)

    def slot_ms(self, question: Question, asker: Asker) -> int:
        return 120 if "slow" in question.sql else 40

    def explain(self, question: Question, asker: Asker) -> Json:
        return {"plan": question.sql, "expected_error": [{"name": "n", "half_width": float("inf")}]}

    def datasets(self, asker: Asker) -> list[Json]:
        return [{"name": "liver", "title": "NAFLD cohort"}]

    def budget(self, asker: Asker, account: str | None = None) -> Json:
        self.calls.append(("budget", account))
        return {"accounts": []}

    def odometer(self, asker: Asker, by: str, account: str | None, days: int | None) -> Json:
        self.calls.append(("odometer", by, account, days))
        return {"by": by, "readings": [], "note": ""}

    def grant(
        self,
        asker: Asker,
        dataset: str,
        analyst: str | None,
        epsilon: Fraction,
        delta: Fraction | None,
        *,
        project: str = "default",
        until: str | None = None,
        every: str | None = None,
    ) -> Json:
        require(asker, Right.GRANT_BUDGET)
        self.calls.append(("grant", dataset, analyst, epsilon, delta, project, until, every))
        return {"dataset": dataset}

    def renew(
        self,
        asker: Asker,
        account: str,
        reason: str,
        epsilon: Fraction | None,
        delta: Fraction | None,
        *,
        until: str | None = None,
        every: str | None = None,
    ) -> Json:
        require(asker, Right.GRANT_BUDGET)
        self.calls.append(("renew", account, reason, epsilon, delta, until, every))
        return {"accounts": []}

    def transfer(
        self,
        asker: Asker,
        dataset: str,
        giver: str,
        taker: str,
        epsilon: Fraction,
        *,
        project: str = "default",
    ) -> Json:
        require(asker, Right.GRANT_BUDGET)
        self.calls.append(("transfer", dataset, giver, taker, epsilon, project))
        return {"accounts": []}

    def suspend(self, asker: Asker, account: str, reason: str) -> Json:
        require(asker, Right.SUSPEND_ACCOUNTS)
        self.calls.append(("suspend", account, reason))
        return {"account": account}

    def resume(self, asker: Asker, account: str) -> Json:
        require(asker, Right.SUSPEND_ACCOUNTS)
        self.calls.append(("resume", account))
        return {"account": account}

    def statement(self, asker: Asker, dataset: str) -> Json:
        self.calls.append(("statement", dataset))
        return a_statement("dataset", dataset)

    def release_statement(self, asker: Asker, receipt: str) -> Json:
        self.calls.append(("release_statement", receipt))
        return a_statement("release", receipt)

    def receipts(self, asker: Asker, dataset: str | None, after: str | None, limit: int) -> Json:
        self.calls.append(("receipts", dataset, after, limit))
        return {"receipts": [], "next": "", "more": False}

    def export_receipts(self, asker: Asker, dataset: str | None) -> Iterator[bytes]:
        require(asker, Right.SEE_RECEIPTS)
        self.calls.append(("export_receipts", dataset))
        return self.export()

    def checkpoint(self, asker: Asker) -> Json:
        require(asker, Right.SEE_RECEIPTS)
        return {"heads": {"liver": [3, "ab" * 32]}}

    def verify_receipts(self, asker: Asker) -> Json:
        return {"whole": True}

    def jobs(self, asker: Asker) -> list[Json]:
        return [{"id": 7, "state": "running"}]

    def job(self, asker: Asker, charge: int) -> Json:
        if charge != 7:
            raise NotFound(f"there is no job {charge} here")
        return {"id": 7, "state": "running"}

    def cancel_job(self, asker: Asker, charge: int) -> Json:
        require(asker, Right.CANCEL_JOBS)
        self.job(asker, charge)
        self.calls.append(("cancel_job", charge))
        return {"id": charge, "state": "cancelled"}

    def closed_plans(self, asker: Asker) -> list[Json]:
        require(asker, Right.SEE_RECEIPTS)
        return [{"fingerprint": "f" * 64, "reason": "timeout"}]

    def open_plan(self, asker: Asker, fingerprint: str) -> None:
        require(asker, Right.OPEN_PLANS)
        if fingerprint != "f" * 64:
            raise NotFound("no plan with this fingerprint is closed")

    def create_token(
        self,
        asker: Asker,
        name: str,
        role: str,
        datasets: Sequence[str] | None,
        expires_days: int | None,
        project: str = "default",
    ) -> Json:
        require(asker, Right.MANAGE_TOKENS)
        self.calls.append(("create_token", name, role, datasets, expires_days, project))
        return {"id": "abc", "secret": "ng_abc_def"}

    def list_tokens(self, asker: Asker) -> list[Json]:
        return [{"id": "abc"}]

    def revoke_token(self, asker: Asker, token_id: str) -> None:
        if token_id != "abc":
            raise NotFound(f"there is no token {token_id!r}")

    def health(self) -> Json:
        return {"status": "ok"}

    def overview(self) -> list[Json]:
        return [
            {"name": "liver", "title": "NAFLD <cohort>", "synthetic": False, "epsilon": 10.0, "delta": 1e-6},
            {"name": "clinic", "title": "Made up", "synthetic": True, "epsilon": 5.0, "delta": 0.0},
        ]

    def metrics(self, asker: Asker) -> str:
        require(asker, Right.SEE_ALL_BUDGETS)
        return "noisegate_datasets 2\n"
