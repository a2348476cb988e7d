"""A reader at a terminal: a shell that keeps its directory and variables, a Python, one gateway at a time."""

import ast
import contextlib
import io
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from .pages import ROOT, Step

HOME = "/home/you"
PORT = "8400"
CLONE = ("catalog.toml", "data", ".venv", "run", "test")
PORTS = range(20_000, 30_000)
PATIENCE = 60  # seconds until a gateway must answer
BASH = "/bin/bash"
_SHELL = "set -o pipefail"
_EXAMPLE_TIME = "2026-01-15 10:00:00"


class Session:
    """Runs the steps of one page in a home directory of its own."""

    def __init__(self, home: Path, python_path: Path) -> None:
        """Start a shell whose home is `home`, in what is to the reader a clone of the source tree."""
        self._directory = home / "noisegate"
        self._directory.mkdir(parents=True)
        for name in CLONE:
            (self._directory / name).symlink_to(ROOT / name)
        self._home = home
        self._port = str(_free_port())
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("NOISEGATE_", "PYTEST"))}
        self._environment = variables | {
            "HOME": str(home),
            "PATH": f"{python_path}:{os.environ['PATH']}",
            # So that a page keeps clear of whoever uses the default port here.
            "NOISEGATE_PORT": self._port,
            "COLUMNS": "200",
        }
        self._served: subprocess.Popen[bytes] | None = None
        self._names: dict[str, object] = {}

    def run(self, step: Step) -> str:
        """Run one step and return what it printed, as the page would show it."""
        if step.language == "stop":
            self.stop()
            return ""
        code = step.code.replace(f":{PORT}", f":{self._port}").replace(f"port {PORT}", f"port {self._port}")
        if step.language == "python":
            return self._clean(self._python(code))
        if step.language == "sql":
            code = f"noisegate ask {shlex.quote(' '.join(code.split()))}"
        # The environment is made already: what ./run would end in is called.
        code = re.sub(r"^\./run$", "noisegate demo", code, flags=re.M)
        code = re.sub(r"^\./run ", "noisegate ", code, flags=re.M)
        if step.how == "in another terminal":
            return self._clean(self._serve(code))
        return self._clean(self._shell(code))

    def stop(self) -> None:
        """Stop the gateway as Ctrl-C does; it must end well."""
        served, self._served = self._served, None
        if served is not None:
            os.killpg(served.pid, signal.SIGINT)
            assert served.wait(PATIENCE) == 0, "the gateway did not stop cleanly"

    def _shell(self, code: str) -> str:
        """Run commands in the shell's directory with its variables, and keep what they changed."""
        state = self._home / ".shell"
        script = f"{_SHELL}\n{code}\ncode=$?\n{{ pwd; env -0; }} > {shlex.quote(str(state))}\nexit $code\n"
        done = subprocess.run(
            [BASH, "-c", script],
            cwd=self._directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
        printed = done.stdout.decode()
        failed = any(
            line.startswith(("error:", "curl:")) or "BROKEN" in line for line in printed.splitlines()
        )
        assert (done.returncode != 0) == failed, f"exit code {done.returncode} of:\n{code}\n{printed}"
        directory, _, variables = state.read_text().partition("\n")
        self._directory = Path(directory)
        pairs = (v.partition("=") for v in variables.split("\0") if v)
        self._environment = {name: value for name, _, value in pairs if name != "_"}
        return printed

    def _serve(self, code: str) -> str:
        assert self._served is None, "a gateway runs already"
        log = self._home / ".served"
        with log.open("wb") as stream:
            self._served = subprocess.Popen(
                [BASH, "-c", f"exec {code}"],
                cwd=self._directory,
                env=self._environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if not _until(lambda: self._answers() and "Ctrl-C" in log.read_text(), self._served):
            served, self._served = self._served, None
            served.kill()
            raise AssertionError(f"no gateway came up ({served.wait()}):\n{log.read_text()}")
        return log.read_text()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/healthz", timeout=1) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False

    def _python(self, code: str) -> str:
        """Run statements as one Python session does; an expression at the end is shown."""
        tree = ast.parse(code)
        last = tree.body[-1] if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        printed = io.StringIO()
        with self._as_shell(), contextlib.redirect_stdout(printed):
            body = ast.Module(tree.body[:-1] if last is not None else tree.body, [])
            exec(compile(body, "<page>", "exec"), self._names)  # noqa: S102 - the page's own code
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "<page>", "eval"), self._names)  # noqa: S307
                if value is not None:
                    print(repr(value))
        return printed.getvalue()

    @contextlib.contextmanager
    def _as_shell(self) -> Iterator[None]:
        """Lend Python the shell's directory and variables."""
        kept = dict(os.environ)
        os.environ.clear()
        os.environ.update(self._environment)
        try:
            with contextlib.chdir(self._directory):
                yield
        finally:
            os.environ.clear()
            os.environ.update(kept)

    def _clean(self, text: str) -> str:
        return text.replace(str(self._home), HOME).replace(f":{self._port}", f":{PORT}")


def as_shown(text: str) -> str:
    """Return output as it is written on a page: no line ends in blanks, and every time is the same."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", _EXAMPLE_TIME, text)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", _EXAMPLE_TIME.replace(" ", "T"), text)
    text = re.sub(r"\b\d{8}T\d{6}Z\b", re.sub("[-:]", "", _EXAMPLE_TIME).replace(" ", "T") + "Z", text)
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def python_path() -> Path:
    """Return where the commands of this environment lie."""
    return Path(sys.executable).parent


def _free_port() -> int:
    """Return a port that is free, and that the system gives to nobody who leaves the choice to it."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise LookupError("no port is free")


def _until(holds: object, served: "subprocess.Popen[bytes]") -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and served.poll() is None:
        if callable(holds) and holds():
            return True
        time.sleep(0.05)
    return False
