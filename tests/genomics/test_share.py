"""Sharing: charged first, drawn before a row is read, made once, resumed to the same bytes, or refused."""

import hashlib
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from noisegate.errors import (
    BadInput,
    BudgetExhausted,
    CatalogError,
    Conflict,
    Forbidden,
    NotFound,
    SetupError,
)
from noisegate.genomics import making, reporting, share
from noisegate.genomics.counts import Noisy
from noisegate.genomics.keys import Context, KeyStore, ReleaseKey
from noisegate.genomics.recipe import Format, Method, PanelName, Recipe, Restoration
from noisegate.genomics.releases import EXPORTS, Release, Shelf
from noisegate.genomics.report import shareable_report
from noisegate.genomics.reporting import shareable_of
from noisegate.genomics.scheduler import Threads
from noisegate.genomics.share import begin, carry_out
from noisegate.genotypes.packed import tally, unpack
from noisegate.genotypes.store import Store
from noisegate.ledger.records import JobState, ReceiptKind, Role

from .workshop import BOSS, PRIVATE, PUBLIC, Lab, calls_of, lab, recipe, store_of


@pytest.fixture(autouse=True)
def without_reports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports take longer than all else here; one test makes them."""
    if "reports" not in request.node.name:
        monkeypatch.setattr(share, "report", lambda *_: ())


@pytest.fixture
def shop(tmp_path: Path):
    with lab(tmp_path / "home") as made:
        yield made


def shared(made: Lab, wanted: Recipe) -> Release:
    proposal = made.propose(wanted)
    begun = begin(made.shop, BOSS, proposal)
    release = carry_out(made.shop, BOSS, begun.job, proposal)
    assert release is not None
    return release


def bytes_of(folder: Path) -> str:
    """One digest of all files of a folder that are part of the release."""
    whole = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if "custodian" in path.parts or path.name in ("release.json", ".lock"):
            continue
        whole.update(path.relative_to(folder).as_posix().encode())
        whole.update(path.read_bytes())
    return whole.hexdigest()


def test_a_release_holds_noisy_genotypes_that_are_legal_and_charged_exactly(shop: Lab) -> None:
    release = shared(shop, recipe(epsilon=50))
    store = Store.open(shop.shop.shelf.place(release.id) / making.STORE)
    assert (store.people, len(store.variants), store.noisy) == (30, 40, True)
    noisy = unpack(store.block(0, 40))
    assert set(np.unique(noisy)) <= {0, 1, 2}
    assert (noisy != calls_of(40, 30, 1)).any()
    spent = shop.ledger.find_account("genomes/panel/default/boss").spent
    assert spent == shop.propose(recipe(epsilon=50)).loss
    assert Fraction(49) < spent.pure_epsilon <= Fraction(50)
    assert release.digest == store.digest


def test_the_files_of_a_release_are_those_on_its_record(shop: Lab) -> None:
    release = shared(shop, recipe(formats=tuple(Format)))
    folder = shop.shop.shelf.place(release.id) / EXPORTS
    for file in release.files:
        content = (folder / file.name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
    assert {file.format for file in release.files} >= {f.value for f in Format}
    assert {p.name for p in folder.iterdir()} == {f.name for f in release.files}


def test_the_step_is_drawn_before_a_private_row_is_read(shop: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    proposal = shop.propose(recipe())
    read = Store.read
    seen = []

    def watched(self: Store, chunk: int):
        if self.path == shop.stores[PRIVATE].path:
            (job,) = shop.ledger.jobs()
            seen.append(job.steps_drawn)
        return read(self, chunk)

    monkeypatch.setattr(Store, "read", watched)
    begun = begin(shop.shop, BOSS, proposal)
    assert seen == []
    carry_out(shop.shop, BOSS, begun.job, proposal)
    assert seen
    assert set(seen) == {1}


def test_what_the_budget_does_not_bear_costs_nothing_and_makes_nothing(shop: Lab) -> None:
    with pytest.raises(BudgetExhausted):
        begin(shop.shop, BOSS, shop.propose(recipe(Method.FREQUENCIES, epsilon=20_000)))
    assert shop.ledger.jobs() == ()
    assert not (shop.home / "releases").exists()
    assert not (shop.home / "keys").exists()


@pytest.mark.parametrize("role", [Role.ANALYST, Role.AUDITOR])
def test_only_custodians_share(shop: Lab, role: Role) -> None:
    with pytest.raises(Forbidden, match="share genomes"):
        begin(shop.shop, replace(BOSS, role=role), shop.propose(recipe()))
    with pytest.raises(Forbidden, match="no grant"):
        begin(shop.shop, replace(BOSS, datasets=frozenset({"liver"})), shop.propose(recipe()))
    assert shop.ledger.jobs() == ()


def test_the_same_release_is_charged_and_made_once(shop: Lab) -> None:
    first = shared(shop, recipe())
    again = begin(shop.shop, BOSS, shop.propose(recipe()))
    assert (again.release, again.job) == (first, first.job)
    assert len(shop.ledger.jobs()) == 1


def test_the_same_command_goes_on_with_what_runs(shop: Lab) -> None:
    proposal = shop.propose(recipe())
    first = begin(shop.shop, BOSS, proposal)
    again = begin(shop.shop, BOSS, proposal)
    assert (again.job, again.resumed, first.resumed) == (first.job, True, False)
    assert len(shop.ledger.jobs()) == 1


def test_resume_alone_begins_nothing(shop: Lab) -> None:
    proposal = shop.propose(recipe())
    with pytest.raises(NotFound):
        begin(shop.shop, BOSS, proposal, anew=False)
    assert shop.ledger.jobs() == ()
    begun = begin(shop.shop, BOSS, proposal)
    assert begin(shop.shop, BOSS, proposal, anew=False).job == begun.job


def test_both_reports_are_made_and_one_of_them_is_given_out(shop: Lab) -> None:
    wanted = recipe(reference=PUBLIC.name, restoration=Restoration.PUBLIC, target=PUBLIC.name)
    release = shared(shop, wanted)
    folder = shop.shop.shelf.place(release.id)
    assert [f.name for f in release.files if f.format == "report"] == ["report.html", "report.json"]
    said = json.loads((folder / EXPORTS / "report.json").read_text())
    exact = json.loads((folder / "custodian" / "report.json").read_text())
    assert exact != said
    digest = shop.propose(wanted).source.digest
    assert digest in json.dumps(exact)
    assert digest not in json.dumps(said)


def test_the_shareable_report_is_the_same_whatever_the_rows_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reports of neighbouring inputs under one receipt and time: public facts alone make them.

    Their curves have noise of the operating system on public people, and are left out here.
    """
    monkeypatch.setattr(reporting, "trade_off", lambda _: ())
    wanted = recipe(reference=PUBLIC.name, restoration=Restoration.PUBLIC, target=PUBLIC.name)
    said = []
    for name, seed in (("one", 1), ("other", 7)):
        with lab(tmp_path / name) as made:
            if seed != 1:
                path = made.stores[PRIVATE].path
                path.rename(tmp_path / "before")
                made.stores[PRIVATE] = store_of(path, calls_of(40, 30, seed, 0.02))
            proposal = made.propose(wanted)
            begun = begin(made.shop, BOSS, proposal)
            (receipt, *_) = made.ledger.receipts_of(begun.job, ReceiptKind.CHARGE)
            one = replace(receipt, hash="ab" * 32, seq=1)
            said.append(shareable_report(shareable_of(proposal, "panel-1", one, 1_000)))
    assert said[0] == said[1]


