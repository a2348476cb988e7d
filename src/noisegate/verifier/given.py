"""What a verification is given beside the file: known keys, and kept checkpoints."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from .forms import is_hex


def key_of(text: str) -> str:
    """Return a public key in hexadecimal, from such text or from a file of it, in hexadecimal or PEM.

    Raises:
        ValueError: it is neither.
        OSError: the file cannot be read.
    """
    if is_hex(text, 32):
        return text
    content = Path(text).read_bytes()
    if is_hex(held := content.decode("latin-1").strip(), 32):
        return held
    try:
        key = load_pem_public_key(content)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{text} holds no Ed25519 public key, in hexadecimal or PEM")
    return key.public_bytes_raw().hex()


def checkpoints_in(directory: Path) -> dict[str, bytes]:
    """Return the contents of all checkpoints in a directory, by name.

    Raises:
        OSError: it cannot be read.
    """
    return {file.name: file.read_bytes() for file in sorted(directory.iterdir()) if file.suffix == ".json"}
