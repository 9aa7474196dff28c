"""Where state lives, built from ``storage``: the SQL database, and the live store with its journal."""

from __future__ import annotations

from dataclasses import dataclass

from foundation.clock import Clock
from foundation.database import Database
from foundation.errors import ConfigError
from foundation.metrics import Metrics
from service.config import SQLITE_FILE, Config
from service.config.storage import DatabaseKind, LiveKind
from service.migrate import migrate
from views.counters.journal import Journal, JournalSettings
from views.counters.memory import MemoryCounterStore
from views.counters.progress import ProgressStore
from views.counters.restoring import Restoring

JOURNAL_DIRECTORY = "live"
GRACE_MS = 60_000
"""What segments are kept beyond the longest life in them, so that a slow start never finds one gone."""


def check_storage(config: Config) -> None:
    """Refuse what this version cannot do yet, before anything is opened. Raises ConfigError."""
    if config.storage.database.kind is not DatabaseKind.SQLITE:
        raise ConfigError("storage.database", "PostgreSQL is not available in this version; use sqlite")
    if config.storage.live.kind is not LiveKind.MEMORY:
        raise ConfigError("storage.live", "Redis is not available in this version; use memory")


async def open_database(config: Config, clock: Clock, metrics: Metrics) -> Database:
    """The database at the schema of this release. Raises StorageUnavailable."""
    path = config.storage.database.path or config.storage.directory / SQLITE_FILE
    database = await Database.open(f"sqlite:///{path}", clock=clock, metrics=metrics)
    await migrate(database)
    return database


@dataclass(frozen=True, slots=True)
class LiveStores:
    """Viewers and watch progress in memory, both written to one journal."""

    counters: MemoryCounterStore
    progress: ProgressStore
    journal: Journal
    clock: Clock

    async def start(self) -> None:
        """Take back what the last run wrote, then go on writing."""
        await self.journal.start(Restoring(self.counters, self.progress, self.clock.now_ms()))

    async def stop(self) -> None:
        await self.journal.stop()
        await self.counters.close()


def live_stores(config: Config, clock: Clock, metrics: Metrics) -> LiveStores:
    views, federation = config.views, config.federation
    journal = Journal(
        JournalSettings(
            config.storage.directory / JOURNAL_DIRECTORY,
            interval_ms=views.journal_interval_ms,
            live_keep_ms=max(federation.max_expires_ms * 5 // 4, views.viewer_lifetime_ms) + GRACE_MS,
            claims_keep_ms=views.view_expiration_ms + GRACE_MS,
            progress_keep_ms=2 * views.stats_lifetime_ms + GRACE_MS,
        ),
        clock,
        metrics,
    )
    return LiveStores(
        MemoryCounterStore(views.max_viewers, recorder=journal, written=journal.written, metrics=metrics),
        ProgressStore(6 * views.max_viewers, recorder=journal, metrics=metrics),
        journal,
        clock,
    )