# Restarts


def stopped_after(made: Lab, wanted: Recipe, chunks: int) -> int:
    """Begin a release and leave it after so many chunks; return its job."""
    proposal = made.propose(wanted, chunk=8)
    begun = begin(made.shop, BOSS, proposal)
    left = [chunks]

    def go_on() -> bool:
        left[0] -= 1
        return left[0] >= 0

    assert carry_out(made.shop, BOSS, begun.job, proposal, go_on=go_on) is None
    return begun.job


def resumed(made: Lab, wanted: Recipe, job: int) -> Release:
    release = carry_out(made.shop, BOSS, job, made.propose(wanted, chunk=8))
    assert release is not None
    return release


@pytest.mark.parametrize(
    ("method", "chunks"), [(Method.XOR, 0), (Method.XOR, 3), (Method.RESPONSE, 1), (Method.SYNTHETIC, 2)]
)
def test_a_release_that_was_left_is_resumed_with_the_same_noise(
    tmp_path: Path, method: Method, chunks: int
) -> None:
    wanted = recipe(method, delta=Fraction(1, 10**6))
    with lab(tmp_path / "home") as made:
        job = stopped_after(made, wanted, chunks)
        assert made.ledger.job(job).state is JobState.RUNNING
        folder = made.shop.shelf.place(f"panel-{job}")
        before = {p.name: p.read_bytes() for p in folder.rglob("calls/c/*") if p.is_file()}
    with lab(tmp_path / "home") as made:
        told: list[tuple[int, int]] = []
        proposal = made.propose(wanted, chunk=8)
        release = carry_out(made.shop, BOSS, job, proposal, lambda done, of: told.append((done, of)))
        assert release is not None
        assert told[-1] == (5, 5)
        after = {p.name: p.read_bytes() for p in folder.rglob("calls/c/*") if p.is_file()}
        assert before.items() <= after.items()
        assert len(made.ledger.jobs()) == 1
        assert made.ledger.job(job).steps_drawn == 1
        (charge,) = made.ledger.receipts_of(job, ReceiptKind.CHARGE)
        assert charge.id == release.receipt
        assert made.ledger.verify().whole


