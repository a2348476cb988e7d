"""Attacks on a release by its custodian, who knows who is in it: exact, and for them alone."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from noisegate.errors import BadInput, NotFound
from noisegate.genomics.as_published import STORE as COPY
from noisegate.genomics.making import STORE
from noisegate.genomics.prepare import prepared
from noisegate.genomics.releases import EXPORTS, Release, Shelf
from noisegate.genotypes.store import Store
from noisegate.leakage.audit import Outcomes, audit
from noisegate.leakage.genomes import Frequencies

EXACT = "Computed from the members' own genotypes: for the custodian alone, and not to be passed on."


def attack(shelf: Shelf, release: str, members: Store, controls: Store, reference: Store) -> Outcomes:
    """Run all attacks that apply on a release of the shelf, or on a noisy store.

    Args:
        shelf: where releases are.
        release: its id, or the folder of a noisy store.
        members: people who are in it.
        controls: people who could as well have been and are not: a random split of one group with members.
        reference: a panel that holds neither.

    Raises:
        NotFound: there is no such release or folder.
        BadInput: the stores share no variants with it.
    """
    rows, seen, people = _seen(shelf, release)
    listed: Store = rows if rows is not None else members
    stores = [prepared(store, listed) for store in (members, controls, reference)]
    for store, found in zip((members, controls, reference), stores, strict=True):
        if not found.alignment.kept:
            raise BadInput(
                f"{store.path.name} has no variant of the release", "give stores of the same variants"
            )
    theirs, others, panel = stores
    return audit(rows, members=theirs, controls=others, reference=panel, seen=seen, people=people)


def rows_of(shelf: Shelf, release: str) -> Store:
    """Return the rows of a release, by its id, or of a folder: a store, or a copy by the published recipe.

    Raises:
        NotFound: there is no such release, or it has no rows.
    """
    folder = Path(release)
    if folder.is_dir():
        return Store.open(next((folder / name for name in (STORE, COPY) if (folder / name).is_dir()), folder))
    place = shelf.place(shelf.find(release).id)
    if not (place / STORE).is_dir():
        raise NotFound(f"release {release} holds no row for each person", "it can be attacked, not searched")
    return Store.open(place / STORE)


def outcomes_json(found: Outcomes) -> dict[str, Any]:
    """Return outcomes as JSON values."""
    return {
        "note": EXACT,
        "attacks": [
            {
                "attack": outcome.title,
                "members": outcome.roc.members,
                "controls": outcome.roc.controls,
                "auc": _estimate(outcome.roc.area),
                "found": [{"false_positives": p.allowed, **_estimate(p.found)} for p in outcome.roc.power],
            }
            for outcome in found.attacks
        ],
        "skipped": [{"attack": attack, "why": why} for attack, why in found.skipped],
    }


def _seen(shelf: Shelf, release: str) -> tuple[Store | None, Frequencies | None, int | None]:
    """Return the rows of a release, or the frequencies that it gives and how many people they are of."""
    if Path(release).is_dir():
        return Store.open(Path(release)), None, None
    found: Release = shelf.find(release)
    place = shelf.place(found.id)
    if (place / STORE).is_dir():
        return Store.open(place / STORE), None, None
    table = place / EXPORTS / f"{found.id}.frequencies.csv"
    if not table.is_file():
        raise NotFound(f"release {release} has neither genotypes nor frequencies to attack")
    with table.open(newline="") as stream:
        seen = np.array([float(line["frequency"]) for line in csv.DictReader(stream)])
    return None, seen, found.people


def _estimate(found: Any) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}
