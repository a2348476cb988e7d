"""The key that signs what a custodian's ledger declares: new shares of budget, and checkpoints.

One Ed25519 key a state directory, made when it is first needed. Who holds the public key from elsewhere
can tell an entry of this gateway from one that was written later by somebody else.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from noisegate.errors import SetupError
from noisegate.ledger.sqlite import sync_directory

KEY_FILE = "signing.key"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LONGEST = 4096  # bytes; a key in PEM has about 120


class Signer:
    """Holds a private key. Thread-safe."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Take a key; use `open`."""
        self._key = key
        self.public = key.public_key().public_bytes_raw().hex()

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Return the signer of a state directory, its key made durably where there is none yet.

        Two processes that need the key at once get the same one.

        Raises:
            SetupError: the file may be read by others than its owner, or holds no Ed25519 key.
            OSError: it cannot be read or written.
        """
        file = directory / KEY_FILE
        try:
            return cls(_read(file))
        except FileNotFoundError:
            _make(file)
            return cls(_read(file))

    def sign(self, message: bytes) -> str:
        """Return the signature of a message, 64 bytes in hexadecimal."""
        return self._key.sign(message).hex()

    def __repr__(self) -> str:
        """Name the public key, never the private one."""
        return f"<signer {self.public}>"


def signed_by(public: str, signature: str, message: bytes) -> bool:
    """Whether a signature is the one of a message under a public key; both in hexadecimal."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _read(file: Path) -> Ed25519PrivateKey:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        # Of the open file, not of its name: what is judged is what is read.
        if os.fstat(descriptor).st_mode & _OTHERS:
            raise SetupError(
                f"the signing key {file} may be read by others than its owner",
                f"if nobody has read it, chmod 600 {file}; else remove it: a new key is made, and auditors "
                "must be told of it",
            )
        text = stream.read(_LONGEST)
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SetupError(
            f"{file} holds no Ed25519 private key in PEM",
            "put the key back from a backup, or remove the file: a new key is made, and auditors must be "
            "told of it",
        )
    return key


def _make(file: Path) -> None:
    """Write a fresh key, unless another process was quicker; a key is seen whole or not at all."""
    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    unfinished = file.with_name(f".{KEY_FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        try:
            os.link(unfinished, file)  # unlike rename, it never replaces a key that is there
        except FileExistsError:
            return
    finally:
        unfinished.unlink()
        sync_directory(file.parent)
