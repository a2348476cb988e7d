"""The data sets that a finding could have come from: a p-value inverted to counts of genotypes.

An honest finding says that the cases' counts x of a variant give the reported p-value against the controls'.
Few counts do. Of up to SMALL people all of them are listed, and those are kept whose p-value lies in the
range that the reported digits stand for; of 60 people and a p-value with all its digits it is mostly one. Of
more people the counts with that p-value lie close together on a closed curve about the controls'
frequencies, which is met along rays from them: in either direction of the allele, and with more or fewer
heterozygotes than Hardy and Weinberg have.

Among them some are likelier than others. They are weighted as for a variant that differs by chance alone:
cases drawn from the controls' population, in Hardy-Weinberg proportions, their frequency being what the
controls leave open (the beta-binomial law, with Jeffreys's prior). Real studies do not keep to that: a true
difference puts more of the weight on counts that differ in the allele's frequency; relatives, mixed
ancestry and errors of typing put more of it on counts that differ in heterozygotes. So a verdict does not
rest on the weights themselves: each may be off by a factor, in whatever way makes the findings least likely
to be kept (`tilted`), as Rosenbaum (2002, Observational Studies, chapter 4) bounds what is not known of an
assignment. Where a p-value has one table, there is nothing to weight, and nothing is lost by this.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.verifying.statistic import Test, direction, p_values

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Hypothesised = Counts | Floats

SMALL = 200  # people up to whom all counts are listed
RAYS = 96  # along which the counts of more people are looked for
STEPS = 24  # of halving
NEAREST, FURTHEST, LOOKS = 0.25, 60.0, 48  # standard deviations from the controls, and how many are looked at
AT_ONCE = 256  # findings that are solved together
ROUNDED = 0.1  # relative error of a p-value whose counts were rounded to whole people
SMALLEST = 1e-300  # p-values are told apart above it
NEAR = 0.02  # relative, beyond the nearest counts where none have the p-value that was reported
MOST = 64  # tables that stand for all, where more have the p-value
LEAST = 1e-6  # weight, of the largest, below which counts are left out


@dataclass(frozen=True, slots=True, eq=False)
class Plausible:
    """Counts that findings could have come from, those of one finding after those of the one before.

    Attributes:
        tables: shape (tables, 3), the cases' counts, int64, each row adding up to the people; or of noisy
            tables shape (tables, 6), float64, the controls' counts first (pooled.py).
        weights: float64, shape (tables,); of each finding they add up to 1.
        starts: int64, shape (findings + 1,): the tables of finding i are starts[i] to starts[i + 1] - 1.
        attainable: bool, shape (findings,); whether any counts give the p-value that was reported. Of others
            the tables are those that come nearest.
    """

    tables: Hypothesised
    weights: Floats
    starts: Counts
    attainable: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.attainable)

    def draw(self, uniform: Floats) -> Hypothesised:
        """Return one table of each finding for each draw, by weight.

        Args:
            uniform: float64, shape (draws, findings), in [0, 1).

        Returns:
            As `tables`, shape (draws, findings, 3) or (draws, findings, 6).
        """
        above = np.concatenate([[0.0], np.cumsum(self.weights)])
        first, last = self.starts[:-1], self.starts[1:] - 1
        wanted = above[first] + uniform * (above[last + 1] - above[first])
        picked = np.searchsorted(above, wanted, side="right") - 1
        found: Hypothesised = self.tables[np.clip(picked, first, last)]
        return found

    @property
    def sizes(self) -> Counts:
        """How many tables each finding has, int64 (findings,)."""
        return np.diff(self.starts)

    def tilted(self, kept: Floats, by: float) -> "Plausible":
        """Return the same tables with the weights that make findings least likely to be kept.

        Each weight may be off by the factor `by` either way, so that among the tables of a finding odds are
        off by its square at most; see the module.

        Args:
            kept: float64, shape (tables,): the chance that a release keeps the finding if this is the table.
            by: at least 1.
        """
        weights = self.weights.copy()
        for start, stop in zip(self.starts[:-1].tolist(), self.starts[1:].tolist(), strict=True):
            if stop - start > 1:
                order = np.argsort(kept[start:stop], kind="stable")
                weights[start:stop][order] = _least(
                    self.weights[start:stop][order], kept[start:stop][order], by
                )
        return Plausible(self.tables, weights, self.starts, self.attainable)


def plausible(
    test: Test,
    reported: tuple[Floats, Floats, Floats],
    towards: NDArray[np.int8],
    controls: Counts,
    people: int,
) -> Plausible:
    """Return the counts of `people` cases that reported p-values could have come from.

    Args:
        test: that the p-values are of.
        reported: p-values, and the range that the digits of each stand for; float64, shape (findings,).
        towards: int8, shape (findings,): 1 where the alternate allele is said to be commoner among the cases,
            -1 where rarer, 0 where nothing is said.
        controls: int64, shape (findings, 3).
        people: how many cases there are.
    """
    solved = people > SMALL
    candidates = _rays(test, reported[0], controls, people) if solved else _listed(_all(people), controls)
    tables, weights, sizes, attainable = [], [], [], []
    for i, (found, weight) in enumerate(candidates):
        claim = (float(reported[0][i]), float(reported[1][i]), float(reported[2][i]))
        kept, fits = _fitting(test, claim, int(towards[i]), controls[i], found, solved=solved)
        weight = np.where(kept, weight, 0.0)
        if not weight.any():
            weight = kept.astype(np.float64)
        kept &= weight > LEAST * weight.max()
        own, chances = _fewer(found[kept], weight[kept] / weight[kept].sum())
        tables.append(own)
        weights.append(chances)
        sizes.append(len(own))
        attainable.append(fits)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Plausible(np.concatenate(tables), np.concatenate(weights), starts, np.array(attainable))


def by_chance(controls: Counts, people: int, uniform: Floats) -> Counts:
    """Return counts of cases who are drawn from the controls' population, in Hardy-Weinberg proportions.

    Args:
        controls: int64, shape (variants, 3).
        people: how many cases there are.
        uniform: float64, shape (draws, variants, 2), in [0, 1).

    Returns:
        int64, shape (draws, variants, 3).
    """
    from scipy.special import ndtri  # an extra's module, and slow to load

    if people <= SMALL:
        every = _all(people)
        found = np.empty((*uniform.shape[:2], 3), np.int64)
        for i in range(len(controls)):
            above = np.cumsum(_chances(every, controls[i]))
            found[:, i] = every[np.searchsorted(above, uniform[:, i, 0] * above[-1], side="right")]
        return found
    z = ndtri(np.clip(uniform, 1e-12, 1 - 1e-12))
    frequency, _, spread = _moments(controls, people)
    return _whole(*_shares(frequency + z[..., 0] * spread, z[..., 1] / people**0.5), people)


def _fewer(tables: Counts, weights: Floats) -> tuple[Counts, Floats]:
    """Return at most MOST of some tables that stand for all: evenly spaced by weight, along heterozygotes."""
    if len(tables) <= MOST:
        return tables, weights
    order = np.lexsort((tables[:, 2], tables[:, 1]))
    above = np.cumsum(weights[order])
    picked = order[np.searchsorted(above, (np.arange(MOST) + 0.5) / MOST * above[-1])]
    return tables[picked], np.full(MOST, 1 / MOST)


def _least(weights: Floats, kept: Floats, by: float) -> Floats:
    """Return weights within a factor of those given that make the mean of `kept`, ascending, smallest.

    The minimum of a ratio of two linear functions over a box: the factor is `by` up to some table, and
    1 / by after it.
    """
    heavy, light = by * weights, weights / by
    above, mass = (
        np.concatenate([[0.0], np.cumsum(heavy * part)])
        + np.concatenate([np.cumsum((light * part)[::-1])[::-1], [0.0]])
        for part in (kept, np.ones_like(kept))
    )
    split = int(np.argmin(above / mass))
    found: Floats = np.concatenate([heavy[:split], light[split:]])
    found /= found.sum()
    return found


def _all(people: int) -> Counts:
    """Return all counts that so many people can have, int64 of shape (tables, 3)."""
    twos, ones = np.meshgrid(np.arange(people + 1), np.arange(people + 1))
    there = twos + ones <= people
    return np.stack([people - ones[there] - twos[there], ones[there], twos[there]], axis=1)


def _chances(tables: Counts, controls: Counts) -> Floats:
    """Return how likely tables are of people of the controls' population, up to a factor."""
    log = _log_chances(tables.astype(np.float64), controls)
    found: Floats = np.exp(log - log.max())
    return found


