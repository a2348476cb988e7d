"""One copy or two."""

import numpy as np
import pytest

from noisegate.genotypes.haploid import DIPLOID, IN_ALL, IN_MEN, copies, mask, settle
from noisegate.genotypes.packed import pack, unpack
from noisegate.genotypes.variants import Variants


def at(chrom, pos):
    return Variants.of([chrom], [pos], ["a"], ["A"], ["G"])


@pytest.mark.parametrize(
    ("chrom", "pos", "build", "kind"),
    [
        ("1", 100, "", DIPLOID),
        ("X", 5_000_000, "", IN_MEN),
        ("chrX", 1_000_000, "", IN_MEN),
        ("X", 1_000_000, "GRCh37", DIPLOID),
        ("X", 2_699_521, "hg19", IN_MEN),
        ("23", 155_701_383, "GRCh38", DIPLOID),
        ("XY", 5_000_000, "", DIPLOID),
        ("Y", 5_000_000, "GRCh37", IN_ALL),
        ("MT", 100, "", IN_ALL),
    ],
)
def test_who_has_one_copy_depends_on_the_place(chrom, pos, build, kind):
    assert copies(at(chrom, pos), build).tolist() == [kind]


def test_only_heterozygous_calls_of_one_copy_become_missing():
    calls = np.tile(np.array([0, 1, 2, -1, 0, 1, 2, -1], np.int8), (3, 10))
    men = np.tile(np.arange(8) < 4, 10)
    settled = unpack(settle(pack(calls), np.array([DIPLOID, IN_MEN, IN_ALL], np.int8), mask(men)))
    assert np.array_equal(settled[0], calls[0])
    assert np.array_equal(settled[1], np.where((calls[1] == 1) & men, -1, calls[1]))
    assert np.array_equal(settled[2], np.where(calls[2] == 1, -1, calls[2]))


def test_the_mask_has_no_bit_past_the_last_person():
    assert mask(np.ones(65, bool)).tolist() == [2**64 - 1, 1]
    assert (
        settle(pack(np.ones((1, 65), np.int8)), np.array([IN_ALL], np.int8), mask(np.ones(65, bool))).hi[0, 1]
        == 1
    )
