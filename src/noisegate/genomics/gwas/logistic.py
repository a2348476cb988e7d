"""Logistic regression of case against control on each variant and covariates.

`score` tests each variant at the null model, which is fitted once (Rao 1948, Proc. Camb. Phil. Soc. 44:50).
`wald` fits each variant and `firth` fits it by penalised likelihood, which is finite however cases and
controls are parted (Firth 1993, Biometrika 80:27; Heinze & Schemper 2002, Stat. Med. 21:2409). All are over
the people who have a call.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genomics.gwas import firth as penalised
from noisegate.genomics.gwas import newton, weights
from noisegate.genomics.gwas.regression import (
    INFLATION,
    Design,
    Flags,
    Floats,
    Note,
    Regression,
    design,
    two_sided,
)
from noisegate.genomics.gwas.triangles import back, factor
from noisegate.genomics.gwas.weights import Called
from noisegate.genotypes import haploid
from noisegate.genotypes.packed import Block, Words

_FITTED, _COLLINEAR = int(Note.FITTED), int(Note.COLLINEAR)
_LEAST = 1e-7
_STEPS = 50
_FARTHEST = 30.0  # log odds of somebody whose phenotype the covariates settle


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Cases, controls and covariates, and the null model of them. Threads may share it.

    `part` has the bits of those who take part and `cases` those of the cases. `basis`, float64 of shape
    (k, 64 * words), has the intercept and covariates, orthonormal under the null model's weights, and `odds`
    its log odds; `y` is 1 for cases. `single` holds basis, odds and y in float32. `weights` has what a
    genotype is multiplied with for its slope, its information with each column of the basis, and, squared,
    its own. `rows` has, by person, the root of the weight times the basis, then the residual over that root.
    """

    people: int
    part: Words
    cases: Words
    basis: Floats
    odds: Floats
    y: Floats
    single: tuple[newton.Single, newton.Single, newton.Single]
    weights: NDArray[np.float32]
    rows: Floats


def fit(
    y: Floats, covariates: Floats | None = None, keep: Flags | None = None, names: Sequence[str] = ()
) -> Model:
    """Fit the null model.

    Args:
        y: float64, shape (people,); 1 for cases, 0 for controls, NaN for who takes no part.
        covariates: float64, shape (people, c), beside the intercept; a row with NaN takes no part.
        keep: bool, shape (people,): False takes no part.
        names: of the covariates, for messages.

    Raises:
        BadInput: see `regression.design`; another phenotype than 0 and 1; or covariates alone tell cases from
            controls.
    """
    if not np.isin(y[~np.isnan(y)], (0.0, 1.0)).all():
        raise BadInput("a case has phenotype 1 and a control 0", "use linear regression for a number")
    who = design(y, covariates, keep, names)
    odds = _null(who)
    p = 1 / (1 + np.exp(-odds))
    weight = p * (1 - p)
    root, residual = np.sqrt(weight), who.y - p
    whole = np.linalg.qr(root[:, None] * who.columns)[0]
    basis = whole / root[:, None]
    people = len(y)
    slopes = np.column_stack([residual, weight[:, None] * basis, weight])
    rows = np.column_stack([whole, residual / root])
    wide_basis, wide_odds = _wide(basis, who, 0.0), _wide(odds[:, None], who, newton.OUTSIDE)[0]
    wide_y = _wide(who.y[:, None], who, 0.0)[0]
    return Model(
        people=people,
        part=haploid.mask(who.part),
        cases=haploid.mask(who.part & (y == 1)),
        basis=wide_basis,
        odds=wide_odds,
        y=wide_y,
        single=(wide_basis.astype(np.float32), wide_odds.astype(np.float32), wide_y.astype(np.float32)),
        weights=_wide(slopes, who, 0.0).astype(np.float32),
        rows=np.ascontiguousarray(_wide(rows, who, 0.0).T),
    )


