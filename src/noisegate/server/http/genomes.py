"""The routes of genomes: sharing as a job, releases, their grants and their files.

No route reads from the custodian's side of a release: files are found by the names on its record alone.
"""

import base64
from fractions import Fraction
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from noisegate.ask.question import parse_number
from noisegate.gate.access import Asker
from noisegate.server.http.bodies import ERRORS, Name, body_of, read
from noisegate.server.http.caller import Caller, bearer, idempotency_key
from noisegate.server.http.genomes_bodies import AdviceBody, ReleaseGrantBody, ShareBody
from noisegate.server.http.routes import IDEMPOTENCY

FILE_TYPE = "application/octet-stream"


def genomes_api(caller: Caller) -> APIRouter:
    """Return the routes under /v1/genomes."""
    router = APIRouter(prefix="/v1/genomes", responses=ERRORS, tags=["genomes"])
    _add_sharing(router, caller)
    _add_releases(router, caller)
    _add_grants(router, caller)
    return router


def _add_sharing(router: APIRouter, caller: Caller) -> None:
    gateway = caller.gateway

    @router.post(
        "/shares",
        summary="Share genomes",
        openapi_extra=body_of(ShareBody) | IDEMPOTENCY,
        status_code=202,
    )
    async def share(request: Request) -> Response:
        """Charge for a release and begin to make it: the reply names its job and its release.

        `GET /v1/jobs/{id}` shows how far it is. The same release is made once; asking again finds it.
        """
        raw, key = await request.body(), idempotency_key(request)

        def work(asker: Asker) -> object:
            return gateway.genomes.share(asker, read(ShareBody, raw).request(), key)

        return await caller.call(request, work, 202)

    @router.post("/explain", summary="Price a release of genomes", openapi_extra=body_of(ShareBody))
    async def explain(request: Request) -> Response:
        """Say what a release would do, lose and warn of, without spending anything."""
        raw = await request.body()

        def work(asker: Asker) -> object:
            return gateway.genomes.explain(asker, read(ShareBody, raw).request())

        return await caller.call(request, work)

    @router.post("/advice", summary="Compare methods", openapi_extra=body_of(AdviceBody))
    async def advice(request: Request) -> Response:
        """Compare all methods on public data for so many people and variants; recommend one, or none."""
        raw = await request.body()

        def work(asker: Asker) -> object:
            body = read(AdviceBody, raw)
            return gateway.genomes.advise(
                asker,
                body.reference,
                people=body.people,
                variants=body.variants,
                epsilon=parse_number("epsilon", body.epsilon) or Fraction(0),
                delta=parse_number("delta", body.delta) or Fraction(0),
            )

        return await caller.call(request, work)


def _add_releases(router: APIRouter, caller: Caller) -> None:
    gateway = caller.gateway

    @router.get("/releases", summary="List releases")
    async def releases(request: Request) -> Response:
        """List releases, newest first: to analysts those granted to them, to others all on their data."""
        return await caller.call(request, lambda asker: {"releases": gateway.genomes.releases(asker)})

    @router.get("/releases/{release_id}", summary="Show a release")
    async def release(request: Request, release_id: str) -> Response:
        """Show what a release holds, what it lost and under which law, and its files with their digests."""
        return await caller.call(request, lambda asker: gateway.genomes.release(asker, release_id))

    @router.get(
        "/releases/{release_id}/files/{name}",
        summary="Download a file of a release",
        response_class=FileResponse,
        responses={200: {"content": {FILE_TYPE: {}}, "description": "The file, whole or a range of it"}},
    )
    async def file(request: Request, release_id: str, name: str) -> Response:
        """Return a file that the release lists. `Repr-Digest` is the SHA-256 of the whole file."""
        token = bearer(request)
        path, digest = await caller.run(
            lambda: gateway.genomes.file(gateway.authenticate(token), release_id, name)
        )
        field = base64.b64encode(bytes.fromhex(digest)).decode()
        return FileResponse(
            path, filename=name, media_type=FILE_TYPE, headers={"Repr-Digest": f"sha-256=:{field}:"}
        )


def _add_grants(router: APIRouter, caller: Caller) -> None:
    gateway = caller.gateway

    @router.post(
        "/releases/{release_id}/grants",
        summary="Grant a release",
        openapi_extra=body_of(ReleaseGrantBody),
        status_code=201,
    )
    async def grant(request: Request, release_id: str) -> Response:
        """Give a release to an analyst by name, durably and on record. For custodians."""
        raw = await request.body()

        def work(asker: Asker) -> object:
            body = read(ReleaseGrantBody, raw)
            return gateway.genomes.grant(asker, release_id, body.analyst, body.project)

        return await caller.call(request, work, 201)

    @router.delete("/releases/{release_id}/grants/{analyst}", summary="Revoke the grant of a release")
    async def revoke(
        request: Request,
        release_id: str,
        analyst: str,
        project: Annotated[Name, Query(description="the project on their token")] = "default",
    ) -> Response:
        """Take a release back from an analyst; what they downloaded stays theirs. For custodians."""
        return await caller.call(
            request, lambda asker: gateway.genomes.revoke(asker, release_id, analyst, project)
        )
