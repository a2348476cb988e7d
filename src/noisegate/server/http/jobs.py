"""The routes of jobs: how far they are, and their end. None starts one: what runs in steps has its own."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from noisegate.gate.access import Asker
from noisegate.gate.jobs import not_found
from noisegate.server.http.bodies import ERRORS
from noisegate.server.http.caller import Caller

LONGEST = 18  # digits of a number in 64 bits


def jobs_api(caller: Caller) -> APIRouter:
    """Return the routes of jobs."""
    router = APIRouter(prefix="/v1", responses=ERRORS, tags=["jobs"])
    gateway = caller.gateway

    @router.get("/jobs", summary="List jobs")
    async def jobs(request: Request) -> Response:
        """List the jobs the token may see, newest first: an analyst's own, or those on granted datasets."""
        return await caller.call(request, lambda asker: {"jobs": gateway.jobs(asker)})

    @router.get("/jobs/{job_id}", summary="Show a job")
    async def job(request: Request, job_id: str) -> Response:
        """Show how far a job is, what it reserved and what its steps drew."""
        return await caller.call(request, lambda asker: gateway.job(asker, _number(job_id)))

    @router.delete("/jobs/{job_id}", summary="Cancel a job")
    async def cancel(request: Request, job_id: str) -> Response:
        """End a job, also one that runs elsewhere: no further step starts, and what it never drew returns."""

        def work(asker: Asker) -> object:
            return gateway.cancel_job(asker, _number(job_id))

        return await caller.call(request, work)

    return router


def _number(job_id: str) -> int:
    """Return a job's number, read once the credential was checked. Raises NotFound."""
    if not (job_id.isascii() and job_id.isdecimal() and len(job_id) <= LONGEST):
        raise not_found(job_id)
    return int(job_id)
