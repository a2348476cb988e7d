"""Memory is bounded by a chunk, whatever the size of a file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from noisegate.genotypes import plink

PEOPLE = 20_000
# The peak of a process before and after: what is read, kept and written holds some chunks, never the file.
WATCHED = """
import sys
from pathlib import Path
import numpy, pyarrow, zarr
from noisegate.genotypes import plink, pgen
from noisegate.genotypes.align import align, apply
folder = Path(sys.argv[1])
def peak():  # ru_maxrss would begin with the parent's
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024
before = peak()
store = plink.read(folder / "a.bed", folder / "a.zarr")
read = peak() - before
store.verify()
plink.write(store, folder / "b.bed")
pgen.write(store, folder / "c.pgen")
count = len(store.variants)
manifest = store.variants.take(numpy.arange(count)[::-1])
found = align(store.variants, manifest)
for start in range(0, count, store.chunk):
    apply(store, found, start, min(start + store.chunk, count))
print(read, peak() - before)
"""


def peaks(folder, variants):
    """Import, export and align a file of that many variants; returns the growth of memory in MB."""
    folder.mkdir()
    width = PEOPLE // 4
    rows = np.random.default_rng(1).integers(0, 256, (500, width), np.uint8)
    with (folder / "a.bed").open("wb") as bed:
        bed.write(plink.MAGIC)
        for _ in range(variants // 500):
            bed.write(rows.tobytes())
    (folder / "a.bim").write_text("".join(f"1\trs{i}\t0\t{i + 1}\tG\tA\n" for i in range(variants)))
    (folder / "a.fam").write_text("".join(f"p{i} p{i} 0 0 0 -9\n" for i in range(PEOPLE)))
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, folder], capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr
    read, whole = map(int, done.stdout.split())
    assert (folder / "b.bed").read_bytes() == (folder / "a.bed").read_bytes()
    assert read > 10, "a chunk was held, so its memory is seen"
    return read, whole


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is looked up in /proc")
def test_memory_does_not_grow_with_the_file(tmp_path):
    small = peaks(tmp_path / "small", 20_000)  # 100 MB
    large = peaks(tmp_path / "large", 80_000)  # 400 MB
    assert (tmp_path / "large" / "a.bed").stat().st_size > 400_000_000
    # A chunk is 20 MB of planes here; the lists of variants and the page cache's share are the rest.
    assert large[0] < 300
    assert large[1] < 400
    assert large[0] < small[0] + 60
    assert large[1] < small[1] + 100
