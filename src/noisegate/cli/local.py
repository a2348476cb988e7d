"""A state directory opened in this process, behind the same door as a gateway over HTTP."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from noisegate.app import Gateway, open_gateway
from noisegate.ask.question import Question, parse_number
from noisegate.cli.door import OPERATOR, Json, Number
from noisegate.cli.local_associations import LocalAssociations
from noisegate.cli.local_genomes import LocalGenomes
from noisegate.cli.local_verifications import LocalVerifications
from noisegate.client import Answer
from noisegate.config import Config
from noisegate.gate.access import Asker
from noisegate.ledger.records import Role


@contextmanager
def open_local(config: Config, analyst: str, console: Console) -> Iterator["LocalDoor"]:
    """Open a state directory; progress of a first registration goes to the console."""
    with gateway_of(config, console) as gateway:
        yield LocalDoor(gateway, analyst)


@contextmanager
def gateway_of(config: Config, console: Console) -> Iterator[Gateway]:
    """Open a gateway; if datasets are registered meanwhile, show how far that is."""
    with ExitStack() as stack:
        with bars_of(console) as registering:
            gateway = stack.enter_context(open_gateway(config, on_register=registering))
        yield gateway


@contextmanager
def bars_of(console: Console) -> Iterator[Callable[[str, float], None]]:
    """Give a function that shows a bar a dataset, once it is told of the first."""
    bars = Progress(
        TextColumn("registering {task.description}"), BarColumn(), TimeElapsedColumn(), console=console
    )
    tasks: dict[str, TaskID] = {}

    def registering(dataset: str, share: float) -> None:
        if not tasks:
            bars.start()
        if dataset not in tasks:
            tasks[dataset] = bars.add_task(dataset, total=1.0)
        bars.update(tasks[dataset], completed=share)

    try:
        yield registering
    finally:
        if tasks:
            bars.stop()


class LocalDoor(LocalGenomes, LocalAssociations, LocalVerifications):
    """Commands in-process: a custodian for all but what is asked of rows, which an analyst's account pays."""

    def __init__(self, gateway: Gateway, analyst: str) -> None:
        """Take an open gateway and the name of the analyst whose account pays."""
        self._gateway = gateway
        self._operator = Asker(OPERATOR, Role.CUSTODIAN, None)
        self._analyst = Asker(analyst, Role.ANALYST, None)

    def ask(self, sql: str, *, epsilon: Number | None = None, within: Number | None = None) -> Answer:
        """Ask a question, charged to the analyst."""
        answer = self._gateway.ask(_question(sql, epsilon, within), self._analyst, None)
        return Answer.from_json(answer.as_json())

    def explain(self, sql: str, *, epsilon: Number | None = None, within: Number | None = None) -> Json:
        """Price a question for the analyst."""
        return self._gateway.explain(_question(sql, epsilon, within), self._analyst)

    def datasets(self) -> list[Json]:
        """List datasets."""
        return self._gateway.datasets(self._operator)

    def budget(self, account: str | None = None) -> Json:
        """Show all accounts, or one with those beneath it."""
        return self._gateway.budget(self._operator, account)

    def odometer(self, by: str = "dataset", *, account: str | None = None, days: int | None = None) -> Json:
        """Tell spending apart."""
        return self._gateway.odometer(self._operator, by, account, days)

    def grant(
        self,
        dataset: str,
        analyst: str | None = None,
        *,
        epsilon: Number,
        delta: Number | None = None,
        project: str = "default",
        until: str | None = None,
        every: str | None = None,
    ) -> Json:
        """Give an analyst or a project a share of a dataset's budget."""
        return self._gateway.grant(
            self._operator,
            dataset,
            analyst,
            _exact("epsilon", epsilon),
            _exact_or_none("delta", delta),
            project=project,
            until=until,
            every=every,
        )

    def renew(
        self,
        account: str,
        reason: str,
        *,
        epsilon: Number | None = None,
        delta: Number | None = None,
        until: str | None = None,
        every: str | None = None,
    ) -> Json:
        """Begin an account's next period."""
        limits = _exact_or_none("epsilon", epsilon), _exact_or_none("delta", delta)
        return self._gateway.renew(self._operator, account, reason, *limits, until=until, every=every)

    def transfer(
        self, dataset: str, giver: str, taker: str, *, epsilon: Number, project: str = "default"
    ) -> Json:
        """Move what one analyst has left to another."""
        exact = _exact("epsilon", epsilon)
        return self._gateway.transfer(self._operator, dataset, giver, taker, exact, project=project)

    def suspend(self, account: str, reason: str) -> Json:
        """Refuse all charges that name an account."""
        return self._gateway.suspend(self._operator, account, reason)

    def resume(self, account: str) -> Json:
        """Open an account again."""
        return self._gateway.resume(self._operator, account)

    def statement(self, dataset: str) -> Json:
        """State a dataset's privacy."""
        return self._gateway.statement(self._operator, dataset)

    def release_statement(self, receipt: str) -> Json:
        """State a release's privacy."""
        return self._gateway.release_statement(self._operator, receipt)

    def receipts(
        self, dataset: str | None = None, *, after: int | str | None = None, limit: int = 100
    ) -> Json:
        """List receipts."""
        place = None if after is None else str(after)
        return self._gateway.receipts(self._operator, dataset, place, limit)

    def export_receipts(self, dataset: str | None = None) -> Iterator[bytes]:
        """Export receipts."""
        return self._gateway.export_receipts(self._operator, dataset)

    def checkpoint(self) -> Json:
        """Take a checkpoint."""
        return self._gateway.checkpoint(self._operator)

    def verify_receipts(self) -> Json:
        """Verify the chain."""
        return self._gateway.verify_receipts(self._operator)

    def jobs(self) -> list[Json]:
        """List jobs."""
        return self._gateway.jobs(self._operator)

    def job(self, job_id: int) -> Json:
        """Show a job."""
        return self._gateway.job(self._operator, job_id)

    def cancel_job(self, job_id: int) -> Json:
        """End a job without an answer."""
        return self._gateway.cancel_job(self._operator, job_id)

    def closed_plans(self) -> list[Json]:
        """List the plans that failed after their charge."""
        return self._gateway.closed_plans(self._operator)

    def open_plan(self, fingerprint: str) -> None:
        """Let a closed plan be asked again."""
        self._gateway.open_plan(self._operator, fingerprint)

    def create_token(
        self,
        name: str,
        role: str,
        *,
        datasets: Sequence[str] | None = None,
        expires_days: int | None = None,
        project: str = "default",
    ) -> Json:
        """Create a token."""
        return self._gateway.create_token(self._operator, name, role, datasets, expires_days, project)

    def tokens(self) -> list[Json]:
        """List tokens."""
        return self._gateway.list_tokens(self._operator)

    def revoke_token(self, token_id: str) -> None:
        """Revoke a token."""
        self._gateway.revoke_token(self._operator, token_id)

    def suggest(self, table: str, column: str | None, where: str | None, epsilon: Fraction) -> Json:
        """Propose bounds, for a stated ε."""
        return self._gateway.suggest(table, column, where, epsilon, self._operator)


def _question(sql: str, epsilon: Number | None, within: Number | None) -> Question:
    return Question(sql, _exact_or_none("epsilon", epsilon), _exact_or_none("within", within))


def _exact_or_none(name: str, value: Number | None) -> Fraction | None:
    return value if isinstance(value, Fraction) else parse_number(name, value)


def _exact(name: str, value: Number) -> Fraction:
    return _exact_or_none(name, value) or Fraction(0)
