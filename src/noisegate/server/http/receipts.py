"""The routes of receipts: read in pages, exported whole, checked, and held fast by checkpoints."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from noisegate.server.http.bodies import ERRORS, Name
from noisegate.server.http.caller import Caller, bearer

MOST_RECEIPTS = 1_000
LONGEST_PLACE = 32_768
EXPORT_TYPE = "application/jsonl"
_FILE = {"Content-Disposition": 'attachment; filename="receipts.jsonl"'}


def receipts_api(caller: Caller) -> APIRouter:
    """Return the routes under /v1/receipts."""
    router = APIRouter(prefix="/v1/receipts", responses=ERRORS, tags=["receipts"])
    _add_pages(router, caller)
    _add_export(router, caller)
    return router


def _add_pages(router: APIRouter, caller: Caller) -> None:
    gateway = caller.gateway

    @router.get("", summary="List receipts")
    async def receipts(
        request: Request,
        dataset: Annotated[Name | None, Query(description="only of this dataset")] = None,
        after: Annotated[
            str | None,
            Query(max_length=LONGEST_PLACE, description="where the last page ended: what it said as `next`"),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MOST_RECEIPTS)] = 100,
    ) -> Response:
        """List what was released, the earliest first, and where to go on.

        Each receipt comes on one page, whatever is added between two of them.
        """
        return await caller.call(request, lambda asker: gateway.receipts(asker, dataset, after, limit))

    @router.get("/verify", summary="Verify the chains of receipts")
    async def verify(request: Request) -> Response:
        """Recompute every hash of every chain, hold the rest of the ledger against it, and say what holds."""
        return await caller.call(request, gateway.verify_receipts)

    @router.get("/checkpoint", summary="Take a checkpoint")
    async def checkpoint(request: Request) -> Response:
        """Return where each chain ends now, signed: kept elsewhere, it shows a rollback."""
        return await caller.call(request, gateway.checkpoint)


def _add_export(router: APIRouter, caller: Caller) -> None:
    gateway = caller.gateway

    @router.get(
        "/export",
        summary="Export receipts",
        response_class=StreamingResponse,
        responses={200: {"content": {EXPORT_TYPE: {}}, "description": "A file that proves itself"}},
    )
    async def export(
        request: Request,
        dataset: Annotated[Name | None, Query(description="only of this dataset")] = None,
    ) -> Response:
        """Return all receipts as one file, JSON a line, that can be verified offline."""
        token = bearer(request)

        def begin() -> tuple[bytes, Iterator[bytes]]:
            pieces = iter(gateway.export_receipts(gateway.authenticate(token), dataset))
            return next(pieces), pieces  # what can be refused is refused before the reply begins

        first, rest = await caller.run(begin)

        async def body() -> AsyncIterator[bytes]:
            yield first
            while piece := await caller.run(lambda: next(rest, b"")):
                yield piece

        return StreamingResponse(body(), headers=_FILE, media_type=EXPORT_TYPE)
