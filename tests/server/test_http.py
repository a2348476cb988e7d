import json
import re
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from starlette.testclient import TestClient

from noisegate import errors
from noisegate.ask.question import Question
from noisegate.server.http.app import build_app
from noisegate.server.http.bodies import AnswerReply, ErrorReply

from .fake_gateway import FakeGateway, an_answer

SQL = "SELECT count(*) FROM liver.patients"


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def http(gateway: FakeGateway) -> Iterator[TestClient]:
    with client_of(gateway) as client:
        yield client


def client_of(gateway: FakeGateway, **options: Any) -> TestClient:
    app = build_app(gateway, version="0.1.0", **{"padding_ms": 0, "max_request_bytes": 4_096, **options})
    return TestClient(app, headers={"Authorization": "Bearer analyst-token"})


def error_of(response: Any) -> dict[str, Any]:
    ErrorReply.model_validate_json(response.content, strict=True)
    said: dict[str, Any] = response.json()["error"]
    return said


def test_an_answer_has_exactly_the_documented_shape(http: TestClient) -> None:
    response = http.post("/v1/ask", json={"sql": SQL})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    AnswerReply.model_validate_json(response.content)
    assert response.json() == {
        "columns": [
            {"name": "sex", "type": "str", "unit": "", "key": True},
            {"name": "n", "type": "int", "unit": "people", "key": False},
        ],
        "rows": [
            ["f", {"value": 1234, "low": 1230.0, "high": 1238.0}],
            ["m", {"value": 7, "low": None, "high": None}],
        ],
        "confidence": 0.95,
        "loss": {"nominal_epsilon": 0.5, "epsilon": 0.5, "delta": 0.0, "unit": "person"},
        "surcharge": {"factor": 1.0, "epsilon": 0.0},
        "mechanisms": ["discrete Laplace with scale 2"],
        "clamping": [],
        "notes": [],
        "budget": {"spent": 0.5, "left": 9.5, "delta": 1e-6, "more_like_this": 19},
        "replayed": False,
        "receipt": {"id": "liver:3", "hash": "ab" * 32},
    }


@pytest.mark.parametrize(
    ("body", "question"),
    [
        ({"sql": SQL}, Question(SQL)),
        ({"sql": SQL, "epsilon": 0.1}, Question(SQL, epsilon=Fraction(1, 10))),
        ({"sql": SQL, "epsilon": "0.1"}, Question(SQL, epsilon=Fraction(1, 10))),
        ({"sql": SQL, "epsilon": 2}, Question(SQL, epsilon=Fraction(2))),
        ({"sql": SQL, "within": 50}, Question(SQL, within=Fraction(50))),
        ({"sql": SQL, "epsilon": None, "within": None}, Question(SQL)),
    ],
)
def test_the_question_that_is_asked_is_the_one_in_the_body(
    http: TestClient, gateway: FakeGateway, body: dict[str, object], question: Question
) -> None:
    assert http.post("/v1/ask", json=body, headers={"Idempotency-Key": "k"}).status_code == 200
    [(asked, asker, key)] = gateway.asked
    assert (asked, asker.name, key) == (question, "ana", "k")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"sql": ""}',
        b'{"sql": 3}',
        b'{"sql": "SELECT 1", "epsilon": true}',
        b'{"sql": "SELECT 1", "epsilon": "much"}',
        b'{"sql": "SELECT 1", "epsilon": 1e999}',
        b'{"sql": "SELECT 1", "epsilon": NaN}',
        b'{"sql": "SELECT 1", "epsilon": "1e-999999999"}',
        b'{"sql": "SELECT 1", "epsilon": -1}',
        b'{"sql": "SELECT 1", "epsilon": 1, "within": 1}',
        b'{"sql": "SELECT 1", "epsilom": 1}',
        b'{"sql": "\xff"}',
    ],
)
def test_a_body_that_is_no_question_is_bad_input(http: TestClient, gateway: FakeGateway, body: bytes) -> None:
    response = http.post("/v1/ask", content=body)
    assert response.status_code == 400
    said = error_of(response)
    assert said["code"] == "bad_input"
    assert said["message"]
    assert gateway.asked == []


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": ""}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer wrong"}]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/ask"),
        ("POST", "/v1/explain"),
        ("GET", "/v1/datasets"),
        ("GET", "/v1/budget"),
        ("POST", "/v1/budget/grants"),
        ("GET", "/v1/receipts"),
        ("GET", "/v1/receipts/verify"),
        ("GET", "/v1/receipts/export"),
        ("GET", "/v1/receipts/checkpoint"),
        ("POST", "/v1/tokens"),
        ("GET", "/v1/jobs"),
        ("GET", "/v1/jobs/7"),
        ("DELETE", "/v1/jobs/7"),
        ("GET", "/v1/plans/closed"),
        ("DELETE", "/v1/plans/closed/abc"),
        ("GET", "/v1/tokens"),
        ("DELETE", "/v1/tokens/abc"),
    ],
)
def test_nothing_under_v1_answers_without_a_valid_token(
    gateway: FakeGateway, method: str, path: str, header: dict[str, str]
) -> None:
    with client_of(gateway) as http:
        http.headers.pop("Authorization")
        response = http.request(method, path, headers=header, content=b"not even json")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert error_of(response)["code"] == "unauthorised"


