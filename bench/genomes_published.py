"""The published two-stage scheme on its authors' own tables: their figures again, and what they cost.

Public data alone: openSNP's lactose tables, 60 people and 9,091 variants on either side.
"""

import os
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from bench.rows import Row
from noisegate.genomics import published
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.keystream import KeyStream
from noisegate.genomics.measures import Errors, errors
from noisegate.genotypes.packed import pack
from noisegate.leakage.genomes import Held

DATA = Path(__file__).parents[2] / "shared" / "data" / "opensnp"
NEAR = 0.001
# What the authors' table of times says of 10,000 variants, in seconds, on their machine.
PUBLISHED_SECONDS = 54.0


def rows(place: Path, scale: object) -> list[Row]:
    """Return the rows of the section; `place` is not needed, as everything fits in memory."""
    del place
    if not DATA.is_dir():
        missing = f"{DATA} is not there"
        return [Row("published table, lactose", None, None, "share", None, f"± {NEAR}", None, missing)]
    repeats = 3 if getattr(scale, "quick", False) else 10
    target, reference = _lactose("target"), _lactose("reference")
    published.correlations(
        Held(pack(np.zeros((2, 3), np.int8)), public=True)
    )  # compiled before the clock runs
    began = time.perf_counter()
    found = published.correlations(reference)
    laws = {e: published.scheme(found, Fraction(e)) for e in (1, 2, 3, 4, 5)}
    got = {e: [_released(target, law) for _ in range(repeats)] for e, law in laws.items()}
    seconds = time.perf_counter() - began
    told = [
        _row(measure, e, [getattr(one, measure) for one in got[e]])
        for measure in ("point", "mean")
        for e in laws
    ]
    told += [_loss(laws[e]) for e in (1, 5)]
    took = Row(
        f"Θ̃, five ε and {5 * repeats} releases, 60 × 9,091",
        seconds,
        PUBLISHED_SECONDS,
        "s",
        PUBLISHED_SECONDS / seconds,
        "seconds",
        seconds < PUBLISHED_SECONDS,
        "theirs: 10,000 variants, one ε, as published, another machine",
    )
    return [*told, _honest(target, reference, laws[1], repeats), took]


def _lactose(name: str) -> Held:
    table = parquet.read_table(DATA / f"lactose_{name}.parquet").drop(["sample"])
    calls = np.stack([column.to_numpy() for column in table.columns]).astype(np.int8)
    return Held(pack(np.ascontiguousarray(calls)), public=True)


def _released(target: Held, law: published.Scheme, towards: Held | None = None) -> Errors:
    """Return the errors of one release, under a key that is thrown away."""
    stream = KeyStream(ReleaseKey(os.urandom(16)))
    ((_, block),) = published.release(target, law, stream, towards)
    return errors(target, Held(block, public=True))


def _row(measure: str, epsilon: int, found: list[float]) -> Row:
    table = csv.read_csv(DATA / "published_results.csv").to_pylist()
    wanted = ("lactose", f"{measure}_error", "provgen", float(epsilon))
    (theirs,) = [
        r["value"] for r in table if (r["dataset"], r["metric"], r["method"], r["eps_per_snp"]) == wanted
    ]
    ours = float(np.mean(found))
    detail: dict[str, object] = {"releases": len(found), "spread": float(np.std(found))}
    near = abs(ours - theirs) <= NEAR
    title = f"published {measure} error, lactose, ε {epsilon} a variant"
    return Row(title, ours, theirs, "share", ours / theirs, f"± {NEAR}", near, detail=detail)


def _loss(law: published.Scheme) -> Row:
    """Set the exact loss of the flips beside the claimed one. Restoring to private frequencies voids both."""
    exact, claimed = float(law.exact or 0), float(law.claimed)
    note = "peer: the ε claimed; exact ε of the flips alone, no guarantee after restoration"
    return Row(
        f"exact ε a person, claimed {claimed:,.0f}", exact, claimed, "ε", exact / claimed, "–", None, note
    )


def _honest(target: Held, reference: Held, law: published.Scheme, repeats: int) -> Row:
    found = [_released(target, law, reference).mean for _ in range(repeats)]
    private = [_released(target, law).mean for _ in range(repeats)]
    ours, theirs = float(np.mean(found)), float(np.mean(private))
    note = "peer: restored to exact private frequencies, as published"
    return Row(
        "mean error, restored to the public reference, ε 1",
        ours,
        theirs,
        "share",
        ours / theirs,
        "–",
        None,
        note,
    )
