"""Counting pages of web sites, built from ``pages`` of the configuration: live state, sums, what routes ask."""

from __future__ import annotations

from collections.abc import Callable

from foundation.clock import Clock
from foundation.database import Database
from foundation.http import HttpClient
from foundation.metrics import Metrics
from foundation.redis.link import RedisLink
from service.building.geo import Geo
from service.building.lookups import lookups_of
from service.config import Config
from service.storage.stores import GRACE_MS, LiveStores, MemoryStores, RedisStores
from views.counters.journal import Journal, JournalSettings
from views.counters.memory import MemoryCounterStore
from views.counters.progress import ProgressStore
from views.counters.redis.progress import RedisProgressStore
from views.counters.redis.settings import RedisSettings
from views.counters.redis.store import RedisCounterStore
from views.geo.places import Place
from views.pages.active import ActiveSessions
from views.pages.backfill import Backfill
from views.pages.catalog import PageCatalog
from views.pages.fetching import CatalogFetcher
from views.pages.model import Room, Rules
from views.pages.queries import PageQueries
from views.pages.retention import PageRetention
from views.pages.service import Pages
from views.pages.sites import NamedSite, Sites
from views.pages.visits import PageVisits
from views.sessions import Identity

JOURNAL_DIRECTORY = "live-pages"
JOURNAL_MAX_BYTES = 1_000_000_000
NAMES_PER_SESSION = 3
"""A session is there for its site, for its page and for its place."""


class WebSites:
    """``pages`` is what routes ask; ``start`` before they do. Without sites nothing is kept and nothing runs."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        metrics: Metrics,
        database: Database,
        identity: Identity,
        geo: Geo,
        user_agent: str,
    ) -> None:
        self._live = _live_stores(config, clock)
        rules, room = _rules(config), _room(config)
        active = ActiveSessions(self._live.counters, self._live.progress, clock, metrics, rules)
        self.pages = Pages(
            sites=sites_of(config, database),
            active=active,
            visits=PageVisits(database, active, clock, metrics, room),
            queries=PageQueries(database),
            catalog=PageCatalog(database),
            backfill=backfill_of(config, clock, database, identity, geo.locate),
            retention=PageRetention(database, clock, config.pages.max_age_ms),
            location_minimum=config.pages.location_minimum,
            locate=geo.locate,
            city=geo.city,
        )
        self._used = bool(config.pages.sites)
        federation = config.federation
        # Its requests are counted as catalogs.
        self._http = HttpClient(
            clock,
            Metrics(),
            allow_private_addresses=federation.allow_private_addresses,
            allow_http=federation.allow_http,
            user_agent=user_agent,
            resolver=lookups_of(config, clock),
            name="catalog",
        )
        self._fetcher = CatalogFetcher(
            self.pages.sites,
            self.pages.catalog,
            self._http,
            clock,
            metrics,
            urls={site.host: site.catalog for site in config.pages.sites if site.catalog is not None},
            period_ms=config.pages.catalog_refresh_ms,
        )

    async def start(self) -> None:
        """Raises StorageUnavailable."""
        if self._used:
            await self._live.start()
            await self.pages.sites.load()

    async def sweep(self) -> None:
        if self._used:
            await self.pages.active.sweep()

    async def fetch_catalogs(self) -> None:
        if self._used:
            await self._fetcher.fetch_due()

    async def purge(self) -> None:
        await self.pages.retention.purge()

    async def stop(self) -> None:
        await self._live.stop()
        await self._http.close()


def sites_of(config: Config, database: Database) -> Sites:
    return Sites(
        database,
        [NamedSite(site.host, tuple(map(str, site.origins)), site.public, site.listed) for site in config.pages.sites],
    )


def backfill_of(
    config: Config, clock: Clock, database: Database, identity: Identity, locate: Callable[[str], Place]
) -> Backfill:
    return Backfill(
        database,
        clock,
        identity.visitor_then,
        rules=_rules(config),
        room=_room(config),
        batch=config.pages.backfill_batch,
        max_age_ms=config.pages.max_age_ms,
        country_of=lambda ip: locate(ip)[0],
    )


def _rules(config: Config) -> Rules:
    pages = config.pages
    return Rules(pages.view_dedup_ms, pages.heartbeat_dedup_ms, pages.session_timeout_ms)


def _room(config: Config) -> Room:
    return Room(config.pages.max_paths, config.pages.max_referrers)


def _live_stores(config: Config, clock: Clock) -> LiveStores:
    """As ``service.storage.stores`` makes those of viewers, in a keyspace and a journal of their own; what they would
    say in metrics carries the names of viewers, so it is not shown."""
    pages, unseen = config.pages, Metrics()
    most = NAMES_PER_SESSION * pages.max_sessions
    if config.storage.live.url is not None:
        link = RedisLink(config.storage.live.url, metrics=unseen)
        settings = RedisSettings(
            prefix=f"fediviews:{config.instance.url.authority}:pages",
            shards=config.storage.live_shards,
            max_viewers=most,
            longest_life_ms=pages.session_timeout_ms,
            claim_life_ms=pages.view_dedup_ms,
        )
        return RedisStores(
            RedisCounterStore(link, clock, settings, unseen),
            RedisProgressStore(link, clock, settings, unseen, lifetime_ms=pages.session_timeout_ms),
            link,
        )
    journal = Journal(
        JournalSettings(
            config.storage.directory / JOURNAL_DIRECTORY,
            interval_ms=config.views.journal_interval_ms,
            live_keep_ms=pages.session_timeout_ms + GRACE_MS,
            claims_keep_ms=pages.view_dedup_ms + GRACE_MS,
            progress_keep_ms=2 * pages.session_timeout_ms + GRACE_MS,
            max_bytes=JOURNAL_MAX_BYTES,
        ),
        clock,
        unseen,
    )
    return MemoryStores(
        MemoryCounterStore(most, recorder=journal, written=journal.written, metrics=unseen),
        ProgressStore(pages.max_sessions, recorder=journal, metrics=unseen),
        journal,
        clock,
    )