def test_noise_under_one_key_is_one_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk that is made again, as after a kill before its write was durable, is the same bytes."""
    with lab(tmp_path / "home") as made:
        proposal = made.propose(recipe(), chunk=8)
        begun = begin(made.shop, BOSS, proposal)
        written: dict[int, list[bytes]] = {}
        write = making.Work.do

        def twice(self, number, key):
            block = self.chunks.block(number, 8 * number, min(8 * number + 8, 40), key)
            written.setdefault(number, []).append(block.hi.tobytes() + block.lo.tobytes())
            write(self, number, key)
            block = self.chunks.block(number, 8 * number, min(8 * number + 8, 40), key)
            written[number].append(block.hi.tobytes() + block.lo.tobytes())

        monkeypatch.setattr(making.Work, "do", twice)
        carry_out(made.shop, BOSS, begun.job, proposal)
        assert len(written) == 5
        assert all(len(set(versions)) == 1 for versions in written.values())
        assert len({versions[0] for versions in written.values()}) == 5


@pytest.mark.parametrize("chunks", [0, 2])
def test_changed_input_is_refused_after_a_restart(tmp_path: Path, chunks: int) -> None:
    with lab(tmp_path / "home") as made:
        job = stopped_after(made, recipe(), chunks)
        path = made.stores[PRIVATE].path
    path.rename(tmp_path / "before")
    changed = calls_of(40, 30, 1, 0.02)
    changed[0, 0] = (changed[0, 0] + 1) % 3
    store_of(path, changed)
    with lab(tmp_path / "home") as made:
        before = bytes_of(made.shop.shelf.place(f"panel-{job}"))
        with pytest.raises(Conflict, match="not those it began with"):
            resumed(made, recipe(), job)
        assert bytes_of(made.shop.shelf.place(f"panel-{job}")) == before
        assert made.ledger.job(job).state is JobState.RUNNING
        with pytest.raises(NotFound):
            made.shop.shelf.find(f"panel-{job}")


@pytest.mark.parametrize("chunks", [0, 2])
def test_changed_parameters_are_refused_after_a_restart(tmp_path: Path, chunks: int) -> None:
    with lab(tmp_path / "home") as made:
        job = stopped_after(made, recipe(), chunks)
        before = bytes_of(made.shop.shelf.place(f"panel-{job}"))
        for other in (
            {"epsilon": Fraction(51)},
            {"method": Method.RESPONSE},
            {"coupling": Fraction(1, 10)},
            {"restoration": Restoration.PUBLIC, "target": PUBLIC.name},
            {"reference": PUBLIC.name},
        ):
            with pytest.raises(Conflict):
                resumed(made, replace(recipe(), **other), job)
            assert bytes_of(made.shop.shelf.place(f"panel-{job}")) == before


def test_another_layout_is_refused_after_a_restart(tmp_path: Path) -> None:
    with lab(tmp_path / "home") as made:
        job = stopped_after(made, recipe(), 2)
        with pytest.raises(Conflict):
            carry_out(made.shop, BOSS, job, made.propose(recipe(), chunk=16))


def test_a_key_that_is_gone_is_never_made_again(tmp_path: Path) -> None:
    with lab(tmp_path / "home") as made:
        job = stopped_after(made, recipe(), 2)
        for file in (made.home / "keys").glob("*.key"):
            file.unlink()
        with pytest.raises(Conflict, match="has no key"):
            resumed(made, recipe(), job)


def test_the_key_is_wiped_once_the_last_chunk_is_on_disk(shop: Lab) -> None:
    release = shared(shop, recipe())
    assert not list((shop.home / "keys").glob("*.key"))
    assert [p.stem for p in (shop.home / "keys").glob("*.wiped")] == [release.id]


@pytest.mark.parametrize("moment", ["wipe", "finished", "publish"])
def test_a_crash_after_the_last_chunk_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """A kill is an error that nothing catches: as when the machine goes down at that moment."""

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with lab(tmp_path / "home") as made:
        proposal = made.propose(recipe())
        begun = begin(made.shop, BOSS, proposal)
        with monkeypatch.context() as broken:
            if moment == "wipe":
                broken.setattr(type(made.shop.keys), "wipe", killed)
            elif moment == "finished":
                broken.setattr(share, "finished", killed)
            else:
                broken.setattr(type(made.shop.shelf), "publish", killed)
            with pytest.raises(Killed):
                carry_out(made.shop, BOSS, begun.job, proposal)
        digest = Store.open(made.shop.shelf.place(begun.id) / making.STORE).digest
    with lab(tmp_path / "home") as made:
        release = carry_out(made.shop, BOSS, begun.job, made.propose(recipe()))
        assert release is not None
        assert release.digest == digest
        assert made.shop.shelf.find(begun.id) == release
        assert not list((made.home / "keys").glob("*.key"))
        assert made.ledger.job(begun.job).state is JobState.FINISHED
        assert made.ledger.verify().whole


def test_a_full_disk_leaves_the_job_to_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with lab(tmp_path / "home") as made:
        proposal = made.propose(recipe())
        begun = begin(made.shop, BOSS, proposal)

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as broken:
            broken.setattr(making.Work, "do", full)
            with pytest.raises(CatalogError, match="No space left"):
                carry_out(made.shop, BOSS, begun.job, proposal)
        assert made.ledger.job(begun.job).state is JobState.RUNNING
        assert carry_out(made.shop, BOSS, begun.job, proposal) is not None


def test_work_that_fails_otherwise_fails_the_job_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lab(tmp_path / "home") as made:
        proposal = made.propose(recipe())
        begun = begin(made.shop, BOSS, proposal)

        def wrong(*_: object) -> None:
            raise ValueError("of rows")

        monkeypatch.setattr(making.Work, "do", wrong)
        with pytest.raises(ValueError, match="of rows"):
            carry_out(made.shop, BOSS, begun.job, proposal)
        assert made.ledger.job(begun.job).state is JobState.FAILED
        assert not made.shop.shelf.place(begun.id).exists()
        assert not list((made.home / "keys").glob("*.key"))


# Gateways that share a ledger


def test_of_two_gateways_on_one_ledger_only_the_one_that_draws_makes_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has read that nothing is drawn, and is held up until the first is done."""
    with lab(tmp_path / "one") as made:
        other = replace(
            made.shop, shelf=Shelf(tmp_path / "other"), keys=KeyStore(tmp_path / "other" / "keys")
        )
        proposal = made.propose(recipe())
        begun = begin(made.shop, BOSS, proposal)
        bind = KeyStore.bind

        def late(self: KeyStore, context: Context) -> ReleaseKey:
            key = bind(self, context)
            if self is other.keys:
                assert carry_out(made.shop, BOSS, begun.job, proposal) is not None
            return key

        monkeypatch.setattr(KeyStore, "bind", late)
        with pytest.raises(Conflict):
            carry_out(other, BOSS, begun.job, proposal)
        assert made.ledger.job(begun.job).steps_drawn == 1
        assert other.shelf.all() == []
        assert not list((tmp_path / "other" / "keys").glob("*.key"))
        assert not list((tmp_path / "other").rglob("call_planes/c.*"))
        with pytest.raises(SetupError, match="not in this state directory"):
            carry_out(other, BOSS, begun.job, proposal)
        assert other.shelf.all() == []


