"""Restoration takes allele counts that are public, declared published or released; nothing else."""

import ast
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from noisegate.errors import BadInput, Conflict, Forbidden
from noisegate.genomics import counts, frequencies, targets
from noisegate.genomics.counts import Alleles, Plan
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.panel import Panel, chain_starts
from noisegate.genomics.targets import DeclaredTarget, PublicTarget, ReleasedTarget, digest_of
from noisegate.genotypes.packed import tally
from noisegate.privacy.noise import Gaussian

from .held import held

F = Fraction

CALLS = np.random.default_rng(0).integers(0, 3, (9, 70)).astype(np.int8)
STATEMENT = "Published as Table S3 of the study's paper."
NAMES = [f"rs{i}" for i in range(9)]
TABLE = {name: 0.1 * i for i, name in enumerate(NAMES)}


def test_a_public_store_gives_its_frequencies_floored_to_whole_alleles():
    found = PublicTarget.of(held(CALLS, public=True), 9)
    alleles = CALLS.sum(axis=1)
    assert found.counts(70).tolist() == alleles.tolist()
    assert found.counts(33).tolist() == [66 * int(a) // 140 for a in alleles]
    assert found.counts(0).tolist() == [0] * 9
    panel = Panel.of(held(CALLS, public=True), chain_starts(np.zeros(9)))
    assert PublicTarget.of_panel(panel).counts(33).tolist() == found.counts(33).tolist()


def test_a_private_store_gives_no_target_and_no_panel():
    for make in (lambda s: PublicTarget.of(s, 9), lambda s: Panel.of(s, chain_starts(np.zeros(9)))):
        with pytest.raises(Forbidden):
            make(held(CALLS))


@pytest.mark.parametrize("public", ["yes", 1, None])
def test_what_is_not_plainly_marked_public_is_private(public):
    with pytest.raises(Forbidden):
        PublicTarget.of(held(CALLS, public=public), 9)


def test_private_counts_cannot_be_dressed_as_a_target():
    private = tally(held(CALLS).all).alleles
    shares = targets._Shares(private, np.full(9, 140))
    for make in (
        lambda: PublicTarget(shares, "digest", None),
        lambda: DeclaredTarget(shares, "digest", STATEMENT, None),
        lambda: ReleasedTarget(shares, None, None),
        lambda: Panel(
            70, np.stack([private] * 3, axis=1), np.ones(9, bool), np.zeros((0, 3, 3)), 1, "d", None
        ),
        lambda: counts.Noisy(Plan(Alleles(9), Gaussian(F(1))), private, 70, None),
    ):
        with pytest.raises(TypeError):
            make()


def test_there_are_three_kinds_of_target_and_restoration_knows_no_other():
    assert targets.Target == PublicTarget | DeclaredTarget | ReleasedTarget


def test_a_declared_table_is_taken_as_it_was_frozen():
    found = DeclaredTarget.of(TABLE, NAMES, STATEMENT, digest_of(TABLE))
    assert found.counts(50).tolist() == [10 * i for i in range(9)]  # 0.3 is below three tenths as a double
    assert found.counts(7).tolist() == [14 * i // 10 for i in range(9)]
    assert list(reversed(NAMES)) != NAMES
    turned = DeclaredTarget.of(TABLE, NAMES[::-1], STATEMENT, digest_of(dict(reversed(TABLE.items()))))
    assert turned.counts(50).tolist() == found.counts(50).tolist()[::-1]


def test_the_receipt_of_a_declared_table_says_what_its_loss_is_conditional_on_and_what_exact_tables_tell():
    told = DeclaredTarget.of(TABLE, NAMES, STATEMENT, digest_of(TABLE)).as_json()
    assert told["statement"] == STATEMENT
    assert told["condition"] == f"epsilon is conditional on table {digest_of(TABLE)}"
    for figure in ("0.978", "1.000", "90 %", "60 people"):
        assert figure in told["warning"]


def test_a_table_that_changed_after_it_was_frozen_is_refused():
    with pytest.raises(Conflict):
        DeclaredTarget.of(TABLE | {"rs1": 0.2}, NAMES, STATEMENT, digest_of(TABLE))


@pytest.mark.parametrize("statement", ["", "published", "                          "])
def test_a_table_needs_a_statement(statement):
    with pytest.raises(BadInput):
        DeclaredTarget.of(TABLE, NAMES, statement, digest_of(TABLE))


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("inf")])
def test_a_declared_frequency_lies_between_0_and_1_and_every_variant_has_one(wrong):
    table = TABLE | {"rs1": wrong}
    if wrong != float("inf"):  # no JSON, so no digest
        with pytest.raises(BadInput):
            DeclaredTarget.of(table, NAMES, STATEMENT, digest_of(table))
    with pytest.raises(BadInput, match="rs99"):
        DeclaredTarget.of(TABLE, [*NAMES, "rs99"], STATEMENT, digest_of(TABLE))


def test_released_frequencies_are_a_target_with_their_noise_in_them():
    plan = Plan(Alleles(9), Gaussian(F(6)))
    released = frequencies.release(held(CALLS), plan)
    found = ReleasedTarget.of(released).counts(70)
    assert found.tolist() == np.clip(released.cells, 0, 140).tolist()
    assert (found != CALLS.sum(axis=1)).any()
    panel = Panel.of(held(CALLS[:, ::-1], public=True), chain_starts(np.zeros(9)))
    drawn = ReleasedTarget.of(released, panel).counts(70)
    assert np.abs(drawn - panel.alleles).sum() < np.abs(found - panel.alleles).sum()


def test_genotypes_are_moved_to_the_targets_counts_at_the_right_place():
    target = PublicTarget.of(held(CALLS, public=True), 9)
    noisy = held(np.random.default_rng(1).integers(0, 3, (4, 70))).all
    found = targets.restored(noisy, target, 3, ReleaseKey(bytes(16)), 0)
    assert tally(found).alleles.tolist() == CALLS.sum(axis=1)[3:7].tolist()


def test_genotypes_are_regrouped_to_the_targets_counts_and_the_given_shares():
    target = PublicTarget.of(held(CALLS, public=True), 9)
    noisy = held(np.random.default_rng(1).integers(0, 3, (4, 70))).all
    shares = np.stack([(k == CALLS).mean(axis=1) for k in range(3)], axis=1)
    found = tally(targets.regrouped(noisy, target, shares, 3, ReleaseKey(bytes(16)), 0))
    assert found.twos.tolist() == (CALLS == 2).sum(axis=1)[3:7].tolist()
    assert found.ones.tolist() == (CALLS == 1).sum(axis=1)[3:7].tolist()


def test_plain_counts_are_no_target():
    private, key = tally(held(CALLS).all).alleles, ReleaseKey(bytes(16))
    with pytest.raises(TypeError):
        targets.restored(held(CALLS).all, private, 0, key, 0)
    with pytest.raises(TypeError):
        targets.regrouped(held(CALLS).all, private, np.full((9, 3), 1 / 3), 0, key, 0)


def test_nothing_but_targets_calls_restoration():
    package = Path(targets.__file__).parents[1]
    doors = {"noisegate.genomics.restore", "noisegate.genomics.regroup"}
    callers = {
        path.name
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)} & doors
    }
    # The verifier restores people that it made up itself, and opens no store of private ones.
    assert callers == {"targets.py", "regroup.py", "simulate.py"}
    simulate = (package / "genomics" / "verifying" / "simulate.py").read_text()
    assert not {"store", "prepare"} & {
        part
        for node in ast.walk(ast.parse(simulate))
        if isinstance(node, ast.ImportFrom)
        for part in str(node.module).split(".")
    }
