import copy
import dataclasses
import json
import pathlib
import pickle
import re

import numpy as np
import pytest

import noisegate
from noisegate.errors import EngineFailed
from noisegate.privacy.exact import SEALED, Exact, _open

SECRET = 424_242


@pytest.fixture
def sealed():
    return Exact((("a",), ("b",)), (np.array([SECRET, 1], dtype=np.int64),))


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
        lambda e: delattr(e, "_Exact__opened"),
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


def test_what_was_sealed_does_not_change_with_the_array_it_came_from():
    cells = np.array([1, 2], dtype=np.int64)
    sealed = Exact((("a",), ("b",)), (cells,))
    cells[0] = 9
    assert _open(sealed)[1][0].tolist() == [1, 2]


@pytest.mark.parametrize(
    "cells",
    [np.array([SECRET]), np.array([1.0, 2.0]), np.array([1, 2], dtype=np.int32), [SECRET, 1]],
)
def test_cells_of_another_shape_or_type_are_refused_in_constant_words(cells):
    with pytest.raises(EngineFailed) as refused:
        Exact((("a",), ("b",)), (cells,))
    assert str(refused.value) == str(EngineFailed())


def test_release_alone_opens():
    """A new user of the accessor has to be argued for here."""
    root = pathlib.Path(noisegate.__file__).parent
    users = {
        file.relative_to(root).as_posix()
        for file in root.rglob("*.py")
        if re.search(r"exact import .*\b_open\b|\bexact\._open\b|_Exact__opened", file.read_text())
    }
    assert users == {"privacy/exact.py", "privacy/release.py"}
