"""The REST of players and host applications: PeerTube's paths, bodies and answers wherever PeerTube has them."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from views.last_known import LastKnown
from views.routes import channels, page_stats, pages, playback, player, replay, resume, server, stats, videos, viewers
from views.routes.access import Access
from views.routes.player import ReportHandler
from views.routes.push import ViewerPush
from views.routes.services import ViewsApi


@dataclass(frozen=True, slots=True)
class Answering:
    """What a service needs of the routes. ``push`` owns the open event streams: its ``close`` belongs to the
    application's ``on_shutdown``. ``report`` answers what players say."""

    push: ViewerPush
    report: ReportHandler


def setup_routes(router: web.UrlDispatcher, api: ViewsApi) -> Answering:
    """Register every route; call it before any other route is added, so that reports of players are found first."""
    access = Access(api)
    numbers = LastKnown(api.viewers, api.clock, api.metrics)
    push = ViewerPush(
        api.viewers.subscribe,
        api.catalog,
        numbers,
        api.clock,
        api.metrics,
        api.settings.max_streams,
        api.settings.max_streams_per_address,
    )
    report = player.setup(router, api, access)
    viewers.setup(router, api, access, numbers, push)
    videos.setup(router, api, access, numbers)
    server.setup(router, api, access)
    if api.channels is not None:
        channels.setup(router, api, access, api.channels)
        if api.statistics is not None:
            stats.setup(router, api, access, api.statistics, api.channels)
    if api.resume is not None:
        resume.setup(router, api, access, api.resume)
    if api.pages is not None:
        pages.setup(router, api, access, api.pages)
        page_stats.setup(router, api, access, api.pages)
    if api.replays is not None:
        replay.setup(router, api, access, api.replays)
    if api.playback is not None:
        playback.setup(router, api, access, api.playback)
    return Answering(push, report)
