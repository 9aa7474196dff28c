"""Boot order, read from top to bottom: what a running service is made of, how it starts, and how it stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from foundation.clock import Clock, SystemClock
from foundation.errors import ConfigError, Refused, StorageUnavailable
from foundation.metrics import Metrics
from foundation.shedding import Shedder
from service.building.federation_tower import policy_of
from service.building.ground import Ground
from service.building.house import House
from service.building.principals import signed_clients
from service.building.webhooks import hooks_of
from service.config import Config, reloadable_changes, restart_changes, with_reloadable
from service.logs import server_logger
from service.storage.stores import live_stores, open_database, spool_of
from service.tasks import TaskRunner
from service.web.application import Application
from service.web.listening import ConnectionLimits, accept_more, bound_connections, room_for
from service.workers.changes_elsewhere import ChangesElsewhere
from service.workers.siblings import Worker
from service.workers.together import together
from views.model import Video

log = logging.getLogger("fediviews")

STEP_WITHIN_S = 2.0
STOP_WITHIN_MS = 5_000
LEAST_STEP_S = 0.1
"""Of one part of the stop, of all parts together, and of each that comes after that. Nothing acknowledged waits for it:
that is on disk, or in a store, already."""

BACKLOG = 1_024
"""Connections that wait to be taken: what a restart brings at once. Above it clients try again after a second."""

LINGER_S = 1.0
"""After a refused body is answered, how long what is still coming is read and thrown away."""


class Service:
    """One instance: ``await Service.create(config)``, ``await start()``, ``await stop()``. Several may share a process.

    ``create`` opens stores and builds; nothing runs and nothing listens before ``start``. ``url`` is where it listens.
    """

    @classmethod
    async def create(
        cls,
        config: Config,
        *,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
        worker: Worker | None = None,
    ) -> Service:
        """``worker``: one of several processes that share a port. Raises ConfigError or StorageUnavailable, saying what
        is wrong and where."""
        try:
            config.storage.directory.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise ConfigError("storage.directory", f"cannot be made: {problem.strerror}") from None
        clock, metrics = clock or SystemClock(), metrics or Metrics()
        metrics.started(clock.now_ms())
        live = live_stores(config, clock, metrics)
        try:
            live.hold()
            database = await open_database(config, clock, metrics)
        except BaseException:
            await live.stop()
            raise
        try:
            spool = spool_of(config, database, clock, metrics)
            joined = together(config, live, clock, metrics)
            return cls(Ground(config, clock, metrics, database, spool, live, joined, Shedder(metrics)), worker)
        except BaseException:
            await live.stop()
            await database.close()
            raise

    @classmethod
    async def prepare(cls, config: Config) -> None:
        """Make what several processes need and one of them has to make: the schema, keys, the admin token. Raises as
        ``create``."""
        service = await cls.create(config)
        await service.stop()

    def __init__(self, ground: Ground, worker: Worker | None = None) -> None:
        self.ground = ground
        self.worker = worker
        self.url = ""
        self.house = house = House(ground, worker)
        self.tokens, self.clients, self.siblings = house.tokens, house.clients, house.siblings
        self.federation, self.views, self.directory = house.federation, house.views, house.directory
        self.outlet, self.outbox, self.entrance = house.outlet, house.outbox, house.entrance
        self.webhooks, self.livekit, self.housekeeping = house.webhooks, house.livekit, house.housekeeping
        application = Application(house, house.metrics_page)
        self.app, self.push, self._hot = application.app, application.push, application.hot
        self.views.catalog.gone = self._forget_video
        others = ChangesElsewhere(house, self.push)
        others.listen()
        tasks = [*self.housekeeping.tasks(), *self.livekit.tasks(), *others.tasks()]
        self._tasks = TaskRunner(tasks, ground.clock, ground.metrics, ground.together.leases)
        self._runner: web.AppRunner | None = None

    @property
    def config(self) -> Config:
        """As it holds now."""
        return self.house.config

    @property
    def admin_token_path(self) -> str | None:
        """Where the generated admin token lies; None when the configuration names tokens."""
        return self.house.admin_token_path

    # Life

    async def start(self) -> None:
        """Take back what the last run left, then speak, then listen, then do what the clock asks for."""
        config, listen = self.config, self.config.listen
        await self.federation.peers.load()
        await self.federation.kept_keys.load()
        await self.ground.live.start()
        await self._put_videos(config)
        await self.views.geo.start()
        await self.views.websites.start()
        await self.views.viewers.start()
        await self.webhooks.start()
        await self.livekit.start()
        await self.outlet.deliverer.start()
        if self.ground.together.store is None:
            await self._say_numbers()
        await self.outlet.probe.start()
        await self.outbox.events.start()
        await self.outbox.following.start()
        await self.views.recorder.start()
        await self.views.telemetry_house.start()
        await self.ground.together.news.start()
        await self.ground.together.leases.start()
        await self.ground.spool.start()
        await self.push.start()
        await self._tasks.start()
        self._runner = web.AppRunner(
            self.app,
            access_log=None,
            # Compressed bodies are refused unread: nobody's zip bomb is inflated.
            auto_decompress=False,
            keepalive_timeout=listen.idle_timeout_ms / 1000,
            shutdown_timeout=listen.shutdown_grace_ms / 1000,
            lingering_time=LINGER_S,
            logger=server_logger(self.ground.metrics),
            max_line_size=listen.max_header_bytes,
            max_field_size=listen.max_header_bytes,
        )
        await self._runner.setup()
        limits = ConnectionLimits(
            room_for(listen.max_connections),
            listen.max_connections_per_address,
            listen.header_timeout_ms,
            listen.trusted_proxies,
        )
        bound_connections(self._runner, limits, self.ground.metrics)
        self._hot.install(self._runner)
        if self.siblings is not None:
            await self.siblings.start()
        port = listen.port if self.worker is None else self.worker.port
        shared = self.worker is not None or None
        site = web.TCPSite(self._runner, listen.host, port, backlog=BACKLOG, reuse_port=shared)
        try:
            await site.start()
        except OSError as problem:
            raise ConfigError("listen", f"cannot listen on {listen.host}:{port}: {problem.strerror}") from None
        await accept_more(self._runner, BACKLOG)
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def _say_numbers(self) -> None:
        """What is watched is due again: its total would expire elsewhere while no viewer comes or goes here."""
        for number in await self.ground.live.counters.watched(self.ground.clock.now_ms()):
            video = await self.views.catalog.by_number(number)
            if video is not None:
                self.outlet.announcer.number_moved(video)

    async def stop(self) -> None:
        """Stop listening, finish what was promised, write down what lives; bounded by ``shutdown_grace``."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            if self.siblings is not None:
                await self.siblings.stop()
        until_ms = self.ground.clock.monotonic_ms() + STOP_WITHIN_MS
        for what, stop in (
            ("leases were", self.ground.together.leases.stop),
            ("tasks were", self._tasks.stop),
            ("stays were", self.views.recorder.stop),
            ("telemetry was", self.views.telemetry_house.stop),
            ("the spool was", self.ground.spool.stop),
            ("GeoIP was", self.views.geo.stop),
            ("resume positions were", self.views.resume.flush),
            ("following was", self.outbox.following.stop),
            ("peer news were", self.outbox.events.stop),
            ("questions for software were", self.outlet.probe.stop),
            ("imports were", self.entrance.importer.stop),
            ("deliveries were", self.outlet.deliverer.stop),
            ("webhooks were", self.webhooks.stop),
            ("their connections were", self.house.posting.close),
            ("how deliveries went lately was", self.outlet.health.save),
            ("web pages were", self.views.websites.stop),
            ("news were", self.ground.together.news.stop),
            ("live state was", self.ground.live.stop),
            ("what was learnt of peers was", self.federation.peers.save),
            ("their keys were", self.federation.kept_keys.save),
            ("how much peers sent was", self.federation.activity.save),
            ("look-ups of key hosts were", self.federation.origins.close),
            ("connections that ask were", self.federation.asking.close),
            ("connections that deliver were", self.federation.delivering.close),
            ("the database was", self.ground.database.close),
        ):
            left_s = (until_ms - self.ground.clock.monotonic_ms()) / 1000
            await _ended(what, stop, min(STEP_WITHIN_S, max(LEAST_STEP_S, left_s)))
        self.outlet.poster.close()

    async def reload(self, config: Config) -> None:
        """Apply what can change while running; viewers stay. ``config`` was validated as a whole."""
        changed, waiting = reloadable_changes(self.config, config), restart_changes(self.config, config)
        self.house.config = config = with_reloadable(self.config, config)
        self.tokens.replace(self.house.grants(config))
        self.clients.replace(signed_clients(config.tokens))
        for peer in config.peers:
            if peer.block is True:
                await self.outbox.following.reject_all(peer.host)
        self.federation.peers.verdicts.reload(
            [policy_of(peer) for peer in config.peers], open_federation=config.federation.open
        )
        await self.housekeeping.reload_keys()
        logging.getLogger().setLevel(config.logging.level.upper())
        await self.webhooks.replace(hooks_of(config))
        self.livekit.replace(config)
        await self.outbox.events.catch_up()
        await self._put_videos(config)
        # It looks at the configured peers when it starts.
        await self.outbox.following.stop()
        await self.outbox.following.start()
        log.info("configuration reloaded: %s", ", ".join(changed) or "nothing changed")
        if waiting:
            log.warning("these changes need a restart: %s", ", ".join(waiting))

    # Inside

    async def _put_videos(self, config: Config) -> None:
        for index, video in enumerate(config.videos):
            kept = await self.views.catalog.put_local(video.draft())
            if isinstance(kept, Refused):
                raise ConfigError(f"videos[{index}]", kept.detail or kept.reason)

    async def _forget_video(self, video: Video) -> None:
        await self.housekeeping.forget_video(video)
        await self.push.forget(video)


async def _ended(what: str, stop: Callable[[], Awaitable[object]], within_s: float) -> None:
    """What hangs, as a store that does not answer, holds up neither the others nor the end."""
    try:
        async with asyncio.timeout(within_s):
            await stop()
    except (StorageUnavailable, TimeoutError) as problem:
        log.warning("%s not ended in order: %s", what, str(problem) or "no answer in time")
