"""A disk that is slow to flush: a library to preload that makes every fsync and fdatasync take longer.

Some disks answer a flush in a tenth of a millisecond, others in several, and what group commit gains hangs on
that. Compiled where it is used, with the system's C compiler.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

static int slowly(const char *name, int descriptor) {
    const struct timespec pause = {0, MICROSECONDS * 1000L};
    int (*flush)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    nanosleep(&pause, 0);
    return flush(descriptor);
}

int fsync(int descriptor) { return slowly("fsync", descriptor); }
int fdatasync(int descriptor) { return slowly("fdatasync", descriptor); }
"""


def slowed(place: Path, milliseconds: float) -> Mapping[str, str] | None:
    """Return the environment of a process whose flushes take so much longer, None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    source, library = place / "slow.c", place / "slow.so"
    source.write_text(_SOURCE, encoding="ascii")
    given = f"-DMICROSECONDS={round(1_000 * milliseconds)}L"
    subprocess.run([compiler, "-shared", "-fPIC", given, str(source), "-o", str(library), "-ldl"], check=True)
    return {**os.environ, "LD_PRELOAD": str(library)}
