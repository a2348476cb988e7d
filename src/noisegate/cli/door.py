"""The same commands against a gateway over HTTP or a state directory opened in this process.

In-process, whoever can read the state directory is its operator: they act as its custodian. Questions are
still charged, to an analyst's account named on the command line.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from noisegate.cli import options
from noisegate.cli.show import progress
from noisegate.client import Answer, Client
from noisegate.errors import Unauthorised

Json = dict[str, Any]
Number = int | float | str | Fraction
OPERATOR = "operator"


class Door(Protocol):
    """What the commands need; `client.Client` is one."""

    def ask(self, sql: str, *, epsilon: Number | None = None, within: Number | None = None) -> Answer:
        """Ask a question."""

    def explain(self, sql: str, *, epsilon: Number | None = None, within: Number | None = None) -> Json:
        """Price a question."""

    def datasets(self) -> list[Json]:
        """List datasets."""

    def budget(self, account: str | None = None) -> Json:
        """Show accounts."""

    def odometer(self, by: str = "dataset", *, account: str | None = None, days: int | None = None) -> Json:
        """Tell spending apart."""

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

    def transfer(
        self, dataset: str, giver: str, taker: str, *, epsilon: Number, project: str = "default"
    ) -> Json:
        """Move what one analyst has left to another."""

    def suspend(self, account: str, reason: str) -> Json:
        """Refuse all charges that name an account."""

    def resume(self, account: str) -> Json:
        """Open an account again."""

    def statement(self, dataset: str) -> Json:
        """State a dataset's privacy."""

    def release_statement(self, receipt: str) -> Json:
        """State a release's privacy."""

    def receipts(
        self, dataset: str | None = None, *, after: int | str | None = None, limit: int = 100
    ) -> Json:
        """List receipts."""

    def export_receipts(self, dataset: str | None = None) -> Iterator[bytes]:
        """Export receipts."""

    def checkpoint(self) -> Json:
        """Take a checkpoint."""

    def verify_receipts(self) -> Json:
        """Verify the chain."""

    def jobs(self) -> list[Json]:
        """List jobs."""

    def job(self, job_id: int) -> Json:
        """Show a job."""

    def cancel_job(self, job_id: int) -> Json:
        """End a job without an answer."""

    def associate(
        self,
        genotypes: str,
        *,
        cases: str,
        among: str | None = None,
        variants: Sequence[str] | None = None,
        top: int | None = None,
        reference: str | None = None,
        manifest: str | None = None,
        epsilon: Number | None = None,
    ) -> Answer:
        """Compare the genotypes of cases and controls."""

    def explain_association(
        self,
        genotypes: str,
        *,
        cases: str,
        among: str | None = None,
        variants: Sequence[str] | None = None,
        top: int | None = None,
        reference: str | None = None,
        manifest: str | None = None,
        epsilon: Number | None = None,
    ) -> Json:
        """Price an association."""

    def verify_findings(
        self, findings: Sequence[Mapping[str, object]], *, reference: str, **wanted: object
    ) -> Json:
        """Hold published findings against a release, or against a private answer."""

    def share_genomes(self, genotypes: str, **wanted: object) -> Json:
        """Charge for a release of genomes and have it made."""

    def explain_genomes(self, genotypes: str, **wanted: object) -> Json:
        """Say what a release of genomes would do, lose and warn of."""

    def advise_genomes(
        self, reference: str, *, people: int, variants: int, epsilon: Number, delta: Number = 0
    ) -> Json:
        """Compare all methods on a public panel."""

    def wait_for_job(self, job_id: int, on_progress: Callable[[Json], None] = ...) -> Json:
        """Wait until a job ended, telling how far it is; in-process, do its work."""

    def releases(self) -> list[Json]:
        """List releases of genomes."""

    def release(self, release: str) -> Json:
        """Show a release."""

    def grant_release(self, release: str, analyst: str, *, project: str = "default") -> Json:
        """Give a release to an analyst."""

    def revoke_release(self, release: str, analyst: str, *, project: str = "default") -> Json:
        """Take a release back."""

    def download_release(
        self,
        release: str,
        directory: Path,
        *,
        only: Sequence[str] | None = None,
        on_progress: Callable[[str, int, int], None] = ...,
    ) -> list[Path]:
        """Fetch the files of a release and verify them."""

    def closed_plans(self) -> list[Json]:
        """List the plans that failed after their charge."""

    def open_plan(self, fingerprint: str) -> None:
        """Let a closed plan be asked again."""

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

    def tokens(self) -> list[Json]:
        """List tokens."""

    def revoke_token(self, token_id: str) -> None:
        """Revoke a token."""


@contextmanager
def open_door(
    url: str | None,
    token: str | None,
    *,
    state: object = None,
    catalog: object = None,
    scheduler: object = None,
    analyst: str = "local",
) -> Iterator[Door]:
    """Open the gateway at `url`, or else the state directory.

    Raises:
        Unauthorised: a URL without a token.
        BadInput: a URL beside --state, --catalog or --scheduler.
        StateLocked: another process, such as a server, holds the state directory.
    """
    url = options.address(url, local=any(flag is not None for flag in (state, catalog, scheduler)))
    if url is None:
        from noisegate.cli.local import open_local

        config = options.settings(state=state, catalog=catalog, scheduler=scheduler)
        with open_local(config, analyst, progress()) as local:
            yield local
        return
    token = token or os.environ.get("NOISEGATE_TOKEN")
    if not token:
        raise Unauthorised("--url needs a token", "give --token or set NOISEGATE_TOKEN")
    with Client(url, token) as client:
        yield client
