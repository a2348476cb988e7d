"""A panel with simulated traits and a few variants that leave little to test, as PLINK's files and ours."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisegate.genotypes import plink
from noisegate.genotypes.packed import unpack
from noisegate.genotypes.store import Store

from ..stores import stores


@dataclass(frozen=True)
class Panel:
    """`cases` is 0 or 1, NaN without a trait; `number` a number; `covariates` has NaN where not known."""

    folder: Path
    store: Store
    cases: np.ndarray
    number: np.ndarray
    covariates: np.ndarray

    def blocks(self):
        return [self.store.read(chunk) for chunk in self.store.chunks()]

    def plink(self, program: str, trait: str, *options: object) -> list[dict[str, str]]:
        """Run one of PLINK's regressions and return its lines by column."""
        out = self.folder / f"out{len(list(self.folder.iterdir()))}"
        more = ("--keep-allele-order", "--allow-no-sex") if program == "plink1.9" else ()
        stores.run(
            program,
            *("--bfile", self.folder / "panel", "--pheno", self.folder / "pheno", "--pheno-name", trait),
            *("--covar", self.folder / "covar", "--threads", 1, "--out", out, *options, *more),
        )
        (file,) = [
            path for path in self.folder.glob(f"{out.name}.*") if path.suffix not in (".log", ".nosex", ".id")
        ]
        heads, *lines = [line.split() for line in file.read_text().splitlines()]
        return [dict(zip(heads, line, strict=True)) for line in lines]


def odd(cases: np.ndarray, number: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """Return variants that say nothing, part cases from controls, miss many calls, or are a covariate."""
    draws = np.random.default_rng(3)
    people = len(cases)
    half = np.where(draws.random(people) < 0.5, -1, draws.integers(0, 3, people))
    rows = [
        np.zeros(people),
        np.full(people, 2),
        np.full(people, -1),
        np.ones(people),
        2 * np.nan_to_num(cases),
        np.where(np.nan_to_num(cases) == 1, draws.integers(0, 2, people), 0),
        np.where(np.nan_to_num(cases) == 1, 2, draws.integers(0, 3, people)),
        half,
        np.where(np.arange(people) < 3, half, -1),
        np.where(np.nan_to_num(cases, nan=-1) == 1, half, -1),
        2 - (np.arange(people) % 400 == 7),
        np.nan_to_num(covariates[:, 1]),
    ]
    return np.array(rows).astype(np.int8)


def panel_of(folder: Path, name: str) -> Panel:
    """Make a panel from a real one, with its own missing calls and more."""
    source = plink.read(stores.panel(name), folder / "source.zarr")
    calls = unpack(source.block(0, len(source.variants)))
    draws = np.random.default_rng(5)
    people = source.people
    covariates = np.column_stack([draws.normal(50, 12, people), draws.integers(0, 2, people)]).astype(float)
    effects = np.where(calls[::1000] < 0, 0, calls[::1000]).T @ draws.normal(0, 0.3, len(calls[::1000]))
    number = effects + 0.02 * covariates[:, 0] + draws.standard_normal(people)
    cases = (number + draws.logistic(0, 0.5, people) > np.quantile(number, 0.6)).astype(float)
    number[draws.random(people) < 0.03] = np.nan
    cases[draws.random(people) < 0.03] = np.nan
    covariates[draws.random(people) < 0.02, 0] = np.nan
    calls[:, :] = np.where(draws.random(calls.shape) < 0.01, -1, calls)
    whole = np.concatenate([calls, odd(cases, number, covariates)])
    variants = stores.variants_of(len(whole))
    store = stores.store_of(folder / "panel.zarr", whole, variants)
    plink.write(store, folder / "panel")
    with (folder / "pheno").open("w") as pheno, (folder / "covar").open("w") as covar:
        pheno.write("FID IID sick level\n")
        covar.write("FID IID age sex\n")
        for i, sample in enumerate(store.samples):
            sick = "NA" if np.isnan(cases[i]) else str(int(cases[i]) + 1)
            level = "NA" if np.isnan(number[i]) else repr(float(number[i]))
            age = "NA" if np.isnan(covariates[i, 0]) else repr(float(covariates[i, 0]))
            pheno.write(f"{sample} {sample} {sick} {level}\n")
            covar.write(f"{sample} {sample} {age} {int(covariates[i, 1])}\n")
    return Panel(folder, store, cases, number, covariates)


def column(lines, name):
    """Return a column as float64, NaN where PLINK says NA."""
    return np.array([np.nan if line[name] in ("NA", "nan", ".") else float(line[name]) for line in lines])
