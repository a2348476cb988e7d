"""The scripts a newcomer meets first, and the locks they install from."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock")
# Stands in for the interpreter in .venv: notes what pip was asked for, and fails when told to.
PYTHON = """#!/bin/bash
echo "$@" >> "$0.log"
if [ "$3" = install ] && [ -f "$0.fails" ]; then
  echo "ERROR: no wheel at https://user:secret@index.example/simple/ for it"
  exit 1
fi
"""


def pins(lock: str) -> dict[str, list[str]]:
    """Return the hashes of each requirement of a lock, by `name==version`."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / lock).read_text().splitlines():
        if line and not line.startswith(("#", " ")):
            found[line.removesuffix(" \\")] = []
        elif "--hash=sha256:" in line:
            found[next(reversed(found))].append(line.split("sha256:")[1].rstrip(" \\"))
    return found


def name_of(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9_.-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name[0]).lower()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_with_hashes_and_no_address(lock: str) -> None:
    found = pins(lock)
    assert len(found) > 30
    for requirement, hashes in found.items():
        assert re.fullmatch(r"[a-z0-9.-]+==[0-9][A-Za-z0-9.]*", requirement), requirement
        assert hashes, requirement
        assert all(re.fullmatch(r"[0-9a-f]{64}", h) for h in hashes)
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_torch(lock: str) -> None:
    assert not any(r.startswith(("torch", "nvidia", "triton")) for r in pins(lock))


def test_the_locks_hold_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    run = {name_of(r) for r in project["project"]["dependencies"] + extras["genomes"]}
    run |= {name_of(r) for r in project["build-system"]["requires"]}
    dev = run | {name_of(r) for r in extras["dev"] + extras["frames"]}
    assert run <= {name_of(r) for r in pins("requirements.lock")}
    assert dev <= {name_of(r) for r in pins("requirements-dev.lock")}


def test_what_is_run_is_what_is_tested() -> None:
    assert pins("requirements.lock").keys() <= pins("requirements-dev.lock").keys()


@pytest.mark.parametrize("script", ["run", "test", ".ci/run", "tools/bootstrap.sh", "tools/lock.sh"])
def test_scripts_are_whole_and_name_no_address(script: str) -> None:
    path = ROOT / script
    subprocess.run(["/bin/bash", "-n", str(path)], check=True)
    assert "https://" not in path.read_text()
    assert "http://" not in path.read_text()
    if script != "tools/bootstrap.sh":
        assert os.access(path, os.X_OK)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the scripts and locks with a stand-in for .venv."""
    copy = tmp_path / "a tree"
    (copy / "tools").mkdir(parents=True)
    for name in ("run", "pyproject.toml", "tools/bootstrap.sh", *LOCKS):
        shutil.copy(ROOT / name, copy / name)
    programs = copy / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in (("python", PYTHON), ("noisegate", '#!/bin/bash\nprintf "<%s>" "$@"\n')):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return copy


def start(tree: Path, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(tree / "run"), *arguments],
        cwd="/",
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def installations(tree: Path) -> list[str]:
    log = tree / ".venv" / "bin" / "python.log"
    return [line for line in log.read_text().splitlines() if " install " in line] if log.exists() else []


def test_run_installs_once_with_hashes_and_passes_its_arguments_on(tree: Path) -> None:
    first = start(tree, "ask", "SELECT 1", "--json")
    assert (first.returncode, first.stdout) == (0, "<ask><SELECT 1><--json>")
    assert first.stderr.count("\n") == 1
    locked, project = installations(tree)
    assert "--require-hashes" in locked
    assert "a tree/requirements.lock" in locked
    assert "--no-deps" in project
    assert "--no-build-isolation" in project
    again = start(tree)
    assert (again.returncode, again.stdout, again.stderr) == (0, "<demo>", "")
    assert len(installations(tree)) == 2


@pytest.mark.parametrize("changed", ["pyproject.toml", "requirements.lock"])
def test_run_installs_again_when_what_it_installs_changed(tree: Path, changed: str) -> None:
    start(tree)
    with (tree / changed).open("a") as stream:
        stream.write("# another\n")
    start(tree)
    assert len(installations(tree)) == 4
    with (tree / "requirements-dev.lock").open("a") as stream:
        stream.write("# of no concern\n")
    start(tree)
    assert len(installations(tree)) == 4


def test_a_failed_installation_is_told_without_addresses_and_tried_again(tree: Path) -> None:
    fails = tree / ".venv" / "bin" / "python.fails"
    fails.touch()
    failed = start(tree)
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "the installation failed" in failed.stderr
    assert "no wheel" in failed.stderr
    assert "index.example" not in failed.stderr
    kept = [p for p in tree.rglob("*") if p.is_file() and p.name != "python"]
    assert not any("index.example" in p.read_text() for p in kept)
    fails.unlink()
    assert start(tree).stdout == "<demo>"


@pytest.mark.parametrize(
    ("lacks", "said"), [("ensurepip", "apt install python3-venv"), ("version_info", "needs Python 3.11")]
)
def test_a_missing_part_of_python_is_named_with_the_package_that_has_it(
    tree: Path, tmp_path: Path, lacks: str, said: str
) -> None:
    shutil.rmtree(tree / ".venv")
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in ("bash", "cat", "dirname", "readlink", "sha256sum", "cut", "flock", "sed", "tail", "rm"):
        found = shutil.which(tool)
        assert found is not None
        (programs / tool).symlink_to(found)
    python = programs / "python3"
    python.write_text(f'#!/bin/bash\ncase "$*" in *{lacks}*) exit 1;; esac\n')
    python.chmod(0o755)
    failed = start(tree, PATH=str(programs))
    assert failed.returncode == 2
    assert said in failed.stderr
    assert "python3-venv" in failed.stderr
    assert not (tree / ".venv").exists()


def test_data_stays_out_of_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["src/noisegate"]}
    assert not any(p.suffix in (".parquet", ".vcf", ".gz") for p in (ROOT / "src").rglob("*"))
