"""Receipts over HTTP: a long file goes out in pieces, whole or visibly not."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from noisegate import errors
from noisegate.client import connect
from noisegate.server.http.app import build_app
from noisegate.server.serve import beside, listen

from .fake_gateway import FakeGateway

AUDITOR = {"Authorization": "Bearer auditor-token"}


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def http(gateway: FakeGateway) -> Iterator[TestClient]:
    with TestClient(build_app(gateway, version="0.1.0", padding_ms=0), headers=AUDITOR) as client:
        yield client


@pytest.fixture
def url(gateway: FakeGateway) -> Iterator[str]:
    with (
        listen("127.0.0.1", 0) as bound,
        beside(build_app(gateway, version="0.1.0", padding_ms=0), bound) as url,
    ):
        yield url


def test_an_export_is_a_file_of_json_lines(http: TestClient, gateway: FakeGateway) -> None:
    reply = http.get("/v1/receipts/export?dataset=liver")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/jsonl"
    assert reply.headers["content-disposition"] == 'attachment; filename="receipts.jsonl"'
    assert reply.headers["cache-control"] == "no-store"
    assert reply.content == b'{"format":1}\n' + b"{}\n" * 1_000
    assert gateway.calls == [("export_receipts", "liver")]


def test_an_export_is_handed_on_piece_by_piece(url: str, gateway: FakeGateway) -> None:
    made = 0

    def many() -> Iterator[bytes]:
        nonlocal made
        for _ in range(4_000):
            made += 1
            yield b"x" * 4_095 + b"\n"

    gateway.export = many
    with connect(url, "auditor-token") as client:
        pieces = client.export_receipts()
        seen = len(next(pieces))
        assert made < 4_000
        assert seen + sum(map(len, pieces)) == 4_000 * 4_096
    assert gateway.calls == [("export_receipts", None)]


def test_what_can_be_refused_is_refused_before_the_file_begins(
    http: TestClient, gateway: FakeGateway
) -> None:
    def broken() -> Iterator[bytes]:
        raise errors.LedgerUnavailable("the ledger cannot be read")
        yield b""

    gateway.export = broken
    reply = http.get("/v1/receipts/export")
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "ledger_unavailable")


def test_a_file_that_breaks_off_is_never_taken_for_a_whole_one(url: str, gateway: FakeGateway) -> None:
    def breaking() -> Iterator[bytes]:
        yield b'{"format":1}\n'
        yield b"{}\n" * 100_000
        raise errors.LedgerUnavailable("the ledger cannot be read")

    gateway.export = breaking
    with connect(url, "auditor-token") as client, pytest.raises(errors.Unreachable):
        list(client.export_receipts())
    with connect(url, "auditor-token") as client:
        assert client.checkpoint()["heads"] == {"liver": [3, "ab" * 32]}  # the server goes on


def test_a_refused_export_comes_over_the_wire_as_an_exception(url: str) -> None:
    with connect(url, "analyst-token") as client, pytest.raises(errors.Forbidden):
        list(client.export_receipts())
    with connect("http://127.0.0.1:9", "auditor-token") as client, pytest.raises(errors.Unreachable):
        list(client.export_receipts())
