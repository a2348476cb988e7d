"""Peers as child processes, each in its own virtual environment, spoken to in JSON lines."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).parent
PEERS: Mapping[str, tuple[str, str]] = {
    "smartnoise-sql": ("smartnoise", "smartnoise_sql.py"),
    "OpenDP Polars": ("opendp", "opendp_polars.py"),
    "PipelineDP": ("pipelinedp", "pipelinedp_local.py"),
}


class PeerMissingError(Exception):
    """The peer's virtual environment is not there; bench/peers/install.sh makes it."""


class Peer:
    """A peer that has its data loaded and waits for questions. Close it, or use it as a context."""

    def __init__(self, name: str) -> None:
        venv, script = PEERS[name]
        python = HERE / ".venvs" / venv / "bin" / "python"
        if not python.exists():
            raise PeerMissingError(f"{name} is not installed: run bench/peers/install.sh")
        self.name = name
        self.versions: dict[str, str] = {}
        self._child = subprocess.Popen(
            [python, HERE / "peers" / script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def load(self, path: Path, *, rows: int, groups: int, epsilon: float, delta: float) -> None:
        """Let the peer read the table and learn the bounds: rows a person, groups a person."""
        reply = self._talk(
            {
                "do": "load",
                "path": str(path),
                "rows": rows,
                "groups": groups,
                "epsilon": epsilon,
                "delta": delta,
            }
        )
        if "cannot" in reply:
            raise RuntimeError(f"{self.name} could not load: {reply['cannot']}")
        self.versions = reply["versions"]

    def ask(self, question: str) -> dict:
        """Return {"seconds", "answers", "spent"}, or {"seconds", "cannot"}."""
        return self._talk({"do": "ask", "question": question})

    def _talk(self, request: dict) -> dict:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(request) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            return {"cannot": "the peer's process ended", "seconds": 0.0}
        return json.loads(line)

    def close(self) -> None:
        """End the child."""
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                stream.close()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
