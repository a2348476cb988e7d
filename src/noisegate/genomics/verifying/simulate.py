"""Releases of hypothesised data: what a release would have shown if its data were such and such.

The mechanism's own code runs, or for noisy counts its law (additive.py), on data that are public hypotheses,
with a key that hides nobody and is no secret. Most laws work on each variant by itself, so that only variants
with findings are drawn, many data sets in one block, people in any order. Where variants hang together
(chains, families, models, counts of whole people), all variants of a public twin are drawn, moved to the
hypothesised counts where there are findings.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import TooLarge
from noisegate.genomics import chains, published
from noisegate.genomics.counts import measure
from noisegate.genomics.gwas.tallies import masks
from noisegate.genomics.keys import KEY_BYTES, ReleaseKey
from noisegate.genomics.keystream import KeyStream
from noisegate.genomics.laws import Independent, Response
from noisegate.genomics.making import chunks_with
from noisegate.genomics.mechanism import Flipping, plans_of
from noisegate.genomics.perturb import decode, perturb
from noisegate.genomics.regroup import regroup, wanted
from noisegate.genomics.restore import restore
from noisegate.genomics.twin import Twin
from noisegate.genomics.verifying import additive, judging
from noisegate.genomics.verifying.claims import Hypothesised
from noisegate.genomics.verifying.controls import Controls
from noisegate.genomics.verifying.evidence import AsPublished, Evidence, Frequencies, Rows, Tables
from noisegate.genomics.verifying.statistic import Test
from noisegate.genotypes.packed import Block, tally
from noisegate.leakage.genomes import Held
from noisegate.privacy.noise import standard_deviation

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Signs = NDArray[np.int8]
Told = Callable[[int, int], None]

AT_ONCE = 2**24  # genotypes of hypothesised data in one block
MOST = 2**34  # genotypes that are drawn for one law
SLOW, SLOWEST = 4, 16  # times as long a genotype, where all variants are drawn, and as published
CELLS = 2**21  # hypothesised counts at a time
UNIFORMS = 200  # a domain of the key stream that no mechanism draws from


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What is drawn for: a release, the controls, the test, and the variants, int64 places in the release.

    `towards` is int8 of shape (variants,), the direction that each finding reports, 0 where it reports none;
    absent where none does.
    """

    evidence: Evidence
    controls: Controls
    test: Test
    places: Counts
    towards: Signs | None = None

    @property
    def theirs(self) -> Counts:
        """The controls' counts at these variants, int64 (variants, 3)."""
        found: Counts = self.controls.counts[self.places]
        return found

    @property
    def cases(self) -> int:
        """How many cases findings are of."""
        return self.evidence.cases if isinstance(self.evidence, Tables) else self.evidence.people


def key_of(*words: object) -> ReleaseKey:
    """Return a key that follows from public words."""
    told = "\n".join(map(str, ("verification", *words)))
    return ReleaseKey(hashlib.sha256(told.encode()).digest()[:KEY_BYTES])


def uniforms(key: ReleaseKey, shape: tuple[int, ...], number: int = 0) -> Floats:
    """Return numbers that are uniform in [0, 1), float64, from the key stream."""
    words = KeyStream(key).words(number, UNIFORMS, int(np.prod(shape)))
    found: Floats = (words >> np.uint64(11)).reshape(shape).astype(np.float64) * 2.0**-53
    return found


def released(evidence: Evidence, controls: Controls, test: Test, towards: Signs | None = None) -> Floats:
    """Return the p-values of the release itself, float64 of shape (variants of the release,).

    Where `towards`, int8 of this shape, is a direction, and the release shows another, the p-value is 1.
    """
    match evidence:
        case Rows() | AsPublished():
            counts = np.concatenate([_counts(block) for _, block in evidence.released.blocks()])
            return judging.of_rows(counts, controls.counts, test, judging.left(evidence), towards)
        case Tables(noisy=noisy):
            deviation = standard_deviation(noisy.plan.noise)
            return judging.of_tables(
                noisy.cells.astype(np.float64), deviation, evidence.cases, evidence.controls, towards
            )
        case Frequencies(noisy=noisy):
            shares, deviation, _ = judging.measured_shares(noisy)
            return judging.of_frequencies(shares, deviation, noisy.people, controls.counts, towards)
        case _:
            assert_never(evidence)


