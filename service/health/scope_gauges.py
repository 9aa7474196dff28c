"""Gauges with PeerTube's names: viewers by scope, and the counted views of our videos."""

from __future__ import annotations

from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.counting import ViewCounter
from views.viewers import Viewers


class ScopeGauges:
    """Brought up to date before each scrape, so that they are as exact as any other read."""

    def __init__(self, viewers: Viewers, counter: ViewCounter, metrics: Metrics) -> None:
        self._viewers = viewers
        self._counter = counter
        gauge = metrics.gauge(
            "peertube_viewers_total",
            "Viewers now, by where the viewer and the video are",
            ["viewerOrigin", "videoOrigin"],
        )
        self._local_local = gauge.labels("local", "local")
        self._remote_local = gauge.labels("remote", "local")
        self._local_remote = gauge.labels("local", "remote")
        self._remote_remote = gauge.labels("remote", "remote")
        views = metrics.gauge("peertube_video_views_total", "Counted views of our videos", ["viewOrigin"])
        self._views = views.labels("local")

    async def refresh(self) -> None:
        totals = await self._viewers.sums.by_scope()
        self._local_local.set(totals.local_on_local)
        self._remote_local.set(totals.remote_on_local)
        self._local_remote.set(totals.local_on_remote)
        self._remote_remote.set(totals.remote_on_remote)
        try:
            self._views.set(await self._counter.total_local_views())
        except StorageUnavailable:
            # The last value stands; the scrape of everything else must not fail with the database.
            return
