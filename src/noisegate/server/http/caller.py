"""From a request to the gateway and back: the credential, the thread, the padding.

The gateway blocks (on the engine, on the ledger's fsync), so it is called from two bounded pools: questions
have one of their own, so that a full house of them does not stop a budget from being read.
"""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from noisegate.ask.question import Question, parse_number
from noisegate.errors import BadInput, RequestError, Throttled, Unauthorised
from noisegate.gate.access import Asker
from noisegate.server.gateway import Gateway
from noisegate.server.http.bodies import AskBody, read
from noisegate.server.http.frame import STARTED
from noisegate.server.http.replies import OUTCOME, code_of, encode, error_reply, json_reply

MAX_KEY = 200
OTHER_THREADS = 8
Result = TypeVar("Result")
Asked = TypeVar("Asked")


class Reply(Protocol):
    """What is said to anything that is asked; `ask.answer.Answer` is one."""

    @property
    def replayed(self) -> bool:
        """Whether it was there already."""

    @property
    def waited(self) -> bool:
        """Whether it waited for a twin's work."""

    def as_json(self) -> dict[str, object]:
        """Return JSON values only."""


@dataclass(frozen=True, slots=True)
class Way(Generic[Asked]):
    """How one kind of thing is asked that is charged: read from a body, given a slot, answered."""

    read: Callable[[bytes], Asked]
    slot_ms: Callable[[Asked, Asker], int]
    ask: Callable[[Asked, Asker, str | None], Reply]


class Caller:
    """Calls the gateway for the routes. One an application."""

    def __init__(self, gateway: Gateway, *, padding_ms: int, max_in_flight: int) -> None:
        """Take the gateway and the limits; threads start when they are first needed."""
        self.gateway = gateway
        self._quantum = padding_ms / 1_000
        self._most = max_in_flight
        self._in_flight = 0
        self._questions = ThreadPoolExecutor(max_in_flight, "question")
        self._others = ThreadPoolExecutor(OTHER_THREADS, "request")

    def close(self) -> None:
        """Wait for questions in progress, then let the threads go."""
        self._questions.shutdown()
        self._others.shutdown()

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run something short off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._others, work)

    async def call(self, request: Request, work: Callable[[Asker], object], status: int = 200) -> Response:
        """Return what `work` gives the asker who sent the request, as JSON."""
        token = bearer(request)

        def authorised() -> Response:
            return json_reply(work(self.gateway.authenticate(token)), status)

        return await self.run(authorised)

    async def work(self, request: Request, work: Callable[[Asker], object]) -> Response:
        """Return the same of something long, which counts among the questions in progress."""
        token = bearer(request)

        def authorised() -> Response:
            return json_reply(work(self.gateway.authenticate(token)), 200)

        return await self._in_turn(authorised)

    async def ask(self, request: Request, way: Way[Asked]) -> Response:
        """Answer one question, of whatever kind.

        What happens after a charge (an answer, a failure) leaves at a multiple of the padding quantum since
        the request began, and not before the slot that the question's declared work earns it, so that the
        engine's time is not seen any finer. Replays and refusals follow from public facts and leave at once.
        """
        token = bearer(request)
        key = idempotency_key(request)
        raw = await request.body()
        reply, slot = await self._in_turn(lambda: self._answer(token, raw, key, request, way))
        if slot is not None:
            await self._pad(request, slot)
        return reply

    async def _in_turn(self, work: Callable[[], Result]) -> Result:
        """Run a question off the event loop, or refuse it where there are as many as may be."""
        if self._in_flight >= self._most:
            raise Throttled(
                f"{self._most} questions are in progress", "ask again in a moment", retry_after_seconds=1
            )
        self._in_flight += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._questions, work)
        finally:
            self._in_flight -= 1

    def _answer(
        self, token: str, raw: bytes, key: str | None, request: Request, way: Way[Asked]
    ) -> tuple[Response, float | None]:
        """Return the reply and the earliest it may leave, in seconds; None where that is no secret."""
        asker = self.gateway.authenticate(token)
        question = way.read(raw)
        slot = way.slot_ms(question, asker) / 1_000
        try:
            answer = way.ask(question, asker, key)
            request.scope[OUTCOME] = "replayed" if answer.replayed else "answered"
            reply = Response(encode(answer.as_json()), media_type="application/json")
            return reply, None if answer.replayed and not answer.waited else slot
        except RequestError as error:
            if not error.waited:
                raise
            request.scope[OUTCOME] = code_of(error)
            return error_reply(error), slot
        except Exception as error:  # noqa: BLE001 - a failure must be padded like an answer
            request.scope[OUTCOME] = code_of(error)
            return error_reply(error), slot

    async def _pad(self, request: Request, slot: float) -> None:
        if self._quantum > 0:
            elapsed = time.monotonic() - request.scope[STARTED]
            # The slot is one quantum in for most questions, which then costs them nothing.
            quanta = max(math.ceil(slot / self._quantum), math.floor(elapsed / self._quantum) + 1)
            await asyncio.sleep(quanta * self._quantum - elapsed)


def question_in(raw: bytes) -> Question:
    """Return the question in a request body."""
    body = read(AskBody, raw)
    return Question(body.sql, parse_number("epsilon", body.epsilon), parse_number("within", body.within))


def bearer(request: Request) -> str:
    """Return the bearer token of a request, or raise Unauthorised."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthorised("this needs a token", "send the header 'Authorization: Bearer TOKEN'")
    return token


def idempotency_key(request: Request) -> str | None:
    """Return the Idempotency-Key of a request, if it has one."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise BadInput(f"an Idempotency-Key is 1 to {MAX_KEY} printable ASCII characters")
    return key
