"""The routes of privacy statements: JSON, or Markdown to whoever asks for it."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from noisegate.gate.access import Asker
from noisegate.gate.statement.markdown import markdown
from noisegate.server.http.bodies import ERRORS
from noisegate.server.http.caller import Caller, bearer

MARKDOWN = "text/markdown"
Form = Annotated[
    Literal["json", "markdown"] | None, Query(alias="format", description="wins over the header Accept")
]
REPLIES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, MARKDOWN: {}}, "description": "The statement"}
}


def statements_api(caller: Caller) -> APIRouter:
    """Return the routes of privacy statements."""
    router = APIRouter(prefix="/v1", responses={**ERRORS, **REPLIES}, tags=["statements"])
    gateway = caller.gateway

    @router.get("/datasets/{name}/statement", summary="State a dataset's privacy")
    async def of_dataset(request: Request, name: str, form: Form = None) -> Response:
        """Say what is guaranteed about everybody in a dataset, with what NIST SP 800-226 asks to disclose.

        What was spent stands in it for custodians and auditors alone.
        """
        return await _reply(caller, request, form, lambda asker: gateway.statement(asker, name))

    @router.get("/receipts/{receipt_id:path}/statement", summary="State a release's privacy")
    async def of_release(request: Request, receipt_id: str, form: Form = None) -> Response:
        """Say what one release may tell of a person, from its receipt and the data it read.

        For whoever asked for it, custodians and auditors.
        """
        return await _reply(caller, request, form, lambda asker: gateway.release_statement(asker, receipt_id))

    return router


async def _reply(
    caller: Caller, request: Request, form: str | None, work: Callable[[Asker], dict[str, object]]
) -> Response:
    if form is None:
        form = "markdown" if _prefers_markdown(request) else "json"
    if form == "json":
        return await caller.call(request, work)
    token = bearer(request)
    text = await caller.run(lambda: markdown(work(caller.gateway.authenticate(token))))
    return Response(text, media_type=MARKDOWN)


def _prefers_markdown(request: Request) -> bool:
    """Whether Markdown stands among the types that are accepted, and JSON not before it."""
    accepted = [part.split(";")[0].strip() for part in request.headers.get("accept", "").lower().split(",")]
    found = [kind for kind in accepted if kind in (MARKDOWN, "application/json")]
    return found[:1] == [MARKDOWN]
