"""What is usual of a peer, and when an hour of it is not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.peers.activity import HOUR_MS, PeerActivity
from federation.peers.unusual import ENOUGH_HOURS, FEW, score
from foundation.clock import ManualClock
from foundation.database import Database
from foundation.metrics import Metrics

EVERY_DATABASE = True

HOST = "peer.example"


def a_week(level: int, seed: int = 1) -> list[int]:
    """Hours that differ as hours of independent viewers do, twice as many in the evening."""
    chance = random.Random(seed)
    return [int(level * (1 + (hour % 24 > 17)) + chance.gauss(0, level**0.5)) for hour in range(7 * 24)]


@pytest.mark.parametrize("level", [50, 1_000, 100_000])
def test_an_evening_is_usual_and_ten_times_as_many_are_not(level: int) -> None:
    past = a_week(level)
    assert all(score(past, count) < 8 for count in past)
    assert score(past, 10 * level + FEW) > 8


def test_little_is_known_of_a_new_peer() -> None:
    assert score([10] * (ENOUGH_HOURS - 1), 1_000_000) == 0
    assert score([10] * ENOUGH_HOURS, 1_000_000) > 8


def test_few_are_never_unusual() -> None:
    assert score([1] * 100, FEW - 1) == 0


def test_who_cheats_now_and_then_does_not_become_usual() -> None:
    past = a_week(100)
    past[::15] = [50_000] * len(past[::15])
    assert score(past, 50_000) > 8


@given(st.lists(st.integers(0, 10**9), max_size=200), st.integers(0, 10**9))
def test_a_score_is_a_number_that_grows_with_the_count(past: list[int], count: int) -> None:
    assert score(past, count) <= score(past, count + 1)


@pytest.fixture
def activity(database: Database, clock: ManualClock, metrics: Metrics) -> PeerActivity:
    return PeerActivity(database, clock, metrics)


async def hours(activity: PeerActivity, clock: ManualClock, *counts: int, host: str = HOST) -> None:
    for count in counts:
        for _ in range(count):
            activity.saw_viewer(host)
        activity.saw_view(host)
        await activity.save()
        clock.advance(HOUR_MS)


async def test_a_flood_is_flagged_while_it_lasts_and_an_hour_after(
    activity: PeerActivity, clock: ManualClock, metrics: Metrics
) -> None:
    await hours(activity, clock, *([20, 25, 30] * 9))
    activity.saw_viewer("other.example")
    assert activity.unusual(HOST) is None
    for _ in range(500):
        activity.saw_viewer(HOST)
    await activity.save()
    unusual = activity.unusual(HOST)
    assert unusual is not None
    assert (unusual.what, unusual.count, unusual.usual) == ("viewers", 500, 25.0)
    assert unusual.hour_ms == clock.now_ms() // HOUR_MS * HOUR_MS
    assert metrics.registry.get_sample_value("fediviews_peers_unusual") == 1
    assert activity.unusual("other.example") is None
    clock.advance(HOUR_MS)
    await activity.save()
    assert activity.unusual(HOST) is not None
    clock.advance(HOUR_MS)
    await activity.save()
    assert activity.unusual(HOST) is None


async def test_the_past_outlives_a_restart_and_is_one_for_all_processes(
    activity: PeerActivity, database: Database, clock: ManualClock
) -> None:
    other = PeerActivity(database, clock, Metrics())
    await hours(activity, clock, *([20, 25, 30] * 9))
    for _ in range(60):
        activity.saw_viewer(HOST)
        other.saw_viewer(HOST)
    await activity.save()
    assert activity.unusual(HOST) is None, "60 are few"
    await other.save()
    await activity.save()
    for each in (activity, other):
        unusual = each.unusual(HOST)
        assert unusual is not None
        assert unusual.count == 120


async def test_nobody_is_flagged_where_nobody_wants_it(database: Database, clock: ManualClock) -> None:
    activity = PeerActivity(database, clock, Metrics(), flag_at=None)
    await hours(activity, clock, *([20] * 25), 5_000)
    assert activity.unusual(HOST) is None


async def test_old_hours_are_forgotten(activity: PeerActivity, clock: ManualClock) -> None:
    await hours(activity, clock, *([20] * 25))
    clock.advance(15 * 24 * HOUR_MS)
    await activity.purge()
    await hours(activity, clock, 5_000)
    assert activity.unusual(HOST) is None, "nothing is left to compare with"
