"""Data sets behind findings on noisy tables, which hold controls of their own.

What a p-value says of the difference of cases and controls depends on how common genotypes are among both
together. That is read off the tables: cases and controls added up, whose noise is known. Data sets are
imagined for TIMES such sums, each the released one with fresh noise taken off, cut to counts there can be.
No reference comes in: the people of a study may be of another descent than any public panel.

Given the sum, the cases are some of these people. By chance alone their counts are hypergeometric. The counts
with a p-value lie on a closed curve about the cases' share of the sum, met along rays from it; a ray weighs
what the hypergeometric law gives the ring between two p-values that lie close together. Counts need not be
whole, as the sum is not known so well.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.verifying import additive
from noisegate.genomics.verifying.claims import SMALLEST, Plausible
from noisegate.genomics.verifying.evidence import Tables
from noisegate.genomics.verifying.simulate import key_of, uniforms
from noisegate.genomics.verifying.statistic import Test, direction, p_values

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

TIMES = 16  # sums that are imagined for each finding
EACH = 8  # data sets of each
RAYS, LOOKS, STEPS = 32, 12, 24
MANY_LOOKS = 64  # where p-values rise again towards counts of nobody
AT_ONCE = 2**14  # sums that are solved together
LEAST = 1e-9  # of a person, which is rounding


def minor(evidence: Tables) -> Counts:
    """Return copies of the rarer allele among all people, int64 (variants,), as noise lets them be seen."""
    both = evidence.noisy.cells.sum(axis=1)
    alleles = both[:, 1] + 2 * both[:, 2]
    found: Counts = np.maximum(np.minimum(alleles, 2 * both.sum(axis=1) - alleles), 0)
    return found


def sums(evidence: Tables, places: Counts, times: int, key: ReleaseKey) -> Floats:
    """Return what cases and controls together may be, float64 of shape (times, places, 3).

    Each adds up to the people of both groups. The noise is drawn anew, and taken off the released sum.
    """
    people = evidence.cases + evidence.controls
    shape = (times, len(places), 2, 3)
    noise = additive.simulated(evidence.noisy.plan.noise, uniforms(key, (2, int(np.prod(shape)))))
    found = evidence.noisy.cells[places].sum(axis=1) - noise.reshape(shape).sum(axis=2)
    return _nearest(found.astype(np.float64), people)


def plausible(
    test: Test,
    reported: tuple[Floats, Floats, Floats],
    towards: NDArray[np.int8],
    evidence: Tables,
    places: Counts,
    key: ReleaseKey,
) -> Plausible:
    """Return data sets that reported p-values could have come from, each a table of controls and cases.

    Args:
        test: that the p-values are of.
        reported: p-values, and the range that the digits of each stand for; float64, shape (findings,).
        towards: int8, shape (findings,): 1 where the alternate allele is said to be commoner among the cases,
            -1 where rarer, 0 where nothing is said.
        evidence: the tables.
        places: int64, shape (findings,): their variants.
        key: of what is drawn.

    Returns:
        Tables float64, (findings * TIMES * EACH, 6): three counts of the controls, then three of the cases.
    """
    findings = len(places)
    both = sums(evidence, places, TIMES, key_of(key.reveal().hex(), "sums")).swapaxes(0, 1)
    # Digits that are left out are spread over the sums, in an order that has nothing to do with them.
    part = np.argsort(uniforms(key_of(key.reveal().hex(), "digits"), (findings, TIMES)), axis=1)
    _, low, high = (one[:, None] for one in reported)
    wanted = np.maximum(low + (high - low) * (part + 0.5) / TIMES, SMALLEST)
    pick = uniforms(key_of(key.reveal().hex(), "rays"), (findings * TIMES, 1))
    made, fits = [], []
    for start, stop in _parts(findings * TIMES):
        own = slice(start, stop)
        tables, there = _solved(
            test,
            wanted.reshape(-1)[own],
            np.repeat(towards, TIMES)[own],
            both.reshape(-1, 3)[own],
            evidence.cases,
            pick[own],
        )
        made.append(tables)
        fits.append(there)
    attained = np.concatenate(fits).reshape(findings, TIMES)
    attainable: Flags = np.any(attained, axis=1)
    weight = np.where(attainable[:, None], attained, True).astype(np.float64)
    weight /= EACH * weight.sum(axis=1, keepdims=True)
    starts = np.arange(findings + 1, dtype=np.int64) * (TIMES * EACH)
    return Plausible(np.concatenate(made).reshape(-1, 6), np.repeat(weight.ravel(), EACH), starts, attainable)


def by_chance(evidence: Tables, places: Counts, draws: int, key: ReleaseKey) -> Floats:
    """Return tables whose cases are any of the people, float64 of shape (draws, places, 6)."""
    from scipy.special import ndtri  # an extra's module, and slow to load

    both = sums(evidence, places, draws, key_of(key.reveal().hex(), "sums"))
    uniform = uniforms(key_of(key.reveal().hex(), "cases"), (draws, len(places), 2))
    z = ndtri(np.clip(uniform, 1e-12, 1 - 1e-12))
    middle, steep = _spread(both, evidence.cases)
    moved = (steep @ z[..., None])[..., 0]
    away = np.concatenate([-moved.sum(axis=-1, keepdims=True), moved], axis=-1)
    reach = _room(middle, away, both)
    cases = middle + away * np.minimum(reach, 1.0)[..., None]
    return np.concatenate([both - cases, cases], axis=-1)


def _nearest(found: Floats, people: int) -> Floats:
    """Return the nearest numbers, none below 0, that add up to the people; the last axis is that of three."""
    order = -np.sort(-found, axis=-1)
    above = (np.cumsum(order, axis=-1) - people) / np.arange(1, 4)
    last = (order > above).sum(axis=-1, keepdims=True) - 1
    cut: Floats = np.maximum(found - np.take_along_axis(above, last, axis=-1), 0.0)
    return cut


def _parts(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, AT_ONCE):
        yield start, min(start + AT_ONCE, count)


def _spread(both: Floats, cases: int) -> tuple[Floats, Floats]:
    """Return the mean of the cases' counts, (…, 3), and a root of the last two's covariance, (…, 2, 2)."""
    people = both.sum(axis=-1, keepdims=True)
    share = both / people
    size = cases * (people[..., 0] - cases) / people[..., 0]
    one, two = share[..., 1], share[..., 2]
    root = np.zeros((*share.shape[:-1], 2, 2))
    first = np.sqrt(size * one * (1 - one))
    root[..., 0, 0] = first
    root[..., 1, 0] = -size * one * two / np.where(first > 0, first, 1.0)
    root[..., 1, 1] = np.sqrt(np.maximum(size * two * (1 - two) - root[..., 1, 0] ** 2, 0.0))
    return both * (cases / people), root


def _room(middle: Floats, away: Floats, both: Floats) -> Floats:
    """Return how many times `away` fits in before a count of cases or controls falls below 0; (…,)."""
    left = np.where(away > 0, both - middle, middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(np.abs(away) < LEAST, np.inf, np.maximum(left, 0.0) / np.abs(away))
    found: Floats = np.where(np.isfinite(times).any(axis=-1), times.min(axis=-1), 0.0)
    return found


def _solved(
    test: Test, wanted: Floats, towards: NDArray[np.int8], both: Floats, cases: int, pick: Floats
) -> tuple[Floats, Flags]:
    """Return EACH tables with a p-value, (sums, EACH, 6), and whether there are any that have it, (sums,)."""
    from scipy.special import gammaln  # an extra's module, and slow to load

    turn = 2 * np.pi * (np.arange(RAYS) + 0.5) / RAYS
    middle, root = _spread(both, cases)
    moved = np.stack([np.cos(turn), np.sin(turn)], axis=-1) @ root.swapaxes(-1, -2)
    away = np.concatenate([-moved.sum(axis=-1, keepdims=True), moved], axis=-1)
    middle, whole = middle[:, None, :], np.broadcast_to(both[:, None, :], away.shape)
    furthest = _room(middle, away, whole)

    def at(distance: Floats) -> Floats:
        found = np.maximum(middle + distance[..., None] * away, 0.0)
        return np.asarray(np.minimum(found, whole))

    def level(distance: Floats) -> Floats:
        found = at(distance)
        p = p_values(test, found.reshape(-1, 3), (whole - found).reshape(-1, 3))
        return np.log(np.maximum(p, SMALLEST)).reshape(distance.shape)

    goal = np.log(wanted)[:, None]
    low, high, there = np.zeros_like(furthest), furthest.copy(), np.zeros(furthest.shape, np.bool_)
    # The first crossing: where few people are left, a test may find less the further away they are.
    looks = MANY_LOOKS if test is Test.ODDS else LOOKS
    for look in range(1, looks + 1):
        distance = furthest * (look / looks)
        past = level(distance) <= goal
        high = np.where(past & ~there, distance, high)
        there |= past
        low = np.where(there, low, distance)
    for _ in range(STEPS):
        between = (low + high) / 2
        past = level(between) <= goal
        low, high = np.where(past, low, between), np.where(past, between, high)
    found = at(high)
    right = np.ones(there.shape, np.bool_)
    if towards.any():
        seen = direction(test, found.reshape(-1, 3), (whole - found).reshape(-1, 3)).reshape(there.shape)
        right = (towards[:, None] == 0) | (seen == towards[:, None])
        right |= ~right.any(axis=1, keepdims=True)
    width = 0.01 * high
    slope = np.abs(level(np.minimum(high + width, furthest)) - level(high - width)) / (2 * width + 1e-12)
    fall = -(gammaln(found + 1) + gammaln(whole - found + 1)).sum(axis=-1)
    usable = there & right
    fits: Flags = np.any(usable, axis=1)
    fall = np.where(usable, fall, -np.inf)
    highest = np.where(usable, fall, -1e300).max(axis=1, keepdims=True)
    weight = np.where(usable, np.exp(fall - highest) * high / (slope + 1e-12), 0.0)
    # Where none has the p-value, the ray that comes nearest to it.
    lost = np.where(right, np.abs(level(high) - goal), np.inf)
    weight = np.where(fits[:, None], weight, lost == lost.min(axis=1, keepdims=True))
    above = np.cumsum(weight, axis=1)
    marks = (np.arange(EACH) + pick) / EACH * above[:, -1:]
    chosen = np.minimum((above[:, None, :] <= marks[:, :, None]).sum(axis=-1), RAYS - 1)
    ours = np.take_along_axis(found, chosen[..., None], axis=1)
    return np.concatenate([both[:, None, :] - ours, ours], axis=-1), fits
