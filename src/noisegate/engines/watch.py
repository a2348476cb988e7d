"""One thread that stops whatever runs past its time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

_AGAIN_S = 0.02  # an interrupt between two statements of a run stops neither


class Watch:
    """Interrupts the cursors that are watched for longer than `limit_s`, in seconds."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._lock = threading.Lock()
        self._running: dict[duckdb.DuckDBPyConnection, float] = {}
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    @contextmanager
    def watching(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Watch a cursor for as long as the context lasts."""
        with self._lock:
            self._running[cursor] = time.monotonic() + self.limit_s
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="engine watch", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._running[cursor]

    def stop(self) -> None:
        """Watch no more."""
        self._stopped.set()

    def _look(self) -> None:
        """Sleep until the next run could be past its time. No run that begins meanwhile is so sooner."""
        while True:
            with self._lock:
                now = time.monotonic()
                late = [cursor for cursor, until in self._running.items() if until <= now]
                for cursor in late:
                    cursor.interrupt()
                until = min(self._running.values(), default=now + self.limit_s)
            if self._stopped.wait(_AGAIN_S if late else max(until - now, 0.001)):
                return
