"""Published findings held against releases and private answers, over HTTP and from the client."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisegate.app.verifications import Verifications
from noisegate.client import Client
from noisegate.engines.duckdb import DuckDB
from noisegate.errors import BadInput, Forbidden, NotFound, TooLarge
from noisegate.gate.access import Asker
from noisegate.genomics import share
from noisegate.genomics.check import OF_FINDINGS, Check
from noisegate.genomics.prepare import Prepared
from noisegate.genomics.report.verdict import verdict_page
from noisegate.genomics.verifying import verdict
from noisegate.genomics.verifying.controls import Controls
from noisegate.genomics.verifying.statistic import Test, p_values
from noisegate.genomics.wanted import Wanted
from noisegate.server.http.verifications_bodies import VerdictReply

from .door import BOSS, Door, error
from .panels import genotypes, of_superpopulation, panel_door, table_of, with_condition
from .world import spending

PATH = "/v1/genomes/verifications"
EUROPE = "panel.samples WHERE superpopulation = 'EUR'"
ASTHMA = "clinic.diagnoses WHERE condition = 'asthma'"
STATUS = {"bad_input": 400, "forbidden": 403, "not_found": 404, "restricted_column": 422}
RESPONSE: dict[str, Any] = {"method": "response", "epsilon": 800}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with panel_door(tmp_path_factory.mktemp("panel") / "house") as found:
        yield found


def findings_of(cases: set[str], count: int = 6, among: set[str] | None = None) -> list[dict[str, object]]:
    """The trend tests of the first variants, in truth, as a paper would print them."""
    _, names, _ = genotypes()
    tables = np.stack([table_of(name, cases, among) for name in names])
    p = p_values(Test.TREND, tables[:, 1], tables[:, 0])
    return [
        {"variant": name, "p": f"{value:.3g}"} for name, value in zip(names, p, strict=True) if value < 0.05
    ][:count]


def told(door: Door, who: str = "ana", **body: Any) -> dict[str, Any]:
    """Send findings and return the verdict, which has the documented shape."""
    reply = door.send("POST", PATH, who, json=body)
    assert reply.status_code == 200, reply.text
    VerdictReply.model_validate_json(reply.content, strict=True)
    return dict(reply.json())


def answered(cases: str, findings: list[dict[str, object]], **more: Any) -> dict[str, Any]:
    return {
        "findings": findings,
        "reference": "panel.known",
        "genotypes": "panel.snps",
        "cases": cases,
        "epsilon": 10,
        "test": "trend",
        "draws": 200,
        **more,
    }


def test_honest_findings_agree_with_a_private_answer_which_is_charged_once(door: Door) -> None:
    findings = findings_of(of_superpopulation("EUR"))
    assert len(findings) == 6
    # What was not significant is no finding, and no budget is spent on it.
    findings.append({"variant": "rs4798812", "p": "0.6"})
    before = spending(door.gateway)
    found = told(door, **answered(EUROPE, findings))
    assert found["verdict"] == "consistent", found["reason"]
    assert (found["evidence"]["variants"], found["findings"]["above_level"]) == (6, 1)
    assert found["retained"] >= found["critical"]
    assert (found["evidence"]["kind"], found["background"]["from"]) == ("association", "simulated variants")
    charged = spending(door.gateway)
    assert charged != before
    again = told(door, **answered(EUROPE, findings))
    assert (again["verdict"], again["retained"]) == (found["verdict"], found["retained"])
    assert spending(door.gateway) == charged
    assert "consistent</span>" in verdict_page(found)


def test_findings_among_some_of_the_people_agree_too(door: Door) -> None:
    asians = of_superpopulation("SAS") | of_superpopulation("EAS")
    findings = findings_of(of_superpopulation("SAS"), among=asians)
    body = answered("panel.samples WHERE superpopulation = 'SAS'", findings)
    found = told(door, **body, among="panel.samples WHERE superpopulation IN ('SAS', 'EAS')")
    assert found["verdict"] == "consistent", found["reason"]


def test_made_up_findings_do_not(door: Door) -> None:
    _, names, _ = genotypes()
    truth = {row["variant"] for row in findings_of(with_condition("asthma"), 127)}
    made_up = [{"variant": name, "p": "1e-9"} for name in names if name not in truth][:6]
    found = told(door, **answered(ASTHMA, made_up))
    assert found["verdict"] == "not consistent", found["reason"]
    assert found["errors"]["falsified_passes"]["high"] <= 0.05


def test_a_private_answer_is_charged_and_due_before_its_verdict_is_begun(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, seen = spending(door.gateway), []

    def verify(_self: Verifications, check: Check, asker: Asker) -> dict[str, object]:
        seen.append((spending(door.gateway), asker.name, check.reference))
        return {}

    monkeypatch.setattr(Verifications, "verify", verify)
    reply = door.send("POST", PATH, "bob", json=answered(EUROPE, [{"variant": "rs2986742", "p": "0.01"}]))
    assert reply.json() == {}
    ((charged, name, reference),) = seen
    assert charged != before
    assert (name, reference) == ("bob", "panel.known")


def test_little_epsilon_tells_nothing(door: Door) -> None:
    found = told(door, **answered(ASTHMA, [{"variant": "rs4798812", "p": "0.01"}], epsilon=0.1))
    assert found["verdict"] == "cannot tell"


@pytest.fixture(scope="module")
def release(door: Door) -> str:
    """A release of the panel with a row for each person, finished."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(share, "report", lambda *_: ())
        wanted = {"genotypes": "panel.snps", **RESPONSE, "reference": "panel.known"}
        reply = door.send("POST", "/v1/genomes/shares", "custodian", json={**wanted, "accept": True})
        assert reply.status_code == 202, reply.text
        door.gateway.genomes.carry_out(reply.json()["job"])
    return str(reply.json()["release"])


