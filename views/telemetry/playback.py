"""What players say of playing, judged field by field: PeerTube's playback metrics, and a body of ours. Pure.

PeerTube's (``POST /api/v1/metrics/playback``, 6.3 to 8.x): counters are deltas since the last call, and every call
covers one ``playbackStatsInterval``. What is beyond belief is taken for the most that is believed.

| field | rule |
|---|---|
| ``playerMode`` | ``web-video``, ``p2p-media-loader``, or ``webtorrent`` (6.x) |
| ``resolution`` | needed; pixels of height, 0 is sound alone |
| ``p2pEnabled`` | needed; a boolean |
| ``resolutionChanges``, ``errors``, ``downloadedBytesP2P``, ``downloadedBytesHTTP``, ``uploadedBytesP2P`` | needed |
| ``fps``, ``p2pPeers``, ``bufferStalled`` | may be absent |
| ``videoId`` | needed; integer, UUID or short UUID |
"""

from __future__ import annotations

from typing import Any

import msgspec

from views.sessions import MAX_TOKEN_CHARS, is_session_id
from views.telemetry.quality import UNKNOWN_STALL_MS, Played, score
from views.telemetry.samples import MAX_SAMPLE_MS, Direction, Sample

MAX_BODY = 8_192

PLAYER_MODES = ("web-video", "p2p-media-loader", "webtorrent")

MAX_AGE_MS = 180_000
"""A sample may come this late: as long as its viewer's worker stays after it left."""

MAX_BYTES = 10**12
MAX_COUNT = 10**6
"""Most that is believed of one sample."""

_MOST = 2**53 - 1
_MAX_HEIGHT = 8_640
"""Of a picture of 16K."""
_MAX_TRACK_CHARS = 64
_WHOLE = "Should be an integer, 0 or more"


class PlaybackMetrics(msgspec.Struct, frozen=True, gc=False):
    """A valid body of PeerTube's, but for its video, which nobody has looked for yet."""

    video_id: str
    player_mode: str
    resolution: int
    fps: int | None
    p2p_enabled: bool
    p2p_peers: int
    buffer_stalled: int
    resolution_changes: int
    errors: int
    bytes_p2p: int
    bytes_http: int
    uploaded_p2p: int
    sampled: bool = False
    """Ours: the player says the same of its viewer in samples, which would know of two otherwise."""

    def samples(self, now_ms: int, interval_ms: int) -> list[Sample]:
        """Of the interval that ends now: what was played, and what was sent to others."""
        start_ms = now_ms - min(interval_ms, MAX_SAMPLE_MS)
        track = track_of(self.resolution)
        stall_ms = min(self.buffer_stalled * UNKNOWN_STALL_MS, now_ms - start_ms)
        down = Sample(
            track,
            Direction.DOWN,
            start_ms,
            now_ms,
            bytes=self.bytes_http + self.bytes_p2p,
            stalls=self.buffer_stalled,
            stall_ms=stall_ms,
            switches=self.resolution_changes,
            errors=self.errors,
            layer=self.resolution,
        )
        samples = [judged(down)]
        if self.uploaded_p2p:
            samples.append(Sample(track, Direction.UP, start_ms, now_ms, bytes=self.uploaded_p2p))
        return samples


class PlaybackSample(msgspec.Struct, frozen=True, gc=False):
    """A valid body of ours: who says it, and one sample."""

    session_id: str | None
    viewer_token: str | None
    sample: Sample


def track_of(height: int) -> str:
    return f"{height}p" if height else "audio"


def judged(sample: Sample) -> Sample:
    """With its score."""
    return msgspec.structs.replace(sample, score=round(score(played_of(sample)), 3))


def played_of(sample: Sample) -> Played:
    """As one part of what its viewer played."""
    return Played(
        span_ms=sample.end_ms - sample.start_ms,
        stalls=sample.stalls,
        stall_ms=sample.stall_ms,
        switches=sample.switches,
        errors=sample.errors + sample.failed,
        frames=sample.frames,
        dropped_frames=sample.dropped_frames,
        latency_ms=sample.latency_ms,
        latencies=int(sample.latency_ms > 0),
        startup_ms=sample.startup_ms,
        startups=int(sample.startup_ms > 0),
        bytes=sample.bytes,
    )


