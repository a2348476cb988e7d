"""Sharing genomes over HTTP, end to end: jobs in the background, grants, downloads, what is out of reach."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisegate.app import open_gateway
from noisegate.client import Client
from noisegate.errors import BadInput, Conflict, NotFound
from noisegate.gate.access import Asker
from noisegate.genomics import share
from noisegate.genomics.chunks import Work
from noisegate.genotypes.packed import unpack
from noisegate.genotypes.store import Store
from noisegate.ledger.records import Role

from .door import BOSS, Door, error
from .genomes import PEOPLE, VARIANTS, build, opened_genomes, opened_house

ASKED = {"genotypes": "cohort.snps", "method": "response", "epsilon": 40}
SHARES, RELEASES = "/v1/genomes/shares", "/v1/genomes/releases"


@pytest.fixture(scope="module", autouse=True)
def without_reports() -> Iterator[None]:
    """Reports have tests of their own, and take longer than all else here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(share, "report", lambda *_: ())
        yield


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with opened_genomes(tmp_path_factory.mktemp("genomes") / "house") as found:
        yield found


def shared(door: Door, **more: Any) -> dict[str, Any]:
    """Have something shared and wait until it is made; return its record."""
    begun = door.send("POST", SHARES, "custodian", json=ASKED | more)
    assert begun.status_code == 202, begun.text
    said = begun.json()
    for _ in range(600):
        job = door.send("GET", f"/v1/jobs/{said['job']}", "custodian").json()
        assert "stopped" not in job, job
        if job["state"] == "finished":
            assert job["release"] == said["release"]
            return dict(door.send("GET", f"{RELEASES}/{said['release']}", "custodian").json())
        time.sleep(0.05)
    pytest.fail(f"job {said['job']} did not end")


def test_a_release_is_shared_granted_and_downloaded(door: Door, tmp_path: Path) -> None:
    release = shared(door, formats=["bed", "vcf"])
    assert (release["people"], release["variants"]) == (PEOPLE, VARIANTS)
    path = f"{RELEASES}/{release['id']}"
    error(door.send("GET", path, "ana"), 404, "not_found")
    assert door.send("GET", RELEASES, "ana").json() == {"releases": []}
    given = door.send("POST", f"{path}/grants", "custodian", json={"analyst": "ana"})
    assert given.status_code == 201
    assert [r["id"] for r in door.send("GET", RELEASES, "ana").json()["releases"]] == [release["id"]]
    for file in release["files"]:
        reply = door.send("GET", f"{path}/files/{file['name']}", "ana")
        assert hashlib.sha256(reply.content).hexdigest() == file["sha256"]
        field = reply.headers["repr-digest"].removeprefix("sha-256=:").removesuffix(":")
        assert base64.b64decode(field).hex() == file["sha256"]
        assert "attachment" in reply.headers["content-disposition"]
        assert reply.headers["cache-control"] == "no-store"
    part = door.send(
        "GET", f"{path}/files/{release['files'][0]['name']}", "ana", headers={"range": "bytes=1-3"}
    )
    assert (part.status_code, len(part.content)) == (206, 3)
    door.send("DELETE", f"{path}/grants/ana", "custodian")
    error(door.send("GET", path, "ana"), 404, "not_found")
    error(door.send("GET", f"{path}/files/{release['files'][0]['name']}", "ana"), 404, "not_found")


def test_what_was_not_granted_is_as_good_as_not_there(door: Door) -> None:
    release = shared(door)
    path = f"{RELEASES}/{release['id']}"
    door.send("POST", f"{path}/grants", "custodian", json={"analyst": "ana"})
    absent = door.send("GET", f"{RELEASES}/cohort-999", "bob").json()
    for who in ("bob", "other ana", "ana elsewhere", "other custodian"):
        for tail in ("", f"/files/{release['files'][0]['name']}"):
            reply = door.send("GET", path + tail, who)
            said = error(reply, 404, "not_found")
            assert said["message"].replace(release["id"], "cohort-999") == absent["error"]["message"]
        assert door.send("GET", RELEASES, who).json() == {"releases": []}
    assert door.send("GET", path, "ana").status_code == 200
    assert "grants" not in door.send("GET", path, "ana").json()
    assert door.send("GET", path, "auditor").json()["grants"][-1]["analyst"] == "ana"


