"""Principal components of people's genotypes: ancestry, as covariates of a regression.

A variant is standardised to (g - 2p) / sqrt(2p (1 - p)), p the alternate allele's frequency among those who
take part, and who has no call counts as the mean (Patterson, Price & Reich 2006, PLoS Genet. 2:e190). The
components are the first eigenvectors of the people's mean cross products, as plink2's `--pca meanimpute` has
them. For some thousands of people that matrix is made and solved; for more it is only ever multiplied with
some vectors, chunk by chunk, until the residuals are small (block Lanczos method with restarts and a random
start: Halko, Martinsson & Tropp 2011, SIAM Rev. 53:217; Musco & Musco 2015, NIPS 28).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genomics.gwas.lanes import CONTRACTED, copies, spread
from noisegate.genomics.gwas.quality import Source
from noisegate.genomics.gwas.weights import called
from noisegate.genomics.keys import KEY_BYTES, ReleaseKey
from noisegate.genomics.keystream import Domain, KeyStream
from noisegate.genotypes import haploid
from noisegate.genotypes.packed import WORD, Words
from noisegate.genotypes.text import Told, silent

Floats = NDArray[np.float64]
Single = NDArray[np.float32]
Flags = NDArray[np.bool_]

RAREST = 0.01  # frequency below which a variant says more about mistakes and single families than ancestry
CLOSE = 1e-4  # length of a residual, as a share of its eigenvalue, that is small
PASSES = 60  # over the genotypes, at most
_LEAST = 1e-6  # what an eigenvalue is taken for at least, as a share of the first
_ROWS = 1_024  # variants that are numbers at one time
_BEYOND = 10  # vectors beyond those asked for, so that the last one asked for is found as fast
_HELD = 8  # blocks of vectors before a restart, and
_MEMORY = 2**28  # bytes of them, if that leaves three


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The first principal components, the largest first.

    `values`, float64 of shape (k,), are the eigenvalues. `vectors`, float64 of shape (people, k), have length
    1, and NaN for who takes no part. `variants` is how many were used.
    """

    values: Floats
    vectors: Floats
    variants: int


def principal(
    source: Source,
    how_many: int,
    *,
    keep: Flags | None = None,
    rarest: float = RAREST,
    progress: Told = silent,
) -> Components:
    """Return the first components, from variants of the autosomes.

    Near variants say the same twice: give a source without them where long stretches of linkage matter.

    Args:
        source: the genotypes.
        how_many: components, fewer than people.
        keep: bool, shape (people,): False takes no part.
        rarest: least frequency of a variant's rarer allele among those who take part; none without any.
        progress: told the share that is done, in [0, 1].

    Raises:
        BadInput: too few people or variants for so many components.
    """
    part = np.ones(source.people, np.bool_) if keep is None else keep
    matrix = _Matrix(source, part, rarest)
    people = int(part.sum())
    if not 1 <= how_many < people:
        raise BadInput(f"there are no {how_many} components of {people} people", "ask for fewer")
    values, vectors = _largest(matrix, how_many, progress)
    # An eigenvector's sign is free: the entry farthest from 0 is above it.
    farthest = vectors[np.abs(vectors).argmax(axis=0), np.arange(how_many)]
    found = np.full((source.people, how_many), np.nan)
    found[part] = (vectors * np.where(farthest < 0, -1.0, 1.0))[: source.people][part]
    progress(1.0)
    return Components(values, found, matrix.variants)


class _Matrix:
    """The people's mean cross products, of shape (64 * words, 64 * words); 0 for who takes no part."""

    def __init__(self, source: Source, part: Flags, rarest: float) -> None:
        self._source, self._rarest = source, rarest
        self._part: Words = haploid.mask(part)
        self._diploid = haploid.copies(source.variants, "") == haploid.DIPLOID
        self.size = len(self._part) * WORD
        self.part = np.zeros(self.size, np.bool_)
        self.part[: len(part)] = part
        self.variants = 0

    def times(self, vectors: Floats) -> Floats:
        """Return its product with vectors, float64 of shape (64 * words, any)."""
        single = vectors.astype(np.float32)
        total = np.zeros(vectors.shape)
        for rows in self._standardised():
            total += rows.T @ (rows @ single)
        return np.asarray(total / max(self.variants, 1), np.float64)

    def _standardised(self) -> Iterator[Single]:
        """Yield standardised variants: float32, shape (some, 64 * words)."""
        self.variants = 0
        held = np.empty((_ROWS, self.size), np.float32)
        for number in self._source.chunks():
            block = self._source.read(number)
            (seen,) = called(block, self._part[None])
            with np.errstate(invalid="ignore"):
                p = (seen.ones + 2 * seen.twos) / (2 * seen.people)
            first, last = self._source.bounds(number)
            used = (np.minimum(p, 1 - p) >= self._rarest) & (p > 0) & (p < 1) & self._diploid[first:last]
            places = np.flatnonzero(used)
            self.variants += len(places)
            scale = 1 / np.sqrt(2 * p[places] * (1 - p[places]))
            for start in range(0, len(places), _ROWS):
                some = slice(start, start + _ROWS)
                rows = held[: len(places[some])]
                _standardise(
                    block.hi, block.lo, self._part, places[some], 2 * p[places[some]], scale[some], rows
                )
                yield rows


