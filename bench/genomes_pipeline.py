"""A whole release: a store is read, noise is put on, counts are restored, another store is written.

`python -m bench.genomes_pipeline SOURCE TARGET` does it once, in a process of its own, and prints JSON: CPU
seconds of each stage, and the most memory that was resident, in MiB.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from bench.genomes import Scale
from bench.memory import peak_mib
from bench.rows import Row, at_least, at_most, shown
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.laws import Independent
from noisegate.genomics.perturb import bernoulli, perturb
from noisegate.genomics.restore import restore
from noisegate.genotypes.packed import Block
from noisegate.genotypes.store import Store, Writer
from noisegate.genotypes.variants import Variants

UNIT = "Gbit/CPU-s"
LEAST = 4.0
MIB = 1_024.0
FLIP = 0.2
STAGES = ("read", "noise", "restore", "write")
BIOBANK = (500_000, 800_000)
WIDE = (1_024, 4_096)  # variants of all people of a biobank


def rows(place: Path, scale: Scale) -> list[Row]:
    """Return the rows of target 1 that speak of whole releases, and what they say of a biobank."""
    people, variants = scale.people, scale.variants
    usual = [_run(place, people, variants) for _ in range(1 if scale.quick else 3)]
    name = f"a release, {people:,} × {variants:,}"
    gbit = 2 * people * variants / 1e9
    found = [at_least(f"{name}: all of it", [gbit / u["total"] for u in usual], LEAST, UNIT)]
    found += [shown(f"{name}: {s}", [gbit / u[s] for u in usual], UNIT) for s in STAGES]
    found.append(at_most(f"{name}: peak memory", [u["peak_mib"] for u in usual], MIB, "MiB"))
    few, more = (WIDE[0] // 2, WIDE[1] // 2) if scale.quick else WIDE
    wide = {m: _run(place, BIOBANK[0], m) for m in (few, more)}
    others = {(BIOBANK[0], more): wide[more]}
    if not scale.quick:
        others[people, variants // 4] = _run(place, people, variants // 4)
    for (n, m), one in others.items():
        found.append(at_most(f"a release, {n:,} × {m:,}: peak memory", [one["peak_mib"]], MIB, "MiB"))
    return found + _extrapolated(wide)


def _extrapolated(wide: dict[int, dict[str, float]]) -> list[Row]:
    """Return what a biobank takes: as much as few variants, and the rest in proportion to what more took."""
    (few, begun), (more, done) = wide.items()
    times = (BIOBANK[1] - few) / (more - few)
    name = f"extrapolated to {BIOBANK[0]:,} × {BIOBANK[1]:,}"
    told = f"{few:,} variants, and {times:,.4g} × what {more - few:,} more took"
    gigabytes = 2 * BIOBANK[0] * BIOBANK[1] / 8e9
    seconds = {s: begun[s] + times * (done[s] - begun[s]) for s in (*STAGES, "total")}
    return [
        *(shown(f"{name}: {s}", [seconds[s]], "CPU-s", told) for s in STAGES),
        shown(f"{name}: all of it", [seconds["total"] / 3_600], "CPU-h", told),
        shown(f"{name}: read from disk, and written to it", [gigabytes], "GB", "two bits a genotype"),
    ]


def make(path: Path, people: int, variants: int) -> None:
    """Write a store of people in Hardy-Weinberg equilibrium, most alleles rare, as they are in genomes."""
    numbers = np.arange(1, variants + 1)
    named = Variants.of(
        ["1"] * variants, numbers.tolist(), [f"v{n}" for n in numbers], ["A"] * variants, ["G"] * variants
    )
    writer = Writer.create(path, samples=(f"p{n}" for n in range(people)), variants=named)
    key = ReleaseKey(os.urandom(16))
    rates = np.clip(np.random.default_rng().beta(0.3, 0.9, variants), 0.005, 0.99)
    for chunk in writer.chunks():
        start, stop = writer.bounds(chunk)
        chances = (rates[start:stop] * 2**64).astype(np.uint64)
        one, other = (bernoulli(key, chunk, chances, people, domain=d) for d in (32, 48))
        writer.write(chunk, Block(one & other, one | other, people))
    writer.finish()


def release(source: Store, target: Path) -> dict[str, float]:
    """Release a store, and return CPU seconds of each stage and of all."""
    seconds = dict.fromkeys(STAGES, 0.0)
    key = ReleaseKey(os.urandom(16))
    flip = np.full(2 * len(source.variants), int(FLIP * 2**64), np.uint64)
    law = Independent(flip)
    wanted = np.random.default_rng().beta(0.3, 0.9, len(source.variants)) * source.people
    counts = wanted.astype(np.int64)
    begin = last = time.process_time()

    def lap(stage: str) -> None:
        nonlocal last
        now = time.process_time()
        seconds[stage] += now - last
        last = now

    writer = Writer.create(
        target, samples=source.samples, variants=source.variants, noisy=True, chunk=source.chunk
    )
    lap("write")
    for chunk in source.chunks():
        start, stop = source.bounds(chunk)
        block = source.read(chunk)
        lap("read")
        perturb(block, law.slice(start, stop), key, chunk, out=block)
        lap("noise")
        restore(block, counts[start:stop], key, chunk, out=block)
        lap("restore")
        writer.write(chunk, block)
        lap("write")
    writer.finish()
    lap("write")
    return {**seconds, "total": last - begin}


def _run(place: Path, people: int, variants: int) -> dict[str, float]:
    """Make a store unless there is one, and release it in a process of its own."""
    source, target = place / f"{people}-{variants}.zarr", place / "released.zarr"
    if not source.exists():
        make(source, people, variants)
    command = [sys.executable, "-m", "bench.genomes_pipeline", str(source), str(target)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parent.parent, check=False
    )
    if done.returncode != 0:
        raise RuntimeError("\n".join(done.stderr.strip().splitlines()[-3:]))
    shutil.rmtree(target)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Release one store, for the second time: the first compiles, and touches the process's memory."""
    source, target = (Path(a) for a in sys.argv[1:])
    release(Store.open(source), target)
    shutil.rmtree(target)
    found = release(Store.open(source), target)
    print(json.dumps({**found, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