@pytest.mark.parametrize("who", ["ana", "auditor"])
def test_only_custodians_share_and_grant(door: Door, who: str) -> None:
    release = shared(door)
    path = f"{RELEASES}/{release['id']}"
    error(door.send("POST", SHARES, who, json=ASKED), 403, "forbidden")
    error(door.send("POST", "/v1/genomes/explain", who, json=ASKED), 403, "forbidden")
    error(door.send("POST", f"{path}/grants", who, json={"analyst": who}), 403, "forbidden")
    error(door.send("DELETE", f"{path}/grants/ana", who), 403, "forbidden")
    if who == "auditor":
        error(door.send("GET", f"{path}/files/{release['files'][0]['name']}", who), 403, "forbidden")
    for method, tail in (("POST", "/v1/genomes/shares"), ("GET", RELEASES), ("GET", path)):
        error(door.send(method, tail, None), 401, "unauthorised")


def test_the_custodians_side_is_on_no_route(door: Door) -> None:
    """No way of writing a path leads out of what the record lists, for anybody."""
    release = shared(door)
    held = door.gateway.genomes.custodian_directory(release["id"])
    (held / "report.json").write_text("EXACT")
    names = [
        "report.json",
        "custodian/report.json",
        "../custodian/report.json",
        "..%2Fcustodian%2Freport.json",
        "%2e%2e/custodian/report.json",
        "..%5Ccustodian%5Creport.json",
        "release.json",
        "grants.json",
        "%00",
        "....//custodian/report.json",
    ]
    for who in ("custodian", "ana", "auditor"):
        for name in names:
            for path in (f"{RELEASES}/{release['id']}/files/{name}", f"{RELEASES}/{release['id']}/{name}"):
                reply = door.send("GET", path, who)
                assert reply.status_code in (403, 404, 405), (path, reply.text)
                assert "EXACT" not in reply.text
    assert "custodian" not in json.dumps({**release, "grants": []})
    assert str(held) not in json.dumps(release)


def test_a_damaged_record_takes_no_list_away_and_a_damaged_file_is_not_given_out(tmp_path: Path) -> None:
    with opened_genomes(tmp_path / "house") as door:
        first, second = shared(door), shared(door, epsilon=30)
        for release in (first, second):
            door.send("POST", f"{RELEASES}/{release['id']}/grants", "custodian", json={"analyst": "ana"})
        place = door.gateway.genomes.custodian_directory(first["id"]).parent
        file = first["files"][0]["name"]
        (place / "exports" / file).unlink()
        (place / "custodian" / "secret").write_bytes(b"x" * first["files"][0]["bytes"])
        (place / "exports" / file).symlink_to(place / "custodian" / "secret")
        error(door.send("GET", f"{RELEASES}/{first['id']}/files/{file}", "ana"), 500, "internal")
        (place / "release.json").write_text("{")
        for who in ("ana", "custodian", "auditor", "other custodian"):
            listed = door.send("GET", RELEASES, who).json()["releases"]
            damaged = {r["id"]: r["dataset"] for r in listed if "damaged" in r}
            assert damaged == ({first["id"]: "cohort"} if who in ("custodian", "auditor") else {})
            assert str(tmp_path) not in json.dumps(listed)
            whole = [r["id"] for r in listed if "damaged" not in r]
            assert whole == ([] if who == "other custodian" else [second["id"]])


def test_the_same_request_from_many_at_once_is_charged_once(door: Door) -> None:
    before = len(door.gateway.jobs(BOSS))
    said: list[tuple[int, Any]] = []

    def send() -> None:
        reply = door.send("POST", SHARES, "custodian", json=ASKED | {"epsilon": 41})
        said.append((reply.status_code, reply.json()))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {status for status, _ in said} <= {202, 409}
    assert len({reply["job"] for status, reply in said if status == 202}) == 1
    assert len(door.gateway.jobs(BOSS)) == before + 1


