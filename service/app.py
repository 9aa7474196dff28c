"""Boot order, read from top to bottom: what a running service is made of, how it starts, and how it stops."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from federation import routes as identity_routes
from federation.actors import ActorClient
from federation.discovery import Offers
from federation.keys import load_public_key
from federation.signatures.verifier import SignedRequest, inspect
from foundation.clock import Clock, SystemClock
from foundation.errors import ConfigError, Refused, StorageUnavailable
from foundation.metrics import Metrics
from foundation.principal import Principal, Role
from foundation.shedding import Shedder
from foundation.tokens import TokenBook, TokenGrant
from foundation.urls import authority
from foundation.web import client_address
from inbox import routes as inbox_routes
from inbox.livekit import receiver as livekit_routes
from outbox.client_auth import ClientAuthenticator, SignedClient
from outbox.client_routes import ClientRoutes
from outbox.follow_routes import FollowRoutes
from outbox.routes import DocumentRoutes
from outbox.watch_actions import WatchActionRoutes
from outbox.webhooks.routes import WebhookRoutes
from service import VERSION, admin_routes, delivery_routes, health, nowhere, openapi
from service.applications import ApplicationViews
from service.config import (
    Config,
    Token,
    generate_admin_token,
    reloadable_changes,
    restart_changes,
    with_reloadable,
)
from service.directory import ServiceDirectory
from service.doctor import routes as doctor_routes
from service.doctor.model import Surroundings
from service.doors import entrance, outbox, outlet
from service.hooks import hooks_of, posting, telling, webhooks
from service.housekeeping import Housekeeping
from service.late import Late, LateEvents
from service.listening import ConnectionLimits, bound_connections, room_for
from service.live_push import LivePush
from service.livekit import livekit_house
from service.logs import server_logger
from service.pages import Pages
from service.parts import VIDEO_NEWS, Ground, ViewsTower, federation_tower, grants_of, policy_of, views_api, views_tower
from service.peer_gauges import PeerGauges
from service.scopes import ScopeGauges
from service.scripts import Scripts
from service.stores import live_stores, open_database, spool_of
from service.tasks import Task, TaskRunner
from service.together import together
from service.workers.siblings import Siblings, Worker
from views import routes as views_routes
from views.model import Video
from views.telemetry.calls import ApiCalls

log = logging.getLogger("fediviews")

PEER_NEWS = "peers"
"""Topic of changed follows and verdicts."""
LISTENED_MS = 1_000
ELSEWHERE_MS = 60_000
REMEMBERED_MS = 15_000
"""How long what another process changed may go unnoticed when its news was lost."""

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
        database = await open_database(config, clock, metrics)
        try:
            live, spool = live_stores(config, clock, metrics), spool_of(config, database, clock, metrics)
            joined = together(config, live, clock, metrics)
            return cls(Ground(config, clock, metrics, database, spool, live, joined, Shedder(metrics)), worker)
        except BaseException:
            await database.close()
            raise

    @classmethod
    async def prepare(cls, config: Config) -> None:
        """Make what several processes need and one of them has to make: the schema, keys, the admin token. Raises as
        ``create``."""
        service = await cls.create(config)
        await service.stop()

    def __init__(self, ground: Ground, worker: Worker | None = None) -> None:
        self.worker = worker
        self.siblings: Siblings | None = None
        if worker is not None:
            self.siblings = Siblings(worker, ground.config.storage.directory, ground.metrics)
        self.config = config = ground.config
        self.ground = ground
        self.url = ""
        self.admin_token_path: str | None = None
        self.tokens = TokenBook(self._grants(config))

        events = LateEvents()
        self.federation = federation = federation_tower(ground, events)
        late_views: Late[ViewsTower] = Late()
        self._posting = posting(config, ground.clock, ground.metrics)
        self.webhooks = webhooks(ground, self._posting)
        self.outlet = out = outlet(ground, federation, late_views, self.webhooks)
        self.views = views = views_tower(
            ground,
            out.announcer,
            identity=federation.identity,
            quota_of=federation.peers.quota,
            notifier=self.webhooks,
            counted=self.webhooks,
        )
        late_views.value = views
        self.webhooks.processed = telling(views.telemetry)
        self.outbox = door_out = outbox(ground, federation, views, out)
        events.to.value = door_out.events
        self.directory = ServiceDirectory(federation.identity, federation.ring, views.catalog, ground.database)
        self.entrance = entrance(
            ground,
            federation,
            views,
            events=events,
            following=door_out.following,
            directory=self.directory,
            committed=out.deliverer.committed,
        )
        self.clients = ClientAuthenticator(
            tokens=self.tokens, profile=federation.profile, clock=ground.clock, clients=_signed_clients(config.tokens)
        )
        self.housekeeping = Housekeeping(ground, federation, views, out, door_out, self.entrance, events)
        views.catalog.gone = self._forget_video
        self.livekit = livekit_house(ground, views)
        self._listen_to_others()
        tasks = [*self.housekeeping.tasks(), *self.livekit.tasks(), *self._shared_tasks()]
        self._tasks = TaskRunner(tasks, ground.clock, ground.metrics, ground.together.leases)
        self._scopes = ScopeGauges(views.viewers, views.counter, ground.metrics)
        self._peer_gauges = PeerGauges(
            out.reports,
            federation.peers,
            ground.clock,
            ground.metrics,
            limit=config.federation.peer_metrics,
            serves=ground.together.leases.holds,
        )
        if self.siblings is not None:
            self.siblings.refresh = self._refresh_gauges
        self.app = self._application()
        self._runner: web.AppRunner | None = None

    def _grants(self, config: Config) -> list[TokenGrant]:
        if config.tokens:
            return grants_of(config.tokens)
        token, path = generate_admin_token(config.storage.directory)
        self.admin_token_path = str(path)
        return [TokenGrant("admin", Role.ADMIN, token)]

    def _application(self) -> web.Application:
        """No middleware, and the hot routes first."""
        ground, config, federation, views = self.ground, self.config, self.federation, self.views
        app = web.Application(client_max_size=config.listen.max_body_bytes)
        api = views_api(ground, views, self.tokens, self.entrance.importer, self.housekeeping.commands())
        self.push = LivePush(ground, views, views_routes.setup_routes(app.router, api), app, self.siblings)
        inbox_routes.setup_routes(app.router, self.entrance.pipeline, self._is_actor_path)
        livekit_routes.setup_routes(app.router, self.livekit.receiver)
        pages = Pages(federation.identity)
        pages.setup(app)
        Scripts(VERSION).setup(app)
        guard = self._require_signature if config.federation.signed_fetch else None
        offers = Offers(
            VERSION,
            config.views.viewer_lifetime_ms,
            config.federation.announce_within_ms,
            batch_items=config.federation.batch_max_items,
            max_body_bytes=config.listen.max_body_bytes,
        )
        identity_routes.setup_routes(app.router, self.directory, offers, page=pages.actor, require_signature=guard)
        DocumentRoutes(
            identity=federation.identity,
            videos=views.catalog,
            collections=self.outbox.collections,
            shown=self._shown,
            channel_exists=self._has_channel,
            render=pages.render,
            require_signature=guard,
        ).setup(app.router)
        WatchActionRoutes(
            identity=federation.identity, stays=views.recorder, videos=views.catalog, require_signature=guard
        ).setup(app.router)
        ClientRoutes(
            identity=federation.identity,
            authenticate=self.clients.authenticate,
            videos=views.catalog,
            local_views=ApplicationViews(views, ground.clock),
            clock=ground.clock,
            max_expires_ms=config.federation.max_expires_ms,
        ).setup(app.router)
        FollowRoutes(
            identity=federation.identity,
            tokens=self.tokens,
            peers=federation.peers,
            following=self.outbox.following,
        ).setup(app.router)
        calls = ApiCalls(views.telemetry, ground.clock)
        admin_routes.setup_routes(
            app.router,
            tokens=self.tokens,
            peers=federation.peers,
            following=self.outbox.following,
            events=self.outbox.events,
            quarantine=self.entrance.quarantine,
            replay=self.entrance.replay,
            unusual=federation.activity.unusual,
            reports=self.outlet.reports,
            calls=calls,
        )
        delivery_routes.setup_routes(
            app.router,
            tokens=self.tokens,
            queues=self.outlet.queues,
            hurry=self.outlet.elsewhere.hurry,
            calls=calls,
        )
        doctor_routes.setup_routes(app.router, tokens=self.tokens, around=self._surroundings)
        WebhookRoutes(self.tokens, self.webhooks).setup(app.router)
        openapi.setup_routes(app.router, str(config.instance.url))
        nowhere.setup_routes(app.router)
        health.setup_routes(
            app.router,
            render=self._metrics_page,
            checks={"database": ground.database.check, "live": ground.live.check},
            principal_of=self.tokens.authenticate,
            client_address=lambda request: client_address(request, config.listen.trusted_proxies),
        )
        return app

    # Life

    async def start(self) -> None:
        """Take back what the last run left, then speak, then listen, then do what the clock asks for."""
        config, listen = self.config, self.config.listen
        await self.federation.peers.load()
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
        if self.siblings is not None:
            await self.siblings.start()
        port = listen.port if self.worker is None else self.worker.port
        site = web.TCPSite(self._runner, listen.host, port, reuse_port=self.worker is not None or None)
        try:
            await site.start()
        except OSError as problem:
            raise ConfigError("listen", f"cannot listen on {listen.host}:{port}: {problem.strerror}") from None
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
        await self.ground.together.leases.stop()
        await self._tasks.stop()
        await self.views.recorder.stop()
        await self.views.telemetry_house.stop()
        await self.ground.spool.stop()
        await self.views.geo.stop()
        await _kept(self.views.resume.flush, "the last resume positions are")
        await self.outbox.following.stop()
        await self.outbox.events.stop()
        await self.outlet.probe.stop()
        await self.entrance.importer.stop()
        await self.outlet.deliverer.stop()
        self.outlet.poster.close()
        await self.webhooks.stop()
        await self._posting.close()
        await _kept(self.outlet.health.save, "how deliveries went lately is")
        await self.views.websites.stop()
        await self.ground.together.news.stop()
        await self.ground.live.stop()
        await _kept(self.federation.peers.save, "what was learnt of peers is")
        await _kept(self.federation.activity.save, "how much peers sent is")
        await self.federation.asking.close()
        await self.federation.delivering.close()
        await self.ground.database.close()

    async def reload(self, config: Config) -> None:
        """Apply what can change while running; viewers stay. ``config`` was validated as a whole."""
        changed, waiting = reloadable_changes(self.config, config), restart_changes(self.config, config)
        self.config = config = with_reloadable(self.config, config)
        self.tokens.replace(self._grants(config))
        self.clients.replace(_signed_clients(config.tokens))
        for peer in config.peers:
            if peer.block is True:
                await self.outbox.following.reject_all(peer.host)
        self.federation.peers.reload([policy_of(peer) for peer in config.peers], open_federation=config.federation.open)
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

    async def _refresh_gauges(self) -> None:
        self.views.telemetry_house.series.refresh()
        await self._scopes.refresh()
        await self._peer_gauges.refresh()

    async def _metrics_page(self) -> bytes:
        await self._refresh_gauges()
        return self.ground.metrics.render() if self.siblings is None else await self.siblings.metrics()

    def _shared_tasks(self) -> list[Task]:
        """What is asked from time to time where other processes serve the instance too."""
        if self.ground.together.store is None:
            return []
        views = self.views

        async def look() -> None:
            await self.push.look()

        async def forget_old_videos() -> None:
            views.catalog.forget_old()

        return [
            Task("look at numbers that are listened to", look, LISTENED_MS),
            Task("read videos anew", forget_old_videos, REMEMBERED_MS),
            Task("look whom others cannot reach", self.outlet.elsewhere.look, ELSEWHERE_MS),
            Task("read follows anew", self.federation.peers.refresh_follows, REMEMBERED_MS),
        ]

    def _listen_to_others(self) -> None:
        """What other processes of the instance changed is read anew."""
        if self.ground.together.store is None:
            return
        news, peers, catalog = self.ground.together.news, self.federation.peers, self.views.catalog

        async def video_changed(key: str) -> None:
            number = int(key) if key else None
            catalog.forget_number(number)
            await self.push.look_again(number)

        async def peers_changed(_: str) -> None:
            await peers.refresh()
            await peers.refresh_follows()

        news.hear(VIDEO_NEWS, video_changed)
        news.hear(PEER_NEWS, peers_changed)
        peers.moved_here(lambda: news.tell(PEER_NEWS, "-"))

    async def _put_videos(self, config: Config) -> None:
        for index, video in enumerate(config.videos):
            kept = await self.views.catalog.put_local(video.draft())
            if isinstance(kept, Refused):
                raise ConfigError(f"videos[{index}]", kept.detail or kept.reason)

    async def _forget_video(self, video: Video) -> None:
        await self.housekeeping.forget_video(video)
        await self.push.forget(video)

    async def _shown(self, video: Video) -> int:
        return (await self.views.viewers.shown(video)).viewers

    async def _has_channel(self, name: str) -> bool:
        return await self.directory.channel(name) is not None

    def _surroundings(self) -> Surroundings:
        ground, federation = self.ground, self.federation
        return Surroundings(
            config=self.config,
            clock=ground.clock,
            http=federation.asking,
            database=ground.database,
            keys=federation.ring.keys,
            identity=self.directory.identity,
            actors=partial(ActorClient, signing=federation.signing),
            proxy_hint=self.views.sharing.hint,
        )

    def _is_actor_path(self, path: str) -> bool:
        identity = self.federation.identity
        return identity.actor_of(identity.base_url + path) is not None

    async def _require_signature(self, request: web.Request) -> Refused | None:
        """For ``federation.signed_fetch``: whoever asks has to say who it is, and may speak."""
        signed = SignedRequest(request.method, request.raw_path, tuple(request.headers.items()))
        inspected = inspect(signed, self.federation.profile, self.ground.clock.now_ms())
        if isinstance(inspected, Refused):
            return inspected
        verdict = await self.federation.remote_keys.verify(inspected)
        if isinstance(verdict, Refused):
            return verdict
        return self.federation.peers.may_speak(authority(verdict.actor) or "")


async def _kept(save: Callable[[], Awaitable[object]], what: str) -> None:
    try:
        await save()
    except StorageUnavailable as problem:
        log.warning("%s lost: %s", what, problem)


def _signed_clients(tokens: tuple[Token, ...]) -> list[SignedClient]:
    clients: list[SignedClient] = []
    for index, token in enumerate(tokens):
        if token.public_key is not None:
            key = load_public_key(token.public_key)
            if isinstance(key, Refused):
                raise ConfigError(f"tokens[{index}].public_key", key.detail)
            clients.append(SignedClient(Principal(token.name, token.role, frozenset(token.channels)), key))
    return clients