def test_a_record_is_published_only_over_the_files_that_it_names(tmp_path: Path) -> None:
    with lab(tmp_path / "home") as made:
        release = shared(made, recipe())
        folder = made.shop.shelf.place(release.id)
        (folder / "release.json").unlink()
        bed = folder / EXPORTS / f"{release.id}.bed"
        whole = bed.read_bytes()
        bed.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        for _ in range(2):
            with pytest.raises(SetupError, match="not in this state directory"):
                begin(made.shop, BOSS, made.propose(recipe()))
            with pytest.raises(SetupError, match="not in this state directory"):
                carry_out(made.shop, BOSS, release.job, made.propose(recipe()))
        bed.write_bytes(whole)
        assert begin(made.shop, BOSS, made.propose(recipe())).release == release


def test_people_are_slots_in_what_is_given_out(shop: Lab) -> None:
    release = shared(shop, recipe(formats=tuple(Format)))
    folder = shop.shop.shelf.place(release.id)
    names = [name.encode() for name in shop.stores[PRIVATE].samples if len(name) > 2]
    for file in release.files:
        content = (folder / EXPORTS / file.name).read_bytes()
        if not file.name.endswith((".bed", ".pgen", ".gz", ".zip", ".parquet")):
            assert not any(name in content for name in names), file.name
    samples = Store.open(folder / making.STORE).samples
    assert samples == tuple(sorted(samples))
    assert samples[:2] == ("slot01", "slot02")
    assert (folder / "custodian" / "slots.tsv").read_text().splitlines()[1] == "slot02\tp1"
    assert release.summary["rows"] == "numbered slots, in the order of the roster"
    digest = hashlib.sha256(json.dumps(list(shop.stores[PRIVATE].samples)).encode()).hexdigest()
    assert release.summary["roster"] != digest


