from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.clock import ManualClock, SystemClock
from foundation.metrics import Metrics
from views.telemetry.queue import OpClass, OpsQueue

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

LIFECYCLE, RECORD, SAMPLE = OpClass


def queue(max_waiting: int = 100) -> OpsQueue:
    return OpsQueue(ManualClock(), Metrics(), max_waiting=max_waiting)


def run_all(waiting: OpsQueue) -> None:
    while waiting.run(7):
        pass


def test_operations_run_in_their_order_whatever_their_class() -> None:
    ops, done = queue(), list[int]()
    for number, kind in enumerate((SAMPLE, LIFECYCLE, RECORD, LIFECYCLE, SAMPLE, RECORD)):
        ops.put(kind, lambda number=number: done.append(number))  # type: ignore[misc]
    run_all(ops)
    assert done == [0, 1, 2, 3, 4, 5]


def test_an_operation_that_fails_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    metrics, done = Metrics(), list[str]()
    ops = OpsQueue(ManualClock(), metrics)

    def fail() -> None:
        raise ValueError("a bug")

    ops.put(RECORD, fail)
    ops.put(RECORD, lambda: done.append("after"))
    with caplog.at_level(logging.CRITICAL, logger="views.telemetry.queue"):
        run_all(ops)
    assert done == ["after"]
    assert b"fediviews_telemetry_ops_failed_total 1.0" in metrics.render()


def test_depth_and_age_are_metrics() -> None:
    clock, metrics = ManualClock(), Metrics()
    ops = OpsQueue(clock, metrics)
    ops.put(SAMPLE, lambda: None)
    clock.advance(1_500)
    ops.put(LIFECYCLE, lambda: None)
    said = metrics.render().decode()
    assert 'fediviews_telemetry_ops_waiting{class="sample"} 1.0' in said
    assert 'fediviews_telemetry_ops_waiting{class="lifecycle"} 1.0' in said
    assert "fediviews_telemetry_ops_oldest_age_seconds 1.5" in said
    run_all(ops)
    assert ops.oldest_age_ms() == 0


def test_an_operation_may_put_another() -> None:
    ops, done = queue(), list[str]()
    ops.put(LIFECYCLE, lambda: ops.put(SAMPLE, lambda: done.append("second")))
    run_all(ops)
    assert done == ["second"]


async def test_stopping_runs_what_waits_and_takes_nothing_more() -> None:
    ops, done = OpsQueue(SystemClock(), Metrics()), list[str]()
    ops.put(LIFECYCLE, lambda: ops.put(SAMPLE, lambda: done.append("of an operation")))
    ops.put(SAMPLE, lambda: done.append("waited"))
    await ops.stop(10_000)
    ops.put(LIFECYCLE, lambda: done.append("too late"))
    await ops.stop(10_000)
    assert done == ["waited", "of an operation"]


async def test_stopping_ends_within_its_limit_and_counts_what_is_lost() -> None:
    clock, metrics, done = ManualClock(), Metrics(), list[int]()
    ops = OpsQueue(clock, metrics)

    def slow() -> None:
        done.append(1)
        clock.advance(400)

    for _ in range(10):
        ops.put(LIFECYCLE, slow)
    await ops.stop(1_000)
    assert len(done) == 3
    assert b'fediviews_telemetry_ops_dropped_total{class="lifecycle"} 7.0' in metrics.render()
    assert len(ops) == 0


async def test_once_started_it_runs_by_itself() -> None:
    ops, done = OpsQueue(SystemClock(), Metrics()), asyncio.Event()
    ops.start()
    ops.start()
    ops.put(SAMPLE, done.set)
    await asyncio.wait_for(done.wait(), 10)
    await ops.stop(1_000)


_PUTS = st.lists(st.tuples(st.sampled_from(OpClass), st.integers(0, 2)), max_size=40)


@PATIENT
@given(_PUTS, st.integers(1, 5))
def test_each_class_keeps_its_promise_when_it_is_full(puts: list[tuple[OpClass, int]], bound: int) -> None:
    ops, done = queue(bound), list[int]()

    def doing(number: int) -> Callable[[], None]:
        return lambda: done.append(number)

    for number, (kind, key) in enumerate(puts):
        ops.put(kind, doing(number), key)
        assert ops.waiting(SAMPLE) <= bound
        assert ops.waiting(RECORD) <= bound
        assert ops.waiting(LIFECYCLE) <= bound + 3
    run_all(ops)
    assert done == sorted(done)
    of = {kind: [number for number, put in enumerate(puts) if put[0] is kind] for kind in OpClass}
    for kind in (SAMPLE, RECORD):
        assert [number for number in done if puts[number][0] is kind] == of[kind][-bound:]
    ran = [number for number in done if puts[number][0] is LIFECYCLE]
    # Whatever was not run was said again later.
    for number in set(of[LIFECYCLE]) - set(ran):
        assert any(later > number and puts[later][1] == puts[number][1] for later in ran)
    if len(of[LIFECYCLE]) <= bound:
        assert ran == of[LIFECYCLE]
