"""Privacy statements of a whole gateway: whose they are, and that they follow the ledger."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from noisegate.errors import NotFound
from noisegate.gate.access import Asker
from noisegate.ledger.records import Role

from .door import BOSS, COUNT, Door, error

BOTH = "SELECT count(*) FROM clinic.tests JOIN ward.people USING (person)"


def asked(door: Door, sql: str = COUNT, epsilon: float = 0.5, who: str = "analyst") -> Mapping[str, Any]:
    """The receipt of an answer."""
    reply = door.send("POST", "/v1/ask", who, json={"sql": sql, "epsilon": epsilon})
    assert reply.status_code == 200, reply.text
    receipt: Mapping[str, Any] = reply.json()["receipt"]
    return receipt


def of_dataset(door: Door, name: str, who: str = "custodian") -> Any:
    return door.send("GET", f"/v1/datasets/{name}/statement", who)


def of_release(door: Door, receipt: str, who: str = "analyst") -> Any:
    return door.send("GET", f"/v1/receipts/{receipt}/statement", who)


def accounts(statement: Any) -> Mapping[str, Mapping[str, Any]]:
    found = statement["sections"]["parameters"]["facts"]["accounts"]
    return {row["account"]: row for row in found}


def test_a_dataset_is_stated_to_whoever_has_a_grant_on_it(door: Door) -> None:
    asked(door)
    for who in ("analyst", "custodian", "auditor"):
        assert of_dataset(door, "ward", who).json()["name"] == "ward"
    for who in ("clinic analyst", "clinic custodian", "clinic auditor"):
        assert of_dataset(door, "clinic", who).status_code == 200
        error(of_dataset(door, "ward", who), 404, "not_found")
    error(of_dataset(door, "nowhere"), 404, "not_found")


def test_what_was_spent_is_for_custodians_and_auditors(door: Door) -> None:
    asked(door)
    for who in ("custodian", "auditor"):
        assert {"town", "town/ward"} == {
            a for a, row in accounts(of_dataset(door, "ward", who).json()).items() if "spent" in row
        }
    assert not any("spent" in row for row in accounts(of_dataset(door, "ward", "analyst").json()).values())
    # A population's spending is that of datasets that a narrower grant does not cover.
    for who in ("clinic custodian", "clinic auditor"):
        found = accounts(of_dataset(door, "clinic", who).json())
        assert [account for account, row in found.items() if "spent" in row] == ["town/clinic"]


def test_figures_follow_the_ledger(door: Door) -> None:
    before = accounts(of_dataset(door, "ward").json())["town/ward"]
    asked(door, "SELECT count(*) FROM ward.people WHERE age > 33", 0.25)
    after = accounts(of_dataset(door, "ward").json())["town/ward"]
    assert after["charges"] == before["charges"] + 1
    assert after["spent"] > before["spent"]
    held = door.gateway._ledger.find_account("town/ward")
    assert held is not None
    assert (after["epsilon"], after["delta"]) == (float(held.limits.epsilon), float(held.limits.delta))

    door.gateway._ledger.renew("town/ward", None, until=None, by="boss", reason="test")
    stated = of_dataset(door, "ward").json()
    [_, period] = stated["sections"]["composition_and_renewal"]["facts"]["periods"]
    assert period["period"] == 2
    assert period["lifetime_epsilon"] == 2 * after["epsilon"]
    assert period["lifetime_charges"] == after["charges"]
    assert accounts(stated)["town/ward"]["charges"] == 0


def test_a_release_is_stated_to_its_asker_custodians_and_auditors(door: Door) -> None:
    receipt = asked(door, "SELECT count(*) FROM ward.people WHERE age > 44")
    for who in ("analyst", "custodian", "auditor"):
        stated = of_release(door, receipt["id"], who).json()
        assert stated["about"]["question"] == "SELECT count(*) FROM ward.people WHERE age > 44"
        assert stated["about"]["outcome"] == "answer"
    other = door.gateway.create_token(BOSS, "another", "analyst", None, None)
    for who in (str(other["secret"]), "clinic analyst", "clinic custodian", "clinic auditor"):
        refused = error(of_release(door, receipt["id"], who), 404, "not_found")
        assert refused["message"] == error(of_release(door, "ward:9999", who), 404)["message"].replace(
            "ward:9999", receipt["id"]
        )


def test_nobody_becomes_the_asker_by_taking_their_name(door: Door) -> None:
    receipt = asked(door, "SELECT count(*) FROM ward.people WHERE age > 45")
    same = Asker("the-analyst", Role.ANALYST, frozenset({"ward"}))
    assert door.gateway.release_statement(same, receipt["id"])["name"]
    for other in (
        Asker("the-analyst", Role.ANALYST, frozenset({"clinic"})),
        Asker("the-analyst", Role.ANALYST, frozenset({"ward"}), "stroke"),
    ):
        with pytest.raises(NotFound):
            door.gateway.release_statement(other, receipt["id"])
    twin = door.gateway.create_token(BOSS, "the-analyst", "custodian", ["clinic"], None)
    error(of_release(door, receipt["id"], str(twin["secret"])), 404, "not_found")


def test_a_release_has_one_statement_on_each_of_its_chains(door: Door) -> None:
    receipt = asked(door, BOTH)
    ledger = door.gateway._ledger
    found = ledger.receipt(receipt["id"])
    assert found is not None
    assert found.charge is not None
    for kind in ("charge", "answer"):
        receipts = [r for r in _receipts(door) if r["charge"] == found.charge and r["kind"] == kind]
        assert {r["chain"] for r in receipts} == {"clinic", "ward"}
        for each in receipts:
            stated = of_release(door, each["id"], "auditor").json()
            assert stated["about"]["datasets"] == ["clinic", "ward"]
            assert stated["name"].partition(":")[0] == each["chain"]
            versions = stated["sections"]["data"]["facts"]["versions"]
            assert [row["dataset"] for row in versions] == ["clinic", "ward"]


def test_only_receipts_of_releases_have_a_statement(door: Door) -> None:
    others = [r for r in _receipts(door) if r["charge"] is None]
    assert {r["kind"] for r in others} >= {"opened", "registered"}
    for receipt in (
        *(r["id"] for r in others),
        "population/town:1",
        "ward",
        "ward:0",
        "ward:x",
        ":",
        "../x:1",
    ):
        error(of_release(door, receipt, "auditor"), 404, "not_found")


def test_no_statement_tells_of_rows_or_files(door: Door) -> None:
    receipt = asked(door, "SELECT avg(weight) FROM ward.people", 0.7)
    for reply in (of_dataset(door, "ward"), of_release(door, receipt["id"], "auditor")):
        for word in ("parquet", "digest"):
            assert word not in reply.text
        written = door.send("GET", reply.request.url.path + "?format=markdown", "auditor")
        assert written.text.startswith("# Privacy statement: ")
        for section in json.loads(reply.text)["sections"].values():
            assert f"## {section['title']}" in written.text


def _receipts(door: Door) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = door.send("GET", "/v1/receipts?limit=1000", "auditor").json()["receipts"]
    return found
