import stat
import subprocess
import sys
from subprocess import PIPE

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from noisegate.errors import SetupError
from noisegate.ledger.signing import KEY_FILE, Signer, signed_by


def test_a_key_is_made_once_and_signs_the_same_ever_after(tmp_path):
    signer = Signer.open(tmp_path)
    again = Signer.open(tmp_path)
    assert signer.public == again.public
    assert signer.sign(b"message") == again.sign(b"message")
    assert len(bytes.fromhex(signer.public)) == 32
    assert signed_by(signer.public, again.sign(b"message"), b"message")
    assert [f.name for f in tmp_path.iterdir()] == [KEY_FILE]


def test_another_message_key_or_signature_is_not_signed(tmp_path):
    signer = Signer.open(tmp_path)
    (tmp_path / "other").mkdir()
    other = Signer.open(tmp_path / "other")
    signature = signer.sign(b"message")
    assert other.public != signer.public
    assert not signed_by(signer.public, signature, b"messagf")
    assert not signed_by(other.public, signature, b"message")
    changed = f"{int(signature[0], 16) ^ 1:x}{signature[1:]}"
    assert not signed_by(signer.public, changed, b"message")
    for nonsense in ("", "zz", "ab" * 31, "ab" * 33, "é" * 64, signature):
        assert not signed_by(nonsense, signature, b"message")
    for nonsense in ("", "zz", "ab" * 63, "ab" * 65, signer.public):
        assert not signed_by(signer.public, nonsense, b"message")


def test_only_its_owner_may_read_the_key(tmp_path):
    Signer.open(tmp_path)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o601, 0o610])
def test_a_key_that_others_may_read_is_refused(tmp_path, mode):
    Signer.open(tmp_path)
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(SetupError, match="read by others") as refused:
        Signer.open(tmp_path)
    assert "chmod 600" in refused.value.hint


def of_another_kind():
    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("text", [b"", b"nonsense", b"\xff" * 10_000, of_another_kind()])
def test_a_file_that_holds_no_key_of_this_kind_is_refused_and_stays_as_it_is(tmp_path, text):
    file = tmp_path / KEY_FILE
    file.write_bytes(text)
    file.chmod(0o600)
    with pytest.raises(SetupError, match="no Ed25519"):
        Signer.open(tmp_path)
    assert file.read_bytes() == text


def test_the_private_key_shows_in_no_repr(tmp_path):
    signer = Signer.open(tmp_path)
    assert repr(signer) == f"<signer {signer.public}>"


CHILD = """
import sys, pathlib
from noisegate.ledger.signing import Signer
print(flush=True)
sys.stdin.readline()
print(Signer.open(pathlib.Path(sys.argv[1])).public)
"""


def test_processes_that_need_the_key_at_once_get_the_same_one(tmp_path):
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    children = [subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True) for _ in range(4)]
    for child in children:
        child.stdout.readline()  # all have imported what they need, and wait
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    keys = {child.communicate(timeout=60)[0] for child in children}
    assert len(keys) == 1
    assert len(keys.pop().strip()) == 64
    assert [f.name for f in tmp_path.iterdir()] == [KEY_FILE]
