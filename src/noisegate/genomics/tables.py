"""Tables of cases and controls by genotype, under person-level differential privacy, for association studies.

Who is a case is the person's own, private like their genotypes. Replacing one person takes one from a cell
of each variant's table and adds one to another, whichever group the old and the new person are in: √(2m) in
L2. So the sizes of the groups cost nothing more: they are what the tables add up to, averaged over all
variants, which is far less noisy than any one table. Only the number of people in all is public. A custodian
may declare the number of cases public, where a study was designed so; the loss is the same, but it then
bounds what is told of a person's genotypes only: who knows everybody else's group knows theirs.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genomics import plans
from noisegate.genomics.counts import Flags, Groups, Noisy, Plan, Source, measure
from noisegate.privacy.noise import half_width, standard_deviation

Reals = NDArray[np.float64]
CONFIDENCE = Fraction(19, 20)
WIDE = 1.959963984540054


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Cells as released and as estimated, float64 of shape (variants, 2, 3); group 1 are the cases.

    `noisy` are whole numbers that may be negative; `low` and `high` each cell's 95 % interval due to the
    noise. `cells` are consistent: none negative, every variant's groups add up to `sizes`, float64
    (controls, cases), those to `people`. They are the nearest to `noisy` that are so. `declared` says that
    sizes were declared, not estimated.
    """

    noisy: Reals
    low: Reals
    high: Reals
    cells: Reals
    sizes: Reals
    size_sd: float
    noise_sd: float
    people: int
    declared: bool

    @property
    def alleles(self) -> Reals:
        """Alternate alleles in each group, float64, shape (variants, 2)."""
        found: Reals = self.cells[..., 1] + 2 * self.cells[..., 2]
        return found

    def as_json(self) -> dict[str, object]:
        """Return a summary."""
        return {
            "variants": len(self.cells),
            "people": self.people,
            "controls": float(self.sizes[0]),
            "cases": float(self.sizes[1]),
            "sizes": "declared" if self.declared else "estimated",
            "size_sd": self.size_sd,
            "cell_noise_sd": self.noise_sd,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Associations:
    """Tests of allele frequency between cases and controls, float64 of shape (variants,).

    `z` takes the noise into account beside sampling, so `p` is a p-value of what is true of the population,
    not of the noise. `log_odds` is the allelic log odds ratio of cases to controls, `low` and `high` its 95
    % interval.
    """

    z: Reals
    p: Reals
    log_odds: Reals
    low: Reals
    high: Reals


def design(variants: int, epsilon: Fraction, delta: Fraction) -> Plan:
    """Return the plan of least noise that is (epsilon, delta)-DP for one person.

    Raises:
        BadInput: ε, δ or the number of variants make no sense.
    """
    try:
        query = Groups(variants)
    except ValueError as problem:
        raise BadInput(str(problem)) from problem
    return plans.design(query, epsilon, delta)


def release(source: Source, cases: Flags, plan: Plan) -> Noisy:
    """Measure tables. Needs: `plan.loss` is charged; `cases` are the people's own, in the source's order."""
    if not isinstance(plan.query, Groups):
        raise BadInput("tables are released from counts of cases and controls")
    return measure(plan, source, cases)


def estimate(released: Noisy, cases: int | None = None) -> Tables:
    """Return consistent tables.

    Args:
        released: noisy tables.
        cases: how many cases there are, where the custodian declared that public beforehand.

    Raises:
        BadInput: more cases than people.
    """
    people, plan = released.people, released.plan
    if cases is not None and not 0 <= cases <= people:
        raise BadInput("there are between none and as many cases as people")
    noisy = released.cells.astype(np.float64)
    deviation, reach = standard_deviation(plan.noise), half_width(plan.noise, CONFIDENCE)
    # Of one table, half the cases' sum less the controls' and half of all people: six cells, a quarter each.
    found = float(np.mean(noisy[:, 1].sum(axis=1) - noisy[:, 0].sum(axis=1)) + people) / 2
    size_sd = deviation * (6 / 4 / len(noisy)) ** 0.5
    size = float(cases) if cases is not None else min(max(found, 0.0), float(people))
    sizes = np.array([people - size, size])
    return Tables(
        noisy,
        np.clip(noisy - reach, 0, people),
        np.clip(noisy + reach, 0, people),
        onto_simplex(noisy, sizes),
        sizes,
        0.0 if cases is not None else size_sd,
        deviation,
        people,
        cases is not None,
    )


def onto_simplex(cells: Reals, sizes: Reals) -> Reals:
    """Return the nearest cells that are not negative and add up to sizes.

    Duchi, Shalev-Shwartz, Singer and Chandra (2008), Figure 1, for three cells at a time.

    Args:
        cells: float64, shape (variants, 2, 3).
        sizes: float64, shape (2,), not negative.
    """
    falling = -np.sort(-cells, axis=-1)
    excess = (np.cumsum(falling, axis=-1) - sizes[None, :, None]) / np.array([1.0, 2.0, 3.0])
    kept = np.maximum((falling > excess).sum(axis=-1), 1)
    shift = np.take_along_axis(excess, kept[..., None] - 1, axis=-1)
    found: Reals = np.maximum(cells - shift, 0.0)
    return found


def associations(tables: Tables) -> Associations:
    """Return noise-aware allelic tests and odds ratios; a group that may be empty gives p 1 and no bound.

    Frequencies are taken from the cells before they were made consistent, whose noise is known and unbiased:
    twos less noughts, over twice the size, plus a half. Their variance is that of sampling, p (1 - p) / 2n,
    and of noise.
    """
    from scipy.special import ndtr  # an extra's module, and slow to load

    sizes = np.maximum(tables.sizes, 1.0)
    share = 0.5 + (tables.noisy[..., 2] - tables.noisy[..., 0]) / (2 * sizes)
    noise = 2 * tables.noise_sd**2 / (2 * sizes) ** 2
    pooled = np.clip(
        (share * sizes).sum(axis=1) / sizes.sum(), 1 / (4 * tables.people), 1 - 1 / (4 * tables.people)
    )
    spread = pooled * (1 - pooled)
    variance = (spread[:, None] / (2 * sizes) + noise).sum(axis=1)
    z = (share[:, 1] - share[:, 0]) / np.sqrt(variance)
    # The log odds by their slope, 1 / p (1 - p), where each group's frequency lies.
    inside = np.clip(share, 1 / (4 * sizes), 1 - 1 / (4 * sizes))
    slope = 1 / (inside * (1 - inside))
    error = np.sqrt((slope**2 * (inside * (1 - inside) / (2 * sizes) + noise)).sum(axis=1))
    log_odds = np.log(inside[:, 1] / (1 - inside[:, 1])) - np.log(inside[:, 0] / (1 - inside[:, 0]))
    p = 2 * ndtr(-np.abs(z))
    empty = bool((tables.sizes < 1).any())
    bound = np.full_like(z, np.inf) if empty else WIDE * error
    return Associations(z, np.ones_like(p) if empty else p, log_odds, log_odds - bound, log_odds + bound)
