"""The dashboard, built from what a service is made of."""

from __future__ import annotations

from aiohttp import web

from foundation.web import client_address
from outbox.webhooks.routes import WebhookRoutes
from service.admin.overview import Overview
from service.admin.peer_desk import PeerDesk
from service.admin.peers_elsewhere import PeersElsewhere
from service.admin.quarantines import Quarantines
from service.admin.today import Lags, PagesToday
from service.building.house import House
from service.building.viewer_secret import viewer_secret
from service.dashboard.actions import DashboardActions
from service.dashboard.guard import Guard
from service.dashboard.pages import DashboardPages, Examine
from service.dashboard.sessions import Sessions


def desk_of(house: House) -> PeerDesk:
    elsewhere = PeersElsewhere(house.siblings, house.ground.together.leases.holds)
    desk = PeerDesk(
        peers=house.federation.peers,
        following=house.outbox.following,
        events=house.outbox.events,
        quarantine=Quarantines(house.entrance.quarantine, house.entrance.replay, house.siblings),
        reports=house.outlet.reports,
        queues=house.outlet.queues,
        unusual=house.federation.activity.unusual,
        hurry=house.outlet.elsewhere.hurry,
        elsewhere=elsewhere,
    )
    elsewhere.answer_with(desk.own_peers)
    return desk


def overview_of(house: House, desk: PeerDesk) -> Overview:
    ground, views = house.ground, house.views
    return Overview(
        clock=ground.clock,
        account=ground.config.instance.owner,
        watched=ground.live.counters.watched,
        videos=views.catalog,
        numbers=views.viewers,
        views_since=views.counter.local_views_since,
        metrics=house.rendered_metrics,
        pages=PagesToday(views.websites.pages).read,
        lag=Lags(house.outlet.lag, house.siblings).read,
        peers=desk.list_peers,
    )


def setup_dashboard(
    router: web.UrlDispatcher,
    house: House,
    *,
    desk: PeerDesk,
    overview: Overview,
    examine: Examine,
    hooks: WebhookRoutes,
) -> None:
    """The templates and static files belong to ``service.html.pages``."""
    ground, config = house.ground, house.ground.config
    url, trusted = config.instance.url, config.listen.trusted_proxies
    worker = None if house.siblings is None else house.siblings.worker
    guard = Guard(
        Sessions(viewer_secret(config.storage.directory), house.tokens, ground.clock),
        ground.clock,
        ground.metrics,
        address=lambda request: client_address(request, trusted),
        # Asked for under another name (a tunnel to loopback), it comes by plain http whatever its own URL says.
        secure=lambda request: url.scheme == "https" and request.host.lower() == url.authority,
        origin=str(url),
        common={"identity": house.federation.identity},
    )
    pages = DashboardPages(
        guard=guard,
        clock=ground.clock,
        desk=desk,
        overview=overview,
        catalog=house.views.catalog,
        viewers=house.views.viewers,
        webhooks=hooks,
        examine=examine,
        config=lambda: house.config,
        worker=None if worker is None else f"{worker.index + 1} of {worker.count}",
    )
    guard.setup(router)
    pages.setup(router)
    DashboardActions(guard, pages, desk).setup(router)
