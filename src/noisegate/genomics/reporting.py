"""The two reports of a release: one for whoever gets it, one that stays with the custodian.

The shareable one is made from the proposal, the receipt of the charge, and a trial on public people. The
exact one reads the private rows, and is written into the custodian's directory alone. Neither changes what is
released, and a release without them is as good.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics import frequencies, tables
from noisegate.genomics.comparison import Measures, compare, compare_frequencies, compare_tables
from noisegate.genomics.insiders import canary_of, kin_of, likeness_of, reconstruction_of
from noisegate.genomics.making import STORE, cases_of, kept
from noisegate.genomics.mechanism import Counting, Flipping
from noisegate.genomics.proposal import Proposal
from noisegate.genomics.recipe import Method
from noisegate.genomics.releases import CUSTODIAN, EXPORTS, ReleasedFile, described
from noisegate.genomics.report import write_custodian, write_shareable
from noisegate.genomics.report.facts import (
    Charge,
    Exact,
    Law,
    Likeness,
    Protection,
    Setting,
    Shareable,
    Target,
    Twin,
)
from noisegate.genomics.trade_off import trade_off
from noisegate.genomics.trial import chosen, places_of, seen_by_attackers, tried
from noisegate.genotypes.packed import tally
from noisegate.genotypes.store import Store
from noisegate.leakage.audit import Outcomes, audit
from noisegate.leakage.genomes import Chosen, Frequencies, Genomes
from noisegate.ledger.records import Receipt

PAGES = ("report.html", "report.json")
# Attacks look at no more of the real people than this, and not at larger releases.
MOST_ATTACKED = 2_000
LARGEST_ATTACKED = 2**31  # genotypes

log = logging.getLogger("noisegate.genomes")


def report(
    proposal: Proposal, folder: Path, name: str, receipt: Receipt, created: int
) -> tuple[ReleasedFile, ...]:
    """Write both reports of a release that is made; return the files of the shareable one.

    A report that cannot be made is left out: the release is charged and whole. Whether the shareable one is
    there follows from public facts, as all that is in it does.

    Args:
        proposal: what was made.
        folder: of the release.
        name: its id.
        receipt: of its charge.
        created: seconds since 1970 UTC.
    """
    try:
        shareable = shareable_of(proposal, name, receipt, created)
        write_shareable(folder / EXPORTS, shareable)
        pages = tuple(described(folder / EXPORTS / page, "report") for page in PAGES)
    except Exception:
        log.exception("the report of %s could not be made", name)
        return ()
    try:
        write_custodian(folder / CUSTODIAN, exact_of(proposal, folder, shareable))
    except Exception as wrong:  # noqa: BLE001 - its text may quote rows
        log.error("the custodian's report of %s could not be made: %s", name, type(wrong).__name__)
    return pages


def shareable_of(proposal: Proposal, name: str, receipt: Receipt, created: int) -> Shareable:
    """Return what may be told of a release: nothing of it was computed from a private row."""
    recipe, summary, mechanism = proposal.recipe, proposal.summary, proposal.mechanism
    flipping = mechanism if isinstance(mechanism, Flipping) else None
    protection = Protection.of(
        proposal.loss,
        recipe.delta,
        variants=None if flipping is None else flipping.account.variants,
        family=None if flipping is None else flipping.account.family,
        norm_bound=_number(summary["norm_bound"]),
    )
    trial = tried(proposal)
    return Shareable(
        release=name,
        dataset=recipe.dataset,
        title=str(summary["title"]),
        method=recipe.method.value,
        people=proposal.people,
        variants=proposal.variants,
        manifest=str(summary["manifest"]),
        created=datetime.fromtimestamp(created, UTC).isoformat(),
        law=Law(str(summary["law"]), _settings(proposal), str(summary["law_digest"])),
        protection=protection,
        charge=Charge(receipt.id, receipt.hash, protection.epsilon, protection.delta),
        target=_target(proposal),
        curves=trade_off(proposal),
        twin=None
        if trial is None
        else Twin(
            panel=recipe.reference,
            simulated=True,
            people=trial.people,
            variants=trial.variants,
            measures=trial.measures,
            outcomes=trial.outcomes,
        ),
    )


def exact_of(proposal: Proposal, folder: Path, shareable: Shareable) -> Exact:
    """Return what the custodian may know beside it, computed from the private rows."""
    alignment = proposal.source.alignment
    outcomes = attacked(proposal, folder)
    kin, no_kin = kin_of(proposal)
    return Exact(
        shareable=shareable,
        input_digest=proposal.source.digest,
        measures=measured_exactly(proposal, folder),
        outcomes=outcomes,
        controls_are=""
        if outcomes is None or not outcomes.attacks
        else f"half of the public panel {proposal.recipe.reference}, the other half being what attackers "
        "know: no random split of one group with the members, so these figures tell groups apart as well",
        filled=_filled(proposal),
        dropped=tuple(
            (f"{side}: {reason.sentence}", count) for (side, reason), count in alignment.counts().items()
        ),
        kin=kin,
        no_kin=no_kin,
        likeness=_likeness(proposal, folder),
    )


def measured_exactly(proposal: Proposal, folder: Path) -> Measures:
    """Compare a release with the private rows it was made from."""
    source, recipe, controls = proposal.source, proposal.recipe, proposal.reference
    if not isinstance(proposal.mechanism, Counting):
        return compare(
            source, Store.open(folder / STORE), places=places_of(source.variants), controls=controls
        )
    released = kept(proposal, folder)["counts"]
    if recipe.method is Method.FREQUENCIES:
        estimated = frequencies.estimate(released, proposal.mechanism.panel)
        return compare_frequencies(source, estimated.mean)
    found = tables.estimate(released)
    cases = cases_of(proposal)
    assert cases is not None  # noqa: S101 -- tables name their cases
    p_values = tables.associations(found).p
    return compare_tables(chosen(source, cases), chosen(source, ~cases), found.cells, p_values)


def attacked(proposal: Proposal, folder: Path) -> Outcomes | None:
    """Attack a release; None where nothing can be tried.

    The members are told from half of the public panel, where there is one. Counts are also attacked by
    somebody who knows all but one of the members, and flips by a planted person.
    """
    reconstruction, canary = reconstruction_of(proposal, folder), canary_of(proposal)
    if not _attackable(proposal):
        found = Outcomes((), (), False, reconstruction, canary)
        return found if reconstruction is not None or canary is not None else None
    controls, reference = _halves(proposal.reference)
    counting = isinstance(proposal.mechanism, Counting)
    released = None if counting else Store.open(folder / STORE)
    return audit(
        released,
        members=Chosen(proposal.source, _some(proposal)),
        controls=controls,
        reference=reference,
        seen=seen_by_attackers(proposal, released, proposal.variants)
        if released is not None
        else _counted(proposal, folder),
        people=proposal.people if counting else None,
        reconstruction=reconstruction,
        canary=canary,
    )


def _attackable(proposal: Proposal) -> bool:
    panel = proposal.reference
    return panel is not None and panel.people >= 4 and proposal.people * proposal.variants <= LARGEST_ATTACKED


def _halves(panel: Genomes | None) -> tuple[Chosen, Chosen]:
    """Return every other person of a panel, and the rest."""
    assert panel is not None  # noqa: S101 -- as `_attackable` found
    places = np.arange(panel.people, dtype=np.int64)
    return Chosen(panel, places[0::2]), Chosen(panel, places[1::2])


def _some(proposal: Proposal) -> NDArray[np.int64]:
    """Return the numbers of so many members as attacks look at."""
    return np.arange(0, proposal.people, max(1, proposal.people // MOST_ATTACKED), dtype=np.int64)


def _counted(proposal: Proposal, folder: Path) -> Frequencies:
    """Return the frequencies that somebody who holds the noisy counts works with."""
    released, mechanism = kept(proposal, folder)["counts"], proposal.mechanism
    if proposal.recipe.method is Method.FREQUENCIES:
        assert isinstance(mechanism, Counting)  # noqa: S101 -- that is what frequencies are
        return frequencies.estimate(released, mechanism.panel).mean
    found = tables.estimate(released).alleles.sum(axis=1) / (2 * proposal.people)
    shares: Frequencies = np.clip(found, 0.0, 1.0)
    return shares


def _likeness(proposal: Proposal, folder: Path) -> Likeness | None:
    if not _attackable(proposal):
        return None
    controls, _ = _halves(proposal.reference)
    return likeness_of(proposal, folder, _some(proposal), controls)


def _filled(proposal: Proposal) -> int:
    """Return how many calls of the source were missing."""
    return sum(int(tally(block).missing.sum()) for _, block in proposal.source.source.blocks())


def _settings(proposal: Proposal) -> tuple[Setting, ...]:
    recipe = proposal.recipe
    given = [
        Setting("ε of a person, asked for", f"{float(recipe.epsilon):g}"),
        Setting("δ", f"{float(recipe.delta):g}"),
    ]
    if recipe.coupling:
        given.append(Setting("coupling", f"{float(recipe.coupling):g}", "of a flip's log-odds"))
    if recipe.families:
        given.append(Setting("declared families, digest", recipe.families[:16]))
    if recipe.reference:
        given.append(Setting("public panel", recipe.reference))
    return tuple(given)


def _target(proposal: Proposal) -> Target:
    recipe, digest = proposal.recipe, str(proposal.summary["target_digest"])
    return Target(recipe.restoration.value, recipe.target[:64], digest, recipe.statement)


def _number(value: object) -> float | None:
    return value if isinstance(value, float) else None
