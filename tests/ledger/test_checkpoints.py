import json
import os
import shutil
import stat

import pytest

from noisegate.errors import LedgerUnavailable
from noisegate.ledger import checkpoints
from noisegate.ledger.checkpoints import Checkpoint, file_of, hold, kept_in, read, signed, take, write
from noisegate.ledger.signing import Signer
from noisegate.ledger.sqlite import LEDGER_FILE
from noisegate.ledger.store import Ledger


def checkpoint_of(ledger):
    return file_of(signed(ledger.signer, take(ledger).as_json()))


@pytest.fixture
def store():
    """Rollbacks are made by copying SQLite's file."""
    return "sqlite"


def test_a_checkpoint_tells_where_each_chain_ends(house):
    house.answer("a")
    taken = take(house.ledger)
    assert taken.ledger == house.ledger.id
    assert taken.heads.keys() == {"liver", "population/olmsted"}
    for chain, (seq, hash_) in taken.heads.items():
        assert house.ledger.receipt(f"{chain}:{seq}").hash == hash_
        assert house.ledger.receipt(f"{chain}:{seq + 1}") is None
    assert taken.receipts == 6
    assert take(house.ledger, {"liver", "nowhere"}).heads.keys() == {"liver"}


def test_a_signed_checkpoint_reads_back_as_it_was(house):
    name, content = checkpoint_of(house.ledger)
    assert read(name, content) == take(house.ledger)
    said = json.loads(content)
    assert (said["format"], said["key"]) == ("noisegate checkpoint 1", house.ledger.signer.public)
    assert content == checkpoints.canonical(said).encode() + b"\n"


def test_names_sort_by_time_and_never_collide(house):
    signer = house.ledger.signer
    head = ("ab" * 32,)
    made = [
        file_of(signed(signer, Checkpoint("l", at, {"a": (seq, *head)}).as_json()))[0]
        for at in (0, 1, 10**9, 253_402_300_799)
        for seq in (1, 9, 10)
    ]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    again = file_of(signed(signer, Checkpoint("l", 0, {"a": (1, "cd" * 32)}).as_json()))[0]
    assert again not in made


def test_a_file_is_written_whole_readable_and_never_over_another(tmp_path):
    write(tmp_path, "one.json", b"first\n")
    write(tmp_path, "one.json", b"second\n")
    assert [f.name for f in tmp_path.iterdir()] == ["one.json"]
    assert (tmp_path / "one.json").read_bytes() == b"first\n"
    assert stat.S_IMODE((tmp_path / "one.json").stat().st_mode) & 0o444 == 0o444
    with pytest.raises(OSError, match="No such file"):
        write(tmp_path / "nowhere", "one.json", b"first\n")


def test_what_a_kill_left_half_written_is_not_among_the_checkpoints(tmp_path):
    (tmp_path / ".one.json.0123456789abcdef").write_bytes(b'{"at":1')
    assert list(kept_in(tmp_path)) == []


