from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.metrics import Metrics
from views.model import Privacy, Video
from views.telemetry.playback import (
    MAX_AGE_MS,
    MAX_BYTES,
    PlaybackMetrics,
    PlaybackSample,
    parse_metrics,
    parse_sample,
)
from views.telemetry.playback_metrics import PlaybackSeries
from views.telemetry.samples import MAX_SAMPLE_MS, Direction, is_valid

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NOW = 1_800_000_000_000
PEERTUBE: dict[str, Any] = {
    "playerMode": "p2p-media-loader",
    "resolution": 1080,
    "fps": 30,
    "p2pPeers": 3,
    "p2pEnabled": True,
    "resolutionChanges": 1,
    "errors": 2,
    "bufferStalled": 1,
    "downloadedBytesP2P": 100,
    "downloadedBytesHTTP": 200,
    "uploadedBytesP2P": 50,
    "videoId": "9c9de5e8-0a1e-484a-b099-e80766180a6d",
}
OURS: dict[str, Any] = {
    "sessionId": "anna",
    "duration": 10_000,
    "height": 1080,
    "bitrate": 4_000_000,
    "bytes": 5_000_000,
    "segments": 5,
    "failedSegments": 1,
    "stalls": 1,
    "stalledTime": 700,
    "switches": 1,
    "startupTime": 900,
    "latency": 4_000,
    "jitter": 30,
    "frames": 300,
    "droppedFrames": 3,
    "errors": 0,
}


def peertube(**changes: Any) -> PlaybackMetrics | dict[str, str]:
    return parse_metrics(json.dumps({**PEERTUBE, **changes}).encode())


def ours(**changes: Any) -> PlaybackSample | dict[str, str]:
    return parse_sample(json.dumps({**OURS, **changes}).encode(), NOW)


def test_peertubes_body_becomes_samples_both_ways() -> None:
    said = peertube(unknown="ignored")
    assert isinstance(said, PlaybackMetrics)
    down, up = said.samples(NOW, 15_000)
    assert (down.track, down.direction, down.start_ms, down.end_ms) == ("1080p", Direction.DOWN, NOW - 15_000, NOW)
    assert (down.bytes, down.stalls, down.switches, down.errors) == (300, 1, 1, 2)
    assert 1 <= down.score < 5
    assert (up.direction, up.bytes) == (Direction.UP, 50)
    assert is_valid(down)
    assert is_valid(up)


@pytest.mark.parametrize(
    "changes",
    [
        {"playerMode": "web-video", "resolution": 0},
        {"playerMode": "webtorrent"},
        {"fps": None, "p2pPeers": None, "bufferStalled": None},
        {"p2pEnabled": "false", "errors": "3", "resolution": 720.0},
        {"videoId": 1},
        {"bufferStalled": 10**6, "downloadedBytesHTTP": 2**53 - 1},
    ],
)
def test_what_peertube_takes(changes: dict[str, Any]) -> None:
    said = peertube(**changes)
    assert isinstance(said, PlaybackMetrics)
    assert all(is_valid(sample) for sample in said.samples(NOW, 15_000))
    assert said.bytes_http <= MAX_BYTES


@pytest.mark.parametrize(
    ("changes", "at_fault"),
    [
        ({"playerMode": "vlc"}, {"playerMode"}),
        ({"playerMode": None}, {"playerMode"}),
        ({"playerMode": ["web-video"]}, {"playerMode"}),
        ({"resolution": None}, {"resolution"}),
        ({"resolution": -1}, {"resolution"}),
        ({"resolution": 1.5}, {"resolution"}),
        ({"resolution": True}, {"resolution"}),
        ({"fps": -1}, {"fps"}),
        ({"p2pPeers": "many"}, {"p2pPeers"}),
        ({"p2pEnabled": 1}, {"p2pEnabled"}),
        ({"p2pEnabled": None, "errors": -1}, {"p2pEnabled", "errors"}),
        ({"downloadedBytesHTTP": None}, {"downloadedBytesHTTP"}),
        ({"uploadedBytesP2P": 2**70}, {"uploadedBytesP2P"}),
        ({"videoId": None}, {"videoId"}),
        ({"videoId": True}, {"videoId"}),
        ({"videoId": "x" * 37}, {"videoId"}),
    ],
)
def test_what_peertube_refuses(changes: dict[str, Any], at_fault: set[str]) -> None:
    said = peertube(**changes)
    assert isinstance(said, dict)
    assert said.keys() == at_fault


@pytest.mark.parametrize("raw", [b"", b"[]", b"no", b"\xff", b"[" * 10_000])
def test_what_is_no_object_is_no_body(raw: bytes) -> None:
    assert isinstance(parse_metrics(raw), dict)
    assert isinstance(parse_sample(raw, NOW), dict)


def test_our_body_says_more() -> None:
    said = ours()
    assert isinstance(said, PlaybackSample)
    sample = said.sample
    assert said.session_id == "anna"
    assert (sample.track, sample.layer, sample.start_ms, sample.end_ms) == ("1080p", 1080, NOW - 10_000, NOW)
    assert (sample.stalls, sample.stall_ms, sample.latency_ms, sample.dropped_frames) == (1, 700, 4_000, 3)
    assert 1 <= sample.score < 5