def _log_chances(tables: Floats, controls: Counts) -> Floats:
    """Return the logarithm of that, of tables that need not be whole; the last axis is that of genotypes."""
    from scipy.special import betaln, gammaln  # an extra's module, and slow to load

    alleles, others = tables[..., 1] + 2 * tables[..., 2], tables[..., 1] + 2 * tables[..., 0]
    theirs, rest = (controls[..., 1] + 2 * controls[..., side] + 0.5 for side in (2, 0))
    log = tables[..., 1] * np.log(2) - gammaln(tables + 1.0).sum(axis=-1)
    found: Floats = log + betaln(alleles + theirs, others + rest)
    return found


def _fitting(
    test: Test,
    reported: tuple[float, float, float],
    towards: int,
    controls: Counts,
    tables: Counts,
    *,
    solved: bool,
) -> tuple[NDArray[np.bool_], bool]:
    """Return which tables have the reported p-value and direction, or come nearest, and whether they have it.

    Where tables were `solved` for the p-value, and then rounded to whole people, near is enough.
    """
    p, low, high = reported
    found = p_values(test, tables, np.broadcast_to(controls, tables.shape))
    right = np.ones(len(tables), np.bool_)
    if towards:
        right = direction(test, tables, np.broadcast_to(controls, tables.shape)) == towards
        right |= not right.any()
    away = np.abs(np.log(np.maximum(found, SMALLEST)) - np.log(max(p, SMALLEST)))
    away = np.where(right, away, np.inf)
    nearest = float(away.min())
    if solved:
        # A person more or less changes a small p-value by a larger factor.
        rounding = ROUNDED * max(1.0, -float(np.log(max(p, SMALLEST))) / 3)
        reach = max(rounding, float(np.log(max(high, SMALLEST) / max(p, SMALLEST))))
        return away <= max(nearest + NEAR, reach), nearest <= reach
    fits = right & (found >= low * (1 - 1e-9)) & (found <= high * (1 + 1e-9))
    return (fits, True) if fits.any() else (away <= nearest + NEAR, False)


