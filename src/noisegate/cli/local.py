"""A state directory opened in this process, behind the same door as a gateway over HTTP."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from noisegate.app import Gateway, open_gateway
from noisegate.ask.question import Question, parse_number
from noisegate.cli.door import OPERATOR, Json, Number
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


class LocalDoor:
    """Commands in-process: a custodian for all but questions, which an analyst's account pays."""

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

    def budget(self) -> Json:
        """Show all accounts."""
        return self._gateway.budget(self._operator)

    def grant(self, dataset: str, analyst: str, *, epsilon: Number, delta: Number | None = None) -> Json:
        """Open an analyst's account with limits of its own."""
        return self._gateway.grant(
            self._operator, dataset, analyst, _exact("epsilon", epsilon), _exact_or_none("delta", delta)
        )

    def receipts(self, dataset: str | None = None, *, after: int = 0, limit: int = 100) -> Json:
        """List receipts."""
        return self._gateway.receipts(self._operator, dataset, after, limit)

    def verify_receipts(self) -> Json:
        """Verify the chain."""
        return self._gateway.verify_receipts(self._operator)

    def closed_plans(self) -> list[Json]:
        """List the plans that failed after their charge."""
        return self._gateway.closed_plans(self._operator)

    def open_plan(self, fingerprint: str) -> None:
        """Let a closed plan be asked again."""
        self._gateway.open_plan(self._operator, fingerprint)

    def create_token(
        self, name: str, role: str, *, datasets: Sequence[str] | None = None, expires_days: int | None = None
    ) -> Json:
        """Create a token."""
        return self._gateway.create_token(self._operator, name, role, datasets, expires_days)

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
