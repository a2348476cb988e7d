"""Work that goes on behind a gateway: one thread, one thing at a time, in the order it came."""

import queue
import threading
from collections.abc import Callable, Iterable

STOP = None
PATIENCE_SECONDS = 60


class Background:
    """A thread that does jobs by their number. What it is told twice it does once."""

    def __init__(self, work: Callable[[int], object], name: str) -> None:
        """Take what does a job; it is called in the thread and must not raise."""
        self._work = work
        self._name = name
        self._waiting: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._known: set[int] = set()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    @property
    def running(self) -> bool:
        """Whether there is a thread that works."""
        return self._thread is not None and not self._stopping.is_set()

    def go_on(self) -> bool:
        """Whether work that is going on may go on."""
        return not self._stopping.is_set()

    def start(self, jobs: Iterable[int] = ()) -> None:
        """Start the thread, with these jobs to begin with."""
        for job in jobs:
            self.add(job)
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def add(self, job: int) -> None:
        """Have a job done, unless it waits or is being done already."""
        with self._guard:
            if job in self._known:
                return
            self._known.add(job)
        self._waiting.put(job)

    def stop(self) -> None:
        """Tell the thread to leave what it does at the next chance, and wait for it."""
        self._stopping.set()
        self._waiting.put(STOP)
        if self._thread is not None:
            self._thread.join(PATIENCE_SECONDS)

    def _run(self) -> None:
        while (job := self._waiting.get()) is not STOP:
            if self._stopping.is_set():
                return
            try:
                self._work(job)
            finally:
                with self._guard:
                    self._known.discard(job)
