"""Viewers and views that a host application reports through our outbox, as the counting side knows them."""

from __future__ import annotations

from foundation.errors import Refused
from service.parts import ViewsTower
from views.model import Video

_PREFIX = "application:"
"""Keeps the keys that applications choose apart from users and sessions."""


class ApplicationViews:
    """Implements ``outbox.client_routes.LocalViews``."""

    def __init__(self, tower: ViewsTower) -> None:
        self._tower = tower

    async def watching(self, video: Video, viewer: str, expires_ms: int) -> Refused | None:
        await self._tower.viewers.watching(video, self._key(viewer), expires_ms=expires_ms)
        return None

    async def count(self, video: Video, viewer: str) -> bool | Refused:
        return await self._tower.counter.count_local(video, self._key(viewer))

    def _key(self, viewer: str) -> bytes:
        return self._tower.identity.from_user(_PREFIX + viewer)