def test_rows_have_names_where_the_custodian_declares_them_public(shop: Lab) -> None:
    shop.declared_named.add(PRIVATE)
    release = shared(shop, recipe())
    folder = shop.shop.shelf.place(release.id)
    assert Store.open(folder / making.STORE).samples == shop.stores[PRIVATE].samples
    assert (folder / EXPORTS / f"{release.id}.fam").read_text().split()[1] == "p0"
    assert release.summary["rows"] == "people, by name: the roster is declared public"
    made_up = shared(shop, recipe(Method.SYNTHETIC, 200, delta=Fraction(1, 10**6), reference=PUBLIC.name))
    assert Store.open(shop.shop.shelf.place(made_up.id) / making.STORE).samples[0] == "synthetic01"


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("loss", ["gone", "other", "gone with its context"])
def test_noisy_cells_that_are_lost_are_not_measured_again(tmp_path: Path, chunks: int, loss: str) -> None:
    """Chunks were made from them: measured again they would be two measurements under one charge."""
    wanted = recipe(
        Method.RESPONSE,
        200,
        delta=Fraction(1, 10**6),
        reference=PUBLIC.name,
        restoration=Restoration.RELEASED,
    )
    with lab(tmp_path / "home") as made:
        proposal = made.propose(wanted, 16)
        begun = begin(made.shop, BOSS, proposal)
        left = iter([True] * chunks)
        assert carry_out(made.shop, BOSS, begun.job, proposal, go_on=lambda: next(left, False)) is None
        cells = made.shop.shelf.place(begun.id) / "cells.npz"
        kept, context = cells.read_bytes(), cells.with_name(making.CONTEXT).read_bytes()
        if loss == "other":
            changed = {name: found + 1 for name, found in np.load(cells).items()}
            np.savez(cells, **changed)
        else:
            cells.unlink()
        if loss == "gone with its context":
            cells.with_name(making.CONTEXT).unlink()
        with pytest.raises(Conflict):
            carry_out(made.shop, BOSS, begun.job, proposal)
        assert (loss == "other") == cells.exists()
        cells.write_bytes(kept)
        cells.with_name(making.CONTEXT).write_bytes(context)
        assert carry_out(made.shop, BOSS, begun.job, proposal) is not None
        assert cells.read_bytes() == kept


