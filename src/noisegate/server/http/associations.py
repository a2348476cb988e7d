"""The routes of association: charged and padded as questions are."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from noisegate.ask.question import parse_number
from noisegate.gate.access import Asker
from noisegate.genomics.wanted import Wanted
from noisegate.server.http.associations_bodies import AssociationBody, AssociationReply
from noisegate.server.http.bodies import ERRORS, body_of, read
from noisegate.server.http.caller import Caller, Way
from noisegate.server.http.routes import IDEMPOTENCY


def associations_api(caller: Caller) -> APIRouter:
    """Return the routes under /v1/genomes/associations."""
    router = APIRouter(prefix="/v1/genomes/associations", responses=ERRORS, tags=["genomes"])
    gateway = caller.gateway

    @router.post(
        "",
        summary="Test variants for association",
        responses={200: {"model": AssociationReply}},
        openapi_extra=body_of(AssociationBody) | IDEMPOTENCY,
    )
    async def associate(request: Request) -> Response:
        """Compare cases with controls at named variants, or at those that differ most, with noise.

        The loss is charged before a genotype is read. Asked again on the same data the answer is the same, at
        no cost.
        """
        found = gateway.genomes.associations
        return await caller.ask(request, Way(wanted_in, found.slot_ms, found.ask))

    @router.post("/explain", summary="Price an association", openapi_extra=body_of(AssociationBody))
    async def explain(request: Request) -> Response:
        """Say what an association would do and cost, without spending anything."""
        raw = await request.body()

        def work(asker: Asker) -> object:
            return gateway.genomes.associations.explain(wanted_in(raw), asker)

        return await caller.call(request, work)

    return router


def wanted_in(raw: bytes) -> Wanted:
    """Return the association in a request body."""
    body = read(AssociationBody, raw)
    return Wanted(
        genotypes=body.genotypes,
        cases=body.cases,
        among=body.among or "",
        variants=tuple(body.variants or ()),
        top=body.top or 0,
        reference=body.reference or "",
        manifest=body.manifest or "",
        epsilon=parse_number("epsilon", body.epsilon),
    )
