"""The routes of the API. Each reads its request, calls the gateway through `Caller`, and replies in JSON.

Bodies are read after the credential was checked, so that a stranger learns nothing of their shape from
errors; their models stand in the OpenAPI document all the same.
"""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from noisegate.gate.access import Asker
from noisegate.server.http.bodies import (
    ERRORS,
    AnswerReply,
    AskBody,
    TokenBody,
    body_of,
    read,
)
from noisegate.server.http.caller import Caller, Way, bearer, question_in
from noisegate.server.http.replies import json_reply
from noisegate.server.metrics import Metrics

IDEMPOTENCY = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "a key with the same question is charged once; with another it is a conflict",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        }
    ]
}


def api(caller: Caller) -> APIRouter:
    """Return the routes under /v1."""
    router = APIRouter(prefix="/v1", responses=ERRORS)
    gateway = caller.gateway

    @router.post(
        "/ask",
        summary="Ask a question",
        responses={200: {"model": AnswerReply}},
        openapi_extra=body_of(AskBody) | IDEMPOTENCY,
        tags=["questions"],
    )
    async def ask(request: Request) -> Response:
        """Answer SQL with noise and an interval; the loss is charged before a row is read.

        The same question on the same data gets the same answer again, at no cost.
        """
        return await caller.ask(request, Way(question_in, gateway.slot_ms, gateway.ask))

    @router.post("/explain", summary="Price a question", openapi_extra=body_of(AskBody), tags=["questions"])
    async def explain(request: Request) -> Response:
        """Say what a question would do, cost and be worth, without spending anything."""
        raw = await request.body()
        return await caller.call(request, lambda asker: gateway.explain(question_in(raw), asker))

    @router.get("/datasets", summary="List datasets", tags=["data"])
    async def datasets(request: Request) -> Response:
        """List the tables and columns the token may ask about, with their declared bounds."""
        return await caller.call(request, lambda asker: {"datasets": gateway.datasets(asker)})

    @router.get("/plans/closed", summary="List closed plans", tags=["plans"])
    async def closed_plans(request: Request) -> Response:
        """List the plans that failed after they were charged and are closed for everyone, oldest first.

        Five of them on a dataset close it to all new questions.
        """
        return await caller.call(request, lambda asker: {"plans": gateway.closed_plans(asker)})

    @router.delete("/plans/closed/{fingerprint}", summary="Open a closed plan", tags=["plans"])
    async def open_plan(request: Request, fingerprint: str) -> Response:
        """Let a closed plan be asked again, once what made it fail is mended."""

        def work(asker: Asker) -> object:
            gateway.open_plan(asker, fingerprint)
            return {"opened": fingerprint}

        return await caller.call(request, work)

    @router.post(
        "/tokens",
        summary="Create a token",
        openapi_extra=body_of(TokenBody),
        tags=["tokens"],
        status_code=201,
    )
    async def create_token(request: Request) -> Response:
        """Create a token. Its secret is shown once, in this reply."""
        raw = await request.body()

        def work(asker: Asker) -> object:
            body = read(TokenBody, raw)
            return gateway.create_token(
                asker, body.name, body.role, body.datasets, body.expires_days, body.project
            )

        return await caller.call(request, work, 201)

    @router.get("/tokens", summary="List tokens", tags=["tokens"])
    async def list_tokens(request: Request) -> Response:
        """List tokens without their secrets."""
        return await caller.call(request, lambda asker: {"tokens": gateway.list_tokens(asker)})

    @router.delete("/tokens/{token_id}", summary="Revoke a token", tags=["tokens"])
    async def revoke_token(request: Request, token_id: str) -> Response:
        """Make a token invalid at once."""

        def work(asker: Asker) -> object:
            gateway.revoke_token(asker, token_id)
            return {"revoked": token_id}

        return await caller.call(request, work)

    return router


def operations(caller: Caller, metrics: Metrics) -> APIRouter:
    """Return the routes a monitor reads. Health needs no token; metrics show everybody's times, and do."""
    router = APIRouter(tags=["operations"])
    gateway = caller.gateway

    @router.get("/healthz", summary="Health")
    async def healthz() -> Response:
        """Say whether the parts work: 200 when all do, else 503."""
        health = await caller.run(gateway.health)
        return json_reply(health, 200 if health.get("status") == "ok" else 503)

    @router.get("/metrics", summary="Metrics", response_class=Response)
    async def prometheus(request: Request) -> Response:
        """Return counters in the Prometheus text format, to custodians and auditors."""
        token = bearer(request)
        text = await caller.run(lambda: gateway.metrics(gateway.authenticate(token)))
        return Response(metrics.text() + text, media_type="text/plain; version=0.0.4")

    return router
