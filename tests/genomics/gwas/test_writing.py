"""Numbers and words as lines of text, against Python's own formatting."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from noisegate.genomics.gwas.columns import Coded, value
from noisegate.genomics.gwas.writing import as_arrow, heading, lines
from noisegate.genotypes.flat import Flat
from noisegate.genotypes.variants import Variants

from ..stores import stores


def written(numbers: np.ndarray) -> list[str]:
    few = 1_000
    variants = Flat.of(stores.variants_of(few))
    found = []
    for start in range(0, len(numbers), few):
        some = numbers[start : start + few]
        text = lines(variants[: len(some)], {"x": some}).tobytes().decode()
        found += [line.split("\t")[5] for line in text.splitlines()]
    return found


def test_numbers_are_written_as_c_writes_them() -> None:
    draws = np.random.default_rng(1)
    numbers = np.concatenate(
        [
            draws.random(20_000),
            10.0 ** draws.uniform(-307, 307, 60_000),
            -(10.0 ** draws.uniform(-7, 8, 20_000)),
            draws.integers(0, 10**7, 20_000).astype(float),
            10.0 ** np.arange(-320, 309),
            [5e-324, 2.3e-308, 1.7e308, 999999.5, 999999.49, 100000.5, 0.0001, 0.000099999949, 9.9999996],
        ]
    )
    assert written(numbers) == [f"{x:.6g}" for x in numbers.tolist()]


@given(st.floats(allow_nan=False))
@example(0.0)
@example(-math.inf)
@example(99999.95)
def test_a_number_that_is_read_again_is_what_it_was_to_six_digits(x: float) -> None:
    (word,) = written(np.array([x]))
    assert float(word) == pytest.approx(x, rel=5.0001e-6, abs=0)


def test_what_is_not_defined_is_na() -> None:
    assert written(np.array([np.nan, np.inf, -np.inf, 0.0])) == ["NA", "inf", "-inf", "0"]


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20))
def test_whole_numbers_have_all_their_digits(numbers: list[int]) -> None:
    assert written(np.array(numbers)) == [str(number) for number in numbers]


def test_a_line_names_the_variant_and_then_says_what_was_found() -> None:
    variants = Variants.of(["7", "chrÄ"], [0, 2_000_000_000], ["", "rsß"], ["A", "ACGT"], ["G", "."])
    columns = {
        "p": np.array([0.5, np.nan]),
        "n": np.array([3, -4]),
        "note": Coded(np.array([1, 0], np.int8), ("", "no")),
    }
    text = heading(columns) + lines(Flat.of(variants), columns).tobytes()
    assert text.decode() == (
        "chrom\tpos\tid\tref\talt\tp\tn\tnote\n7\t0\t.\tA\tG\t0.5\t3\tno\nchrÄ\t2000000000\trsß\tACGT\t.\tNA\t-4\t.\n"
    )
    table = as_arrow(
        variants, np.array([1]), {"p": np.array([np.nan]), "note": Coded(np.zeros(1, np.int8), ("no",))}
    )
    assert table.to_pylist() == [
        {
            "chrom": "chrÄ",
            "pos": 2_000_000_000,
            "id": "rsß",
            "ref": "ACGT",
            "alt": ".",
            "p": None,
            "note": "no",
        }
    ]


def test_no_rows_are_no_text() -> None:
    assert len(lines(Flat.of(stores.variants_of(3))[:0], {"x": np.empty(0)})) == 0


@pytest.mark.parametrize(
    ("codes", "words"),
    [(np.zeros(1, np.int64), ("a",)), (np.array([1], np.int8), ("a",)), (np.zeros(1, np.int8), ())],
)
def test_a_code_has_a_word(codes: np.ndarray, words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"code|words"):
        Coded(codes, words)


def test_a_value_is_what_json_has() -> None:
    numbers = np.array([0.5, np.nan, np.inf])
    assert [value(numbers, row) for row in range(3)] == [0.5, None, None]
    assert value(np.array([7]), 0) == 7
    assert value(Coded(np.array([1], np.int8), ("a", "b")), 0) == "b"
