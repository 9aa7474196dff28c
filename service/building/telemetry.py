"""Telemetry of one process: built from the configuration, kept going by the clock, ended in order."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

from foundation.clock import Clock
from foundation.database import Database
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from service.building.telemetry_places import Places
from service.config import Config
from service.storage.stores import LiveStores
from views.catalog.catalog import Catalog
from views.model import Video
from views.ports import Notifier
from views.telemetry.desk import PlaybackDesk
from views.telemetry.feed import ViewerFeed
from views.telemetry.interface import TelemetryService
from views.telemetry.names import SessionNames
from views.telemetry.null import NullTelemetry
from views.telemetry.playback_metrics import PlaybackSeries
from views.telemetry.queue import OpsQueue
from views.telemetry.room_rows import RoomRows
from views.telemetry.rooms import Numbers, Rooms
from views.telemetry.telemetry import Telemetry

STOP_LIMIT_MS = 2_000
"""How long what waits at the end may take."""

SAY_EVERY_MS = 60_000
"""How often the log hears of a store that is gone."""

log = logging.getLogger("fediviews.telemetry")


class TelemetryHouse:
    """``service`` takes every call and ``desk`` every question; ``feed`` is there only where telemetry is on."""

    def __init__(
        self,
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
    ) -> None:
        """``numbers`` is asked later: who counts viewers is built afterwards. Raises ConfigError."""
        settings = config.telemetry
        node = "ND_" + secrets.token_hex(6)
        self._clock = clock
        self._say_from_ms = clock.monotonic_ms()
        self._live = live
        self._places = places = Places(config, node=node, clock=clock, metrics=metrics, database=database)
        self._queue = OpsQueue(clock, metrics, max_waiting=settings.max_waiting)
        self._telemetry = telemetry = Telemetry(
            self._queue, places.analytics, notifier, clock, metrics, node=node, max_workers=settings.max_viewers
        )
        sole = config.storage.live.url is None
        self._rooms = telemetry.rooms = Rooms(telemetry, numbers, catalog, RoomRows(database), clock, sole=sole)
        self._on = settings.enabled
        self._feed = ViewerFeed(
            telemetry,
            self._rooms,
            names,
            live.counters,
            live.progress,
            catalog,
            clock,
            resume_after_ms=config.views.viewer_lifetime_ms // 2,
            max_held=settings.max_viewers,
        )
        self.service: TelemetryService = telemetry if self._on else NullTelemetry()
        self.feed = self._feed if self._on else None
        self.series = PlaybackSeries(metrics, settings.playback.max_label_sets)
        interval_ms = settings.playback.interval_ms if self._on else None
        self.desk = PlaybackDesk(self.service, names, places.book, self.series, interval_ms)

    def touched(self, video: Video) -> None:
        """Its number may have moved."""
        self._rooms.touched(video)

    async def start(self) -> None:
        """After the live store has its state back. Raises StorageUnavailable."""
        if self._on:
            self._queue.start()
            await self._rooms.start(await self._live.counters.watched(self._clock.now_ms()))

    async def look(self) -> None:
        """Who departed, which videos began and ended to be watched; about once a second."""
        if not self._on:
            return
        try:
            await self._feed.look()
            await self._rooms.look()
        except StorageUnavailable as problem:
            now_ms = self._clock.monotonic_ms()
            if now_ms >= self._say_from_ms:
                self._say_from_ms = now_ms + SAY_EVERY_MS
                log.warning("who came and went waits to be told: %s", problem)

    async def flush(self) -> None:
        """Put together what players said, and write down what was put together before."""
        self.service.flush_stats()
        await self._places.write()

    async def tidy(self) -> None:
        """Forget whom another process saw leave."""
        if self._on:
            self._telemetry.forget_idle()
            self._feed.tidy()

    async def purge(self) -> None:
        """Forget what is older than the configuration wants it kept."""
        await self._places.purge()

    def viewers_gone(self, video: Video) -> None:
        """The live store was told to forget them."""
        if self._on:
            self._feed.forget_video(video)

    async def forget_video(self, number: int) -> None:
        """The video is gone, with what was said of it."""
        await self._places.book.forget_video(number)

    async def stop(self) -> None:
        if self._on:
            try:
                await self._rooms.look()
            except StorageUnavailable as problem:
                log.warning("which videos are watched was not written down: %s", problem)
            self._telemetry.flush_stats()
            await self._queue.stop(STOP_LIMIT_MS)
        await self._places.stop()
