"""The routes of budgets: what was spent and is left, and what custodians do about it."""

from fractions import Fraction
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from noisegate.ask.question import parse_number
from noisegate.gate.access import Asker
from noisegate.server.http.bodies import ERRORS, body_of, read
from noisegate.server.http.budget_bodies import (
    AccountReply,
    AccountsReply,
    GrantBody,
    GrantedReply,
    OdometerReply,
    RenewalBody,
    RenewalsReply,
    SuspensionBody,
    TransferBody,
)
from noisegate.server.http.caller import Caller

MOST_DAYS = 3_660


def budget_api(caller: Caller) -> APIRouter:
    """Return the routes under /v1/budget."""
    router = APIRouter(prefix="/v1/budget", responses=ERRORS, tags=["budget"])
    _add_shown(router, caller)
    _add_shares(router, caller)
    _add_suspensions(router, caller)
    return router


def _add_shown(router: APIRouter, caller: Caller) -> None:
    gateway = caller.gateway

    @router.get("", summary="Show budgets", responses={200: {"model": AccountsReply}})
    async def budget(
        request: Request,
        account: Annotated[
            str | None, Query(max_length=403, description="only this dataset or account, and beneath it")
        ] = None,
    ) -> Response:
        """Show what was spent and what is left, as far as the token may see it."""
        return await caller.call(request, lambda asker: gateway.budget(asker, account))

    @router.get("/odometer", summary="Tell spending apart", responses={200: {"model": OdometerReply}})
    async def odometer(
        request: Request,
        by: Annotated[
            Literal["dataset", "analyst", "tier", "day"], Query(description="what to tell spending apart by")
        ] = "dataset",
        account: Annotated[
            str | None, Query(max_length=403, description="only of this dataset or account, and beneath it")
        ] = None,
        days: Annotated[
            int | None, Query(ge=1, le=MOST_DAYS, description="only the last so many days")
        ] = None,
    ) -> Response:
        """Show who spent how much, on what, when: an estimate, over all periods."""
        return await caller.call(request, lambda asker: gateway.odometer(asker, by, account, days))


def _add_shares(router: APIRouter, caller: Caller) -> None:
    gateway = caller.gateway

    @router.post(
        "/grants",
        summary="Grant a budget",
        openapi_extra=body_of(GrantBody),
        responses={201: {"model": GrantedReply}},
        status_code=201,
    )
    async def grant(request: Request) -> Response:
        """Give an analyst or a project a share of a dataset's budget. For custodians, who may not ask.

        An account that is not open is opened with it; one that is begins a new period, and the rest of its
        former one is forfeited.
        """
        raw = await request.body()

        def work(asker: Asker) -> object:
            body = read(GrantBody, raw)
            return gateway.grant(
                asker,
                body.dataset,
                body.analyst,
                parse_number("epsilon", body.epsilon) or Fraction(0),
                parse_number("delta", body.delta),
                project=body.project,
                until=body.until,
                every=body.every,
            )

        return await caller.call(request, work, 201)

    @router.post(
        "/renewals",
        summary="Begin a new period",
        openapi_extra=body_of(RenewalBody),
        responses={201: {"model": RenewalsReply}},
        status_code=201,
    )
    async def renew(request: Request) -> Response:
        """Begin an account's next period, a signed entry on its chain. For custodians.

        What people may lose grows by it: `lifetime` keeps the sum of all periods.
        """
        raw = await request.body()

        def work(asker: Asker) -> object:
            body = read(RenewalBody, raw)
            return gateway.renew(
                asker,
                body.account,
                body.reason,
                parse_number("epsilon", body.epsilon),
                parse_number("delta", body.delta),
                until=body.until,
                every=body.every,
            )

        return await caller.call(request, work, 201)

    @router.post(
        "/transfers",
        summary="Transfer a budget",
        openapi_extra=body_of(TransferBody),
        responses={201: {"model": AccountsReply}},
        status_code=201,
    )
    async def transfer(request: Request) -> Response:
        """Move what one analyst has left to another of the same project. For custodians."""
        raw = await request.body()

        def work(asker: Asker) -> object:
            body = read(TransferBody, raw)
            epsilon = parse_number("epsilon", body.epsilon) or Fraction(0)
            return gateway.transfer(
                asker, body.dataset, body.giver, body.taker, epsilon, project=body.project
            )

        return await caller.call(request, work, 201)


def _add_suspensions(router: APIRouter, caller: Caller) -> None:
    gateway = caller.gateway

    @router.put(
        "/suspensions/{account:path}",
        summary="Suspend an account",
        openapi_extra=body_of(SuspensionBody),
        responses={200: {"model": AccountReply}},
    )
    async def suspend(request: Request, account: str) -> Response:
        """Refuse all charges that name an account, and so all beneath it, until it is resumed."""
        raw = await request.body()

        def work(asker: Asker) -> object:
            return gateway.suspend(asker, account, read(SuspensionBody, raw).reason)

        return await caller.call(request, work)

    @router.delete(
        "/suspensions/{account:path}", summary="Resume an account", responses={200: {"model": AccountReply}}
    )
    async def resume(request: Request, account: str) -> Response:
        """Open a suspended or locked account again; its strikes are forgotten."""
        return await caller.call(request, lambda asker: gateway.resume(asker, account))
