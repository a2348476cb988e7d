"""Where the gateway keeps its state, what it listens on, and its limits.

A setting comes from a command-line flag, else a NOISEGATE_… variable, else noisegate.toml, else its
default. A name nobody knows is refused: a misspelt limit would otherwise be silently absent.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from noisegate.errors import SetupError

FILE = "noisegate.toml"
PREFIX = "NOISEGATE_"
POSTGRES = "postgresql://"
LEDGER_EXAMPLE = "postgresql://noisegate@db.example.org/noisegate"
# Read by the command line and the client, not by the gateway.
OTHER_VARIABLES = frozenset({"URL", "TOKEN", "CONFIG"})
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SCHEDULER = re.compile(r"(tls|tcp)://[^\s/@]+:\d{1,5}", re.ASCII)
_SIZE = re.compile(r"\d+(\.\d+)?\s*([KMGT]i?B|B)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Config:
    """All settings, checked. Times are in seconds unless the name says otherwise, sizes in bytes.

    Attributes:
        catalog: the catalog file.
        state: the directory of the ledger, the registered data, the key and the demo's tokens.
        host: the address to listen on.
        port: the TCP port to listen on; 0 lets the system choose.
        memory_limit: what the engine may use, as DuckDB writes sizes.
        threads: how many threads one question may use in the engine.
        query_timeout: how long the engine may work on one question.
        max_request_bytes: the largest request body.
        padding_ms: fresh answers leave at whole multiples of this many milliseconds; 0 to 40.
        max_in_flight: how many questions may be in progress; more are told to come back.
        ledger: the URL of the PostgreSQL database that is the ledger; None for SQLite in the state directory.
            It may hold a password, so it is never shown.
        checkpoints: the directory that signed checkpoints of the ledger are written to; None for nowhere.
        checkpoint_every: how often, in seconds.
        known_keys: further public keys that sign for the ledger, in hexadecimal, with blanks between them;
            None for none.
        scheduler: the address of a Dask scheduler whose workers make releases of genomes, over TLS; None for
            threads here.
    """

    catalog: Path
    state: Path
    host: str = "127.0.0.1"
    port: int = 8400
    memory_limit: str = "2GB"
    threads: int = field(default_factory=lambda: min(os.cpu_count() or 1, 8))
    query_timeout: float = 60.0
    max_request_bytes: int = 256 * 1024
    padding_ms: int = 40
    max_in_flight: int = 64
    ledger: str | None = field(default=None, repr=False)
    checkpoints: Path | None = None
    checkpoint_every: float = 300.0
    known_keys: str | None = None
    scheduler: str | None = None

    def __post_init__(self) -> None:
        _check(bool(self.host), "host", "an address to listen on")
        _check(0 <= self.port <= 65_535, "port", "a whole number of 0 to 65535")
        _check(_SIZE.fullmatch(self.memory_limit) is not None, "memory_limit", "a size such as '2GB'")
        _check(1 <= self.threads <= 1_024, "threads", "a whole number of 1 to 1024")
        _check(0 < self.query_timeout <= 86_400, "query_timeout", "seconds, above 0 and at most a day")
        _check(
            1_024 <= self.max_request_bytes <= 2**30, "max_request_bytes", "a whole number of 1024 to 2^30"
        )
        _check(0 <= self.padding_ms <= 40, "padding_ms", "a whole number of 0 to 40")
        _check(1 <= self.max_in_flight <= 1_024, "max_in_flight", "a whole number of 1 to 1024")
        url = self.ledger
        _check(url is None or _is_postgres(url), "ledger", f"a URL such as {LEDGER_EXAMPLE}")
        _check(1 <= self.checkpoint_every <= 86_400, "checkpoint_every", "seconds, 1 to 86400")
        keys = self.known_keys is None or all(map(_KEY.fullmatch, self.known_keys.split()))
        scheduler = self.scheduler is None or _SCHEDULER.fullmatch(self.scheduler) is not None
        _check(scheduler, "scheduler", "an address such as tls://scheduler.example.org:8786")
        _check(keys, "known_keys", "public keys of 64 hexadecimal digits each, small letters")


def _is_postgres(url: str) -> bool:
    return url.startswith(POSTGRES) and len(url) > len(POSTGRES) and url.isprintable() and " " not in url


def _kind(declared: Any) -> type:
    """Return the type of a setting; of one that may be absent, its type where it is there."""
    kinds = [kind for kind in get_args(declared) or (declared,) if kind is not type(None)]
    if len(kinds) != 1 or not isinstance(kinds[0], type):
        raise TypeError(f"{declared} is no type of a setting")
    return kinds[0]


KINDS: Mapping[str, type] = {f.name: _kind(f.type) for f in fields(Config)}


def load(
    *,
    directory: Path,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    home: Path | None = None,
) -> Config:
    """Return the settings in force.

    Args:
        directory: where relative paths of flags and variables start, and noisegate.toml is looked for.
        environ: the environment; NOISEGATE_CONFIG names another file than noisegate.toml.
        flags: settings by name as given on the command line; None means not given.
        home: where to look for a catalog when `directory` holds none, such as the source checkout.

    Raises:
        SetupError: an unknown name, or a value that is not what it should be.
    """
    named = environ.get(PREFIX + "CONFIG")
    path = directory / (named or FILE)
    if named and not path.is_file():
        raise SetupError(f"NOISEGATE_CONFIG names {named!r}, which is not there")
    given: dict[str, object] = {}
    if path.is_file():
        given |= _from_file(path)
    given |= _from_variables(environ, directory)
    given |= {name: _read(name, v, directory, f"--{name}") for name, v in flags.items() if v is not None}
    catalog = given.setdefault("catalog", _default_catalog(directory, home))
    # The state lies beside the catalog it belongs to, wherever the command was started.
    given.setdefault("state", Path(str(catalog)).parent / "state")
    return Config(**given)  # type: ignore[arg-type]  # _read made each value of its own type


def _default_catalog(directory: Path, home: Path | None) -> Path:
    here = directory / "catalog.toml"
    if not here.is_file() and home is not None and (home / "catalog.toml").is_file():
        return home / "catalog.toml"
    return here


def _from_file(path: Path) -> dict[str, object]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise SetupError(f"{path} is not TOML: {wrong}") from None
    return {name: _read(name, value, path.parent, f"{name} in {path.name}") for name, value in values.items()}


def _from_variables(environ: Mapping[str, str], directory: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for variable, text in environ.items():
        name = variable.removeprefix(PREFIX)
        if name == variable or name in OTHER_VARIABLES:
            continue
        found[name.lower()] = _read(name.lower(), text, directory, variable)
    return found


_FROM_TEXT: Mapping[type, Callable[[str], object]] = {int: int, float: float}


def _read(name: str, value: object, directory: Path, place: str) -> object:
    """Return a setting as its own type; text is converted, as variables are always text."""
    kind = KINDS.get(name)
    if kind is None:
        raise SetupError(f"unknown setting: {place}{_nearest(name, KINDS)}", f"known: {', '.join(KINDS)}")
    if kind is Path and isinstance(value, str | Path) and str(value):
        return directory / Path(value).expanduser()
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and kind in _FROM_TEXT:
        try:
            return _FROM_TEXT[kind](value)
        except ValueError:
            raise SetupError(f"{place} must be a number, not {value!r}") from None
    if isinstance(value, kind) and not isinstance(value, bool):
        return value
    raise SetupError(f"{place} must be {'a path' if kind is Path else f'of type {kind.__name__}'}")


def _nearest(word: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def _check(fits: bool, name: str, what: str) -> None:
    if not fits:
        raise SetupError(f"{name} must be {what}")
