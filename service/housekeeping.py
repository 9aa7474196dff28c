"""What the clock asks of a running service: one table of tasks, and the same work on an admin's command."""

from __future__ import annotations

import asyncio
import logging

from foundation.errors import ConfigError
from outbox.health import is_dead
from service.building.door_in import Entrance
from service.building.door_out import Outbox, Outlet
from service.building.federation_tower import FederationTower
from service.building.ground import Ground
from service.building.late import LateEvents
from service.building.views_tower import ViewsTower
from service.health import load
from service.tasks import Task
from views.model import Video
from views.resume import WRITE_EVERY_MS
from views.routes.services import Command
from views.stats.tables import STAYS
from views.tables import HOURS

log = logging.getLogger("fediviews")

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
VERDICTS_MS = 5_000
KEYS_EVERY_MS = 5_000
"""How soon every process signs with a key that `fediviews keys rotate` made, and knows what keys others kept."""
FORGET_PEERS_AFTER_MS = 90 * DAY_MS
CATALOGS_MS = 10_000
"""How often it is looked which catalogs are due."""

REFRESHED_AT_ONCE = 20


class Housekeeping:
    """Every method is safe to call at any time, also twice at once."""

    def __init__(
        self,
        ground: Ground,
        federation: FederationTower,
        views: ViewsTower,
        outlet: Outlet,
        door_out: Outbox,
        door_in: Entrance,
        events: LateEvents,
    ) -> None:
        self._ground = ground
        self._federation = federation
        self._views = views
        self._outlet = outlet
        self._out = door_out
        self._in = door_in
        self._events = events
        self._key_problem = ""
        self._gauge = load.LoadGauge(
            ground.shedder,
            ground.clock,
            ground.config.listen.overload_lag_ms,
            # Half full is too much: what is full refuses without an order.
            [lambda: 2 * ground.database.fullness, lambda: 2 * ground.live.fullness],
        )

    def tasks(self) -> list[Task]:
        config = self._ground.config
        views, federation = config.views, config.federation
        flush_ms = max(100, min(MINUTE_MS, federation.announce_views_within_ms // 2))
        save_ms = max(1_000, min(MINUTE_MS, views.stats_lifetime_ms // 4))
        refresh_ms = max(1_000, min(HOUR_MS, federation.video_refresh_ms // 4))
        return [
            Task("measure the load", self._gauge.measure, load.PERIOD_MS),
            Task("sweep viewers", self.sweep, views.sweep_interval_ms),
            Task("follow viewers", self._views.telemetry_house.look, views.sweep_interval_ms),
            Task("flush telemetry", self._views.telemetry_house.flush, config.telemetry.flush_interval_ms),
            Task("forget viewers of other processes", self._views.telemetry_house.tidy, 10 * MINUTE_MS),
            Task("sweep visitors of pages", self._views.websites.sweep, views.sweep_interval_ms),
            Task("fetch catalogs of sites", self._views.websites.fetch_catalogs, CATALOGS_MS, once=True),
            Task("save viewers that have left", self._views.recorder.sweep, save_ms),
            Task("settle statistics", self._views.cleaner.settle, MINUTE_MS, once=True),
            Task("announce view counts", self._announce_views, flush_ms, once=True),
            Task("see keys that were rotated", self.reload_keys, KEYS_EVERY_MS),
            Task("ask what followers run", self._ask_followers, MINUTE_MS),
            Task("keep what is known of peers", self._federation.peers.save, MINUTE_MS),
            Task("keep keys of peers", self._federation.kept_keys.save, KEYS_EVERY_MS),
            Task("keep how deliveries went", self._outlet.health.save, MINUTE_MS),
            Task("compare peers with their past", self._federation.activity.save, MINUTE_MS),
            Task("hear whom others blocked", self._federation.peers.verdicts.refresh, VERDICTS_MS),
            Task("refresh remote videos", self._refresh_videos, refresh_ms, once=True),
            Task("write resume positions", self._views.resume.flush, WRITE_EVERY_MS),
            Task("refresh GeoIP databases", self._views.geo.refresh, HOUR_MS),
            Task("look for an untrusted proxy", self._look_for_proxy, MINUTE_MS),
            Task("make room for the next months", self._make_months, HOUR_MS),
            Task("forget old ids and buckets", self.purge, HOUR_MS, once=True),
        ]

    def commands(self) -> dict[str, Command]:
        """PeerTube's debug commands; ``process-video-stats-buffer`` is the first one's name since 8.2."""
        return {
            "process-video-views-buffer": self._announce_all_views,
            "process-video-stats-buffer": self._announce_all_views,
            "process-video-viewers": self._views.recorder.sweep,
            "process-remove-old-stats": self.purge,
        }

    async def reload_keys(self) -> None:
        """Sign with, and publish, the keys that lie in the directory now; and forget those that are over.

        A new key that cannot be used leaves the old one in use, and is said once.
        """
        ring, problem = self._federation.ring, ""
        try:
            if await asyncio.to_thread(ring.reload):
                log.info("keys changed: we sign with %s", ring.keys.current.fragment)
            for path in await asyncio.to_thread(ring.retire):
                log.info("the old key %s is over and deleted", path.name)
        except ConfigError as error:
            problem = str(error)
            if problem != self._key_problem:
                log.error("the new key is not taken, the old one stays in use: %s", problem)
        self._key_problem = problem

    async def sweep(self) -> None:
        """Viewers whose time is over, or whose instance was blocked, leave."""
        while self._events.blocked:
            await self._views.viewers.forget_peer(self._events.blocked.pop())
        await self._views.viewers.sweep()

    async def forget_video(self, video: Video) -> None:
        """It is gone, or private from now on: nobody watches it, as far as others know.

        Who watches a private video is still in its statistics: only what is deleted takes its watch time with it.
        """
        await self._views.viewers.forget_video(video.number)
        self._views.telemetry_house.viewers_gone(video)
        if await self._views.catalog.by_number(video.number) is None:
            await self._views.watching.forget_video(video.number)
            self._views.resume.forget_video(video.number)
            await self._views.telemetry_house.forget_video(video.number)

    async def purge(self) -> None:
        """Forget what is older than the configuration wants it kept."""
        now_ms = self._ground.clock.now_ms()
        config = self._ground.config
        ids_before_ms = now_ms - config.federation.remember_ids_ms
        await self._views.counter.purge_remote_views(ids_before_ms)
        await self._federation.peers.purge_peers(now_ms - FORGET_PEERS_AFTER_MS)
        await self._federation.kept_keys.purge()
        await self._let_dead_followers_go(now_ms - config.federation.follower_expires_ms)
        await self._outlet.health.purge(now_ms - FORGET_PEERS_AFTER_MS)
        await self._federation.activity.purge()
        age = config.views.max_age
        await self._out.events.purge(now_ms - config.federation.retry_for_ms)
        await self._views.counter.purge_hourly(now_ms, local_max_age_ms=age.local_ms, remote_max_age_ms=age.remote_ms)
        await self._views.cleaner.purge(local_max_age_ms=age.local_ms, remote_max_age_ms=age.remote_ms)
        await self._views.resume.purge()
        await self._views.websites.purge()
        await self._ground.spool.purge()
        await self._views.telemetry_house.purge()

    async def _let_dead_followers_go(self, before_ms: int) -> None:
        """They take places that others want. Done by two processes at once it is the same."""
        health_of = await self._outlet.health.everybody()
        for host in [follower.host for follower in self._federation.peers.followers()]:
            if self._federation.peers.parties.circles(host) and is_dead(health_of(host), before_ms):
                await self._out.following.remove_follower(host)

    async def _make_months(self) -> None:
        for kept in (STAYS, HOURS):
            await kept.ahead(self._ground.database, self._ground.clock.now_ms())

    async def _ask_followers(self) -> None:
        self._out.events.ask_followers()

    async def _look_for_proxy(self) -> None:
        self._views.sharing.warn()

    async def _announce_views(self) -> None:
        await self._views.counter.flush_moved(self._ground.clock.now_ms())

    async def _announce_all_views(self) -> None:
        await self._views.counter.flush_moved(self._ground.clock.now_ms(), force=True)

    async def _refresh_videos(self) -> None:
        await self._in.importer.refresh(self._stale)

    async def _stale(self) -> list[Video]:
        before_ms = self._ground.clock.now_ms() - self._ground.config.federation.video_refresh_ms
        return list(await self._views.catalog.stale_remote(before_ms, REFRESHED_AT_ONCE))
