"""Privacy statements over HTTP: JSON, or Markdown to whoever asks for it."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from noisegate.server.http.app import build_app

from .fake_gateway import FakeGateway, a_statement

DATASET = "/v1/datasets/liver/statement"


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def http(gateway: FakeGateway) -> Iterator[TestClient]:
    app = build_app(gateway, version="0.1.0", padding_ms=0)
    with TestClient(app, headers={"Authorization": "Bearer analyst-token"}) as client:
        yield client


def test_a_statement_is_json_unless_markdown_is_asked_for(http: TestClient) -> None:
    plain = http.get(DATASET)
    assert plain.headers["content-type"] == "application/json"
    assert plain.json() == a_statement("dataset", "liver")
    written = http.get(DATASET, params={"format": "markdown"})
    assert written.headers["content-type"] == "text/markdown; charset=utf-8"
    assert written.text.startswith("# Privacy statement: A small ward\n")
    assert "## Bias" in written.text


@pytest.mark.parametrize(
    ("accept", "markdown"),
    [
        ("text/markdown", True),
        ("Text/Markdown; charset=utf-8, */*", True),
        ("text/html, text/markdown;q=0.9, application/json;q=0.5", True),
        ("application/json, text/markdown", False),
        ("text/html", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_the_header_accept_chooses_and_format_wins_over_it(
    http: TestClient, accept: str, markdown: bool
) -> None:
    found = http.get(DATASET, headers={"Accept": accept})
    assert found.headers["content-type"].startswith("text/markdown") == markdown
    other = "json" if markdown else "markdown"
    found = http.get(DATASET, headers={"Accept": accept}, params={"format": other})
    assert found.headers["content-type"].startswith("text/markdown") != markdown


@pytest.mark.parametrize(
    "path",
    ["liver:17", "liver%3A17", "population/olmsted:1", "population%2Folmsted%3A1"],
)
def test_the_id_of_a_receipt_may_hold_a_colon_and_a_slash(
    http: TestClient, gateway: FakeGateway, path: str
) -> None:
    assert http.get(f"/v1/receipts/{path}/statement").status_code == 200
    wanted = path.replace("%3A", ":").replace("%2F", "/")
    assert gateway.calls == [("release_statement", wanted)]


def test_other_routes_of_receipts_are_not_taken_for_statements(
    http: TestClient, gateway: FakeGateway
) -> None:
    http.get("/v1/receipts/verify")
    http.get("/v1/receipts")
    assert not any(call[0] == "release_statement" for call in gateway.calls)


@pytest.mark.parametrize("form", ["json", "markdown"])
def test_a_statement_needs_a_token_and_a_known_form(http: TestClient, form: str) -> None:
    for header in ({"Authorization": "Bearer unknown"}, {"Authorization": ""}):
        refused = http.get(DATASET, params={"format": form}, headers=header)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "unauthorised")
    wrong = http.get(DATASET, params={"format": "pdf"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "bad_input")
