"""The route of verification: findings against a release, or against a private answer."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from noisegate.gate.access import Asker
from noisegate.genomics.check import Check
from noisegate.server.http.bodies import ERRORS, body_of, read
from noisegate.server.http.caller import Caller, Way, bearer
from noisegate.server.http.routes import IDEMPOTENCY
from noisegate.server.http.verifications_bodies import VerdictReply, VerificationBody


def verifications_api(caller: Caller) -> APIRouter:
    """Return the routes under /v1/genomes/verifications."""
    router = APIRouter(prefix="/v1/genomes/verifications", responses=ERRORS, tags=["genomes"])
    gateway = caller.gateway

    @router.post(
        "",
        summary="Verify published findings",
        responses={200: {"model": VerdictReply}},
        openapi_extra=body_of(VerificationBody) | IDEMPOTENCY,
    )
    async def verify(request: Request) -> Response:
        """Say whether reported p-values are consistent with a release, or with a private answer, or neither.

        A verdict on a release costs nothing. A private answer is charged as an association of the same
        variants, once.
        """
        raw = await request.body()
        found = gateway.genomes

        def check_in(sent: bytes) -> Check:
            return read(VerificationBody, sent).check()

        def work(asker: Asker) -> object:
            return found.verifications.verify(check_in(raw), asker)

        token = bearer(request)

        def is_private() -> bool:
            gateway.authenticate(token)
            return check_in(raw).association is not None

        if await caller.run(is_private):
            # Asked first as any association is, so that its time tells no more than that of one; the verdict
            # is made of the stored answer.
            asked = found.verifications
            reply = await caller.ask(request, Way(check_in, asked.slot_ms, asked.ask))
            if reply.status_code != 200:
                return reply
        return await caller.work(request, work)

    return router
