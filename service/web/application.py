"""Every route of a running service, and what answers there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from federation import routes as identity_routes
from federation.actors import ActorClient
from federation.discovery import Offers
from federation.signatures.verifier import SignedRequest, inspect
from foundation.errors import Refused
from foundation.urls import authority
from inbox import routes as inbox_routes
from inbox.livekit import receiver as livekit_routes
from outbox.client_routes import ClientRoutes
from outbox.follow_routes import FollowRoutes
from outbox.routes import DocumentRoutes
from outbox.watch_actions import WatchActionRoutes
from outbox.webhooks.routes import WebhookRoutes
from service import VERSION, openapi
from service.admin import overview_routes, peer_routes
from service.building.application_views import ApplicationViews
from service.building.house import House
from service.building.views_api import views_api
from service.dashboard.building import desk_of, overview_of, setup_dashboard
from service.doctor import routes as doctor_routes
from service.doctor.model import Surroundings
from service.doctor.routes import Examiner
from service.health import routes as health_routes
from service.html.home_page import HomePage
from service.html.pages import Pages
from service.html.stats_page import StatsPage
from service.html.video_statistics import VideoStatistics
from service.web import not_found
from service.web.hot_paths import HotPaths
from service.web.live_push import LivePush
from service.web.scripts import Scripts
from views import routes as views_routes
from views.model import Video
from views.telemetry.calls import ApiCalls


class Application:
    """``app`` is served, and ``hot`` before it; ``push`` belongs to whoever starts and stops.
    ``metrics_page`` makes that of ``/metrics``."""

    def __init__(self, house: House, metrics_page: Callable[[], Awaitable[bytes]]) -> None:
        self._house = house
        self._metrics_page = metrics_page
        self.app = web.Application(client_max_size=house.ground.config.listen.max_body_bytes)
        self.push = self._setup(self.app)

    def _setup(self, app: web.Application) -> LivePush:
        """No middleware, and the hot routes first."""
        house = self._house
        ground, config, federation, views = house.ground, house.ground.config, house.federation, house.views
        api = views_api(ground, views, house.tokens, house.entrance.importer, house.housekeeping.commands())
        answering = views_routes.setup_routes(app.router, api)
        push = LivePush(ground, views, answering.push, app, house.siblings)
        self.hot = HotPaths(house.entrance.pipeline.receive, answering.report)
        inbox_routes.setup_routes(app.router, house.entrance.pipeline, self._is_actor_path)
        livekit_routes.setup_routes(app.router, house.livekit.receiver)
        pages = Pages(federation.identity)
        pages.setup(app)
        HomePage(api, pages.render).setup(app.router)
        StatsPage(api, pages.render).setup(app.router)
        if api.statistics is not None:
            VideoStatistics(api, api.statistics, pages.render).setup(app.router)
        Scripts(VERSION).setup(app)
        guard = self._require_signature if config.federation.signed_fetch else None
        offers = Offers(
            VERSION,
            config.views.viewer_lifetime_ms,
            config.federation.announce_within_ms,
            batch_items=config.federation.batch_max_items,
            max_body_bytes=config.listen.max_body_bytes,
        )
        identity_routes.setup_routes(app.router, house.directory, offers, page=pages.actor, require_signature=guard)
        DocumentRoutes(
            identity=federation.identity,
            videos=views.catalog,
            collections=house.outbox.collections,
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
            authenticate=house.clients.authenticate,
            videos=views.catalog,
            local_views=ApplicationViews(views, ground.clock),
            clock=ground.clock,
            max_expires_ms=config.federation.max_expires_ms,
        ).setup(app.router)
        FollowRoutes(
            identity=federation.identity,
            tokens=house.tokens,
            peers=federation.peers,
            following=house.outbox.following,
        ).setup(app.router)
        calls = ApiCalls(views.telemetry, ground.clock)
        desk, tokens = desk_of(house), house.tokens
        overview = overview_of(house, desk)
        peer_routes.setup_routes(app.router, tokens=tokens, desk=desk, calls=calls)
        overview_routes.setup_routes(
            app.router, tokens=tokens, overview=overview, config=lambda: house.config, calls=calls
        )
        examiner, hooks = Examiner(self._surroundings), WebhookRoutes(tokens, house.webhooks)
        doctor_routes.setup_routes(app.router, tokens=tokens, examiner=examiner)
        hooks.setup(app.router)
        setup_dashboard(app.router, house, desk=desk, overview=overview, examine=examiner, hooks=hooks)
        openapi.setup_routes(app.router, str(config.instance.url))
        not_found.setup_routes(app.router)
        health_routes.setup_routes(
            app.router,
            render=self._metrics_page,
            checks={"database": ground.database.check, "live": ground.live.check},
            principal_of=house.tokens.authenticate,
        )
        return push

    async def _shown(self, video: Video) -> int:
        return (await self._house.views.viewers.shown(video)).viewers

    async def _has_channel(self, name: str) -> bool:
        return await self._house.directory.channel(name) is not None

    def _surroundings(self) -> Surroundings:
        ground, federation = self._house.ground, self._house.federation
        return Surroundings(
            config=self._house.config,
            clock=ground.clock,
            http=federation.asking,
            database=ground.database,
            keys=federation.ring.keys,
            identity=self._house.directory.identity,
            actors=partial(ActorClient, signing=federation.signing),
            proxy_hint=self._house.views.sharing.hint,
        )

    def _is_actor_path(self, path: str) -> bool:
        identity = self._house.federation.identity
        return identity.actor_of(identity.base_url + path) is not None

    async def _require_signature(self, request: web.Request) -> Refused | None:
        """For ``federation.signed_fetch``: whoever asks has to say who it is, and may speak."""
        signed = SignedRequest(request.method, request.raw_path, tuple(request.headers.items()))
        inspected = inspect(signed, self._house.federation.profile, self._house.ground.clock.now_ms())
        if isinstance(inspected, Refused):
            return inspected
        verdict = await self._house.federation.remote_keys.verify(inspected)
        if isinstance(verdict, Refused):
            return verdict
        return self._house.federation.peers.may_speak(authority(verdict.actor) or "")