def everything(tree: type[errors.NoisegateError]) -> Iterator[type[errors.NoisegateError]]:
    yield tree
    for below in tree.__subclasses__():
        yield from everything(below)


@pytest.mark.parametrize("kind", list(everything(errors.RequestError)), ids=lambda k: k.__name__)
def test_every_error_of_the_asker_comes_with_its_code_status_and_way_out(
    kind: type[errors.RequestError],
) -> None:
    def refuse(_: Question) -> Any:
        raise kind("no, because of the question", "ask another", column="age")

    with client_of(FakeGateway(refuse)) as http:
        response = http.post("/v1/ask", json={"sql": SQL})
    assert response.status_code == kind.status
    assert error_of(response) == {
        "code": kind.code,
        "message": "no, because of the question",
        "hint": "ask another",
        "detail": {"column": "age"},
    }


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (errors.EngineFailed(), 500, "engine_failed"),
        (errors.EngineTimeout(), 504, "timeout"),
        (errors.LedgerUnavailable("the disk is full"), 503, "ledger_unavailable"),
    ],
)
def test_failures_keep_their_constant_texts(raised: errors.NoisegateError, status: int, code: str) -> None:
    def fail(_: Question) -> Any:
        raise raised

    with client_of(FakeGateway(fail)) as http:
        response = http.post("/v1/ask", json={"sql": SQL})
    assert (response.status_code, error_of(response)["code"]) == (status, code)
    assert error_of(response)["message"] == raised.message


@pytest.mark.parametrize(
    "raised",
    [
        ZeroDivisionError("patient 4711 weighs 0"),
        errors.InternalError("patient 4711"),
        errors.CatalogError("patient 4711"),
    ],
)
def test_what_nobody_foresaw_says_nothing_of_rows_in_reply_or_log(
    raised: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Question) -> Any:
        raise raised

    with client_of(FakeGateway(fail)) as http:
        response = http.post("/v1/ask", json={"sql": SQL})
        budget = http.get("/v1/budget")
    assert response.status_code == 500
    assert error_of(response)["code"] == "internal"
    assert b"4711" not in response.content
    assert b"Traceback" not in response.content
    assert "4711" not in caplog.text
    assert type(raised).__name__ in caplog.text
    assert budget.status_code == 200


