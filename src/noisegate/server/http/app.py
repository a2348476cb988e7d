"""The HTTP application: routes, pages and the one error shape, in front of any gateway."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from noisegate.errors import BadInput, NoisegateError, NotFound
from noisegate.server.gateway import Gateway
from noisegate.server.http.associations import associations_api
from noisegate.server.http.budget import budget_api
from noisegate.server.http.caller import Caller
from noisegate.server.http.frame import Frame
from noisegate.server.http.genomes import genomes_api
from noisegate.server.http.jobs import jobs_api
from noisegate.server.http.pages import STYLE, docs_page, status_page
from noisegate.server.http.receipts import receipts_api
from noisegate.server.http.replies import OUTCOME, code_of, error_reply, json_reply
from noisegate.server.http.routes import api, operations
from noisegate.server.http.statements import statements_api
from noisegate.server.http.verifications import verifications_api
from noisegate.server.metrics import Metrics

DESCRIPTION = "Answers to SQL over protected records, with calibrated noise, an interval and a price."


def build_app(
    gateway: Gateway,
    *,
    version: str,
    max_request_bytes: int = 256 * 1024,
    padding_ms: int = 40,
    max_in_flight: int = 64,
) -> FastAPI:
    """Return the application.

    Args:
        gateway: what answers.
        version: of Noisegate, shown on the pages.
        max_request_bytes: a larger body is refused while it arrives.
        padding_ms: fresh answers, and failures after a charge, leave at multiples of it.
        max_in_flight: questions in progress; further ones are told to come back.
    """
    metrics = Metrics()
    caller = Caller(gateway, padding_ms=padding_ms, max_in_flight=max_in_flight)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        caller.close()

    app = FastAPI(
        title="Noisegate",
        version=version,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # the stock pages load scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
        exception_handlers={
            NoisegateError: _noisegate_error,
            RequestValidationError: _validation_error,
            HTTPException: _http_error,
        },
    )
    app.add_middleware(Frame, metrics=metrics, max_request_bytes=max_request_bytes)
    app.include_router(api(caller))
    app.include_router(budget_api(caller))
    app.include_router(receipts_api(caller))
    app.include_router(statements_api(caller))
    app.include_router(jobs_api(caller))
    app.include_router(genomes_api(caller))
    app.include_router(associations_api(caller))
    app.include_router(verifications_api(caller))
    app.include_router(operations(caller, metrics))
    _add_pages(app, caller, version)
    _add_security(app)
    return app


def _add_pages(app: FastAPI, caller: Caller, version: str) -> None:
    style = STYLE.read_bytes()

    @app.get("/", include_in_schema=False)
    async def status() -> Response:
        health = await caller.run(caller.gateway.health)
        datasets = await caller.run(caller.gateway.overview)
        return HTMLResponse(status_page(health, datasets, version))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(docs_page(app.openapi()))

    @app.get("/style.css", include_in_schema=False)
    async def style_sheet() -> Response:
        return Response(style, media_type="text/css")


def _add_security(app: FastAPI) -> None:
    """Say in the OpenAPI document that everything under /v1 needs a bearer token."""
    plain = app.openapi

    def with_security() -> dict[str, Any]:
        document = plain()
        document.setdefault("components", {})["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"}
        }
        for path, methods in document["paths"].items():
            if path.startswith("/v1/") or path == "/metrics":
                for operation in methods.values():
                    operation["security"] = [{"token": []}]
        return document

    app.openapi = with_security  # type: ignore[method-assign]  # FastAPI's documented way to extend it


async def _noisegate_error(request: Request, error: Exception) -> Response:
    request.scope[OUTCOME] = code_of(error)
    return error_reply(error)


async def _validation_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    problems = [{"where": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors()]
    first = problems[0]
    return await _noisegate_error(
        request,
        BadInput(f"{first['where']}: {first['message']}", "see /docs for the parameters", problems=problems),
    )


async def _http_error(request: Request, error: Exception) -> Response:
    """Give what the router itself refuses the one error shape, with the router's status and headers."""
    if not isinstance(error, HTTPException):
        raise error
    wrong: NoisegateError
    if error.status_code == 404:
        wrong = NotFound("there is nothing at this address", "see /docs for what there is")
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        wrong = BadInput(f"this address takes {re.sub(r', ?', ' or ', allowed)}", "see /docs")
    else:
        wrong = BadInput("the request could not be read", "see /docs for its shape")
    request.scope[OUTCOME] = wrong.code
    reply = json_reply(wrong.as_json(), error.status_code)
    reply.headers.update(error.headers or {})
    return reply
