"""Privacy statements through the Python client."""

import httpx2

from noisegate.client import connect


def test_statements_are_asked_for_under_names_that_stay_in_their_place() -> None:
    seen: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.url.raw_path.decode())
        return httpx2.Response(200, json={"statement": "dataset"})

    with connect("http://gateway.test", "token", transport=httpx2.MockTransport(handler)) as client:
        assert client.statement("liver") == {"statement": "dataset"}
        client.statement("../budget?x")
        client.release_statement("liver:17")
        client.release_statement("population/olmsted:1")
    assert seen == [
        "/v1/datasets/liver/statement",
        "/v1/datasets/..%2Fbudget%3Fx/statement",
        "/v1/receipts/liver%3A17/statement",
        "/v1/receipts/population%2Folmsted%3A1/statement",
    ]
