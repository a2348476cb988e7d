"""The libraries that read and hold genotypes come with the `genomes` extra; what to do without it."""

from collections.abc import Iterator
from contextlib import contextmanager

from noisegate.errors import SetupError

INSTALL = 'pip install "noisegate[genomes]"'


@contextmanager
def genome_libraries() -> Iterator[None]:
    """Raise SetupError, with what to install, where a library that is imported inside is missing."""
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "noisegate":
            raise
        raise SetupError(f"this needs {missing.name}, which is not installed", INSTALL) from None