def _moments(controls: Counts, people: int) -> tuple[Floats, Floats, Floats]:
    """Return the controls' frequency and lack of heterozygotes, and the spread of the cases' frequency."""
    theirs = np.maximum(controls.sum(axis=-1), 1)
    frequency = (controls[..., 1] + 2 * controls[..., 2] + 0.5) / (2 * theirs + 1)
    variance = frequency * (1 - frequency)
    lack = 1 - (controls[..., 1] + 1e-9) / (2 * theirs * variance)
    return frequency, lack, np.sqrt(variance * (1 / (2 * people) + 1 / (2 * theirs)))


def _shares(frequency: Floats, lack: Floats) -> tuple[Floats, Floats]:
    """Return shares of heterozygotes and of homozygotes of the alternate allele, as far as there can be."""
    f = np.clip(frequency, 0.0, 1.0)
    most = 2 * np.minimum(f, 1 - f)
    ones = np.clip(2 * f * (1 - f) * (1 - lack), 0.0, most)
    return ones, f - ones / 2


def _whole(ones: Floats, twos: Floats, people: int) -> Counts:
    """Return the nearest whole counts."""
    two = np.clip(np.rint(twos * people), 0, people).astype(np.int64)
    one = np.clip(np.rint(ones * people), 0, people - two).astype(np.int64)
    return np.stack([people - one - two, one, two], axis=-1)


