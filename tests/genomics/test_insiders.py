"""What the custodian's report says of relatives, of rows that resemble members, and of what insiders find."""

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from noisegate.genomics import insiders, reporting, share
from noisegate.genomics.insiders import canary_of, kin_of, likeness_of, reconstruction_of
from noisegate.genomics.recipe import Method, Restoration
from noisegate.genomics.releases import Release
from noisegate.genomics.reporting import attacked, exact_of, shareable_of
from noisegate.genomics.share import begin, carry_out
from noisegate.genotypes.packed import Calls
from noisegate.ledger.records import ReceiptKind
from noisegate.privacy.filter import Limits

from . import workshop
from .workshop import BOSS, PRIVATE, PUBLIC, Lab, calls_of, lab, recipe, store_of

PEOPLE, VARIANTS = 30, 600


@pytest.fixture(autouse=True)
def without_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "report", lambda *_: ())
    monkeypatch.setattr(reporting, "trade_off", lambda _: ())
    monkeypatch.setattr(reporting, "tried", lambda _: None)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with a family in it, and room in its budget."""
    home = tmp_path_factory.mktemp("insiders")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workshop, "LIMITS", Limits.of(Fraction(10**6), Fraction(1, 10**5)))
        with lab(home / "home", variants=VARIANTS, missing=0.0) as made:
            path = made.stores[PRIVATE].path
            path.rename(home / "before")
            made.stores[PRIVATE] = store_of(path, family())
            yield made


def family() -> Calls:
    """Return calls of people of whom 3 and 4 are one person, and 8 a child of 6 and 7."""
    calls, rng = calls_of(VARIANTS, PEOPLE, 1), np.random.default_rng(5)
    genes = [(calls[:, k] == 2) | ((calls[:, k] == 1) & (rng.random(VARIANTS) < 0.5)) for k in (6, 7)]
    calls[:, 4], calls[:, 8] = calls[:, 3], genes[0].astype(np.int8) + genes[1]
    return calls


def shared(made: Lab, **wanted: object) -> tuple[object, Release, Path]:
    proposal = made.propose(recipe(**wanted))
    begun = begin(made.shop, BOSS, proposal)
    release = carry_out(made.shop, BOSS, begun.job, proposal)
    assert release is not None
    return proposal, release, made.shop.shelf.place(release.id)


def test_duplicates_and_families_among_the_members_are_counted(
    shop: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal = shop.propose(recipe())
    kin, why = kin_of(proposal)
    assert why == ""
    (_, duplicates, _), (_, first, _), *_ = kin.degrees
    assert (duplicates, first) == (1, 2)
    assert kin.pairs == PEOPLE * (PEOPLE - 1) // 2
    assert kin.largest >= 3
    monkeypatch.setattr(insiders, "MOST_PAIRED", 1)
    assert kin_of(proposal) == (None, "there are very many pairs: `noisegate genomes kinship` compares them")


def test_a_row_with_little_noise_is_nearest_to_its_person_and_one_with_much_is_not(shop: Lab) -> None:
    own = []
    everybody = np.arange(PEOPLE)
    for epsilon in (3_000, 2):
        proposal, _, folder = shared(shop, epsilon=epsilon, method=Method.RESPONSE)
        controls = shop.store(PUBLIC)
        found = likeness_of(proposal, folder, everybody, controls)
        own.append(found.own.value)
        assert (found.members, found.controls, found.rows) == (PEOPLE, 50, PEOPLE)
        assert (found.member < 0.7 * found.control) == (epsilon == 3_000)
    # Whoever is in it twice is as near to the other row.
    assert own[0] >= 1 - 2 / PEOPLE
    assert own[1] < 0.3


def test_the_last_person_is_rebuilt_from_counts_with_little_noise_alone(shop: Lab) -> None:
    for epsilon, rebuilt in ((9_000, True), (1, False)):
        found = []
        for method, more in ((Method.FREQUENCIES, {}), (Method.TABLES, {"cases": "some"})):
            if more:
                more["cases"] = shop.declared.cases([f"p{i}" for i in range(10)])
            proposal, _, folder = shared(shop, epsilon=epsilon, method=method, **more)
            found.append(reconstruction_of(proposal, folder))
            assert canary_of(proposal) is None
        for outcome in found:
            assert outcome.variants == VARIANTS
            assert (outcome.right.low > outcome.blind.high) == rebuilt


def test_a_canary_proves_some_of_the_epsilon_of_a_flip_and_no_more(shop: Lab) -> None:
    for method in (Method.XOR, Method.RESPONSE):
        proposal = shop.propose(recipe(epsilon=300, method=method))
        # Of one canary the threshold, chosen on the first half of its runs, may suit the second half badly.
        found = [canary_of(proposal).epsilon for _ in range(8)]
        assert max(found) > 0.3
        assert max(found) <= float(proposal.loss.pure_epsilon)


def test_all_of_it_is_on_the_custodians_report_and_not_on_the_shareable_one(shop: Lab) -> None:
    wanted = {"reference": PUBLIC.name, "restoration": Restoration.PUBLIC, "target": PUBLIC.name}
    proposal, release, folder = shared(shop, epsilon=3_000, **wanted)
    (receipt, *_) = shop.ledger.receipts_of(int(release.id.rpartition("-")[2]), ReceiptKind.CHARGE)
    shareable = shareable_of(proposal, release.id, receipt, 1_000)
    exact = exact_of(proposal, folder, shareable)
    assert exact.kin is not None
    assert exact.likeness is not None
    assert exact.outcomes.canary is not None
    from noisegate.genomics.report import custodian_report, shareable_report

    page, data = custodian_report(exact)
    assert "the same genotypes" in page.replace("\n", " ")
    assert "nearest to the row that was made" in page
    assert json.loads(data)["kin"]["degrees"][0][1] == 1
    shown, said = shareable_report(shareable)
    for word in ("kin", "likeness", "no_kin"):
        assert word not in json.loads(said)
    assert "same genotypes: one person" not in shown


def test_counts_are_attacked_by_their_frequencies(shop: Lab) -> None:
    proposal, _, folder = shared(shop, epsilon=20_000, method=Method.FREQUENCIES, reference=PUBLIC.name)
    found = attacked(proposal, folder)
    assert [outcome.attack for outcome in found.attacks] == ["homer", "likelihood_ratio"]
    assert not found.public
    assert found.strongest.roc.area.value > 0.9
    assert found.reconstruction is not None


def test_without_a_panel_only_what_needs_none_is_tried(shop: Lab) -> None:
    proposal, _, folder = shared(shop, epsilon=Fraction(17), method=Method.FREQUENCIES)
    found = attacked(proposal, folder)
    assert (found.attacks, found.reconstruction is not None, found.canary) == ((), True, None)
