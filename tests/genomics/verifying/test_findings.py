import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate.errors import BadInput, TooLarge
from noisegate.genomics.verifying import findings as module
from noisegate.genomics.verifying.findings import findings_of, read_findings, rows_of

TABLES = {
    "comma.csv": "variant,p,odds_ratio\nrs1,0.031,1.4\nrs2,5e-8,0.7\nrs3,NA,1\n",
    "tab.tsv": "SNP\tP\tOR\nrs1\t0.031\t1.4\nrs2\t5e-8\t0.7\nrs3\t.\t1\n",
    "plink.assoc": " CHR  SNP  BP  A1  F_A  F_U  A2  CHISQ  P  OR\n"
    "   1  rs1   5   G  0.1  0.2   A   4.66  0.031  1.4\n"
    "   1  rs2   6   G  0.1  0.2   A   29.7  5e-8  0.7\n"
    "   1  rs3   7   G  0.1  0.2   A   NA   NA   1\n",
    "plink2.glm.linear": "#CHROM\tPOS\tID\tA1\tTEST\tOBS_CT\tOR\tP\n"
    "1\t5\trs1\tG\tADD\t90\t1.4\t0.031\n1\t5\trs1\tG\tage\t90\t2\t1e-30\n"
    "1\t6\trs2\tG\tADD\t90\t0.7\t5e-8\n1\t7\trs3\tG\tADD\t90\t1\tNA\n",
    "plink.model": " CHR  SNP  A1  A2  TEST  AFF  UNAFF  CHISQ  DF  P  OR\n"
    " 1 rs1 G A GENO 1/2/3 3/4/5 1 2 0.5 1\n 1 rs1 G A TREND 4/8 8/8 4.6 1 0.031 1.4\n"
    " 1 rs2 G A TREND 4/8 8/8 29.7 1 5e-8 0.7\n 1 rs3 G A TREND 4/8 8/8 NA NA NA 1\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_many_programs_are_read_alike(tmp_path, name):
    file = tmp_path / name
    file.write_text(TABLES[name])
    found = read_findings(file)
    assert found.variants == ("rs1", "rs2")
    assert found.p.tolist() == [0.031, 5e-8]
    assert found.low.tolist() == pytest.approx([0.0305, 4.5e-8])
    assert found.high.tolist() == pytest.approx([0.0315, 5.5e-8])
    assert found.direction.tolist() == [1, -1]
    assert found.skipped == 1
    again = findings_of(rows_of(file))
    assert (again.variants, again.skipped, again.allele) == (found.variants, 1, found.allele)
    assert again.low.tolist() == found.low.tolist()


def test_parquet_is_read_with_all_digits(tmp_path):
    file = tmp_path / "found.parquet"
    pq.write_table(
        pa.table({"ID": ["a", "b", "c"], "P": [0.012345678901234567, 0.031, None], "junk": [1, 2, 3]}), file
    )
    found = read_findings(file)
    assert found.variants == ("a", "b")
    assert found.high[0] / found.low[0] == pytest.approx(1 + 2e-7, rel=1e-9)
    assert (found.low[1], found.high[1]) == pytest.approx((0.0305, 0.0315))
    assert found.direction.tolist() == [0, 0]
    assert findings_of(rows_of(file)).p.tolist() == found.p.tolist()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("variant,p\n", "no findings"),
        ("variant,q\nrs1,0.1\n", "p-value"),
        ("name,p\nrs1,0.1\n", "a variant"),
        ("variant,p\nrs1,1.5\n", "no p-value"),
        ("variant,p\nrs1,-0.1\n", "no p-value"),
        ("variant,p\nrs1,0x1\n", "no p-value"),
        ("variant,p\nrs1,1_0e-3\n", "no p-value"),
        ("variant,p\nrs1,inf\n", "no p-value"),
        ("variant,p\nrs1,\u0661e-3\n", "no p-value"),
        ("variant,p\nrs1,0.1\nrs1,0.2\n", "twice"),
        ("variant,p\nrs 1,0.1\n", "no name"),
        ("variant,p\nrs\u202e1,0.1\n", "no name"),
        (f"variant,p\n{'r' * 201},0.1\n", "no name"),
        ("variant,p\nrs1,0.1,7\n", "fields"),
        ("variant,p\nrs1\n", "fields"),
        ("variant,p,p\nrs1,0.1,0.1\n", "headings"),
        ("variant,p,or\nrs1,0.1,high\n", "direction"),
        ('variant,p\n"rs1,0.1\n', "table"),
        ("\x00\x00", "findings"),
        (",".join(f"c{i}" for i in range(300)) + "\n", "headings"),
        ("variant,p\nrs1,0." + "1" * 70_000 + "\n", "longer"),
    ],
)
def test_what_is_no_table_of_findings_is_refused(tmp_path, content, said):
    file = tmp_path / "found.csv"
    file.write_text(content)
    with pytest.raises(BadInput, match=said):
        read_findings(file)


def test_bytes_that_are_no_text_and_no_parquet_are_refused(tmp_path):
    for name in ("found.csv", "found.parquet"):
        (tmp_path / name).write_bytes(b"\xff\xfePAR1\x00" * 9)
        with pytest.raises(BadInput):
            read_findings(tmp_path / name)
    with pytest.raises(BadInput):
        read_findings(tmp_path)
    with pytest.raises(BadInput):
        read_findings(tmp_path / "nothing.csv")


def test_more_than_any_table_of_findings_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_FINDINGS", 3)
    file = tmp_path / "found.csv"
    file.write_text("variant,p\n" + "".join(f"rs{i},0.01\n" for i in range(4)))
    with pytest.raises(TooLarge):
        read_findings(file)
    with pytest.raises(TooLarge):
        findings_of([{"variant": f"rs{i}", "p": 0.01} for i in range(4)])
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    with pytest.raises(TooLarge):
        read_findings(file)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["variant", "p", "or"]), st.text() | st.floats() | st.none()),
        max_size=3,
    )
)
def test_rows_of_anything_give_findings_or_are_refused(rows):
    try:
        found = findings_of(rows)
    except BadInput:
        return
    assert ((found.low <= found.p) & (found.p <= found.high)).all()


@given(st.floats(1e-290, 0.9), st.integers(1, 6))
def test_the_range_of_a_printed_p_value_holds_what_was_rounded(p, digits):
    found = findings_of([{"variant": "v", "p": f"{p:.{digits - 1}e}"}])
    assert found.low[0] * (1 - 1e-9) <= p <= found.high[0] * (1 + 1e-9)


def test_a_plain_zero_is_what_a_program_writes_below_the_smallest_number():
    found = findings_of([{"variant": "a", "p": "0"}, {"variant": "b", "p": "0.000"}])
    assert found.high.tolist() == [1e-300, 0.0005]


def test_directions_are_read_as_they_are_said():
    rows = [
        {"variant": "a", "p": 0.01, "direction": "+"},
        {"variant": "b", "p": 0.01, "direction": -1},
        {"variant": "c", "p": 0.01, "beta": "-0.3"},
        {"variant": "d", "p": 0.01, "OR": 0.5, "a1": "T"},
        {"variant": "e", "p": 0.01, "or": "NA"},
    ]
    found = findings_of(rows)
    assert found.direction.tolist() == [1, -1, -1, -1, 0]
    assert found.allele[3] == "T"
