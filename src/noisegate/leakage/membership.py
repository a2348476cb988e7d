"""Was this person in the pool? Two scores from allele frequencies alone.

Both add up one number a variant and call, so a pass over the candidates' genotypes is enough, whatever
the number of variants. Higher speaks for membership.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from noisegate.genotypes.packed import Block
from noisegate.leakage.genomes import Frequencies, Genomes
from noisegate.leakage.roc import Scores


@dataclass(frozen=True, slots=True, eq=False)
class Pools:
    """What the attacker knows: allele frequencies of the release and of a reference that holds no candidate.

    `released` and `reference` are float64 of shape (variants,), in [0, 1] up to noise; `people` and
    `reference_people` say from how many they come, and bound how close to 0 and 1 a frequency is believed.
    Frequencies from bits that were flipped come first through `unflipped`.
    """

    released: Frequencies
    reference: Frequencies
    people: int
    reference_people: int

    def __post_init__(self) -> None:
        if self.released.ndim != 1 or self.released.shape != self.reference.shape:
            raise ValueError("both pools have one frequency a variant")
        if min(self.people, self.reference_people) < 1:
            raise ValueError("a pool holds at least one person")
        if not (np.isfinite(self.released).all() and np.isfinite(self.reference).all()):
            raise ValueError("frequencies are finite: leave out variants nobody was called at")


def homer(candidates: Genomes, pools: Pools) -> Scores:
    """Return Homer's T for each candidate, float64 of shape (people,).

    T = mean(D) sqrt(m) / sd(D) with D = |x/2 - reference| - |x/2 - released| over the m variants with a call.
    Homer et al. (2008), PLoS Genetics 4:e1000167.
    """
    calls = np.array([0.0, 0.5, 1.0])
    away = np.abs(calls - pools.reference[:, None]) - np.abs(calls - pools.released[:, None])
    sums, squares, seen = _added(candidates, away)
    mean = sums / np.maximum(seen, 1)
    variance = (squares - seen * mean * mean) / np.maximum(seen - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = mean * np.sqrt(seen) / np.sqrt(variance)
    # Frequencies that do not differ at all say nothing of anyone.
    return np.where(variance > 0, scores, 0.0)


def likelihood_ratio(candidates: Genomes, pools: Pools) -> Scores:
    """Return the log likelihood ratio of each candidate, drawn from the released pool or from the reference.

    The sum over variants of x ln(q/p) + (2 - x) ln((1 - q)/(1 - p)), frequencies kept a quarter of an allele
    away from 0 and 1. Sankararaman et al. (2009), Nature Genetics 41:965.
    """
    q = _kept_off(pools.released, pools.people)
    p = _kept_off(pools.reference, pools.reference_people)
    up, down = np.log(q / p), np.log((1 - q) / (1 - p))
    return _added(candidates, np.stack([2 * down, up + down, 2 * up], axis=1))[0]


def unflipped(observed: Frequencies, flip: Frequencies) -> Frequencies:
    """Return (observed - flip) / (1 - 2 flip): frequencies before flips with probability `flip` < 1/2.

    Unbiased where both bits of a variant have this probability, so it may leave [0, 1]. Warner (1965).
    """
    if not (flip < 0.5).all():
        raise ValueError("bits that are flipped half of the time say nothing")
    return np.asarray((observed - flip) / (1 - 2 * flip), np.float64)


def _kept_off(found: Frequencies, people: int) -> Frequencies:
    edge = 1 / (4 * people)
    return np.clip(found, edge, 1 - edge)


def _added(candidates: Genomes, table: Frequencies) -> tuple[Scores, Scores, Scores]:
    """Return each candidate's sum of the table's entries, of their squares, and its number of calls.

    `table` is float64 of shape (variants, 3), an entry for each call. A missing call adds nothing.
    """
    # Columns in the order of hi and lo read as a number: 00, 01, 10 (missing), 11.
    ordered = np.ascontiguousarray(np.insert(table, 2, 0.0, axis=1))
    sums, squares, seen = (np.zeros(candidates.people) for _ in range(3))
    done = 0
    for start, block in candidates.blocks():
        done = start + block.variants
        if done > len(table):
            raise ValueError(f"the candidates have more variants than the pools' {len(table)}")
        _add_block(block, ordered[start:done], sums, squares, seen)
    if done != len(table):
        raise ValueError(f"the candidates have {done} variants, the pools {len(table)}")
    return sums, squares, seen


def _add_block(block: Block, table: Frequencies, sums: Scores, squares: Scores, seen: Scores) -> None:
    if not math.prod(block.hi.shape):
        return
    _look_up(block.hi, block.lo, table, sums, squares, seen)


@njit(cache=True, nogil=True)
def _look_up(hi, lo, table, sums, squares, seen):  # type: ignore[no-untyped-def]
    one = np.uint64(1)
    people = len(sums)
    for v in range(hi.shape[0]):
        for w in range(hi.shape[1]):
            both = hi[v, w]
            any_ = lo[v, w]
            first = w * 64
            for i in range(min(64, people - first)):
                shift = np.uint64(i)
                code = ((both >> shift) & one) << one | ((any_ >> shift) & one)
                entry = table[v, code]
                sums[first + i] += entry
                squares[first + i] += entry * entry
                seen[first + i] += np.float64(code != 2)
