"""Labels are of whom a name names, and of nobody else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.errors import InternalError
from noisegate.genomics.labels import labels
from noisegate.privacy.members import Members

NAMES = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.integers(-3, 12).map(str),
    st.sampled_from(["007", "-0", "+7", " 7", "7 ", "7.0", "", "-", "１２", "²", "a", "A", "é", "e\u0301"]),
    st.text(max_size=3),
)
ROSTERS = st.lists(NAMES, max_size=12, unique=True)
NUMBERS = st.one_of(st.integers(-3, 12), st.integers(-(2**63), 2**63 - 1))


def people(units):
    kind = np.int64 if all(isinstance(unit, int) for unit in units) else np.object_
    return Members("town", np.array(units, dtype=kind))


def texts(units):
    return Members("town", np.array(units, dtype=np.object_))


def plainly(roster, cases, among):
    """The slow twin: units as they are written in decimal, or as they are."""
    found = []
    for name in roster:
        if among is not None and name not in {str(unit) for unit in among}:
            found.append(-1)
        else:
            found.append(int(name in {str(unit) for unit in cases}))
    return found


@settings(deadline=None)
@given(ROSTERS, st.lists(NUMBERS, max_size=8), st.none() | st.lists(NUMBERS, max_size=8))
def test_whole_numbers_are_matched_by_their_decimal_text(roster, cases, among):
    found = labels(roster, people(cases), None if among is None else people(among), population="town")
    assert found.dtype == np.int8
    assert found.tolist() == plainly(roster, cases, among)


@settings(deadline=None)
@given(ROSTERS, st.lists(NAMES, max_size=8), st.none() | st.lists(NAMES, max_size=8))
def test_texts_are_matched_as_they_are(roster, cases, among):
    found = labels(roster, texts(cases), None if among is None else texts(among), population="town")
    assert found.tolist() == plainly(roster, cases, among)


@settings(deadline=None)
@given(st.data())
def test_a_label_depends_on_its_own_unit_alone(data):
    """Whoever else comes or goes, in either relation, the others' labels stay."""
    roster = data.draw(st.lists(NAMES, min_size=1, max_size=8, unique=True))
    units = st.sets(st.sampled_from(roster))
    cases, among, moved = data.draw(units), data.draw(units), data.draw(st.sampled_from(roster))
    before = labels(roster, texts(sorted(cases)), texts(sorted(among)), population="town")
    after = labels(roster, texts(sorted(cases ^ {moved})), texts(sorted(among ^ {moved})), population="town")
    assert [name for name, a, b in zip(roster, before, after, strict=True) if a != b] in ([], [moved])


def test_two_numbers_never_share_a_name():
    roster = ["7", "07", "7.0", "+7", "-7", "٧"]
    assert labels(roster, people([7]), population="town").tolist() == [1, 0, 0, 0, 0, 0]
    ends = [str(2**63 - 1), str(2**63), str(-(2**63)), str(-(2**63) - 1)]
    assert labels(ends, people([2**63 - 1, -(2**63)]), population="town").tolist() == [1, 0, 1, 0]


def test_a_case_who_is_not_among_those_who_take_part_takes_no_part():
    found = labels(["a", "b", "c", "d"], texts(["a", "b"]), texts(["b", "c"]), population="town")
    assert found.tolist() == [-1, 1, 0, -1]


def test_who_is_in_no_table_is_a_control_where_everybody_takes_part():
    assert labels(["a", "b"], texts(["b", "elsewhere"]), population="town").tolist() == [0, 1]


@pytest.mark.parametrize("strange", ["cases", "among"])
def test_members_of_another_population_are_refused_in_constant_words(strange):
    given_members = {"cases": texts(["a"]), "among": texts(["a"])}
    given_members[strange] = Members("elsewhere", np.array(["4711-secret"], dtype=np.object_))
    with pytest.raises(InternalError, match="another population") as refused:
        labels(["a"], **given_members, population="town")
    assert "4711" not in str(refused.value)


def test_two_people_of_one_name_are_refused_as_one_would_get_the_labels_of_both():
    with pytest.raises(InternalError, match="one name"):
        labels(["a", "b", "a"], texts(["a"]), population="town")
