"""Real panels and programs that tests use where they are at hand."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from noisegate.genotypes.packed import Block, pack
from noisegate.genotypes.store import Store, Writer
from noisegate.genotypes.variants import Variants

GENOMES = Path(__file__).parents[3] / "shared" / "data" / "genomes"


def panel(name: str) -> Path:
    """Return the .bed of a panel: kg1 or ceu22."""
    path = GENOMES / f"{name}.bed"
    if not path.exists():
        pytest.skip(f"{name} is not here: the shared data are needed")
    return path


def run(program: str, *arguments: object) -> str:
    """Run plink1.9 or plink2 and return what it says; skip where it is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def variants_of(count: int, chrom: str = "1") -> Variants:
    """Return some variants with ids, 1,000 bases from each other."""
    rows = range(count)
    ref = ["ACGT"[i % 4] for i in rows]
    alt = ["CGTA"[i % 4] for i in rows]
    return Variants.of([chrom] * count, [1_000 + i * 1_000 for i in rows], [f"rs{i}" for i in rows], ref, alt)


def calls_of(variants: int, people: int, seed: int = 7) -> np.ndarray:
    """Return calls of all four kinds, int8."""
    draws = np.random.default_rng(seed)
    return draws.choice(np.array([-1, 0, 1, 2], np.int8), size=(variants, people), p=[0.05, 0.5, 0.3, 0.15])


def store_of(path: Path, calls: np.ndarray, variants: Variants | None = None, **options: object) -> Store:
    """Return a store of the calls given."""
    listed = variants if variants is not None else variants_of(len(calls))
    writer = Writer.create(path, samples=[f"p{i}" for i in range(calls.shape[1])], variants=listed, **options)
    for chunk in writer.chunks():
        writer.write(chunk, pack(calls[slice(*writer.bounds(chunk))]))
    return writer.finish()


def same(a: Block, b: Block) -> bool:
    """Whether two blocks are equal bit for bit."""
    return a.people == b.people and np.array_equal(a.hi, b.hi) and np.array_equal(a.lo, b.lo)
