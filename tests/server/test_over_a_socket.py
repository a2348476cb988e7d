"""The client against the real HTTP application, over a real socket."""

from collections.abc import Iterator
from fractions import Fraction

import pytest

from noisegate import errors
from noisegate.ask.question import Question
from noisegate.client import Client, connect
from noisegate.server.http.app import build_app
from noisegate.server.serve import beside, listen

from .fake_gateway import FakeGateway


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def client(gateway: FakeGateway) -> Iterator[Client]:
    app = build_app(gateway, version="0.1.0", padding_ms=0)
    with (
        listen("127.0.0.1", 0) as bound,
        beside(app, bound) as url,
        connect(url, "analyst-token") as connected,
    ):
        yield connected


def test_an_answer_comes_over_the_wire_and_its_twin_is_a_replay(client: Client, gateway: FakeGateway) -> None:
    first, second = client.ask("SELECT 1", epsilon=0.5), client.ask("SELECT 1", epsilon=0.5)
    assert (first.replayed, second.replayed) == (False, True)
    assert first.cells == second.cells
    assert first.receipt == {"id": "liver:3", "hash": "ab" * 32}
    assert gateway.asked[0][0] == Question("SELECT 1", epsilon=gateway.asked[1][0].epsilon)
    assert gateway.asked[0][2] != gateway.asked[1][2]


def test_refusals_come_over_the_wire_as_exceptions(client: Client) -> None:
    with pytest.raises(errors.BadInput, match="epsilon"):
        client.ask("SELECT 1", epsilon=-1)
    with pytest.raises(errors.Forbidden):
        client.create_token("bob", "analyst")
    with pytest.raises(errors.NotFound):
        client.revoke_token("nobody")
    with connect(client.url, "wrong") as stranger, pytest.raises(errors.Unauthorised):
        stranger.datasets()


def test_every_other_call_reaches_its_route(client: Client, gateway: FakeGateway) -> None:
    assert client.datasets()[0]["name"] == "liver"
    assert client.budget() == {"accounts": []}
    assert client.explain("SELECT 1")["plan"] == "SELECT 1"
    assert client.receipts("liver", after=2, limit=5)["next"] == ""
    assert client.verify_receipts() == {"whole": True}
    assert client.tokens() == [{"id": "abc"}]
    with connect(client.url, "custodian-token") as custodian:
        assert custodian.create_token("bob", "analyst", datasets=["liver"])["secret"] == "ng_abc_def"
        custodian.grant("liver", "bob", epsilon="0.5", delta=1e-7)
        custodian.grant("liver", epsilon=2, project="stroke", every="month")
        custodian.renew("olmsted/liver", "September", epsilon=1, until="2027-01-01")
        custodian.transfer("liver", "ana", "bob", epsilon=0.25, project="stroke")
        custodian.suspend("olmsted/liver/default/ana@b", "a complaint?")
        custodian.resume("olmsted/liver")
        custodian.budget("liver")
        custodian.odometer("day", account="liver", days=30)
        [plan] = custodian.closed_plans()
        custodian.open_plan(plan["fingerprint"])
        with pytest.raises(errors.NotFound):
            custodian.open_plan("../tokens/abc")
    assert gateway.calls == [
        ("budget", None),
        ("receipts", "liver", "2", 5),
        ("create_token", "bob", "analyst", ["liver"], None, "default"),
        ("grant", "liver", "bob", Fraction(1, 2), Fraction(1, 10**7), "default", None, None),
        ("grant", "liver", None, Fraction(2), None, "stroke", None, "month"),
        ("renew", "olmsted/liver", "September", Fraction(1), None, "2027-01-01", None),
        ("transfer", "liver", "ana", "bob", Fraction(1, 4), "stroke"),
        ("suspend", "olmsted/liver/default/ana@b", "a complaint?"),
        ("resume", "olmsted/liver"),
        ("budget", "liver"),
        ("odometer", "day", "liver", 30),
    ]


def test_a_taken_port_is_a_clear_error() -> None:
    with listen("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        with pytest.raises(errors.SetupError, match=f"cannot listen on 127.0.0.1:{port}") as raised:
            listen("127.0.0.1", port)
    assert "--port" in raised.value.hint
    assert raised.value.exit_code == 2


def test_accepted_connections_do_not_wait_for_acknowledgements() -> None:
    with listen("127.0.0.1", 0) as bound:
        # What asyncio looks at before it turns Nagle's algorithm off.
        assert bound.proto == 6
