import gzip
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisegate.errors import BadInput
from noisegate.genotypes.text import BGZF_END, Bgzf, is_zipped, lines


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(BadInput) as caught:
        list(lines(path, **options))  # type: ignore[arg-type]
    return caught.value.message


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), max_size=20), max_size=9)
)
def test_lines_are_the_same_however_a_file_is_compressed(tmp_path: Path, found: list[str]) -> None:
    content = "".join(f"{line}\n" for line in found).encode()
    expected = list(enumerate(found, 1))
    plain, zipped, blocks = (tmp_path / name for name in ("plain", "zipped", "blocks"))
    plain.write_bytes(content)
    zipped.write_bytes(gzip.compress(content))
    with Bgzf(blocks) as out:
        out.write(content)
    assert [list(lines(path)) for path in (plain, zipped, blocks)] == [expected] * 3


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.binary(max_size=300), max_size=6), repeat=st.integers(0, 900))
def test_bgzf_is_gzip_in_blocks_that_say_their_size(tmp_path: Path, parts: list[bytes], repeat: int) -> None:
    path = tmp_path / "some.gz"
    content = b"".join(part * repeat for part in parts)
    with Bgzf(path) as out:
        for part in parts:
            out.write(part * repeat)
    assert gzip.decompress(path.read_bytes()) == content
    raw, at, sizes = path.read_bytes(), 0, []
    while at < len(raw):
        assert raw[at : at + 4] == b"\x1f\x8b\x08\x04"
        assert raw[at + 12 : at + 16] == b"BC\x02\x00"
        size = int.from_bytes(raw[at + 16 : at + 18], "little") + 1
        sizes.append(size)
        at += size
    assert at == len(raw)
    assert raw.endswith(BGZF_END)
    assert max(sizes) <= 65_536


def test_what_does_not_compress_fits_in_blocks_too(tmp_path: Path) -> None:
    path, content = tmp_path / "noise.gz", os.urandom(200_000)
    with Bgzf(path) as out:
        out.write(content)
    assert gzip.decompress(path.read_bytes()) == content


def test_a_failed_writing_leaves_no_end(tmp_path: Path) -> None:
    path = tmp_path / "some.gz"
    with pytest.raises(KeyError), Bgzf(path) as out:
        out.write(b"half")
        raise KeyError
    assert not path.read_bytes().endswith(BGZF_END)


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.gz"
    with Bgzf(whole) as out:
        out.write(b"one\ntwo\n" * 40_000)
    content = whole.read_bytes()
    cut = tmp_path / "cut.gz"
    for length in (len(content) - 1, len(content) - len(BGZF_END), len(content) // 2, 5):
        cut.write_bytes(content[:length])
        assert "cut.gz: c" in refusal(cut)  # cut off, or cannot be read
    plain = tmp_path / "plain"
    plain.write_bytes(b"one\ntwo")
    assert refusal(plain).startswith("plain, line 2: the last line has no end")
    assert [line for _, line in lines(plain, whole=False)] == ["one", "two"]


def test_what_is_no_text_file_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "some"
    path.write_bytes(b"ok\n" + b"x" * 100 + b"\n")
    assert refusal(path, longest=50) == "some, line 2: longer than 50 bytes"
    path.write_bytes(b"\xff\n")
    assert "cannot be read" in refusal(path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert refusal(pipe) == "pipe: not a regular file"
    assert refusal(tmp_path / "nowhere") == "nowhere: cannot be read: No such file or directory"


def test_progress_is_told_in_shares_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(b"line\n" * 20_000)
    told: list[float] = []
    assert sum(1 for _ in lines(path, told.append)) == 20_000
    assert told == sorted(told)
    assert len(told) == 20_000 // 4_096
    assert 0 < told[-1] <= 1


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert list(lines(path)) == []
    assert not is_zipped(path)
