from pathlib import Path

import pytest

from noisegate.config import Config, load
from noisegate.errors import SetupError


def loaded(directory: Path, file: str = "", environ: dict[str, str] | None = None, **flags: object) -> Config:
    if file:
        (directory / "noisegate.toml").write_text(file)
    return load(directory=directory, environ=environ or {}, flags=flags)


def test_defaults_are_those_of_the_documentation(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert (config.host, config.port, config.padding_ms) == ("127.0.0.1", 8400, 40)
    assert config.max_request_bytes == 262_144
    assert config.catalog == tmp_path / "catalog.toml"
    assert config.state == tmp_path / "state"


def test_flags_win_over_variables_over_the_file_over_defaults(tmp_path: Path) -> None:
    file = 'port = 1\nthreads = 1\nquery_timeout = 1\nmemory_limit = "1GB"'
    environ = {"NOISEGATE_PORT": "2", "NOISEGATE_THREADS": "2", "NOISEGATE_QUERY_TIMEOUT": "2.5"}
    config = loaded(tmp_path, file, environ, port=3, threads=None)
    assert (config.port, config.threads, config.query_timeout, config.memory_limit) == (3, 2, 2.5, "1GB")


def test_paths_start_where_they_are_written(tmp_path: Path) -> None:
    inner = tmp_path / "etc"
    inner.mkdir()
    (inner / "gate.toml").write_text('state = "var"\ncatalog = "/srv/catalog.toml"')
    config = load(directory=tmp_path, environ={"NOISEGATE_CONFIG": "etc/gate.toml"}, flags={})
    assert (config.state, config.catalog) == (inner / "var", Path("/srv/catalog.toml"))
    again = load(
        directory=tmp_path, environ={"NOISEGATE_CONFIG": "etc/gate.toml"}, flags={"state": Path("here")}
    )
    assert again.state == tmp_path / "here"


def test_the_state_lies_beside_the_catalog(tmp_path: Path) -> None:
    assert loaded(tmp_path, catalog=Path("sub/catalog.toml")).state == tmp_path / "sub" / "state"


def test_a_catalog_here_is_preferred_to_the_one_at_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "catalog.toml").touch()
    assert load(directory=tmp_path, environ={}, flags={}, home=home).catalog == home / "catalog.toml"
    (tmp_path / "catalog.toml").touch()
    assert load(directory=tmp_path, environ={}, flags={}, home=home).catalog == tmp_path / "catalog.toml"


@pytest.mark.parametrize(
    ("file", "environ", "said"),
    [
        ("prot = 1", {}, "prot in noisegate.toml; did you mean 'port'"),
        ("", {"NOISEGATE_THREAD": "1"}, "NOISEGATE_THREAD; did you mean 'threads'"),
        ('port = "many"', {}, "port in noisegate.toml must be a number"),
        ("", {"NOISEGATE_PORT": "many"}, "NOISEGATE_PORT must be a number"),
        ("port = true", {}, "port in noisegate.toml must be of type int"),
        ("port = 1.5", {}, "port in noisegate.toml must be of type int"),
        ("port = 70000", {}, "port must be"),
        ("padding_ms = 41", {}, "padding_ms must be"),
        ("query_timeout = 0", {}, "query_timeout must be"),
        ("query_timeout = nan", {}, "query_timeout must be"),
        ('memory_limit = "lots"', {}, "memory_limit must be"),
        ("max_in_flight = 0", {}, "max_in_flight must be"),
        ("max_request_bytes = 10", {}, "max_request_bytes must be"),
        ("threads = 0", {}, "threads must be"),
        ('host = ""', {}, "host must be"),
        ("checkpoint_every = 0", {}, "checkpoint_every must be"),
        ("checkpoint_every = nan", {}, "checkpoint_every must be"),
        ("", {"NOISEGATE_CHECKPOINTS": ""}, "NOISEGATE_CHECKPOINTS must be a path"),
        ('known_keys = "abc"', {}, "known_keys must be"),
        (f'known_keys = "{"ab" * 32},{"cd" * 32}"', {}, "known_keys must be"),
        ("", {"NOISEGATE_KNOWN_KEYS": "AB" * 32}, "known_keys must be"),
        ("", {"NOISEGATE_LEDGER": ""}, "ledger must be a URL"),
        ('ledger = "postgresql://"', {}, "ledger must be a URL"),
        ('ledger = "mysql://host/db"', {}, "ledger must be a URL"),
        ('ledger = "postgresql://host/db\\n"', {}, "ledger must be a URL"),
        ("ledger = 5432", {}, "ledger in noisegate.toml must be of type str"),
        ('state = ""', {}, "state in noisegate.toml must be a path"),
        ("state = [", {}, "is not TOML"),
        ("", {"NOISEGATE_CONFIG": "nowhere.toml"}, "NOISEGATE_CONFIG names 'nowhere.toml'"),
    ],
)
def test_what_is_unknown_or_impossible_is_refused(
    tmp_path: Path, file: str, environ: dict[str, str], said: str
) -> None:
    with pytest.raises(SetupError) as raised:
        loaded(tmp_path, file, environ)
    assert said in raised.value.message


def test_variables_of_the_client_and_of_others_are_let_be(tmp_path: Path) -> None:
    environ = {"NOISEGATE_URL": "x", "NOISEGATE_TOKEN": "y", "HOME": "/"}
    assert loaded(tmp_path, "", environ) == loaded(tmp_path)


def test_what_need_not_be_set_is_none_and_paths_among_it_are_paths(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert (config.ledger, config.checkpoints, config.checkpoint_every) == (None, None, 300.0)
    environ = {"NOISEGATE_LEDGER": "postgresql://ann@db/noisegate", "NOISEGATE_CHECKPOINTS": "away"}
    config = loaded(tmp_path, "checkpoint_every = 60", environ)
    assert config.ledger == "postgresql://ann@db/noisegate"
    assert (config.checkpoints, config.checkpoint_every) == (tmp_path / "away", 60.0)
    keys = f"{'ab' * 32} {'cd' * 32}"
    assert (config.known_keys, loaded(tmp_path, f'known_keys = "{keys}"').known_keys) == (None, keys)


@pytest.mark.parametrize("url", ["postgresql://ann:s3cret@db/x", "postgres:s3cret@db", "s3cret"])
def test_the_ledger_s_password_is_never_shown(tmp_path: Path, url: str) -> None:
    try:
        told = repr(loaded(tmp_path, "", {"NOISEGATE_LEDGER": url}))
    except SetupError as error:
        told = f"{error.message} {error.hint} {error.as_json()}"
    assert "s3cret" not in told
