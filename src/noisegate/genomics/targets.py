"""Allele counts that noisy genotypes may be moved to: public, declared published, or released; never private.

TRUSTED. Restoration takes a `Target` and nothing else. Each kind has one maker: from a store marked public,
from a frozen table with the custodian's statement, from a measured release of frequencies. None takes plain
numbers, so exact private counts have no way in. PROOFS.md, "Targets of restoration".
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput, Conflict, Forbidden
from noisegate.genomics import regroup
from noisegate.genomics.counts import Noisy, blocks
from noisegate.genomics.frequencies import Frequencies, estimate
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.panel import Panel, PublicSource
from noisegate.genomics.restore import restore
from noisegate.genotypes.packed import Block, tally
from noisegate.ledger.records import canonical

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]
BILLION = 10**9
MOST_PEOPLE = 2**30  # so that 2n times a count of as many people fits 64 bits
LEAST_STATEMENT = 20
_MADE_HERE = object()

WARNING = (
    "Exact allele frequencies tell who is among the people they were computed from. Measured on 60 people of "
    "the 1000 Genomes panel, a likelihood-ratio test that sees nothing but their exact frequencies tells "
    "members from others with an AUC of 0.978 on 1,000 variants (it finds 90 % of them at a false-positive "
    "rate of 5 %) and of 1.000 (it finds all) on 5,000 and on 13,661. Restoring to such a table adds nothing "
    "to what is already public only if the table itself was published before. The epsilon of this release is "
    "conditional on this table: it does not cover what the table tells."
)


@dataclass(frozen=True, slots=True, eq=False)
class _Shares:
    """Frequencies as ratios top / bottom of whole numbers, int64 of shape (variants,)."""

    top: Counts
    bottom: Counts

    def __post_init__(self) -> None:
        for given in (self.top, self.bottom):
            if given.dtype != np.int64 or given.shape != self.top.shape or given.ndim != 1:
                raise ValueError("shares are int64, one a variant")
        if (
            not len(self.top)
            or (self.bottom < 1).any()
            or (self.top < 0).any()
            or (self.top > self.bottom).any()
        ):
            raise BadInput("a frequency lies between 0 and 1")

    def counts(self, people: int) -> Counts:
        if not 0 <= people <= MOST_PEOPLE or int(self.bottom.max()) > 2 * MOST_PEOPLE:
            raise BadInput(f"there are at most {MOST_PEOPLE} people")
        wanted: Counts = 2 * people * self.top // self.bottom
        return wanted

    @property
    def frequency(self) -> Reals:
        found: Reals = self.top / self.bottom
        return found

    def nearest(self, people: int) -> Counts:
        down = self.counts(people)
        rest = 2 * people * self.top - down * self.bottom
        return down + (2 * rest >= self.bottom)


@dataclass(frozen=True, slots=True, eq=False)
class PublicTarget:
    """The frequencies of a public reference panel. Made by `of`."""

    shares: _Shares
    digest: str
    _maker: object = field(repr=False)

    def __post_init__(self) -> None:
        _check_maker(self._maker)

    @classmethod
    def of(cls, store: PublicSource, variants: int) -> "PublicTarget":
        """Return the frequencies of the first `variants` variants of a store that is marked public.

        Raises:
            Forbidden: it is not marked public.
        """
        if store.public is not True:
            raise Forbidden(
                "genotypes are restored to public frequencies, and this store is not marked public",
                "name a public reference, declare a published table, or release frequencies under the budget",
            )
        top = np.concatenate([tally(block).alleles for _, block in blocks(store, variants)])
        return cls(_Shares(top, np.full(len(top), 2 * store.people)), store.digest, _MADE_HERE)

    @classmethod
    def of_panel(cls, panel: Panel) -> "PublicTarget":
        """Return the frequencies of a panel, which is public by the way it was made."""
        return cls(
            _Shares(panel.alleles, np.full(len(panel.alleles), 2 * panel.people)), panel.digest, _MADE_HERE
        )

    def counts(self, people: int) -> Counts:
        """Return floor(2n · frequency), int64 of shape (variants,)."""
        return self.shares.counts(people)

    def as_json(self) -> dict[str, object]:
        """Return what receipt and report say of it."""
        return {"target": "public", "digest": self.digest}


@dataclass(frozen=True, slots=True, eq=False)
class DeclaredTarget:
    """A table of frequencies that the custodian declares to be published already. Made by `of`."""

    shares: _Shares
    digest: str
    statement: str
    _maker: object = field(repr=False)

    def __post_init__(self) -> None:
        _check_maker(self._maker)

    @classmethod
    def of(
        cls, table: Mapping[str, float], names: Sequence[str], statement: str, digest: str
    ) -> "DeclaredTarget":
        """Return the frequencies of a table that was frozen, under `digest`, before the release.

        Frequencies are taken to the nearest 1e-9.

        Args:
            table: frequency of the alternate allele by name of variant.
            names: of the variants of the release, in their order.
            statement: the custodian's, where the table was published; goes on the receipt.
            digest: of the table when it was frozen, from `digest_of`.

        Raises:
            Conflict: the table is another one than was frozen.
            BadInput: a variant has no frequency or one outside [0, 1], or nothing is stated.
        """
        if not hmac.compare_digest(digest, digest_of(table)):
            raise Conflict("the table of frequencies is not the one that was declared", "declare it again")
        if len(statement.split()) < 2 or len(statement) < LEAST_STATEMENT:
            raise BadInput("say where this table was published, in a sentence that goes on the receipt")
        absent = [name for name in names if name not in table]
        if absent:
            raise BadInput(f"{len(absent)} variants have no declared frequency, the first is {absent[0]!r}")
        shares = np.array([table[name] for name in names], np.float64)
        return cls(_billionths(shares), digest, statement, _MADE_HERE)

    def counts(self, people: int) -> Counts:
        """Return floor(2n · frequency), int64 of shape (variants,)."""
        return self.shares.counts(people)

    def as_json(self) -> dict[str, object]:
        """Return what receipt and report say of it."""
        return {
            "target": "declared",
            "digest": self.digest,
            "statement": self.statement,
            "condition": f"epsilon is conditional on table {self.digest}",
            "warning": WARNING,
        }


@dataclass(frozen=True, slots=True, eq=False)
class ReleasedTarget:
    """Frequencies that were released with noise, whose loss is part of the same charge. Made by `of`."""

    shares: _Shares
    released: Noisy
    _maker: object = field(repr=False)

    def __post_init__(self) -> None:
        _check_maker(self._maker)

    @classmethod
    def of(cls, released: Noisy, panel: Panel | None = None) -> "ReleasedTarget":
        """Return the estimated frequencies of a measured release, drawn to a public panel if given."""
        found: Frequencies = estimate(released, panel)
        return cls(_billionths(found.mean), released, _MADE_HERE)

    def counts(self, people: int) -> Counts:
        """Return 2n · frequency to the nearest whole number, int64 of shape (variants,)."""
        return self.shares.nearest(people)

    def as_json(self) -> dict[str, object]:
        """Return what receipt and report say of it."""
        return {
            "target": "released",
            "digest": hashlib.sha256(self.released.cells.astype("<i8").tobytes()).hexdigest(),
        }


Target = PublicTarget | DeclaredTarget | ReleasedTarget


def restored(
    block: Block, target: Target, start: int, key: ReleaseKey, chunk: int, out: Block | None = None
) -> Block:
    """Return noisy genotypes moved to a target's allele counts: the one door to restoration.

    Args:
        block: noisy, as `restore.restore` takes it.
        target: whose counts are wanted; of all variants of the release.
        start: number of the block's first variant in the release.
        key: of the release.
        chunk: the block's number in the release.
        out: as of `restore.restore`.

    Raises:
        TypeError: the target is none.
    """
    if not isinstance(target, PublicTarget | DeclaredTarget | ReleasedTarget):
        raise TypeError("genotypes are restored to a target, never to plain counts")
    wanted = target.counts(block.people)[start : start + block.variants]
    return restore(block, wanted, key, chunk, out=out)


def regrouped(block: Block, target: Target, shares: Reals, start: int, key: ReleaseKey, chunk: int) -> Block:
    """Return noisy genotypes moved to genotype counts with a target's allele counts: the one door to that.

    Args:
        block: as of `restored`.
        target: as of `restored`.
        shares: of genotypes, float64, shape (variants of the release, 3): from `chains.margins`.
        start: as of `restored`.
        key: as of `restored`.
        chunk: as of `restored`.

    Raises:
        TypeError: the target is none.
    """
    if not isinstance(target, PublicTarget | DeclaredTarget | ReleasedTarget):
        raise TypeError("genotypes are restored to a target, never to plain counts")
    part = slice(start, start + block.variants)
    counts = regroup.wanted(target.counts(block.people)[part], shares[part], block.people)
    return regroup.regroup(block, counts, key, chunk)


def digest_of(table: Mapping[str, float]) -> str:
    """Return the SHA-256 of a table of frequencies, hexadecimal, whatever order its variants are in."""
    return hashlib.sha256(canonical(dict(table)).encode()).hexdigest()


def _billionths(shares: NDArray[np.float64]) -> _Shares:
    if not np.isfinite(shares).all() or (shares < 0).any() or (shares > 1).any():
        raise BadInput("a frequency lies between 0 and 1")
    return _Shares(np.rint(shares * BILLION).astype(np.int64), np.full(len(shares), BILLION, np.int64))


def _check_maker(maker: object) -> None:
    if maker is not _MADE_HERE:
        raise TypeError("a target is made from a public store, a declared table or a release, with `of`")
