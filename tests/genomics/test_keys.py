import copy
import hashlib
import hmac
import logging
import os
import pickle
import signal
import stat
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import pytest

from noisegate.errors import Conflict, SetupError
from noisegate.genomics import keys
from noisegate.genomics.keys import Context, KeyStore, ReleaseKey, derive

CONTEXT = Context("panel-17", "a" * 64, "b" * 64, "1092 people, 14079 variants, 4096 a chunk")
CHILD = """
import hashlib, sys, time
from pathlib import Path
from noisegate.genomics.keys import Context, KeyStore
key = KeyStore(Path(sys.argv[1])).bind(Context(*sys.argv[2:6]))
print(hashlib.sha256(key.reveal()).hexdigest(), flush=True)
time.sleep(float(sys.argv[6]))
"""


def child(place: Path, context: Context, seconds: float) -> "subprocess.Popen[str]":
    parts = [context.release, context.input, context.parameters, context.layout]
    command = [sys.executable, "-c", CHILD, str(place), *parts, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_release_keeps_its_key_and_others_have_others(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys")
    key = store.bind(CONTEXT).reveal()
    assert len(key) == 16
    assert store.bind(CONTEXT).reveal() == store.resume(CONTEXT).reveal() == key
    assert KeyStore(tmp_path / "keys").bind(CONTEXT).reveal() == key
    assert store.bind(replace(CONTEXT, release="panel-18")).reveal() != key
    assert KeyStore(tmp_path / "elsewhere").bind(CONTEXT).reveal() != key


def changed_contexts_are_refused(place: Path) -> None:
    store = KeyStore(place)
    store.bind(CONTEXT)
    for part in ("input", "parameters", "layout"):
        other = replace(CONTEXT, **{part: "another"})
        for again in (store.bind, store.resume, KeyStore(place).resume):
            with pytest.raises(Conflict, match="not those it began with"):
                again(other)


def test_a_release_begun_on_one_input_does_not_go_on_with_another(tmp_path: Path) -> None:
    changed_contexts_are_refused(tmp_path)


def test_a_store_that_forgot_its_context_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Context, "digest", property(lambda _: "0" * 64))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        changed_contexts_are_refused(tmp_path)


def test_another_context_has_another_key_even_from_the_same_secret() -> None:
    others = [replace(CONTEXT, **{part: "z"}) for part in ("release", "input", "parameters", "layout")]
    found = {derive(bytes(32), context).reveal() for context in [CONTEXT, *others]}
    assert len(found) == 5
    assert derive(bytes(31) + b"1", CONTEXT).reveal() not in found


def test_parts_of_a_context_do_not_run_into_each_other() -> None:
    parted = (Context("r", "ab", "c", "d"), Context("r", "a", "bc", "d"), Context("r", "a", "b", "cd"))
    assert len({context.encoded() for context in parted}) == 3
    assert len({context.digest for context in parted}) == 3


def test_keys_are_derived_as_rfc_5869_says() -> None:
    extracted = hmac.digest(bytes(32), b"s" * 32, hashlib.sha256)
    expanded = hmac.digest(extracted, keys._LABEL + CONTEXT.encoded() + b"\1", hashlib.sha256)
    assert derive(b"s" * 32, CONTEXT).reveal() == expanded[:16]


def test_a_wiped_key_never_comes_back(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.bind(CONTEXT)
    secret = (tmp_path / "panel-17.key").read_bytes()[:32]
    kept = os.open(tmp_path / "panel-17.key", os.O_RDONLY)
    store.wipe("panel-17")
    assert os.pread(kept, 200, 0).strip(b"\0") == b""
    os.close(kept)
    for again in (store.bind, store.resume, KeyStore(tmp_path).bind):
        with pytest.raises(Conflict, match="was wiped"):
            again(CONTEXT)
    store.wipe("panel-17")
    assert not any(secret in file.read_bytes() for file in tmp_path.iterdir())


def test_a_release_that_was_never_bound_is_neither_resumed_nor_bound_once_wiped(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    with pytest.raises(Conflict, match="has no key"):
        store.resume(CONTEXT)
    assert not (tmp_path / "panel-17.key").exists()
    store.wipe("panel-17")
    with pytest.raises(Conflict, match="was wiped"):
        store.bind(CONTEXT)


def test_a_wipe_that_was_killed_halfway_is_finished(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.bind(CONTEXT)
    (tmp_path / "panel-17.wiped").touch()
    with pytest.raises(Conflict, match="was wiped"):
        store.resume(CONTEXT)
    assert not (tmp_path / "panel-17.key").exists()


def test_only_their_owner_reads_the_files(tmp_path: Path) -> None:
    place = tmp_path / "state" / "keys"
    old = os.umask(0)
    try:
        KeyStore(place).bind(CONTEXT)
        KeyStore(place).wipe("panel-16")
    finally:
        os.umask(old)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in place.iterdir()} == {0o600}
    (place / "panel-17.key").chmod(0o640)
    with pytest.raises(SetupError, match="may be read by others"):
        KeyStore(place).bind(CONTEXT)


@pytest.mark.parametrize("length", [0, 31, 95, 97])
def test_a_damaged_file_is_refused_and_left(tmp_path: Path, length: int) -> None:
    store = KeyStore(tmp_path)
    store.bind(CONTEXT)
    file = tmp_path / "panel-17.key"
    file.write_bytes((file.read_bytes() + b"x")[:length])
    with pytest.raises(SetupError, match="damaged"):
        store.bind(CONTEXT)
    assert file.stat().st_size == length


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".lock", "a b", "a\n", "x" * 101, "é"])
def test_an_id_that_is_no_plain_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="the id of a release"):
        Context(name, "", "", "")
    with pytest.raises(ValueError, match="the id of a release"):
        KeyStore(tmp_path).wipe(name)


