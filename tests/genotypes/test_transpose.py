from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.genotypes.packed import unpack
from noisegate.genotypes.transpose import PersonByPerson

from .panels import calls_of


@settings(deadline=None, max_examples=30)
@given(people=st.integers(1, 200), variants=st.integers(1, 40), step=st.integers(1, 50))
def test_people_that_come_one_by_one_are_given_back_variant_by_variant(
    tmp_path_factory: pytest.TempPathFactory, people: int, variants: int, step: int
) -> None:
    found = calls_of(variants, people)
    folder = tmp_path_factory.mktemp("beside")
    with PersonByPerson(folder / "s.zarr", variants) as rows:
        for person in found.T:
            rows.add(np.ascontiguousarray(person))
        blocks = list(rows.blocks(step))
    assert [block.variants for block in blocks[:-1]] == [step] * (len(blocks) - 1)
    assert np.array_equal(np.concatenate([unpack(block) for block in blocks]), found)
    assert list(folder.iterdir()) == []


def test_files_are_the_owners_alone_and_go_when_something_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), PersonByPerson(tmp_path / "s.zarr", 3) as rows:
        for _ in range(64):
            rows.add(np.zeros(3, np.int8))
        (folder,) = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(list(folder.iterdir())) == 1
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_person_has_a_call_for_each_variant(tmp_path: Path) -> None:
    with (
        PersonByPerson(tmp_path / "s.zarr", 3) as rows,
        pytest.raises(ValueError, match="one int8 a variant"),
    ):
        rows.add(np.zeros(4, np.int8))
