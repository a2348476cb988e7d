"""Linear regression of a number on each variant and covariates: t tests on complete cases, as PLINK's.

The covariates are made orthonormal once, and the phenotype is replaced by what they leave of it (Frisch &
Waugh 1933, Econometrica 1:387). A variant then takes one sum of its genotypes with each column. People
without a call are taken out of the cross products one by one, so a variant's figures are those of ordinary
least squares over the people who have one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genomics.gwas import weights
from noisegate.genomics.gwas.regression import (
    INFLATION,
    Flags,
    Floats,
    Note,
    Regression,
    design,
    near_one,
    two_sided,
)
from noisegate.genomics.gwas.triangles import factor
from noisegate.genotypes import haploid
from noisegate.genotypes.packed import Block, Words

_NOTHING, _COLLINEAR = int(Note.NOTHING), int(Note.COLLINEAR)
# Of a covariate's variance, the share below which those with a call leave nothing of it to estimate.
_LEAST = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A phenotype and covariates, ready for any number of variants. Threads may share it.

    `part` has the bits of the `taking` people who take part. `weights`, float32 of shape (k, 64 * words), has
    the covariates made orthonormal and centred, then what they leave of the phenotype, scaled to length 1;
    its true length is `length` times 2 to the `power`, which may be beyond float64. `rows` holds the same by
    person, behind the intercept's column, in float64.
    """

    people: int
    taking: int
    part: Words
    weights: NDArray[np.float32]
    rows: Floats
    length: float
    power: int


def fit(
    y: Floats, covariates: Floats | None = None, keep: Flags | None = None, names: Sequence[str] = ()
) -> Model:
    """Prepare a phenotype and covariates.

    Args:
        y: float64, shape (people,); NaN for who takes no part.
        covariates: float64, shape (people, c), beside the intercept; a row with NaN takes no part.
        keep: bool, shape (people,): False takes no part.
        names: of the covariates, for messages.

    Raises:
        BadInput: see `regression.design`; or the covariates leave nothing of the phenotype.
    """
    who = design(y, covariates, keep, names)
    taking = len(who.y)
    basis = np.linalg.qr(who.columns[:, 1:])[0]
    scaled, power = near_one(who.y)
    middle = scaled - scaled.mean()
    left = middle - basis @ (basis.T @ middle)
    left -= basis @ (basis.T @ left) + left.mean()
    length = float(np.linalg.norm(left))
    if length <= 1e-9 * float(np.linalg.norm(middle)):
        # What is left is rounding, and so would be every statistic.
        raise BadInput("the phenotype follows from the covariates", "leave out the covariate that tells it")
    columns = np.zeros((len(y), basis.shape[1] + 2))
    columns[who.part] = np.column_stack([np.full(taking, taking**-0.5), basis, left / length])
    rows = np.ascontiguousarray(weights.padded(columns.T).T)
    single = np.ascontiguousarray(rows.T[1:], np.float32)
    return Model(len(y), taking, haploid.mask(who.part), single, rows, length, int(power))


def test(model: Model, block: Block) -> Regression:
    """Test each variant of a block.

    A variant has no estimate (NaN, and a note why) where those who have a call are not more than the figures
    to estimate, are all of one genotype or one phenotype, or where the variant follows from the covariates.

    Raises:
        ValueError: the block is of other people.
    """
    if block.people != model.people:
        raise ValueError(f"a model of {model.people} people has no use for calls of {block.people}")
    (seen,) = weights.called(block, model.part[None])
    found = weights.sums(block, model.part, seen.flipped, model.weights, 0)
    gone = weights.absent(block, model.part, model.rows)
    figures, note = np.empty((3, block.variants)), np.zeros(block.variants, np.int8)
    called = seen.people
    _solve(called, seen.rare, seen.squares, found, gone, model.taking, figures, note)
    statistic = figures[2]
    with np.errstate(over="ignore"):
        unit = np.ldexp(figures[:2] * model.length, model.power)
    sign = np.where(seen.flipped, -1.0, 1.0)
    freedom = np.maximum(called - len(model.weights) - 1, 1).astype(np.float64)
    return Regression(
        called=called,
        beta=unit[0] * sign,
        error=unit[1],
        statistic=statistic * sign,
        p=two_sided(statistic, freedom),
        note=note,
    )


@njit(cache=True, nogil=True)
def _solve(called, rare, squares, sums, gone, taking, figures, note):  # type: ignore[no-untyped-def]
    """Write effect, error and t of the allele that is counted, for a phenotype of length 1."""
    width = sums.shape[1]  # of what is fixed, with the intercept
    a = np.empty((width + 2, width + 2))
    y = width + 1
    for v in range(sums.shape[0]):
        figures[:, v] = np.nan
        note[v] = _NOTHING
        freedom = called[v] - width - 1
        if freedom < 1:
            continue
        middle = squares[v] - rare[v] * (rare[v] / called[v])
        if rare[v] == 0 or middle <= 0:
            continue
        # Cross products of the fixed columns, the genotype, and the phenotype, in this order.
        for i in range(width):
            for j in range(i + 1):
                a[i, j] = (1.0 if i == j else 0.0) - gone[v, i, j]
            a[width, i] = sums[v, i - 1] if i > 0 else rare[v] / np.sqrt(taking)
            a[y, i] = -gone[v, width, i]
        a[width, width] = squares[v]
        a[y, width] = sums[v, width - 1]
        a[y, y] = 1.0 - gone[v, width, width]
        if factor(a, 0, width, _LEAST) < width:
            note[v] = _COLLINEAR
            continue
        left = a[y, y]
        for i in range(width):
            left -= a[y, i] * a[y, i]
        if left <= 1e-12:
            continue
        whole = factor(a, width, width + 1, 0.0) > width
        root = a[width, width]
        if not (whole and root * root > middle / INFLATION):
            note[v] = _COLLINEAR
            continue
        left = max(left - a[y, width] * a[y, width], 0.0)
        figures[0, v] = a[y, width] / root
        figures[1, v] = np.sqrt(left / freedom) / root
        figures[2, v] = a[y, width] / np.sqrt(left / freedom) if left > 0 else np.inf
        note[v] = 0
