"""Genotypes in memory, as a source for releases."""

import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisegate.genotypes.packed import Block, pack


@dataclass(frozen=True, eq=False)
class Held:
    """All calls as one block, handed out in any ranges."""

    all: Block
    public: bool = False
    noisy: bool = False

    @property
    def people(self):
        return self.all.people

    @property
    def digest(self):
        return hashlib.sha256(self.all.hi.tobytes() + self.all.lo.tobytes()).hexdigest()

    def block(self, start, stop):
        return Block(self.all.hi[start:stop], self.all.lo[start:stop], self.people)

    def blocks(self):
        yield 0, self.all


def held(calls, public=False):
    """Return a source of calls of shape (variants, people)."""
    return Held(pack(np.ascontiguousarray(calls, dtype=np.int8)), public)


def laws():
    """Return the likelihood-ratio tests of noise, which lie with the tests of `privacy`."""
    name = "privacy_laws"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "privacy" / "laws.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
