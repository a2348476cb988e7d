"""The lactose tables of openSNP as stores, and findings on them, honest or falsified as in print."""

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from noisegate.genomics import design, published
from noisegate.genomics.account import account
from noisegate.genomics.association import genotype_counts
from noisegate.genomics.chunks import Flips, Moved
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.keystream import KeyStream
from noisegate.genomics.laws import Response
from noisegate.genomics.mechanism import Flipping
from noisegate.genomics.prepare import prepared
from noisegate.genomics.targets import PublicTarget
from noisegate.genomics.verifying.evidence import AsPublished, Rows
from noisegate.genomics.verifying.findings import Findings, findings_of
from noisegate.genomics.verifying.statistic import Test, p_values
from noisegate.genotypes.store import Store

from ..stores import stores

DATA = Path(__file__).parents[4] / "shared" / "data" / "opensnp"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the openSNP tables are not here")
LEVEL = 0.05


@dataclass(frozen=True)
class Study:
    """Cases and controls as stores, and the exact counts of both."""

    cases: Store
    controls: Store

    @property
    def counts(self):
        return genotype_counts(self.cases), genotype_counts(self.controls)

    def p(self, test: str) -> np.ndarray:
        return p_values(Test(test), *self.counts)


def lactose(folder: Path) -> Study:
    def store(name):
        table = pq.read_table(DATA / f"lactose_{name}.parquet").drop(["sample"])
        calls = np.stack([column.to_numpy() for column in table.columns]).astype(np.int8)
        return stores.store_of(folder / f"{name}.zarr", calls, public=True)

    return Study(store("target"), store("reference"))


def findings(names, p: np.ndarray, digits: int | None = None) -> Findings:
    """Findings where p is below LEVEL, with all digits or some."""
    told = [repr(float(x)) if digits is None else f"{x:.{digits - 1}e}" for x in p]
    return findings_of([{"variant": n, "p": t} for n, t, x in zip(names, told, p, strict=True) if x < LEVEL])


def flipped(p: np.ndarray, share: float, draws: np.random.Generator) -> np.ndarray:
    """A share of the p-values replaced by uniform numbers, as in the published experiments."""
    return np.where(draws.uniform(size=p.shape) < share, draws.uniform(size=p.shape), p)


def noised(p: np.ndarray, deviation: float, draws: np.random.Generator) -> np.ndarray:
    """Normal noise on all p-values, clipped, as in the published experiments."""
    return np.clip(p + draws.normal(0, deviation, p.shape), 0, 1)


@cache
def _correlations(path: Path):
    return published.correlations(Store.open(path))


def as_published(study: Study, epsilon: int, *, to_exact: bool = True) -> AsPublished:
    scheme = published.scheme(_correlations(study.controls.path), Fraction(epsilon))
    return AsPublished(
        study.cases, scheme, study.controls, to_exact, {"kind": "as published", "law": str(epsilon)}
    )


def copied(evidence: AsPublished, study: Study, key: bytes) -> AsPublished:
    """A release of it, drawn with a key."""
    towards = None if evidence.to_exact else study.controls
    blocks = published.release(study.cases, evidence.scheme, KeyStream(ReleaseKey(key)), towards)
    return replace(evidence, released=released(study.cases, [block for _, block in blocks]))


def rows(study: Study, method: str, epsilon: int, *, restored: bool = False) -> Rows:
    variants = len(study.cases.variants)
    make = design.response if method == "response" else design.independent
    law = make(variants, Fraction(epsilon), Fraction(0))
    target = PublicTarget.of(prepared(study.controls, study.controls), variants) if restored else None
    mechanism = Flipping(law, account(law), target, None, None)
    return Rows(study.cases, mechanism, study.cases.chunk, {"kind": method, "law": law.digest()})


def drawn(evidence: Rows, study: Study, key: bytes) -> Rows:
    """A release of it, drawn with a key."""
    mechanism = evidence.mechanism
    moved = None
    if mechanism.target is not None:
        from noisegate.genomics import chains

        shares = chains.margins(mechanism.target.shares.frequency, None)
        moved = Moved(mechanism.target, shares if isinstance(mechanism.law, Response) else None)
    flips = Flips(prepared(study.cases, study.cases), mechanism.law, moved)
    variants = len(study.cases.variants)
    parts = [
        flips.block(number, start, min(start + evidence.chunk, variants), ReleaseKey(key))
        for number, start in enumerate(range(0, variants, evidence.chunk))
    ]
    return replace(evidence, released=released(study.cases, parts))


def released(like: Store, parts):
    """A release in memory, in the place of its store."""
    return _Released(like, parts)


class _Released:
    """A release in memory, in the place of its store."""

    def __init__(self, like: Store, parts) -> None:
        self.people, self.variants, self.build = like.people, like.variants, like.build
        self.noisy, self.public = True, True
        self._parts = parts

    def blocks(self):
        start = 0
        for part in self._parts:
            yield start, part
            start += part.variants