def test_progress_is_told_in_chunks_and_cancelling_stops_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, go = threading.Event(), threading.Event()
    do = Work.do

    def slow(self: Work, number: int, key: Any) -> None:
        if self.store.is_relative_to(tmp_path):  # another house may be at work
            at.set()
            assert go.wait(20)
        do(self, number, key)

    monkeypatch.setattr(Work, "do", slow)
    with opened_house(tmp_path / "house") as gateway:
        begun = gateway.genomes.share(BOSS, _request(), None)
        job = int(str(begun["job"]))
        assert at.wait(20)
        assert gateway.job(BOSS, job)["progress"] == {"done": 0, "of": 1}
        assert gateway.cancel_job(BOSS, job)["state"] == "cancelled"
        go.set()
        place = tmp_path / "house" / "state" / "releases" / str(begun["release"])
        for _ in range(200):
            if not place.exists():
                break
            time.sleep(0.05)
        assert not place.exists()
        assert not list((tmp_path / "house" / "state" / "keys").glob("*.key"))
        with pytest.raises(NotFound):
            gateway.genomes.release(BOSS, str(begun["release"]))


def test_what_a_cancelled_job_left_goes_also_where_its_data_is_gone(tmp_path: Path) -> None:
    home = tmp_path / "house"
    with opened_house(home, making=False) as gateway:
        begun = gateway.genomes.share(BOSS, _request(), None)
        job = int(str(begun["job"]))
        assert gateway.genomes.carry_out(job, go_on=lambda: False) is None
        assert list((home / "state" / "keys").glob("*.key"))
        keys = (home / "state" / "keys", home / "state" / "releases" / str(begun["release"]))
        gateway.cancel_job(BOSS, job)
        assert not list(keys[0].glob("*.key"))
        assert not keys[1].exists()


def test_a_gateway_goes_on_with_what_a_restart_interrupted(tmp_path: Path) -> None:
    home = tmp_path / "house"
    with opened_house(home, making=False) as gateway:
        begun = gateway.genomes.share(BOSS, _request(), None)
        job = int(str(begun["job"]))
        assert gateway.job(BOSS, job)["state"] == "running"
    with opened_house(home) as gateway:
        for _ in range(400):
            if gateway.job(BOSS, job)["state"] == "finished":
                break
            time.sleep(0.05)
        assert gateway.genomes.release(BOSS, str(begun["release"]))["job"] == job
        again = gateway.genomes.share(BOSS, _request(), None)
        assert (again["job"], again["complete"]) == (job, True)
        assert gateway.verify_receipts(BOSS)["whole"]


def test_another_format_of_a_release_costs_nothing(tmp_path: Path) -> None:
    with opened_house(tmp_path / "house", making=False) as gateway:
        first = gateway.genomes.share(BOSS, _request(), None)
        gateway.genomes.carry_out(int(str(first["job"])))
        again = gateway.genomes.share(BOSS, _request(formats=("vcf",)), None)
        assert (again["job"], again["complete"]) == (first["job"], True)
        release: Any = gateway.genomes.release(BOSS, str(first["release"]))
        assert {f["format"] for f in release["files"]} == {"bed", "vcf"}
        assert len(gateway.jobs(BOSS)) == 1


def test_noise_is_on_the_genotypes_that_were_registered(tmp_path: Path) -> None:
    home = tmp_path / "house"
    with opened_house(home, making=False) as gateway:
        begun = gateway.genomes.share(BOSS, _request(method="xor", epsilon=80), None)
        gateway.genomes.carry_out(int(str(begun["job"])))
        place = gateway.genomes.custodian_directory(str(begun["release"])).parent
        source = Store.open(place.parents[1] / "data" / "cohort-1.snps.zarr")
        noisy = unpack(Store.open(place / "release.zarr").block(0, VARIANTS))
        assert 0.01 < (noisy != unpack(source.block(0, VARIANTS))).mean() < 0.6
        assert (noisy != np.roll(noisy, 1, axis=1)).mean() > 0.3


