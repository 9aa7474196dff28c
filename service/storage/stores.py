"""Where state lives, built from ``storage``: the SQL database, the live store, the journal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from foundation.clock import Clock
from foundation.database import Database
from foundation.database_urls import driver_url
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from foundation.redis.link import RedisLink
from foundation.spool import Spool, SpoolSettings
from service.config import SQLITE_FILE, Config
from service.storage.belonging import check_ours, settle
from service.storage.migrate import check_schema, migrate
from views.counters.base import CounterStore
from views.counters.journal import Journal, JournalSettings
from views.counters.memory import MemoryCounterStore
from views.counters.progress import ProgressKeeper, ProgressStore
from views.counters.redis.progress import RedisProgressStore
from views.counters.redis.settings import RedisSettings
from views.counters.redis.store import RedisCounterStore
from views.counters.restoring import Restoring

JOURNAL_DIRECTORY = "live"
SPOOL_DIRECTORY = "spool"
MIGRATION_TIMEOUT_MS = 6 * 3_600_000
"""Of one statement of a migration; it includes waiting for another process that migrates."""

GRACE_MS = 60_000
"""What segments are kept beyond the longest life in them, so that a slow start never finds one gone."""


def database_url(config: Config) -> str:
    storage = config.storage
    return storage.database.url or f"sqlite:///{storage.database.path or storage.directory / SQLITE_FILE}"


async def open_database(config: Config, clock: Clock, metrics: Metrics) -> Database:
    """For a service: the database at the schema of this release, and ours while it is open. Raises ConfigError, also
    where it belongs to another instance, and StorageUnavailable, also where somebody runs on it who would lose it."""
    # Over connections that may take their time: the limit of statements is made for answers to people.
    migrating = await Database.open(
        database_url(config), clock=clock, metrics=Metrics(), statement_timeout_ms=MIGRATION_TIMEOUT_MS
    )
    try:
        await migrate(migrating)
        await settle(migrating, config.instance.url, clock)
    finally:
        await migrating.close()
    return await open_ours(config, clock, metrics)


async def open_ours(config: Config, clock: Clock, metrics: Metrics) -> Database:
    """The database as a start of the service left it: nothing in it is changed, and while it is open nobody moves it to
    another URL or schema. Raises ConfigError where it is of another URL, StorageUnavailable."""
    storage = config.storage
    url = database_url(config)
    _check_there(url)
    database = await Database.open(
        url,
        clock=clock,
        metrics=metrics,
        readers=storage.database_connections,
        statement_timeout_ms=storage.database_timeout_ms,
        in_use=True,
    )
    try:
        # Only now does nobody change it any more; a write waits for whoever was about to.
        await check_schema(database)
        await check_ours(database, config.instance.url)
    except BaseException:
        await database.close()
        raise
    return database


def _check_there(url: str) -> None:
    """An SQLite file would be made by looking."""
    target = driver_url(url)
    if target.get_backend_name() == "sqlite" and not Path(target.database or "").exists():
        raise StorageUnavailable(f"database {target.database}: there is none yet; start the service once, it makes one")


def spool_of(config: Config, database: Database, clock: Clock, metrics: Metrics) -> Spool:
    """Where what must not be lost waits while the database is gone. Built, not started."""
    storage = config.storage
    settings = SpoolSettings(storage.spool_max_bytes, storage.spool_after_ms)
    return Spool(storage.directory / SPOOL_DIRECTORY, database, clock, metrics, settings)


class LiveStores(Protocol):
    """Who is watching, and how far everybody got."""

    @property
    def counters(self) -> CounterStore: ...

    @property
    def progress(self) -> ProgressStore | ProgressKeeper: ...

    def hold(self) -> None:
        """Until ``stop``, where it belongs to one process: before anything beside it is changed. Raises
        StorageUnavailable."""

    async def start(self) -> None:
        """Before anything is asked or changed. Raises StorageUnavailable: the store does not answer."""

    async def check(self) -> None:
        """Raises StorageUnavailable, naming where and why, while the store does not answer."""

    @property
    def fullness(self) -> float:
        """Share of the places for waiting calls that are taken; at 1.0 the store refuses."""

    async def written(self) -> None:
        """Returns when what was changed so far is as safe from the end of this process as the store makes it."""

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class MemoryStores:
    """Both in memory and written to one journal."""

    counters: MemoryCounterStore
    progress: ProgressStore
    journal: Journal
    clock: Clock

    def hold(self) -> None:
        self.journal.hold()

    async def start(self) -> None:
        """Take back what the last run wrote, then go on writing."""
        await self.journal.start(Restoring(self.counters, self.progress, self.clock.now_ms()))

    async def check(self) -> None:
        """Memory always answers."""

    @property
    def fullness(self) -> float:
        return 0.0

    async def written(self) -> None:
        await self.journal.written()

    async def stop(self) -> None:
        await self.journal.stop()
        await self.counters.close()


@dataclass(frozen=True, slots=True)
class RedisStores:
    """Both in one Redis, over one link."""

    counters: RedisCounterStore
    progress: RedisProgressStore
    link: RedisLink

    def hold(self) -> None:
        """All processes of an instance share it."""

    async def start(self) -> None:
        await self.counters.start()

    async def check(self) -> None:
        await self.counters.ping()

    @property
    def fullness(self) -> float:
        return self.counters.fullness

    async def written(self) -> None:
        """A change that was answered is in another process already."""

    async def stop(self) -> None:
        await self.counters.close()


def live_stores(config: Config, clock: Clock, metrics: Metrics) -> LiveStores:
    """Built, not started. Raises ConfigError for an address of Redis that cannot be used."""
    views = config.views
    if config.storage.live.url is not None:
        link = RedisLink(config.storage.live.url, metrics=metrics)
        settings = _redis_settings(config)
        return RedisStores(
            RedisCounterStore(link, clock, settings, metrics, keep_departed=config.telemetry.enabled),
            RedisProgressStore(link, clock, settings, metrics, lifetime_ms=views.stats_lifetime_ms),
            link,
        )
    journal = Journal(_journal_settings(config), clock, metrics)
    return MemoryStores(
        MemoryCounterStore(
            views.max_viewers,
            recorder=journal,
            written=journal.written,
            keep_departed=config.telemetry.enabled,
            metrics=metrics,
        ),
        ProgressStore(6 * views.max_viewers, recorder=journal, metrics=metrics),
        journal,
        clock,
    )


def _longest_life_ms(config: Config) -> int:
    return max(config.federation.max_expires_ms * 5 // 4, config.views.viewer_lifetime_ms)


def _journal_settings(config: Config) -> JournalSettings:
    views = config.views
    return JournalSettings(
        config.storage.directory / JOURNAL_DIRECTORY,
        interval_ms=views.journal_interval_ms,
        live_keep_ms=_longest_life_ms(config) + GRACE_MS,
        # A mark lives until its message is too old to be believed, which may be dated ahead by as much.
        claims_keep_ms=max(views.view_expiration_ms, 2 * config.federation.clock_skew_ms) + GRACE_MS,
        progress_keep_ms=2 * views.stats_lifetime_ms + GRACE_MS,
        max_bytes=views.journal_max_bytes,
    )


def _redis_settings(config: Config) -> RedisSettings:
    """Every process of one instance comes to the same."""
    return RedisSettings(
        prefix=f"fediviews:{config.instance.url.authority}",
        shards=config.storage.live_shards,
        max_viewers=config.views.max_viewers,
        longest_life_ms=_longest_life_ms(config),
        claim_life_ms=config.views.view_expiration_ms,
    )
