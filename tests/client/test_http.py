import json
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import httpx2
import pytest

import noisegate
from noisegate import errors
from noisegate.client import Client, connect
from noisegate.client.failures import failure

from .test_answer import ONE

Handler = Callable[[httpx2.Request], httpx2.Response]


def client_of(handler: Handler) -> Client:
    return connect("http://gateway.test:8400", "ng_token", transport=httpx2.MockTransport(handler))


def replying(status: int, reply: object) -> Handler:
    return lambda _: httpx2.Response(status, json=reply)


class Flaky:
    """Breaks the connection so many times before it answers, and remembers what it was sent."""

    def __init__(self, breaks: int, kind: type[httpx2.TransportError], reply: object) -> None:
        self.breaks, self.kind, self.reply = breaks, kind, reply
        self.seen: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(request)
        if len(self.seen) <= self.breaks:
            raise self.kind("broken", request=request)
        return httpx2.Response(200, json=self.reply)


def test_a_question_goes_out_as_the_gateway_reads_it() -> None:
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json=ONE)

    with client_of(handler) as client:
        assert client.ask("SELECT 1", epsilon=0.5, idempotency_key="mine").value == 1234
        client.ask("SELECT 1", within=Fraction(1, 2))
        client.ask("SELECT 1", epsilon="0.1")
    assert [json.loads(r.content) for r in seen] == [
        {"sql": "SELECT 1", "epsilon": 0.5},
        {"sql": "SELECT 1", "within": 0.5},
        {"sql": "SELECT 1", "epsilon": "0.1"},
    ]
    assert [r.headers["authorization"] for r in seen] == ["Bearer ng_token"] * 3
    keys = [r.headers["idempotency-key"] for r in seen]
    assert keys[0] == "mine"
    assert len(set(keys)) == 3
    assert (seen[0].method, seen[0].url.path) == ("POST", "/v1/ask")


@pytest.mark.parametrize("kind", [httpx2.ConnectError, httpx2.ReadError, httpx2.RemoteProtocolError])
def test_a_question_is_sent_once_more_under_the_same_key_when_the_connection_breaks(
    kind: type[httpx2.TransportError],
) -> None:
    flaky = Flaky(1, kind, ONE)
    with client_of(flaky) as client:
        assert client.ask("SELECT 1").value == 1234
    first, second = flaky.seen
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.content == second.content


def test_a_connection_that_stays_broken_is_unreachable() -> None:
    flaky = Flaky(99, httpx2.ConnectError, ONE)
    with client_of(flaky) as client, pytest.raises(errors.Unreachable, match=r"gateway\.test") as raised:
        client.ask("SELECT 1")
    assert len(flaky.seen) == 2
    assert raised.value.exit_code == 6


def test_a_timeout_is_not_repeated() -> None:
    flaky = Flaky(1, httpx2.ReadTimeout, ONE)
    with client_of(flaky) as client, pytest.raises(errors.Unreachable, match="in time"):
        client.ask("SELECT 1")
    assert len(flaky.seen) == 1


@pytest.mark.parametrize("call", ["create_token", "grant"])
def test_what_may_not_happen_twice_is_not_repeated(call: str) -> None:
    flaky = Flaky(1, httpx2.ReadError, {})
    with client_of(flaky) as client, pytest.raises(errors.Unreachable):
        client.create_token("bob", "analyst") if call == "create_token" else client.grant("d", "a", epsilon=1)
    assert len(flaky.seen) == 1


def kinds(tree: type[errors.NoisegateError]) -> list[type[errors.NoisegateError]]:
    return [tree, *(k for below in tree.__subclasses__() for k in kinds(below))]


@pytest.mark.parametrize("code", sorted({k.code for k in kinds(errors.NoisegateError)}))
def test_every_code_becomes_an_error_with_the_same_code_and_exit_code(code: str) -> None:
    reply = {"error": {"code": code, "message": "m", "hint": "h", "detail": {"message": 1, "x": [2]}}}
    with client_of(replying(400, reply)) as client, pytest.raises(errors.NoisegateError) as raised:
        client.budget()
    assert raised.value.code == code
    matching = {k.exit_code for k in kinds(errors.NoisegateError) if k.code == code}
    assert raised.value.exit_code in matching
    if code not in ("engine_failed", "timeout"):
        assert (raised.value.message, raised.value.hint) == ("m", "h")
        assert raised.value.detail == {"message": 1, "x": [2]}


def test_errors_are_raised_as_their_classes() -> None:
    for kind in (errors.BudgetExhausted, errors.NotAggregate, errors.Unauthorised, errors.EngineTimeout):
        made = failure({"error": {"code": kind.code, "message": "m", "hint": "", "detail": {}}})
        assert type(made) is kind
    assert type(failure({"error": {"code": "new", "message": "m"}})) is errors.InternalError


@pytest.mark.parametrize(
    "response",
    [
        httpx2.Response(200, text="<html>a proxy</html>"),
        httpx2.Response(200, json=[1]),
        httpx2.Response(502, text="Bad gateway"),
        httpx2.Response(404, json={"detail": "Not Found"}),
        httpx2.Response(500, json={"error": "text"}),
    ],
)
def test_something_that_is_no_gateway_is_said_to_be_none(response: httpx2.Response) -> None:
    with (
        client_of(lambda _: response) as client,
        pytest.raises(errors.Unreachable, match="not as a Noisegate"),
    ):
        client.budget()


@pytest.mark.parametrize("url", ["", "gateway", "ftp://gateway", "http://", "http://[::1"])
def test_a_url_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(errors.BadInput, match="URL"):
        connect(url, "token")


@pytest.mark.parametrize("token", ["", "  ", "a\nb", "tökén"])
def test_a_token_that_cannot_be_one_is_refused(token: str) -> None:
    with pytest.raises(errors.BadInput, match="not a token"):
        connect("http://localhost", token)


def test_numbers_that_are_none_are_refused_before_anything_is_sent() -> None:
    flaky = Flaky(0, httpx2.ReadError, ONE)
    values: list[Any] = [True, [], 1j]
    with client_of(flaky) as client:
        for value in values:
            with pytest.raises(errors.BadInput, match="epsilon"):
                client.ask("SELECT 1", epsilon=value)
    assert flaky.seen == []


def test_the_token_is_not_shown() -> None:
    with client_of(replying(200, {})) as client:
        assert "ng_token" not in repr(client)


def test_a_token_id_cannot_leave_its_place_in_the_path() -> None:
    seen: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.raw_path.decode())
        return httpx2.Response(200, json={})

    with client_of(handler) as client:
        client.revoke_token("../budget?x")
    assert seen == ["/v1/tokens/..%2Fbudget%3Fx"]


def test_the_package_offers_connect() -> None:
    with noisegate.connect("http://localhost:1", "token") as client:
        assert isinstance(client, Client)


def test_importing_the_package_loads_neither_client_nor_engine() -> None:
    heavy = "{'httpx2', 'duckdb', 'pyarrow', 'rich', 'sqlglot'}"
    code = f"import noisegate, sys; print(*sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_client_loads_no_engine() -> None:
    code = "import noisegate.client, sys; print(*sorted(m for m in sys.modules if m.startswith('noisegate')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "noisegate",
        "noisegate.client",
        "noisegate.client.answer",
        "noisegate.client.associations",
        "noisegate.client.failures",
        "noisegate.client.genomes",
        "noisegate.client.http",
        "noisegate.client.numbers",
        "noisegate.client.verifications",
        "noisegate.errors",
    ]
