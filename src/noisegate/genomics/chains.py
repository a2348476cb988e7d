"""Fitting a first-order chain of genotypes to noisy counts and a public panel.

All of it is post-processing of what was measured with noise. Allele frequencies are estimated first, from
counts of alleles and from tables of pairs, each by its precision, and drawn to the panel; then tables of
neighbouring genotypes, which are raked until their margins are those of the frequencies, so that the chain
is consistent.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genomics import frequencies
from noisegate.genomics.counts import Noisy, Pairs
from noisegate.genomics.panel import Panel
from noisegate.privacy.noise import standard_deviation

Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]
Thresholds = NDArray[np.uint64]

RAKINGS = 25
SMOOTHING = 4.0  # people worth of "neighbours are independent" that are added to a panel's tables
LEAST_CELL = 1e-9
AT_ONCE = 2**17  # tables raked at a time


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A first-order Markov chain over genotypes along variants, in whole numbers.

    `at_least` is uint64 of shape (variants, 3, 2): given genotype a at the variant before, this one has at
    least 1 with probability at_least[v, a, 0] / 2**64 and at least 2 with at_least[v, a, 1] / 2**64, the
    second never the greater. Where a chain starts all three rows are the same. `frequency` is what it was
    fitted to.
    """

    starts: Flags
    at_least: Thresholds
    frequency: Reals

    def __post_init__(self) -> None:
        if self.at_least.dtype != np.uint64 or self.at_least.shape != (len(self.starts), 3, 2):
            raise ValueError("thresholds are uint64, of shape (variants, 3, 2)")
        if (self.at_least[..., 1] > self.at_least[..., 0]).any():
            raise ValueError("two alleles are not likelier than one or two")

    @property
    def variants(self) -> int:
        """How many variants there are."""
        return len(self.starts)


def fit(
    starts: Flags, people: int, panel: Panel | None, alleles: Noisy | None = None, pairs: Noisy | None = None
) -> Chain:
    """Return the chain for what was measured; at least one of panel, alleles and pairs is given.

    Without tables of pairs the panel says how neighbours go together; without either they are independent.

    Args:
        starts: bool, shape (variants,): where chains begin. The same as the panel's and the pairs'.
        people: how many people were, or would be, measured.
        panel: of the same variants.
        alleles: measured allele counts.
        pairs: measured tables of pairs.

    Raises:
        BadInput: nothing is known of some variant.
    """
    if pairs is not None and not (
        isinstance(pairs.plan.query, Pairs) and (pairs.plan.query.starts == starts).all()
    ):
        raise BadInput("the tables of pairs are of other neighbours than the chain")
    raw, variance = _measured(len(starts), people, alleles, pairs)
    frequency = _estimated(raw, variance, panel, people)
    shares = margins(frequency, panel)
    thresholds = np.empty((len(starts), 3, 2), np.uint64)
    thresholds[:] = _thresholds(shares)[:, None, :]
    right = np.flatnonzero(~starts)
    apart = None if pairs is None else _spread(pairs, shares, right, panel, people)
    for at in range(0, len(right), AT_ONCE):
        part = slice(at, at + AT_ONCE)
        before, after = shares[right[part] - 1], shares[right[part]]
        tables = rake(_expected(panel, part, before, after), before, after)
        if pairs is not None and apart is not None:
            tables = rake(_drawn_to(tables, pairs, part, apart), before, after)
        thresholds[right[part]] = _thresholds(tables / tables.sum(axis=2, keepdims=True))
    return Chain(starts, thresholds, frequency)


def rake(tables: Reals, rows: Reals, columns: Reals) -> Reals:
    """Return tables with these margins and, nearly, the same odds ratios: iterative proportional fitting.

    Args:
        tables: float64, shape (tables, 3, 3), all above 0.
        rows: sums over the second genotype, float64, shape (tables, 3), each summing to 1; met exactly.
        columns: sums over the first, likewise; met nearly.
    """
    found = tables
    for _ in range(RAKINGS):
        found = found * (columns / found.sum(axis=1))[:, None, :]
        found = found * (rows / found.sum(axis=2))[:, :, None]
    return found