def test_a_release_is_free_to_be_held_against_for_whoever_may_have_it(
    door: Door, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_up = [{"variant": f"{name}", "p": "0.001"} for name in genotypes()[1][:40]]
    body = {
        "findings": made_up,
        "reference": "panel.known",
        "release": release,
        "test": "trend",
        "draws": 200,
    }
    error(door.send("POST", PATH, "ana", json=body), 404, "not_found")
    door.gateway.genomes.grant(BOSS, release, "ana", "default")
    before = spending(door.gateway)
    # The verdict is made of the release: neither its people's genotypes nor a question's engine is asked.
    for home, name in ((DuckDB, "run"), (DuckDB, "members")):
        monkeypatch.setattr(home, name, None)
    found = told(door, **body)
    # The people of the panel are those of the release: nobody differs, so these were made up.
    assert found["verdict"] == "not consistent", found["reason"]
    assert (found["evidence"]["kind"], found["evidence"]["people"]) == ("response", 2504)
    assert spending(door.gateway) == before
    assert told(door, "custodian", **body)["retained"] == found["retained"]


def test_what_may_not_be_known_or_is_nonsense_is_refused_with_nothing_spent(
    door: Door, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = spending(door.gateway)
    monkeypatch.setattr(Prepared, "block", None)
    good = answered(EUROPE, [{"variant": "rs4798812", "p": 0.01}])
    for code, who, change in (
        ("not_found", "ana", {"reference": "panel.nothing"}),
        ("forbidden", "ana", {"reference": "panel.snps"}),
        ("not_found", "clinic only", {}),
        ("forbidden", "auditor", {}),
        ("forbidden", "custodian", {}),
        ("bad_input", "ana", {"release": release}),
        ("bad_input", "ana", {"genotypes": None}),
        ("bad_input", "ana", {"cases": None}),
        ("bad_input", "ana", {"test": "magic"}),
        ("bad_input", "ana", {"draws": 10}),
        ("bad_input", "ana", {"alpha": 0.5}),
        ("bad_input", "ana", {"findings": []}),
        ("bad_input", "ana", {"findings": [{"variant": "rs4798812"}]}),
        ("bad_input", "ana", {"findings": [{"variant": "rs4798812", "p": "2"}]}),
        ("bad_input", "ana", {"findings": [{"variant": "rs4798812", "p": {"a": 1}}]}),
        ("bad_input", "ana", {"findings": [{"variant": "nowhere", "p": "0.01"}]}),
        ("bad_input", "ana", {"findings": [{"variant": "rs4798812", "p": "0.4"}]}),
        ("restricted_column", "ana", {"cases": "panel.samples WHERE gender = 'female'"}),
    ):
        sent = {k: v for k, v in (good | change).items() if v is not None}
        reply = door.send("POST", PATH, who, json=sent)
        assert error(reply, STATUS[code])["code"] == code, (change, reply.text)
    assert door.http.post(PATH, json=good).status_code == 401
    assert spending(door.gateway) == before


def test_findings_that_could_not_be_judged_are_refused_before_the_private_answer_is_charged(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = spending(door.gateway)
    monkeypatch.setattr(Prepared, "block", None)
    sent = answered(ASTHMA, [{"variant": name, "p": "0.001"} for name in genotypes()[1][20:26]])
    local = Check(
        tuple(sent["findings"]),
        sent["reference"],
        association=Wanted("panel.snps", ASTHMA, variants=OF_FINDINGS, reference="panel.known"),
    )
    ana = door.gateway.authenticate(door.secrets["ana"])
    verify = door.gateway.genomes.verifications.verify
    with monkeypatch.context() as patch:
        patch.setattr(verdict, "MOST_DRAWN", 6 * 200 - 1)
        error(door.send("POST", PATH, "ana", json=sent), 413, "too_large")
        with pytest.raises(TooLarge, match="6 findings are too many for 400 draws"):
            verify(local, ana)
    with monkeypatch.context() as patch:
        patch.setattr(Controls, "usable", np.zeros(6, np.bool_))
        refused = error(door.send("POST", PATH, "ana", json=sent), 400, "bad_input")
        assert "none of" in refused["message"]
        with pytest.raises(BadInput, match="none of"):
            verify(local, ana)
    assert spending(door.gateway) == before


def test_a_client_verifies_findings_too(door: Door) -> None:
    client = Client("http://testserver", door.secrets["ana"], transport=door.http._transport)
    findings = findings_of(of_superpopulation("EUR"))
    body = answered(EUROPE, findings)
    found = client.verify_findings(body.pop("findings"), reference=body.pop("reference"), **body)
    assert found["verdict"] == "consistent"
    for wrong, expected in (
        ({"release": "panel-999"}, NotFound),
        ({"release": "panel-1", "genotypes": "panel.snps"}, BadInput),
        ({"genotypes": "panel.snps", "cases": EUROPE, "epsilon": None}, None),
        ({"genotypes": "panel.snps", "cases": EUROPE, "epsilon": []}, BadInput),
        ({"release": "panel-1", "nonsense": 1}, BadInput),
    ):
        if expected is None:
            continue
        with pytest.raises((expected, Forbidden) if expected is NotFound else expected):
            client.verify_findings(findings, reference="panel.known", **wrong)


def test_a_verdict_is_json_that_names_nothing_private(door: Door) -> None:
    found = told(door, **answered(EUROPE, findings_of(of_superpopulation("EUR"))))
    text = json.dumps(found)
    assert not any(sample in text for sample in genotypes()[0][:100])
    assert str(Path.cwd()) not in text