def test_a_failure_outside_of_questions_is_just_as_silent(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeGateway):
        def budget(self, asker: object) -> dict[str, object]:  # noqa: ARG002
            raise RuntimeError("patient 4711")

    with client_of(Broken()) as http:
        response = http.get("/v1/budget")
    assert (response.status_code, error_of(response)["code"]) == (500, "internal")
    assert "4711" not in response.text + caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/nowhere", 404, "not_found"),
        ("GET", "/v1/ask", 405, "bad_input"),
        ("PUT", "/v1/tokens", 405, "bad_input"),
        ("GET", "/v1/receipts?limit=0", 400, "bad_input"),
        ("GET", "/v1/receipts?limit=many", 400, "bad_input"),
        ("GET", "/v1/receipts?dataset=a%20b", 400, "bad_input"),
        ("GET", "/v1/receipts?after=" + "7" * 32_769, 400, "bad_input"),
        ("GET", "/v1/receipts/export?dataset=a%20b", 400, "bad_input"),
        ("GET", "/v1/receipts/export", 403, "forbidden"),
        ("GET", "/v1/receipts/checkpoint", 403, "forbidden"),
        ("DELETE", "/v1/tokens/other", 404, "not_found"),
    ],
)
def test_what_the_router_refuses_has_the_one_error_shape(
    http: TestClient, method: str, path: str, status: int, code: str
) -> None:
    response = http.request(method, path)
    assert (response.status_code, error_of(response)["code"]) == (status, code)
    assert error_of(response)["hint"] or status == 404
    if status == 405:
        assert response.headers["allow"]


def test_a_large_body_is_refused_from_its_announced_length(http: TestClient, gateway: FakeGateway) -> None:
    response = http.post("/v1/ask", json={"sql": "x" * 5_000})
    assert (response.status_code, error_of(response)["code"]) == (413, "too_large")
    assert gateway.asked == []


def test_a_large_body_of_unannounced_length_is_refused_while_it_arrives(
    http: TestClient, gateway: FakeGateway
) -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        for _ in range(10_000):
            read += 1
            yield b"x" * 1_000

    response = http.post("/v1/ask", content=endless())
    assert (response.status_code, error_of(response)["code"]) == (413, "too_large")
    assert gateway.asked == []


def test_a_body_at_the_cap_passes(http: TestClient) -> None:
    empty = len(json.dumps({"sql": ""}))
    body = json.dumps({"sql": "x" * (4_096 - empty)})
    assert http.post("/v1/ask", content=body).status_code == 200
    assert http.post("/v1/ask", content=body + " ").status_code == 413


