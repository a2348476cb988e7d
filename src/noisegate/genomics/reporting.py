"""The two reports of a release: one for whoever gets it, one that stays with the custodian.

The shareable one is made from the proposal, the receipt of the charge, and a trial on public people. The
exact one reads the private rows, and is written into the custodian's directory alone. Neither changes what is
released, and a release without them is as good.
"""

import logging
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from noisegate.genomics import frequencies, tables
from noisegate.genomics.comparison import Measures, compare, compare_frequencies, compare_tables
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
from noisegate.leakage.genomes import Chosen, Genomes
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
    return Exact(
        shareable=shareable,
        input_digest=proposal.source.digest,
        measures=measured_exactly(proposal, folder),
        outcomes=outcomes,
        controls_are=""
        if outcomes is None
        else f"half of the public panel {proposal.recipe.reference}, the other half being what attackers "
        "know: no random split of one group with the members, so these figures tell groups apart as well",
        filled=_filled(proposal),
        dropped=tuple(
            (f"{side}: {reason.sentence}", count) for (side, reason), count in alignment.counts().items()
        ),
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
    """Attack a release of genotypes, the members against half of the public panel; None without one."""
    panel = proposal.reference
    large = proposal.people * proposal.variants > LARGEST_ATTACKED
    if panel is None or panel.people < 4 or large or isinstance(proposal.mechanism, Counting):
        return None
    released = Store.open(folder / STORE)
    places = np.arange(panel.people, dtype=np.int64)
    controls, reference = (Chosen(panel, places[half::2]) for half in (0, 1))
    step = max(1, proposal.people // MOST_ATTACKED)
    members: Genomes = Chosen(proposal.source, np.arange(0, proposal.people, step, dtype=np.int64))
    return audit(
        released,
        members=members,
        controls=controls,
        reference=reference,
        seen=seen_by_attackers(proposal, released, proposal.variants),
    )


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
