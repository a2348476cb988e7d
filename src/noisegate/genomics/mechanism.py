"""The noise that a recipe means: flips, noisy counts, or people drawn from them.

TRUSTED. All of it follows from public facts, and what a mechanism loses is computed from what will be drawn.
PROOFS.md, "Shared genomes".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, assert_never

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genomics import design, frequencies, synthetic, tables, targets
from noisegate.genomics.account import Account, account
from noisegate.genomics.candidates import Case, shared
from noisegate.genomics.counts import Plan, again
from noisegate.genomics.coupling import neighbours
from noisegate.genomics.laws import LARGEST_FAMILY, SMALLEST_FAMILY, Law
from noisegate.genomics.panel import Panel, chain_starts
from noisegate.genomics.prepare import Prepared, prepared
from noisegate.genomics.recipe import Method, PanelName, Recipe, Restoration
from noisegate.genotypes.store import Store
from noisegate.privacy.loss import Loss

Flags = NDArray[np.bool_]


CELLS = "cells.npz"  # of a release that counts, what was counted


class Sources(Protocol):
    """Where what a recipe names is found; `app.genomes.Genomes` is one."""

    def store(self, panel: PanelName) -> Store:
        """Return registered genotypes."""

    def families(self, digest: str) -> tuple[tuple[str, ...], ...]:
        """Return declared pedigrees."""

    def sealed(self, names: Sequence[str]) -> str:
        """Return a keyed digest of names of people, which tells nothing of them."""

    def named(self, panel: PanelName) -> bool:
        """Whether the custodian declares that who is in registered genotypes is a public fact."""

    def cases(self, digest: str) -> frozenset[str]:
        """Return who is a case: private, so to be asked once the release is charged."""

    def frequencies(self, digest: str) -> dict[str, float]:
        """Return a table that is declared to be published."""

    def released(self, release: str) -> tuple[Recipe, Path]:
        """Return the recipe of an earlier release, and its directory."""


@dataclass(frozen=True, slots=True, eq=False)
class Flipping:
    """Noise on every genotype, and what is restored towards after it, if anything.

    `plan` counts alleles under the same charge, to restore towards: then there is no target before.
    """

    law: Law
    account: Account
    target: targets.Target | None
    plan: Plan | None
    panel: Panel | None


@dataclass(frozen=True, slots=True, eq=False)
class Counting:
    """Noisy counts: of alleles, or of cases and controls."""

    plan: Plan
    panel: Panel | None


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """Noisy counts that a chain is fitted to, and people who are drawn from it."""

    design: synthetic.Design
    starts: Flags
    panel: Panel | None


Mechanism = Flipping | Counting | Drawing


def loss_of(mechanism: Mechanism) -> Loss:
    """Return what a mechanism loses of one person, replace-one."""
    match mechanism:
        case Flipping(account=accounted, plan=plan):
            return accounted.loss if plan is None else accounted.loss + plan.loss
        case Counting(plan=plan):
            return plan.loss
        case Drawing(design=drawn):
            return drawn.loss
        case _:
            assert_never(mechanism)


def plans_of(mechanism: Mechanism) -> dict[str, Plan]:
    """Return what a mechanism counts with noise, by name."""
    match mechanism:
        case Flipping(plan=plan):
            return {} if plan is None else {"counts": plan}
        case Counting(plan=counted):
            return {"counts": counted}
        case Drawing(design=drawn):
            return drawn.by_name()
        case _:
            assert_never(mechanism)


def opened(recipe: Recipe, sources: Sources) -> tuple[Prepared, Prepared | None]:
    """Return the genotypes a recipe is about, and its public panel, both in the order of its manifest."""
    name = PanelName(recipe.dataset, recipe.table, recipe.version)
    return aligned(name, recipe.manifest, recipe.reference, sources)


def aligned(
    genotypes: PanelName, manifest: str, reference: str, sources: Sources
) -> tuple[Prepared, Prepared | None]:
    """Return genotypes, complete, and a public panel, both in the order of a manifest.

    Args:
        genotypes: whose.
        manifest: a public panel whose variants are meant, `dataset.table@version`; "" for their own.
        reference: a public panel that fills missing calls, likewise; "" for none.
        sources: where they are found.

    Raises:
        BadInput: their own list of variants and alleles is not public, and no other is named.
    """
    store = sources.store(genotypes)
    listed = sources.store(PanelName.named(manifest)) if manifest else store
    if not listed.coding_is_public:
        raise BadInput(
            f"which allele {genotypes.of} counts was worked out from its people, so it tells of them",
            "name a public panel whose variants and alleles are meant: --manifest",
        )
    panel = sources.store(PanelName.named(reference)) if reference else None
    found = None if panel is None else whole(panel, listed, reference)
    return prepared(store, listed, found), found


def mechanism_of(
    recipe: Recipe, source: Prepared, reference: Prepared | None, chunk: int, sources: Sources
) -> Mechanism:
    """Return the noise that a recipe means; with it chunks of so many variants are drawn by themselves."""
    variants, epsilon, delta = len(source.variants), recipe.epsilon, recipe.delta
    starts = chain_starts(np.asarray(source.variants.contigs[1]), chunk)
    match recipe.method:
        case Method.XOR | Method.RESPONSE:
            groups = _places(source.samples, sources.families(recipe.families)) if recipe.families else ()
            if recipe.restoration is Restoration.RELEASED and not recipe.target:
                return _shared(recipe, variants, reference)
            law = _law_of(recipe, variants, tuple(range(0, variants, chunk)), groups, reference)
            return Flipping(law, account(law), _target(recipe, source, sources), None, None)
        case Method.FREQUENCIES:
            panel = None if reference is None else Panel.of(reference, np.ones(variants, np.bool_))
            return Counting(frequencies.design(variants, epsilon, delta, panel), panel)
        case Method.TABLES:
            return Counting(tables.design(variants, epsilon, delta), None)
        case Method.SYNTHETIC:
            panel = None if reference is None else Panel.of(reference, starts)
            drawn = synthetic.design(starts, epsilon, delta, panel, people=source.people)
            return Drawing(drawn, starts, panel)
        case _:
            assert_never(recipe.method)


def _shared(recipe: Recipe, variants: int, reference: Prepared | None) -> Flipping:
    """Return a response and the frequencies that it is restored to, under one ε."""
    if recipe.method is not Method.RESPONSE or reference is None:
        raise BadInput(
            "frequencies are released under the same charge for response with a reference",
            "give --method response and --reference; or --target, a release of frequencies",
        )
    panel = Panel.of(reference, np.ones(variants, np.bool_))
    plan, law = shared(panel, Case(variants, recipe.epsilon, recipe.delta))
    return Flipping(law, account(law), None, plan, panel)


def _law_of(
    recipe: Recipe,
    variants: int,
    starts: tuple[int, ...],
    groups: tuple[tuple[int, ...], ...],
    reference: Prepared | None,
) -> Law:
    """Return the law whose exact account comes to the recipe's ε and δ; chunks are drawn by themselves."""
    epsilon, delta, coupling = recipe.epsilon, recipe.delta, float(recipe.coupling)
    if recipe.method is Method.RESPONSE:
        return design.response(variants, epsilon, delta)
    if groups:
        size = len(groups[0])
        if any(len(group) != size for group in groups):
            raise BadInput(
                "families of one release are of one size", "split larger ones, or leave smaller out"
            )
        kin = design.kinship(size, coupling or 1 / (2 * (size - 1)))
        return design.related(design.even(variants, 0.0, starts), kin, groups, epsilon, delta)
    if not coupling:
        return design.independent(variants, epsilon, delta)
    if reference is None:
        return design.coupled(design.even(variants, coupling, starts), epsilon, delta)
    return design.coupled(design.from_reference(neighbours(reference), coupling, starts), epsilon, delta)


