import httpx2

from noisegate.client import Client


def test_jobs_are_asked_for_by_number() -> None:
    seen: list[str] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(f"{request.method} {request.url.raw_path.decode()}")
        return httpx2.Response(200, json={"jobs": [{"id": 7}], "id": 7})

    with Client("http://gate", "ng_token", transport=httpx2.MockTransport(handler)) as client:
        assert client.jobs() == [{"id": 7}]
        assert client.job(7)["id"] == 7
        assert client.cancel_job(7)["id"] == 7
    assert seen == ["GET /v1/jobs", "GET /v1/jobs/7", "DELETE /v1/jobs/7"]