def score(model: Model, block: Block) -> Regression:
    """Test each variant of a block at the null model: z, and the effect that one Newton step gives.

    People without a call are taken out of the slope and its variance; the null model is not fitted again for
    the others, which the test allows for to first order (Neyman 1959, C(α)).

    Raises:
        ValueError: the block is of other people.
    """
    return _told(_started(model, block))


def wald(model: Model, block: Block, *, fallback: bool = True, below: float | None = None) -> Regression:
    """Fit each variant of a block: z is the log odds ratio over its standard error.

    Args:
        model: the null model.
        block: the calls.
        fallback: fit by Firth's method where an allele is in cases or in controls only, or where Newton's
            steps do not end, as plink2's firth-fallback does; else there is no estimate.
        below: fit only variants whose score test has a smaller p-value than this; the others keep that test.

    Raises:
        ValueError: the block is of other people.
    """
    at = _started(model, block)
    if below is not None:
        p = two_sided(at.theta[:, -1] / at.error)
        at.note[(at.note == _FITTED) & ~(p < below)] = Note.SCREENED
    parted = (at.note == _FITTED) & _parted(at.seen, at.cases)
    at.note[parted] = Note.SEPARATED
    which = np.flatnonzero(at.note == _FITTED)
    error, done = newton.climb(block, model.part, at.seen.flipped, which, at.theta, *model.single)
    at.error[which] = error[which]
    stuck = which[~done[which]]
    _maximised(model, block, at, stuck, penalty=False)
    if fallback:
        rest = np.flatnonzero((at.note == Note.SEPARATED) | (at.note == Note.UNFINISHED))
        _maximised(model, block, at, rest, penalty=True)
    return _told(at)


def firth(model: Model, block: Block) -> Regression:
    """Fit each variant of a block by Firth's method: z is the log odds ratio over its standard error.

    Raises:
        ValueError: the block is of other people.
    """
    at = _started(model, block)
    _maximised(model, block, at, np.flatnonzero(at.note == _FITTED), penalty=True)
    return _told(at)


@dataclass(frozen=True, slots=True, eq=False)
class _At:
    """Where each variant of a block is, for the allele that sums are taken over.

    `seen` counts the calls of those who take part, `cases` of the cases among them. `theta`, float64 of shape
    (variants, k + 1), is what the likelihood's first step gives, the genotype's log odds ratio last, and
    `error` the score test's; those that are fitted are then replaced. `note` is int8 of Note.
    """

    seen: Called
    cases: Called
    theta: Floats
    error: Floats
    note: NDArray[np.int8]


def _started(model: Model, block: Block) -> _At:
    if block.people != model.people:
        raise ValueError(f"a model of {model.people} people has no use for calls of {block.people}")
    seen, cases = weights.called(block, np.stack([model.part, model.cases]))
    found = weights.sums(block, model.part, seen.flipped, model.weights, 1)
    gone = weights.absent(block, model.part, model.rows)
    theta, error = np.zeros((block.variants, len(model.basis) + 1)), np.full(block.variants, np.nan)
    note = np.full(block.variants, Note.NOTHING, np.int8)
    _first_step(seen.people, cases.people, seen.rare, seen.squares, found, gone, theta, error, note)
    return _At(seen, cases, theta, error, note)


def _parted(seen: Called, cases: Called) -> Flags:
    """Return whether an allele that somebody has is in cases only, or in controls only."""
    found = np.zeros(len(seen.ones), np.bool_)
    for theirs, all_ in (
        (cases.ones + 2 * cases.twos, seen.ones + 2 * seen.twos),
        (cases.ones + 2 * cases.none, seen.ones + 2 * seen.none),
    ):
        found |= (theirs == 0) | (theirs == all_)
    return found


