"""Replies as bytes: JSON that every reader understands, and the one error shape."""

import json
import logging
import math
import traceback
from collections.abc import Mapping

from starlette.responses import Response

from noisegate.errors import NoisegateError, RequestError, SetupError

# Readers that hold numbers as IEEE doubles keep integers exact up to here.
SAFE_INTEGER = 2**53 - 1
INTERNAL = {
    "error": {
        "code": "internal",
        "message": "something went wrong inside the gateway; it was written to the gateway's log",
        "hint": "try again; if it stays, tell the custodian the time of this reply",
        "detail": {},
    }
}
HEADERS: Mapping[int, Mapping[str, str]] = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}}
# Set in the ASGI scope by whoever knows the outcome, and counted by the frame.
OUTCOME = "noisegate.outcome"

log = logging.getLogger("noisegate.server")


def encode(payload: object) -> bytes:
    """Return JSON: floats are finite or null, integers beyond 2^53 are text.

    >>> encode({"n": 2**60, "x": float("inf")})
    b'{"n":"1152921504606846976","x":null}'
    """
    return json.dumps(_plain(payload), separators=(",", ":"), ensure_ascii=False).encode()


def json_reply(payload: object, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(encode(payload), status, media_type="application/json")


def error_reply(error: BaseException) -> Response:
    """Return the reply for anything that was raised.

    Of an error that is not the asker's to mend only its constant texts are shown; the rest of what it
    says may speak of rows or of the machine.
    """
    if isinstance(error, NoisegateError) and not _must_hide(error):
        headers = HEADERS.get(error.status)
        return Response(encode(error.as_json()), error.status, headers, media_type="application/json")
    log.error("internal error: %s", where(error))
    return json_reply(INTERNAL, 500)


def code_of(error: BaseException) -> str:
    """Return the code under which an outcome is counted."""
    return error.code if isinstance(error, NoisegateError) and not _must_hide(error) else "internal"


def where(error: BaseException) -> str:
    """Return the class of an error and the lines it passed, without its text, which may quote rows."""
    frames = traceback.extract_tb(error.__traceback__)
    return type(error).__name__ + "".join(f" < {f.filename}:{f.lineno}" for f in reversed(frames))


def _must_hide(error: NoisegateError) -> bool:
    if isinstance(error, RequestError):
        return False
    return error.code == "internal" or (isinstance(error, SetupError) and error.status == 500)


def _plain(value: object) -> object:
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) <= SAFE_INTEGER else str(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            raise TypeError(f"{type(value).__name__} is not a JSON value")
