"""Genotypes to try attacks and measures on; a test skips where they are absent."""

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from noisegate.genotypes.packed import pack

DATA = Path(__file__).parents[3] / "shared" / "data"


def shared(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} of the shared data is not here")
    return path


@lru_cache(maxsize=1)
def kg1() -> np.ndarray:
    """Calls of the 1000 Genomes phase 1 panel: int8 (14079 variants, 1092 people), second allele."""
    people = len(shared("genomes/kg1.fam").read_text().splitlines())
    packed = np.fromfile(shared("genomes/kg1.bed"), np.uint8)[3:].reshape(-1, -(-people // 4))
    calls = np.array([0, -1, 1, 2], np.int8)
    return np.stack([calls[packed >> 2 * k & 3] for k in range(4)], axis=2).reshape(len(packed), -1)[
        :, :people
    ]


@lru_cache(maxsize=1)
def british_and_finnish() -> np.ndarray:
    """Minor alleles of the people of kg1 who are GBR or FIN, at variants with a frequency over 5 %."""
    names = [line.split()[0] for line in shared("genomes/kg1.fam").read_text().splitlines()]
    with shared("genomes/kg3_samples.csv").open() as stream:
        population = {row["sample"]: row["population"] for row in csv.DictReader(stream)}
    calls = kg1()[:, [population.get(name) in ("GBR", "FIN") for name in names]]
    frequency = calls.mean(axis=1) / 2
    minor = np.where(frequency[:, None] > 0.5, 2 - calls, calls).astype(np.int8)
    return minor[np.minimum(frequency, 1 - frequency) > 0.05]


@lru_cache(maxsize=2)
def lactose(which: str) -> np.ndarray:
    """Calls of the published lactose target or reference, int8 (9091 variants, 60 people)."""
    table = pq.read_table(shared(f"opensnp/lactose_{which}.parquet"))
    return np.stack([column.to_numpy() for column in table.drop(["sample"]).columns]).astype(np.int8)


def random_calls(rng: np.random.Generator, variants: int, people: int, missing: float = 0.0) -> np.ndarray:
    frequency = rng.uniform(0.05, 0.5, (variants, 1))
    calls = rng.binomial(2, frequency, (variants, people)).astype(np.int8)
    calls[rng.random(calls.shape) < missing] = -1
    return calls


class Cut:
    """Calls in blocks of given widths."""

    def __init__(self, calls, widths, public=False, noisy=False):
        self.calls, self.widths, self.public, self.noisy = calls, widths, public, noisy
        self.people = calls.shape[1]

    def blocks(self):
        start = 0
        for width in self.widths:
            yield start, pack(np.ascontiguousarray(self.calls[start : start + width]))
            start += width