def parse_metrics(raw: bytes) -> PlaybackMetrics | dict[str, str]:
    """PeerTube's body, or what is wrong with each of its parameters."""
    body = _object(raw)
    if body is None:
        return {"playerMode": "The body is not a JSON object"}
    read = _Reader(body)
    mode, video_id = body.get("playerMode"), body.get("videoId")
    if mode not in PLAYER_MODES:
        read.bad["playerMode"] = "Should be one of " + ", ".join(PLAYER_MODES)
    resolution = read.whole("resolution", most=_MAX_HEIGHT)
    fps = read.optional("fps", most=10_000)
    enabled = _boolean(body.get("p2pEnabled"))
    if enabled is None:
        read.bad["p2pEnabled"] = "Should be a boolean"
    peers, stalled = read.optional("p2pPeers"), read.optional("bufferStalled")
    changes, errors = read.whole("resolutionChanges"), read.whole("errors")
    p2p, http = read.whole("downloadedBytesP2P"), read.whole("downloadedBytesHTTP")
    uploaded = read.whole("uploadedBytesP2P")
    if not isinstance(video_id, str | int) or isinstance(video_id, bool) or len(str(video_id)) > 36:
        read.bad["videoId"] = "Should be an integer, a UUID or a short UUID"
    if read.bad or enabled is None:
        return read.bad
    return PlaybackMetrics(
        str(video_id),
        str(mode),
        resolution,
        fps,
        enabled,
        min(peers or 0, MAX_COUNT),
        min(stalled or 0, MAX_COUNT),
        min(changes, MAX_COUNT),
        min(errors, MAX_COUNT),
        min(p2p, MAX_BYTES),
        min(http, MAX_BYTES),
        min(uploaded, MAX_BYTES),
        body.get("sampled") is True,
    )


def parse_sample(raw: bytes, now_ms: int) -> PlaybackSample | dict[str, str]:
    """Our body, or what is wrong with each of its parameters. ``duration`` and ``age`` say how long the sample lasted
    and how long ago it ended, in milliseconds: players' clocks are not asked."""
    body = _object(raw)
    if body is None:
        return {"duration": "The body is not a JSON object"}
    read = _Reader(body)
    duration_ms = read.whole("duration", least=1, most=MAX_SAMPLE_MS)
    end_ms = now_ms - (read.optional("age", most=MAX_AGE_MS) or 0)
    height = read.optional("height", most=_MAX_HEIGHT) or 0
    numbers = {field: read.optional(name, most=most) or 0 for name, (field, most) in _SAMPLE_FIELDS.items()}
    if "duration" not in read.bad and numbers["stall_ms"] > duration_ms:
        read.bad.setdefault("stalledTime", "Should be at most duration")
    if numbers["dropped_frames"] > numbers["frames"]:
        read.bad.setdefault("droppedFrames", "Should be at most frames")
    track, mime = read.text("track", _MAX_TRACK_CHARS), read.text("mime", _MAX_TRACK_CHARS)
    direction, session, token = body.get("direction", "down"), body.get("sessionId"), body.get("viewerToken")
    if direction not in ("down", "up"):
        read.bad["direction"] = "Should be down or up"
    if session is not None and not (isinstance(session, str) and is_session_id(session)):
        read.bad["sessionId"] = "Should have 1 to 200 ASCII letters, digits or hyphens"
    if token is not None and not (isinstance(token, str) and 1 <= len(token) <= MAX_TOKEN_CHARS):
        read.bad["viewerToken"] = f"Should be a text of 1 to {MAX_TOKEN_CHARS} characters"
    if read.bad:
        return read.bad
    sample = Sample(
        track or track_of(height),
        Direction(direction),
        end_ms - duration_ms,
        end_ms,
        layer=height,
        mime=mime or "",
        **numbers,
    )
    return PlaybackSample(session, token, judged(sample) if direction == "down" else sample)


_SAMPLE_FIELDS = {
    "bitrate": ("bitrate", MAX_BYTES),
    "bytes": ("bytes", MAX_BYTES),
    "segments": ("segments", MAX_COUNT),
    "failedSegments": ("failed", MAX_COUNT),
    "stalls": ("stalls", MAX_COUNT),
    "stalledTime": ("stall_ms", MAX_SAMPLE_MS),
    "switches": ("switches", MAX_COUNT),
    "startupTime": ("startup_ms", 3_600_000),
    "latency": ("latency_ms", 86_400_000),
    "jitter": ("jitter_ms", 86_400_000),
    "frames": ("frames", MAX_COUNT),
    "droppedFrames": ("dropped_frames", MAX_COUNT),
    "errors": ("errors", MAX_COUNT),
}
"""What a member is called in a sample, and the most that is taken."""


class _Reader:
    """Collects what is wrong."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body
        self.bad: dict[str, str] = {}

    def whole(self, name: str, *, least: int = 0, most: int = _MOST) -> int:
        number = _integer(self._body.get(name))
        if number is None or not least <= number <= most:
            self.bad[name] = _WHOLE if (least, most) == (0, _MOST) else f"Should be an integer, {least} to {most}"
            return least
        return number

    def optional(self, name: str, *, most: int = _MOST) -> int | None:
        return None if self._body.get(name) is None else self.whole(name, most=most)

    def text(self, name: str, longest: int) -> str | None:
        value = self._body.get(name)
        if value is None or (isinstance(value, str) and 1 <= len(value) <= longest and value.isprintable()):
            return value
        self.bad[name] = f"Should be a text of 1 to {longest} characters"
        return None


def _object(raw: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _integer(value: Any) -> int | None:
    """Also as text, as PeerTube's validators take it."""
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= 16 and value.isascii() and value.isdigit():
        return int(value)
    return None


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "false": False, "0": False}.get(value) if isinstance(value, str) else None
