"""The verifier stands alone, and nothing makes it fall over."""

import ast
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import noisegate.verifier
from noisegate.verifier import checkpoints_in, key_of, verify
from noisegate.verifier.__main__ import FAULT, USAGE, WHOLE, main

from .paper import ANA, Paper, canonical

SOURCE = Path(noisegate.verifier.__file__).parent


@pytest.fixture(scope="module")
def paper() -> Paper:
    paper = Paper()
    paper.open_path(ANA)
    paper.answer(paper.charge())
    return paper


def imported(file: Path) -> set[str]:
    """Return the packages a module imports; its own as `.`."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add("." * node.level or str(node.module).partition(".")[0])
    return found


def test_it_imports_nothing_but_the_standard_library_cryptography_and_itself() -> None:
    files = sorted(SOURCE.glob("*.py"))
    assert len(files) > 5
    for file in files:
        assert imported(file) <= {*sys.stdlib_module_names, "cryptography", "."}, file.name


def test_its_import_brings_nothing_of_the_gateway_with_it() -> None:
    code = "import sys, noisegate.verifier.__main__; print(*(m for m in sys.modules if 'noisegate' in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(m == "noisegate" or m.startswith("noisegate.verifier") for m in done.stdout.split())


def test_a_copy_of_its_directory_verifies_on_its_own(tmp_path: Path, paper: Paper) -> None:
    shutil.copytree(SOURCE, tmp_path / "verifier", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "receipts.jsonl").write_bytes(paper.export())
    code = (
        "import sys, runpy; sys.path.insert(0, '.'); sys.modules['noisegate'] = None; "
        "runpy.run_module('verifier', run_name='__main__')"
    )
    command = [sys.executable, "-I", "-c", code, "receipts.jsonl", "--key", paper.public]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("6 receipts of 1 charges: whole\n")


def test_the_command_tells_by_its_exit_code_what_it_found(
    tmp_path: Path, paper: Paper, capsys: pytest.CaptureFixture[str]
) -> None:
    file, kept, key = tmp_path / "receipts.jsonl", tmp_path / "kept", tmp_path / "key"
    file.write_bytes(paper.export())
    kept.mkdir()
    (kept / "one.json").write_bytes(paper.checkpoint())
    (kept / "README").write_text("what these are")
    key.write_text(paper.public + "\n")
    given_ = [str(file), "--key", str(key), "--checkpoints", str(kept)]
    assert main(given_) == WHOLE
    assert "whole" in capsys.readouterr().out
    assert main([*given_, "--json"]) == WHOLE
    assert json.loads(capsys.readouterr().out)["checkpoints"] == 1
    file.write_bytes(paper.export()[:-1])
    assert main(given_) == FAULT
    assert "BROKEN" in capsys.readouterr().out
    for wrong in (
        [str(tmp_path / "nowhere")],
        [str(tmp_path)],
        [str(file), "--key", "nowhere"],
        [str(file), "--key", str(file)],
        [str(file), "--checkpoints", str(tmp_path / "nowhere")],
    ):
        assert main(wrong) == USAGE
        assert capsys.readouterr().err.startswith("error: ")
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == USAGE


def test_a_key_is_given_in_hexadecimal_or_as_a_file_of_it_or_of_pem(tmp_path: Path, paper: Paper) -> None:
    pem = paper.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "pem").write_bytes(pem)
    (tmp_path / "hex").write_text(f"{paper.public}\n")
    assert key_of(paper.public) == key_of(str(tmp_path / "pem")) == key_of(str(tmp_path / "hex"))
    other = generate_private_key(SECP256R1()).public_key()
    (tmp_path / "other").write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "nonsense").write_bytes(b"\xff\x00")
    for wrong in ("other", "nonsense"):
        with pytest.raises(ValueError, match="holds no Ed25519 public key"):
            key_of(str(tmp_path / wrong))
    with pytest.raises(OSError, match="No such file"):
        key_of(paper.public.upper())


def test_only_files_named_so_are_checkpoints(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", ".a.json.0123", "README"):
        (tmp_path / name).write_bytes(name.encode())
    assert list(checkpoints_in(tmp_path).items()) == [("a.json", b"a.json"), ("b.json", b"b.json")]


# Whatever it is given, it says what it found and raises nothing.

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(
        ["noisegate receipts 1", "noisegate receipts end 1", "opened", "charge", "p", "0" * 64]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def unharmed(content: bytes, **given_: object) -> None:
    report = verify(io.BytesIO(content), **given_)  # type: ignore[arg-type]
    assert not report.whole
    assert report.as_text()
    json.dumps(report.as_json(), allow_nan=False)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=300))
@example(content=b"[" * 1_000_000)
@example(content=b'{"a":' * 200_000)
@example(content=b"9" * 100_000 + b"\n")
@example(content=b"\xef\xbb\xbf{}\n")
def test_garbage_is_a_fault(content: bytes) -> None:
    unharmed(content)


@settings(max_examples=200, deadline=None)
@given(lines=st.lists(json_values, max_size=6))
def test_lines_of_any_json_are_a_fault(lines: list[object]) -> None:
    unharmed("".join(f"{json.dumps(line)}\n" for line in lines).encode())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_of_any_line_is_a_fault(paper: Paper, data: st.DataObject) -> None:
    """Lines with the right hashes and signatures, whatever they say."""
    kinds = [
        "opened",
        "renewed",
        "suspended",
        "resumed",
        "registered",
        "charge",
        "answer",
        "failed",
        "finished",
    ]
    forged = Paper(paper.key)
    forged.chains = {chain: list(entries) for chain, entries in paper.chains.items()}
    entries = forged.chains["liver"]
    place = data.draw(st.integers(0, len(entries) - 1))
    body = json.loads(entries[place].body)
    name = data.draw(st.sampled_from(sorted(body)))
    body[name] = data.draw(json_values)
    more = data.draw(st.dictionaries(st.sampled_from(sorted(body)), json_values, max_size=2))
    try:
        text = canonical(body | more)
    except ValueError:
        return
    forged.add("liver", data.draw(st.sampled_from(kinds)), text, data.draw(st.none() | st.integers(-1, 3)))
    report = verify(io.BytesIO(forged.export()))
    assert report.as_text()
    json.dumps(report.as_json(), allow_nan=False)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=json_values, name=st.sampled_from(["at", "chains", "all", "heads", "ledger", "key", "sha256"]))
def test_any_value_in_the_first_and_last_line_and_in_a_checkpoint_does_no_harm(
    paper: Paper, value: object, name: str
) -> None:
    lines = paper.export().decode().splitlines()
    for place in (0, -1):
        changed = list(lines)
        changed[place] = json.dumps(json.loads(lines[place]) | {name: value}, sort_keys=True)
        unharmed("".join(f"{line}\n" for line in changed).encode())
    try:
        checkpoint = paper.checkpoint(**{name: value})
    except ValueError:
        return
    report = verify(io.BytesIO(paper.export()), checkpoints={"one.json": checkpoint})
    assert report.as_text()
    json.dumps(report.as_json(), allow_nan=False)
