"""Rebuilding one person from counts, by whoever knows all the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate.genotypes.packed import Calls, Tally, tally
from noisegate.leakage.genomes import Genomes
from noisegate.leakage.roc import Estimate, proportion


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """How many of one person's calls were guessed, and how many would be without the release.

    The intervals take variants for independent, so linkage makes them too narrow.
    """

    right: Estimate
    blind: Estimate
    variants: int


def reconstruct(released: NDArray[np.float64], known: Genomes, noise: float = 0.0) -> Calls:
    """Return the likeliest calls of the one person that is in the counts and not among the known.

    Args:
        released: float64, shape (variants,); alternate alleles of all people, as released.
        known: genotypes of all but one of them.
        noise: standard deviation of Gaussian noise on the counts, in alleles; 0 takes them for exact.

    Returns:
        int8, shape (variants,): 0, 1 or 2.
    """
    if noise < 0:
        raise ValueError("a standard deviation is not negative")
    calls = np.empty(len(released), np.int8)
    done = 0
    for start, block in known.blocks():
        done = start + block.variants
        counted = tally(block)
        left = released[start:done] - counted.alleles
        if noise == 0:
            calls[start:done] = np.clip(np.rint(left), 0, 2)
        else:
            away = (left[:, None] - np.arange(3)) ** 2 / (2 * noise * noise)
            calls[start:done] = np.argmax(np.log(_shares(counted, block.people)) - away, axis=1)
    if done != len(released):
        raise ValueError(f"the known people have {done} variants, the release {len(released)}")
    return calls


def blind_guess(known: Genomes) -> Calls:
    """Return each variant's most frequent call among the known: what anyone guesses without the release."""
    found = [np.argmax(_shares(tally(b), b.people), axis=1).astype(np.int8) for _, b in known.blocks()]
    return np.concatenate(found) if found else np.zeros(0, np.int8)


def judged(guess: Calls, blind: Calls, truth: Calls) -> Reconstruction:
    """Return how often both guesses are right, over the variants where the truth is not missing."""
    there = truth >= 0
    total = int(there.sum())
    if total == 0:
        raise ValueError("the person has no calls")
    right, luck = (int(((calls == truth) & there).sum()) for calls in (guess, blind))
    return Reconstruction(proportion(right, total), proportion(luck, total), total)


def _shares(counted: Tally, people: int) -> NDArray[np.float64]:
    """Return the share of each call, float64 of shape (variants, 3), with one half added to each count."""
    none = people - counted.missing - counted.ones - counted.twos
    counts = np.stack([none, counted.ones, counted.twos], axis=1) + 0.5
    return np.asarray(counts / counts.sum(axis=1, keepdims=True), np.float64)
