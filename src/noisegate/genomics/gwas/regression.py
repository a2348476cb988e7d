"""What regressions of a phenotype on one variant at a time share: who takes part, and what is found."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# A variant whose variance inflation, 1 / (1 - R²) on the covariates, is above this has no estimate, as in
# PLINK (--vif).
INFLATION = 50.0
# A covariate of which no more than this share of its variance is left, given those before it, is refused.
_LEFT = 1e-10


class Note(IntEnum):
    """What there is to say about a variant's figures."""

    FITTED = 0
    NOTHING = 1
    COLLINEAR = 2
    SEPARATED = 3
    UNFINISHED = 4
    FIRTH = 5
    SCREENED = 6


NOTES: tuple[str, ...] = (
    "fitted",
    "no variation",
    "collinear",
    "separated",
    "not converged",
    "Firth",
    "score only",
)


@dataclass(frozen=True, slots=True, eq=False)
class Regression:
    """A phenotype's regression on each variant of a block, all of shape (variants,).

    `called`, int64, is how many took part with a call. `beta`, float64, is the effect of one more alternate
    allele, in the phenotype's unit or as a log odds ratio; `error` its standard error; `statistic` t or z,
    and `p` its two-sided p-value: all NaN where `note`, int8 of `Note`, says that there is no estimate.
    """

    called: NDArray[np.int64]
    beta: Floats
    error: Floats
    statistic: Floats
    p: Floats
    note: NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """Those who take part, and what is held fixed beside a variant.

    `part` is bool of shape (people,); `y`, float64, has a value for each of them; `columns`, float64 of shape
    (taking part, k), begins with ones, and the covariates follow, standardised.
    """

    part: Flags
    y: Floats
    columns: Floats


def design(y: Floats, covariates: Floats | None, keep: Flags | None, names: Sequence[str] = ()) -> Design:
    """Return who takes part in a regression: those with a phenotype, all covariates, and kept.

    Args:
        y: float64, shape (people,); NaN for who takes no part.
        covariates: float64, shape (people, c); NaN anywhere in a row takes it out.
        keep: bool, shape (people,); False takes out.
        names: of the covariates, for messages.

    Raises:
        BadInput: a value is infinite; fewer people than figures to estimate; the phenotype or a covariate is
            the same for all; a covariate follows from others.
        ValueError: shapes do not fit.
    """
    people = len(y)
    fixed = np.zeros((people, 0)) if covariates is None else np.asarray(covariates, np.float64)
    if y.ndim != 1 or fixed.ndim != 2 or len(fixed) != people:
        raise ValueError("a phenotype and covariates have a value for each person")
    if keep is not None and keep.shape != y.shape:
        raise ValueError("who is kept is said for each person")
    if np.isinf(y).any() or np.isinf(fixed).any():
        raise BadInput("a phenotype or covariate is infinite", "write NA where there is no value")
    part = ~(np.isnan(y) | np.isnan(fixed).any(axis=1))
    if keep is not None:
        part &= keep
    count, width = int(part.sum()), fixed.shape[1]
    if count < width + 3:
        raise BadInput(
            f"{count} people have a phenotype and all {width} covariates, too few for a regression",
            "check that the files name the same people, or use fewer covariates",
        )
    values = np.asarray(y[part], np.float64)
    if (values == values[0]).all():
        raise BadInput("the phenotype is the same for all who take part", "choose another phenotype")
    return Design(part, values, np.column_stack([np.ones(count), _standardised(fixed[part], names)]))


def two_sided(statistic: Floats, freedom: Floats | None = None) -> Floats:
    """Return two-sided p-values of z statistics, or of t statistics with these degrees of freedom."""
    from scipy.special import ndtr, stdtr  # takes long to load

    away = -np.abs(statistic)
    return np.asarray(2 * (ndtr(away) if freedom is None else stdtr(freedom, away)), np.float64)


def near_one(values: Floats) -> tuple[Floats, NDArray[np.intc]]:
    """Return numbers, or each column of them, over a power of two, so that the largest is in [1/2, 1).

    Squares of the largest or smallest of float64 are beyond it, theirs are not. Nothing is rounded but what
    is too small to matter. The powers' exponents come second.

    >>> near_one(np.array([2.0**-1000, -3 * 2.0**-1000]))[0].tolist()
    [0.25, -0.75]
    """
    _, power = np.frexp(np.abs(values).max(axis=0, initial=0.0))
    return np.ldexp(values, -power), power


def _standardised(fixed: Floats, names: Sequence[str]) -> Floats:
    called = [names[i] if i < len(names) else f"number {i + 1}" for i in range(fixed.shape[1])]
    fixed, _ = near_one(fixed)
    middle = fixed - fixed.mean(axis=0)
    spread = np.sqrt((middle * middle).mean(axis=0))
    # Rounding of the mean leaves this much of a constant column.
    flat = spread <= 1e-12 * np.abs(fixed).max(axis=0, initial=0.0)
    for i in np.flatnonzero(flat):
        raise BadInput(f"covariate {called[i]} is the same for all who take part", "leave it out")
    scaled = np.asarray(middle / spread, np.float64)
    scaled -= scaled.mean(axis=0)
    left = np.diagonal(np.linalg.qr(scaled, mode="r")) ** 2 / len(fixed)
    for i in np.flatnonzero(left < _LEFT):
        raise BadInput(f"covariate {called[i]} follows from those before it", "leave one of them out")
    return scaled
