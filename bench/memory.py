"""Peak memory of one question, in a process of its own: Noisegate's engine, or plain DuckDB on the same file.

`python -m bench.memory ours|plain|register …` prints one JSON object; sizes are in MiB. The system's
high-water mark is reset before the question: `question_mib` is what the question took, `peak_mib` all of it.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

GIB = 2**30


class ChildFailedError(Exception):
    """The child did not get to the end: it says why in its last lines."""


def measure(
    kind: str, snapshot: Path, catalog: Path, dataset: str, sql: str, *, threads: int, cap_gib: float | None
) -> dict[str, float]:
    """Run one child and return what it printed."""
    command = [sys.executable, "-m", "bench.memory", kind, str(snapshot), str(catalog), dataset, sql]
    command += ["--threads", str(threads)]
    if cap_gib is not None:
        command += ["--cap-gib", str(cap_gib)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parent.parent, check=False
    )
    if done.returncode != 0:
        raise ChildFailedError("\n".join(done.stderr.strip().splitlines()[-3:]))
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Run one question in this process."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory")
    parser.add_argument("kind", choices=("ours", "plain", "register"))
    parser.add_argument(
        "snapshot", type=Path, help="the snapshot; for `register` the directory to make it in"
    )
    parser.add_argument("catalog", type=Path)
    parser.add_argument("dataset")
    parser.add_argument("sql", help="with {t} for the table")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--cap-gib", type=float)
    given = parser.parse_args()
    limit = "4GB"
    if given.cap_gib is not None:
        # All private writable memory; address space is no measure, since allocators reserve far more.
        resource.setrlimit(resource.RLIMIT_DATA, (int(given.cap_gib * GIB),) * 2)
        limit = f"{int(given.cap_gib * 1024 * 0.75)}MiB"
    work = {"ours": _ours, "plain": _plain, "register": _register}[given.kind]
    print(json.dumps(work(given, limit)))


def _ours(given: argparse.Namespace, limit: str) -> dict[str, float]:
    from noisegate import sql
    from noisegate.catalog.load import load
    from noisegate.engines.duckdb import DuckDB
    from noisegate.engines.snapshot import open_snapshot

    plan = sql.read(given.sql.format(t=f"{given.dataset}.rows"), load(given.catalog))
    snapshots = {given.dataset: open_snapshot(given.snapshot)}
    spill = given.catalog.parent / "spill"
    engine = DuckDB(snapshots, memory_limit=limit, spill=spill, threads=given.threads, timeout_s=600.0)
    with closing(engine):
        return _watched(lambda: engine.run(plan.private))


def _plain(given: argparse.Namespace, limit: str) -> dict[str, float]:
    import duckdb

    with duckdb.connect(config={"threads": given.threads, "memory_limit": limit}) as connection:
        connection.execute(f"ATTACH '{given.snapshot}' AS plain (READ_ONLY)")
        text = given.sql.format(t="plain.main.rows")
        return _watched(lambda: connection.execute(text).fetchall())


def _register(given: argparse.Namespace, _: str) -> dict[str, float]:
    from noisegate.catalog.load import load
    from noisegate.engines.register import register

    dataset = load(given.catalog).dataset(given.dataset)
    assert dataset is not None
    return _watched(lambda: register(dataset, given.catalog.parent, given.snapshot, 1))


def _watched(work: Callable[[], object]) -> dict[str, float]:
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from here
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    peak = peak_mib()
    return {"before_mib": before, "peak_mib": peak, "question_mib": peak - before, "seconds": seconds}


def peak_mib() -> float:
    """Return the most memory that this process has had resident so far."""
    return _status("VmHWM")


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1_024
    raise RuntimeError(f"the system does not tell {name}")


if __name__ == "__main__":
    main()
