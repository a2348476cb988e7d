"""Who may do what: every route for every role, and grants on one dataset only."""

from collections.abc import Mapping

import pytest

from .door import BOSS, COUNT, ROLES, Door, error
from .world import spending

# Who may use which route. A route that is not here fails a test below.
MATRIX: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("POST", "/v1/ask"): ("analyst",),
    ("POST", "/v1/explain"): ("analyst",),
    ("GET", "/v1/datasets"): ROLES,
    ("GET", "/v1/datasets/{name}/statement"): ROLES,
    ("GET", "/v1/receipts/{receipt_id}/statement"): ROLES,
    ("GET", "/v1/budget"): ROLES,
    ("GET", "/v1/budget/odometer"): ROLES,
    ("POST", "/v1/budget/grants"): ("custodian",),
    ("POST", "/v1/budget/renewals"): ("custodian",),
    ("POST", "/v1/budget/transfers"): ("custodian",),
    ("PUT", "/v1/budget/suspensions/{account}"): ("custodian",),
    ("DELETE", "/v1/budget/suspensions/{account}"): ("custodian",),
    ("GET", "/v1/receipts"): ("custodian", "auditor"),
    ("GET", "/v1/receipts/verify"): ("custodian", "auditor"),
    ("GET", "/v1/receipts/export"): ("custodian", "auditor"),
    ("GET", "/v1/receipts/checkpoint"): ("custodian", "auditor"),
    ("GET", "/v1/jobs"): ROLES,
    ("GET", "/v1/jobs/{job_id}"): ROLES,
    ("DELETE", "/v1/jobs/{job_id}"): ("custodian", "analyst"),
    ("POST", "/v1/genomes/shares"): ("custodian",),
    ("POST", "/v1/genomes/explain"): ("custodian",),
    ("POST", "/v1/genomes/advice"): ("custodian",),
    ("POST", "/v1/genomes/associations"): ("analyst",),
    ("POST", "/v1/genomes/associations/explain"): ("analyst",),
    ("POST", "/v1/genomes/verifications"): ("custodian", "analyst"),
    ("GET", "/v1/genomes/releases"): ROLES,
    ("GET", "/v1/genomes/releases/{release_id}"): ROLES,
    ("GET", "/v1/genomes/releases/{release_id}/files/{name}"): ("custodian", "analyst"),
    ("POST", "/v1/genomes/releases/{release_id}/grants"): ("custodian",),
    ("DELETE", "/v1/genomes/releases/{release_id}/grants/{analyst}"): ("custodian",),
    ("GET", "/v1/plans/closed"): ("custodian", "auditor"),
    ("DELETE", "/v1/plans/closed/{fingerprint}"): ("custodian",),
    ("POST", "/v1/tokens"): ("custodian",),
    ("GET", "/v1/tokens"): ("custodian",),
    ("DELETE", "/v1/tokens/{token_id}"): ("custodian",),
}
BODIES: Mapping[str, object] = {
    "/v1/ask": {"sql": COUNT, "epsilon": 0.5},
    "/v1/explain": {"sql": COUNT},
    "/v1/budget/grants": {"dataset": "ward", "analyst": "eve", "epsilon": 1},
    "/v1/budget/renewals": {"account": "ward", "reason": "more", "epsilon": 100_000},
    "/v1/budget/transfers": {"dataset": "ward", "giver": "eve", "taker": "ann", "epsilon": 1},
    "/v1/budget/suspensions/abroad": {"reason": "a test"},
    "/v1/tokens": {"name": "eve", "role": "custodian"},
    "/v1/genomes/shares": {"genotypes": "ward.snps", "method": "xor", "epsilon": 1},
    "/v1/genomes/explain": {"genotypes": "ward.snps", "method": "xor", "epsilon": 1},
    "/v1/genomes/advice": {"reference": "ward.panel", "people": 10, "variants": 10, "epsilon": 1},
    "/v1/genomes/associations": {"genotypes": "ward.snps", "cases": "ward.people", "top": 1},
    "/v1/genomes/associations/explain": {"genotypes": "ward.snps", "cases": "ward.people", "top": 1},
    "/v1/genomes/verifications": {
        "findings": [{"variant": "rs1", "p": 0.01}],
        "reference": "ward.panel",
        "release": "ward-999",
    },
    "/v1/genomes/releases/ward-999/grants": {"analyst": "eve"},
}


def path_of(route: str) -> str:
    known = {"fingerprint": "ab" * 32, "token_id": "unknown", "job_id": "999", "account": "abroad"}
    known |= {"release_id": "ward-999", "name": "ward-999.bed", "analyst": "eve"}
    for name, value in known.items():
        route = route.replace(f"{{{name}}}", value)
    return route


def test_the_matrix_of_roles_names_every_route(door: Door) -> None:
    paths = door.http.get("/openapi.json").json()["paths"]
    routes = {(m.upper(), p) for p, methods in paths.items() for m in methods if p.startswith("/v1/")}
    assert routes == set(MATRIX)


