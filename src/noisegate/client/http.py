"""Speaking to a gateway over HTTP.

A request that may be repeated safely is sent once more when the connection breaks: reads, and questions,
which carry an Idempotency-Key so that the gateway charges them once.
"""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

from noisegate.client.answer import Answer
from noisegate.client.associations import AssociationCalls
from noisegate.client.failures import failure
from noisegate.client.genomes import GenomeCalls
from noisegate.client.numbers import Number, plain
from noisegate.client.verifications import VerificationCalls
from noisegate.errors import BadInput, Unreachable

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def connect(
    url: str, token: str, *, timeout: float = 90.0, transport: httpx2.BaseTransport | None = None
) -> "Client":
    """Return a client of the gateway at `url`.

    Args:
        url: such as http://127.0.0.1:8400.
        token: a bearer token.
        timeout: seconds to wait for a reply; longer than the gateway's own limit on a question.
        transport: how to reach it, for tests.

    Raises:
        BadInput: the URL or the token cannot be one.
    """
    return Client(url, token, timeout=timeout, transport=transport)


class Client(GenomeCalls, AssociationCalls, VerificationCalls):
    """A connection to a gateway, for one token. Safe to share between threads; close it or use `with`."""

    def __init__(
        self, url: str, token: str, *, timeout: float = 90.0, transport: httpx2.BaseTransport | None = None
    ) -> None:
        """See `connect`."""
        try:
            base = httpx2.URL(url)
        except httpx2.InvalidURL:
            base = httpx2.URL("")
        if base.scheme not in ("http", "https") or not base.host:
            raise BadInput(f"{url!r} is not the URL of a gateway", "it looks like http://127.0.0.1:8400")
        token = token.strip()
        if not token or not token.isascii() or not token.isprintable():
            raise BadInput("this is not a token", "the custodian of the data gives out tokens")
        self.url = str(base).rstrip("/")
        self._http = httpx2.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx2.Timeout(timeout, connect=10.0),
            # A proxy between this machine and itself would only be in the way.
            trust_env=base.host not in LOOPBACK,
            transport=transport,
        )

    def ask(
        self,
        sql: str,
        *,
        epsilon: Number | None = None,
        within: Number | None = None,
        idempotency_key: str | None = None,
    ) -> Answer:
        """Ask a question.

        Args:
            sql: one SELECT that aggregates.
            epsilon: nominal ε to spend.
            within: half-width of the 95 % interval to reach instead, in the unit of the answer.
            idempotency_key: up to 200 characters; a request repeated with it is charged once.

        Raises:
            NoisegateError: what the gateway refused it with, by its class.
            Unreachable: no gateway answered.
        """
        key = idempotency_key or uuid.uuid4().hex
        body = question(sql, epsilon, within)
        reply = self._send("POST", "/v1/ask", body=body, headers={"Idempotency-Key": key}, repeat=True)
        return Answer.from_json(reply)

    def explain(
        self, sql: str, *, epsilon: Number | None = None, within: Number | None = None
    ) -> dict[str, Any]:
        """Say what a question would do and cost; spends nothing."""
        return self._send("POST", "/v1/explain", body=question(sql, epsilon, within), repeat=True)

    def datasets(self) -> list[dict[str, Any]]:
        """List the datasets the token may ask about."""
        found: list[dict[str, Any]] = self._send("GET", "/v1/datasets")["datasets"]
        return found

    def budget(self, account: str | None = None) -> dict[str, Any]:
        """Show what was spent and what is left: of a dataset or an account and all beneath it, or of all.

        ε spent is an estimate, as the reply says.
        """
        return self._send("GET", "/v1/budget", params=_given(account=account))

    def odometer(
        self, by: str = "dataset", *, account: str | None = None, days: int | None = None
    ) -> dict[str, Any]:
        """Tell spending apart, over all periods.

        Args:
            by: "dataset", "analyst", "tier" or "day".
            account: only of this dataset or account and what is beneath it.
            days: only of the last so many days.
        """
        return self._send("GET", "/v1/budget/odometer", params=_given(by=by, account=account, days=days))

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
    ) -> dict[str, Any]:
        """Give an analyst's account on a dataset a share of its own, or without one the project's.

        An account that is open begins a new period with it and forfeits the rest of the former one. For
        custodians.

        Args:
            dataset: the dataset.
            analyst: the name on their token.
            epsilon: the limit on ε.
            delta: the limit on δ.
            project: the project.
            until: when the period ends, a date or a time in ISO 8601.
            every: or: with which "day", "week", "month", "quarter" or "year" of the calendar.
        """
        body = {
            "dataset": dataset,
            "analyst": analyst,
            "epsilon": plain("epsilon", epsilon),
            "delta": None if delta is None else plain("delta", delta),
            "project": project,
            "until": until,
            "every": every,
        }
        return self._send("POST", "/v1/budget/grants", body=body, repeat=False)

    def renew(
        self,
        account: str,
        reason: str,
        *,
        epsilon: Number | None = None,
        delta: Number | None = None,
        until: str | None = None,
        every: str | None = None,
    ) -> dict[str, Any]:
        """Begin an account's next period, with the limits it had unless told otherwise. For custodians.

        Args:
            account: a dataset, a population, or an account's path.
            reason: why, for the receipt.
            epsilon: the limit on ε.
            delta: the limit on δ.
            until: when the period ends, a date or a time in ISO 8601.
            every: or: with which part of the calendar; without both, as the catalog says.
        """
        body = {
            "account": account,
            "reason": reason,
            "epsilon": None if epsilon is None else plain("epsilon", epsilon),
            "delta": None if delta is None else plain("delta", delta),
            "until": until,
            "every": every,
        }
        return self._send("POST", "/v1/budget/renewals", body=body, repeat=False)

    def transfer(
        self, dataset: str, giver: str, taker: str, *, epsilon: Number, project: str = "default"
    ) -> dict[str, Any]:
        """Move what one analyst has left to another of the same project. For custodians."""
        body = {
            "dataset": dataset,
            "giver": giver,
            "taker": taker,
            "epsilon": plain("epsilon", epsilon),
            "project": project,
        }
        return self._send("POST", "/v1/budget/transfers", body=body, repeat=False)

    def suspend(self, account: str, reason: str) -> dict[str, Any]:
        """Refuse all charges that name an account, and so all beneath it. For custodians."""
        return self._send("PUT", _suspension(account), body={"reason": reason}, repeat=False)

    def resume(self, account: str) -> dict[str, Any]:
        """Open a suspended or locked account again. For custodians."""
        return self._send("DELETE", _suspension(account), repeat=False)

    def statement(self, dataset: str) -> dict[str, Any]:
        """State what is guaranteed about everybody in a dataset."""
        return self._send("GET", f"/v1/datasets/{quote(dataset, safe='')}/statement")

    def release_statement(self, receipt: str) -> dict[str, Any]:
        """State what a release may tell of a person, by its receipt's id; for its asker and auditors."""
        return self._send("GET", f"/v1/receipts/{quote(receipt, safe='')}/statement")

    def receipts(
        self, dataset: str | None = None, *, after: int | str | None = None, limit: int = 100
    ) -> dict[str, Any]:
        """List receipts, the earliest first; for custodians and auditors.

        Args:
            dataset: only its chain; all that the token may see without it.
            after: where the last page ended, as it said in `next`; for one dataset a number will do.
            limit: at most so many, 1 to 1,000.
        """
        wanted = {"dataset": dataset, "after": after, "limit": limit}
        return self._send("GET", "/v1/receipts", params={k: v for k, v in wanted.items() if v is not None})

    def export_receipts(self, dataset: str | None = None) -> Iterator[bytes]:
        """Yield all receipts as one file that can be verified offline, in pieces; see `noisegate.verifier`.

        Raises:
            NoisegateError: what the gateway refused it with, by its class.
            Unreachable: no gateway answered, or the file broke off.
        """
        wanted = {"dataset": dataset} if dataset is not None else {}
        with (
            self._reached(),
            self._http.stream("GET", "/v1/receipts/export", params=wanted) as response,
        ):
            if not response.is_success:
                response.read()
                self._read(response)
            yield from response.iter_bytes()

    def checkpoint(self) -> dict[str, Any]:
        """Return where each chain ends now, signed; for custodians and auditors."""
        return self._send("GET", "/v1/receipts/checkpoint")

    def verify_receipts(self) -> dict[str, Any]:
        """Have the gateway recompute its chain of receipts."""
        return self._send("GET", "/v1/receipts/verify")

    def jobs(self) -> list[dict[str, Any]]:
        """List the jobs that the token may see, newest first."""
        found: list[dict[str, Any]] = self._send("GET", "/v1/jobs")["jobs"]
        return found

    def job(self, job_id: int) -> dict[str, Any]:
        """Show how far a job is."""
        return self._send("GET", f"/v1/jobs/{int(job_id)}")

    def cancel_job(self, job_id: int) -> dict[str, Any]:
        """End a job without an answer; what it never drew returns."""
        return self._send("DELETE", f"/v1/jobs/{int(job_id)}")

    def closed_plans(self) -> list[dict[str, Any]]:
        """List the plans that failed after their charge; for custodians and auditors."""
        found: list[dict[str, Any]] = self._send("GET", "/v1/plans/closed")["plans"]
        return found

    def open_plan(self, fingerprint: str) -> None:
        """Let a closed plan be asked again; for custodians."""
        self._send("DELETE", f"/v1/plans/closed/{quote(fingerprint, safe='')}", repeat=False)

    def create_token(
        self,
        name: str,
        role: str,
        *,
        datasets: Sequence[str] | None = None,
        expires_days: int | None = None,
        project: str = "default",
    ) -> dict[str, Any]:
        """Create a token; its secret is in the reply and nowhere else. For custodians."""
        body = {
            "name": name,
            "role": role,
            "datasets": None if datasets is None else list(datasets),
            "expires_days": expires_days,
            "project": project,
        }
        return self._send("POST", "/v1/tokens", body=body, repeat=False)

    def tokens(self) -> list[dict[str, Any]]:
        """List tokens without their secrets; for custodians."""
        found: list[dict[str, Any]] = self._send("GET", "/v1/tokens")["tokens"]
        return found

    def revoke_token(self, token_id: str) -> None:
        """Make a token invalid at once; for custodians."""
        self._send("DELETE", f"/v1/tokens/{quote(token_id, safe='')}")

    def close(self) -> None:
        """Let the connections go."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        """Name the gateway, never the token."""
        return f"<noisegate client of {self.url}>"

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: bool = True,
    ) -> dict[str, Any]:
        request = self._http.build_request(method, path, json=body, params=params, headers=headers)
        with self._reached():
            response = self._once_more(request) if repeat else self._http.send(request)
        return self._read(response)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Raise Unreachable where the gateway is not."""
        try:
            yield
        except httpx2.TimeoutException:
            raise Unreachable(
                f"no reply from {self.url} in time", "ask again: a twin costs nothing"
            ) from None
        except httpx2.TransportError as wrong:
            raise Unreachable(
                f"no gateway answers at {self.url}: {wrong}", "is `noisegate serve` running there?"
            ) from None

    def _once_more(self, request: httpx2.Request) -> httpx2.Response:
        try:
            return self._http.send(request)
        except (httpx2.NetworkError, httpx2.RemoteProtocolError):
            return self._http.send(request)

    def _read(self, response: httpx2.Response) -> dict[str, Any]:
        try:
            reply = response.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            reply = None
        if response.is_success and isinstance(reply, dict):
            return reply
        if isinstance(reply, dict) and isinstance(reply.get("error"), dict) and "code" in reply["error"]:
            raise failure(reply)
        raise Unreachable(
            f"{self.url} answers with status {response.status_code}, but not as a Noisegate gateway does",
            "check the URL",
        )


def question(sql: str, epsilon: Number | None, within: Number | None) -> dict[str, object]:
    """Return the body of a question."""
    body: dict[str, object] = {"sql": sql}
    if epsilon is not None:
        body["epsilon"] = plain("epsilon", epsilon)
    if within is not None:
        body["within"] = plain("within", within)
    return body


def _given(**wanted: object) -> dict[str, object]:
    """Return the parameters that were given."""
    return {name: value for name, value in wanted.items() if value is not None}


def _suspension(account: str) -> str:
    return f"/v1/budget/suspensions/{quote(account, safe='/')}"