def _measured(variants: int, people: int, alleles: Noisy | None, pairs: Noisy | None) -> tuple[Reals, Reals]:
    """Return measured frequencies, unclipped, and their noise's variance, infinite where there are none."""
    precision, weighted = np.zeros(variants), np.zeros(variants)
    if alleles is not None:
        measured, deviation = frequencies.measured(alleles)
        precision += deviation**-2
        weighted += deviation**-2 * measured
    if pairs is not None and isinstance(pairs.plan.query, Pairs):
        right = np.flatnonzero(~pairs.plan.query.starts)
        # Alleles are people + (those with two) - (those with none): six cells of a table.
        each = (2 * people / standard_deviation(pairs.plan.noise)) ** 2 / 6
        for places, axis in ((right - 1, 2), (right, 1)):
            margin = pairs.cells.sum(axis=axis)
            np.add.at(precision, places, each)
            np.add.at(weighted, places, each * (people + margin[:, 2] - margin[:, 0]) / (2 * people))
    known = precision > 0
    variance = np.full(variants, np.inf)
    variance[known] = 1 / precision[known]
    return np.where(known, weighted * np.where(known, variance, 0.0), 0.5), variance


def _estimated(raw: Reals, variance: Reals, panel: Panel | None, people: int) -> Reals:
    known = np.isfinite(variance)
    if panel is None:
        if not known.all():
            raise BadInput(
                "of some variants nothing is measured", "release allele counts too, or give a panel"
            )
        return np.clip(raw, 1 / (4 * people), 1 - 1 / (4 * people))
    if not known.any():
        return panel.frequency
    # What was not measured is given the panel's value, which says nothing of how far the others lie from it.
    mean, _, _ = frequencies.shrink(
        np.where(known, raw, panel.frequency), np.where(known, variance, 0.0), panel, people
    )
    return np.where(known, mean, panel.frequency)


def margins(frequency: Reals, panel: Panel | None) -> Reals:
    """Return shares of genotypes for frequencies, float64 of shape (variants, 3), each above 0.

    Hardy and Weinberg's, but for the panel's lack of heterozygotes: its mean over all variants (people of
    several populations have fewer), and of what one variant shows beside that, as much as is not a sample's
    noise.
    """
    f = np.clip(frequency, 2 * LEAST_CELL, 1 - 2 * LEAST_CELL)
    mixed = 2 * f * (1 - f)
    if panel is not None:
        p, people = panel.frequency, panel.people
        even = 2 * p * (1 - p)
        seen = panel.genotypes[:, 1] / people
        lack = 1 - float(seen.sum()) / (float(even.sum()) * 2 * people / (2 * people - 1))
        own = seen - even * (1 - lack)
        noise = float(np.sum(even * (1 - even) / people))
        weight = max(0.0, 1 - noise / max(float(np.sum(own**2)), noise))
        mixed = mixed * (1 - lack + weight * own / even)
    mixed = np.clip(mixed, LEAST_CELL, 2 * np.minimum(f, 1 - f) - LEAST_CELL)
    return np.stack([1 - f - mixed / 2, mixed, f - mixed / 2], axis=1)


def _expected(panel: Panel | None, part: slice, before: Reals, after: Reals) -> Reals:
    """Return tables before any is measured, all above 0."""
    apart = before[:, :, None] * after[:, None, :] + LEAST_CELL
    if panel is None:
        return apart
    found: Reals = (panel.tables[part] + SMOOTHING * apart) / (panel.people + SMOOTHING)
    return found


def _spread(pairs: Noisy, shares: Reals, right: NDArray[np.intp], panel: Panel | None, people: int) -> float:
    """Return c: true cells lie about the expected ones, q, with variance c q (1 - q). See `frequencies`."""
    noise = (standard_deviation(pairs.plan.noise) / people) ** 2
    square, room = 0.0, 0.0
    for at in range(0, len(right), AT_ONCE):
        part = slice(at, at + AT_ONCE)
        before, after = shares[right[part] - 1], shares[right[part]]
        q = rake(_expected(panel, part, before, after), before, after)
        square += float(((pairs.cells[part] / people - q) ** 2 - noise).sum())
        room += float((q * (1 - q)).sum())
    # Margins agree already, which takes half the freedom away.
    least = 0.0 if panel is None else (1 / people + 1 / panel.people) / 2
    error = (2 * pairs.cells.size) ** 0.5 * noise
    return float(max((square - 3 * error) / room, least))


def _drawn_to(expected: Reals, pairs: Noisy, part: slice, apart: float) -> Reals:
    noise = (standard_deviation(pairs.plan.noise) / pairs.people) ** 2
    variance = apart * expected * (1 - expected)
    weight = variance / (variance + noise)
    return np.maximum(expected + weight * (pairs.cells[part] / pairs.people - expected), LEAST_CELL)


def _thresholds(shares: Reals) -> Thresholds:
    """Return thresholds for shares of genotypes, float64 of shape (…, 3): uint64, shape (…, 2)."""
    two = np.clip(shares[..., 2], 0.0, 1 - 2.0**-53)
    some = np.clip(two + shares[..., 1], two, 1 - 2.0**-53)
    return (np.stack([some, two], axis=-1) * 2.0**64).astype(np.uint64)
