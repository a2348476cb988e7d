"""Releases on the shelf: what is listed, who is given what, and that nothing exact can be reached."""

import json
import os
import shutil
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from noisegate.errors import BadInput, Conflict, NotFound, SetupError
from noisegate.gate.access import Asker
from noisegate.genomics.releases import (
    CUSTODIAN,
    EXPORTS,
    GRANTS,
    RECORD,
    Release,
    Shelf,
    described,
    may_know,
    release_id,
)
from noisegate.ledger.records import Role

ANA = Asker("ana", Role.ANALYST, frozenset({"panel"}))
BOSS = Asker("boss", Role.CUSTODIAN, frozenset({"panel"}))
WATCH = Asker("watch", Role.AUDITOR, None)


def shelved(shelf: Shelf, job: int = 17, content: bytes = b"noisy") -> Release:
    """A complete release with one file."""
    name = release_id("panel", job)
    place = shelf.make(name)
    (place / EXPORTS).mkdir(exist_ok=True)
    (place / EXPORTS / f"{name}.bed").write_bytes(content)
    release = Release(
        id=name,
        dataset="panel",
        table="snps",
        job=job,
        receipt="panel:3",
        created=1_000 + job,
        method="xor",
        people=60,
        variants=9,
        digest="ab" * 32,
        summary={"epsilon": 3.0},
        files=(described(place / EXPORTS / f"{name}.bed", "bed"),),
    )
    shelf.publish(release)
    return release


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_a_release_is_found_as_it_was_published(shelf: Shelf) -> None:
    release = shelved(shelf)
    assert shelf.find("panel-17") == release
    assert shelf.file(release, "panel-17.bed")[0].read_bytes() == b"noisy"


def test_releases_are_listed_newest_first_and_only_when_complete(shelf: Shelf) -> None:
    assert shelf.all() == []
    shelved(shelf, 3)
    shelved(shelf, 20)
    shelf.make("panel-30")
    assert [r.id for r in shelf.all()] == ["panel-20", "panel-3"]
    assert shelf.is_unsettled("panel-30")
    assert not shelf.is_unsettled("panel-20")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "panel",
        "../panel-1",
        "panel-1/..",
        "panel-1/custodian",
        "panel-\N{ARABIC-INDIC DIGIT ONE}",
        "p-" + "1" * 19,
    ],
)
def test_what_is_no_name_of_a_release_is_not_found(shelf: Shelf, name: str) -> None:
    with pytest.raises(NotFound):
        shelf.find(name)
    with pytest.raises(NotFound):
        shelf.place(name)


@pytest.mark.parametrize(
    "name",
    [
        "../custodian/report.html",
        "custodian/report.html",
        "report.html",
        "release.json",
        "grants.json",
        "../../ledger.db",
        "/etc/passwd",
        "",
        ".",
    ],
)
def test_only_files_on_the_record_can_be_reached(shelf: Shelf, name: str) -> None:
    release = shelved(shelf)
    custodian = shelf.custodian(release.id)
    (custodian / "report.html").write_text("exact")
    with pytest.raises(NotFound, match="has no file"):
        shelf.file(release, name)


def test_the_custodians_side_is_closed_to_other_users(shelf: Shelf) -> None:
    shelved(shelf)
    held = shelf.custodian("panel-17")
    assert held.name == CUSTODIAN
    assert stat.S_IMODE(held.stat().st_mode) == 0o700
    held.chmod(0o755)
    shelf.make("panel-17")
    assert stat.S_IMODE(held.stat().st_mode) == 0o700


def test_a_link_is_never_given_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(BadInput):
        described(tmp_path / "link", "bed")


@pytest.mark.parametrize("how", ["link", "link above", "missing", "longer", "folder", "pipe"])
def test_what_is_not_there_as_it_was_recorded_is_not_given_out(
    shelf: Shelf, tmp_path: Path, how: str
) -> None:
    release = shelved(shelf)
    exports = shelf.place(release.id) / EXPORTS
    file = exports / "panel-17.bed"
    (shelf.custodian(release.id) / file.name).write_bytes(b"exact")  # as long as what is recorded
    if how == "link above":
        shutil.rmtree(exports)
        exports.symlink_to(shelf.custodian(release.id))
    else:
        file.unlink()
        match how:
            case "link":
                file.symlink_to(shelf.custodian(release.id) / file.name)
            case "longer":
                file.write_bytes(b"noisy and more")
            case "folder":
                file.mkdir()
            case "pipe":
                os.mkfifo(file)
    with pytest.raises(SetupError, match="not there as it was recorded") as told:
        shelf.file(release, file.name)
    assert str(tmp_path) not in told.value.message + told.value.hint


