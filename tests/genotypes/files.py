"""What the tests of importers share: calls of a store, what a refusal says, and that it leaves nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from noisegate.errors import BadInput
from noisegate.genotypes.packed import unpack
from noisegate.genotypes.store import Store

from .panels import GENOMES


def calls(store: Store) -> np.ndarray:
    """Return all calls of a store, int8 of shape (variants, people)."""
    return unpack(store.block(0, len(store.variants)))


def equal(one: Store, other: Store) -> bool:
    """Whether two stores have the same people, variants, build and bits."""
    count = len(one.variants)
    return (
        one.samples == other.samples
        and one.variants.digest() == other.variants.digest()
        and one.build == other.build
        and np.array_equal(one.block(0, count).hi, other.block(0, count).hi)
        and np.array_equal(one.block(0, count).lo, other.block(0, count).lo)
    )


def refused(read: Callable[..., object], source: Path, target: Path, **options: object) -> BadInput:
    """Return how a source is refused, after a look at whether anything was left beside the target."""
    before = sorted(target.parent.iterdir())
    with pytest.raises(BadInput) as caught:
        read(source, target, **options)
    assert sorted(target.parent.iterdir()) == before
    return caught.value


def shared(name: str) -> Path:
    """Return a file of the shared genomes, or skip."""
    path = GENOMES / name
    if not path.exists():
        pytest.skip(f"{name} is not here: the shared data are needed")
    return path