def _target(recipe: Recipe, source: Prepared, sources: Sources) -> targets.Target | None:
    """Return what is restored towards; made by `targets` alone, which takes nothing private."""
    variants = len(source.variants)
    match recipe.restoration:
        case Restoration.NOTHING:
            return None
        case Restoration.PUBLIC:
            panel = whole(sources.store(PanelName.named(recipe.target)), source, recipe.target)
            return targets.PublicTarget.of(panel, variants)
        case Restoration.DECLARED:
            table = sources.frequencies(recipe.target)
            names = source.variants.names().tolist()
            return targets.DeclaredTarget.of(table, names, recipe.statement, recipe.target)
        case Restoration.RELEASED:
            return _released(recipe.target, source, sources)
        case _:
            assert_never(recipe.restoration)


def whole(panel: Store, manifest: Store | Prepared, name: str) -> Prepared:
    """Return a public panel in the order of a manifest, all of which it has."""
    found = prepared(panel, manifest)
    absent = len(found.variants) - found.alignment.kept
    if absent:
        raise BadInput(
            f"{name} has no call for {absent:,} of {len(found.variants):,} variants",
            "share only those that the panel has: --manifest with the panel's name",
        )
    return found


def _released(release: str, source: Prepared, sources: Sources) -> targets.Target:
    """Return the frequencies of an earlier release, of the same variants."""
    recipe, place = sources.released(release)
    if recipe.method is not Method.FREQUENCIES:
        raise BadInput(f"release {release} is of {recipe.method.value}", "name a release of frequencies")
    theirs, reference = opened(recipe, sources)
    if theirs.variants.digest() != source.variants.digest():
        raise BadInput(
            f"release {release} has other variants than this one",
            "release frequencies of the same table and manifest",
        )
    counted = mechanism_of(recipe, theirs, reference, 0, sources)
    assert isinstance(counted, Counting)  # noqa: S101 -- that is what frequencies are
    with np.load(place / CELLS, allow_pickle=False) as held:
        measured = again(counted.plan, held["counts"], theirs.people)
    return targets.ReleasedTarget.of(measured, counted.panel)


def _places(samples: Sequence[str], groups: Sequence[Sequence[str]]) -> tuple[tuple[int, ...], ...]:
    """Return families as places in the roster."""
    if not all(SMALLEST_FAMILY <= len(group) <= LARGEST_FAMILY for group in groups):
        raise BadInput(
            f"a family has {SMALLEST_FAMILY} to {LARGEST_FAMILY} people",
            "split larger ones, leave others out",
        )
    members = [name for group in groups for name in group]
    if len(set(members)) != len(members):
        raise BadInput("somebody is named twice in the declared families", "name each person in one family")
    known = {name: place for place, name in enumerate(samples)}
    absent = [name for group in groups for name in group if name not in known]
    if absent:
        raise BadInput(
            f"{len(absent)} members of declared families are not on the roster, the first is {absent[0]!r}"
        )
    return tuple(tuple(known[name] for name in group) for group in groups)
