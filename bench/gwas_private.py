"""Private association: how quickly noisy tables are judged, and what noise costs beside the exact test."""

from fractions import Fraction

import numpy as np

from bench.cpu import in_turn, rates
from bench.rows import Row, shown
from noisegate.genomics import significance
from noisegate.genomics.counts import Groups
from noisegate.genomics.group_sizes import declared
from noisegate.genomics.plans import design
from noisegate.privacy.noise import Gaussian, Laplace, add

PEOPLE = 2_000
NULLS, REAL = (4_000, 40_000), 2_000  # variants: of quick runs and full ones; of those with a difference
EPSILONS = (1, 3, 10)
DELTA = Fraction(1, 10**6)
LEVELS = (0.05, 1e-3)
STRONG = 0.1  # how far the alternate allele's frequency lies apart, cases from controls


def rows(*, quick: bool) -> list[Row]:
    """Return variants a CPU second, false positives of null studies, and power beside the exact test."""
    rng = np.random.default_rng(11)
    null = _tables(rng, NULLS[not quick], 0.0)
    found = []
    for noise in (Gaussian(Fraction(20)), Laplace(Fraction(20))):
        noisy = _noisy(null, noise)
        groups = declared(PEOPLE, PEOPLE // 2)
        (seconds,) = in_turn(
            lambda n=noisy, a=noise, g=groups: significance.evaluate_cells(n, a, g), repeats=3
        )
        kind = type(noise).__name__
        found.append(shown(f"noisy tables judged, {kind} noise", rates(len(null), seconds), "variants/CPU-s"))
        p = significance.evaluate_cells(noisy, noise, groups).p_trend
        for level in LEVELS:
            share = float((p <= level).mean())
            found.append(
                shown(f"null studies with p ≤ {level:g}, {kind} noise", [share / level], "of the level")
            )
    for variants in (10, 100):
        real = _tables(rng, REAL, STRONG)
        for epsilon in EPSILONS:
            plan = design(Groups(variants), Fraction(epsilon), DELTA)
            noisy = _noisy(real, plan.noise)
            p = significance.evaluate_cells(noisy, plan.noise, declared(PEOPLE, PEOPLE // 2)).p_trend
            found.append(
                shown(
                    f"found at p ≤ 1e-4, {variants} variants, ε {epsilon}, frequency .1 apart",
                    [float((p <= 1e-4).mean())],
                    "of variants",
                    f"{PEOPLE:,} people, δ 1e-6; the exact test finds {_exact(real):.2g}",
                )
            )
    return found


def _tables(rng: np.random.Generator, variants: int, apart: float) -> np.ndarray:
    """Return exact tables, int64 of shape (variants, 2, 3), half of the people cases."""
    base = rng.uniform(0.15, 0.5, variants)
    made = np.empty((variants, 2, 3), np.int64)
    for group, share in enumerate((base - apart / 2, base + apart / 2)):
        chances = np.stack([(1 - share) ** 2, 2 * share * (1 - share), share**2], axis=1)
        made[:, group] = rng.multinomial(PEOPLE // 2, chances)
    return made


def _noisy(exact: np.ndarray, noise: Gaussian | Laplace) -> np.ndarray:
    return add(noise, exact.ravel()).reshape(exact.shape).astype(np.float64)


def _exact(tables: np.ndarray) -> float:
    from noisegate.genomics.gwas import contingency

    return float((contingency.trend(tables).p <= 1e-4).mean())