@pytest.mark.parametrize("name", [RECORD, GRANTS])
def test_what_cannot_be_read_does_not_take_the_list_away(shelf: Shelf, name: str) -> None:
    for job in (3, 17, 20):
        shelved(shelf, job)
    (shelf.place("panel-17") / name).write_text("{")
    assert [r.id for r in shelf.all()] == ["panel-20", "panel-3"]
    assert shelf.damaged() == ["panel-17"]


def test_a_damaged_record_is_the_operators_and_not_missing(shelf: Shelf) -> None:
    shelved(shelf)
    (shelf.place("panel-17") / RECORD).write_text("{")
    with pytest.raises(SetupError, match="cannot be read"):
        shelf.find("panel-17")


def test_grants_are_given_taken_and_remembered(shelf: Shelf) -> None:
    shelved(shelf)
    assert shelf.holders("panel-17") == frozenset()
    shelf.grant("panel-17", "ana", "default", by="boss", at=5)
    shelf.grant("panel-17", "ana", "default", by="boss", at=6)
    shelf.grant("panel-17", "bob", "asthma", by="boss", at=7)
    assert shelf.holders("panel-17") == {("ana", "default"), ("bob", "asthma")}
    shelf.revoke("panel-17", "ana", "default", by="boss", at=8)
    assert shelf.holders("panel-17") == {("bob", "asthma")}
    assert [(g.action, g.analyst, g.by, g.at) for g in shelf.grants("panel-17")] == [
        ("granted", "ana", "boss", 5),
        ("granted", "bob", "boss", 7),
        ("revoked", "ana", "boss", 8),
    ]
    with pytest.raises(NotFound, match="holds no grant"):
        shelf.revoke("panel-17", "ana", "default", by="boss", at=9)


def test_a_grant_on_nothing_is_refused(shelf: Shelf) -> None:
    with pytest.raises(NotFound):
        shelf.grant("panel-17", "ana", "default", by="boss", at=5)
    shelf.make("panel-18")
    with pytest.raises(NotFound):
        shelf.grant("panel-18", "ana", "default", by="boss", at=5)


@pytest.mark.parametrize("change", ["drop", "rename", "cut"])
def test_a_record_of_grants_that_was_changed_gives_nothing_out(shelf: Shelf, change: str) -> None:
    shelved(shelf)
    for name in ("ana", "bob", "eve"):
        shelf.grant("panel-17", name, "default", by="boss", at=5)
    file = shelf.place("panel-17") / GRANTS
    entries = json.loads(file.read_text())
    if change == "drop":
        del entries[1]
    if change == "rename":
        entries[2]["analyst"] = "mallory"
    text = json.dumps(entries)
    file.write_text(text[:-9] if change == "cut" else text)
    with pytest.raises(SetupError):
        shelf.holders("panel-17")


def test_grants_given_at_once_all_count(shelf: Shelf) -> None:
    shelved(shelf)
    names = [f"ana{i}" for i in range(12)]
    threads = [
        threading.Thread(
            target=shelf.grant, args=("panel-17", name, "default"), kwargs={"by": "boss", "at": 1}
        )
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shelf.holders("panel-17") == {(name, "default") for name in names}


def test_a_release_is_made_by_one_process_at_a_time(shelf: Shelf) -> None:
    with shelf.held("panel-17") as place, pytest.raises(Conflict, match="another process"):
        assert place.is_dir()
        with shelf.held("panel-17"):
            pytest.fail("two at once")
    with shelf.held("panel-17"):
        pass


def test_what_was_never_completed_can_be_removed_and_what_was_cannot(shelf: Shelf) -> None:
    shelved(shelf)
    shelf.make("panel-18")
    shelf.drop("panel-18")
    assert not shelf.place("panel-18").exists()
    with pytest.raises(Conflict, match="complete"):
        shelf.drop("panel-17")


def test_an_analyst_knows_of_a_release_by_name_project_and_dataset(shelf: Shelf) -> None:
    release = shelved(shelf)
    holders = {("ana", "default")}
    assert may_know(ANA, release, holders)
    assert not may_know(ANA, release, ())
    assert not may_know(replace(ANA, name="bob"), release, holders)
    assert not may_know(replace(ANA, project="other"), release, holders)
    # Custodians give out names on their own data: the same name on other data is somebody else's.
    assert not may_know(replace(ANA, datasets=frozenset({"clinic"})), release, holders)
    assert may_know(BOSS, release, ())
    assert may_know(WATCH, release, ())
    assert not may_know(replace(BOSS, datasets=frozenset({"clinic"})), release, ())


def test_files_of_the_state_are_for_their_owner_alone(shelf: Shelf) -> None:
    shelved(shelf)
    shelf.grant("panel-17", "ana", "default", by="boss", at=5)
    for name in (RECORD, GRANTS):
        assert stat.S_IMODE((shelf.place("panel-17") / name).stat().st_mode) == 0o600
