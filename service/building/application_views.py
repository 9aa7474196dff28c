"""Viewers and views that a host application reports through our outbox, as the counting side knows them."""

from __future__ import annotations

from foundation.clock import Clock
from service.building.views_tower import ViewsTower
from views.model import Video

_PREFIX = "application:"
"""Keeps the keys that applications choose apart from users and sessions."""


class ApplicationViews:
    """Implements ``outbox.client_routes.LocalViews``."""

    def __init__(self, tower: ViewsTower, clock: Clock) -> None:
        self._tower = tower
        self._clock = clock

    async def watching(self, video: Video, viewer: str, expires_ms: int) -> str:
        seen = await self._tower.viewers.watching(video, self._key(viewer), expires_ms=expires_ms)
        if self._tower.telemetry_house.feed is not None:
            now_ms = self._clock.now_ms()
            self._tower.telemetry_house.feed.watching(video, seen.viewer, now_ms, is_new=seen.is_new)
        return self._tower.viewers.wire_id(video, seen.viewer)

    async def count(self, video: Video, viewer: str) -> str | None:
        return await self._tower.counter.count_view(video, self._key(viewer))

    def _key(self, viewer: str) -> bytes:
        return self._tower.identity.from_user(_PREFIX + viewer)