def test_the_least_that_can_be_said() -> None:
    said = parse_sample(b'{"duration": 1000}', NOW)
    assert isinstance(said, PlaybackSample)
    assert (said.sample.track, said.sample.score, said.session_id) == ("audio", 5.0, None)


def test_a_sample_may_be_late() -> None:
    said = ours(age=MAX_AGE_MS)
    assert isinstance(said, PlaybackSample)
    assert said.sample.end_ms == NOW - MAX_AGE_MS


@pytest.mark.parametrize(
    ("changes", "at_fault"),
    [
        ({"duration": None}, {"duration"}),
        ({"duration": 0}, {"duration"}),
        ({"duration": MAX_SAMPLE_MS + 1}, {"duration"}),
        ({"age": MAX_AGE_MS + 1}, {"age"}),
        ({"stalledTime": 10_001}, {"stalledTime"}),
        ({"droppedFrames": 301}, {"droppedFrames"}),
        ({"bytes": MAX_BYTES + 1}, {"bytes"}),
        ({"latency": -1}, {"latency"}),
        ({"direction": "sideways"}, {"direction"}),
        ({"sessionId": "über"}, {"sessionId"}),
        ({"track": ""}, {"track"}),
        ({"track": "x" * 65}, {"track"}),
        ({"mime": "video/mp4\n"}, {"mime"}),
        ({"viewerToken": 5}, {"viewerToken"}),
    ],
)
def test_what_we_refuse(changes: dict[str, Any], at_fault: set[str]) -> None:
    said = ours(**changes)
    assert isinstance(said, dict)
    assert said.keys() == at_fault


_ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5))


@PATIENT
@given(st.dictionaries(st.sampled_from(sorted({*PEERTUBE, *OURS})), _ANYTHING))
def test_no_body_breaks_anything(changes: dict[str, Any]) -> None:
    for parsed in (peertube(**changes), ours(**changes)):
        if isinstance(parsed, PlaybackMetrics):
            assert all(is_valid(sample) for sample in parsed.samples(NOW, 15_000))
        elif isinstance(parsed, PlaybackSample):
            assert is_valid(parsed.sample)
        else:
            assert parsed


# PeerTube's series


def a_video(number: int = 1, privacy: Privacy = Privacy.PUBLIC, *, local: bool = True) -> Video:
    uuid = f"00000000-0000-4000-8000-{number:012}"
    return Video(
        number=number,
        uuid=uuid,
        url=f"https://here.example/videos/watch/{uuid}",
        origin="here.example",
        local=local,
        name="A video",
        duration_s=600,
        is_live=False,
        channel="main",
        privacy=privacy,
        published_ms=0,
        updated_ms=0,
    )


def body(**changes: Any) -> PlaybackMetrics:
    said = peertube(**changes)
    assert isinstance(said, PlaybackMetrics)
    return said


def series(metrics: Metrics, name: str) -> dict[str, float]:
    lines = [line for line in metrics.render().decode().splitlines() if line.startswith(f"peertube_playback_{name}{{")]
    return {line.partition("{")[2].partition("}")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_names_and_labels_are_peertubes() -> None:
    metrics = Metrics()
    playback = PlaybackSeries(metrics, 10)
    playback.add(a_video(), body())
    playback.add(a_video(), body())
    labels = (
        'fps="30",p2pEnabled="true",playerMode="p2p-media-loader",resolution="1080",videoOrigin="local",'
        'videoUUID="00000000-0000-4000-8000-000000000001"'
    )
    assert series(metrics, "errors_count_total") == {labels: 4}
    assert series(metrics, "http_downloaded_bytes_total") == {labels: 400}
    assert series(metrics, "buffer_stalled_count_total") == {labels: 2}


def test_stalls_and_peers_appear_only_when_there_are_any() -> None:
    metrics = Metrics()
    playback = PlaybackSeries(metrics, 10)
    playback.add(a_video(), body(bufferStalled=0, p2pPeers=0, fps=None))
    playback.refresh()
    assert series(metrics, "buffer_stalled_count_total") == {}
    assert series(metrics, "p2p_peers") == {}
    [labels] = series(metrics, "errors_count_total")
    assert 'fps="undefined"' in labels


def test_the_gauge_says_the_last_value_once() -> None:
    metrics = Metrics()
    playback = PlaybackSeries(metrics, 10)
    playback.add(a_video(), body(p2pPeers=3))
    playback.add(a_video(), body(p2pPeers=5))
    playback.refresh()
    assert list(series(metrics, "p2p_peers").values()) == [5]
    playback.refresh()
    assert series(metrics, "p2p_peers") == {}


def test_label_sets_are_bounded_and_a_private_video_has_no_name() -> None:
    metrics = Metrics()
    playback = PlaybackSeries(metrics, 2)
    playback.add(a_video(1, Privacy.PRIVATE), body())
    for number in range(2, 20):
        playback.add(a_video(number, local=False), body(resolution=number, fps=number))
    found = series(metrics, "errors_count_total")
    assert len(found) == 3
    assert sum(found.values()) == 38
    assert any('videoUUID=""' in labels for labels in found)
    assert any('resolution="other"' in labels and 'videoUUID="other"' in labels for labels in found)