def test_a_dataset_whose_releases_cannot_be_named_is_refused_before_the_charge(shop: Lab) -> None:
    for name in ("_panel", "p" * 99):
        shop.stores[PanelName(name, "snps", 1)] = shop.stores[PRIVATE]
        with pytest.raises(BadInput, match="cannot be named"):
            shop.propose(replace(recipe(), dataset=name))
    assert shop.ledger.jobs() == ()


def test_alleles_that_were_worked_out_from_the_people_are_not_given_out(
    shop: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "coding_is_public", property(lambda self: self.public))
    with pytest.raises(BadInput, match="worked out from its people"):
        shop.propose(recipe())
    assert shop.propose(recipe(manifest=PUBLIC.name)).variants == 40


# Cancelling


def test_a_cancelled_job_stops_between_chunks_and_leaves_nothing(tmp_path: Path) -> None:
    with lab(tmp_path / "home", scheduler=Threads(1)) as made:
        proposal = made.propose(recipe(), chunk=8)
        begun = begin(made.shop, BOSS, proposal)

        def cancel(done: int, _of: int) -> None:
            if done == 2:
                made.ledger.end_job(begun.job, JobState.CANCELLED)

        assert carry_out(made.shop, BOSS, begun.job, proposal, cancel) is None
        assert not made.shop.shelf.place(begun.id).exists()
        assert not list((made.home / "keys").glob("*.key"))
        # What was drawn stays spent, and sharing again is another release under another key.
        again = begin(made.shop, BOSS, proposal)
        assert again.job != begun.job


def test_a_job_that_was_cancelled_elsewhere_is_cleared(tmp_path: Path) -> None:
    with lab(tmp_path / "home") as made:
        job = stopped_after(made, recipe(), 2)
        made.ledger.end_job(job, JobState.CANCELLED)
        assert carry_out(made.shop, BOSS, job, made.propose(recipe(), chunk=8)) is None
        assert not made.shop.shelf.place(f"panel-{job}").exists()
        assert not list((made.home / "keys").glob("*.key"))


def test_two_releases_of_one_input_have_noise_of_their_own(tmp_path: Path) -> None:
    with lab(tmp_path / "home") as made:
        proposal = made.propose(recipe())
        begun = begin(made.shop, BOSS, proposal)
        made.ledger.end_job(begun.job, JobState.CANCELLED)
        first = shared(made, recipe())
        other = shared(made, recipe(epsilon=51))
        one, two = (
            unpack(Store.open(made.shop.shelf.place(r.id) / making.STORE).block(0, 40))
            for r in (first, other)
        )
        assert (one != two).mean() > 0.05


# Restoration


