from __future__ import annotations

from foundation.metrics import Metrics


def test_a_scrape_shows_nothing_but_the_numbers() -> None:
    metrics = Metrics()
    metrics.counter("requests", "Requests.", ["kind"]).labels("a").inc()
    metrics.histogram("seconds", "Time.", buckets=(1,)).observe(0.5)
    names = {line.split("{")[0].split(" ")[0] for line in metrics.render().decode().splitlines() if line[0] != "#"}
    assert names == {"requests_total", "seconds_bucket", "seconds_count", "seconds_sum"}
