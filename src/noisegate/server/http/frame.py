"""What surrounds every request: the body cap, security headers, metrics, and a last catch.

Plain ASGI, since this runs for every request, replays included.
"""

import asyncio
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from noisegate.errors import BadInput, TooLarge
from noisegate.server.http.replies import OUTCOME, code_of, error_reply
from noisegate.server.metrics import Metrics

STARTED = "noisegate.started"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    # Answers belong to one asker: no shared cache may keep them.
    (b"cache-control", b"no-store"),
)


# A body is small: a sender that takes longer holds a connection and nothing else.
BODY_SECONDS = 30


class Frame:
    """ASGI middleware; one a process."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, max_request_bytes: int) -> None:
        """Wrap an application."""
        self._app = app
        self._metrics = metrics
        self._cap = max_request_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[STARTED] = started = time.monotonic()
        reply = _Reply(send)
        try:
            self._check_announced(scope)
            await self._app(scope, self._capped(receive), reply.send)
        except ClientDisconnect:
            scope[OUTCOME] = "disconnected"
        except Exception as error:  # noqa: BLE001 - nothing may leave but the constant text
            scope[OUTCOME] = code_of(error)
            if not reply.started:
                await error_reply(error)(scope, receive, reply.send)
        finally:
            outcome = scope.get(OUTCOME) or ("ok" if reply.status < 400 else "bad_input")
            self._metrics.observe(_route(scope), outcome, time.monotonic() - started)

    def _check_announced(self, scope: Scope) -> None:
        for name, value in scope["headers"]:
            if name == b"content-length" and (not value.isdigit() or int(value) > self._cap):
                raise self._too_large()

    def _capped(self, receive: Receive) -> Receive:
        seen = 0
        whole = False
        until = time.monotonic() + BODY_SECONDS

        async def counted() -> Message:
            nonlocal seen, whole
            if whole:  # what comes now is news of the connection, which may take its time
                return await receive()
            try:
                async with asyncio.timeout(max(until - time.monotonic(), 0)):
                    message = await receive()
            except TimeoutError:
                raise BadInput(
                    f"the request's body did not arrive within {BODY_SECONDS} s", "send it in one piece"
                ) from None
            seen += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if seen > self._cap:
                raise self._too_large()
            return message

        return counted

    def _too_large(self) -> TooLarge:
        return TooLarge(f"a request body has at most {self._cap} bytes", "send a shorter question")


class _Reply:
    """Adds the headers on the way out and remembers the status."""

    __slots__ = ("_send", "started", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False
        self.status = 500

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
        await self._send(message)


def _route(scope: MutableMapping[str, Any]) -> str:
    """Return the template of the route that served the request: a closed set, whatever was asked for."""
    return getattr(scope.get("route"), "path", "other")
