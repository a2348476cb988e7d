"""The one object in front of everything: what `server/` and the command line speak to."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from noisegate.ask.answer import Answer
from noisegate.ask.desk import Desk
from noisegate.ask.explain import explain
from noisegate.ask.question import Question
from noisegate.ask.suggest import suggest
from noisegate.catalog.describe import describe_dataset
from noisegate.catalog.model import Dataset
from noisegate.errors import BadInput, Conflict, LedgerUnavailable, NotFound, Unauthorised
from noisegate.gate.access import Asker, Right, asker_of, require, require_dataset
from noisegate.gate.door import PROJECT
from noisegate.ledger.accounts import Account, Balance, Kind
from noisegate.ledger.records import Receipt, ReceiptKind, Role, Suspended, Token
from noisegate.privacy.filter import Limits, spent_epsilon

Json = dict[str, object]
NAME = "letters, digits and _ . - @, 1 to 100 of them"


class Gateway:
    """All that can be asked of Noisegate; what `server/` and the command line speak to. Thread-safe."""

    def __init__(self, desk: Desk) -> None:
        """Take everything that asking needs; use `open_gateway`."""
        self._desk = desk
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
        """Return before how many milliseconds a fresh answer does not leave, from declared maxima alone."""
        return self._desk.prepare(question, asker).work.slot_ms

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
        """List name, title, `synthetic`, epsilon and delta of each dataset."""
        return [
            {
                "name": d.name,
                "title": d.title,
                "synthetic": d.synthetic,
                "epsilon": float(d.budget.epsilon),
                "delta": float(d.budget.delta),
            }
            for d in self._catalog.datasets
        ]

    def budget(self, asker: Asker) -> Json:
        """Show the asker's own accounts, or all of them to whoever may see them."""
        if asker.role is Role.ANALYST:
            require(asker, Right.SEE_OWN_BUDGET)
            return {
                "accounts": [self._own(asker, d) for d in self._catalog.datasets if asker.may_see(d.name)]
            }
        require(asker, Right.SEE_ALL_BUDGETS)
        return {"accounts": [account_json(b) for b in self._ledger.accounts() if self._may_see(asker, b.id)]}

    def _own(self, asker: Asker, dataset: Dataset) -> Json:
        path = f"{dataset.population}/{dataset.name}/{PROJECT}/{asker.name}"
        balance = self._ledger.find_account(path)
        if balance is not None:
            return account_json(balance)
        limits = self._desk.limits[dataset.name]
        return {
            "account": path,
            "kind": Kind.ANALYST.value,
            "epsilon": float(limits.epsilon),
            "delta": float(limits.delta),
            "spent": 0.0,
            "left": float(limits.epsilon),
            "charges": 0,
        }

    def _may_see(self, asker: Asker, account: str) -> bool:
        parts = account.split("/")
        return asker.datasets is None or (len(parts) > 1 and asker.may_see(parts[1]))

    def grant(
        self, asker: Asker, dataset: str, analyst: str, epsilon: Fraction, delta: Fraction | None
    ) -> Json:
        """Open an analyst's account with limits of its own; without δ it has the dataset's.

        Raises:
            Conflict: it is open already; limits stand.
        """
        require(asker, Right.GRANT_BUDGET)
        found = self._dataset(asker, dataset)
        path = f"{found.population}/{found.name}/{PROJECT}/{analyst}"
        try:
            limits = Limits.of(epsilon, found.budget.delta if delta is None else delta)
            account = Account.at(path, limits)
        except ValueError as wrong:
            raise BadInput(str(wrong)) from None
        try:
            self._ledger.open_account(account)
        except Conflict:
            raise Conflict(
                f"{analyst} has an account on {found.name} already, and its limits stand",
                "grant a budget before the first question, or give out a token of another name",
            ) from None
        balance = self._ledger.find_account(path)
        if balance is None:
            raise NotFound(f"account {path} is not open")
        return account_json(balance)

    def _dataset(self, asker: Asker, name: str) -> Dataset:
        """Return a dataset the asker may know of; one they may not is as good as none."""
        found = self._catalog.dataset(name)
        if found is None or not asker.may_see(found.name):
            raise NotFound(f"there is no dataset {name!r} here", "`noisegate catalog show` lists them")
        return found

    # Receipts

    def receipts(self, asker: Asker, dataset: str | None, after: int, limit: int) -> Json:
        """List receipts of one dataset's chain, or of all chains the asker may see, oldest first.

        `next` is what to give as `after` for more of the chain, None at its end and for all chains together;
        `more` says whether there are more than these.
        """
        require(asker, Right.SEE_RECEIPTS)
        if dataset is not None:
            name = self._dataset(asker, dataset).name
            require_dataset(asker, name)
            found = self._ledger.receipts(name, after, limit)
            more = len(found) == limit
            return {
                "receipts": [receipt_json(r) for r in found],
                "next": found[-1].seq if more else None,
                "more": more,
            }
        chains = [d.name for d in self._catalog.datasets if asker.may_see(d.name)]
        if asker.datasets is None:
            chains += [f"population/{p}" for p in self._catalog.populations]
        every = [r for chain in chains for r in self._ledger.receipts(chain, after, limit + 1)]
        every.sort(key=lambda r: (r.at, r.dataset, r.seq))
        shown = [receipt_json(r) for r in every[:limit]]
        return {"receipts": shown, "next": None, "more": len(every) > limit}

    def verify_receipts(self, asker: Asker) -> Json:
        """Recompute all chains and hold the rest of the ledger against them."""
        require(asker, Right.SEE_RECEIPTS)
        report = self._ledger.verify()
        return {
            "whole": report.whole,
            "receipts": report.receipts,
            "charges": report.charges,
            "fault": report.fault,
        }

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
        self, asker: Asker, name: str, role: str, datasets: Sequence[str] | None, expires_days: int | None
    ) -> Json:
        """Create a token; its secret is in the reply and nowhere else."""
        require(asker, Right.MANAGE_TOKENS)
        if (
            not 1 <= len(name) <= 100
            or not all(c.isalnum() or c in "_.-@" for c in name)
            or not name.isascii()
        ):
            raise BadInput(f"{name!r} cannot be a name", f"a name is {NAME}")
        if role not in {r.value for r in Role}:
            raise BadInput(f"{role!r} is no role", f"roles are {', '.join(r.value for r in Role)}")
        if asker.datasets is not None and datasets is None:
            datasets = sorted(asker.datasets)
        grants = None if datasets is None else tuple(self._dataset(asker, d).name for d in datasets)
        expires = None if expires_days is None else datetime.now(UTC) + timedelta(days=expires_days)
        token, secret = self._ledger.create_token(
            name, Role(role), "*" if grants is None else grants, expires
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
        """Say whether the ledger can be read."""
        try:
            for population in list(self._catalog.populations)[:1]:
                self._ledger.find_account(population)
        except LedgerUnavailable:
            return {"status": "degraded", "ledger": "unavailable"}
        return {"status": "ok", "ledger": "ok"}

    def metrics(self, asker: Asker) -> str:
        """Return gauges in the Prometheus text format, to whoever may see everybody's spending."""
        require(asker, Right.SEE_ALL_BUDGETS)
        up = int(self.health()["status"] == "ok")
        return (
            "# HELP noisegate_ledger_up Whether the ledger can be read.\n"
            "# TYPE noisegate_ledger_up gauge\n"
            f"noisegate_ledger_up {up}\n"
            "# HELP noisegate_datasets Registered datasets.\n"
            "# TYPE noisegate_datasets gauge\n"
            f"noisegate_datasets {len(self._catalog.datasets)}\n"
        )


def account_json(balance: Balance) -> Json:
    """Return an account as JSON values: limits, and what is spent and left, ε at the account's δ."""
    limits = balance.limits
    used = spent_epsilon(limits, balance.counted)
    return {
        "account": balance.id,
        "kind": balance.account.kind.value,
        "epsilon": float(limits.epsilon),
        "delta": float(limits.delta),
        "spent": float(used),
        "left": float(max(limits.epsilon - used, Fraction(0))),
        "charges": balance.charges,
    }


def receipt_json(receipt: Receipt) -> Json:
    """Return a receipt as JSON values; everything its hash covers is there."""
    return {
        "id": receipt.id,
        "chain": receipt.dataset,
        "number": receipt.seq,
        "kind": receipt.kind.value,
        "charge": receipt.charge,
        "time": datetime.fromtimestamp(receipt.at, UTC).isoformat(),
        "body": receipt.content(),
        "previous": receipt.previous,
        "hash": receipt.hash,
    }


def token_json(token: Token) -> Json:
    """Return a token without its secret as JSON values."""
    ended = token.expires is not None and token.expires <= datetime.now(UTC)
    return {
        "id": token.id,
        "name": token.name,
        "role": token.role.value,
        "datasets": None if token.grants == "*" else list(token.grants),
        "created": token.created.isoformat(),
        "expires": None if token.expires is None else token.expires.isoformat(),
        "state": "revoked" if token.revoked is not None else "expired" if ended else "valid",
    }
