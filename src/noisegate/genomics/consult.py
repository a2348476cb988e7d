"""Asking before a release: what a panel of a store's variants would give, with a fresh key of its own."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from noisegate.errors import BadInput
from noisegate.genomics.advise import Advice, advise
from noisegate.genomics.keys import KEY_BYTES, ReleaseKey
from noisegate.genomics.panel import chain_starts
from noisegate.genomics.prepare import prepared
from noisegate.genotypes import layout
from noisegate.genotypes.store import Store
from noisegate.genotypes.variants import Variants


@dataclass(frozen=True, slots=True)
class _Listed:
    variants: Variants
    build: str


def consulted(
    panel: Store,
    *,
    people: int,
    variants: int,
    epsilon: Fraction,
    delta: Fraction,
    progress: Callable[[float], None] | None = None,
) -> Advice:
    """Compare all methods for so many people, on the first variants of a public panel.

    Raises:
        BadInput: the panel has fewer variants, or the sizes or the budget make no sense.
        Forbidden: it is not marked as public.
    """
    if variants > len(panel.variants):
        raise BadInput(
            f"the panel has {len(panel.variants):,} variants, fewer than {variants:,}",
            "ask about those it has, or import a larger panel",
        )
    listed = _Listed(panel.variants[:variants], panel.build)
    starts = chain_starts(np.asarray(listed.variants.contigs[1]), layout.chunk_for(people, variants))
    key = ReleaseKey(secrets.token_bytes(KEY_BYTES))
    return advise(prepared(panel, listed), starts, people, epsilon, delta, key, progress)
