"""Everybody who hears of numbers as they move: event streams and sockets, of this process and through its siblings."""

from __future__ import annotations

from aiohttp import web

from foundation.web import client_address
from service.building.ground import Ground
from service.building.views_tower import ViewsTower
from service.workers.siblings import Siblings
from views.model import Video
from views.routes.live_videos import PATH, LiveVideos
from views.routes.live_videos import setup as setup_sockets
from views.routes.push import ViewerPush

POLL_WITHIN_S = 60.0
"""Longer than Engine.IO lets a poll wait (25 s), and than a WebSocket of a sibling needs to be opened."""


class LivePush:
    """``streams`` come with the REST of players; sockets are added to ``app`` here."""

    def __init__(
        self, ground: Ground, views: ViewsTower, streams: ViewerPush, app: web.Application, siblings: Siblings | None
    ) -> None:
        listen = ground.config.listen
        self._streams = streams
        self._siblings = siblings
        self.sockets = LiveVideos(
            viewers=views.viewers,
            catalog=views.catalog,
            clock=ground.clock,
            metrics=ground.metrics,
            address_of=lambda request: client_address(request, listen.trusted_proxies),
            max_sockets=listen.max_sockets,
            max_per_address=listen.max_listeners_per_address,
            process="" if siblings is None else str(siblings.worker.index),
            elsewhere=None if siblings is None else self._elsewhere,
        )
        setup_sockets(app.router, self.sockets)
        if siblings is not None:
            for method in ("GET", "POST", "OPTIONS"):
                siblings.inner.router.add_route(method, PATH, self.sockets.answer)
        self._views = views
        app.on_shutdown.append(self._close)

    async def start(self) -> None:
        await self.sockets.start()

    async def look(self) -> None:
        """At numbers that other processes may have moved."""
        await self._views.viewers.look({*self._streams.listened_to(), *self.sockets.listened_to()})

    async def look_again(self, number: int | None) -> None:
        """What may be known of this video (None: of any) changed."""
        self._streams.look_again(number)
        await self.sockets.look_again(number)

    async def forget(self, video: Video) -> None:
        await self.look_again(video.number)

    async def _close(self, _: web.Application) -> None:
        self._streams.close()
        await self.sockets.stop()

    async def _elsewhere(self, request: web.Request, session: str) -> web.StreamResponse | None:
        index = session.partition(".")[0]
        siblings = self._siblings
        if siblings is None or not index.isdecimal() or len(index) > 3:
            return None
        number = int(index)
        if number == siblings.worker.index or number >= siblings.worker.count:
            return None
        return await siblings.forward(request, number, POLL_WITHIN_S)
