"""Kinship over stores, beside plink2 on real panels; identity over stores of other variants and codings."""

import csv
import math

import numpy as np
import pytest

from noisegate.errors import BadInput
from noisegate.genomics.kin import autosomal, identified_json, identify_in, kinship_of_store, write_pairs
from noisegate.genotypes.formats import read_into
from noisegate.genotypes.variants import Variants
from noisegate.leakage.identity import Presence
from noisegate.leakage.relatives import Degree

from .stores import stores


def table(file):
    with file.open() as lines:
        return [
            (row["IID1"], row["IID2"], row["NSNP"], row["HETHET"], row["IBS0"], row["KINSHIP"])
            for row in csv.DictReader((line.lstrip("#") for line in lines), delimiter="\t")
        ]


@pytest.fixture(scope="module", params=["kg1", "ceu22"])
def real(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    bed = stores.panel(request.param)
    return bed.with_suffix(""), read_into(bed, folder / "store.zarr"), folder


def test_all_pairs_of_a_panel_are_those_of_plink2_to_the_last_digit(real):
    files, store, folder = real
    stores.run("plink2", "--bfile", files, "--make-king-table", "--out", folder / "king")
    found = kinship_of_store(store, least=-np.inf)
    write_pairs(folder / "ours.tsv", found, store.samples)
    theirs, ours = table(folder / "king.kin0"), table(folder / "ours.tsv")
    assert len(ours) == len(theirs) == found.compared
    for mine, other in zip(ours, theirs, strict=True):
        # The last of six digits may be rounded the other way.
        assert mine[:3] == other[:3]
        for a, b in zip(mine[3:], other[3:], strict=True):
            digit = 10 ** (math.floor(math.log10(abs(float(b)))) - 5) if float(b) else 0
            assert a == b or abs(float(a) - float(b)) < 1.1 * digit


@pytest.mark.parametrize("degree", [Degree.FIRST, Degree.SECOND, Degree.THIRD])
def test_as_many_people_are_unrelated_as_plink2_keeps(real, degree):
    files, store, folder = real
    stores.run("plink2", "--bfile", files, "--king-cutoff", degree.least, "--out", folder / "cut")
    theirs = len((folder / "cut.king.cutoff.in.id").read_text().splitlines()) - 1
    kept = kinship_of_store(store, least=Degree.THIRD.least).unrelated(degree)
    assert abs(int(kept.sum()) - theirs) <= 1


def test_sex_chromosomes_and_mitochondria_do_not_count(tmp_path):
    names = ["1", "chrX", "23", "MT", "chrM", "Y", "PAR1", "0", "GL000191.1"]
    listed = Variants.of(names, range(1, 10), [f"v{i}" for i in range(9)], ["A"] * 9, ["G"] * 9)
    assert autosomal(listed).tolist() == [True, *[False] * 6, True, True]
    calls = np.random.default_rng(1).integers(0, 3, (240, 5)).astype(np.int8)
    parts = stores.variants_of(120), stores.variants_of(120, "X")
    both = kinship_of_store(
        stores.store_of(tmp_path / "s.zarr", calls, Variants.joined(parts)), least=-np.inf
    )
    alone = kinship_of_store(stores.store_of(tmp_path / "t.zarr", calls[:120], parts[0]), least=-np.inf)
    assert np.array_equal(both.kinship, alone.kinship)
    assert both.variants == 120
    with pytest.raises(BadInput, match="0 autosomal variants"):
        kinship_of_store(stores.store_of(tmp_path / "x.zarr", calls[120:], parts[1]), least=0)


def test_a_probe_of_other_variants_and_counted_alleles_is_found(tmp_path):
    rng = np.random.default_rng(2)
    calls = rng.binomial(2, rng.uniform(0.1, 0.5, (600, 1)), (600, 60)).astype(np.int8)
    listed = stores.variants_of(600)
    rows = stores.store_of(tmp_path / "rows.zarr", calls[:, :20].copy(), listed)
    controls = stores.store_of(tmp_path / "controls.zarr", calls[:, 20:].copy(), listed)
    # The probe lacks every fifth variant, counts the other allele, and holds person 7 and a stranger.
    some = np.flatnonzero(np.arange(600) % 5 > 0)
    other = listed.take(some)
    turned = Variants.of(other.chrom.tolist(), other.pos.tolist(), other.id.tolist(), other.alt, other.ref)
    stranger = rng.binomial(2, 0.3, (600, 1)).astype(np.int8)
    probe = np.concatenate([calls[:, 7:8], stranger], axis=1)[some]
    found, variants = identify_in(
        stores.store_of(tmp_path / "probe.zarr", (2 - probe).astype(np.int8), turned), rows, controls
    )
    assert variants == 480
    assert [s.presence for s in found.found] == [Presence.IN, Presence.OUT]
    assert found.found[0].distance == 0
    said = identified_json(found, variants, ("eve", "bob"), rows.samples)
    assert next((p["person"], p["nearest"]) for p in said["people"]) == ("eve", "p7")
    assert said["missed"] is None


def test_stores_without_common_variants_are_refused(tmp_path):
    calls = np.ones((150, 4), np.int8)
    one = stores.store_of(tmp_path / "a.zarr", calls, stores.variants_of(150, "1"))
    two = stores.store_of(tmp_path / "b.zarr", calls, stores.variants_of(150, "2"))
    with pytest.raises(BadInput, match="0 autosomal variants"):
        identify_in(one, two, two)