def test_the_latest_come_first_and_what_cannot_be_one_comes_empty(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_LONGEST", 9)
    for i in range(3):
        write(tmp_path, f"{i}.json", b"content")
    (tmp_path / "README").write_text("what these files are")
    (tmp_path / "3.json").mkdir()
    os.mkfifo(tmp_path / "4.json")
    (tmp_path / "5.json").symlink_to("nowhere")
    (tmp_path / "6.json").write_bytes(b"more than fits")
    strange = [(f"{i}.json", b"") for i in (6, 5, 4, 3)]
    assert list(kept_in(tmp_path)) == [*strange, *((f"{i}.json", b"content") for i in (2, 1, 0))]


def test_a_ledger_holds_to_its_own_checkpoints_as_it_grows(house):
    kept = []
    for i in range(3):
        kept.append(checkpoint_of(house.ledger))
        house.answer(f"question {i}")
    for given in (kept, kept[::-1]):
        held = hold(house.ledger, given)
        assert (sum(seq for seq, _ in held.heads.values()), held.strange) == (8, 0)
    house.reopen()
    assert hold(house.ledger, kept) == held


def test_a_ledger_that_was_rolled_back_is_found(house, tmp_path):
    house.answer("a")
    house.ledger.shut()
    shutil.copytree(house.directory, tmp_path / "backup")
    house.ledger = Ledger.open(house.directory)
    house.answer("b")
    kept = [checkpoint_of(house.ledger)]
    house.ledger.shut()
    shutil.rmtree(house.directory)
    shutil.copytree(tmp_path / "backup", house.directory)
    house.ledger = Ledger.open(house.directory)
    with pytest.raises(LedgerUnavailable, match=r"receipt liver:7 is missing here.*rolled back"):
        hold(house.ledger, kept)
    house.answer("another question grows over it")
    with pytest.raises(LedgerUnavailable, match="receipt liver:7 is another here"):
        hold(house.ledger, kept)


def test_a_ledger_made_anew_in_place_of_another_is_found(house):
    kept = [checkpoint_of(house.ledger)]
    house.ledger.shut()
    for file in house.directory.glob(f"{LEDGER_FILE}*"):
        file.unlink()
    house.ledger = Ledger.open(house.directory)
    with pytest.raises(LedgerUnavailable, match="is of ledger") as refused:
        hold(house.ledger, kept)
    assert "put that one back" in refused.value.hint


def test_a_changed_checkpoint_is_none(house):
    name, content = checkpoint_of(house.ledger)
    said = json.loads(content)
    wrong = [b"", b"{", b"[]", b"null", b"\xff", content[:-30], b"[" * 100_000]
    wrong += [json.dumps(said | {key: value}).encode() for key, value in changes(said).items()]
    wrong += [json.dumps({k: v for k, v in said.items() if k != gone}).encode() for gone in said]
    for changed in wrong:
        with pytest.raises(LedgerUnavailable, match="is no checkpoint, or was changed"):
            read(name, changed)


def changes(said):
    return {
        "at": said["at"] + 1,
        "format": "noisegate receipts end 1",
        "heads": {},
        "key": "ab" * 32,
        "ledger": "cd" * 16,
        "signature": "ab" * 64,
    }


def test_nonsense_that_is_signed_is_no_checkpoint_either(house):
    good = take(house.ledger).as_json()
    for change in ({"at": 10**30}, {"at": None}, {"heads": []}, {"heads": {"liver": 1}}, {"heads": None}):
        with pytest.raises(LedgerUnavailable, match="is no checkpoint"):
            file_of(signed(house.ledger.signer, good | change))


@pytest.fixture
def rolled_back(house, tmp_path):
    """A ledger that was put back, and the checkpoints of before, earliest first."""
    kept = [checkpoint_of(house.ledger)]
    house.ledger.shut()
    shutil.copytree(house.directory, tmp_path / "backup")
    house.ledger = Ledger.open(house.directory)
    house.answer("a")
    kept.append(checkpoint_of(house.ledger))
    house.ledger.shut()
    shutil.rmtree(house.directory)
    shutil.copytree(tmp_path / "backup", house.directory)
    house.ledger = Ledger.open(house.directory)
    return house, kept


def test_files_that_are_added_hide_no_rollback(rolled_back, tmp_path):
    """Whoever may add to the directory, and change nothing in it, is the one it is kept from."""
    house, kept = rolled_back
    for name, content in kept:
        write(tmp_path, name, content)
    foreign = Signer.open(tmp_path)
    for i in range(150):
        write(tmp_path, f"99990101T{i:06d}Z.json", kept[0][1])
    for i in range(150):
        late = {"at": 253_402_300_799 - i, "heads": {"liver": [1, "ab" * 32]}}
        write(tmp_path, *file_of(signed(foreign, take(house.ledger).as_json() | late)))
    with pytest.raises(LedgerUnavailable, match=r"receipt liver:5 is missing here.*rolled back"):
        hold(house.ledger, kept_in(tmp_path))


def test_a_rollback_is_found_however_many_checkpoints_came_after(rolled_back, monkeypatch):
    """It went unnoticed once, and the ledger grew on under checkpoints that hold less."""
    house, kept = rolled_back
    monkeypatch.setattr(checkpoints, "CLOSELY", 2)
    later = [checkpoint_of(house.ledger) for _ in range(5)]
    with pytest.raises(LedgerUnavailable, match="receipt liver:5 is missing"):
        hold(house.ledger, [*later, *kept[::-1]])


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 100_000])
def test_files_that_are_added_do_not_keep_a_gateway_from_starting(house, tmp_path, content):
    name, good = checkpoint_of(house.ledger)
    foreign = Signer.open(tmp_path)
    bad = {"heads": {"liver": [99, "ab" * 32]}}
    kept = [
        ("zz.json", content),
        ("zz.json", good),
        file_of(signed(foreign, take(house.ledger).as_json() | bad)),
        file_of(signed(foreign, take(house.ledger).as_json() | bad | {"ledger": "cd" * 16})),
        (name, good),
    ]
    held = hold(house.ledger, kept)
    assert (held.heads, held.strange) == (take(house.ledger).heads, 4)


def test_a_checkpoint_is_read_under_its_own_name_alone(house):
    name, content = checkpoint_of(house.ledger)
    for wrong in (f"zz{name}", name.upper(), "", f"2{name[1:]}"[::-1]):
        with pytest.raises(LedgerUnavailable, match="is no checkpoint"):
            read(wrong, content)


def test_checkpoints_that_are_all_by_other_keys_are_not_passed_over(house, tmp_path):
    """As they are where a ledger was made anew, its signing key with it."""
    foreign = Signer.open(tmp_path)
    kept = [file_of(signed(foreign, take(house.ledger).as_json()))]
    with pytest.raises(LedgerUnavailable, match="a key that is not this ledger's") as refused:
        hold(house.ledger, kept)
    assert "known_keys" in refused.value.hint
    house.ledger.shut()
    house.ledger = Ledger.open(house.directory, known_keys=[foreign.public])
    assert hold(house.ledger, kept).strange == 0


def test_a_checkpoint_by_a_known_key_binds(house, tmp_path):
    foreign = Signer.open(tmp_path)
    house.ledger.shut()
    house.ledger = Ledger.open(house.directory, known_keys=[foreign.public])
    good = take(house.ledger).as_json()
    for heads in (
        {"liver": [1, "ab" * 32]},
        {"liver": [99, "ab" * 32]},
        {"x": [1, "ab" * 32]},
        {"": [1, ""]},
    ):
        with pytest.raises(LedgerUnavailable, match="rolled back or rewritten"):
            hold(house.ledger, [file_of(signed(foreign, good | {"heads": heads}))])
