"""Where telemetry's records go, by the configuration."""

from __future__ import annotations

import asyncio
import logging

from foundation.clock import Clock
from foundation.database import Database
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from service.config import Config
from views.telemetry.analytics import DatabaseSink, Everywhere, LogSink
from views.telemetry.analytics_otel import OpenTelemetrySink
from views.telemetry.interface import AnalyticsService
from views.telemetry.quality_book import QualityBook

log = logging.getLogger("fediviews.telemetry")


class Places:
    """``analytics`` is all that are wanted. Raises ConfigError when OpenTelemetry is wanted and not installed."""

    def __init__(self, config: Config, *, node: str, clock: Clock, metrics: Metrics, database: Database) -> None:
        self._config = config.telemetry
        events = self._config.events
        self.book = QualityBook(database, clock, metrics)
        self._database = DatabaseSink(database, clock, metrics, self._config.max_waiting)
        self._otel: OpenTelemetrySink | None = None
        wanted: list[AnalyticsService] = [self.book]
        if events.log:
            wanted.append(LogSink())
        if events.database:
            wanted.append(self._database)
        if events.opentelemetry is not None and self._config.enabled:
            service = config.instance.url.authority
            self._otel = OpenTelemetrySink.over_http(events.opentelemetry, service=service, node=node)
            wanted.append(self._otel)
        self.analytics = Everywhere(wanted)

    async def write(self) -> None:
        """Raises StorageUnavailable: the rest waits."""
        await self.book.write()
        await self._database.write()

    async def purge(self) -> None:
        await self.book.purge(self._config.playback.max_age_ms)
        await self._database.purge(self._config.events.max_age_ms)

    async def stop(self) -> None:
        try:
            await self.write()
        except StorageUnavailable as problem:
            log.warning("the last records of telemetry are lost: %s", problem)
        if self._otel is not None:
            await asyncio.to_thread(self._otel.close)
