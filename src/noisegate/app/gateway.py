"""The one object in front of everything: what `server/` and the command line speak to."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from noisegate.app import budgets, jobs, receipts, spending, statements
from noisegate.app.genomes import Genomes
from noisegate.ask.answer import Answer
from noisegate.ask.desk import Desk
from noisegate.ask.explain import explain
from noisegate.ask.question import Question
from noisegate.ask.suggest import suggest
from noisegate.catalog.describe import describe_dataset
from noisegate.catalog.model import Dataset
from noisegate.errors import BadInput, LedgerUnavailable, NotFound, RestrictedColumn, Unauthorised
from noisegate.gate.access import Asker, Right, asker_of, require
from noisegate.gate.door import PROJECT
from noisegate.ledger.keeper import Keeper
from noisegate.ledger.records import ReceiptKind, Role, Suspended, Token

Json = dict[str, object]


class Gateway:
    """All that can be asked of Noisegate; what `server/` and the command line speak to. Thread-safe."""

    def __init__(self, desk: Desk, genomes: Genomes, keeper: Keeper | None = None) -> None:
        """Take everything that asking needs, genomes, and what keeps checkpoints; use `open_gateway`."""
        self._desk = desk
        self.genomes = genomes
        self._keeper = keeper
        self._catalog = desk.catalog
        self._ledger = desk.ledger

    # Questions

    def authenticate(self, token: str) -> Asker:
        """Return who holds a token. Raises Unauthorised where nobody validly does."""
        found = self._ledger.find_token(token)
        if found is None:
            raise Unauthorised(
                "this token is unknown, revoked or expired", "ask the custodian of the data for a new one"
            )
        return asker_of(found)

    def ask(self, question: Question, asker: Asker, idempotency_key: str | None) -> Answer:
        """Answer a question and charge for it, or replay its stored answer."""
        return self._desk.ask(question, asker, idempotency_key)

    def slot_ms(self, question: Question, asker: Asker) -> int:
        """Return before how many milliseconds a fresh answer does not leave, from declared maxima alone.

        A restricted question has no slot: `ask` refuses it, and counts it.
        """
        try:
            return self._desk.prepare(question, asker).work.slot_ms
        except RestrictedColumn:
            return 0

    def explain(self, question: Question, asker: Asker) -> Json:
        """Say what a question would do and cost."""
        return explain(question, asker, self._desk)

    def suggest(
        self, table: str, column: str | None, where: str | None, epsilon: Fraction, asker: Asker
    ) -> Json:
        """Propose rows per person and bounds for a stated ε."""
        found = suggest(table, column, where, epsilon, asker, self._desk)
        return {
            "table": table,
            "column": column,
            "rows_per_unit": found.rows_per_unit,
            "low": found.low,
            "high": found.high,
            "epsilon": sum(a.epsilon for a in found.answers),
            "receipts": [a.receipt_id for a in found.answers],
        }

    # Data and budgets

    def datasets(self, asker: Asker) -> list[Json]:
        """Describe the datasets the asker holds a grant on, with the version of their data."""
        require(asker, Right.SEE_DATASETS)
        return [
            {**describe_dataset(d), "version": self._desk.versions[d.name]}
            for d in self._catalog.datasets
            if asker.may_see(d.name)
        ]

    def overview(self) -> list[Json]:
        """List name, title, `synthetic` and the present limits of each dataset, and those of all periods."""
        return [spending.overview_json(self._desk, d) for d in self._catalog.datasets]

    def budget(self, asker: Asker, account: str | None = None) -> Json:
        """Show the asker's own accounts, or all of them to whoever may see them; `account` and beneath."""
        return spending.budget(self._desk, asker, account)

    def odometer(self, asker: Asker, by: str, account: str | None, days: int | None) -> Json:
        """Tell spending apart by dataset, analyst, tier or day."""
        return spending.odometer(self._desk, asker, by, account, days)

    def grant(
        self,
        asker: Asker,
        dataset: str,
        analyst: str | None,
        epsilon: Fraction,
        delta: Fraction | None,
        *,
        project: str = PROJECT,
        until: str | None = None,
        every: str | None = None,
    ) -> Json:
        """Give an analyst or a project a share of a dataset's budget; see `budgets.grant`."""
        return budgets.grant(
            self._desk, asker, dataset, analyst, epsilon, delta, project=project, until=until, every=every
        )

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
        """Begin the next period of an account; see `budgets.renew`."""
        return budgets.renew(self._desk, asker, account, reason, epsilon, delta, until=until, every=every)

    def transfer(
        self, asker: Asker, dataset: str, giver: str, taker: str, epsilon: Fraction, *, project: str = PROJECT
    ) -> Json:
        """Move what one analyst has left to another; see `budgets.transfer`."""
        return budgets.transfer(self._desk, asker, dataset, giver, taker, epsilon, project=project)

    def suspend(self, asker: Asker, account: str, reason: str) -> Json:
        """Refuse all charges that name an account until it is resumed."""
        return budgets.suspend(self._desk, asker, account, reason)

    def resume(self, asker: Asker, account: str) -> Json:
        """Open a suspended or locked account again."""
        return budgets.resume(self._desk, asker, account)

    def _dataset(self, asker: Asker, name: str) -> Dataset:
        """Return a dataset the asker may know of; one they may not is as good as none."""
        return budgets.dataset_of(self._desk, asker, name)

    # Receipts

    def receipts(self, asker: Asker, dataset: str | None, after: str | None, limit: int) -> Json:
        """List receipts, the earliest first, from where a page ended; see `receipts.page`."""
        return receipts.page(self._desk, asker, dataset, after, limit)

    def export_receipts(self, asker: Asker, dataset: str | None) -> Iterator[bytes]:
        """Return all receipts as a file that can be verified offline, in pieces; see `ledger/export.py`."""
        return receipts.exported(self._desk, asker, dataset)

    def checkpoint(self, asker: Asker) -> Json:
        """Return where each chain ends now, signed; see `ledger/checkpoints.py`."""
        return receipts.checkpoint(self._desk, asker)

    def verify_receipts(self, asker: Asker) -> Json:
        """Recompute all chains and hold the rest of the ledger against them."""
        return receipts.verify(self._desk, asker)

    # Statements

    def statement(self, asker: Asker, dataset: str) -> Json:
        """State what is guaranteed about everybody in a dataset."""
        return statements.of_dataset(self._desk, asker, dataset).as_json()

    def release_statement(self, asker: Asker, receipt: str) -> Json:
        """State what the release that a receipt records may tell of a person."""
        return statements.of_release(self._desk, asker, receipt).as_json()

    # Jobs

    def jobs(self, asker: Asker) -> list[Json]:
        """List the jobs that the asker may know of, newest first."""
        return jobs.jobs(self._desk, asker)

    def job(self, asker: Asker, charge: int) -> Json:
        """Show one job; of one that shares genomes also its release, and how many chunks are done."""
        return {**jobs.job(self._desk, asker, charge), **self.genomes.of_job(charge)}

    def cancel_job(self, asker: Asker, charge: int) -> Json:
        """End a job without an answer; what it never drew returns."""
        ended = jobs.cancel(self._desk, asker, charge)
        self.genomes.cancelled(charge)
        return ended

    # Closed plans

    def closed_plans(self, asker: Asker) -> list[Json]:
        """List the plans that failed after their charge and are closed for everyone, oldest first."""
        require(asker, Right.SEE_RECEIPTS)
        return [self._closed_json(plan) for plan in self._closed(asker)]

    def open_plan(self, asker: Asker, fingerprint: str) -> None:
        """Let a closed plan be asked again.

        Raises:
            NotFound: it is not closed, or reads data the asker may not know of.
        """
        require(asker, Right.OPEN_PLANS)
        if fingerprint not in {plan.fingerprint for plan in self._closed(asker)}:
            raise NotFound("no plan with this fingerprint is closed", "`noisegate plans closed` lists them")
        self._ledger.unsuspend(fingerprint)

    def _closed(self, asker: Asker) -> list[Suspended]:
        return [plan for plan in self._ledger.suspended() if all(asker.may_see(d) for d in plan.datasets)]

    def _closed_json(self, plan: Suspended) -> Json:
        receipt = self._ledger.receipts_of(plan.charge, ReceiptKind.CHARGE)[0]
        public = receipt.content().get("public")
        said = public if isinstance(public, dict) else {}
        return {
            "fingerprint": plan.fingerprint,
            "reason": plan.reason,
            "datasets": list(plan.datasets),
            "charge": plan.charge,
            "receipt": receipt.id,
            "time": datetime.fromtimestamp(receipt.at, UTC).isoformat(),
            "asker": said.get("asker"),
            "question": said.get("question"),
        }

    # Tokens

    def create_token(
        self,
        asker: Asker,
        name: str,
        role: str,
        datasets: Sequence[str] | None,
        expires_days: int | None,
        project: str = PROJECT,
    ) -> Json:
        """Create a token; its secret is in the reply and nowhere else."""
        require(asker, Right.MANAGE_TOKENS)
        if role not in {r.value for r in Role}:
            raise BadInput(f"{role!r} is no role", f"roles are {', '.join(r.value for r in Role)}")
        if asker.datasets is not None and datasets is None:
            datasets = sorted(asker.datasets)
        grants = None if datasets is None else tuple(self._dataset(asker, d).name for d in datasets)
        expires = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)
        token, secret = self._ledger.create_token(
            budgets.name_of(name),
            Role(role),
            "*" if grants is None else grants,
            expires,
            project=budgets.name_of(project),
        )
        return {**token_json(token), "secret": secret}

    def list_tokens(self, asker: Asker) -> list[Json]:
        """List the tokens whose grants the asker holds too, without their secrets."""
        require(asker, Right.MANAGE_TOKENS)
        return [token_json(t) for t in self._managed(asker)]

    def revoke_token(self, asker: Asker, token_id: str) -> None:
        """Make a token invalid at once.

        Raises:
            NotFound: there is none, or it reaches data the asker may not know of.
        """
        require(asker, Right.MANAGE_TOKENS)
        if token_id not in {t.id for t in self._managed(asker)}:
            raise NotFound(f"there is no token {token_id!r} here", "`noisegate token list` lists them")
        self._ledger.revoke_token(token_id)

    def _managed(self, asker: Asker) -> list[Token]:
        return [
            token
            for token in self._ledger.list_tokens()
            if asker.datasets is None or (token.grants != "*" and set(token.grants) <= asker.datasets)
        ]

    # Operation

    def health(self) -> Json:
        """Say whether the ledger can be read, and whether checkpoints of it are kept as they should be."""
        try:
            for population in list(self._catalog.populations)[:1]:
                self._ledger.find_account(population)
        except LedgerUnavailable:
            return {"status": "degraded", "ledger": "unavailable"}
        if self._ledger.distrusted:
            return {"status": "degraded", "ledger": f"not written any more: {self._ledger.distrusted}"}
        if self._keeper is not None and self._keeper.late():
            return {"status": "degraded", "ledger": "ok", "checkpoints": "late"}
        return {"status": "ok", "ledger": "ok"}

    def metrics(self, asker: Asker) -> str:
        """Return gauges in the Prometheus text format, to whoever may see everybody's spending."""
        require(asker, Right.SEE_ALL_BUDGETS)
        up = int(self.health()["ledger"] == "ok")
        return (
            "# HELP noisegate_ledger_up Whether the ledger can be read.\n"
            "# TYPE noisegate_ledger_up gauge\n"
            f"noisegate_ledger_up {up}\n"
            "# HELP noisegate_datasets Registered datasets.\n"
            "# TYPE noisegate_datasets gauge\n"
            f"noisegate_datasets {len(self._catalog.datasets)}\n"
        ) + ("" if self._keeper is None else self._keeper.metrics())


def token_json(token: Token) -> Json:
    """Return a token without its secret as JSON values."""
    ended = token.expires is not None and token.expires <= datetime.now(UTC)
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.value,
        "project": token.project,
        "datasets": None if token.grants == "*" else list(token.grants),
        "created": token.created.isoformat(),
        "expires": None if token.expires is None else token.expires.isoformat(),
        "state": "revoked" if token.revoked is not None else "expired" if ended else "valid",
    }