def _largest(matrix: _Matrix, how_many: int, progress: Told) -> tuple[Floats, Floats]:
    """Return the first eigenvalues and vectors, found among products of the matrix with its own products."""
    width = min(how_many + _BEYOND, int(matrix.part.sum()))
    fresh = _begin(matrix.part, width)
    most = max(3, min(_HELD, _MEMORY // (16 * matrix.size * width)))
    basis = image = np.zeros((matrix.size, 0))
    told = 0.0
    for done in range(PASSES):
        basis = np.column_stack([basis, fresh])
        image = np.column_stack([image, matrix.times(fresh)])
        if matrix.variants < how_many:
            raise BadInput(
                f"{matrix.variants} variants of the autosomes are frequent enough, too few for components",
                "ask for fewer, or accept rarer variants",
            )
        across = basis.T @ image
        values, turn = np.linalg.eigh((across + across.T) / 2)
        values, turn = values[: -width - 1 : -1], turn[:, : -width - 1 : -1]
        vectors, images = basis @ turn, image @ turn
        left = images - vectors * values
        far = np.linalg.norm(left[:, :how_many], axis=0) / np.maximum(values[:how_many], _LEAST * values[0])
        # Residuals fall by about the same factor with each pass.
        near = float(np.log(np.clip(far.max(), CLOSE, 1.0)) / np.log(CLOSE))
        told = max(told, near, (done + 1) / PASSES)
        progress(told)
        if far.max() <= CLOSE or basis.shape[1] >= matrix.part.sum():
            break
        if basis.shape[1] >= most * width:
            basis, image = vectors, images
        fresh = _beside(basis, left)
        if not fresh.shape[1]:
            break
    return values[:how_many], vectors[:, :how_many]


def _begin(part: Flags, width: int) -> Floats:
    """Return some orthonormal vectors, the same whenever they are asked for."""
    key = hashlib.sha256(b"principal components").digest()[:KEY_BYTES]
    words = KeyStream(ReleaseKey(key)).words(0, Domain.TWIN, len(part) * width)
    uniform = (words >> np.uint64(11)).astype(np.float64).reshape(len(part), width) * 2.0**-53 - 0.5
    return np.asarray(np.linalg.qr(uniform * part[:, None])[0], np.float64)


def _beside(basis: Floats, vectors: Floats) -> Floats:
    """Return orthonormal vectors that span what is in `vectors` and not in `basis`."""
    left = vectors / np.maximum(np.linalg.norm(vectors, axis=0), 1e-300)
    for _ in range(2):
        left = left - basis @ (basis.T @ left)
        left, small = np.linalg.qr(left)
        left = left[:, np.abs(np.diagonal(small)) > 1e-8]
    return np.asarray(left, np.float64)


@njit(cache=True, nogil=True, fastmath=CONTRACTED)
def _standardise(hi, lo, part, places, middle, scale, out):  # type: ignore[no-untyped-def]
    there = np.empty(out.shape[1], np.float32)
    for n in range(places.shape[0]):
        v = places[n]
        row = out[n]
        copies(hi[v], lo[v], part, False, 0, row)
        for w in range(hi.shape[1]):
            spread(part[w] & ~(hi[v, w] & ~lo[v, w]), np.uint64(0), there, 64 * w)
        a = np.float32(scale[n])
        b = np.float32(middle[n] * scale[n])
        for i in range(row.shape[0]):
            row[i] = a * row[i] - b * there[i]