def test_nothing_shows_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store = KeyStore(tmp_path)
    key = store.bind(CONTEXT)
    secret = (tmp_path / "panel-17.key").read_bytes()[:32]
    told = [repr(key), str(key), f"{key}", repr(store), repr(vars(store)), caplog.text]
    assert repr(key) == "<release key>"
    assert not hasattr(key, "__dict__")
    with pytest.raises(Conflict) as refused:
        store.bind(replace(CONTEXT, input="x"))
    (tmp_path / "panel-17.key").write_bytes(secret)
    with pytest.raises(SetupError) as damaged:
        store.bind(CONTEXT)
    for error in (refused.value, damaged.value):
        told += [repr(error), repr(error.as_json()), *traceback.format_exception(error)]
    for hidden in (secret, key.reveal()):
        for shape in (hidden.hex(), repr(hidden)[2:-1], str(list(hidden))[1:-1]):
            assert not any(shape in text for text in told)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_is_not_pickled(copied) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        copied(ReleaseKey(bytes(16)))


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        ReleaseKey(bytes(length))


def test_processes_that_bind_at_once_get_one_key(tmp_path: Path) -> None:
    place = tmp_path / "keys"
    racers = [child(place, CONTEXT, 0) for _ in range(4)]
    found = {racer.communicate()[0] for racer in racers}
    assert len(found) == 1
    assert found.pop() == hashlib.sha256(KeyStore(place).resume(CONTEXT).reveal()).hexdigest() + "\n"


def test_of_processes_with_other_inputs_only_the_first_is_let_in(tmp_path: Path) -> None:
    racers = [child(tmp_path, replace(CONTEXT, input=str(n % 2)), 0) for n in range(4)]
    outputs = [racer.communicate()[0] for racer in racers]
    assert len({out for out in outputs if out}) == 1
    assert [bool(out) for out in outputs] in ([True, False] * 2, [False, True] * 2)
    assert [racer.returncode == 0 for racer in racers] == [bool(out) for out in outputs]


def test_a_key_bound_before_a_kill_is_the_key_after_it(tmp_path: Path) -> None:
    running = child(tmp_path, CONTEXT, 60)
    assert running.stdout is not None
    told = running.stdout.readline().strip()
    running.send_signal(signal.SIGKILL)
    running.wait()
    running.stdout.close()
    assert hashlib.sha256(KeyStore(tmp_path).bind(CONTEXT).reveal()).hexdigest() == told
    with pytest.raises(Conflict):
        KeyStore(tmp_path).bind(replace(CONTEXT, input="c" * 64))


def test_a_key_half_written_by_a_killed_process_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as inside:
        inside.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            KeyStore(tmp_path).bind(CONTEXT)
    with pytest.raises(Conflict, match="has no key"):
        KeyStore(tmp_path).resume(CONTEXT)
    assert KeyStore(tmp_path).bind(CONTEXT).reveal() == KeyStore(tmp_path).resume(CONTEXT).reveal()
    assert not list(tmp_path.glob("*.new"))
