from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from views.telemetry.samples import COUNTERS, MAX_SAMPLE_MS, Direction, Sample, coalesce, is_valid

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def sample(start_ms: int = 0, end_ms: int = 1_000, **said: Any) -> Sample:
    return Sample("720p", Direction.DOWN, start_ms, end_ms, **said)


def test_counters_are_summed_and_delays_are_the_largest() -> None:
    stat = coalesce(
        [
            sample(1_000, 2_000, bytes=5, stalls=1, latency_ms=300, jitter_ms=9, startup_ms=80, frames=10),
            sample(2_000, 4_000, bytes=7, stalls=2, latency_ms=200, jitter_ms=11, dropped_frames=1),
        ]
    )
    assert stat is not None
    assert (stat.start_ms, stat.end_ms, stat.samples) == (1_000, 4_000, 2)
    assert (stat.bytes, stat.stalls, stat.frames, stat.dropped_frames) == (12, 3, 10, 1)
    assert (stat.latency_ms, stat.jitter_ms, stat.startup_ms) == (300, 11, 80)


def test_only_the_highest_layer_is_kept_and_the_last_mime() -> None:
    stat = coalesce(
        [
            sample(2_000, 3_000, layer=720, bitrate=900, mime="video/mp4"),
            sample(0, 1_000, layer=1080, bitrate=700, mime="video/webm"),
        ]
    )
    assert stat is not None
    assert (stat.layer, stat.bitrate, stat.mime) == (1080, 700, "video/mp4")


def test_scores_are_of_those_who_judged() -> None:
    stat = coalesce([sample(score=4.0), sample(score=0.0), sample(score=2.0), sample(score=3.5)])
    assert stat is not None
    assert stat.score == pytest.approx(9.5 / 3)
    assert (stat.score_min, stat.score_median) == (2.0, 3.5)


@pytest.mark.parametrize(
    "wrong",
    [
        sample(1_000, 1_000),
        sample(2_000, 1_000),
        sample(0, MAX_SAMPLE_MS + 1),
        sample(bytes=-1),
        sample(stall_ms=-1),
        sample(latency_ms=-1),
        sample(score=5.1),
        sample(score=-0.1),
    ],
)
def test_what_cannot_be_is_dropped_and_nothing_comes_of_nothing(wrong: Sample) -> None:
    assert not is_valid(wrong)
    assert coalesce([wrong]) is None
    stat = coalesce([wrong, sample(bytes=3)])
    assert stat is not None
    assert (stat.samples, stat.bytes) == (1, 3)


def test_nothing_comes_of_no_samples() -> None:
    assert coalesce([]) is None


_SAMPLES = st.builds(
    Sample,
    track=st.just("720p"),
    direction=st.just(Direction.DOWN),
    start_ms=st.integers(0, 1_000),
    end_ms=st.integers(0, 2_000),
    **{name: st.integers(-2, 100) for name in COUNTERS},
    latency_ms=st.integers(-1, 100),
    layer=st.integers(0, 3),
    score=st.floats(0, 5),
)


@PATIENT
@given(st.lists(_SAMPLES, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_order_does_not_matter_and_nothing_is_lost(samples: list[Sample], random: Any) -> None:
    good = [each for each in samples if is_valid(each)]
    stat = coalesce(samples)
    assert (stat is None) == (not good)
    if stat is None:
        return
    for name in COUNTERS:
        assert getattr(stat, name) == sum(getattr(each, name) for each in good)
    shuffled = list(samples)
    random.shuffle(shuffled)
    again = coalesce(shuffled)
    assert again is not None
    assert (again.latency_ms, again.layer, again.bytes) == (stat.latency_ms, stat.layer, stat.bytes)
    assert again.score == pytest.approx(stat.score)
