"""What a server needs of the gateway it fronts. `app.Gateway` is one; tests bring their own."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

from noisegate.ask.answer import Answer
from noisegate.ask.question import Question
from noisegate.gate.access import Asker

Json = dict[str, object]


class Gateway(Protocol):
    """Everything that can be asked of a gateway. Dictionaries hold JSON values only.

    Every method may raise any NoisegateError, and is called from many threads at once.
    """

    def authenticate(self, token: str) -> Asker:
        """Return who holds the token, or raise Unauthorised."""

    def ask(self, question: Question, asker: Asker, idempotency_key: str | None) -> Answer:
        """Answer a question and charge for it, or replay its stored answer."""

    def slot_ms(self, question: Question, asker: Asker) -> int:
        """Return before how many milliseconds a fresh answer does not leave, from public facts alone."""

    def explain(self, question: Question, asker: Asker) -> Json:
        """Say what a question would do and cost."""

    def datasets(self, asker: Asker) -> list[Json]:
        """Describe the datasets the asker holds a grant on."""

    def budget(self, asker: Asker) -> Json:
        """Show the accounts the asker may see."""

    def grant(
        self, asker: Asker, dataset: str, analyst: str, epsilon: Fraction, delta: Fraction | None
    ) -> Json:
        """Open an analyst's account on a dataset with limits of its own; without δ, the dataset's."""

    def receipts(self, asker: Asker, dataset: str | None, after: int, limit: int) -> Json:
        """List receipts, oldest first."""

    def verify_receipts(self, asker: Asker) -> Json:
        """Walk the chain of receipts."""

    def closed_plans(self, asker: Asker) -> list[Json]:
        """List the plans that failed after their charge and are closed for everyone."""

    def open_plan(self, asker: Asker, fingerprint: str) -> None:
        """Let a closed plan be asked again."""

    def create_token(
        self, asker: Asker, name: str, role: str, datasets: Sequence[str] | None, expires_days: int | None
    ) -> Json:
        """Create a token; its secret is in the reply and nowhere else."""

    def list_tokens(self, asker: Asker) -> list[Json]:
        """List tokens without their secrets."""

    def revoke_token(self, asker: Asker, token_id: str) -> None:
        """Make a token invalid at once."""

    def health(self) -> Json:
        """Say whether the parts work; `status` is "ok" or "degraded"."""

    def overview(self) -> list[Json]:
        """List name, title, `synthetic`, epsilon and delta of each dataset: what the status page may show."""

    def metrics(self, asker: Asker) -> str:
        """Return further metrics in the Prometheus text format, each line ended; public facts only."""
