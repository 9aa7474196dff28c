from __future__ import annotations

import logging

import pytest

from foundation.clock import ManualClock
from foundation.metrics import Metrics
from views.sharing import MIN_VIEWERS, SAMPLE, WARN_EVERY_MS, WINDOW_MS, Sharing

RATIO = "fediviews_viewers_one_address_ratio"


@pytest.fixture
def sharing(clock: ManualClock, metrics: Metrics) -> Sharing:
    return Sharing(clock, metrics)


def crowd(sharing: Sharing, count: int, address: str | None = "10.0.0.1", *, first: int = 0) -> None:
    """``address`` None: each viewer has its own."""
    for number in range(first, first + count):
        own = f"192.0.{number // 250}.{number % 250}"
        sharing.seen(f"viewer-{number}", own if address is None else address)


def test_a_crowd_behind_one_address_is_noticed(sharing: Sharing, metrics: Metrics) -> None:
    crowd(sharing, MIN_VIEWERS - 1)
    assert sharing.hint() is None
    crowd(sharing, MIN_VIEWERS)
    hint = sharing.hint()
    assert hint is not None
    assert "listen.trusted_proxies" in hint
    assert "10.0.0.1" not in hint
    assert "X-Forwarded-For" not in hint
    assert metrics.registry.get_sample_value(RATIO) == 1.0


@pytest.mark.parametrize(("behind", "elsewhere", "hinted"), [(90, 10, True), (80, 20, False), (0, 100, False)])
def test_nearly_all_is_nine_of_ten(sharing: Sharing, behind: int, elsewhere: int, hinted: bool) -> None:
    crowd(sharing, behind)
    crowd(sharing, elsewhere, None, first=behind)
    assert (sharing.hint() is not None) == hinted


def test_a_viewer_counts_once_however_often_it_reports(sharing: Sharing) -> None:
    for _ in range(MIN_VIEWERS):
        sharing.seen("one and the same", "10.0.0.1")
    assert sharing.hint() is None


def test_it_says_when_the_address_forwards(sharing: Sharing) -> None:
    for number in range(MIN_VIEWERS):
        sharing.seen(bytes([number]) * 16, "2001:db8::1", forwarded=True)
    hint = sharing.hint()
    assert hint is not None
    assert "X-Forwarded-For" in hint


def test_memory_is_bounded_and_the_sample_fair(sharing: Sharing, metrics: Metrics) -> None:
    crowd(sharing, 3_000)
    crowd(sharing, 3_000, None, first=3_000)
    assert len(sharing._now.members) == len(sharing._now.largest) == SAMPLE
    ratio = metrics.registry.get_sample_value(RATIO)
    assert ratio is not None
    assert 0.35 < ratio < 0.65


def test_it_forgets(sharing: Sharing, clock: ManualClock) -> None:
    crowd(sharing, 100)
    clock.advance(WINDOW_MS)
    assert sharing.hint() is not None
    clock.advance(WINDOW_MS)
    assert sharing.hint() is None
    crowd(sharing, 100)
    clock.advance(10 * WINDOW_MS)
    assert sharing.hint() is None


def test_the_warning_comes_once_an_hour(sharing: Sharing, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    sharing.warn()
    assert not caplog.records
    for _ in range(3):
        crowd(sharing, 100)
        sharing.warn()
        clock.advance(60_000)
    assert len(caplog.records) == 1
    clock.advance(WARN_EVERY_MS)
    crowd(sharing, 100)
    sharing.warn()
    assert len(caplog.records) == 2
