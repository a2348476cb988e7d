"""What only the custodian may know of a release: who is kin to whom, and how well insiders do.

Exact, computed from private rows, for the custodian's report and nowhere else. All of it is left out where it
would take long.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics import frequencies
from noisegate.genomics.keys import KEY_BYTES, ReleaseKey
from noisegate.genomics.kin import LEAST_VARIANTS, autosomal
from noisegate.genomics.laws import Family
from noisegate.genomics.making import STORE, kept
from noisegate.genomics.mechanism import Counting, Flipping
from noisegate.genomics.perturb import decode, perturb
from noisegate.genomics.proposal import Proposal
from noisegate.genomics.recipe import Method
from noisegate.genomics.report.facts import Kin, Likeness
from noisegate.genotypes.packed import Block, unpack
from noisegate.genotypes.store import Store
from noisegate.leakage.bounds import LowerBound, alleles_of, planted
from noisegate.leakage.genomes import Chosen, Genomes, take
from noisegate.leakage.reconstruction import Reconstruction, blind_guess, judged, reconstruct
from noisegate.leakage.relatives import Degree, compared, distance_of, relatives
from noisegate.leakage.roc import proportion
from noisegate.privacy.loss import NANO
from noisegate.privacy.noise import standard_deviation

# Some seconds each.
MOST_PAIRED = 2**42  # genotypes of pairs
MOST_COUNTED = 2**31  # genotypes
RUNS = 400  # releases of each world, of which half are counted: enough to prove an ε of some 4
CANARY_EPSILON = 3 * NANO  # of the variants that a canary is tried on: more could not be proved
CANARY_PEOPLE = 64

Share = NDArray[np.float64]


def kin_of(proposal: Proposal) -> tuple[Kin | None, str]:
    """Return relatives among the members; or why they were not looked for."""
    store = proposal.source.source
    keep = autosomal(store.variants)
    variants, people = int(keep.sum()), store.people
    if variants < LEAST_VARIANTS:
        return None, f"{variants} variants of autosomes tell no relatives"
    if people * people * variants > MOST_PAIRED:
        return None, "there are very many pairs: `noisegate genomes kinship` compares them"
    found = relatives(store, keep=keep)
    furthest = found.told()
    groups = () if furthest is None else found.families(furthest)
    degrees = zip(Degree, found.by_degree(), found.by_chance(), strict=True)
    return Kin(
        pairs=found.compared,
        variants=variants,
        degrees=tuple((degree.title, pairs, chance) for degree, pairs, chance in degrees),
        families=len(groups),
        related=sum(map(len, groups)),
        largest=max(map(len, groups), default=0),
        blank=len(found.blank),
        joined="" if furthest is None else furthest.title.partition(":")[0],
    ), ""


def likeness_of(
    proposal: Proposal, folder: Path, members: NDArray[np.int64], controls: Genomes
) -> Likeness | None:
    """Return how closely rows resemble some members, by their numbers, and controls; None without rows."""
    if isinstance(proposal.mechanism, Counting) or not len(members) or not controls.people:
        return None
    rows = Store.open(folder / STORE)
    own, apart = _nearest(Chosen(proposal.source, members), rows)
    _, others = _nearest(controls, rows)
    matched = int((own == members).sum()) if isinstance(proposal.mechanism, Flipping) else None
    return Likeness(
        members=len(members),
        controls=controls.people,
        rows=rows.people,
        member=float(apart.mean()),
        control=float(others.mean()),
        own=None if matched is None else proportion(matched, len(members)),
    )


def reconstruction_of(proposal: Proposal, folder: Path) -> Reconstruction | None:
    """Return how well the last person is rebuilt from noisy counts by whoever knows all others; else None."""
    people, variants = proposal.people, proposal.variants
    if not isinstance(proposal.mechanism, Counting) or people < 2 or people * variants > MOST_COUNTED:
        return None
    counts = kept(proposal, folder)["counts"]
    if proposal.recipe.method is Method.FREQUENCIES:
        found, noise = frequencies.measured(counts)
        found, noise = 2 * people * found, 2 * people * noise
    else:
        found = counts.cells[..., 1].sum(axis=1) + 2.0 * counts.cells[..., 2].sum(axis=1)
        # Of each group a cell counts once and one twice: 2 (1 + 4) times the variance of a cell.
        noise = standard_deviation(counts.plan.noise) * 10**0.5
    known = Chosen(proposal.source, np.arange(people - 1, dtype=np.int64))
    last = np.array([people - 1], np.int64)
    truth = np.concatenate([unpack(take(block, last))[:, 0] for _, block in proposal.source.blocks()])
    return judged(reconstruct(found, known, noise), blind_guess(known), truth)


def canary_of(proposal: Proposal) -> LowerBound | None:
    """Return the least ε that flips of this law prove of themselves, on few variants; None for other noise.

    One person's calls are all 2, then all 0, and the noise is drawn with new keys: the releases are thrown
    away. The ε of those variants is part of the release's, so no bound may exceed that.
    """
    mechanism = proposal.mechanism
    if not isinstance(mechanism, Flipping) or isinstance(mechanism.law, Family):
        return None
    within = np.cumsum(mechanism.account.variants) <= CANARY_EPSILON
    variants = max(int(within.sum()), 1)
    some = take(
        proposal.source.block(0, variants), np.arange(min(proposal.people, CANARY_PEOPLE), dtype=np.int64)
    )
    law = mechanism.law.slice(0, variants)

    def release(world: Block) -> Block:
        key = ReleaseKey(secrets.token_bytes(KEY_BYTES))
        return decode(perturb(world, law, key, 0))

    return planted(release, some, 0, RUNS, alleles_of(0))


def _nearest(candidates: Genomes, rows: Genomes) -> tuple[NDArray[np.int64], Share]:
    """Return each candidate's nearest row, and the share of alleles in which they differ."""
    parts = list(_parts(candidates, rows))
    return np.concatenate([row for row, _ in parts]), np.concatenate([apart for _, apart in parts])


def _parts(candidates: Genomes, rows: Genomes) -> Iterator[tuple[NDArray[np.int64], Share]]:
    for counts in compared(candidates, rows):
        apart = distance_of(counts)
        yield np.argmin(apart, axis=1), apart.min(axis=1)
