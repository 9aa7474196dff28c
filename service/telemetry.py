"""Telemetry of one process: built from the configuration, kept going by the clock, ended in order."""

from __future__ import annotations

import logging
from collections.abc import Callable

from foundation.clock import Clock
from foundation.database import Database
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from service.config import Config
from service.stores import LiveStores
from views.catalog import Catalog
from views.model import Video
from views.ports import Notifier
from views.telemetry.feed import ViewerFeed
from views.telemetry.names import SessionNames
from views.telemetry.null import NullTelemetry
from views.telemetry.queue import OpsQueue
from views.telemetry.room_rows import RoomRows
from views.telemetry.rooms import Numbers, Rooms
from views.telemetry.service import TelemetryService
from views.telemetry.telemetry import Telemetry

STOP_LIMIT_MS = 2_000
"""How long what waits at the end may take."""

log = logging.getLogger("fediviews.telemetry")


class TelemetryHouse:
    """``service`` takes every call; ``feed`` and the periodic work are there only where telemetry is on."""

    def __init__(self) -> None:
        self.service: TelemetryService = NullTelemetry()
        self.feed: ViewerFeed | None = None
        self._parts: _Parts | None = None

    @classmethod
    def build(
        cls,
        config: Config,
        *,
        clock: Clock,
        metrics: Metrics,
        database: Database,
        live: LiveStores,
        catalog: Catalog,
        names: SessionNames,
        notifier: Notifier,
        numbers: Callable[[], Numbers],
    ) -> TelemetryHouse:
        """``numbers`` is asked later: who counts viewers is built afterwards."""
        house, settings = cls(), config.telemetry
        if not settings.enabled:
            return house
        queue = OpsQueue(clock, metrics, max_waiting=settings.max_waiting)
        telemetry = Telemetry(queue, NullTelemetry(), notifier, clock, metrics, max_workers=settings.max_viewers)
        sole = config.storage.live.url is None
        rooms = Rooms(telemetry, numbers, catalog, RoomRows(database), clock, sole=sole)
        telemetry.rooms = rooms
        house.service = telemetry
        house.feed = ViewerFeed(
            telemetry,
            rooms,
            names,
            live.counters,
            live.progress,
            catalog,
            clock,
            resume_after_ms=config.views.viewer_lifetime_ms // 2,
            max_held=settings.max_viewers,
        )
        house._parts = _Parts(queue, telemetry, rooms, house.feed, live, clock)
        return house

    def touched(self, video: Video) -> None:
        """Its number may have moved."""
        if self._parts is not None:
            self._parts.rooms.touched(video)

    async def start(self) -> None:
        """After the live store has its state back. Raises StorageUnavailable."""
        if self._parts is not None:
            await self._parts.start()

    async def look(self) -> None:
        """Who departed, which videos began and ended to be watched; about once a second."""
        if self._parts is not None:
            await self._parts.feed.look()
            await self._parts.rooms.look()

    async def flush(self) -> None:
        """Send what players said since the last flush."""
        self.service.flush_stats()

    async def tidy(self) -> None:
        """Forget whom another process saw leave."""
        if self._parts is not None:
            self._parts.telemetry.forget_idle()
            self._parts.feed.tidy()

    async def stop(self) -> None:
        if self._parts is not None:
            await self._parts.stop()


class _Parts:
    def __init__(
        self,
        queue: OpsQueue,
        telemetry: Telemetry,
        rooms: Rooms,
        feed: ViewerFeed,
        live: LiveStores,
        clock: Clock,
    ) -> None:
        self.queue = queue
        self.telemetry = telemetry
        self.rooms = rooms
        self.feed = feed
        self._live = live
        self._clock = clock

    async def start(self) -> None:
        self.queue.start()
        await self.rooms.start(await self._live.counters.watched(self._clock.now_ms()))

    async def stop(self) -> None:
        try:
            await self.rooms.look()
        except StorageUnavailable as problem:
            log.warning("which videos are watched was not written down: %s", problem)
        self.telemetry.flush_stats()
        await self.queue.stop(STOP_LIMIT_MS)
