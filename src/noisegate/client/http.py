"""Speaking to a gateway over HTTP.

A request that may be repeated safely is sent once more when the connection breaks: reads, and questions,
which carry an Idempotency-Key so that the gateway charges them once.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

from noisegate.client.answer import Answer
from noisegate.client.failures import failure
from noisegate.errors import BadInput, Unreachable

Number = int | float | str | Fraction
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


class Client:
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

    def budget(self) -> dict[str, Any]:
        """Show what was spent and what is left."""
        return self._send("GET", "/v1/budget")

    def grant(
        self, dataset: str, analyst: str, *, epsilon: Number, delta: Number | None = None
    ) -> dict[str, Any]:
        """Open an analyst's account on a dataset with limits of its own; for custodians."""
        body = {
            "dataset": dataset,
            "analyst": analyst,
            "epsilon": _plain("epsilon", epsilon),
            "delta": None if delta is None else _plain("delta", delta),
        }
        return self._send("POST", "/v1/budget/grants", body=body, repeat=False)

    def receipts(self, dataset: str | None = None, *, after: int = 0, limit: int = 100) -> dict[str, Any]:
        """List receipts, oldest first."""
        wanted = {"dataset": dataset, "after": after, "limit": limit}
        return self._send("GET", "/v1/receipts", params={k: v for k, v in wanted.items() if v is not None})

    def verify_receipts(self) -> dict[str, Any]:
        """Have the gateway recompute its chain of receipts."""
        return self._send("GET", "/v1/receipts/verify")

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
    ) -> dict[str, Any]:
        """Create a token; its secret is in the reply and nowhere else. For custodians."""
        body = {
            "name": name,
            "role": role,
            "datasets": None if datasets is None else list(datasets),
            "expires_days": expires_days,
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
        try:
            response = self._once_more(request) if repeat else self._http.send(request)
        except httpx2.TimeoutException:
            raise Unreachable(
                f"no reply from {self.url} in time", "ask again: a twin costs nothing"
            ) from None
        except httpx2.TransportError as wrong:
            raise Unreachable(
                f"no gateway answers at {self.url}: {wrong}", "is `noisegate serve` running there?"
            ) from None
        return self._read(response)

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
        body["epsilon"] = _plain("epsilon", epsilon)
    if within is not None:
        body["within"] = _plain("within", within)
    return body


def _plain(name: str, value: Number) -> int | float | str:
    """Return a number as JSON holds it; a fraction as the decimal nearest to it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Fraction):
        raise BadInput(f"{name} must be a number")
    return float(value) if isinstance(value, Fraction) else value
