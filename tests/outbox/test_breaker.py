from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.breaker import DAY_MS, Breaker, BreakerPolicy, BreakerState
from outbox.posting import Outcome
from outbox.retry import Meaning, RetryPolicy
from outbox.standing import FORGET_FAILURE_MS, FORGET_OPEN_MS, Standing, Standings, TroublePolicy

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
POLICY = BreakerPolicy(open_after=3, dead_after_days=2)
TROUBLE = TroublePolicy(RetryPolicy(first_ms=1_000, max_ms=600_000), POLICY, soft_max_ms=5_000, soft_for_ms=60_000)
DOWN = Outcome(Meaning.LATER, "timeout")


@pytest.mark.parametrize(
    ("steps", "state", "failures"),
    [
        ("", CLOSED, 0),
        ("bf", CLOSED, 1),
        ("bfbf", CLOSED, 2),
        ("bfbfbf", OPEN, 3),
        ("bfbfbs", CLOSED, 0),
        ("bfbfbfb", HALF_OPEN, 3),
        ("bfbfbfbf", OPEN, 4),
        ("bfbfbfbs", CLOSED, 0),
        ("bfbfbfbx", OPEN, 3),
        ("bfbfbfy", CLOSED, 1),
        ("bfbfbfyb", CLOSED, 1),
        ("bfbfbfybfbf", OPEN, 3),
        ("bx", CLOSED, 0),
        ("y", CLOSED, 0),
    ],
)
def test_how_it_moves(steps: str, state: BreakerState, failures: int) -> None:
    """b: something is sent, f: it failed, s: it arrived, x: broken off by us, y: the host spoke."""
    breaker = Breaker()
    for step in steps:
        apply(breaker, step, 0)
    assert (breaker.state, breaker.failures) == (state, failures)


def apply(breaker: Breaker, step: str, now_ms: int) -> None:
    match step:
        case "b":
            breaker.begins()
        case "f":
            breaker.failed(POLICY, now_ms)
        case "s":
            breaker.succeeded()
        case "x":
            breaker.broken_off()
        case "y":
            breaker.spoke()


def test_days_with_failures_are_counted_once_each() -> None:
    breaker = Breaker()
    for at_ms in (0, 1, DAY_MS - 1, DAY_MS, 3 * DAY_MS):
        breaker.failed(POLICY, at_ms)
    assert breaker.days == 3
    assert breaker.is_dead(POLICY)
    breaker.spoke()
    assert not breaker.is_dead(POLICY)
    breaker.failed(POLICY, 3 * DAY_MS)
    breaker.succeeded()
    assert (breaker.days, breaker.since_ms) == (0, 0)


@given(st.lists(st.tuples(st.sampled_from("bfsxy"), st.integers(0, DAY_MS))))
def test_whatever_happens_a_success_closes_it(steps: list[tuple[Literal["b", "f", "s", "x", "y"], int]]) -> None:
    breaker, now_ms = Breaker(), 0
    for step, later_ms in steps:
        now_ms += later_ms
        apply(breaker, step, now_ms)
        assert breaker.days <= breaker.failures
        assert breaker.state is CLOSED or breaker.failures > 0
    breaker.begins()
    breaker.succeeded()
    assert breaker == Breaker()


def fail(peer: Standing, now_ms: int, outcome: Outcome = DOWN, times: int = 1) -> None:
    for _ in range(times):
        peer.begins()
        peer.busy = False
        peer.failed(outcome, TROUBLE, lambda: 0.0, now_ms)


def test_soft_state_is_tried_again_soon_while_the_outage_is_young() -> None:
    peer = Standing()
    fail(peer, 0, times=5)
    assert (peer.not_before_ms, peer.soft_before_ms) == (16_000, 5_000)
    fail(peer, 60_000)
    assert peer.soft_before_ms == peer.not_before_ms == 60_000 + 32_000


@pytest.mark.parametrize(
    ("outcome", "soft_ms"),
    [
        (Outcome(Meaning.LATER, "status_429", 429, retry_after_s=30), 30_000),
        (Outcome(Meaning.LATER, "status_503", 503, retry_after_s=9_999), 600_000),
        (Outcome(Meaning.CLOSED, "status_403", 403), 16_000),
    ],
)
def test_but_not_sooner_than_the_host_wants(outcome: Outcome, soft_ms: int) -> None:
    peer = Standing()
    fail(peer, 0, outcome, times=5)
    assert peer.soft_before_ms == soft_ms


def test_a_dead_host_is_probed_once_a_day_until_it_speaks() -> None:
    peer = Standing()
    fail(peer, 0, times=3)
    fail(peer, DAY_MS)
    assert peer.not_before_ms == peer.soft_before_ms == 2 * DAY_MS
    assert peer.spoke(TROUBLE)
    assert peer.not_before_ms == peer.soft_before_ms == DAY_MS + 1_000
    assert peer.breaker.state is CLOSED


def test_a_host_that_speaks_is_still_left_alone_for_as_long_as_it_asked() -> None:
    peer = Standing()
    fail(peer, 0, Outcome(Meaning.LATER, "status_503", 503, retry_after_s=500), times=11)
    assert peer.spoke(TROUBLE)
    assert peer.not_before_ms == 500_000
    assert not peer.spoke(TROUBLE)


def test_our_own_trouble_says_nothing_about_the_host() -> None:
    peer = Standing()
    fail(peer, 0, times=3)
    peer.begins()
    peer.broken_off("storage_unavailable", 1_000, 50)
    assert peer.breaker.state is OPEN
    assert (peer.failures, peer.last_error, peer.not_before_ms) == (3, "timeout", 1_050)


@pytest.mark.parametrize(("failures", "life_ms"), [(0, -1), (1, FORGET_FAILURE_MS), (3, FORGET_OPEN_MS)])
def test_trouble_is_forgotten_in_time(failures: int, life_ms: int) -> None:
    standings = Standings()
    fail(standings["a"], 0, times=failures)
    if life_ms >= 0:
        standings.due(lambda _: False, life_ms)
        assert len(standings) == 1
    standings.due(lambda _: False, life_ms + 1)
    assert len(standings) == 0


def test_hosts_in_trouble_with_nothing_to_do_are_bounded() -> None:
    standings = Standings(max_idle=3)
    for number in range(10):
        fail(standings[f"host{number}"], 0)
    standings["host0"].durable = True
    standings.due(lambda host: host == "host1", 1)
    assert [host for host, _ in standings.items()] == ["host0", "host1", "host7", "host8", "host9"]
    assert standings.troubled()["host9"] == "timeout"


def test_who_is_due_and_when_the_next_is() -> None:
    standings = Standings()
    fail(standings["soft"], 0, times=5)
    fail(standings["durable"], 0, times=5)
    standings["durable"].durable = True
    standings["busy"].durable = standings["busy"].busy = True
    standings["exception"].exception_ms = 7_000
    assert standings.due(lambda host: host == "soft", 1_000) == ([], 4_000)
    begun, next_ms = standings.due(lambda host: host == "soft", 7_000)
    assert [host for host, _ in begun] == ["soft", "exception"]
    assert next_ms == 9_000
