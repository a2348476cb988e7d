import copy
import dataclasses
import json
import pathlib
import pickle
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noisegate
from noisegate.errors import EngineFailed
from noisegate.privacy.exact import SEALED, Counted, Exact, _open

SECRET = 424_242


@pytest.fixture
def sealed():
    return Exact((("a",), ("b",)), (ints(SECRET, 1), Counted(ints(0, 1), ints(3, SECRET), ints(SECRET, 1))))


def ints(*values):
    return np.array(values, dtype=np.int64)


def test_words_for_sealed_cells_are_constant(sealed):
    for text in (
        repr(sealed),
        str(sealed),
        f"{sealed}",
        f"{sealed:>40}",
        f"{sealed!r}",
        f"{sealed:>9}",
    ):
        assert text == SEALED


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
        dataclasses.asdict,
        lambda e: e == e,
        lambda e: e != 1,
        lambda e: e[0],
        lambda e: SECRET in e,
        lambda e: setattr(e, "cells", 1),
        lambda e: delattr(e, "_Sealed__opened"),
        lambda e: e.__getstate__(),
    ],
)
def test_whoever_peeks_is_refused_and_told_nothing(sealed, peek):
    with pytest.raises(TypeError) as refused:
        peek(sealed)
    assert str(SECRET) not in str(refused.value)


def test_no_attribute_shows_the_cells(sealed):
    for name in dir(sealed):
        if not name.startswith("__"):
            assert str(SECRET) not in repr(getattr(sealed, name))
    with pytest.raises(TypeError, match="no subclass"):
        type("Open", (Exact,), {})


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
        lambda c: c[0],
        lambda c: SECRET in c,
    ],
)
def test_counts_of_a_quantile_show_nothing_on_their_way_to_the_seal(peek):
    cell = Counted(ints(0, 1), ints(3, SECRET), ints(SECRET, 1))
    assert {repr(cell), str(cell), f"{cell}", f"{[cell]}"} == {SEALED, f"[{SEALED}]"}
    with pytest.raises(TypeError) as refused:
        peek(cell)
    assert str(SECRET) not in str(refused.value)


def test_what_was_sealed_does_not_change_with_the_array_it_came_from():
    cells = np.array([1, 2], dtype=np.int64)
    sealed = Exact((("a",), ("b",)), (cells,))
    cells[0] = 9
    assert _open(sealed)[1][0].tolist() == [1, 2]


@pytest.mark.parametrize(
    "cells",
    [
        np.array([SECRET]),
        np.array([1.0, 2.0]),
        np.array([1, 2], dtype=np.int32),
        [SECRET, 1],
        ints(SECRET, 1, 2, 3).reshape(2, 2),
    ],
)
def test_cells_of_another_shape_or_type_are_refused_in_constant_words(cells):
    with pytest.raises(EngineFailed) as refused:
        Exact((("a",), ("b",)), (cells,))
    assert str(refused.value) == str(EngineFailed())


def test_counts_do_not_change_with_the_arrays_they_came_from():
    counts = ints(5, 6)
    cell = Counted(ints(0, 0), ints(1, 2), counts)
    counts[0] = 9
    assert cell.dense(ints(0), 4).tolist() == [[0, 5, 6, 0]]
    with pytest.raises(ValueError, match="read-only"):
        cell.counts[0] = 9


@pytest.mark.parametrize(
    "parts",
    [
        (ints(0, 1), ints(3, 3), ints(SECRET)),
        (ints(0, 1), ints(3), ints(SECRET, 1)),
        (ints(1, 0), ints(3, 3), ints(SECRET, 1)),
        (ints(0, 0), ints(4, 3), ints(SECRET, 1)),
        (ints(0, 0), ints(3, 3), ints(SECRET, 1)),
        (ints(-1, 0), ints(3, 3), ints(SECRET, 1)),
        (ints(0, 0), ints(-1, 3), ints(SECRET, 1)),
        (ints(0, 1), ints(3, 3), np.array([SECRET, 1.0])),
        ([0, 1], ints(3, 3), ints(SECRET, 1)),
        (ints(0, 1), ints(3, 3).astype(np.int32), ints(SECRET, 1)),
        (ints(0, 1).reshape(1, 2), ints(3, 3).reshape(1, 2), ints(SECRET, 1).reshape(1, 2)),
    ],
)
def test_counts_of_another_shape_type_or_order_are_refused_in_constant_words(parts):
    with pytest.raises(EngineFailed) as refused:
        Counted(*parts)
    assert str(refused.value) == str(EngineFailed())


@given(
    st.dictionaries(st.tuples(st.integers(0, 6), st.integers(0, 5)), st.integers(0, 9)),
    st.lists(st.integers(0, 6), max_size=9),
)
def test_counts_of_any_groups_are_those_of_the_whole_table(counts, groups):
    whole = np.zeros((7, 6), dtype=np.int64)
    for place, count in counts.items():
        whole[place] = count
    pairs = sorted(counts)
    cell = Counted(ints(*(g for g, _ in pairs)), ints(*(c for _, c in pairs)), ints(*map(counts.get, pairs)))
    assert np.array_equal(cell.dense(ints(*groups), 6), whole[ints(*groups)])
    for size, candidates in ((7, 6), (6, 6), (7, 5), (1, 1)):
        assert cell.within(size, candidates) == all(g < size and c < candidates for g, c in pairs)


def test_release_alone_opens():
    """A new user of the accessor has to be argued for here."""
    assert users_of(r"exact import .*\b_open\b|\bexact\._open\b") == {"privacy/release.py"}


def test_a_seal_is_opened_by_the_files_of_what_is_sealed_alone():
    seals = r"sealed import .*\b_contents\b|\bsealed\._contents\b|_Sealed__opened"
    assert users_of(seals) == {"privacy/sealed.py", "privacy/exact.py", "privacy/members.py"}


def users_of(pattern):
    root = pathlib.Path(noisegate.__file__).parent
    return {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        if re.search(pattern, file.read_text())
    }
