"""What Manhattan and QQ plots show: nothing that can be seen is left out, and the figures are right."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from noisegate.genomics.gwas import scans
from noisegate.genomics.gwas.genome_line import Stretch, line_of, marks_of, shown
from noisegate.genotypes.variants import Variants

RNG = np.random.default_rng


def variants_at(chrom: list[str], pos: list[int]) -> Variants:
    count = len(pos)
    return Variants.of(chrom, pos, [f"rs{i}" for i in range(count)], ["A"] * count, ["G"] * count)


def study(count: int = 4_000, chromosomes: int = 4) -> Variants:
    each = count // chromosomes
    chrom = [str(c + 1) for c in range(chromosomes) for _ in range(each)]
    return variants_at(chrom, [1_000 + 5_000 * i for _ in range(chromosomes) for i in range(each)])


def picture(p: np.ndarray, variants: Variants, **more: int) -> scans.Manhattan:
    options = {"width": 1_000, "height": 400, "hits": 20, "most": 5_000} | more
    return scans.manhattan(p, line_of(variants), variants, **options)


def test_chromosomes_stand_in_the_order_of_the_genome_whatever_the_order_of_the_store() -> None:
    variants = variants_at(["X", "10", "chr2", "MT", "2", "weird"], [5, 5, 100, 5, 50, 5])
    line = line_of(variants)
    assert [s.name for s in line.stretches] == ["2", "10", "X", "MT", "weird"]
    assert line.which.tolist() == [2, 1, 0, 3, 0, 4]
    assert line.at[4] < line.at[2] < line.at[1] < line.at[0] < line.at[3] < line.at[5]
    assert line.at.min() >= 0
    assert line.at.max() <= 1
    for stretch, start in pairwise(line.stretches):
        assert stretch.end < start.start
    assert line.low is None


def test_one_chromosome_is_marked_by_position_and_unplaced_variants_by_order() -> None:
    alone = line_of(variants_at(["22"] * 3, [10_000_000, 15_000_000, 20_000_000]))
    assert (alone.low, alone.high) == (10_000_000, 20_000_000)
    marks, unit = marks_of(10_000_000, 20_000_000)
    assert unit == "Mb"
    assert [name for _, name in marks] == ["10", "12", "14", "16", "18", "20"]
    assert alone.at[1] == pytest.approx(0.5, abs=1e-6)
    nowhere = line_of(variants_at(["0"] * 5, [0] * 5))
    assert nowhere.low is None
    assert np.allclose(np.diff(nowhere.at), 0.2)
    single = line_of(variants_at(["7"], [1_000]))
    assert 0 < single.at[0] < 1
    assert marks_of(1_000, 1_000)[0]


@pytest.mark.parametrize(
    ("low", "high", "unit", "first"),
    [
        (5, 300, "bases", "50"),
        (1, 10_000, "kb", "2"),
        (50_000, 900_000, "Mb", "0.1"),
        (4, 240_000_000, "Mb", "50"),
    ],
)
def test_marks_are_round_and_in_a_fitting_unit(low: int, high: int, unit: str, first: str) -> None:
    marks, said = marks_of(low, high)
    assert (said, marks[0][1]) == (unit, first)
    assert len(marks) <= 10
    assert all(0 <= at <= 1 for at, _ in marks)


def test_names_below_the_line_never_touch() -> None:
    many = tuple(Stretch(str(i), i / 30, (i + 0.9) / 30) for i in range(1, 27))
    kept = shown(many, 0.02)
    assert kept[0].name == "1"
    assert len(kept) < len(many)
    for a, b in pairwise(kept):
        assert b.middle - a.middle >= 0.02 * (len(a.name) + len(b.name) + 2) / 2 - 1e-9


def test_every_hit_and_every_spot_with_a_point_is_drawn() -> None:
    variants, p = study(), RNG(1).random(4_000)
    p[17], p[2_500], p[9] = 1e-30, 3e-9, np.nan
    found = picture(p, variants)
    assert {17, 2_500} <= set(found.variants.tolist())
    assert 9 not in found.variants
    y = scans.heights(p)
    there = np.flatnonzero(np.isfinite(y))
    cells = {(int(found.line.at[v] * 1_000), int(y[v] / (found.top / 400))) for v in there.tolist()}
    drawn = {(int(x * 1_000), int(h / (found.top / 400))) for x, h in zip(found.x, found.y, strict=True)}
    assert drawn == cells
    assert [hit.variant for hit in found.hits[:2]] == [17, 2_500]
    assert found.top > 30


def test_a_large_study_is_thinned_to_what_was_asked_and_keeps_what_stands_alone() -> None:
    variants, p = study(40_000), RNG(2).random(40_000)
    p[123] = 1e-15
    found = picture(p, variants, most=2_000)
    assert len(found.x) <= 2_000
    assert 123 in found.variants


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_thinning_keeps_one_point_of_each_cell(values: list[float]) -> None:
    x, y = np.array(values), np.array(values[::-1])
    kept = scans.thinned(x, y, 0.1, 0.05)
    cells = [(int(np.floor(a / 0.1)), int(np.floor(b / 0.05))) for a, b in zip(x, y, strict=True)]
    assert sorted({cells[i] for i in kept}) == sorted(set(cells))
    assert len(kept) == len(set(cells))


def test_hits_within_half_a_megabase_are_one_locus() -> None:
    variants = variants_at(["1", "1", "1", "2", "1"], [1_000_000, 1_400_000, 2_000_000, 1_000_000, 1_501_000])
    line = line_of(variants)
    order = np.array([0, 1, 2, 3, 4])
    assert scans.loci(order, line, variants) == [1, 1, 2, 3, 2]
    nowhere = variants_at(["0"] * 2, [0, 0])
    assert scans.loci(np.array([1, 0]), line_of(nowhere), nowhere) == [1, 2]


def test_labels_name_one_variant_a_locus_and_keep_apart() -> None:
    variants, p = study(), np.full(4_000, 0.5)
    p[10], p[11], p[2_000], p[3_000] = 1e-20, 1e-19, 1e-12, 1e-3
    named = [hit.variant for hit in scans.labelled(picture(p, variants), 0.05)]
    assert named == [10, 2_000]


def test_the_line_of_bonferroni_is_drawn_where_it_differs() -> None:
    few = picture(RNG(3).random(400), study(400))
    assert [name for name, _ in few.lines] == ["5 × 10⁻⁸", "0.05 / 400"]
    assert few.lines[1][1] == pytest.approx(-np.log10(0.05 / 400))
    nothing = picture(np.full(400, np.nan), study(400))
    assert (len(nothing.x), nothing.hits, len(nothing.lines)) == (0, (), 1)


def test_inflation_is_one_by_chance_and_the_factor_of_a_variance() -> None:
    z = RNG(4).standard_normal(400_000)
    for factor in (1.0, 1.1, 2.5):
        p = 2 * stats.norm.sf(np.abs(z) * np.sqrt(factor))
        assert scans.inflation(p) == pytest.approx(factor, rel=0.01)
    assert scans.inflation(np.array([np.nan])) is None
    chi2 = stats.chi2.rvs(1, size=1_001, random_state=RNG(5))
    expected = np.median(chi2) / stats.chi2.median(1)
    assert scans.inflation(stats.chi2.sf(chi2, 1)) == pytest.approx(expected)


def test_the_band_of_a_qq_plot_holds_95_percent_of_chance_point_by_point() -> None:
    tested, found = 500, []
    for seed in range(400):
        p = np.sort(RNG(seed).random(tested))
        q = scans.quantiles(p, steps=10_000)
        rank = np.rint(tested * 10 ** -q.band[0] + 0.5).astype(int)
        observed = -np.log10(p[rank - 1])
        found.append((observed >= q.band[1]) & (observed <= q.band[2]))
    share = np.mean(found, axis=0)
    assert np.abs(share - 0.95).max() < 4.5 * np.sqrt(0.95 * 0.05 / 400)


def test_quantiles_are_set_against_those_of_uniform_numbers() -> None:
    q = scans.quantiles(np.array([0.125, np.nan, 0.375, 0.625, 0.875]), steps=1_000)
    assert q.tested == 4
    assert np.allclose(q.expected, q.observed)
    assert np.allclose(q.expected, -np.log10([0.125, 0.375, 0.625, 0.875]))
    empty = scans.quantiles(np.array([np.nan]), steps=100)
    assert (empty.tested, len(empty.expected), empty.inflation) == (0, 0, None)


def test_of_hits_alike_the_earlier_comes_first() -> None:
    p = np.full(400, 0.5)
    p[[7, 30, 200]] = 1e-9
    assert [hit.variant for hit in picture(p, study(400)).hits[:4]] == [7, 30, 200, 0]


def test_a_p_that_is_zero_as_a_double_is_drawn_at_the_top() -> None:
    found = picture(np.array([0.0, 0.5, 1.0, 0.2] * 100), study(400))
    assert found.y.max() == pytest.approx(-np.log10(5e-324))
    assert np.isfinite(found.y).all()
    assert found.y.min() == 0.0


@settings(deadline=None)
@given(st.floats(0.5, 400), st.integers(2, 12))
def test_ticks_are_few_and_reach_the_top(top: float, most: int) -> None:
    marks = list(scans.ticks(top, most))
    assert marks[0] == 0
    assert len(marks) <= most + 1
    assert marks[-1] <= top
