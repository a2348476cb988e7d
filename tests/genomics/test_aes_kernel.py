import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from noisegate.genomics import aes, aes_kernel, perturb
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.keystream import KeyStream

needs_aes = pytest.mark.skipif(aes.WIDTH == 0, reason="no AES instructions")
# What a kernel of another width must do: the same as OpenSSL, whatever is drawn.
CHILD = """
import os, sys
import numpy as np
from noisegate.genomics import aes, perturb, restore
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.laws import Chain
from noisegate.genotypes.packed import pack
assert aes.WIDTH == int(sys.argv[1]), aes.WIDTH
key, generator = ReleaseKey(os.urandom(16)), np.random.default_rng()
block = pack(generator.integers(0, 3, (60, 1_100), dtype=np.int8))
first, after = generator.integers(1, 2**64 - 1, (2, 120), dtype=np.uint64)
after[:20] = first[:20]
paths = (True, False) if aes.WIDTH else (False, False)
assert perturb.has_aes() == paths[0]
noisy = [perturb.perturb_with(block, Chain(first, after), key, 3, None, aes=aes) for aes in paths]
moved = [restore.restore_with(noisy[0], np.arange(60) * 30, key, 3, None, aes=aes) for aes in paths]
for one, other in (noisy, moved):
    assert np.array_equal(one.hi, other.hi) and np.array_equal(one.lo, other.lo)
assert not np.array_equal(noisy[0].lo, moved[0].lo)
print("the same")
"""


def test_round_keys_are_those_of_the_standard() -> None:
    # FIPS 197, appendix A.1.
    rounds = aes.expand(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
    assert len(rounds) == 11
    assert rounds[1].hex() == "a0fafe1788542cb123a339392a6c7605"
    assert rounds[10].hex() == "d014f9a8c9ee2589e13f0cc8b6630ca6"
    assert sorted(aes.SBOX) == list(range(256))
    assert aes.SBOX[0x53] == 0xED


@njit
def _stretches(table, domain, counters, found):  # type: ignore[no-untyped-def]
    for i in range(len(counters)):
        aes_kernel._words(table, np.uint64(domain), counters[i], found[i])


def kernel_words_are_those_of_openssl() -> None:
    key = os.urandom(16)
    counters = np.array([0, 4, 252, 256, 2**32 - 4, 2**32, 2**56 + 2**31, 2**63 - 8], np.uint64)
    for chunk, begin in ((0, 0), (1, 16), (2**56 - 1, 240), (2**31 + 5, 100)):
        table = aes.table_of(key, chunk, begin, 13)
        for domain in (0, 1, 7, 12):
            found = np.empty((len(counters), 8), np.uint64)
            _stretches(table, domain, counters, found)
            stream = KeyStream(ReleaseKey(key))
            expected = [stream.words(chunk, begin + domain, 8, int(c)) for c in counters]
            assert np.array_equal(found, expected)


@needs_aes
def test_the_kernels_words_are_those_of_openssl() -> None:
    for _ in range(5):
        kernel_words_are_those_of_openssl()


@needs_aes
def test_a_wrong_round_key_or_nonce_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    expand, table = aes.expand, aes.table_of
    with monkeypatch.context() as inside:
        inside.setattr(aes, "expand", lambda key: [*expand(key)[:10], expand(key)[9]])
        with pytest.raises(AssertionError):
            kernel_words_are_those_of_openssl()
    monkeypatch.setattr(aes, "table_of", lambda key, chunk, *rest: table(key, chunk // 2, *rest))
    with pytest.raises(AssertionError):
        kernel_words_are_those_of_openssl()


@needs_aes
def test_the_look_before_first_use_has_people_who_are_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    settled: list[int] = []
    at = KeyStream.at

    def counted(self, chunk, domain, numbers):
        settled.append(len(numbers))
        return at(self, chunk, domain, numbers)

    monkeypatch.setattr(KeyStream, "at", counted)
    assert perturb.has_aes.__wrapped__()
    assert sum(settled) >= 5


@needs_aes
def test_a_kernel_that_forgets_the_undecided_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = aes_kernel.columns

    def forgetful(table, *rest):
        broken = table.copy()
        broken[8 * 23 :] ^= np.uint64(1)  # the row of the tail's domain
        return columns(broken, *rest)

    monkeypatch.setattr(aes_kernel, "columns", forgetful)
    assert not perturb.has_aes.__wrapped__()


@needs_aes
def test_a_processor_that_computes_wrongly_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert perturb.has_aes()
    columns = aes_kernel.columns
    monkeypatch.setattr(aes_kernel, "columns", lambda table, *rest: columns(table[::-1].copy(), *rest))
    assert not perturb.has_aes.__wrapped__()


def others(width: int, features: str, cache: Path) -> str:
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "x86-64",
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(cache),
    }
    command = [sys.executable, "-c", CHILD, str(width)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr


@pytest.mark.slow
@needs_aes
def test_processors_with_narrower_instructions_draw_the_same(tmp_path: Path) -> None:
    assert others(128, "+aes,+sse2,+ssse3,+sse4.1", tmp_path) == "the same"


@pytest.mark.slow
@pytest.mark.skipif(aes.WIDTH < 256, reason="no wide AES instructions")
def test_processors_with_instructions_of_half_the_width_draw_the_same(tmp_path: Path) -> None:
    assert others(256, "+aes,+vaes,+sse2,+ssse3,+sse4.1,+avx,+avx2", tmp_path) == "the same"


@pytest.mark.slow
def test_processors_without_instructions_draw_too(tmp_path: Path) -> None:
    assert others(0, "+sse2", tmp_path) == "the same"


@pytest.mark.parametrize(
    ("features", "width"),
    [
        ("", 0),
        ("+sse2,+sse4.1", 0),
        ("+aes", 0),
        ("+aes,+sse4.1", 128),
        ("+aes,+sse4.1,+avx2,-vaes", 128),
        ("+aes,+sse4.1,+avx2,+vaes", 256),
        ("+aes,+sse4.1,+avx2,+vaes,+avx512f", 512),
    ],
)
def test_instructions_are_used_only_where_code_is_compiled_for_them(
    features: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aes.config, "CPU_FEATURES", features)
    monkeypatch.setattr(aes.platform, "machine", lambda: "x86_64")
    assert aes.width() == width
    monkeypatch.setattr(aes.platform, "machine", lambda: "aarch64")
    assert aes.width() == 0
    monkeypatch.setattr(aes.platform, "machine", lambda: "AMD64")
    monkeypatch.setattr(aes.config, "DISABLE_JIT", True)
    assert aes.width() == 0


def test_a_host_that_tells_nothing_has_no_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> dict[str, bool]:
        raise RuntimeError

    monkeypatch.setattr(aes.config, "CPU_FEATURES", None)
    monkeypatch.setattr(aes.llvmlite.binding, "get_host_cpu_features", none)
    assert aes.width() == 0
