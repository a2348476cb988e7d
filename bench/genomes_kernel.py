"""The noise itself: bits that are 1 with probability threshold / 2**64, against what one writes first."""

import os
from pathlib import Path

import numpy as np

from bench.cpu import in_turn, rates
from bench.genomes import Scale
from bench.rows import Row, at_least, at_least_times, missing, shown
from noisegate.genomics import perturb as noise
from noisegate.genomics.aes import WIDTH
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.laws import Chain, Family, Independent, Law, Response
from noisegate.genomics.perturb import perturb
from noisegate.genotypes.packed import Block, words_of

UNIT = "Gbit/CPU-s"
LEAST = 12.0
TIMES_NUMPY = 100.0
COUPLED = 0.8
NAIVE = (65_536, 512)  # people and columns of the slow ones


def rows(_: Path, scale: Scale) -> list[Row]:
    """Return the rows of target 1 that speak of noise alone, one thread."""
    variants = min(4_000, scale.variants)
    block, target = blank(scale.people, variants), blank(scale.people, variants)
    key = ReleaseKey(os.urandom(16))
    bits = 2 * variants * scale.people / 1e9
    flip = thresholds(2 * variants)
    after = np.append(flip[:1], flip[:0:-1])  # another after a 1 than after a 0, but in two columns
    chain = Chain(flip, after)
    generator = np.random.default_rng()
    chances = flip[: NAIVE[1]] / 2**64
    naive = NAIVE[0] * NAIVE[1] / 1e9

    def put(law: Law) -> None:
        perturb(block, law, key, 0, out=target)

    def floats() -> None:
        _ = generator.random((NAIVE[1], NAIVE[0])) < chances[:, None]

    def secure() -> None:
        drawn = np.frombuffer(os.urandom(4 * NAIVE[0] * NAIVE[1]), np.uint32).reshape(NAIVE[1], NAIVE[0])
        np.packbits(drawn < (chances[:, None] * 2**32).astype(np.uint32), axis=1)

    seconds = in_turn(
        lambda: put(Independent(flip)), lambda: put(chain), floats, secure, repeats=scale.repeats
    )
    alone, coupled = (rates(bits, s) for s in seconds[:2])
    plain, careful = (rates(naive, s) for s in seconds[2:])
    told = f"{WIDTH}-bit AES" if WIDTH else "no AES instructions"
    found = [
        at_least("noise, independent bits", alone, LEAST, UNIT, told)
        if WIDTH
        else missing("noise, independent bits", UNIT, f"≥ {LEAST:g} {UNIT}", told),
        at_least_times("noise against numpy's rng.random(shape) < p", alone, plain, TIMES_NUMPY, UNIT),
        at_least_times("coupled noise against independent", coupled, alone, COUPLED, UNIT),
        at_least_times("noise against os.urandom, compared and packed", alone, careful, 1, UNIT),
    ]
    return found + _others(block, target, key, scale)


def _others(block: Block, target: Block, key: ReleaseKey, scale: Scale) -> list[Row]:
    """Return rows for information: the path without AES instructions, other laws, small cohorts."""
    few, on_few = (Block(b.hi[:400], b.lo[:400], b.people) for b in (block, target))
    small, on_small = blank(1_092, 10_000), blank(1_092, 10_000)
    flip = Independent(thresholds(2 * few.variants))
    change = Response(np.full(few.variants, int(0.4 * 2**64) // 2 * 2, np.uint64))
    trios = families(few, 3)
    cohort = Independent(thresholds(2 * small.variants))
    seconds = in_turn(
        lambda: noise.perturb_with(few, flip, key, 0, on_few, aes=False),
        lambda: perturb(few, change, key, 0, out=on_few),
        lambda: perturb(few, trios, key, 0, out=on_few),
        lambda: perturb(small, cohort, key, 0, out=on_small),
        repeats=scale.repeats,
    )
    names = (
        "noise from OpenSSL's key stream, without AES in the kernel",
        "response, two bits a genotype",
        "noise of trios, everybody in one",
        "noise on 1,092 people",
    )
    blocks = (few, few, few, small)
    return [
        shown(name, rates(2 * b.variants * b.people / 1e9, s), UNIT)
        for name, b, s in zip(names, blocks, seconds, strict=True)
    ]


def blank(people: int, variants: int) -> Block:
    """Return genotypes that are all 0."""
    return Block(*(np.zeros((variants, words_of(people)), np.uint64) for _ in range(2)), people)


def thresholds(count: int) -> np.ndarray:
    """Return thresholds of flip rates from .02 to .45."""
    chances = np.linspace(0.02, 0.45, count)
    return (chances * 2**64).astype(np.uint64)


def families(block: Block, size: int) -> Family:
    """Return a law for families of `size` that everybody is in, as far as people go round."""
    bits = 2 * block.variants
    nodes = np.full((bits, 2**size, 2**size - 1), int(0.2 * 2**64), np.uint64)
    groups = tuple(tuple(range(f, f + size)) for f in range(0, block.people - size + 1, size))
    return Family(Independent(thresholds(bits)), nodes, groups)
