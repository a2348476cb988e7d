"""What an association asks for, worked out from public facts: one identity for one question."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from noisegate.errors import BadInput
from noisegate.genomics.associate import Genotypes, Proposal, Studied, noise_words, offer_of, propose
from noisegate.genomics.cohort import Cohort
from noisegate.genomics.mechanism import Sources
from noisegate.genomics.recipe import PanelName
from noisegate.genomics.wanted import MOST_NAMED, MOST_TEXT, MOST_TOP, Wanted
from noisegate.genotypes.packed import pack
from noisegate.genotypes.store import Store, Writer
from noisegate.genotypes.variants import Variants
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.noise import Gaussian, Laplace

PEOPLE, VARIANTS = 50, 20
HALF = Fraction(1, 2)


def stored(
    path: Path,
    seed: int,
    *,
    public: bool = False,
    missing: bool = False,
    worked_out: bool = False,
    start: int = 100,
) -> Store:
    draw = np.random.default_rng(seed)
    calls = draw.integers(-1 if missing else 0, 3, (VARIANTS, PEOPLE)).astype(np.int8)
    variants = Variants.of(
        ["1"] * VARIANTS,
        range(start, start + VARIANTS),
        [f"rs{i}" if i else "." for i in range(start - 100, start - 100 + VARIANTS)],
        ["A"] * VARIANTS,
        ["G"] * VARIANTS,
    )
    provenance = {"coding": "people"} if worked_out else {}
    writer = Writer.create(
        path,
        samples=[f"{path.stem}{i}" for i in range(PEOPLE)],
        variants=variants,
        build="GRCh37",
        public=public,
        provenance=provenance,
    )
    for chunk in writer.chunks():
        start, stop = writer.bounds(chunk)
        writer.write(chunk, pack(calls[start:stop]))
    return writer.finish()


class Held:
    """Stores by name; the one thing that an association looks for."""

    def __init__(self, stores: dict[str, Store]) -> None:
        self._stores = stores

    def store(self, panel: PanelName) -> Store:
        return self._stores[panel.name]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    home = tmp_path_factory.mktemp("stores")
    stores = {
        "d.snps@1": stored(home / "snps.zarr", 1, missing=True),
        "d.rare@1": stored(home / "rare.zarr", 2, worked_out=True),
        "d.known@1": stored(home / "known.zarr", 3, public=True),
        "d.listed@1": stored(home / "listed.zarr", 4, public=True),
        "d.moved@1": stored(home / "moved.zarr", 5, public=True, start=101),
    }
    return cast("Sources", Held(stores))


def genotypes(held: Sources, table: str = "snps", manifest: str = "", reference: str = "") -> Genotypes:
    return Genotypes.of(Studied(PanelName("d", table, 1), manifest, reference), held)


def cohort(digest: str = "people") -> Cohort:
    return Cohort(cast("Any", None), None, digest)


def proposed(
    held: Sources,
    wanted: Wanted,
    *,
    epsilon: Fraction = HALF,
    delta: Fraction = Fraction(0),
    digest: str = "people",
    manifest: str = "",
    reference: str = "",
) -> Proposal:
    return propose(
        wanted, genotypes(held, manifest=manifest, reference=reference), cohort(digest), epsilon, delta
    )


def fingerprint(proposal: Proposal, version: int = 1) -> str:
    return offer_of(
        proposal, population="p", datasets=("d",), versions={"d": version}, body={}, tier="genomic"
    ).fingerprint


def named(*names: str) -> Wanted:
    return Wanted("d.snps", "d.people WHERE ill", variants=names)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"variants": ("rs1",), "top": 1},
        {"variants": ("rs1", "rs1")},
        {"top": -1},
        {"top": MOST_TOP + 1},
        {"variants": tuple(map(str, range(MOST_NAMED + 1)))},
        {"top": 1, "cases": " \n"},
        {"top": 1, "cases": "x" * (MOST_TEXT + 1)},
        {"top": 1, "among": "x" * (MOST_TEXT + 1)},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Wanted(**({"genotypes": "d.snps", "cases": "d.people"} | wrong))


@pytest.mark.parametrize(
    ("wanted", "ends"),
    [
        (named("rs1"), "; rs1"),
        (named("rs1", "rs2"), "; 2 variants: rs1, rs2"),
        (named(*(f"rs{i}" for i in range(1, 15))), "rs12, …"),
        (Wanted("d.snps", "d.people", top=1), "; the most associated variant"),
        (
            Wanted("d.snps", "d.people", among="d.others", top=3),
            "among d.others; the 3 most associated variants",
        ),
    ],
)
def test_what_is_asked_is_said_in_a_line(wanted: Wanted, ends: str) -> None:
    assert wanted.words.startswith("association of d.snps with cases d.people")
    assert wanted.words.endswith(ends)


def test_variants_are_found_by_name_or_by_place_in_the_order_in_which_they_were_named(held: Sources) -> None:
    found = genotypes(held)
    places = found.places(["rs7", "chr1_100_A_G", "rs2"])
    assert places.tolist() == [7, 0, 2]
    assert found.names(places) == ["rs7", "chr1_100_A_G", "rs2"]
    with pytest.raises(BadInput, match="2 of the variants are not there, such as 'rs0'"):
        found.places(["rs1", "rs0", "rs99"])


def test_a_name_that_two_variants_bear_is_no_name_and_leaves_the_others_theirs(held: Sources) -> None:
    named = Variants.of(
        ["1"] * 3, [1_000, 2_000, 3_000], ["chr1_2000_C_T", ".", "rs3"], ["A", "C", "A"], ["G", "T", "G"]
    )
    found = Genotypes(
        Studied(PanelName("d", "snps", 1), "", ""), cast("Any", SimpleNamespace(variants=named)), None
    )
    assert found.names(np.arange(3)) == ["chr1_2000_C_T", "chr1_2000_C_T", "rs3"]
    assert found.places(["rs3"]).tolist() == [2]
    with pytest.raises(BadInput, match="two variants are called 'chr1_2000_C_T'"):
        found.places(["rs3", "chr1_2000_C_T"])


def test_a_list_of_variants_that_tells_of_people_needs_a_public_one(held: Sources) -> None:
    with pytest.raises(BadInput, match="rare counts was worked out from its people"):
        genotypes(held, "rare")
    assert len(genotypes(held, "rare", manifest="d.known@1").source.variants) == VARIANTS


def test_calls_are_complete(held: Sources) -> None:
    block = genotypes(held).source.block(0, VARIANTS)
    assert not (block.hi & ~block.lo).any()


def test_the_order_of_variants_makes_no_other_question(held: Sources) -> None:
    first, again = proposed(held, named("rs1", "rs5")), proposed(held, named("rs5", "rs1"))
    assert fingerprint(first) == fingerprint(again)


@pytest.mark.parametrize(
    "other",
    [
        lambda held: proposed(held, named("rs1", "rs6")),
        lambda held: proposed(held, named("rs1")),
        lambda held: proposed(held, named("rs1", "rs5"), epsilon=Fraction(1)),
        lambda held: proposed(held, named("rs1", "rs5"), digest="others"),
        lambda held: proposed(held, named("rs1", "rs5"), reference="d.known@1"),
        lambda held: proposed(held, Wanted("d.snps", "d.people WHERE ill", top=2)),
    ],
    ids=["variants", "fewer", "noise", "people", "panel", "top"],
)
def test_what_is_asked_otherwise_is_another_question(held: Sources, other: Any) -> None:
    assert fingerprint(proposed(held, named("rs1", "rs5"))) != fingerprint(other(held))


@pytest.mark.parametrize("reference", ["", "d.known@1"])
@pytest.mark.parametrize("wanted", [named("rs1", "rs5"), Wanted("d.snps", "d.people", top=2)])
def test_a_manifest_that_lists_the_same_variants_makes_no_other_question(
    held: Sources, wanted: Wanted, reference: str
) -> None:
    own = proposed(held, wanted, reference=reference)
    for manifest in ("d.known@1", "d.listed@1"):
        other = proposed(held, wanted, manifest=manifest, reference=reference)
        assert fingerprint(other) == fingerprint(own)
        # And rightly: what is counted is the same, calls that were missing included.
        ours, theirs = (p.genotypes.source.block(0, VARIANTS) for p in (own, other))
        assert (ours.hi == theirs.hi).all()
        assert (ours.lo == theirs.lo).all()
    moved = proposed(held, wanted, manifest="d.moved@1")
    assert fingerprint(moved) != fingerprint(proposed(held, wanted))


def test_another_version_of_the_data_is_another_question(held: Sources) -> None:
    found = proposed(held, named("rs1"))
    assert fingerprint(found, 1) != fingerprint(found, 2)


@pytest.mark.parametrize("delta", [Fraction(0), Fraction(1, 10**6)])
@pytest.mark.parametrize(
    "wanted", [named("rs1"), named("rs1", "rs2", "rs3"), Wanted("d.snps", "d.people", top=4)]
)
def test_the_offer_loses_no_more_than_was_asked_for(held: Sources, wanted: Wanted, delta: Fraction) -> None:
    found = proposed(held, wanted, delta=delta)
    assert stand_alone_epsilon(found.loss, delta) <= HALF
    assert stand_alone_epsilon(found.loss, delta) > HALF * Fraction(99, 100)
    offer = offer_of(
        found, population="p", datasets=("d",), versions={"d": 1}, body={"plan": []}, tier="genomic"
    )
    assert offer.loss == found.loss
    assert (offer.body["people"], offer.datasets, offer.body["plan"]) == (PEOPLE, ("d",), [])


def test_more_than_there_are_cannot_be_found(held: Sources) -> None:
    with pytest.raises(BadInput, match="20 variants"):
        proposed(held, Wanted("d.snps", "d.people", top=21))


def test_noise_and_what_it_does_are_told(held: Sources) -> None:
    plain = proposed(held, named("rs1"), epsilon=Fraction(2))
    assert plain.mechanisms == ("cases and controls by genotype: discrete Laplace, scale 1",)
    assert plain.expected_error == (("people of a group with one genotype", 3.0),)
    top = proposed(held, Wanted("d.snps", "d.people", top=2), reference="d.known@1")
    assert [line.partition(":")[0] for line in top.mechanisms] == [
        "how many cases and controls",
        "choice of 2 of 20 variants",
        "cases and controls by genotype",
    ]
    assert [name for name, _ in top.expected_error] == [
        "people of a group with one genotype",
        "people in a group",
    ]
    assert any("d.known" in note for note in top.notes)
    assert any("20 variants" in note for note in top.notes)
    assert noise_words(Gaussian(Fraction(3))) == "discrete Gaussian, σ 3"
    assert noise_words(Laplace(Fraction(1, 4))) == "discrete Laplace, scale 0.25"


def test_a_name_is_what_it_is_about(held: Sources) -> None:
    names: Sequence[Wanted] = (named("rs1"), named("rs1", "rs2"), Wanted("d.snps", "d.people", top=1))
    assert [proposed(held, wanted).about for wanted in names] == [
        "d.snps.rs1",
        "2 variants of d.snps",
        "20 variants of d.snps",
    ]
    assert proposed(held, replace(names[0], among="d.others")).variants == 1
