"""The controls that findings were made against: a public panel, met with the variants of a release."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput, Forbidden
from noisegate.genomics.prepare import Prepared, prepared
from noisegate.genotypes import align
from noisegate.genotypes.packed import tally
from noisegate.genotypes.store import Store
from noisegate.genotypes.variants import Variants

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Listed:
    variants: Variants
    build: str


@dataclass(frozen=True, eq=False)
class Controls:
    """A public panel over the variants of a release.

    Attributes:
        panel: the public store.
        variants: those of the release, in its order.
        build: of their positions, "" where it is not known.
        counts: int64, shape (variants, 3); people of the panel with 0, 1, 2 alternate alleles. Calls that are
            missing are left out, as whoever tests a variant leaves them out.
    """

    panel: Store
    variants: Variants
    build: str
    counts: Counts

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which variants anybody in the panel has a call of: bool, shape (variants,)."""
        found: NDArray[np.bool_] = self.counts.sum(axis=1) > 0
        return found

    @property
    def minor(self) -> Counts:
        """Copies of the rarer allele, int64, shape (variants,)."""
        alternate = self.counts[:, 1] + 2 * self.counts[:, 2]
        found: Counts = np.minimum(alternate, 2 * self.counts.sum(axis=1) - alternate)
        return found

    @cached_property
    def rows(self) -> Prepared:
        """The panel's people in the order of the release's variants, none of their calls missing."""
        return prepared(self.panel, _Listed(self.variants, self.build))


def controls_of(panel: Store, variants: Variants, build: str = "") -> Controls:
    """Return a public panel as controls.

    Raises:
        Forbidden: it is not marked as public.
        BadInput: it has none of the variants, or is of another build.
    """
    if panel.public is not True:
        raise Forbidden(
            "findings are verified against a public reference, and this store is not marked public",
            "name a public panel, or mark this one as public at import if everybody may see it",
        )
    found = align.align(panel.variants, variants, builds=(panel.build, build))
    counts = []
    for start in range(0, len(variants), panel.chunk):
        block = align.apply(panel, found, start, min(start + panel.chunk, len(variants)))
        counted = tally(block)
        none = block.people - counted.missing - counted.ones - counted.twos
        counts.append(np.stack([none, counted.ones, counted.twos], axis=1))
    made = Controls(panel, variants, build, np.concatenate(counts))
    if not made.usable.any():
        raise BadInput("the reference has none of the variants of this release", "name another panel")
    return made
