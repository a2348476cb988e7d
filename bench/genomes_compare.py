"""What releases are good for at one exact ε for a person: ours beside honest XOR with public restoration.

Real people: the 1000 Genomes phase 1 panel (1,092 people, 14,079 variants), split at random into 546 people
who are shared, 273 of a public panel, which both sides lean on and restore to, and 273 controls for the χ²
of findings. All variants are used, or a random choice of them. Both sides get the same ε at δ 1e-6,
replace-one, by the gateway's own conversion. Which of our releases is taken, and whether it is predicted to
be useful, the advisor says from the public panel alone, once for each size and ε.

Two kinds of release are set beside XOR. One has a row for each person, as XOR has: its point error is that
of row against row. The other draws people, who are nobody: its point error is the least share of calls to
change until each variant's genotype counts are right, for XOR as well. A row says met if ours is worse in
nothing (point error, error of allele frequencies, share of findings kept at a false-positive rate of 5 %),
chance aside, and, where useful is predicted, better in all three.

A panel of all ancestries is also set beside people of one, which is how panels are used.

That panel has no linkage to speak of, so linkage is measured on people simulated with msprime.
"""

import secrets
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from bench.genomes import Scale
from bench.rows import Row, at_most_times, missing
from noisegate.genomics import ancestry, candidates
from noisegate.genomics.advise import Advice, Tried, advise
from noisegate.genomics.candidates import Case
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.panel import Panel, chain_starts
from noisegate.genotypes.packed import Block, pack, unpack

DATA = Path(__file__).parents[2] / "shared" / "data" / "genomes" / "kg1.bed"
SIZES = {100: 20, 1_000: 4, 14_079: 1}  # variants, and splits for each of the scale's: few variants vary more
EPSILONS = (1, 3, 10, 100)
DELTA = Fraction(1, 10**6)
SHARED, LEANT_ON = 546, 273
SEED = 20_101
ROWS = ("point", "frequency", "kept")
DRAWN = ("columns", "frequency", "kept")
SURE = 0.05 / 72  # of 72 comparisons none should look worse by chance
SEGMENTS, LINKED, SIMULATED = 2, 500, 1_092
LAGS = (1, 5, 20)
MIXED = 1_000

Calls = NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """Public people in memory."""

    all: Block
    public: bool = True
    digest: str = "bench"

    @property
    def people(self) -> int:
        return self.all.people

    def block(self, start: int, stop: int) -> Block:
        return Block(self.all.hi[start:stop], self.all.lo[start:stop], self.people)


