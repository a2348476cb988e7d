from noisegate.server.metrics import BUCKETS, Metrics


def test_a_latency_counts_in_its_bucket_and_all_above() -> None:
    metrics = Metrics()
    metrics.observe("/v1/ask", "answered", 0.04)
    metrics.observe("/v1/ask", "answered", 0.041)
    metrics.observe("/v1/ask", "timeout", 1e6)
    lines = metrics.text().splitlines()
    counts = [line.rsplit(" ", 1) for line in lines if "_bucket" in line]
    assert len(counts) == len(BUCKETS) + 1
    by_edge = {name.split('le="')[1].rstrip('"}'): int(count) for name, count in counts}
    assert (by_edge["0.01"], by_edge["0.04"], by_edge["0.08"], by_edge["60.0"], by_edge["+Inf"]) == (
        0,
        1,
        2,
        2,
        3,
    )
    assert 'noisegate_request_seconds_count{route="/v1/ask"} 3' in lines


def test_counters_are_kept_by_route_and_code() -> None:
    metrics = Metrics()
    for route, code in (("a", "ok"), ("a", "ok"), ("a", "internal"), ("b", "ok")):
        metrics.observe(route, code, 0.1)
    text = metrics.text()
    assert 'noisegate_requests_total{route="a",code="ok"} 2\n' in text
    assert 'noisegate_requests_total{route="a",code="internal"} 1\n' in text
    assert 'noisegate_requests_total{route="b",code="ok"} 1\n' in text