def simulated(trial: Trial, hypothesised: Hypothesised, key: ReleaseKey, told: Told) -> Floats:
    """Return the p-values of releases of hypothesised data, float64 of shape (draws, variants).

    They are 1 where a direction was reported, and such a release shows another.

    Args:
        trial: what is drawn for.
        hypothesised: int64, shape (draws, variants, 3): the cases' counts in each data set; of noisy tables
            shape (draws, variants, 6), the controls' first, and they need not be whole.
        key: of the noise; where whole people are counted, that comes from the operating system.
        told: how many draws are done, and of how many.

    Raises:
        TooLarge: more genotypes would be drawn than can be waited for.
    """
    evidence = trial.evidence
    draws, variants = hypothesised.shape[:2]
    match evidence:
        case Tables() | Frequencies():
            step = max(1, CELLS // variants)
            parts = [
                _counted(
                    evidence, trial, hypothesised[start : start + step], key_of(key.reveal().hex(), start)
                )
                for start in range(0, draws, step)
            ]
            told(draws, draws)
            return np.concatenate(parts)
        case AsPublished():
            _check_size(SLOWEST * evidence.people * draws * variants)
            return _by_variant(trial, _whole_counts(hypothesised), key, told, _as_published)
        case Rows() if _is_local(evidence):
            _check_size(evidence.people * draws * variants)
            return _by_variant(trial, _whole_counts(hypothesised), key, told, _flipped)
        case Rows():
            _check_size(SLOW * evidence.people * draws * len(evidence.variants))
            return _whole(evidence, trial, _whole_counts(hypothesised), key, told)
        case _:
            assert_never(evidence)


def is_whole(evidence: Evidence) -> bool:
    """Whether all variants are drawn together, which takes longest."""
    return isinstance(evidence, Rows) and not _is_local(evidence)


def _is_local(evidence: Rows) -> bool:
    mechanism = evidence.mechanism
    return (
        isinstance(mechanism, Flipping)
        and mechanism.plan is None
        and isinstance(mechanism.law, Independent | Response)
    )


def _by_variant(
    trial: Trial,
    hypothesised: Counts,
    key: ReleaseKey,
    told: Told,
    release: Callable[[Trial, Block, Counts, ReleaseKey], Block],
) -> Floats:
    """Return p-values where each variant is released by itself: many data sets side by side in one block."""
    draws, variants = hypothesised.shape[:2]
    people = trial.evidence.people
    step = max(1, AT_ONCE // (people * variants))
    found = np.empty((draws, variants))
    line = judging.left(trial.evidence)
    for start in range(0, draws, step):
        part = hypothesised[start : start + step]
        rows = np.tile(np.arange(variants), len(part))
        own = key_of(key.reveal().hex(), start)
        made = release(trial, _people(part.reshape(-1, 3), people), trial.places[rows], own)
        beside = None if line is None else (line[0][trial.places[rows]], line[1][trial.places[rows]])
        towards = None if trial.towards is None else trial.towards[rows]
        p = judging.of_rows(_counts(made), trial.theirs[rows], trial.test, beside, towards)
        found[start : start + step] = p.reshape(len(part), variants)
        told(start + len(part), draws)
    return found


def _flipped(trial: Trial, block: Block, places: Counts, key: ReleaseKey) -> Block:
    """Return a block with the noise of variants at these places, and restored as they were."""
    evidence = trial.evidence
    assert isinstance(evidence, Rows)  # noqa: S101 -- as the caller found
    mechanism = evidence.mechanism
    assert isinstance(mechanism, Flipping)  # noqa: S101 -- likewise
    law, target = mechanism.law, mechanism.target
    if isinstance(law, Response):
        noisy = perturb(block, Response(law.change[places]), key, 0)
    else:
        assert isinstance(law, Independent)  # noqa: S101 -- likewise
        noisy = perturb(block, Independent(law.flip.reshape(-1, 2)[places].ravel()), key, 0)
    if target is None:
        return decode(noisy)
    counts = target.counts(block.people)[places]
    if isinstance(law, Response):
        shares = chains.margins(target.shares.frequency, None)[places]
        return regroup(noisy, wanted(counts, shares, block.people), key, 0)
    return restore(noisy, counts, key, 0)


def _as_published(trial: Trial, block: Block, places: Counts, key: ReleaseKey) -> Block:
    """Return a block as the published recipe has it, of variants at these places."""
    evidence = trial.evidence
    assert isinstance(evidence, AsPublished)  # noqa: S101 -- as the caller found
    law = replace(
        evidence.scheme,
        flip=evidence.scheme.flip.reshape(-1, 2)[places].ravel(),
        variants=np.zeros(0, np.int64),
    )
    towards = None
    if not evidence.to_exact:
        own = np.concatenate([_counts(part) for _, part in evidence.reference.blocks()])
        towards = Held(_people(own[places], evidence.reference.people), public=True)
    ((_, made),) = published.release(Held(block, public=True), law, KeyStream(key), towards)
    return made


def _whole(evidence: Rows, trial: Trial, hypothesised: Counts, key: ReleaseKey, told: Told) -> Floats:
    """Return p-values where all variants are released together: of a twin of the controls, moved."""
    people, variants = evidence.people, len(evidence.variants)
    panel, line = trial.controls.rows, judging.left(evidence)
    beside = None if line is None else (line[0][trial.places], line[1][trial.places])
    found = np.empty(hypothesised.shape[:2])
    for draw, counts in enumerate(hypothesised):
        own = key_of(key.reveal().hex(), draw)
        twin = Twin(panel, variants, people, own).block(0, variants)
        moved = regroup(Block(twin.hi[trial.places], twin.lo[trial.places], people), counts, own, 0)
        twin.hi[trial.places], twin.lo[trial.places] = moved.hi, moved.lo
        data = _Data(twin)
        cells = {name: measure(plan, data) for name, plan in plans_of(evidence.mechanism).items()}
        chunks = chunks_with(evidence.mechanism, data, cells)
        shown = []
        for number, start in enumerate(range(0, variants, evidence.chunk)):
            stop = min(start + evidence.chunk, variants)
            inside = trial.places[(trial.places >= start) & (trial.places < stop)] - start
            if len(inside):
                made = chunks.block(number, start, stop, own)
                shown.append(_counts(Block(made.hi[inside], made.lo[inside], people)))
        found[draw] = judging.of_rows(np.concatenate(shown), trial.theirs, trial.test, beside, trial.towards)
        told(draw + 1, len(hypothesised))
    return found


def _counted(
    evidence: Tables | Frequencies, trial: Trial, hypothesised: Hypothesised, key: ReleaseKey
) -> Floats:
    """Return p-values of counts with the release's noise."""
    shape = hypothesised.shape[:2]
    noise = evidence.noisy.plan.noise
    towards = None if trial.towards is None else np.tile(trial.towards, shape[0])
    if isinstance(evidence, Tables):
        cells = hypothesised.reshape(*shape, 2, 3) * _sizes(evidence, shape[0], key)[:, None, :, None]
        drawn = additive.simulated(noise, uniforms(key, (2, cells.size))).reshape(cells.shape)
        noisy = (cells + drawn).reshape(-1, 2, 3)
        deviation = standard_deviation(noise)
        return judging.of_tables(noisy, deviation, evidence.cases, evidence.controls, towards).reshape(shape)
    flat = hypothesised.reshape(-1, 3)
    theirs = np.tile(trial.theirs, (shape[0], 1))
    _, deviation, unit = judging.measured_shares(evidence.noisy)
    shares = (flat[:, 1] + 2 * flat[:, 2]) / (2 * evidence.people)
    shares = shares + unit * additive.simulated(noise, uniforms(key, (2, len(flat))))
    return judging.of_frequencies(shares, deviation, evidence.people, theirs, towards).reshape(shape)


def _sizes(evidence: Tables, draws: int, key: ReleaseKey) -> Floats:
    """Return by how much groups may be larger than they were estimated, factors, float64 (draws, 2)."""
    from scipy.special import ndtri  # an extra's module, and slow to load

    away = ndtri(np.clip(uniforms(key, (draws, 2), 1), 1e-12, 1 - 1e-12)) * evidence.size_deviation
    if evidence.everybody:
        away[:, 1] = -away[:, 0]
    return np.asarray(np.maximum(1 + away / np.array([evidence.controls, evidence.cases]), 0.0))


def scaled(counts: Counts, people: int) -> Counts:
    """Return counts of so many people with nearly the same shares, int64 of shape (variants, 3)."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    two = np.rint(shares[:, 2] * people).astype(np.int64)
    one = np.minimum(np.rint(shares[:, 1] * people).astype(np.int64), people - two)
    return np.stack([people - one - two, one, two], axis=1)


def _whole_counts(hypothesised: Hypothesised) -> Counts:
    return np.asarray(hypothesised, np.int64)


def _people(counts: Counts, people: int) -> Block:
    """Return people with these counts of genotypes at each variant, homozygotes of the alternate first."""
    order = np.arange(people)
    hi, lo = (masks(order < last[:, None]) for last in (counts[:, 2], counts[:, 1] + counts[:, 2]))
    return Block(hi, lo, people)


def _counts(block: Block) -> Counts:
    counted = tally(block)
    none = block.people - counted.missing - counted.ones - counted.twos
    return np.stack([none, counted.ones, counted.twos], axis=1)


def _check_size(genotypes: int) -> None:
    if genotypes > MOST:
        raise TooLarge(
            "so many releases of this size take too long to simulate",
            "verify fewer findings at a time, or give fewer draws",
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """Hypothesised genotypes in memory, as a source."""

    all: Block

    @property
    def people(self) -> int:
        return self.all.people

    def block(self, start: int, stop: int) -> Block:
        return Block(self.all.hi[start:stop].copy(), self.all.lo[start:stop].copy(), self.people)

    def blocks(self) -> Iterator[tuple[int, Block]]:
        yield 0, self.all
