"""The forms that all of it is written in: canonical JSON, hashes, signatures, losses."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

GENESIS = "0" * 64
ORDER_COUNT = 17  # of Rényi divergences in a loss: 16 finite orders, and infinity
INFINITE = 2**63 - 1
_TAG = b"noisegate receipt 1"
_FRACTION = re.compile(r"\d{1,100}(/[1-9]\d{0,99})?")
_HEX = re.compile(r"[0-9a-f]*")


class Fault(Exception):
    """What is wrong."""


def _refused(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
_DECODER = json.JSONDecoder(parse_constant=_refused)
canonical = _ENCODER.encode
parsed = _DECODER.decode


def read(text: str, what: str) -> dict[str, Any]:
    """Return a JSON object that is written in the one way it can be; else raise Fault."""
    found = parsed(text)
    if not isinstance(found, dict) or canonical(found) != text:
        raise Fault(f"{what} is not a JSON object in canonical form")
    return found


def line_of(raw: bytes, what: str) -> str:
    """Return a whole line's text without its end; else raise Fault."""
    if not raw.endswith(b"\n"):
        raise Fault(f"{what} is cut off")
    return raw[:-1].decode("ascii")


def hash_of(previous: str, chain: str, number: int, kind: str, charge: int | None, at: int, body: str) -> str:
    """Return a receipt's hash: SHA-256 of eight texts, each after its length in eight bytes."""
    of = "" if charge is None else str(charge)
    fields = (previous, chain, str(number), kind, of, str(at), body)
    packed = [len(_TAG).to_bytes(8, "big"), _TAG]
    for text in fields:
        encoded = text.encode()
        packed += (len(encoded).to_bytes(8, "big"), encoded)
    return hashlib.sha256(b"".join(packed)).hexdigest()


def is_hex(value: object, size: int) -> bool:
    """Whether a value is so many bytes in hexadecimal, small letters."""
    return isinstance(value, str) and len(value) == 2 * size and _HEX.fullmatch(value) is not None


def whole(value: object, least: int = 0) -> int:
    """Return a whole number that is no less than `least`; else raise Fault."""
    if type(value) is not int or value < least:
        raise Fault(f"{value!r} is not a whole number of {least} or more")
    return value


def word(value: object) -> str:
    """Return a text; else raise Fault."""
    if not isinstance(value, str):
        raise Fault(f"{value!r} is not a text")
    return value


def fraction(value: object) -> Fraction:
    """Return a number written as `1/1000000` or `10`; else raise Fault."""
    if not isinstance(value, str) or not _FRACTION.fullmatch(value):
        raise Fault(f"{value!r} is not a fraction")
    return Fraction(value)


def vector(value: object) -> list[int]:
    """Return a loss's entries, one an order; else raise Fault."""
    if not isinstance(value, list) or len(value) != ORDER_COUNT or set(map(type, value)) != {int}:
        raise Fault("a loss has not one whole number an order")
    if min(value) < 0 or max(value) > INFINITE:
        raise Fault("a loss is out of range")
    return value


class Keys:
    """Checks signatures, and remembers the keys that made them. Without `pinned` any key will do."""

    def __init__(self, pinned: Collection[str]) -> None:
        """Take public keys in hexadecimal."""
        self.pinned = frozenset(pinned)
        self.used: dict[str, Ed25519PublicKey] = {}

    def check(self, what: str, tag: bytes, value: Mapping[str, Any]) -> None:
        """Raise Fault unless a value is signed by the key that it names, and that key is known."""
        key, signature = value.get("key"), value.get("signature")
        if not isinstance(key, str) or not is_hex(key, 32) or not is_hex(signature, 64):
            raise Fault(f"{what} has no key and signature in hexadecimal")
        if self.pinned and key not in self.pinned:
            raise Fault(f"{what} is signed by {key}, which is not a known key")
        message = tag + canonical({k: v for k, v in value.items() if k != "signature"}).encode()
        public = self.used.get(key) or Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        try:
            public.verify(bytes.fromhex(str(signature)), message)
        except InvalidSignature:
            raise Fault(f"the signature of {what} is wrong") from None
        self.used[key] = public