def test_restored_genotypes_have_exactly_the_public_panels_frequencies(shop: Lab) -> None:
    wanted = recipe(restoration=Restoration.PUBLIC, target=PUBLIC.name)
    release = shared(shop, wanted)
    store = Store.open(shop.shop.shelf.place(release.id) / making.STORE)
    public = calls_of(40, 50, 2).sum(axis=1)
    assert tally(store.block(0, 40)).alleles.tolist() == (2 * 30 * public // 100).tolist()


def test_a_target_that_is_not_public_is_refused(shop: Lab) -> None:
    with pytest.raises(Forbidden, match="not marked public"):
        shop.propose(recipe(restoration=Restoration.PUBLIC, target=PRIVATE.name))


def test_a_declared_table_is_frozen_warned_of_and_a_condition_on_the_receipt(shop: Lab) -> None:
    table = {f"rs{i}": 0.25 for i in range(40)}
    digest = shop.declared.frequencies(table)
    said = "Table S3 of Doe et al. (2020), Journal of Tables"
    wanted = recipe(restoration=Restoration.DECLARED, target=digest, statement=said)
    proposal = shop.propose(wanted)
    assert "likelihood-ratio" in proposal.warnings[0]
    release = shared(shop, wanted)
    (receipt, *_) = shop.ledger.receipts_of(release.job, ReceiptKind.CHARGE)
    public = receipt.content()["public"]
    assert digest in public["condition"]
    assert public["statement"] == said
    store = Store.open(shop.shop.shelf.place(release.id) / making.STORE)
    assert set(tally(store.block(0, 40)).alleles.tolist()) == {15}
    (shop.home / "declared" / f"{digest}.json").write_text(json.dumps(table | {"rs0": 0.5}))
    with pytest.raises(Conflict, match="not there any more as it was"):
        shop.propose(wanted)


def test_genotypes_are_restored_to_released_frequencies(shop: Lab) -> None:
    counted = shared(
        shop, recipe(Method.FREQUENCIES, epsilon=20, delta=Fraction(1, 10**6), reference=PUBLIC.name)
    )
    release = shared(shop, recipe(restoration=Restoration.RELEASED, target=counted.id))
    assert release.summary["restored"] == "towards released frequencies"
    wrong = recipe(restoration=Restoration.RELEASED, target=release.id)
    with pytest.raises(BadInput, match="is of xor"):
        shop.propose(wrong)


# Counts


def test_frequencies_are_near_the_truth_and_measured_once(shop: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Noisy] = []
    measure = making.measure
    monkeypatch.setattr(making, "measure", lambda *given: measured.append(measure(*given)) or measured[-1])
    wanted = recipe(Method.FREQUENCIES, epsilon=1_000)
    release = shared(shop, wanted)
    assert len(measured) == 1
    (file,) = (f for f in release.files if f.format == "csv")
    lines = (shop.shop.shelf.place(release.id) / EXPORTS / file.name).read_text().splitlines()
    found = np.array([float(line.split(",")[5]) for line in lines[1:]])
    calls = calls_of(40, 30, 1, 0.02)
    calls[calls < 0] = 0  # filled with the reference allele, as there is no panel
    assert np.abs(found - calls.mean(axis=1) / 2).max() < 0.02


def test_a_kill_between_measuring_and_exporting_repeats_no_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(Method.FREQUENCIES, epsilon=1)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with lab(tmp_path / "home") as made:
        proposal = made.propose(wanted)
        begun = begin(made.shop, BOSS, proposal)
        with monkeypatch.context() as broken:
            broken.setattr(share, "finished", killed)
            with pytest.raises(Killed):
                carry_out(made.shop, BOSS, begun.job, proposal)
        cells = (made.shop.shelf.place(begun.id) / "cells.npz").read_bytes()
    with lab(tmp_path / "home") as made:
        monkeypatch.setattr(making, "measure", killed)
        assert carry_out(made.shop, BOSS, begun.job, made.propose(wanted)) is not None
        assert (made.shop.shelf.place(begun.id) / "cells.npz").read_bytes() == cells


def test_tables_of_cases_name_nobody_on_the_receipt(shop: Lab) -> None:
    cases = [f"p{i}" for i in range(0, 30, 3)]
    wanted = recipe(Method.TABLES, epsilon=100, cases=shop.declared.cases(cases))
    release = shared(shop, wanted)
    (receipt, *_) = shop.ledger.receipts_of(release.job, ReceiptKind.CHARGE)
    assert not any(f'"{name}"' in receipt.body for name in cases)
    assert hashlib.sha256(json.dumps(cases, separators=(",", ":")).encode()).hexdigest() not in receipt.body
    assert {f.name.split(".", 1)[1] for f in release.files} >= {"tables.csv", "associations.csv"}


def test_families_of_strangers_are_refused(shop: Lab) -> None:
    wanted = recipe(families=shop.declared.families([["p0", "p1"], ["p2", "nobody"]]))
    with pytest.raises(BadInput, match="not on the roster"):
        shop.propose(wanted)
    mixed = recipe(families=shop.declared.families([["p0", "p1"], ["p2", "p3", "p4"]]))
    with pytest.raises(BadInput, match="one size"):
        shop.propose(mixed)
    release = shared(shop, recipe(families=shop.declared.families([["p0", "p1"], ["p2", "p3"]])))
    assert release.summary["epsilon_family"] >= release.summary["epsilon"]
