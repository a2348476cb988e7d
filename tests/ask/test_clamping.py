"""What bounding may take away is said in words, and nothing else is."""

import pytest

from noisegate import sql
from noisegate.ask.clamping import clamping_of

CLAMPED = "values below 0 count as 0, above 365 as 365"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT count(*) FROM ward.people", []),
        ("SELECT sex, count(*) FROM ward.people GROUP BY sex", []),
        ("SELECT count(DISTINCT person) FROM ward.visits", []),
        ("SELECT count(*) FROM ward.visits", ["a person counts with at most 4 rows a group"]),
        ("SELECT sum(age) FROM ward.people", ["values below 0 count as 0, above 100 as 100"]),
        (
            "SELECT age, count(*) FROM ward.people GROUP BY age",
            ["rows whose group is not among the declared values are in no group"],
        ),
        (
            "SELECT sum(day) FROM ward.visits",
            [CLAMPED + "; a person's total is clamped to what 4 rows can add"],
        ),
        (
            "SELECT site, count(DISTINCT person) FROM ward.visits GROUP BY site",
            ["a person counts in at most 4 groups; of more, some are chosen at random for that person"],
        ),
    ],
)
def test_each_way_of_clamping_is_named_once(desk, text, said):
    assert list(clamping_of(sql.read(text, desk.catalog))) == said


def test_a_mean_of_many_rows_says_how_frequent_visitors_count(desk):
    found = clamping_of(sql.read("SELECT avg(day) FROM ward.visits", desk.catalog))
    assert any("a person with more weighs as 4 rows a group" in sentence for sentence in found)


def test_a_quantile_names_its_candidates(desk):
    [sentence] = clamping_of(sql.read("SELECT median(age) FROM ward.people", desk.catalog))
    assert sentence == "the quantile is one of the values 0, 1, … up to 100"