def _listed(every: Counts, controls: Counts) -> Iterator[tuple[Counts, Floats]]:
    """Yield all tables, and how likely they are by chance, for each finding."""
    for theirs in controls:
        yield every, _chances(every, theirs)


def _rays(test: Test, p: Floats, controls: Counts, people: int) -> Iterator[tuple[Counts, Floats]]:
    """Yield the counts with each p-value on rays from the controls' shares, and their weights."""
    for start in range(0, len(p), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        yield from zip(*_on_rays(test, p[part], controls[part], people), strict=True)


def _on_rays(test: Test, p: Floats, controls: Counts, people: int) -> tuple[Counts, Floats]:
    """Return counts, (findings, RAYS, 3), and weights, (findings, RAYS).

    The weight of a ray is the chance of the ring between two p-values that lie close together: that of the
    counts, times ρ dρ, ρ being the distance along the ray, times f (1 - f), by which counts lie closer than
    frequencies f and lacks of heterozygotes.
    """
    turn = 2 * np.pi * (np.arange(RAYS) + 0.5) / RAYS
    across, along = np.cos(turn), np.sin(turn)
    frequency, lack, spread = (part[:, None] for part in _moments(controls, people))
    room = (1 / people + 1 / np.maximum(controls.sum(axis=1), 1))[:, None] ** 0.5
    theirs = np.repeat(controls, RAYS, axis=0)

    def at(distance: Floats) -> tuple[Floats, Floats, Floats]:
        ones, twos = _shares(frequency + distance * across * spread, lack + distance * along * room)
        cells = np.stack([1 - ones - twos, ones, twos], axis=-1) * people
        found = np.log(np.maximum(p_values(test, cells.reshape(-1, 3), theirs), SMALLEST))
        return found.reshape(distance.shape), ones, twos

    wanted = np.log(np.maximum(p, SMALLEST))[:, None]
    low, high = np.zeros((len(p), RAYS)), np.full((len(p), RAYS), FURTHEST)
    there = np.zeros((len(p), RAYS), np.bool_)
    # The first crossing: where few people are left, a test may find less the further away they are.
    for distance in np.geomspace(NEAREST, FURTHEST, LOOKS):
        past = at(np.full_like(low, distance))[0] <= wanted
        high = np.where(past & ~there, distance, high)
        there |= past
        low = np.where(there, low, distance)
    for _ in range(STEPS):
        middle = (low + high) / 2
        past = at(middle)[0] <= wanted
        low, high = np.where(past, low, middle), np.where(past, middle, high)
    width = np.maximum(high * 0.02, 1e-3)
    slope = np.abs(at(high + width)[0] - at(np.maximum(high - width, 0))[0]) / (2 * width)
    _, ones, twos = at(high)
    fall = _log_chances(np.stack([1 - ones - twos, ones, twos], axis=-1) * people, controls[:, None, :])
    f = frequency + high * across * spread
    # Shares that were cut to what there can be lie on no ray.
    inside = np.isclose(twos + ones / 2, f) & np.isclose(
        ones, 2 * f * (1 - f) * (1 - lack - high * along * room)
    )
    fall = np.where(there & inside & (slope > 0), fall, -np.inf)
    highest = np.where(np.isfinite(fall), fall, -1e300).max(axis=1, keepdims=True)
    share = twos + ones / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.exp(fall - highest) * high * share * (1 - share) / slope
    weight = np.where(np.isfinite(fall), weight, 0.0)
    return _whole(ones, twos, people), weight
