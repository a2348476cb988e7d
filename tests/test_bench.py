"""The benchmarks still run, on tables of a few thousand rows: what they say of speed is not looked at."""

import json
import math
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # the benchmarks are no part of the package

from bench import ask, book_rows, books, charge_rows, data, gateway_rows, questions, rows  # noqa: E402
from bench.charging import Clients, open_accounts  # noqa: E402
from bench.plain_ledger import Plain  # noqa: E402

from noisegate.ledger.store import Ledger  # noqa: E402

SMALL = ask.Scale(engine=1, peers=0, questions=2, http_seconds=0.1, http_rounds=1, groups=1)


@pytest.fixture(autouse=True)
def tables_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setenv("NOISEGATE_BENCH_DATA", str(tmp_path / "data"))


def test_every_engine_row_compares_with_plain_duckdb(tmp_path):
    found = ask.engine(tmp_path, SMALL, 1, quick=True, million=3_000)
    assert len(found) == 12
    for row in found:
        assert row.ours is not None
        assert row.peer is not None
        assert row.ratio is not None
        assert math.isclose(row.ratio, row.ours / row.peer)
        assert row.met in (True, False)


def test_a_fresh_question_and_a_replay_are_told_apart(tmp_path):
    found = gateway_rows.in_process(tmp_path, 1, 1)
    assert [row.unit for row in found] == ["ms", "ms", "ms"]


def test_groups_with_private_keys_are_shown(tmp_path):
    row = gateway_rows.many_groups(tmp_path, 1, 1, groups=20, each=200)
    assert row.detail["groups_shown"] == 20


def test_the_bounded_truth_is_that_of_a_slow_twin():
    path = data.encounters(3_000)
    by_person = {}
    for person, sex, site, bmi in _rows_of(path):
        by_person.setdefault(person, []).append((sex, site, bmi))
    counted = sum(min(len(kept), questions.ROWS) for kept in by_person.values())
    total, weights = {"F": 0.0, "M": 0.0}, {"F": 0.0, "M": 0.0}
    chances: dict[str, float] = {}
    for kept in by_person.values():
        sites = {site for _, site, _ in kept}
        for site in sites:
            chances[str(site)] = chances.get(str(site), 0.0) + min(1.0, questions.GROUPS / len(sites))
        for sex, _, bmi in kept:
            weight = min(len(kept), questions.ROWS) / len(kept)
            total[sex] += weight * bmi
            weights[sex] += weight
    truth = questions.bounded(path)
    assert max(map(len, by_person.values())) > questions.ROWS
    assert math.isclose(truth["count"][""], counted)
    assert truth["people"] == pytest.approx(chances)
    assert truth["mean"] == pytest.approx({sex: total[sex] / weights[sex] for sex in total})


def test_the_error_of_a_missing_group_is_all_of_it():
    assert questions.error({"a": 11.0}, {"a": 10.0, "b": 4.0}) == pytest.approx((0.1 + 1.0) / 2)


def test_a_table_is_kept_between_its_markers(tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_text("above\n<!-- ask: begin -->\nold\n<!-- ask: end -->\nbelow\n", encoding="utf-8")
    monkeypatch.setattr(rows, "README", readme)
    kept = [rows.at_most("a row", [3.0, 1.0, 2.0], 1.5, "ms"), rows.missing("another", "ms", "≥ 2 ×", "why")]
    rows.write("ask", kept, "duckdb 2.0")
    text = readme.read_text(encoding="utf-8")
    assert "old" not in text
    assert "| a row | 2 | – | ms | – | ≤ 1.5 ms | **no** |" in text
    assert text.startswith("above\n")
    assert text.endswith("below\n")
    assert [row["met"] for row in json.loads(rows.as_json(kept))] == [False, None]


def test_the_plain_ledger_leaves_books_that_pass_the_ledgers_own_check(tmp_path):
    with Ledger.open(tmp_path) as ledger:
        open_accounts(ledger, ["ana0", "ana1"])
    found = Clients("ana", Plain(tmp_path).connect).run(clients=2, seconds=0.2)
    with Ledger.open(tmp_path) as ledger:
        report = ledger.verify()
        assert report.fault is None
        assert report.charges >= found["charges"] > 0
        tallied = sum(tally.charges for tally in ledger.tallies())
        spent = {balance.id: balance.charges for balance in ledger.accounts()}
        assert any(any(tally.surcharge.renyi) for tally in ledger.tallies())
    assert tallied == spent["people"] == spent["people/liver/default"] == report.charges


BRIEF = charge_rows.Load(rounds=1, seconds=0.1, few=2, many=3, warm=0)


def test_both_sides_of_a_charge_are_measured_in_turn_on_sqlite(tmp_path):
    found = charge_rows.sqlite(tmp_path, BRIEF)
    assert [row.unit for row in found][:5] == ["/s", "/s", "ms", "µs", "/s"]
    assert all(row.ours for row in found)
    assert all("flush" in row.row and row.met is None for row in found[5:])


@pytest.mark.slow
def test_both_sides_of_a_charge_are_measured_in_turn_on_postgresql(tmp_path):
    pytest.importorskip("psycopg")
    versions = {}
    found = charge_rows.postgres(tmp_path, BRIEF, versions)
    if "postgresql" not in versions:
        pytest.skip(found[0].note)
    assert [row.unit for row in found] == ["/s", "/s", "ms", "µs", "/s", "/s", "/s"]
    assert all(row.ours for row in found)


def test_large_books_are_verified_read_and_opened_again(tmp_path):
    size = books.Size(charges=60, days=3, analysts=4)
    scale = book_rows.Scale(read=size, verified=size, rounds=1)
    (tmp_path / "verified").mkdir()
    verified = book_rows.verification(tmp_path / "verified", scale)
    assert [row.unit for row in verified] == ["receipts/s"] * 3
    read = book_rows.reading(tmp_path, scale)
    assert sum("odometer" in row.row for row in read) == 5
    assert all(row.ours for row in read)


def test_charges_fall_on_every_day_tier_and_analyst_of_large_books(tmp_path):
    with books.filled(tmp_path, books.Size(charges=120, days=5, analysts=4)) as (ledger, _):
        tallies = ledger.tallies()
    assert sum(tally.charges for tally in tallies) == 120
    assert len({tally.day for tally in tallies}) in (5, 6)
    assert {tally.tier for tally in tallies} == set(books.TIERS)
    assert len({tally.account for tally in tallies}) == 4


def _rows_of(path):
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["patient_id", "sex", "site", "bmi"]).to_pydict()
    return zip(*table.values(), strict=True)