def rows(_: Path, scale: Scale) -> list[Row]:
    """Return the rows of both kinds for every size and ε, and those of linkage."""
    found: list[Row] = []
    if not DATA.exists():
        found.append(missing("releases of the 1000 Genomes panel", "share", "never worse", "no panel here"))
    else:
        calls, chromosomes = _panel()
        for variants, times in SIZES.items():
            if scale.quick and variants > 1_000:
                continue
            for epsilon in EPSILONS:
                found += _cell(calls, chromosomes, variants, epsilon, times * scale.splits)
        found += _other_mixture(calls, max(2, scale.splits // 2))
    return found + [row for epsilon in (10, 100) for row in _linkage(epsilon, max(1, scale.splits // 4))]


def _panel() -> tuple[Calls, NDArray[np.str_]]:
    from bed_reader import open_bed

    with open_bed(DATA) as bed:
        return np.ascontiguousarray(bed.read(dtype="int8").T), bed.chromosome


def _cell(calls: Calls, chromosomes: NDArray[np.str_], variants: int, epsilon: int, splits: int) -> list[Row]:
    case = Case(variants, Fraction(epsilon), DELTA)
    rng = np.random.default_rng(SEED + variants)
    advice: Advice | None = None
    ours: dict[bool, list[candidates.Figures]] = {True: [], False: []}
    theirs: list[candidates.Figures] = []
    chosen: dict[bool, Tried] = {}
    for _ in range(splits):
        order = rng.permutation(calls.shape[1])
        part = np.sort(rng.choice(len(calls), variants, replace=False))
        starts = chain_starts(chromosomes[part])
        people, panel, controls = (
            _held(calls[part][:, who]) for who in np.split(order, (SHARED, SHARED + LEANT_ON))
        )
        if advice is None:
            advice = advise(panel, starts, SHARED, case.epsilon, DELTA, _key())
            chosen = {has_rows: advice.best(rows=has_rows) for has_rows in (True, False)}
        leant_on, beside = Panel.of(panel, starts), Panel.of(controls, starts)
        theirs.append(_figures("xor", people, leant_on, beside, case))
        for has_rows, tried in chosen.items():
            ours[has_rows].append(_figures(tried.method, people, leant_on, beside, case))
    return [_row(case, chosen[has_rows], ours[has_rows], theirs) for has_rows in (True, False)]


def _other_mixture(calls: Calls, splits: int) -> list[Row]:
    """Return rows for people of one ancestry, beside a panel of all, which advice cannot foresee."""
    labels, rng = ancestry.groups(_held(calls), len(calls)), np.random.default_rng(SEED)
    one = np.flatnonzero(labels == np.bincount(labels).argmax())
    found: list[Row] = []
    for epsilon in (1, 3, 10):
        case, errors = Case(MIXED, Fraction(epsilon), DELTA), np.empty((splits, 2))
        for split in range(splits):
            order = rng.permutation(one)
            people, controls = order[: len(order) // 2], order[len(order) // 2 : 3 * len(order) // 4]
            others = np.setdiff1d(np.arange(calls.shape[1]), np.concatenate([people, controls]))
            part = np.sort(rng.choice(len(calls), MIXED, replace=False))
            shared, panel, beside = (_held(calls[part][:, who]) for who in (people, others, controls))
            starts = chain_starts(np.zeros(MIXED))
            leant_on, compared = Panel.of(panel, starts), Panel.of(beside, starts)
            for place, name in enumerate(("frequencies", "xor")):
                errors[split, place] = _figures(name, shared, leant_on, compared, case).frequency
        found.append(
            at_most_times(
                f"people of one ancestry, panel of all, {MIXED:,} variants, ε {epsilon}: frequencies",
                errors[:, 0].tolist(),
                errors[:, 1].tolist(),
                0.6,
                "frequency error",
            )
        )
    return found


def _figures(name: str, people: Held, panel: Panel, controls: Panel, case: Case) -> candidates.Figures:
    made = candidates.run(name, people, panel, case, _key())
    return candidates.figures(people, made.block, controls)


def _row(case: Case, tried: Tried, ours: list[candidates.Figures], theirs: list[candidates.Figures]) -> Row:
    told, worse, better, detail = [], False, True, {}
    measures = ROWS if tried.rows else DRAWN
    for name in measures:
        mine, peer = (np.array([getattr(f, name) for f in found]) for found in (ours, theirs))
        known = np.isfinite(mine) & np.isfinite(peer)
        mine, peer = mine[known], peer[known]
        gain = mine - peer if name == "kept" else peer - mine
        error = float(gain.std(ddof=1)) / len(gain) ** 0.5
        mean, freedom = float(gain.mean()), len(gain) - 1
        worse = worse or mean < -float(t.ppf(1 - SURE, freedom)) * error
        better = better and mean > float(t.ppf(0.975, freedom)) * error
        spread = [float(t.ppf(0.975, freedom)) * float(x.std(ddof=1)) / len(x) ** 0.5 for x in (mine, peer)]
        told.append(f"{name} {mine.mean():.4f} ± {spread[0]:.4f} for {peer.mean():.4f} ± {spread[1]:.4f}")
        detail[name] = {"ours": mine.tolist(), "peer": peer.tolist()}
    head = "point" if tried.rows else "frequency"
    mine, peer = (float(np.mean([getattr(f, head) for f in found])) for found in (ours, theirs))
    kind = "a row a person" if tried.rows else "people drawn"
    return Row(
        row=f"{case.variants:,} variants, ε {float(case.epsilon):g}, {kind}: {tried.method}",
        ours=mine,
        peer=peer,
        unit=f"{head} error",
        ratio=mine / peer,
        target="better" if tried.useful else "not worse",
        met=not worse and (better or not tried.useful),
        note="; ".join(told),
        detail={"splits": len(ours), "useful": tried.useful, **detail},
    )


def _linkage(epsilon: int, repeats: int) -> list[Row]:
    """Return how far r² of neighbours is from the truth, on simulated people."""
    found: dict[str, list[list[float]]] = {}
    for repeat in range(repeats):
        parts = [_simulated(SEED + SEGMENTS * repeat + i) for i in range(SEGMENTS)]
        calls, starts = np.concatenate(parts), chain_starts(np.repeat(np.arange(SEGMENTS), LINKED))
        people, panel = _held(calls[:, :SIMULATED]), _held(calls[:, SIMULATED:])
        case = Case(len(calls), Fraction(epsilon), DELTA)
        for name in ("xor", "frequencies", "synthetic"):
            made = candidates.run(name, people, Panel.of(panel, starts), case, _key())
            off = [_apart(calls[:, :SIMULATED], unpack(made.block), starts, lag) for lag in LAGS]
            found.setdefault(name, []).append(off)
    rows = []
    for name in ("frequencies", "synthetic"):
        for place, lag in enumerate(LAGS):
            mine, peer = (float(np.mean([o[place] for o in found[n]])) for n in (name, "xor"))
            rows.append(
                Row(
                    f"linkage {lag} variants away, simulated, ε {epsilon}: {name}",
                    mine,
                    peer,
                    "mean difference of r²",
                    mine / peer,
                    "≤ 0.5 ×" if lag == 1 else "–",
                    mine <= peer / 2 if lag == 1 else None,
                )
            )
    return rows


def _simulated(seed: int) -> Calls:
    """Return LINKED variants of a 5 Mb segment, twice SIMULATED people, common alleles."""
    import msprime

    tree = msprime.sim_ancestry(
        2 * SIMULATED,
        population_size=10_000,
        sequence_length=5e6,
        recombination_rate=1.2e-8,
        random_seed=seed,
    )
    told = msprime.sim_mutations(tree, rate=1.29e-8, model=msprime.BinaryMutationModel(), random_seed=seed)
    alleles = told.genotype_matrix()
    calls = (alleles[:, ::2] + alleles[:, 1::2]).astype(np.int8)
    share = calls.mean(axis=1) / 2
    common = calls[(share >= 0.05) & (share <= 0.95)][:LINKED]
    assert len(common) == LINKED
    return common


def _apart(truth: Calls, released: Calls, starts: NDArray[np.bool_], lag: int) -> float:
    """Return the mean difference of r² between variants so far apart within a segment."""
    segment = np.cumsum(starts)
    together = segment[lag:] == segment[:-lag]
    return float(np.abs(_squared(truth, lag)[together] - _squared(released, lag)[together]).mean())


def _squared(calls: Calls, lag: int) -> NDArray[np.float64]:
    x = calls.astype(np.float64)
    x -= x.mean(axis=1, keepdims=True)
    spread = np.sqrt((x**2).sum(axis=1))
    return ((x[lag:] * x[:-lag]).sum(axis=1) / np.maximum(spread[lag:] * spread[:-lag], 1e-12)) ** 2


def _held(calls: Calls) -> Held:
    return Held(pack(np.ascontiguousarray(calls)))


def _key() -> ReleaseKey:
    return ReleaseKey(secrets.token_bytes(16))
