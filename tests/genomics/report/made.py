"""Facts to make reports from: a small release of private people, and of their public twin."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np

from noisegate.genomics.comparison import Places, compare
from noisegate.genomics.report.facts import (
    Charge,
    Claim,
    Curve,
    Exact,
    Law,
    Point,
    Protection,
    Published,
    Setting,
    Shareable,
    Target,
    Twin,
)
from noisegate.genotypes.packed import pack
from noisegate.leakage.audit import audit
from noisegate.leakage.genomes import Held
from noisegate.leakage.roc import Estimate
from noisegate.privacy.curves import pure

from ..panels import panels

VARIANTS, PEOPLE = 120, 40
PLACES = Places(np.zeros(VARIANTS, np.int64), np.arange(VARIANTS) * 700)


def source(calls, **marks):
    return Held(pack(np.ascontiguousarray(calls)), **marks)


def responded(calls, epsilon, rng):
    keep = math.exp(epsilon) / (math.exp(epsilon) + 2)
    moved = (calls + rng.integers(1, 3, calls.shape)) % 3
    return np.where(rng.random(calls.shape) < keep, calls, moved).astype(np.int8)


def measured(calls, epsilon, rng, public):
    """Return the measures and the outcomes of attacks on a release of the first PEOPLE of 3 PEOPLE."""
    members, controls, reference = (
        source(part, public=public) for part in np.split(calls, [PEOPLE, 2 * PEOPLE], axis=1)
    )
    released = source(responded(calls[:, :PEOPLE], epsilon, rng), noisy=True)
    return (
        compare(members, released, places=PLACES, controls=controls),
        audit(released, members=members, controls=controls, reference=reference),
    )


def twin(epsilon=0.01):
    rng = np.random.default_rng(20)
    measures, outcomes = measured(panels.random_calls(rng, VARIANTS, 3 * PEOPLE), epsilon, rng, public=True)
    return Twin("panel <public>", True, PEOPLE, VARIANTS, measures, outcomes)


def curve():
    points = tuple(Point(e, Estimate(1 / (1 + e), 0.9 / (1 + e), 1.1 / (1 + e))) for e in (1.0, 3.0, 10.0))
    return Curve("mean error", "alleles", False, (("xor", points), ("frequencies", points[:2])), True)


def shareable(epsilon=0.01, **changes):
    nano = np.full(VARIANTS, int(epsilon * 10**9))
    facts = Shareable(
        release="panel-17",
        dataset="panel",
        title="A panel & its <people>",
        method="response",
        people=PEOPLE,
        variants=VARIANTS,
        manifest="ab" * 32,
        created="2026-01-02 03:04 UTC",
        law=Law("Each genotype is replaced at random.", (Setting("chance", "0.6"),), "cd" * 32),
        protection=Protection.of(pure(Fraction(int(nano.sum()), 10**9)), Fraction(1, 10**6), variants=nano),
        charge=Charge("41", "ef" * 32, float(nano.sum()) / 1e9, 0.0),
        target=Target("public", "panel"),
        twin=twin(epsilon),
        curves=(curve(),),
    )
    return replace(facts, **changes)


def declared():
    return Target("declared", "our paper", "12" * 32, "Table S3 of our paper")


def published():
    claims = (Claim("point error", "share", 0.39, 0.3899), Claim("mean error", "alleles", 0.0042, 0.0041))
    return Published(9091.0, math.inf, claims, "the paper")


def exact(calls, facts=None, **changes):
    """Return the custodian's facts of private calls of 3 PEOPLE."""
    measures, outcomes = measured(calls, 0.01, np.random.default_rng(21), public=False)
    return replace(
        Exact(
            facts or shareable(),
            "98" * 32,
            measures,
            outcomes,
            "people held out",
            3,
            (("palindromic", 2),),
        ),
        **changes,
    )