def _maximised(model: Model, block: Block, at: _At, which: NDArray[np.int64], *, penalty: bool) -> None:
    """Fit some variants in float64."""
    if not len(which):
        return
    error, done = penalised.maximise(
        block,
        model.part,
        at.seen.flipped,
        which,
        at.theta,
        model.basis,
        model.odds,
        model.y,
        penalty=penalty,
    )
    at.error[which] = error[which]
    at.note[which] = np.where(done[which], Note.FIRTH if penalty else Note.FITTED, Note.UNFINISHED)


def _told(at: _At) -> Regression:
    there = np.isin(at.note, (Note.FITTED, Note.FIRTH, Note.SCREENED))
    beta = np.where(there, np.where(at.seen.flipped, -1.0, 1.0) * at.theta[:, -1], np.nan)
    error = np.where(there, at.error, np.nan)
    z = beta / error
    return Regression(at.seen.people, beta, error, z, two_sided(z), at.note)


def _wide(columns: Floats, who: Design, fill: float) -> Floats:
    """Return columns of those who take part as rows over everybody: shape (columns, 64 * words)."""
    rows = np.full((columns.shape[1], len(who.part)), fill)
    rows[:, who.part] = columns.T
    return np.ascontiguousarray(weights.padded(rows, fill))


def _null(who: Design) -> Floats:
    """Return the log odds of each who takes part, by Newton's method with halved steps."""
    effects = np.zeros(who.columns.shape[1])
    share = who.y.mean()
    effects[0] = np.log(share / (1 - share))
    best = _likelihood(who, effects)
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-(who.columns @ effects)))
        information = (who.columns * (p * (1 - p))[:, None]).T @ who.columns
        slope = who.columns.T @ (who.y - p)
        try:
            step = np.linalg.solve(information, slope)
        except np.linalg.LinAlgError:
            break
        if not np.isfinite(step).all() or np.abs(who.columns @ (effects + step)).max() > _FARTHEST:
            break
        if float(slope @ step) <= 1e-18 * len(who.y):
            return np.asarray(who.columns @ effects, np.float64)
        while (now := _likelihood(who, effects + step)) < best - 1e-9 * abs(best):
            step = step / 2
        effects, best = effects + step, now
    raise BadInput(
        "cases and controls are told apart by the covariates alone", "leave out the covariate that tells them"
    )


def _likelihood(who: Design, effects: Floats) -> float:
    odds = who.columns @ effects
    return float(who.y @ odds - np.logaddexp(0, odds).sum())


@njit(cache=True, nogil=True)
def _first_step(called, cases, rare, squares, sums, gone, theta, error, note):  # type: ignore[no-untyped-def]
    """Write the first step from the null model, the error there, and whether there is an estimate."""
    width = theta.shape[1] - 1
    a = np.empty((width + 2, width + 1))
    slope = width + 1
    for v in range(sums.shape[0]):
        middle = squares[v] - rare[v] * (rare[v] / max(called[v], 1))
        if called[v] < width + 2 or cases[v] == 0 or cases[v] == called[v] or rare[v] == 0 or middle <= 0:
            continue
        # Information about the basis and the genotype, then the slopes.
        for i in range(width):
            for j in range(i + 1):
                a[i, j] = (1.0 if i == j else 0.0) - gone[v, i, j]
            a[width, i] = sums[v, 1 + i]
            a[slope, i] = -gone[v, width, i]
        a[width, width] = sums[v, width + 1]
        a[slope, width] = sums[v, 0]
        note[v] = _COLLINEAR
        if factor(a, 0, width, _LEAST) < width:
            continue
        # The basis begins with the intercept, so this is the genotype's variance before the covariates.
        left = a[width, width] - a[width, 0] * a[width, 0]
        whole = factor(a, width, width + 1, 0.0) > width
        root = a[width, width]
        if not (whole and root * root > left / INFLATION):
            continue
        theta[v] = a[slope]
        back(a, width + 1, theta[v])
        error[v] = 1.0 / root
        note[v] = _FITTED
