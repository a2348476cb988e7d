"""Counters and a latency histogram in the Prometheus text format.

Labels come from a fixed set of routes and codes, never from a question. Latencies are taken as the client
sees them, after padding, so the histogram shows nothing a client could not measure.
"""

import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field

# Seconds; fresh answers leave at multiples of the padding quantum, so finer buckets would stay empty.
BUCKETS = (0.005, 0.01, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 30.0, 60.0)


@dataclass(slots=True)
class _Histogram:
    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0


class Metrics:
    """Thread-safe counts of requests and how long they took."""

    def __init__(self) -> None:
        """Start from nothing: counters restart with the process, as Prometheus expects."""
        self._guard = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._latency: defaultdict[str, _Histogram] = defaultdict(_Histogram)

    def observe(self, route: str, code: str, seconds: float) -> None:
        """Count one request by route template and outcome."""
        with self._guard:
            self._requests[route, code] += 1
            histogram = self._latency[route]
            histogram.counts[bisect_left(BUCKETS, seconds)] += 1
            histogram.seconds += seconds

    def text(self) -> str:
        """Return everything in the text exposition format 0.0.4."""
        with self._guard:
            lines = [
                "# HELP noisegate_requests_total Requests by route and outcome.",
                "# TYPE noisegate_requests_total counter",
            ]
            for (route, code), count in sorted(self._requests.items()):
                lines.append(f'noisegate_requests_total{{route="{route}",code="{code}"}} {count}')
            lines += [
                "# HELP noisegate_request_seconds Time to reply, padding included.",
                "# TYPE noisegate_request_seconds histogram",
            ]
            for route, histogram in sorted(self._latency.items()):
                lines += _histogram_lines(route, histogram)
        return "\n".join(lines) + "\n"


def _histogram_lines(route: str, histogram: _Histogram) -> list[str]:
    lines, total = [], 0
    for edge, count in zip((*map(str, BUCKETS), "+Inf"), histogram.counts, strict=True):
        total += count
        lines.append(f'noisegate_request_seconds_bucket{{route="{route}",le="{edge}"}} {total}')
    lines.append(f'noisegate_request_seconds_sum{{route="{route}"}} {histogram.seconds:.6f}')
    lines.append(f'noisegate_request_seconds_count{{route="{route}"}} {total}')
    return lines
