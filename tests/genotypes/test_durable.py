"""Files that appear whole or not at all."""

import errno
import os

import numpy as np
import pytest

from noisegate.errors import BadInput
from noisegate.genotypes import durable
from noisegate.genotypes.durable import Drafts, write


def test_files_appear_together_at_the_end(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    with Drafts() as drafts:
        for path in (a, b):
            drafts.draft(path).write_text(path.name)
            assert not path.exists()
    assert (a.read_text(), b.read_text()) == ("a", "b")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), Drafts() as drafts:
        drafts.draft(tmp_path / "a").write_text("x")
        drafts.draft(tmp_path / "b")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_draft_never_written_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError), Drafts() as drafts:
        drafts.draft(tmp_path / "a").write_text("x")
        drafts.draft(tmp_path / "b")
    assert not list(tmp_path.iterdir())


def test_no_file_is_written_over(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(BadInput, match="exists already"), Drafts() as drafts:
        drafts.draft(tmp_path / "a")
    assert (tmp_path / "a").read_text() == "old"
    with pytest.raises(BadInput, match="not a folder"), Drafts() as drafts:
        drafts.draft(tmp_path / "no" / "a")


def test_writing_replaces_at_once_and_leaves_no_draft(tmp_path):
    write(tmp_path / "a", b"1", b"2")
    write(tmp_path / "a", b"3")
    assert (tmp_path / "a").read_bytes() == b"3"
    assert len(list(tmp_path.iterdir())) == 1


MIB = 2**20
SIZES = [(0,), (1,), (4 * MIB - 1,), (4 * MIB,), (4 * MIB + 1,), (2 * MIB, 2 * MIB), (8 * MIB, 0, 9)]


@pytest.mark.parametrize("sizes", [*SIZES, (3, 2 * MIB, 5, 4 * MIB + 7)])
def test_large_files_are_written_whole_past_the_page_cache(tmp_path, sizes):
    parts = [np.random.default_rng(i).bytes(size) for i, size in enumerate(sizes)]
    write(tmp_path / "a", *parts)
    assert (tmp_path / "a").read_bytes() == b"".join(parts)


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_a_file_system_that_keeps_to_its_cache_is_written_in_the_usual_way(tmp_path, monkeypatch, refused):
    content = np.random.default_rng(1).bytes(2**22 + 2**21 + 12_345)
    calls, real = [], os.write

    def refusing(descriptor, data):
        calls.append(len(data))
        if len(calls) == refused:
            raise OSError(errno.EINVAL, "not here")
        return real(descriptor, data[: 2**20 + 512] if refused == 0 else data)  # 0: writes come short

    monkeypatch.setattr(durable.os, "write", refusing)
    write(tmp_path / "a", content)
    assert (tmp_path / "a").read_bytes() == content


@pytest.mark.parametrize("after", [0, 1, 2, 5])
def test_a_disk_that_is_full_is_an_error(tmp_path, monkeypatch, after):
    calls, real = [], os.write

    def full(descriptor, data):
        calls.append(data)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "full")
        return real(descriptor, data[: 2**20 + 512])

    monkeypatch.setattr(durable.os, "write", full)
    with pytest.raises(OSError, match="full"):
        write(tmp_path / "a", b"x" * 2**23)
    assert not list(tmp_path.iterdir())
