"""kill -9 while genomes are shared: one charge, one key, one noise, the same bytes however it is resumed."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from noisegate.errors import Conflict
from noisegate.genomics import share
from noisegate.genomics.proposal import Proposal
from noisegate.genomics.releases import EXPORTS, Release
from noisegate.genomics.share import begin, carry_out
from noisegate.ledger.records import JobState

from .workshop import BOSS, PRIVATE, Lab, calls_of, lab, recipe, store_of

CHILD = Path(__file__).with_name("share_child.py")
STEPS = [
    f"{when} {what}"
    for what in (
        "the charge",
        "the key",
        "the draw",
        "a chunk",
        "the store",
        "the wipe",
        "the exports",
        "the end",
        "the record",
    )
    for when in ("before", "after")
]
# The others are run with the slow tests.
QUICK = {"after the key", "after the draw", "after a chunk", "after the wipe", "after the end"}
# Until then there is no key, so nothing that two runs could have in common.
KEYLESS = {"before the charge", "after the charge", "before the key"}


@pytest.fixture(scope="module")
def nursery() -> Iterator[subprocess.Popen[str]]:
    """A process that starts others for us, each a process of its own."""
    command = [sys.executable, CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def run(nursery: subprocess.Popen[str], home: Path, **order: object) -> tuple[str, int]:
    """Have something shared; return what the process said last, and its exit code."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    print(json.dumps({"home": str(home), "method": "xor", **order}), file=nursery.stdin, flush=True)
    said = ""
    while True:
        word, _, rest = nursery.stdout.readline().strip().partition(" ")
        if word == "ended":
            return said, int(rest)
        said = rest


def bytes_of(home: Path) -> dict[str, bytes]:
    """All that was released: the files of the noisy store, of the cells, and of the exports."""
    (folder,) = (p for p in (home / "releases").iterdir() if p.is_dir())
    files = [*(folder / "release.zarr").rglob("*"), *(folder / EXPORTS).rglob("*"), folder / "cells.npz"]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files if p.is_file()}


@pytest.mark.parametrize(
    "step", [step if step in QUICK else pytest.param(step, marks=pytest.mark.slow) for step in STEPS]
)
def test_a_kill_anywhere_is_resumed_to_the_same_release(
    nursery: subprocess.Popen[str], tmp_path: Path, step: str
) -> None:
    home, twin = tmp_path / "home", tmp_path / "twin"
    assert run(nursery, home, step=step, passes=2 if "chunk" in step else 0)[1] == -signal.SIGKILL
    shutil.copytree(home, twin)
    digest, code = run(nursery, home)
    assert code == 0
    if step not in KEYLESS:
        assert run(nursery, twin) == (digest, 0)
        assert bytes_of(home) == bytes_of(twin)
    with lab(home) as made:
        (job,) = made.ledger.jobs()
        assert (job.state, job.steps_drawn) == (JobState.FINISHED, 1)
        assert made.ledger.verify().whole
        assert made.ledger.find_account("genomes").charges == 1
        assert made.shop.shelf.find(f"panel-{job.charge}").digest == digest
        assert not list((home / "keys").glob("*.key"))


@pytest.mark.parametrize("method", ["response", "synthetic", "frequencies"])
def test_other_methods_are_resumed_likewise(
    nursery: subprocess.Popen[str], tmp_path: Path, method: str
) -> None:
    home, twin = tmp_path / "home", tmp_path / "twin"
    step = "before the wipe" if method == "frequencies" else "after a chunk"
    assert run(nursery, home, method=method, step=step)[1] == -signal.SIGKILL
    shutil.copytree(home, twin)
    assert run(nursery, home, method=method) == run(nursery, twin, method=method)
    assert bytes_of(home) == bytes_of(twin)


def test_these_tests_notice_noise_that_is_drawn_anew(nursery: subprocess.Popen[str], tmp_path: Path) -> None:
    home, twin = tmp_path / "home", tmp_path / "twin"
    assert run(nursery, home, step="after a chunk", flaw="new noise")[1] == -signal.SIGKILL
    shutil.copytree(home, twin)
    assert run(nursery, home, flaw="new noise") != run(nursery, twin, flaw="new noise")


@pytest.mark.parametrize(("flaw", "refused"), [("", True), ("unbound key", False)])
def test_input_that_changed_meanwhile_is_refused(
    nursery: subprocess.Popen[str], tmp_path: Path, flaw: str, refused: bool
) -> None:
    """With a key that is bound to nothing it would go on: this is what notices."""
    home = tmp_path / "home"
    assert run(nursery, home, step="after a chunk", flaw=flaw)[1] == -signal.SIGKILL
    with lab(home) as made:
        path = made.stores[PRIVATE].path
    path.rename(tmp_path / "before")
    changed = calls_of(40, 30, 1, 0.02)
    changed[39, 29] = (changed[39, 29] + 1) % 3
    store_of(path, changed)
    said, code = run(nursery, home, flaw=flaw)
    assert (code, said) == (1, "Conflict") if refused else code == 0


def test_processes_at_once_make_one_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that comes while another is at it is told so, and pays nothing."""
    monkeypatch.setattr(share, "report", lambda *_: ())
    home = tmp_path / "home"
    with lab(home) as made, made.shop.shelf.held("panel-1"):
        proposal = made.propose(recipe())
        begun = begin(made.shop, BOSS, proposal)
        assert begun.id == "panel-1"
        with pytest.raises(Conflict, match="another process"):
            carry_out(made.shop, BOSS, begun.job, proposal)
        assert made.ledger.job(begun.job).steps_drawn == 0
    with lab(home) as made:
        proposal = made.propose(recipe())
        found: list[object] = []
        threads = [
            threading.Thread(target=lambda: found.append(_made(made, proposal, begun.job))) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({release.digest for release in found if isinstance(release, Release)}) == 1
        assert len(made.ledger.jobs()) == 1


def _made(made: Lab, proposal: Proposal, job: int) -> object:
    try:
        return carry_out(made.shop, BOSS, job, proposal)
    except Conflict as told:
        return told
