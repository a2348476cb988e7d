"""Abuse on the wire: broken HTTP, slow bodies, and what the time of a reply tells."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from noisegate.errors import EngineFailed
from noisegate.privacy.question import Aggregation
from noisegate.server.http.app import build_app
from noisegate.server.serve import beside, listen

from .door import CAP, COUNT, Door
from .world import spending

ASK = {"sql": COUNT, "epsilon": 0.5}


@pytest.fixture(scope="module")
def wire(door: Door) -> Iterator[tuple[str, int]]:
    """The same gateway behind a real socket, padded as shipped."""
    bound = listen("127.0.0.1", 0)
    app = build_app(door.gateway, version="0", max_request_bytes=CAP)
    with closing(bound), beside(app, bound) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        yield host, int(port)


def exchange(wire: tuple[str, int], raw: bytes, wait: float = 5.0) -> bytes:
    """Send bytes; return all that comes back until the server closes or falls silent."""
    with socket.create_connection(wire, timeout=wait) as connection:
        connection.sendall(raw)
        got = b""
        try:
            while chunk := connection.recv(65_536):
                got += chunk
                if b"\r\n\r\n" in got and b"Connection: close" not in raw:
                    break
        except (TimeoutError, ConnectionResetError):
            pass
        return got


def request(door: Door, body: bytes, *headers: str, method: str = "POST", path: str = "/v1/ask") -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: x",
        "Connection: close",
        f"Authorization: Bearer {door.secrets['analyst']}",
        *(headers or (f"Content-Length: {len(body)}",)),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def test_requests_that_break_http_cost_nothing_and_break_nothing(door: Door, wire: tuple[str, int]) -> None:
    body = json.dumps(ASK).encode()
    before = spending(door.gateway)
    broken = (
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"y" * 200_000 + b"\r\n\r\n",
        request(door, body, "Content-Length: 5", f"Content-Length: {len(body)}"),
        request(door, body, "Content-Length: abc"),
        request(door, body, "Content-Length: -5"),
        request(door, b"zz\r\n", "Transfer-Encoding: chunked"),
        request(door, body, "Transfer-Encoding: chunked", f"Content-Length: {len(body)}"),
    )
    for raw in broken:
        got = exchange(wire, raw, wait=1.0)
        assert not got.startswith(b"HTTP/1.1 200")
        assert b"Traceback" not in got
    assert spending(door.gateway) == before
    assert exchange(wire, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_a_slow_body_holds_nobody_else_up(door: Door, wire: tuple[str, int]) -> None:
    body = json.dumps({"sql": f"{COUNT} WHERE age = 66", "epsilon": 0.5}).encode()
    before = spending(door.gateway)
    slow = [socket.create_connection(wire, timeout=5) for _ in range(80)]
    try:
        for connection in slow:
            connection.sendall(request(door, b"", f"Content-Length: {len(body)}") + body[:10])
        started = time.monotonic()
        assert exchange(wire, request(door, body)).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - started < 3
    finally:
        for connection in slow:
            connection.close()
    assert spending(door.gateway)[0] == before[0] + 1


@pytest.mark.slow
def test_a_body_that_never_ends_is_given_up(door: Door, wire: tuple[str, int]) -> None:
    body = json.dumps(ASK).encode()
    with socket.create_connection(wire, timeout=45) as connection:
        connection.sendall(request(door, b"", f"Content-Length: {len(body)}") + body[:10])
        got = connection.recv(65_536)
    assert not got or got.startswith(b"HTTP/1.1 4")


def answer_times(door: Door, wire: tuple[str, int], numbers: range) -> list[float]:
    """Seconds from request to reply of fresh answers, over one connection each."""
    times = []
    for number in numbers:
        body = json.dumps({"sql": f"{COUNT} WHERE code <> {number}", "epsilon": 0.5}).encode()
        started = time.monotonic()
        assert exchange(wire, request(door, body)).startswith(b"HTTP/1.1 200")
        times.append(time.monotonic() - started)
    return times


def on_the_clock(times: list[float]) -> float:
    """The share of times that lie shortly after a multiple of 40 ms, and not before the first."""
    return sum(t >= 0.039 and t % 0.040 < 0.016 for t in times) / len(times)


def test_fresh_answers_and_failures_leave_at_multiples_of_40_ms(
    door: Door, wire: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert on_the_clock(answer_times(door, wire, range(1_000, 1_030))) > 0.7

    def fails(*_: object) -> None:
        time.sleep(0.017)
        raise EngineFailed

    monkeypatch.setattr(type(door.gateway._desk.engine), "run", fails)
    body = json.dumps({"sql": f"{COUNT} WHERE code <> -1", "epsilon": 0.5}).encode()
    started = time.monotonic()
    assert exchange(wire, request(door, body)).startswith(b"HTTP/1.1 500")
    assert on_the_clock([time.monotonic() - started]) == 1


def test_answers_that_are_not_padded_would_be_noticed(door: Door) -> None:
    bound = listen("127.0.0.1", 0)
    app = build_app(door.gateway, version="0", padding_ms=0)
    with closing(bound), beside(app, bound) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        times = answer_times(door, (host, int(port)), range(2_000, 2_020))
    assert on_the_clock(times) < 0.7


def test_how_long_an_answer_takes_does_not_follow_the_engine(
    door: Door, wire: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = type(door.gateway._desk.engine).run

    def slower(engine: object, aggregation: Aggregation) -> object:
        time.sleep(0.012)  # as if one person's rows made it so much slower
        return run(engine, aggregation)

    fast = answer_times(door, wire, range(3_000, 3_015))
    monkeypatch.setattr(type(door.gateway._desk.engine), "run", slower)
    slow = answer_times(door, wire, range(4_000, 4_015))
    assert abs(sorted(fast)[7] - sorted(slow)[7]) < 0.008