@pytest.mark.parametrize("route", MATRIX, ids=" ".join)
def test_each_route_is_open_to_its_roles_and_to_nobody_else(door: Door, route: tuple[str, str]) -> None:
    method, path = route[0], path_of(route[1])
    more = {"json": BODIES[path]} if path in BODIES else {}
    before = spending(door.gateway), door.gateway.list_tokens(BOSS)
    for who in ("nobody knows this", "revoked", "", " ", "\t", "Bearer", "é"):
        error(door.send(method, path, who, **more), 401, "unauthorised")
    error(door.send(method, path, None, **more), 401, "unauthorised")
    basic = {"Authorization": f"Basic {door.secrets['analyst']}"}
    error(door.send(method, path, None, headers=basic, **more), 401, "unauthorised")
    for role in ROLES:
        if role not in MATRIX[route]:
            error(door.send(method, path, role, **more), 403, "forbidden")
    assert before == (
        spending(door.gateway),
        door.gateway.list_tokens(BOSS),
    )
    for role in MATRIX[route]:
        assert door.send(method, path, role, **more).status_code in (200, 201, 404, 409)


def test_a_grant_on_one_dataset_opens_no_other(door: Door) -> None:
    ask = {"json": {"sql": COUNT, "epsilon": 0.5}}
    error(door.send("POST", "/v1/ask", "clinic analyst", **ask), 422, "unknown_column")
    error(door.send("POST", "/v1/explain", "clinic analyst", **ask), 422, "unknown_column")
    both = {"sql": "SELECT count(*) FROM clinic.tests JOIN ward.people USING (person)", "epsilon": 0.5}
    error(door.send("POST", "/v1/ask", "clinic analyst", json=both), 422, "unknown_column")
    for who in ("clinic analyst", "clinic auditor", "clinic custodian"):
        assert [d["name"] for d in door.send("GET", "/v1/datasets", who).json()["datasets"]] == ["clinic"]
        accounts = door.send("GET", "/v1/budget", who).json()["accounts"]
        assert all("ward" not in a["account"] and "abroad" not in a["account"] for a in accounts)
    error(door.send("GET", "/v1/receipts?dataset=ward", "clinic auditor"), 404, "not_found")
    for who in ("clinic auditor", "clinic custodian"):  # the check is of the whole ledger
        error(door.send("GET", "/v1/receipts/verify", who), 403, "forbidden")
    chains = {r["chain"] for r in door.send("GET", "/v1/receipts", "clinic auditor").json()["receipts"]}
    assert chains <= {"clinic"}
    grant = {"dataset": "ward", "analyst": "eve", "epsilon": 1}
    error(door.send("POST", "/v1/budget/grants", "clinic custodian", json=grant), 404, "not_found")


def test_a_custodian_of_one_dataset_cannot_reach_past_it_through_tokens(door: Door) -> None:
    wider = {"name": "eve", "role": "analyst", "datasets": ["ward"]}
    error(door.send("POST", "/v1/tokens", "clinic custodian", json=wider), 404, "not_found")
    made = door.send("POST", "/v1/tokens", "clinic custodian", json={"name": "eve", "role": "analyst"}).json()
    assert made["datasets"] == ["clinic"]
    reply = door.send("POST", "/v1/ask", made["secret"], json={"sql": COUNT, "epsilon": 0.5})
    error(reply, 422, "unknown_column")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT count(wieght) FROM ward.people",
        "SELECT sum(code) FROM ward.people",
        "SELECT count(secret) FROM ward.people",
        "SELECT count(*) FROM ward.people WHERE sex = 3",
    ],
)
def test_a_dataset_without_a_grant_is_as_good_as_none(door: Door, text: str) -> None:
    reply = door.send("POST", "/v1/ask", "clinic analyst", json={"sql": text, "epsilon": 0.5})
    assert reply.status_code in (403, 404, 422)
    for word in ("people", "visits", "weight", "restricted", "bounds", "text meet"):
        assert word in text or word not in reply.text


def test_a_custodian_of_one_dataset_sees_and_revokes_no_token_of_another(door: Door) -> None:
    other = door.gateway.create_token(BOSS, "someone", "analyst", ["ward"], None)
    listed = door.send("GET", "/v1/tokens", "clinic custodian").json()["tokens"]
    assert {d for t in listed for d in t["datasets"] or ["*"]} <= {"clinic"}
    error(door.send("DELETE", f"/v1/tokens/{other['id']}", "clinic custodian"), 404, "not_found")
    assert door.gateway.authenticate(str(other["secret"])).name == "someone"


def test_a_stolen_cookie_or_parameter_is_no_credential(door: Door) -> None:
    secret = door.secrets["analyst"]
    error(door.http.get(f"/v1/datasets?token={secret}&access_token={secret}"), 401)
    error(door.http.get("/v1/datasets", headers={"Cookie": f"token={secret}"}), 401)
    error(door.http.get("/v1/datasets", headers={"X-Forwarded-User": "the-custodian"}), 401)
