"""Association over HTTP, end to end: charged once, replayed free, refused before a private row is read."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisegate.client import Client
from noisegate.engines.duckdb import DuckDB
from noisegate.errors import BadInput
from noisegate.gate.statement.shape import Item
from noisegate.genomics import association_plan
from noisegate.genomics.prepare import Prepared
from noisegate.server.http.associations_bodies import AssociationReply

from .door import BOSS, Door, error
from .panels import (
    BUDGET,
    CATALOG,
    MIGRAINE,
    PEOPLE,
    VARIANTS,
    of_superpopulation,
    panel_door,
    table_of,
    with_condition,
)
from .world import spending

PATH = "/v1/genomes/associations"
ASKED: dict[str, Any] = {
    "genotypes": "panel.snps",
    "cases": MIGRAINE,
    "variants": ["rs4798812"],
    "epsilon": 1,
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with panel_door(tmp_path_factory.mktemp("panel") / "house") as found:
        yield found


def told(door: Door, who: str = "ana", **more: Any) -> dict[str, Any]:
    """Ask for an association and return the reply, which has the documented shape."""
    reply = door.send("POST", PATH, who, json={k: v for k, v in (ASKED | more).items() if v is not None})
    assert reply.status_code == 200, reply.text
    AssociationReply.model_validate_json(reply.content, strict=True)
    return dict(reply.json())


def columns(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows by the names of their columns."""
    names = [column["name"] for column in found["columns"]]
    return [dict(zip(names, row, strict=True)) for row in found["rows"]]


