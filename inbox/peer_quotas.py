"""How much of what a proven host says is believed. Its viewers per video are judged where they are shown."""

from __future__ import annotations

from collections.abc import Callable

from federation.peers import PeerLimits
from federation.peers.parties import Circle, Parties
from foundation.clock import Clock
from foundation.distinct import DistinctLimiter
from foundation.metrics import Metrics
from foundation.ratelimit import WindowCounter
from views.model import UNVERIFIED

MAX_HOSTS = 20_000
MAX_PAIRS = 100_000
"""Hosts and videos whose counted views are watched at once; the one longest not heard of goes first."""

MINUTE_MS = 60_000
HOUR_MS = 3_600_000


class PeerQuotas:
    """``limits_of(host)`` is asked on every message, so that a changed configuration holds at once.

    Hosts that are one party are believed so much together as ``parties`` says, and each within its own quotas. Every
    process counts for itself. ``most_videos`` is the largest quota of videos of all hosts, ``videos_within_ms``
    how long a viewer without news is here at most.
    """

    def __init__(
        self,
        limits_of: Callable[[str], PeerLimits],
        clock: Clock,
        metrics: Metrics,
        *,
        most_videos: int = 2_000,
        videos_within_ms: int = 600_000,
        parties: Parties | None = None,
    ) -> None:
        self._limits_of = limits_of
        self._parties = parties
        self._new: WindowCounter[str] = WindowCounter(clock, MINUTE_MS, MAX_HOSTS)
        self._videos: DistinctLimiter[str] = DistinctLimiter(clock, most_videos, videos_within_ms, MAX_HOSTS)
        # Wider ones, for many hosts together: in one limiter with the others every host would take so much room.
        self._videos_of_many: dict[int, DistinctLimiter[str]] = {}
        if parties is not None:
            sizes = {parties.hosts_per_site: parties.limits, parties.hosts_per_provider: parties.provider_limits}
            self._videos_of_many = {
                hosts: DistinctLimiter(clock, max(1, limits.videos), videos_within_ms, MAX_HOSTS)
                for hosts, limits in sizes.items()
            }
        self._views: WindowCounter[tuple[str, int]] = WindowCounter(clock, HOUR_MS, MAX_PAIRS)
        above = metrics.counter(
            "fediviews_peer_quota_exceeded", "What peers sent above their quotas, by what became of it", ["outcome"]
        )
        self._unverified, self._dropped = above.labels("unverified").inc, above.labels("dropped").inc

    # Viewers

    def believes(self, host: str, video: int) -> bool:
        """Whether a viewer of this host that is not here yet would count now."""
        limits = self._limits_of(host)
        if self._new.seen(host) >= limits.new_viewers_per_minute:
            return False
        circles = self._circles(host)
        if any(self._new.seen(circle.name) >= circle.limits.new_viewers_per_minute for circle in circles):
            return False
        thing = hash((video, HOUR_MS))
        # In this order: what is above the host's own quota takes nothing of what its neighbours share.
        return self._videos.admits(host, thing, limits.videos) and all(
            self._videos_of_many[circle.hosts].admits(circle.name, thing, circle.limits.videos) for circle in circles
        )

    def came(self, host: str) -> bool:
        """A viewer that counts has come. True: it may have been among the unverified ones before."""
        self._new.see(host)
        for circle in self._circles(host):
            self._new.see(circle.name)
        return self._new.seen(UNVERIFIED + host) > 0

    def notes_unverified(self, host: str) -> bool:
        """Whether one more viewer that does not count is kept, to be shown apart: as many per minute as would count."""
        sources = [(UNVERIFIED + host, self._limits_of(host))]
        sources += [(UNVERIFIED + circle.name, circle.limits) for circle in self._circles(host)]
        if any(self._new.seen(source) >= max(1, limits.new_viewers_per_minute) for source, limits in sources):
            self._dropped()
            return False
        for source, _ in sources:
            self._new.see(source)
        self._unverified()
        return True

    # Counted views

    def counts_view(self, host: str, video: int) -> bool:
        """Whether one more counted view of this video is believed within this hour."""
        believed = self._views.seen((host, video)) < self._limits_of(host).views_per_hour and all(
            self._views.seen((circle.name, video)) < circle.limits.views_per_hour for circle in self._circles(host)
        )
        if not believed:
            self._dropped()
        return believed

    def counted(self, host: str, video: int) -> None:
        self._views.see((host, video))
        for circle in self._circles(host):
            self._views.see((circle.name, video))

    def _circles(self, host: str) -> tuple[Circle, ...]:
        """What it is part of; none where it stands alone."""
        return () if self._parties is None else self._parties.circles(host)
