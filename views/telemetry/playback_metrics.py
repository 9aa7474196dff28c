"""PeerTube's Prometheus series of playback, with a bounded number of label sets."""

from __future__ import annotations

from foundation.metrics import Metrics
from views.model import Privacy, Video
from views.telemetry.playback import PlaybackMetrics

OTHER = "other"
_LABELS = ["videoOrigin", "playerMode", "resolution", "fps", "p2pEnabled", "videoUUID"]

_HEIGHTS = frozenset({0, 144, 240, 360, 480, 720, 1080, 1440, 2160, 4320})
_RATES = frozenset({24, 25, 30, 48, 50, 60, 120})


class PlaybackSeries:
    """Names and labels are PeerTube's. What is beyond ``max_label_sets`` goes into series whose ``resolution``, ``fps``
    and ``videoUUID`` say ``other``; unusual resolutions and frame rates say so too, a private video has no name."""

    def __init__(self, metrics: Metrics, max_label_sets: int) -> None:
        self._max_label_sets = max_label_sets
        self._known: set[tuple[str, ...]] = set()
        self._peers: dict[tuple[str, ...], int] = {}
        self._errors = metrics.counter("peertube_playback_errors_count", "Errors of players", _LABELS)
        self._changes = metrics.counter("peertube_playback_resolution_changes_count", "Changed renditions", _LABELS)
        self._stalled = metrics.counter("peertube_playback_buffer_stalled_count", "Stalls of players", _LABELS)
        self._http = metrics.counter("peertube_playback_http_downloaded_bytes", "Bytes from servers", _LABELS)
        self._p2p = metrics.counter("peertube_playback_p2p_downloaded_bytes", "Bytes from other players", _LABELS)
        self._uploaded = metrics.counter("peertube_playback_p2p_uploaded_bytes", "Bytes to other players", _LABELS)
        self._gauge = metrics.gauge("peertube_playback_p2p_peers", "Other players connected", _LABELS)

    def add(self, video: Video, said: PlaybackMetrics) -> None:
        labels = self._labels(video, said)
        self._errors.labels(*labels).inc(said.errors)
        self._changes.labels(*labels).inc(said.resolution_changes)
        if said.buffer_stalled:
            self._stalled.labels(*labels).inc(said.buffer_stalled)
        self._http.labels(*labels).inc(said.bytes_http)
        self._p2p.labels(*labels).inc(said.bytes_p2p)
        self._uploaded.labels(*labels).inc(said.uploaded_p2p)
        if said.p2p_peers:
            self._peers[labels] = said.p2p_peers

    def refresh(self) -> None:
        """Before each scrape: the gauge says what was said last since the scrape before (PeerTube)."""
        self._gauge.clear()
        peers, self._peers = self._peers, {}
        for labels, count in peers.items():
            self._gauge.labels(*labels).set(count)

    def _labels(self, video: Video, said: PlaybackMetrics) -> tuple[str, ...]:
        origin, mode = "local" if video.local else "remote", said.player_mode
        enabled = "true" if said.p2p_enabled else "false"
        resolution = str(said.resolution) if said.resolution in _HEIGHTS else OTHER
        fps = "undefined" if said.fps is None else str(said.fps) if said.fps in _RATES else OTHER
        name = "" if video.privacy is Privacy.PRIVATE else video.uuid
        labels = (origin, mode, resolution, fps, enabled, name)
        if labels not in self._known:
            if len(self._known) >= self._max_label_sets:
                return origin, mode, OTHER, OTHER, enabled, OTHER
            self._known.add(labels)
        return labels