class Untouched:
    """Fails where anything private is read."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.reads: list[str] = []
        for home, name in ((DuckDB, "members"), (DuckDB, "run"), (Prepared, "block")):
            patch.setattr(home, name, self._told(name))

    def _told(self, name: str) -> Any:
        def read(*_: object, **__: object) -> None:
            self.reads.append(name)
            raise AssertionError(f"{name} was read")

        return read


@pytest.fixture
def untouched(door: Door, monkeypatch: pytest.MonkeyPatch) -> Iterator[Untouched]:
    before = spending(door.gateway)
    found = Untouched(monkeypatch)
    yield found
    assert found.reads == []
    assert spending(door.gateway) == before


def test_noisy_tables_are_near_the_truth_and_their_intervals_cover_it(door: Door) -> None:
    found = told(door, epsilon=8)
    exact = table_of("rs4798812", with_condition("migraine"))
    noisy = np.array(found["measured"]["tables"])[0]
    assert np.abs(noisy - exact).max() <= 12  # of Laplace noise of scale 1/4
    (row,) = columns(found)
    sizes = exact.sum(axis=1)
    frequency = (exact @ np.array([0, 1, 2])) / (2 * sizes)
    for group, name in ((1, "cases"), (0, "controls")):
        assert row[name]["low"] - 0.01 <= frequency[group] <= row[name]["high"] + 0.01
        assert found["groups"][name]["low"] - 4 <= sizes[group] <= found["groups"][name]["high"] + 4
    odds = frequency / (1 - frequency)
    assert row["odds_ratio"]["low"] <= odds[1] / odds[0] <= row["odds_ratio"]["high"]
    assert (row["variant"], row["chromosome"], found["people"]) == ("rs4798812", "18", PEOPLE)
    # The clinic's records were made so that this variant raises the risk.
    assert row["p"] < 1e-4
    assert row["p_adjusted"] == row["p"]
    assert row["odds_ratio"]["low"] > 1
    assert found["loss"] == {"nominal_epsilon": 8.0, "epsilon": 8.0, "delta": 0.0, "unit": "person"}
    assert "clinic is SYNTHETIC data: made up, about nobody" in found["notes"]


def test_who_takes_part_is_who_was_asked_for(door: Door) -> None:
    migraine, europe = with_condition("migraine"), of_superpopulation("EUR")
    among = "panel.samples WHERE superpopulation = 'EUR'"
    found = told(door, among=among, variants=["rs2986742", "rs4798812"], epsilon=8)
    for name, noisy in zip(("rs2986742", "rs4798812"), _tables(found), strict=True):
        assert np.abs(noisy - table_of(name, migraine, europe)).max() <= 25
    assert found["groups"]["cases"]["value"] == pytest.approx(len(migraine & europe), abs=25)


def _tables(found: dict[str, Any]) -> list[Any]:
    """Noisy tables in the order of the rows."""
    places = dict(zip(found["measured"]["places"], found["measured"]["tables"], strict=True))
    names = _names()
    return [np.array(places[names.index(row[0])]) for row in found["rows"]]


def _names() -> list[str]:
    from .panels import genotypes

    return genotypes()[1]


def test_the_planted_variant_is_found_among_all(door: Door) -> None:
    found = told(door, variants=None, top=3, epsilon=8)
    rows = columns(found)
    assert rows[0]["variant"] == "rs4798812"
    assert found["looked_at"] == VARIANTS
    assert rows[0]["p_adjusted"] == pytest.approx(min(1.0, VARIANTS * rows[0]["p"]))
    sizes = found["measured"]["sizes"]
    assert sizes[1] == pytest.approx(len(with_condition("migraine")), abs=60)
    assert [line.partition(":")[0] for line in found["mechanisms"]] == [
        "how many cases and controls",
        "choice of 3 of 127 variants",
        "cases and controls by genotype",
    ]


def test_a_public_panel_fills_missing_calls_and_is_part_of_what_is_asked(door: Door) -> None:
    plain = told(door, variants=None, top=2, epsilon=2)
    leaning = told(door, variants=None, top=2, epsilon=2, reference="panel.known")
    assert not leaning["replayed"]
    assert plain["receipt"]["id"] != leaning["receipt"]["id"]
    assert any("likeliest genotype of panel.known" in note for note in leaning["notes"])


@pytest.mark.parametrize("reference", [{}, {"reference": "panel.known"}])
@pytest.mark.parametrize("which", [{"variants": ["rs881728"]}, {"variants": None, "top": 2}])
def test_a_manifest_that_lists_what_the_genotypes_do_is_the_same_question(
    door: Door, which: dict[str, Any], reference: dict[str, str]
) -> None:
    first = told(door, **which, **reference, epsilon=1.5)
    before = spending(door.gateway)
    again = told(door, **which, **reference, epsilon=1.5, manifest="panel.known")
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert (again["rows"], again["receipt"]) == (first["rows"], first["receipt"])
    assert spending(door.gateway) == before


def test_rows_come_in_the_order_in_which_variants_were_named(door: Door) -> None:
    names = ["rs4798812", "rs2986742", "rs881728"]
    first = told(door, variants=names)
    again = told(door, variants=names[::-1])
    assert [row[0] for row in first["rows"]] == names
    assert [row[0] for row in again["rows"]] == names[::-1]
    assert again["replayed"]
    assert again["rows"] == first["rows"][::-1]


def test_the_same_is_charged_once_for_everybody(door: Door) -> None:
    first = told(door, variants=["rs881728"])
    before = spending(door.gateway)
    spelled = "(SELECT sample FROM clinic.diagnoses WHERE 'migraine' = condition) AS people"
    assert told(door, variants=["rs881728"], cases="clinic.diagnoses AS d WHERE 'migraine' = d.condition")[
        "replayed"
    ]
    for who, more in (("ana", {}), ("bob", {}), ("ana", {"cases": f"SELECT count(*) FROM {MIGRAINE}"})):
        again = told(door, who, variants=["rs881728"], **more)
        assert again["replayed"]
        assert (again["rows"], again["measured"]) == (first["rows"], first["measured"])
        assert again["receipt"] == first["receipt"]
    assert spending(door.gateway) == before
    assert not first["replayed"]
    other = told(door, variants=["rs881728"], cases=spelled)
    assert other["replayed"] == (other["receipt"] == first["receipt"])


def test_public_tables_are_read_with_their_version(door: Door) -> None:
    cases = "clinic.diagnoses JOIN clinic.words USING (condition)"
    found = told(door, cases=cases, variants=["rs4666200"])
    assert found["groups"]["cases"]["value"] == pytest.approx(len(with_condition("migraine")), abs=40)
    receipts = door.gateway._ledger.receipts("panel", limit=10_000)
    charge = next(r for r in reversed(receipts) if r.kind.value == "charge")
    elsewhere = "panel.samples AS s JOIN codes.words AS w ON s.superpopulation = w.superpopulation"
    assert set(charge.content()["public"]["versions"]) == {"clinic", "panel"}
    told(door, cases=elsewhere, variants=["rs4666200"])
    receipts = door.gateway._ledger.receipts("panel", limit=10_000)
    charge = next(r for r in reversed(receipts) if r.kind.value == "charge")
    assert set(charge.content()["public"]["versions"]) == {"codes", "panel"}
    assert charge.content()["datasets"] == ["panel"]


def test_everybodys_accounts_bear_the_loss(door: Door) -> None:
    def spent(account: str) -> int:
        held = {b.id: b for b in door.gateway._ledger.accounts()}
        return held[account].spent.renyi[-1] if account in held else 0

    accounts = ("1000genomes", "1000genomes/panel", "1000genomes/clinic")
    own = ("1000genomes/panel/default/eve", "1000genomes/clinic/default/eve")
    before = {account: spent(account) for account in (*accounts, *own)}
    told(door, "eve", variants=["rs946918"], epsilon="0.5")
    # A pure loss of ε 0.5, in whole nano-units.
    assert {spent(a) - before[a] for a in (*accounts, *own)} == {500_000_000}


def test_explaining_costs_nothing_and_reads_nothing(door: Door, untouched: Untouched) -> None:
    said = door.send("POST", f"{PATH}/explain", "ana", json=ASKED | {"epsilon": 3})
    assert said.status_code == 200, said.text
    found = said.json()
    assert found["loss"]["epsilon"] == 3.0
    assert found["mechanisms"] == ["cases and controls by genotype: discrete Laplace, scale 0.666667"]
    assert found["price"]["tiers"] == ["demographic", "clinical", "genomic"]
    assert found["expected_error"][0]["half_width"] == 2
    assert found["budget"]["more_like_this"] > 100
    assert found["plan"][0] == "cases: reads clinic.diagnoses: sample, condition"


REFUSED: dict[str, tuple[str, dict[str, Any], int, str]] = {
    "more than the tier allows": ("ana", {"epsilon": 10.1}, 422, "epsilon_above_tier"),
    "an epsilon of nothing": ("ana", {"epsilon": 0}, 400, "bad_input"),
    "not an analyst": ("custodian", {}, 403, "forbidden"),
    "an auditor": ("auditor", {}, 403, "forbidden"),
    "no grant on the genotypes": ("clinic only", {}, 404, "not_found"),
    "no grant on the cases": ("panel only", {}, 422, "unknown_column"),
    "no grant on who takes part": (
        "panel only",
        {"cases": "panel.samples", "among": "clinic.patients"},
        422,
        "unknown_column",
    ),
    "no such genotypes": ("ana", {"genotypes": "panel.nothing"}, 404, "not_found"),
    "a table of rows": ("ana", {"genotypes": "panel.samples"}, 404, "not_found"),
    "no such variant": ("ana", {"variants": ["rs4798812", "rs1"]}, 400, "bad_input"),
    "a variant twice": ("ana", {"variants": ["rs4798812"] * 2}, 400, "bad_input"),
    "variants and top": ("ana", {"top": 3}, 400, "bad_input"),
    "neither": ("ana", {"variants": None}, 400, "bad_input"),
    "more than there are": ("ana", {"variants": None, "top": 0}, 400, "bad_input"),
    "no variants": ("ana", {"variants": []}, 400, "bad_input"),
    "a private panel as reference": ("ana", {"reference": "panel.snps"}, 403, "forbidden"),
    "a private list of variants": ("ana", {"manifest": "panel.snps"}, 403, "forbidden"),
    "people of elsewhere": ("ana", {"cases": "abroad.folk WHERE age > 35"}, 400, "bad_input"),
    "two populations": ("ana", {"among": "abroad.folk"}, 400, "bad_input"),
    "public rows alone": ("ana", {"cases": "clinic.words"}, 422, "unsupported_sql"),
    "a field that is none": ("ana", {"within": 3}, 400, "bad_input"),
    "no cases": ("ana", {"cases": " "}, 400, "bad_input"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_may_not_be_asked_is_refused_before_anything_is_read(
    door: Door, untouched: Untouched, what: str
) -> None:
    who, more, status, code = REFUSED[what]
    body = {k: v for k, v in (ASKED | more).items() if v is not None}
    for path in (PATH, f"{PATH}/explain"):
        error(door.send("POST", path, who, json=body), status, code)


HOSTILE = {
    "panel.samples; DROP TABLE panel.samples": "unsupported_sql",
    "panel.samples UNION ALL SELECT count(*) FROM panel.samples": "unsupported_sql",
    "panel.samples GROUP BY superpopulation": "bad_input",
    "panel.samples HAVING count(*) > 1000": "bad_input",
    "panel.samples LIMIT 1": "bad_input",
    "panel.samples ORDER BY 1": "bad_input",
    "SELECT count(*), superpopulation FROM panel.samples GROUP BY 2": "bad_input",
    "SELECT count(*) FILTER (WHERE superpopulation = 'EUR') FROM panel.samples": "bad_input",
    "SELECT sample FROM panel.samples": "not_aggregate",
    "SELECT avg(age) FROM clinic.patients": "bad_input",
    "SELECT count(*) + 1 FROM panel.samples": "bad_input",
    "SELECT count(*) FROM panel.samples, panel.samples AS other": "not_unit_local",
    "panel.samples WHERE sample = (SELECT min(sample) FROM panel.samples)": "not_unit_local",
    "panel.samples WHERE sample IN (SELECT sample FROM read_csv('/etc/passwd'))": "unsupported_sql",
    "read_csv('/etc/passwd')": "unsupported_sql",
    "'/etc/passwd'": "unknown_column",
    "panel.samples WHERE (SELECT count(*) FROM panel.samples) > 1000": "not_unit_local",
    "panel.samples -- WHERE": "",
    "panel.samples /* \u202e */": "bad_input",
    "panel.samples WHERE 'a": "unsupported_sql",
    "information_schema.tables": "unknown_column",
    "panel.samples WHERE gender = 'male'": "restricted_column",
    "(" * 150 + "panel.samples" + ")" * 150: "too_large",
    "panel.samples WHERE random() < 0.5": "unsupported_sql",
    "panel.samples WHERE sleep(10)": "unsupported_sql",
    "x" * 70_000: "bad_input",
}


@pytest.mark.parametrize("text", HOSTILE, ids=lambda t: t[:60])
@pytest.mark.parametrize("where", ["cases", "among"])
def test_hostile_sql_is_refused_before_anything_is_read(
    door: Door, untouched: Untouched, text: str, where: str
) -> None:
    reply = door.send("POST", f"{PATH}/explain", "ana", json=ASKED | {where: text})
    code = HOSTILE[text]
    if not code:
        assert reply.status_code == 200, reply.text
        return
    said = error(reply, reply.status_code, code)
    assert "passwd" not in said["hint"]


def test_restricted_columns_are_counted_and_lock_the_account(tmp_path: Path) -> None:
    with panel_door(tmp_path / "house") as door:
        body = ASKED | {"cases": "panel.samples WHERE gender = 'male'"}
        for left in (2, 1):
            said = error(door.send("POST", PATH, "ana", json=body), 422, "restricted_column")
            assert said["detail"]["strikes_left"] == left
        error(door.send("POST", PATH, "ana", json=body), 423, "blocked")
        error(door.send("POST", PATH, "ana", json=ASKED), 423, "blocked")
        assert door.send("POST", PATH, "bob", json=ASKED).status_code == 200


def test_an_association_over_budget_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with panel_door(tmp_path / "house", CATALOG.replace(BUDGET, "epsilon = 1.5, delta = 0")) as door:
        told(door)
        with monkeypatch.context() as patch:
            found = Untouched(patch)
            error(door.send("POST", PATH, "ana", json=ASKED | {"epsilon": 0.9}), 402, "budget_exhausted")
            assert found.reads == []
        assert told(door)["replayed"]
        assert told(door, "bob")["replayed"]
        assert not told(door, epsilon="0.5")["replayed"]


def test_the_charge_is_durable_before_a_private_row_is_read(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int]] = []

    def watched(home: Any, name: str) -> None:
        work = getattr(home, name)

        def looked(*args: Any, **kwargs: Any) -> Any:
            seen.append((name, len(door.gateway._ledger.receipts("panel", limit=10_000))))
            return work(*args, **kwargs)

        monkeypatch.setattr(home, name, looked)

    watched(DuckDB, "members")
    watched(Prepared, "block")
    before = len(door.gateway._ledger.receipts("panel", limit=10_000))
    told(door, variants=["rs3118378"])
    assert [name for name, _ in seen][:2] == ["members", "block"]
    assert {count for _, count in seen} == {before + 1}


def test_work_that_fails_after_the_charge_closes_the_plan_and_says_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("HG00096 is a case")

    with monkeypatch.context() as patch:
        patch.setattr(association_plan, "carry_out", broken)
        reply = door.send("POST", PATH, "ana", json=ASKED | {"variants": ["rs6548616"]})
    error(reply, 500, "internal")
    assert "HG00096" not in reply.text
    error(door.send("POST", PATH, "bob", json=ASKED | {"variants": ["rs6548616"]}), 423, "blocked")
    closed = door.send("GET", "/v1/plans/closed", "custodian").json()["plans"]
    assert "rs6548616" in closed[0]["question"]
    door.send("DELETE", f"/v1/plans/closed/{closed[0]['fingerprint']}", "custodian")
    told(door, variants=["rs6548616"])


def test_two_at_once_pay_once(door: Door) -> None:
    start = threading.Barrier(8)

    def ask(who: str) -> dict[str, Any]:
        start.wait()
        return told(door, who, variants=["rs10007810"])

    before = len(door.gateway._ledger.receipts("panel", limit=10_000))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, ["ana", "bob"] * 4))
    assert [said["replayed"] for said in found].count(False) == 1
    assert len({json.dumps(said["rows"]) for said in found}) == 1
    # A charge and an answer, and the opening of an account at most.
    added = door.gateway._ledger.receipts("panel", limit=10_000)[before:]
    assert [r.kind.value for r in added if r.charge is not None] == ["charge", "answer"]


def test_two_at_once_cannot_overspend(tmp_path: Path) -> None:
    with panel_door(tmp_path / "house", CATALOG.replace(BUDGET, "epsilon = 1.5, delta = 0")) as door:
        start = threading.Barrier(6)

        def ask(place: int) -> int:
            start.wait()
            body = ASKED | {"variants": [_names()[place]]}
            return int(door.send("POST", PATH, ("ana", "bob")[place % 2], json=body).status_code)

        with ThreadPoolExecutor(6) as pool:
            statuses = list(pool.map(ask, range(6)))
        assert sorted(statuses) == [200] + [402] * 5


def test_specific_groups_cost_more_of_the_askers_own_budget(door: Door) -> None:
    narrow = "clinic.patients WHERE age = 44 AND sex = 'female'"
    said = door.send("POST", f"{PATH}/explain", "bob", json=ASKED | {"cases": narrow}).json()
    assert said["price"]["factor"] > 1
    found = told(door, "bob", cases=narrow)
    assert found["surcharge"]["factor"] == said["price"]["factor"]
    assert told(door, "bob", cases=narrow)["surcharge"]["factor"] == 1.0


def test_groups_of_too_few_are_refused_and_counted(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    terms = " AND ".join(
        f"sample NOT IN (SELECT sample FROM clinic.patients WHERE age = {a})" for a in (30, 31)
    )
    few = (
        f"clinic.patients WHERE age = 44 AND sex = 'female' AND {terms} AND sample IN ('HG00096', 'HG00097')"
    )
    asked = ASKED | {
        "cases": few,
        "among": "panel.samples WHERE population = 'GBR' AND superpopulation = 'EUR'",
    }
    found = Untouched(monkeypatch)
    said = door.send("POST", f"{PATH}/explain", "auntie", json=asked).json()
    assert said["price"]["refused"], said["price"]
    refused = error(door.send("POST", PATH, "auntie", json=asked), 423, "blocked")
    assert refused["detail"]["strikes_left"] == 2
    assert found.reads == []


def test_associations_are_seen_by_the_price_of_later_questions(door: Door) -> None:
    sql = "SELECT count(*) FROM clinic.patients WHERE age BETWEEN 40 AND 41"
    before = door.send("POST", "/v1/explain", "eve", json={"sql": sql}).json()["price"]["factor"]
    for variant in ("rs1513181", "rs7421394"):
        told(door, "eve", cases="clinic.patients WHERE age = 41", variants=[variant])
    said = door.send(
        "POST",
        f"{PATH}/explain",
        "eve",
        json=ASKED | {"cases": "clinic.patients WHERE age = 41 AND sex = 'male'", "variants": ["rs1513181"]},
    ).json()
    assert before >= 1
    assert any(line["what"] == "similar" and line["adds"] > 0 for line in said["price"]["lines"])


def test_an_idempotency_key_is_one_associations(door: Door) -> None:
    headers = {"Idempotency-Key": "mine"}
    first = door.send("POST", PATH, "ana", json=ASKED | {"variants": ["rs3784230"]}, headers=headers)
    again = door.send("POST", PATH, "ana", json=ASKED | {"variants": ["rs3784230"]}, headers=headers)
    assert (first.status_code, again.json()["replayed"]) == (200, True)
    error(door.send("POST", PATH, "ana", json=ASKED | {"epsilon": "0.7"}, headers=headers), 409, "conflict")


def test_a_fresh_answer_leaves_at_its_slot_and_a_replay_at_once(tmp_path: Path) -> None:
    with panel_door(tmp_path / "house", padding_ms=200) as door:
        fresh = door.send("POST", PATH, "ana", json=ASKED)
        assert fresh.elapsed.total_seconds() >= 0.2
        assert min(door.send("POST", PATH, "ana", json=ASKED).elapsed.total_seconds() for _ in range(5)) < 0.2


def test_the_receipt_has_a_statement(door: Door) -> None:
    found = told(door, variants=None, top=1, epsilon=2)
    said = door.send("GET", f"/v1/receipts/{found['receipt']['id']}/statement", "ana").json()
    assert said["sections"][Item.NEIGHBOURS.value]["facts"]["people"] == PEOPLE
    drawn = said["sections"][Item.MECHANISMS.value]["facts"]
    assert "exponential mechanism" in json.dumps(drawn)
    assert "the most associated variant" in said["about"]["question"]


def test_the_client_gives_an_answer(door: Door) -> None:
    with Client("http://testserver", door.secrets["ana"], transport=door.http._transport) as client:
        price = client.explain_association("panel.snps", cases=MIGRAINE, top=2, epsilon="0.5")
        assert price["looked_at"] == VARIANTS
        found = client.associate("panel.snps", cases=MIGRAINE, variants=["rs4798812"], epsilon=2)
        assert found.rows[0][0] == "rs4798812"
        frame = found.to_arrow()
        assert {"odds_ratio", "odds_ratio_low", "p", "p_adjusted"} <= set(frame.column_names)
        with pytest.raises(BadInput):
            client.associate("panel.snps", cases=MIGRAINE)


def test_nobody_elses_row_moves_what_a_person_is(door: Door) -> None:
    """Who is a case is decided by their own rows: the roster's names, not the tables', say who counts."""
    found = told(door, cases="panel.samples WHERE sample = 'HG00096'", epsilon=8)
    assert found["groups"]["cases"]["value"] == pytest.approx(1, abs=8)
    assert door.gateway.genomes.associations.slot_ms  # the boss may not ask, the gateway is theirs
    assert BOSS.name