@pytest.mark.parametrize("key", ["k" * 201, "", "tab\there"])
def test_an_idempotency_key_has_at_most_200_printable_characters(
    http: TestClient, gateway: FakeGateway, key: str
) -> None:
    response = http.post("/v1/ask", json={"sql": SQL}, headers={"Idempotency-Key": key})
    assert (response.status_code, error_of(response)["code"]) == (400, "bad_input")
    assert gateway.asked == []
    assert http.post("/v1/ask", json={"sql": SQL}, headers={"Idempotency-Key": "k" * 200}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs", "/style.css", "/openapi.json", "/v1/budget", "/nowhere"])
def test_every_reply_carries_the_security_headers(http: TestClient, path: str) -> None:
    headers = http.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_need_no_script_and_fetch_nothing_from_elsewhere(http: TestClient, path: str) -> None:
    page = http.get(path).text
    assert page.startswith("<!doctype html>")
    assert "<script" not in page
    assert "style=" not in page
    assert 'src="' not in page
    assert "http://" not in page
    assert "https://" not in page
    assert '<html lang="en">' in page
    assert page.count("<h1>") == 1


def test_the_status_page_shows_datasets_escaped_and_labels_the_synthetic_one(http: TestClient) -> None:
    http.headers.pop("Authorization")
    page = http.get("/").text
    assert "NAFLD &lt;cohort&gt;" in page
    assert page.count("synthetic") == 1
    assert "ε 10, δ 1e-06" in page


def test_the_reference_shows_the_shapes_of_replies_and_its_links_lead_somewhere(http: TestClient) -> None:
    page = http.get("/docs").text
    for name in ("AnswerReply", "CellReply", "LossReply", "ErrorDetail"):
        assert f'<section id="shape-{name}">' in page
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets <= set(re.findall(r'id="([^"]+)"', page))
    assert "`" not in page
    assert "<code>epsilon</code>" in page


def test_the_openapi_document_describes_every_route(http: TestClient) -> None:
    document = http.get("/openapi.json").json()
    told = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert told == {
        ("/v1/ask", "post"),
        ("/v1/explain", "post"),
        ("/v1/datasets", "get"),
        ("/v1/datasets/{name}/statement", "get"),
        ("/v1/receipts/{receipt_id}/statement", "get"),
        ("/v1/genomes/shares", "post"),
        ("/v1/genomes/explain", "post"),
        ("/v1/genomes/advice", "post"),
        ("/v1/genomes/associations", "post"),
        ("/v1/genomes/associations/explain", "post"),
        ("/v1/genomes/verifications", "post"),
        ("/v1/genomes/releases", "get"),
        ("/v1/genomes/releases/{release_id}", "get"),
        ("/v1/genomes/releases/{release_id}/files/{name}", "get"),
        ("/v1/genomes/releases/{release_id}/grants", "post"),
        ("/v1/genomes/releases/{release_id}/grants/{analyst}", "delete"),
        ("/v1/budget", "get"),
        ("/v1/budget/odometer", "get"),
        ("/v1/budget/grants", "post"),
        ("/v1/budget/renewals", "post"),
        ("/v1/budget/transfers", "post"),
        ("/v1/budget/suspensions/{account}", "put"),
        ("/v1/budget/suspensions/{account}", "delete"),
        ("/v1/receipts", "get"),
        ("/v1/receipts/verify", "get"),
        ("/v1/receipts/export", "get"),
        ("/v1/receipts/checkpoint", "get"),
        ("/v1/jobs", "get"),
        ("/v1/jobs/{job_id}", "get"),
        ("/v1/jobs/{job_id}", "delete"),
        ("/v1/plans/closed", "get"),
        ("/v1/plans/closed/{fingerprint}", "delete"),
        ("/v1/tokens", "post"),
        ("/v1/tokens", "get"),
        ("/v1/tokens/{token_id}", "delete"),
        ("/healthz", "get"),
        ("/metrics", "get"),
    }
    ask = document["paths"]["/v1/ask"]["post"]
    body = ask["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["properties"]) == {"sql", "epsilon", "within"}
    assert ask["security"] == [{"token": []}]
    assert "security" not in document["paths"]["/healthz"]["get"]
    docs = http.get("/docs").text
    for path, _ in told:
        assert path in docs


def test_custodians_may_what_analysts_may_not(http: TestClient, gateway: FakeGateway) -> None:
    custodian = {"Authorization": "Bearer custodian-token"}
    grant = {"dataset": "liver", "analyst": "ana", "epsilon": "0.5"}
    token = {"name": "bob", "role": "analyst", "datasets": ["liver"], "expires_days": 30}
    for path, body in (("/v1/budget/grants", grant), ("/v1/tokens", token)):
        refused = http.post(path, json=body)
        assert (refused.status_code, error_of(refused)["code"]) == (403, "forbidden")
        assert http.post(path, json=body, headers=custodian).status_code == 201
    refused = http.post("/v1/ask", json={"sql": SQL}, headers=custodian)
    assert (refused.status_code, error_of(refused)["code"]) == (403, "forbidden")
    assert gateway.calls == [
        ("grant", "liver", "ana", Fraction(1, 2), None, "default", None, None),
        ("create_token", "bob", "analyst", ["liver"], 30, "default"),
    ]


def test_closed_plans_are_seen_by_custodian_and_auditor_and_opened_by_the_custodian(http: TestClient) -> None:
    closed = {"plans": [{"fingerprint": "f" * 64, "reason": "timeout"}]}
    path = f"/v1/plans/closed/{'f' * 64}"
    for role, sees, opens in (("analyst", 403, 403), ("auditor", 200, 403), ("custodian", 200, 200)):
        bearer = {"Authorization": f"Bearer {role}-token"}
        seen = http.get("/v1/plans/closed", headers=bearer)
        assert seen.status_code == sees
        assert seen.json() == closed or sees == 403
        assert http.delete(path, headers=bearer).status_code == opens
    unknown = http.delete("/v1/plans/closed/0", headers={"Authorization": "Bearer custodian-token"})
    assert (unknown.status_code, error_of(unknown)["code"]) == (404, "not_found")


def test_jobs_are_seen_by_all_and_cancelled_by_custodian_and_analyst(
    http: TestClient, gateway: FakeGateway
) -> None:
    for role, ends in (("analyst", 200), ("auditor", 403), ("custodian", 200)):
        bearer = {"Authorization": f"Bearer {role}-token"}
        assert http.get("/v1/jobs", headers=bearer).json() == {"jobs": [{"id": 7, "state": "running"}]}
        assert http.get("/v1/jobs/7", headers=bearer).json() == {"id": 7, "state": "running"}
        assert http.delete("/v1/jobs/7", headers=bearer).status_code == ends
    assert gateway.calls == [("cancel_job", 7)] * 2
    for wrong in ("8", "0", "-1", "x", "٧", str(2**64)):
        assert error_of(http.get(f"/v1/jobs/{wrong}"))["code"] == "not_found"
        assert error_of(http.delete(f"/v1/jobs/{wrong}"))["code"] == "not_found"


@pytest.mark.parametrize(
    "body",
    [
        {"name": "bob", "role": "king"},
        {"name": "a/b", "role": "analyst"},
        {"name": "", "role": "analyst"},
        {"name": "bob", "role": "analyst", "expires_days": 0},
        {"name": "bob", "role": "analyst", "secret": "mine"},
    ],
)
def test_a_token_is_made_from_a_proper_request_only(
    http: TestClient, gateway: FakeGateway, body: dict[str, object]
) -> None:
    response = http.post("/v1/tokens", json=body, headers={"Authorization": "Bearer custodian-token"})
    assert (response.status_code, error_of(response)["code"]) == (400, "bad_input")
    assert gateway.calls == []


def test_the_remaining_routes_pass_on_what_the_gateway_says(http: TestClient, gateway: FakeGateway) -> None:
    assert http.get("/v1/datasets").json() == {"datasets": [{"name": "liver", "title": "NAFLD cohort"}]}
    page = {"receipts": [], "next": "", "more": False}
    assert http.get("/v1/receipts?dataset=liver&after=7&limit=3").json() == page
    assert http.get("/v1/receipts?after=liver:7,population/p:1").json() == page
    assert gateway.calls == [
        ("receipts", "liver", "7", 3),
        ("receipts", None, "liver:7,population/p:1", 100),
    ]
    assert http.get("/v1/receipts/verify").json() == {"whole": True}
    assert http.get("/v1/tokens").json() == {"tokens": [{"id": "abc"}]}
    assert http.delete("/v1/tokens/abc").json() == {"revoked": "abc"}
    explained = http.post("/v1/explain", json={"sql": SQL, "epsilon": 1}).json()
    assert explained == {"plan": SQL, "expected_error": [{"name": "n", "half_width": None}]}


def test_integers_that_other_readers_would_round_are_text() -> None:
    with client_of(FakeGateway(lambda _: an_answer(2**60 + 1))) as http:
        reply = http.post("/v1/ask", json={"sql": SQL}).json()
    assert reply["rows"][0][1]["value"] == str(2**60 + 1)


def test_fresh_answers_leave_at_the_padding_quantum_and_replays_at_once() -> None:
    with client_of(FakeGateway(), padding_ms=40) as http:
        http.get("/healthz")
        began = time.monotonic()
        assert not http.post("/v1/ask", json={"sql": SQL}).json()["replayed"]
        fresh = time.monotonic() - began
        replays = []
        for _ in range(5):
            began = time.monotonic()
            assert http.post("/v1/ask", json={"sql": SQL}).json()["replayed"]
            replays.append(time.monotonic() - began)
    assert fresh >= 0.040
    assert min(replays) < 0.040


@pytest.mark.parametrize("raised", [None, errors.EngineFailed(), ValueError("?")])
def test_what_follows_a_charge_leaves_no_sooner_than_the_slot_of_its_work(raised: Exception | None) -> None:
    def give(_: Question) -> Any:
        if raised is not None:
            raise raised
        return an_answer()

    took = []
    with client_of(FakeGateway(give), padding_ms=40) as http:
        for _ in range(3):
            began = time.monotonic()
            assert (http.post("/v1/ask", json={"sql": "slow"}).status_code == 200) == (raised is None)
            took.append(time.monotonic() - began)
    # Six quanta would mean that nothing but the machine was slow.
    assert 0.120 <= min(took) < 0.240


def test_work_past_its_slot_leaves_at_the_next_quantum() -> None:
    def give(_: Question) -> Any:
        time.sleep(0.130)
        return an_answer()

    with client_of(FakeGateway(give), padding_ms=40) as http:
        began = time.monotonic()
        http.post("/v1/ask", json={"sql": "slow"})
        assert time.monotonic() - began >= 0.160


@pytest.mark.parametrize("raised", [None, errors.BudgetExhausted("none left"), errors.Blocked("closed")])
def test_replays_and_refusals_of_slow_questions_leave_at_once(raised: Exception | None) -> None:
    def give(_: Question) -> Any:
        if raised is not None:
            raise raised
        return an_answer(replayed=True)

    took = []
    with client_of(FakeGateway(give), padding_ms=40) as http:
        for _ in range(5):
            began = time.monotonic()
            http.post("/v1/ask", json={"sql": "slow"})
            took.append(time.monotonic() - began)
    assert min(took) < 0.040


@pytest.mark.parametrize(
    ("raised", "padded"),
    [
        (errors.EngineFailed(), True),
        (errors.EngineTimeout(), True),
        (ValueError("?"), True),
        (errors.BudgetExhausted("none left"), False),
        (errors.NotAggregate("no rows"), False),
    ],
)
def test_failures_after_the_charge_are_padded_and_refusals_are_not(raised: Exception, padded: bool) -> None:
    def fail(_: Question) -> Any:
        raise raised

    took = []
    with client_of(FakeGateway(fail), padding_ms=40) as http:
        for _ in range(4):
            began = time.monotonic()
            http.post("/v1/ask", json={"sql": SQL})
            took.append(time.monotonic() - began)
    assert (min(took) >= 0.040) == padded


def test_more_questions_than_the_limit_are_told_to_come_back() -> None:
    inside, go = threading.Semaphore(0), threading.Event()

    def slow(_: Question) -> Any:
        inside.release()
        assert go.wait(20)
        return an_answer()

    with client_of(FakeGateway(slow), max_in_flight=2) as http:
        waiting = [
            threading.Thread(target=http.post, args=("/v1/ask",), kwargs={"json": {"sql": SQL}})
            for _ in range(2)
        ]
        for thread in waiting:
            thread.start()
        assert inside.acquire(timeout=20)
        assert inside.acquire(timeout=20)
        response = http.post("/v1/ask", json={"sql": SQL})
        budget = http.get("/v1/budget")
        go.set()
        for thread in waiting:
            thread.join(20)
        assert (response.status_code, error_of(response)["code"]) == (429, "throttled")
        assert response.headers["retry-after"] == "1"
        assert budget.status_code == 200
        assert http.post("/v1/ask", json={"sql": SQL}).status_code == 200


def test_health_is_503_when_a_part_is_down() -> None:
    class Down(FakeGateway):
        def health(self) -> dict[str, object]:
            return {"status": "degraded", "ledger": "unavailable"}

    with client_of(Down()) as http:
        http.headers.pop("Authorization")
        response = http.get("/healthz")
        assert (response.status_code, response.json()["status"]) == (503, "degraded")
        assert "degraded" in http.get("/").text
    with client_of(FakeGateway()) as http:
        assert http.get("/healthz").status_code == 200


def test_metrics_count_outcomes_and_show_nothing_of_questions(http: TestClient) -> None:
    for _ in range(3):
        http.post("/v1/ask", json={"sql": SQL})
    http.post("/v1/ask", json={})
    http.get("/secret-path-4711")
    assert http.get("/metrics").status_code == 403
    text = http.get("/metrics", headers={"Authorization": "Bearer auditor-token"}).text
    assert 'noisegate_requests_total{route="/v1/ask",code="answered"} 1\n' in text
    assert 'noisegate_requests_total{route="/v1/ask",code="replayed"} 2\n' in text
    assert 'noisegate_requests_total{route="/v1/ask",code="bad_input"} 1\n' in text
    assert 'noisegate_requests_total{route="other",code="not_found"} 1\n' in text
    assert 'noisegate_request_seconds_count{route="/v1/ask"} 4\n' in text
    assert text.endswith("noisegate_datasets 2\n")
    assert "4711" not in text
    assert "liver" not in text
    assert "ana" not in text.replace("analyst", "")
