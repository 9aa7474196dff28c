"""Viewers and views that a host application reports through our outbox, as the counting side knows them."""

from __future__ import annotations

from service.parts import ViewsTower
from views.model import Video

_PREFIX = "application:"
"""Keeps the keys that applications choose apart from users and sessions."""


class ApplicationViews:
    """Implements ``outbox.client_routes.LocalViews``."""

    def __init__(self, tower: ViewsTower) -> None:
        self._tower = tower

    async def watching(self, video: Video, viewer: str, expires_ms: int) -> str:
        seen = await self._tower.viewers.watching(video, self._key(viewer), expires_ms=expires_ms)
        return self._tower.viewers.wire_id(video, seen.viewer)

    async def count(self, video: Video, viewer: str) -> str | None:
        return await self._tower.counter.count_view(video, self._key(viewer))

    def _key(self, viewer: str) -> bytes:
        return self._tower.identity.from_user(_PREFIX + viewer)
