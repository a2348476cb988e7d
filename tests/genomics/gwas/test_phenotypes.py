"""Traits and covariates are read as PLINK reads them, and matched with people by name."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate.errors import BadInput
from noisegate.genomics.gwas import rows
from noisegate.genomics.gwas.phenotypes import (
    Covariates,
    Phenotype,
    Roll,
    read_covariates,
    read_phenotype,
)
from noisegate.genotypes import plink

from ..stores import stores

NAN = float("nan")
PEOPLE = ("ann", "bob", "cat", "dan")


def written(folder: Path, text: str, name: str = "pheno.txt") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def values(trait: Phenotype) -> list[float | None]:
    return [None if np.isnan(v) else float(v) for v in trait.values]


@pytest.mark.parametrize(
    "text",
    [
        "F1 ann 2\nF1 bob 1\nF2 cat -9\nF2 eve 2\n",
        "FID IID sick\nF1 ann 2\nF1 bob 1\nF2 cat NA\nF2 eve 2\n",
        "#FID\tIID\tsick\nF1\tann\t2\nF1\tbob\t1\nF2\tcat\t\nF2\teve\t2\n",
        "#IID sick\nann 2\nbob 1\ncat NA\neve 2\n",
        "IID,sick\nann,2\nbob,1\ncat,\neve,2",
        "person,sick\r\nann,1\r\nbob,0\r\ncat,nan\r\neve,0\r\n",
        "\ufeffann 1\nbob 0\n\ncat .\neve 1\n",
        "ann\t2\nbob\t1\ncat\tNA\neve\t1\n",
        '"FID" "IID" "sick"\n"F1" "ann" "2"\n"F1" "bob" "1"\n"F2" "cat" "NA"\n"F2" "eve" "2"\n',
        '\ufeff"FID","IID","sick"\r\n"F1","ann","2"\r\n"F1","bob","1"\r\n"F2","cat",""\r\n"F2","eve","2"\r\n',
        '"#IID"\t"sick"\n"ann"\t2\n"bob"\t1\n"cat"\t""\n"eve"\t2\n',
        '"IID" "sick at last"\nann 2\n"bob" 1\ncat ""\neve "1"',
        "family person sick\nF1 ann 2\nF1 bob 1\nF2 cat NA\nF2 eve 2\n",
        "FID IID sick\rF1 ann 2\rF1 bob 1\rF2 cat NA\rF2 eve 2\r",
        "\ufeffIID,sick\rann,2\rbob,1\rcat,\reve,2",
        "IID\tsick\r\r\nann\t1\r\r\nbob\t0\r\r\ncat\t.\r\r\neve\t1\r\r\n",
    ],
)
def test_files_of_every_look_say_the_same(text: str, tmp_path: Path) -> None:
    trait, roll = read_phenotype(written(tmp_path, text), PEOPLE)
    assert trait.binary
    assert values(trait) == [1.0, 0.0, None, None]
    assert trait.labels.tolist() == [1, 0, -1, -1]
    assert trait.part.tolist() == [True, True, False, False]
    assert roll == Roll(listed=4, known=3, valued=2)


def test_people_are_known_by_family_and_name_where_only_that_fits(tmp_path: Path) -> None:
    text = "F1 a 1.5\nF2 a 2.5\n"
    trait, _ = read_phenotype(written(tmp_path, text), ("F2_a", "F1_a"))
    assert values(trait) == [2.5, 1.5]
    with pytest.raises(BadInput, match="line 2: a person is there twice"):
        read_phenotype(written(tmp_path, text), ("a", "b"))


def test_without_headings_the_names_are_where_the_genotypes_know_them(tmp_path: Path) -> None:
    file = written(tmp_path, "ann 1 7\nbob 2 8\n")
    held, _ = read_covariates(file, PEOPLE)
    assert held.names == ("column 2", "column 3")
    assert held.values[:2].tolist() == [[1, 7], [2, 8]]


@pytest.mark.parametrize(
    ("numbers", "coding", "expected"),
    [
        ("1 2 0 -9", "1/2", [0.0, 1.0, None, None]),
        ("1 0 1 -9", "0/1", [1.0, 0.0, 1.0, None]),
        ("0 1 2 0", "number", [0.0, 1.0, 2.0, 0.0]),
        ("1 0 1 1", None, [1.0, 0.0, 1.0, 1.0]),
        ("1 2 1 0.5", None, [1.0, 2.0, 1.0, 0.5]),
        ("1e1 -9.0 +3 .5", None, [10.0, None, 3.0, 0.5]),
    ],
)
def test_numbers_are_coded_as_they_say(
    numbers: str, coding: str | None, expected: list[float | None], tmp_path: Path
) -> None:
    lines = "".join(f"{who} {number}\n" for who, number in zip(PEOPLE, numbers.split(), strict=True))
    trait, _ = read_phenotype(written(tmp_path, lines), PEOPLE, coding=coding)
    assert values(trait) == expected


def test_words_make_cases_where_they_are_said_to(tmp_path: Path) -> None:
    file = written(tmp_path, "sample,where\nann,EUR\nbob,AFR\ncat,SAS\ndan,NA\n", "where.csv")
    trait, _ = read_phenotype(file, PEOPLE, column="where", cases=["EUR", "SAS"])
    assert values(trait) == [1.0, 0.0, 1.0, None]
    with pytest.raises(BadInput, match="nobody has the words"):
        read_phenotype(file, PEOPLE, cases=["EAS"])
    with pytest.raises(BadInput, match="line 2: where is no number") as told:
        read_phenotype(file, PEOPLE)
    assert "EUR" not in told.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("ann\nbob\n", "no values"),
        ("IID sick\nann 1\nbob 2 3\n", "line 3: 3 fields"),
        ("ann 1\nbob 2\nann 1\n", "line 3: a person is there twice"),
        ("eve 1\nfay 2\n", "nobody of it is in the genotypes"),
        ("ann 1\nbob 1\n", "everybody is a case"),
        ("ann 0\nbob 0\n", "everybody is a control"),
        ("ann 3\nbob 3\n", "everybody has the same value"),
        ("ann NA\nbob -9\n", "nobody has a value"),
        ("ann 0\nbob 1\ncat 2\n", "two ways"),
        ("ann 1e999\nbob 1\n", "line 1: column 2 is no number"),
        ("ann 1_0\nbob 1\n", "line 1: column 2 is no number"),
        ("ann \uff12\nbob 1\n", "line 1: column 2 is no number"),
        ("IID;sick\nann;1\nbob;2\n", "no values"),
        ('"ann" 1\n"bob" 2\n"ann" 1\n', "line 3: a person is there twice"),
        ("IID sick\rann 1\rbob 2 3\r", "line 3: 3 fields"),
        ("IID a b\nann 1 2\nbob 2 2\n", "2 columns of values, a, b"),
        ("IID a a\nann 1 2\nbob 2 2\n", "two columns have one heading"),
    ],
)
def test_what_cannot_be_a_trait_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said):
        read_phenotype(written(tmp_path, text), PEOPLE)


def test_a_column_is_asked_for_by_its_heading(tmp_path: Path) -> None:
    file = written(tmp_path, "FID IID a b\nF ann 1 5\nF bob 2 6\n")
    assert values(read_phenotype(file, PEOPLE, column="b")[0])[:2] == [5.0, 6.0]
    with pytest.raises(BadInput, match="no column c") as told:
        read_phenotype(file, PEOPLE, column="c")
    assert told.value.hint == "it has a, b"
    held, roll = read_covariates(file, PEOPLE, columns=["b", "a"])
    assert (held.names, roll.valued) == (("b", "a"), 2)
    assert held.values[:2].tolist() == [[5, 1], [6, 2]]
    with pytest.raises(BadInput, match="named twice"):
        read_covariates(file, PEOPLE, columns=["a", "a"])
    with pytest.raises(BadInput, match="there is no column a"):
        read_phenotype(written(tmp_path, "ann 1\nbob 2\n", "bare.txt"), PEOPLE, column="a")


def test_a_coding_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path, "ann 1\nbob 2\ncat 3\n")
    for coding in ("1/2", "0/1"):
        with pytest.raises(BadInput, match=f"other values than {coding}"):
            read_phenotype(file, PEOPLE, coding=coding)


def test_hostile_files_are_refused_in_words(tmp_path: Path) -> None:
    for content in (
        b"\xff\xfe\x00",
        b"ann 1\nbob \x00\n",
        b"\x1f\x8bnot gzip",
        b"ann 1\nbob " + b"9" * 70_000,
        b'ann,1\nbob,"' + b"9" * 200_000,
    ):
        file = tmp_path / "hostile.txt"
        file.write_bytes(content)
        with pytest.raises(BadInput):
            read_phenotype(file, PEOPLE)
    with pytest.raises(BadInput, match="cannot be read"):
        read_phenotype(tmp_path / "absent.txt", PEOPLE)
    for content in ("ann 1\nbob 2\n".encode("utf-16"), b"ann 1\nbob\0 2\n"):
        file.write_bytes(content)
        with pytest.raises(BadInput, match="is not text in UTF-8"):
            read_phenotype(file, PEOPLE)


def test_a_file_may_be_compressed_and_its_text_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pheno.gz"
    file.write_bytes(gzip.compress(b"ann 1\nbob 2\n"))
    assert values(read_phenotype(file, PEOPLE)[0])[:2] == [0.0, 1.0]
    monkeypatch.setattr(rows, "MOST_BYTES", 2**20)
    file.write_bytes(gzip.compress(b"ann 1\n" * 2**20))
    with pytest.raises(BadInput, match="larger than 1 MiB"):
        read_phenotype(file, PEOPLE)


def test_covariates_join_and_a_missing_one_takes_no_part() -> None:
    a = Covariates(("age",), np.array([[1.0], [NAN], [3.0]]))
    b = Covariates(("pc1", "pc2"), np.arange(6.0).reshape(3, 2))
    both = a.and_(b)
    assert both.names == ("age", "pc1", "pc2")
    assert both.part.tolist() == [True, False, True]
    assert Covariates.none(3).and_(b).names == ("pc1", "pc2")
    assert Covariates.none(3).part.all()
    with pytest.raises(BadInput, match="one name"):
        a.and_(a)


def test_a_trait_of_those_kept_is_checked_again() -> None:
    trait = Phenotype("sick", np.array([1.0, 0.0, 1.0, NAN]), binary=True)
    assert values(trait.among(np.array([True, True, False, True]))) == [1.0, 0.0, None, None]
    with pytest.raises(BadInput, match="everybody is a case"):
        trait.among(np.array([True, False, True, True]))
    with pytest.raises(ValueError, match="read-only"):
        trait.values[0] = 2.0
    with pytest.raises(ValueError, match="1 for a case"):
        Phenotype("odd", np.array([1.0, 3.0]), binary=True)
    with pytest.raises(ValueError, match="no cases and controls"):
        _ = Phenotype("height", np.array([1.0, 3.0]), binary=False).labels


@given(st.lists(st.sampled_from([NAN, -3.5, 0.25, 7.0, 1e-3]), min_size=3, max_size=9))
def test_what_is_written_is_read(numbers: list[float]) -> None:
    there = {n for n in numbers if n == n}
    if len(there) < 2:
        return
    import tempfile

    people = tuple(f"p{i}" for i in range(len(numbers)))
    with tempfile.TemporaryDirectory() as folder:
        text = "".join(
            f"f {who} {'NA' if n != n else repr(n)}\n" for who, n in zip(people, numbers, strict=True)
        )
        trait, _ = read_phenotype(written(Path(folder), text), people[::-1])
    assert np.array_equal(trait.values[::-1], np.array(numbers), equal_nan=True)


@pytest.mark.parametrize("kind", ["1/2", "0/1", "quantitative", "missing"])
def test_plink2_counts_the_same_people(kind: str, tmp_path: Path) -> None:
    draws = np.random.default_rng(5)
    store = stores.store_of(tmp_path / "s.zarr", draws.integers(0, 3, (5, 40)).astype(np.int8))
    plink.write(store, tmp_path / "s")
    words = {
        "1/2": ["1", "2"],
        "0/1": ["0", "1"],
        "quantitative": ["0.5", "2", "7"],
        "missing": ["0", "1", "2", "-9", "NA", "nan"],
    }[kind]
    chosen = draws.choice(words, 40)
    file = written(tmp_path, "".join(f"p{i} p{i} {word}\n" for i, word in enumerate(chosen)))
    extra = ["--1"] if kind == "0/1" else []
    said = stores.run(
        "plink2",
        "--bfile",
        tmp_path / "s",
        "--pheno",
        file,
        *extra,
        "--write-samples",
        "--out",
        tmp_path / "o",
    )
    trait, _ = read_phenotype(file, store.samples, coding="1/2" if kind == "missing" else None)
    if trait.binary:
        cases, controls = int((trait.labels == 1).sum()), int((trait.labels == 0).sum())
        assert f"1 binary phenotype loaded ({cases} cases, {controls} controls)" in said
    else:
        assert f"1 quantitative phenotype loaded ({int(trait.part.sum())} values)" in said
