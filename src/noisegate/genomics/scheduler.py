"""Who works on chunks, of a release or of a study: threads here, or the workers of a cluster (`cluster.py`).

A chunk that is made again is the same, so a scheduler may lose work and never has to undo any.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Protocol, TypeVar

from noisegate.genomics.keys import ReleaseKey

# Chunks that are handed out beyond those being worked on, so that no thread waits for the next.
AHEAD = 1
Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)


class Work(Protocol[Made_co]):
    """What is done with each chunk."""

    @property
    def release(self) -> str:
        """What the key belongs to."""

    def do(self, number: int, key: ReleaseKey) -> Made_co:
        """Do one chunk, and return what is to be told of it; again, it is the same."""

    def only(self, number: int) -> "Work[Made_co]":
        """Return the work without what other chunks need, to be sent."""


class Scheduler(Protocol):
    """Does chunks."""

    def run(
        self, work: Work[Made], key: ReleaseKey, chunks: Iterable[int], go_on: Callable[[int, Made], bool]
    ) -> bool:
        """Do chunks, and say whether all of them were done.

        Args:
            work: what is done with a chunk.
            key: of the release.
            chunks: which.
            go_on: given a chunk that is done, and what was made of it, in any order, one at a time; False
                stops before further ones begin.

        Raises:
            Exception: what the first chunk that failed raised; those being worked on are waited for.
        """


class Threads:
    """Threads, as the kernels of a chunk let go of Python's lock; one is the caller's own."""

    def __init__(self, threads: int) -> None:
        """Take how many chunks are worked on at once, at least 1; each is in memory a few times over."""
        self._threads = max(threads, 1)

    def run(
        self, work: Work[Made], key: ReleaseKey, chunks: Iterable[int], go_on: Callable[[int, Made], bool]
    ) -> bool:
        """See `Scheduler`."""
        if self._threads == 1:
            return all(go_on(number, work.do(number, key)) for number in chunks)
        with ThreadPoolExecutor(self._threads, "chunk") as pool:
            return drained(lambda number: pool.submit(work.do, number, key), chunks, go_on, self._threads)


def drained(
    submit: Callable[[int], "Future[Made]"],
    chunks: Iterable[int],
    go_on: Callable[[int, Made], bool],
    at_once: int,
) -> bool:
    """Submit chunks, not many more at a time than are worked on; see `Scheduler.run`."""
    left = iter(chunks)
    pending: dict[Future[Made], int] = {}
    whole, ended = True, False
    try:
        while True:
            while whole and not ended and len(pending) < at_once + AHEAD:
                number = next(left, None)
                ended = number is None
                if number is not None:
                    pending[submit(number)] = number
            if not pending:
                return whole
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                number = pending.pop(future)
                whole = go_on(number, future.result()) and whole
    finally:
        for future in pending:
            future.cancel()


def scheduler_of(address: str | None, threads: int) -> Scheduler:
    """Return the scheduler at an address, or threads here where there is none."""
    if address is None:
        return Threads(threads)
    from noisegate.genomics.cluster import Cluster  # needs the extra `cluster`

    return Cluster.at(address)
