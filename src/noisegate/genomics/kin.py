"""Kinship and identity over stores: which variants count, and how stores of other variants are read.

Missing calls stay missing: to fill them, as releases do, would make everybody a little alike. Variants of the
sex chromosomes and of mitochondria are left out, as kinship holds for pairs of inherited copies.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genotypes import align
from noisegate.genotypes.align import NOWHERE, Alignment
from noisegate.genotypes.packed import Block
from noisegate.genotypes.store import Store
from noisegate.genotypes.variants import Variants
from noisegate.leakage.identity import LEVEL, Identified, identify
from noisegate.leakage.relatives import Degree, Relatives, relatives
from noisegate.leakage.roc import Estimate

NO_AUTOSOMES = frozenset({"X", "Y", "XY", "MT"})
LEAST_VARIANTS = 100  # fewer than these say nothing of kinship
EXACT = "Computed from people's own genotypes: for the custodian alone, and not to be passed on."
SOUGHT = f"{EXACT} Look only for people who consented to it."
Json = dict[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """A store's people over some variants of a list, calls that are missing or absent as missing.

    `keep` is bool of shape (variants of the list,).
    """

    store: Store
    alignment: Alignment
    keep: NDArray[np.bool_]

    @property
    def people(self) -> int:
        """How many people there are."""
        return self.store.people

    @property
    def public(self) -> bool:
        """Whether the store is marked as public."""
        return self.store.public

    @property
    def noisy(self) -> bool:
        """Whether the store is a release, or a copy by the published recipe, which is public and noisy."""
        return self.store.noisy or "as published" in self.store.provenance

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Yield the calls of the variants that are kept, a chunk of the list at a time."""
        done = 0
        for start in range(0, len(self.keep), self.store.chunk):
            stop = min(start + self.store.chunk, len(self.keep))
            block = align.apply(self.store, self.alignment, start, stop)
            some = self.keep[start:stop]
            yield done, Block(block.hi[some], block.lo[some], block.people)
            done += int(some.sum())


def autosomal(variants: Variants) -> NDArray[np.bool_]:
    """Return which variants are not of X, Y, their shared parts, or mitochondria; bool of shape (variants,).

    Those whose chromosome is not known are taken for autosomal.
    """
    names, which = variants.contigs
    some = np.array([name not in NO_AUTOSOMES for name in names], bool)
    return some[which] if len(names) else np.zeros(len(variants), bool)


def kinship_of_store(
    store: Store, *, least: float, progress: Callable[[float], None] = lambda _: None
) -> Relatives:
    """Compare all people of a store; see `leakage.relatives.relatives`.

    Raises:
        BadInput: it has hardly any variant that counts.
    """
    keep = autosomal(store.variants)
    _enough(int(keep.sum()), store.path.name)
    return relatives(store, least=least, keep=keep, progress=progress)


def identify_in(
    probe: Store,
    rows: Store,
    controls: Store,
    *,
    members: Store | None = None,
    level: float = LEVEL,
    progress: Callable[[float], None] = lambda _: None,
) -> tuple[Identified, int]:
    """Look for the people of one store among those of another, over the variants that all stores have.

    Args:
        probe: whom to look for, with their consent.
        rows: a store, or a release of genotypes.
        controls: people like them who are not in it.
        members: people who are in it.
        level: share of outsiders who may be named wrongly.
        progress: told which share is done.

    Returns:
        What was found, and over how many variants.

    Raises:
        BadInput: the stores share hardly any variants, or are of different builds.
    """
    stores = [store for store in (probe, rows, controls, members) if store is not None]
    listed = rows.variants
    ways = [align.align(s.variants, listed, builds=(s.build, rows.build)) for s in stores]
    keep = autosomal(listed)
    for way in ways:
        keep &= way.index != NOWHERE
    _enough(int(keep.sum()), " and ".join(dict.fromkeys(s.path.name for s in stores)))
    sources = [Shared(store, way, keep) for store, way in zip(stores, ways, strict=True)]
    found = identify(
        *sources[:3],
        members=sources[3] if members is not None else None,
        level=level,
        progress=progress,
    )
    return found, int(keep.sum())


