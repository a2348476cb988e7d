"""Who is a member shows nowhere."""

import copy
import json
import pathlib
import pickle
import re

import numpy as np
import pytest

import noisegate
from noisegate.errors import EngineFailed
from noisegate.privacy.members import Members, _open

SECRET = "4711-secret"


def texts(*units):
    return np.array(units, dtype=np.object_)


@pytest.fixture
def members():
    return Members("town", texts(SECRET, "b"))


def test_words_for_members_are_constant(members):
    assert {repr(members), str(members), f"{members}", f"{members:>40}"} == {Members.shown}


@pytest.mark.parametrize(
    "peek",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        json.dumps,
        iter,
        len,
        list,
        hash,
        vars,
        bool,
        np.asarray,
        lambda m: m == m,
        lambda m: m != 1,
        lambda m: m[0],
        lambda m: SECRET in m,
        lambda m: setattr(m, "population", "village"),
        lambda m: delattr(m, "population"),
        lambda m: type("Open", (type(m),), {}),
    ],
)
def test_whoever_peeks_at_members_is_refused_and_told_nothing(members, peek):
    with pytest.raises(TypeError) as refused:
        peek(members)
    assert SECRET not in str(refused.value)


def test_no_attribute_shows_a_member_and_the_population_is_no_secret(members):
    for name in dir(members):
        if not name.startswith("__"):
            assert SECRET not in repr(getattr(members, name))
    assert members.population == "town"


@pytest.mark.parametrize(
    "units",
    [
        texts(SECRET, 1),
        texts(SECRET, None),
        np.array([1.0]),
        np.array([1], np.int32),
        np.array([SECRET]),
        np.array([[1]]),
    ],
)
def test_units_of_another_type_are_refused_in_constant_words(units):
    with pytest.raises(EngineFailed) as refused:
        Members("town", units)
    assert str(refused.value) == str(EngineFailed())


def test_members_do_not_change_with_the_array_they_came_from():
    units = np.array([7, 8])
    members = Members("town", units)
    units[0] = 9
    assert _open(members).tolist() == [7, 8]


def test_labels_alone_opens_members():
    """A new user of the accessor has to be argued for here."""
    root = pathlib.Path(noisegate.__file__).parent
    users = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        if re.search(r"members import .*\b_open\b|\bmembers\._open\b", file.read_text())
    }
    assert users == {"genomics/labels.py"}
