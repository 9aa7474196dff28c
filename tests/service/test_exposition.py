from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from foundation.metrics import Metrics
from service.workers.exposition import merge


def page(requests: int) -> str:
    metrics = Metrics()
    metrics.counter("requests", "Requests\\ taken.").inc(requests)
    metrics.counter("refusals", "By reason.", ["reason"]).labels('a "b" {c} d').inc()
    metrics.histogram("seconds", "Time.", buckets=(1,)).observe(0.5)
    metrics.gauge("depth", "Depth.").set(-1.5)
    return metrics.render().decode()


def test_every_sample_says_whose_it_is_and_families_stay_together() -> None:
    families = {family.name: family for family in text_string_to_metric_families(merge({"0": page(1), "1": page(2)}))}
    taken = {
        sample.labels["worker"]: sample.value
        for sample in families["requests"].samples
        if sample.name.endswith("_total")
    }
    assert taken == {"0": 1, "1": 2}
    assert {sample.labels["reason"] for sample in families["refusals"].samples} == {'a "b" {c} d'}
    assert [sample.labels["worker"] for sample in families["depth"].samples] == ["0", "1"]
    buckets = [sample for sample in families["seconds"].samples if sample.name == "seconds_bucket"]
    assert {(sample.labels["worker"], sample.labels["le"]) for sample in buckets} == {
        (worker, le) for worker in "01" for le in ("1.0", "+Inf")
    }
    assert merge({"0": page(1), "1": page(2)}).count("# TYPE requests_total") == 1


def test_what_only_one_has_is_there_too() -> None:
    assert (
        merge({"0": "# HELP a A.\n# TYPE a gauge\na 1.0\n", "1": ""})
        == '# HELP a A.\n# TYPE a gauge\na{worker="0"} 1.0\n'
    )
