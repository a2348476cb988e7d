"""All attacks together, on releases that leak and on releases that do not."""

import math

import numpy as np
import pytest

from noisegate.genotypes.packed import pack, unpack
from noisegate.leakage.audit import TITLES, audit
from noisegate.leakage.bounds import most_area
from noisegate.leakage.genomes import Held, frequencies
from noisegate.leakage.membership import unflipped

from . import panels


@pytest.fixture
def groups():
    """Members, controls and reference: a random split of the British and Finnish people, 3,000 variants."""
    calls = panels.british_and_finnish()
    people = np.random.default_rng(1).permutation(calls.shape[1])
    kept = np.sort(np.random.default_rng(2).permutation(len(calls))[:3000])
    calls = calls[kept][:, people]
    return tuple(
        Held(pack(np.ascontiguousarray(part)), public=True) for part in np.split(calls, [60, 120], axis=1)
    )


def responded(calls, epsilon, rng):
    """k-ary randomised response at ε for each variant."""
    keep = math.exp(epsilon) / (math.exp(epsilon) + 2)
    moved = (calls + rng.integers(1, 3, calls.shape)) % 3
    return np.where(rng.random(calls.shape) < keep, calls, moved).astype(np.int8)


def test_a_copy_without_noise_fails_every_attack(groups):
    members, controls, reference = groups
    released = Held(members.block, noisy=True)
    outcomes = audit(released, members=members, controls=controls, reference=reference)
    assert [o.attack for o in outcomes.attacks] == [name for name in TITLES if name != "relatives"]
    assert all(o.roc.area.value > 0.99 for o in outcomes.attacks)
    assert outcomes.public
    assert outcomes.skipped == ()
    assert outcomes.strongest is not None
    assert outcomes.strongest.roc.power[0].found.value == 1


def test_attacks_stay_within_what_a_small_epsilon_allows(groups):
    members, controls, reference = groups
    rng = np.random.default_rng(3)
    epsilon = 1.0
    released = Held(pack(responded(unpack(members.block), epsilon / 3000, rng)), noisy=True)
    keep = math.exp(epsilon / 3000) / (math.exp(epsilon / 3000) + 2)
    # Replacing leaves a share keep - (1 - keep) / 2 of the signal, around a mean of one allele a call.
    seen = unflipped(frequencies(released), np.full(3000, (1 - (3 * keep - 1) / 2) / 2))
    outcomes = audit(released, members=members, controls=controls, reference=reference, seen=seen)
    assert all(o.roc.area.low <= most_area(epsilon, 0) for o in outcomes.attacks)
    assert all(o.roc.area.value < 0.66 for o in outcomes.attacks)


def test_epsilon_by_variant_does_not_protect_a_person(groups):
    members, controls, reference = groups
    released = Held(pack(responded(unpack(members.block), 1.0, np.random.default_rng(4))), noisy=True)
    outcomes = audit(released, members=members, controls=controls, reference=reference)
    found = {o.attack: o.roc.area.value for o in outcomes.attacks}
    assert found["hamming"] == found["kinship"] == 1.0


def test_relatives_of_members_are_told_too(groups):
    members, controls, reference = groups
    rng = np.random.default_rng(5)
    mothers, fathers = unpack(members.block)[:, :40], unpack(reference.block)[:, :40]
    children = np.zeros(mothers.shape, np.int8)
    for parents in (mothers, fathers):
        children += np.where(parents == 1, rng.random(parents.shape) < 0.5, parents == 2)
    released = Held(members.block, noisy=True)
    everybody = {"members": members, "controls": controls, "reference": reference}
    outcomes = audit(released, **everybody, relatives=Held(pack(children), public=True))
    assert outcomes.attacks[-1].attack == "relatives"
    assert outcomes.attacks[-1].roc.area.value > 0.99
    assert outcomes.public
    assert not audit(released, **everybody, relatives=Held(pack(children))).public


def test_exact_frequencies_alone_tell_members(groups):
    members, controls, reference = groups
    outcomes = audit(
        None, members=members, controls=controls, reference=reference, seen=frequencies(members), people=60
    )
    assert [o.attack for o in outcomes.attacks] == ["homer", "likelihood_ratio"]
    assert {name for name, _ in outcomes.skipped} == {"hamming", "neighbour_ratio", "kinship"}
    assert all(o.roc.area.value > 0.97 for o in outcomes.attacks)


def test_figures_of_private_members_are_not_public(groups):
    members, controls, reference = groups
    private = Held(members.block)
    noisy = Held(members.block, noisy=True)
    assert not audit(noisy, members=private, controls=controls, reference=reference).public
    public = {"members": members, "controls": controls, "reference": reference}
    assert audit(noisy, **public).public
    assert not audit(private, **public).public
    assert not audit(noisy, **public, seen=frequencies(private)).public
    assert audit(noisy, **public, seen=frequencies(noisy), seen_charged=True).public


def test_an_attack_needs_something_to_look_at(groups):
    members, controls, reference = groups
    with pytest.raises(ValueError, match="rows or released frequencies"):
        audit(None, members=members, controls=controls, reference=reference)
