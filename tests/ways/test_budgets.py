"""Budgets from end to end: custodians and analysts over a real server, with the client."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from noisegate import errors
from noisegate.client import Client, connect
from noisegate.server.http.app import build_app
from noisegate.server.http.budget_bodies import AccountReply, GrantedReply, RenewalsReply
from noisegate.server.serve import beside, listen

from .door import BOSS, COUNT, ROLES, Door, error
from .world import opened, plain_town

OWN = "town/ward/default/ana"


@dataclass(frozen=True)
class House:
    """A served gateway, the address, and a client for each who may speak."""

    url: str
    boss: Client
    warden: Client
    auditor: Client
    secrets: dict[str, str]

    def as_(self, name: str, project: str = "default") -> Client:
        """A client of an analyst with a grant on the ward."""
        made = self.boss.create_token(name, "analyst", datasets=["ward"], project=project)
        return connect(self.url, made["secret"])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(plain_town(), tmp_path_factory.mktemp("house"), threads=1) as gateway:
        made = {
            name: str(gateway.create_token(BOSS, name, role, grants, None)["secret"])
            for name, role, grants in (
                ("boss", "custodian", None),
                ("warden", "custodian", ["ward"]),
                ("auditor", "auditor", None),
            )
        }
        app = build_app(gateway, version="0", padding_ms=0)
        with (
            listen("127.0.0.1", 0) as bound,
            beside(app, bound) as url,
            connect(url, made["boss"]) as boss,
            connect(url, made["warden"]) as warden,
            connect(url, made["auditor"]) as auditor,
        ):
            yield House(url, boss, warden, auditor, made)


def test_a_share_is_granted_spent_moved_and_renewed(house: House) -> None:
    granted = house.warden.grant("ward", "ana", epsilon="0.6", delta=0, until="2999-01-01")
    GrantedReply.model_validate(granted, strict=True)
    with house.as_("ana") as ana, house.as_("ben") as ben:
        ana.ask(COUNT, epsilon="0.5")
        with pytest.raises(errors.BudgetExhausted) as refused:
            ana.ask(COUNT, epsilon="0.2")
        assert refused.value.detail["account"] == OWN
        (own,) = ana.budget()["accounts"]
        AccountReply.model_validate(own, strict=True)
        assert (own["spent"], own["left"]) == pytest.approx((0.5, 0.1))
        house.warden.grant("ward", "ben", epsilon=1, delta=0)
        ana_now, ben_now = house.warden.transfer("ward", "ben", "ana", epsilon="0.4")["accounts"]
        assert (ana_now["account"], ben_now["account"]) == ("town/ward/default/ben", OWN)
        assert (ana_now["epsilon"], ben_now["epsilon"]) == pytest.approx((0.6, 0.5))
        ana.ask(COUNT, epsilon="0.2")
        renewed = house.warden.renew(OWN, "she needs more", epsilon=2)
        RenewalsReply.model_validate(renewed, strict=True)
        (last,) = renewed["accounts"]
        assert (last["period"]["number"], last["lifetime"]["epsilon"]) == (3, pytest.approx(0.6 + 0.5 + 2))
        assert last["period"]["until"] == "2999-01-01T00:00:00+00:00"
        ana.ask(COUNT, epsilon="1.5")
        assert ben.budget("ward")["accounts"][0]["left"] == pytest.approx(0.6)
    kinds = [r["kind"] for r in house.auditor.receipts("ward", limit=1_000)["receipts"]]
    assert kinds.count("transferred") == 2
    assert kinds.count("renewed") == 1
    assert house.auditor.verify_receipts()["whole"]


def test_a_project_s_analysts_spend_its_budget_and_no_other(house: House) -> None:
    with house.as_("carl", project="stroke") as carl:
        with pytest.raises(errors.Blocked, match="project 'stroke' has no budget"):
            carl.ask("SELECT count(*) FROM ward.visits", epsilon="0.1")
        assert carl.budget()["accounts"] == []
        house.warden.grant("ward", epsilon="0.5", delta=0, project="stroke")
        carl.ask("SELECT count(*) FROM ward.visits", epsilon="0.3")
        with house.as_("dora", project="stroke") as dora, pytest.raises(errors.BudgetExhausted) as refused:
            dora.ask("SELECT count(*) FROM ward.visits", epsilon="0.4")
        # What the project has left is what others spent of it: not told.
        assert refused.value.detail == {"account": "town/ward/stroke"}
        (own,) = carl.budget()["accounts"]
        assert own["account"] == "town/ward/stroke/carl"
    assert [t["project"] for t in house.boss.tokens() if t["name"] == "carl"] == ["stroke"]


def test_what_is_suspended_gives_no_answer_and_does_again_when_resumed(house: House) -> None:
    with house.as_("emil") as emil:
        emil.ask(COUNT, epsilon="0.11")
        before = emil.ask(COUNT, epsilon="0.12").json
        for account in ("ward", "town/ward/default/emil"):
            suspended = house.warden.suspend(account, "a question to clear up")
            assert (suspended["state"], suspended["reason"]) == ("suspended", "a question to clear up")
            for epsilon in ("0.12", "0.13"):  # the first is stored
                with pytest.raises(errors.Blocked, match="is suspended") as refused:
                    emil.ask(COUNT, epsilon=epsilon)
                told = str(refused.value.as_json())
                assert ("a question to clear up" in told) == account.endswith("emil")
            assert house.warden.resume(account)["state"] == "open"
        assert emil.ask(COUNT, epsilon="0.12").json["receipt"] == before["receipt"]
        emil.ask(COUNT, epsilon="0.13")


def test_spending_is_told_apart_to_whoever_may_see_it(house: House) -> None:
    with house.as_("finn") as finn:
        finn.ask("SELECT count(*) FROM ward.people WHERE sex = 'f'", epsilon="0.2")
        (own,) = finn.odometer("analyst")["readings"]
        assert (own["of"], own["charges"]) == ("finn", 1)
        with pytest.raises(errors.NotFound):
            finn.odometer("day", account="town/ward")
    told = house.auditor.odometer("analyst", account="ward", days=2)
    assert own in [{**r, "delta": own["delta"], "epsilon": own["epsilon"]} for r in told["readings"]]
    assert {r["dataset"] for r in house.warden.odometer("tier")["readings"]} == {"ward"}
    assert "estimate" in told["note"]


def test_grants_on_one_dataset_reach_no_other_account(house: House) -> None:
    acts = (
        lambda name: house.warden.renew(name, "x", epsilon=1),
        lambda name: house.warden.suspend(name, "x"),
        house.warden.resume,
        house.warden.budget,
        lambda name: house.warden.odometer(account=name),
    )
    for name in ("clinic", "town", "population/town", "town/clinic", "abroad", "elsewhere/abroad/default"):
        for act in acts:
            with pytest.raises(errors.NotFound):
                act(name)
    with pytest.raises(errors.NotFound):
        house.warden.transfer("clinic", "ana", "ben", epsilon=1)


def test_two_custodians_who_grant_at_once_do_not_lose_each_other_s_entry(house: House) -> None:
    def grant(number: int) -> str:
        with connect(house.url, house.secrets["boss" if number % 2 else "warden"]) as custodian:
            try:
                custodian.grant("ward", "gina", epsilon=1 + number, delta=0)
            except errors.Conflict:
                return "late"
        return "granted"

    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(grant, range(6)))
    (gina,) = house.boss.budget("town/ward/default/gina")["accounts"]
    assert gina["period"]["number"] == outcomes.count("granted") >= 1


BAD = [
    ("POST", "grants", {"dataset": "ward", "analyst": "ana", "epsilon": 0}),
    ("POST", "grants", {"dataset": "ward", "analyst": "ana", "epsilon": "NaN"}),
    ("POST", "grants", {"dataset": "ward", "analyst": "ana", "epsilon": "inf"}),
    ("POST", "grants", {"dataset": "ward", "analyst": "ana", "epsilon": "1e-400"}),
    ("POST", "grants", {"dataset": "ward", "analyst": "ana", "epsilon": 1, "delta": 1}),
    ("POST", "grants", {"dataset": "ward", "analyst": "ana", "epsilon": 1, "until": "2020-01-01"}),
    ("POST", "grants", {"dataset": "ward", "analyst": "ana", "epsilon": 1, "until": "2999-01-01T00:00"}),
    ("POST", "grants", {"dataset": "ward", "analyst": "ana", "epsilon": 1, "every": "eon"}),
    (
        "POST",
        "grants",
        {"dataset": "ward", "analyst": "ana", "epsilon": 1, "every": "day", "until": "2999-01-01"},
    ),
    ("POST", "grants", {"dataset": "ward", "analyst": "a/b", "epsilon": 1}),
    ("POST", "grants", {"dataset": "ward", "project": "a/b", "epsilon": 1}),
    ("POST", "grants", {"dataset": "ward", "analyst": "ana", "epsilon": True}),
    ("POST", "grants", {"dataset": "ward", "analyst": "ana"}),
    ("POST", "grants", {"dataset": "ward", "analyst": "ana", "epsilon": 1, "limit": 2}),
    ("POST", "renewals", {"account": "ward", "reason": "", "epsilon": 1}),
    ("POST", "renewals", {"account": "ward", "epsilon": 1}),
    ("POST", "renewals", {"account": "ward", "reason": "x", "epsilon": "-1"}),
    ("POST", "renewals", {"account": "ward", "reason": "x", "epsilon": "1e18", "delta": "1e18"}),
    ("POST", "transfers", {"dataset": "ward", "giver": "ana", "taker": "ana", "epsilon": 1}),
    ("POST", "transfers", {"dataset": "ward", "giver": "ana", "taker": "ben", "epsilon": "NaN"}),
    ("POST", "transfers", {"dataset": "ward", "giver": "ana", "taker": "ben", "epsilon": 0}),
    ("PUT", "suspensions/ward", {"reason": ""}),
    ("PUT", "suspensions/ward", {}),
    ("GET", "odometer?by=month", None),
    ("GET", "odometer?days=0", None),
    ("GET", "odometer?days=many", None),
]


def test_what_cannot_be_is_bad_input_and_changes_nothing(house: House) -> None:
    def spending() -> object:
        return json.dumps(house.boss.budget()), len(house.boss.receipts("ward", limit=1_000)["receipts"])

    before = spending()
    headers = {"Authorization": f"Bearer {house.secrets['boss']}"}
    with httpx2.Client(base_url=house.url, headers=headers, trust_env=False) as http:
        for method, path, body in BAD:
            reply = http.request(method, f"/v1/budget/{path}", json=body)
            assert (reply.status_code, reply.json()["error"]["code"]) == (400, "bad_input"), (path, body)
        for path in ("nobody", "town/ward/default/nobody", "%00", "..%2F..%2Ftokens", "town/ward/x/y/z"):
            reply = http.put(f"/v1/budget/suspensions/{path}", json={"reason": "x"})
            assert reply.status_code == 404, path
            assert http.delete(f"/v1/budget/suspensions/{path}").status_code == 404
        sibling = {"dataset": "ward", "giver": "ana", "taker": "carl", "epsilon": "0.01"}
        reply = http.post("/v1/budget/transfers", json=sibling)  # Carl is in another project
        assert reply.status_code == 404
    assert spending() == before


def test_nobody_but_a_custodian_changes_a_budget(door: Door) -> None:
    acts = (
        ("POST", "grants", {"dataset": "ward", "analyst": "ana", "epsilon": 1}),
        ("POST", "renewals", {"account": "ward", "reason": "x", "epsilon": 1}),
        ("POST", "transfers", {"dataset": "ward", "giver": "ana", "taker": "ben", "epsilon": 1}),
        ("PUT", "suspensions/ward", {"reason": "x"}),
        ("DELETE", "suspensions/ward", None),
    )
    for method, path, body in acts:
        for role in (r for r in ROLES if r != "custodian"):
            for who in (role, f"clinic {role}"):
                more = {} if body is None else {"json": body}
                error(door.send(method, f"/v1/budget/{path}", who, **more), 403, "forbidden")
        more = {} if body is None else {"json": body}
        error(door.send(method, f"/v1/budget/{path}", "clinic custodian", **more), 404, "not_found")


def test_the_front_page_tells_of_periods(tmp_path: Path) -> None:
    with opened(plain_town(), tmp_path, threads=1) as gateway:
        gateway.renew(BOSS, "ward", "a test", None, None, until="2999-01-01")
        app = build_app(gateway, version="0", padding_ms=0)
        with listen("127.0.0.1", 0) as bound, beside(app, bound) as url:
            page = httpx2.get(url, trust_env=False).text
    assert "until 2999-01-01 00:00 UTC; ε 200000, δ 2e-06 in all 2 periods" in page
