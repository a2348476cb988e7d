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
from noisegate.genomics import group_sizes, plans
from noisegate.genomics.counts import Flags, Groups, Noisy, Plan, Source, measure
from noisegate.genomics.significance import evaluate_cells
from noisegate.privacy.noise import Gaussian, Laplace, half_width, standard_deviation

Reals = NDArray[np.float64]
CONFIDENCE = Fraction(19, 20)


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
    noise: Gaussian | Laplace

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
    """Tests of association between genotype and group, float64 of shape (variants,).

    `p` is that of the trend in the number of alternate alleles, never smaller than chance and noise allow,
    and `z` the normal deviate with this two-sided p, above 0 where cases have more of them. `log_odds` is
    the allelic log odds ratio of cases to controls, `low` and `high` its 95 % interval; they may be infinite.
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
        plan.noise,
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
    """Return noise-aware trend tests and allelic odds ratios, by significance.py.

    They are taken from the cells before they were made consistent, whose noise is known.
    """
    from scipy.special import ndtri  # an extra's module, and slow to load

    people = tables.people
    if tables.declared:
        groups = group_sizes.declared(people, round(tables.sizes[1]))
    else:
        groups = group_sizes.estimated(tables.noisy, tables.noise, people)
    found = evaluate_cells(tables.noisy, tables.noise, groups)
    log_odds = np.log(found.odds_ratio)
    sign = np.where(found.frequency[:, 1] < found.frequency[:, 0], -1.0, 1.0)
    with np.errstate(divide="ignore"):
        low, high = np.log(found.low), np.log(found.high)
    return Associations(-sign * ndtri(found.p_trend / 2), found.p_trend, log_odds, low, high)
