"""Abuse over HTTP against the real gateway: always the one error shape, never a charge, never a traceback."""

import json
from collections.abc import Mapping

import pytest

from noisegate.app import Gateway

from .door import CAP, COUNT, Door, error
from .world import spending

ASK = {"sql": COUNT, "epsilon": 0.5}
DEEP = 12_000
WRONG_BODIES: Mapping[str, bytes] = {
    "nothing": b"",
    "no JSON": b"sql=SELECT+1&epsilon=1",
    "half JSON": b'{"sql": "SELECT',
    "two documents": b'{"sql": "x"}{"sql": "y"}',
    "a list": b"[]",
    "a text": b'"SELECT 1"',
    "null": b"null",
    "a number": b"1",
    "deep lists": b"[" * DEEP,
    "deep objects": b'{"sql":' * (DEEP // 7) + b"1" + b"}" * (DEEP // 7),
    "deep lists inside": b'{"sql": "x", "epsilon": ' + b"[" * 6_000 + b"]" * 6_000 + b"}",
    "a long number": b'{"sql": "x", "epsilon": ' + b"9" * 10_000 + b"}",
    "NaN": b'{"sql": "x", "epsilon": NaN}',
    "infinity": b'{"sql": "x", "epsilon": Infinity}',
    "no SQL": b'{"epsilon": 1}',
    "SQL that is a list": b'{"sql": ["SELECT 1"]}',
    "another key": b'{"sql": "x", "role": "custodian"}',
    "epsilon and within": b'{"sql": "SELECT count(*) FROM ward.people", "epsilon": 1, "within": 1}',
    "a negative epsilon": b'{"sql": "SELECT count(*) FROM ward.people", "epsilon": -1}',
    "no epsilon at all": b'{"sql": "SELECT count(*) FROM ward.people", "epsilon": 0}',
    "a tiny epsilon": b'{"sql": "SELECT count(*) FROM ward.people", "epsilon": "1e-999999999"}',
    "true": b'{"sql": "SELECT count(*) FROM ward.people", "epsilon": true}',
    "a text as epsilon": b'{"sql": "SELECT count(*) FROM ward.people", "epsilon": "all"}',
    "a text of NaN": b'{"sql": "SELECT count(*) FROM ward.people", "epsilon": "nan"}',
    "Latin-1": '{"sql": "é"}'.encode("latin-1"),
    "UTF-16": '{"sql": "x"}'.encode("utf-16"),
    "half a surrogate pair": b'{"sql": "\\ud800"}',
    "a NUL": b'{"sql": "a\\u0000b"}',
    "compressed": bytes.fromhex("1f8b0800000000000003ab562a2ecd51b252aa5002009f7b2b380c000000"),
}


@pytest.mark.parametrize("name", WRONG_BODIES)
@pytest.mark.parametrize("path", ["/v1/ask", "/v1/explain", "/v1/budget/grants", "/v1/tokens"])
def test_a_wrong_body_is_refused_in_one_shape(door: Door, path: str, name: str) -> None:
    who = "analyst" if path in ("/v1/ask", "/v1/explain") else "custodian"
    before = spending(door.gateway)
    said = error(door.send("POST", path, who, content=WRONG_BODIES[name]), 400)
    assert said["code"] == "bad_input"
    assert len(json.dumps(said)) < 20_000
    assert spending(door.gateway) == before


def test_a_key_given_twice_does_not_let_two_questions_through(door: Door) -> None:
    before = door.gateway._ledger.verify().charges
    twice = (
        b'{"sql": "SELECT count(*) FROM ward.people WHERE age = 1",'
        b' "sql": "SELECT count(*) FROM ward.people WHERE age = 2", "epsilon": 0.5, "epsilon": 0.25}'
    )
    reply = door.send("POST", "/v1/ask", content=twice)
    if reply.status_code == 200:
        assert door.gateway._ledger.verify().charges == before + 1
        receipts = door.gateway._ledger.receipts("ward", limit=10_000)
        charged = [r for r in receipts if r.kind.value == "charge"]
        assert "age = 2" in json.dumps(charged[-1].content())
        assert reply.json()["loss"]["nominal_epsilon"] == 0.25
    else:
        error(reply, 400)


def test_a_body_that_is_too_large_is_refused_announced_or_not(door: Door) -> None:
    body = json.dumps({"sql": COUNT + " " * CAP}).encode()
    error(door.send("POST", "/v1/ask", content=body), 413, "too_large")
    error(door.send("POST", "/v1/ask", content=iter([body[:9_000], body[9_000:]])), 413, "too_large")
    for length in ("-1", "1e3", "99999999999999999999", "0x10"):
        headers = {"Content-Length": length}
        assert door.send("POST", "/v1/ask", headers=headers, content=b"{}").status_code in (400, 413)


@pytest.mark.parametrize("key", ["x" * 201, "x" * 9_000, "a\tb", "", "\x7f", "é", "a\x01b"])
def test_a_strange_idempotency_key_is_refused(door: Door, key: str) -> None:
    before = spending(door.gateway)
    reply = door.send("POST", "/v1/ask", headers={"Idempotency-Key": key}, json=ASK)
    error(reply, 400, "bad_input")
    assert spending(door.gateway) == before


def test_an_idempotency_key_pays_once_and_for_one_question_only(door: Door) -> None:
    ask = lambda text, who="analyst": door.send(  # noqa: E731
        "POST", "/v1/ask", who, headers={"Idempotency-Key": "once"}, json={"sql": text, "epsilon": 0.5}
    )
    first = ask(f"{COUNT} WHERE age = 31")
    assert first.status_code == 200
    before = spending(door.gateway)
    assert ask(f"{COUNT} WHERE age = 31").json()["rows"] == first.json()["rows"]
    error(ask(f"{COUNT} WHERE age = 32"), 409, "conflict")
    assert spending(door.gateway) == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1", 404),
        ("GET", "/v1/", 404),
        ("GET", "/v1/unknown", 404),
        ("GET", "/v2/ask", 404),
        ("GET", "/v1/ask", 405),
        ("PUT", "/v1/ask", 405),
        ("TRACE", "/v1/ask", 405),
        ("POST", "/v1/datasets", 405),
        ("GET", "/v1/tokens/../../etc/passwd", 404),
        ("GET", "/style.css/../../../../etc/passwd", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/static/ledger.db", 404),
        ("GET", "/redoc", 404),
        ("DELETE", "/v1/tokens/%00", 404),
        ("DELETE", "/v1/tokens/'%20OR%201=1--", 404),
        ("GET", "/v1/receipts?after=-1", 400),
        ("GET", "/v1/receipts?limit=99999999999999999999", 400),
        ("GET", "/v1/receipts?limit=1e2", 400),
        ("GET", "/v1/receipts?dataset='%20OR%201=1", 400),
        ("GET", "/v1/receipts?dataset=%C5%BFecret", 400),
        ("GET", "/v1/receipts?dataset=nothing", 404),
    ],
)
def test_addresses_that_are_none_have_the_one_error_shape(
    door: Door, method: str, path: str, status: int
) -> None:
    error(door.send(method, path, "custodian", headers={"Accept": "text/html"}), status)


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/openapi.json"])
def test_what_is_open_to_all_tells_nothing_of_questions_or_spending(door: Door, path: str) -> None:
    marked = "SELECT count(*) FROM ward.people WHERE note = 'tell-tale'"
    assert door.send("POST", "/v1/ask", json={"sql": marked, "epsilon": 0.5}).status_code == 200
    reply = door.http.get(path)
    assert reply.status_code == 200
    for word in ("tell-tale", "the-analyst", *door.secrets.values()):
        assert word not in reply.text


def test_a_column_title_reaches_no_header_and_no_page(door: Door) -> None:
    text = 'SELECT count(*) AS "x\\r\\nSet-Cookie: a=b<script>" FROM ward.people'
    reply = door.send("POST", "/v1/ask", json={"sql": text, "epsilon": 0.5})
    assert reply.status_code == 200
    assert "set-cookie" not in reply.headers
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_a_crash_inside_shows_a_constant_text(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("row of person 7: weight 57.0")

    texts = set()
    for place in ("ask", "explain"):
        monkeypatch.setattr(Gateway, place, crash)
        reply = door.send("POST", f"/v1/{place}", json={"sql": COUNT, "epsilon": 0.5})
        error(reply, 500, "internal")
        texts.add(reply.text)
    assert len(texts) == 1
    assert "57.0" not in texts.pop()
