"""What a server needs of the gateway it fronts. `app.Gateway` is one; tests bring their own."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from noisegate.ask.answer import Answer
from noisegate.ask.question import Question
from noisegate.gate.access import Asker
from noisegate.genomics.check import Check
from noisegate.genomics.recipe import Request
from noisegate.genomics.wanted import Wanted

Json = dict[str, object]


class AssociationAnswer(Protocol):
    """What is said to an association. `app.association_answers.AssociationAnswer` is one."""

    @property
    def replayed(self) -> bool:
        """Whether it was there already."""

    @property
    def waited(self) -> bool:
        """Whether it waited for a twin's work."""

    def as_json(self) -> Json:
        """Return JSON values only."""


class Associations(Protocol):
    """What can be asked of association. `app.associations.Associations` is one."""

    def ask(self, wanted: Wanted, asker: Asker, idempotency_key: str | None) -> AssociationAnswer:
        """Answer an association and charge for it, or replay its stored answer."""

    def slot_ms(self, wanted: Wanted, asker: Asker) -> int:
        """Return before how many milliseconds a fresh answer does not leave, from public facts alone."""

    def explain(self, wanted: Wanted, asker: Asker) -> Json:
        """Say what an association would do and cost."""


class Verifications(Protocol):
    """What can be asked of findings. `app.verifications.Verifications` is one."""

    def ask(self, check: Check, asker: Asker, idempotency_key: str | None) -> AssociationAnswer:
        """Return the private answer that findings are held against, and charge for it, or replay it."""

    def slot_ms(self, check: Check, asker: Asker) -> int:
        """Return before how many milliseconds a fresh private answer does not leave."""

    def verify(self, check: Check, asker: Asker) -> Json:
        """Return the verdict on some findings."""


class Genomes(Protocol):
    """What can be asked of genomes. `app.genomes.Genomes` is one."""

    @property
    def associations(self) -> Associations:
        """What can be asked of association."""

    @property
    def verifications(self) -> Verifications:
        """What can be asked of findings."""

    def share(self, asker: Asker, request: Request, idempotency_key: str | None) -> Json:
        """Charge for a release, and have it made; or find the one that was made before."""

    def explain(self, asker: Asker, request: Request) -> Json:
        """Say what a release would do, lose and warn of."""

    def advise(
        self,
        asker: Asker,
        reference: str,
        *,
        people: int,
        variants: int,
        epsilon: Fraction,
        delta: Fraction,
    ) -> Json:
        """Compare all methods on public data and recommend one, or none."""

    def releases(self, asker: Asker) -> list[Json]:
        """List the releases that the asker may know of, newest first."""

    def release(self, asker: Asker, release: str) -> Json:
        """Show one release."""

    def file(self, asker: Asker, release: str, name: str) -> tuple[Path, str]:
        """Return the path of a file that is given out, and its SHA-256 in hexadecimal."""

    def grant(self, asker: Asker, release: str, analyst: str, project: str) -> Json:
        """Give a release to an analyst."""

    def revoke(self, asker: Asker, release: str, analyst: str, project: str) -> Json:
        """Take a release back."""


class Gateway(Protocol):
    """Everything that can be asked of a gateway. Dictionaries hold JSON values only.

    Every method may raise any NoisegateError, and is called from many threads at once.
    """

    @property
    def genomes(self) -> Genomes:
        """What can be asked of genomes."""

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

    def budget(self, asker: Asker, account: str | None = None) -> Json:
        """Show the accounts the asker may see; only `account` and what is beneath it, where one is named."""

    def odometer(self, asker: Asker, by: str, account: str | None, days: int | None) -> Json:
        """Tell spending apart by dataset, analyst, tier or day; of the last so many days, None for all."""

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
        """Give an analyst's account on a dataset, or its project's, a share of budget of its own."""

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
        """Begin an account's next period, and that of accounts beneath it whose periods have ended."""

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
        """Move what one analyst of a project has left to another."""

    def suspend(self, asker: Asker, account: str, reason: str) -> Json:
        """Refuse all charges that name an account until it is resumed."""

    def resume(self, asker: Asker, account: str) -> Json:
        """Open a suspended or locked account again."""

    def statement(self, asker: Asker, dataset: str) -> Json:
        """State what is guaranteed about everybody in a dataset."""

    def release_statement(self, asker: Asker, receipt: str) -> Json:
        """State what the release that a receipt records may tell of a person."""

    def jobs(self, asker: Asker) -> list[Json]:
        """List the jobs the asker may see, newest first."""

    def job(self, asker: Asker, charge: int) -> Json:
        """Show one job."""

    def cancel_job(self, asker: Asker, charge: int) -> Json:
        """End a job without an answer; what it never drew returns."""

    def receipts(self, asker: Asker, dataset: str | None, after: str | None, limit: int) -> Json:
        """List receipts, the earliest first, from where a page ended; `next` says where this one did."""

    def export_receipts(self, asker: Asker, dataset: str | None) -> Iterator[bytes]:
        """Return all receipts as a file that can be verified offline, in pieces."""

    def checkpoint(self, asker: Asker) -> Json:
        """Return where each chain ends now, signed."""

    def verify_receipts(self, asker: Asker) -> Json:
        """Walk the chain of receipts."""

    def closed_plans(self, asker: Asker) -> list[Json]:
        """List the plans that failed after their charge and are closed for everyone."""

    def open_plan(self, asker: Asker, fingerprint: str) -> None:
        """Let a closed plan be asked again."""

    def create_token(
        self,
        asker: Asker,
        name: str,
        role: str,
        datasets: Sequence[str] | None,
        expires_days: int | None,
        project: str = "default",
    ) -> Json:
        """Create a token; its secret is in the reply and nowhere else."""

    def list_tokens(self, asker: Asker) -> list[Json]:
        """List tokens without their secrets."""

    def revoke_token(self, asker: Asker, token_id: str) -> None:
        """Make a token invalid at once."""

    def health(self) -> Json:
        """Say whether the parts work; `status` is "ok" or "degraded"."""

    def overview(self) -> list[Json]:
        """List what the status page may show of each dataset.

        That is its name and title, `synthetic`, the present limits `epsilon` and `delta` with `until`, how
        many `periods` there were, and their sums, `lifetime_epsilon` and `lifetime_delta`.
        """

    def metrics(self, asker: Asker) -> str:
        """Return further metrics in the Prometheus text format, each line ended; public facts only."""