def test_warnings_are_accepted_or_nothing_is_charged(door: Door) -> None:
    table = {f"rs{i}": 0.5 for i in range(VARIANTS)}
    wanted = ASKED | {
        "method": "xor",
        "restore": "declared",
        "frequencies": table,
        "statement": "Table S3 of Doe et al. (2020), Journal of Tables",
    }
    before = len(door.gateway.jobs(BOSS))
    said = error(door.send("POST", SHARES, "custodian", json=wanted), 400, "bad_input")
    assert "membership" in said["message"] or "likelihood" in said["message"]
    assert len(door.gateway.jobs(BOSS)) == before
    assert "conditional" in shared(door, **{**wanted, "accept": True})["summary"]["condition"]


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"genotypes": "cohort.nothing"}, 404, "not_found"),
        ({"genotypes": "nobody.snps"}, 404, "not_found"),
        ({"reference": "cohort.snps"}, 403, "forbidden"),
        ({"restore": "public", "target": "cohort.snps"}, 403, "forbidden"),
        ({"restore": "released", "target": "cohort-999"}, 404, "not_found"),
        ({"epsilon": 0}, 400, "bad_input"),
        ({"epsilon": -1}, 400, "bad_input"),
        ({"delta": 1}, 400, "bad_input"),
        ({"method": "magic"}, 400, "bad_input"),
        ({"coupling": 0.1}, 400, "bad_input"),
        ({"method": "tables"}, 400, "bad_input"),
        ({"method": "tables", "cases": ["snps1", "nobody"]}, 400, "bad_input"),
        ({"method": "frequencies", "epsilon": 5_000}, 402, "budget_exhausted"),
        ({"seed": 1}, 400, "bad_input"),
        ({"anew": False, "epsilon": 43}, 404, "not_found"),
    ],
    ids=lambda value: json.dumps(value)[:40],
)
def test_what_cannot_be_shared_is_refused_with_a_hint_and_costs_nothing(
    door: Door, more: dict[str, Any], status: int, code: str
) -> None:
    before = len(door.gateway.jobs(BOSS))
    error(door.send("POST", SHARES, "custodian", json=ASKED | more), status, code)
    assert len(door.gateway.jobs(BOSS)) == before


def test_the_statement_of_a_release_can_be_read(door: Door) -> None:
    release = shared(door)
    said = door.send("GET", f"/v1/receipts/{release['receipt']}/statement", "custodian")
    assert said.status_code == 200, said.text
    assert "response" in json.dumps(said.json())


def test_explaining_spends_nothing(door: Door) -> None:
    before = door.gateway.budget(BOSS, "made-up")
    said = door.send("POST", "/v1/genomes/explain", "custodian", json=ASKED | {"epsilon": 77}).json()
    assert 76 < said["epsilon"] <= 77
    assert (
        door.gateway.budget(BOSS, "made-up")["accounts"][0]["charges"]
        == (
            before["accounts"][0]["charges"]  # type: ignore[index]
        )
    )


def test_the_client_shares_follows_and_downloads(door: Door, tmp_path: Path) -> None:
    transport = door.http._transport
    with Client("http://testserver", door.secrets["custodian"], transport=transport) as boss:
        assert boss.explain_genomes(**ASKED)["people"] == PEOPLE
        begun = boss.share_genomes(**ASKED)
        seen: list[Any] = []
        assert boss.wait_for_job(begun["job"], seen.append)["state"] == "finished"
        assert seen
        boss.grant_release(begun["release"], "bob")
    with Client("http://testserver", door.secrets["bob"], transport=transport) as bob:
        (listed,) = [r for r in bob.releases() if r["id"] == begun["release"]]
        paths = bob.download_release(listed["id"], tmp_path / "copies", only=["bed"])
        assert sorted(p.suffix for p in paths) == [".bed", ".bim", ".fam"]
        with pytest.raises(BadInput, match="exists already"):
            bob.download_release(listed["id"], tmp_path / "copies")
        with pytest.raises(BadInput, match="no such file"):
            bob.download_release(listed["id"], tmp_path / "copies", only=["gold"])


def test_registering_anew_leaves_earlier_releases_to_be_resumed(tmp_path: Path) -> None:
    """A recipe names the version it began with, and that stays registered."""
    from noisegate.app import register_next

    home = tmp_path / "house"
    with opened_house(home, making=False) as gateway:
        begun = gateway.genomes.share(BOSS, _request(), None)
    register_next(build(home), "cohort", lambda *_: None)
    with open_gateway(build(home)) as gateway:
        assert gateway.genomes.carry_out(int(str(begun["job"]))) is not None
        other = gateway.genomes.share(BOSS, _request(), None)
        assert other["job"] != begun["job"]


def test_a_job_of_another_kind_shares_nothing(door: Door) -> None:
    with pytest.raises(NotFound):
        door.gateway.genomes.carry_out(12_345)
    with pytest.raises((NotFound, Conflict)):
        door.gateway.genomes.release(Asker("x", Role.ANALYST, None), "cohort-1")


def _request(**more: Any) -> Any:
    from fractions import Fraction

    from noisegate.genomics.recipe import Request

    return Request(**{"genotypes": "cohort.snps", "method": "response", "epsilon": Fraction(40)} | more)
