"""Processor seconds of works that run in turn: what a busy machine leaves alone, or nearly."""

import time
from collections.abc import Callable


def in_turn(*works: Callable[[], object], repeats: int, warm: int = 1) -> list[list[float]]:
    """Run the works in turn, `warm` rounds unmeasured, and return this process's CPU seconds of each."""
    found: list[list[float]] = [[] for _ in works]
    for turn in range(warm + repeats):
        for place, work in enumerate(works):
            started = time.process_time()
            work()
            if turn >= warm:
                found[place].append(time.process_time() - started)
    return found


def rates(amount: float, seconds: list[float]) -> list[float]:
    """Return amounts a second; a work too short for the clock counts as a millisecond."""
    return [amount / max(s, 1e-3) for s in seconds]
