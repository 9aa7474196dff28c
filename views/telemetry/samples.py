"""How playing went, as players say it: samples of deltas, and what a period's samples of one track come to. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from operator import attrgetter
from statistics import median

import msgspec

MAX_SAMPLE_MS = 300_000
"""Longest time that one sample may speak of; a player sends one every 15 to 30 seconds."""


class Direction(enum.Enum):
    """DOWN: what a viewer plays. UP: what it sends to others (peer to peer), or publishes."""

    DOWN = "down"
    UP = "up"


class Sample(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One player and one track from ``start_ms`` to ``end_ms``. Counters are deltas; the rest are what was seen.

    ``*_max`` values of a period are its largest. ``score`` is 1 to 5, 0 where nobody judged. ``layer`` orders the
    renditions of a track (its height, say).
    """

    track: str
    direction: Direction
    start_ms: int
    end_ms: int
    bytes: int = 0
    segments: int = 0
    failed: int = 0
    stalls: int = 0
    stall_ms: int = 0
    switches: int = 0
    frames: int = 0
    dropped_frames: int = 0
    errors: int = 0
    latency_ms: int = 0
    """From the live edge, at most in this period."""
    jitter_ms: int = 0
    startup_ms: int = 0
    bitrate: int = 0
    layer: int = 0
    score: float = 0.0
    mime: str = ""


COUNTERS = (
    "bytes",
    "segments",
    "failed",
    "stalls",
    "stall_ms",
    "switches",
    "frames",
    "dropped_frames",
    "errors",
)
_OTHERS = ("latency_ms", "jitter_ms", "startup_ms", "bitrate", "layer", "score")


class Stat(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What all samples of one track and direction in one period come to. ``bytes`` … ``errors`` are sums,
    ``latency_ms``, ``jitter_ms`` and ``startup_ms`` maxima, ``layer`` is the highest and ``bitrate`` its highest there,
    ``span_ms`` is the time of all samples, which may overlap or leave gaps between ``start_ms`` and ``end_ms``;
    ``score`` is the mean of the scores that were given, beside the least and the median."""

    track: str
    direction: Direction
    start_ms: int
    end_ms: int
    samples: int
    span_ms: int = 0
    bytes: int = 0
    segments: int = 0
    failed: int = 0
    stalls: int = 0
    stall_ms: int = 0
    switches: int = 0
    frames: int = 0
    dropped_frames: int = 0
    errors: int = 0
    latency_ms: int = 0
    jitter_ms: int = 0
    startup_ms: int = 0
    bitrate: int = 0
    layer: int = 0
    score: float = 0.0
    score_min: float = 0.0
    score_median: float = 0.0
    mime: str = ""


_numbers = attrgetter(*COUNTERS, *_OTHERS)
_counters = attrgetter(*COUNTERS)
_extremes = attrgetter("start_ms", "latency_ms", "jitter_ms", "startup_ms", "layer")
_end = attrgetter("end_ms")


def is_valid(sample: Sample) -> bool:
    """Does it speak of a time that can be, and is nothing negative (a counter that wrapped)?"""
    return 0 < sample.end_ms - sample.start_ms <= MAX_SAMPLE_MS and min(_numbers(sample)) >= 0 and sample.score <= 5


def coalesce(samples: Iterable[Sample]) -> Stat | None:
    """One Stat out of the valid samples of one track and direction; None when there are none."""
    good = [sample for sample in samples if is_valid(sample)]
    if not good:
        return None
    last = good[0] if len(good) == 1 else max(good, key=_end)
    start_ms, latency_ms, jitter_ms, startup_ms, layer = zip(*map(_extremes, good), strict=True)
    highest = max(layer)
    scores = [sample.score for sample in good if sample.score > 0]
    return Stat(
        last.track,
        last.direction,
        min(start_ms),
        last.end_ms,
        len(good),
        sum([sample.end_ms - sample.start_ms for sample in good]),
        **dict(zip(COUNTERS, map(sum, zip(*map(_counters, good), strict=True)), strict=True)),
        latency_ms=max(latency_ms),
        jitter_ms=max(jitter_ms),
        startup_ms=max(startup_ms),
        bitrate=max([sample.bitrate for sample in good if sample.layer == highest]),
        layer=highest,
        score=sum(scores) / len(scores) if scores else 0.0,
        score_min=min(scores, default=0.0),
        score_median=median(scores) if scores else 0.0,
        mime=last.mime,
    )
