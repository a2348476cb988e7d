"""`python -m bench genomes`: noise, whole releases, the published tables, and what releases are good for.

A section is a module with `rows(place, scale) -> list[Row]`; it is imported when it runs. To add one, add a
line to SECTIONS.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from bench.rows import Row

Say = Callable[[str], None]

SECTIONS = {
    "kernel": "bench.genomes_kernel",
    "pipeline": "bench.genomes_pipeline",
    "published": "bench.genomes_published",
    "compare": "bench.genomes_compare",
}


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        quick: whether all of it is to take about a minute: small tables, no slow peers.
        repeats: rounds of what is measured in turn.
        people: of the genotypes that noise is put on.
        variants: of the same.
        splits: of panels into cases and controls.
    """

    quick: bool
    repeats: int
    people: int
    variants: int
    splits: int


FULL = Scale(quick=False, repeats=9, people=65_536, variants=64_000, splits=10)
QUICK = Scale(quick=True, repeats=3, people=65_536, variants=16_000, splits=2)


def run(*, quick: bool, only: frozenset[str] | None, say: Say) -> tuple[list[Row], dict[str, str]]:
    """Run the sections and return their rows, and versions.

    Args:
        quick: a minute instead of a quarter of an hour.
        only: names of sections, None for all.
        say: told what is being done.
    """
    scale = QUICK if quick else FULL
    versions = {p: version(p) for p in ("noisegate", "numpy", "numba", "cryptography", "zarr")}
    unknown = (only or frozenset()) - SECTIONS.keys()
    if unknown:
        raise SystemExit(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    rows: list[Row] = []
    for name, module in SECTIONS.items():
        if only is not None and name not in only:
            continue
        started = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="noisegate-bench-") as place:
            rows += import_module(module).rows(Path(place), scale)
        say(f"{name}: {time.perf_counter() - started:.0f} s")
    return rows, versions