def write_pairs(file: Path, found: Relatives, samples: tuple[str, ...]) -> None:
    """Write the pairs as plink2 writes a table of kinship: IID1, IID2, NSNP, HETHET, IBS0, KINSHIP.

    HETHET and IBS0 are shares of NSNP. The file appears whole.
    """
    draft = file.with_name(f".{file.name}.part")
    with draft.open("w", encoding="utf-8") as out:
        out.write("#IID1\tIID2\tNSNP\tHETHET\tIBS0\tKINSHIP\n")
        columns = (found.second, found.first, found.called, found.both, found.opposite, found.kinship)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for one, other, called, both, opposite, kinship in rows:
            out.write(
                f"{samples[one]}\t{samples[other]}\t{called}\t{both / called:.6g}\t"
                f"{opposite / called:.6g}\t{kinship:.6g}\n"
            )
    draft.replace(file)


def kin_json(found: Relatives, furthest: Degree, samples: tuple[str, ...]) -> Json:
    """Return who is kin to whom, up to a degree, as JSON values; the nearest pairs first."""
    near = np.flatnonzero(found.kinship > furthest.least)
    order = near[np.argsort(-found.kinship[near], kind="stable")]
    groups = found.families(furthest)
    counts = zip(Degree, found.by_degree(), found.by_chance(), strict=True)
    return {
        "note": EXACT,
        "people": found.people,
        "pairs": found.compared,
        "variants": found.variants,
        "without_kinship": found.undefined,
        "without_heterozygote": [samples[person] for person in found.blank.tolist()],
        "degrees": [
            {"degree": degree.title, "above": degree.least, "pairs": pairs, "by_chance": chance}
            for degree, pairs, chance in counts
            if degree <= furthest
        ],
        "families": len(groups),
        "in_families": sum(map(len, groups)),
        "unrelated": int(found.unrelated(furthest).sum()),
        "related": [
            {
                "first": samples[found.first[i]],
                "second": samples[found.second[i]],
                "kinship": float(found.kinship[i]),
                "degree": next(d for d in Degree if found.kinship[i] > d.least).title,
            }
            for i in order.tolist()
        ],
    }


def identified_json(found: Identified, variants: int, probes: tuple[str, ...], rows: tuple[str, ...]) -> Json:
    """Return what was found as JSON values; rows of a release are numbered from 1, others named."""
    score = "distance" if found.noisy else "kinship"
    return {
        "note": SOUGHT,
        "rates": _rates(found),
        "rows": found.rows,
        "variants": variants,
        "noisy": found.noisy,
        "judged_by": score,
        "limit": abs(found.limit) if np.isfinite(found.limit) else None,
        "level": found.level,
        "controls": found.controls,
        "wrongly_named": _estimate(found.false),
        "missed": None if found.missed is None else _estimate(found.missed),
        "people": [
            {
                "person": probes[sought.person],
                "presence": sought.presence.value,
                "relation": None if sought.relation is None else sought.relation.title,
                "nearest": sought.row + 1 if found.noisy else rows[sought.row],
                "kinship": sought.kinship if np.isfinite(sought.kinship) else None,
                "distance": sought.distance,
                "variants": sought.variants,
                "p": sought.p,
            }
            for sought in found.found
        ],
    }


def _rates(found: Identified) -> str:
    """Return how often such a search errs, in a sentence."""
    if not np.isfinite(found.limit):
        return (
            f"Nobody can be named at a level of {found.level:g} with {found.controls:,} controls: "
            f"{int(np.ceil(1 / found.level)) - 1:,} are needed."
        )
    said = (
        f"Of {found.controls:,} controls {found.false.value:.2%} are named "
        f"(at most {found.false.high:.2%} of people like them)"
    )
    if found.missed is None:
        return said + ("; how many members are missed is not known." if found.noisy else ".")
    return said + f"; of known members {found.missed.value:.2%} are missed (at most {found.missed.high:.2%})."


def _estimate(found: Estimate) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}


def _enough(variants: int, name: str) -> None:
    if variants < LEAST_VARIANTS:
        raise BadInput(
            f"{name}: {variants} autosomal variants are there to compare, and {LEAST_VARIANTS} are needed",
            "give stores of the same variants, some thousand of them",
        )
