"""A study to measure on: people simulated by msprime, with linkage, missing calls, and heritable traits.

A folder holds the same genotypes for everybody: `data.bed` with `.bim` and `.fam` for plink and sgkit,
`data.zarr` for ours; and `case.txt`, `linear.txt` and `covariates.txt`, as plink reads them.
"""

from pathlib import Path

import numpy as np

from noisegate.genotypes import plink
from noisegate.genotypes.packed import pack
from noisegate.genotypes.store import Writer
from noisegate.genotypes.variants import Variants

SEGMENT = 5_000_000  # bases; each is simulated by itself, as one long sequence would take hours
RAREST = 0.01
MISSING = 0.002
BEARING = 10
Calls = np.ndarray


def make(folder: Path, people: int, variants: int) -> None:
    """Write the study into a folder that is there."""
    rng = np.random.default_rng(505)
    calls, places, contigs = _simulated(people, variants)
    case, trait, covariates = _traits(rng, calls)
    calls[rng.random(calls.shape, dtype=np.float32) < MISSING] = -1
    listed = Variants.of(
        contigs, places, [f"rs{i}" for i in range(variants)], ["A"] * variants, ["G"] * variants
    )
    names = [f"p{i}" for i in range(people)]
    writer = Writer.create(folder / "data.zarr", samples=names, variants=listed, public=True)
    for chunk in writer.chunks():
        start, stop = writer.bounds(chunk)
        writer.write(chunk, pack(np.ascontiguousarray(calls[start:stop])))
    plink.write(writer.finish(), folder / "data")
    _write(folder / "case.txt", names, ["case"], (case + 1)[:, None])
    _write(folder / "linear.txt", names, ["trait"], trait[:, None])
    _write(folder / "covariates.txt", names, ["age", "sex", "axis"], covariates)


def _simulated(people: int, variants: int) -> tuple[Calls, list[int], list[str]]:
    """Return calls, int8 of shape (variants, people), that count the rarer allele; positions; chromosomes."""
    import msprime

    parts: list[Calls] = []
    places: list[int] = []
    contigs: list[str] = []
    while len(places) < variants:
        seed = len(parts) + 1
        tree = msprime.sim_ancestry(
            {"CEU": people},
            demography=msprime.Demography._ooa_model(),
            sequence_length=SEGMENT,
            recombination_rate=1.2e-8,
            random_seed=seed,
        )
        told = msprime.sim_mutations(
            tree, rate=1.29e-8, model=msprime.BinaryMutationModel(), random_seed=seed
        )
        alleles = told.genotype_matrix().astype(np.int8)
        calls = alleles[:, 0::2] + alleles[:, 1::2]
        share = calls.mean(axis=1) / 2
        kept = np.minimum(share, 1 - share) >= RAREST
        calls, share = calls[kept], share[kept]
        calls[share > 0.5] = 2 - calls[share > 0.5]
        at = np.array([site.position for site in told.sites()])[kept].astype(np.int64) + 1
        at, first = np.unique(at, return_index=True)
        parts.append(calls[first])
        places += at.tolist()
        contigs += [str(seed)] * len(at)
    return np.concatenate(parts)[:variants], places[:variants], contigs[:variants]


def _traits(rng: np.random.Generator, calls: Calls) -> tuple[Calls, Calls, Calls]:
    """Return who is a case, 0 or 1, a trait in numbers, and three covariates that bear on both."""
    people = calls.shape[1]
    common = np.flatnonzero(calls.mean(axis=1) > 0.4)
    bearing = calls[rng.choice(common, BEARING, replace=False)].astype(float)
    scaled = (bearing - bearing.mean(axis=1, keepdims=True)) / bearing.std(axis=1, keepdims=True)
    genetic = rng.choice([-0.12, 0.12], BEARING) @ scaled
    age, sex, axis = rng.normal(50, 12, people), rng.integers(0, 2, people), rng.normal(0, 1, people)
    rest = 0.02 * (age - 50) + 0.3 * sex + 0.1 * axis
    trait = genetic + rest + rng.normal(0, 1, people)
    liability = 1.6 * genetic + rest + rng.logistic(0, 1, people)
    return (liability > np.median(liability)).astype(int), trait, np.stack([age, sex, axis], axis=1)


def _write(file: Path, names: list[str], columns: list[str], values: Calls) -> None:
    with file.open("w", encoding="ascii") as out:
        out.write(" ".join(["FID", "IID", *columns]) + "\n")
        for name, row in zip(names, values, strict=True):
            out.write(" ".join([name, name, *(f"{v:.6g}" for v in row)]) + "\n")
