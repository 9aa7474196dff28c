"""Live push over Socket.IO: PeerTube's namespace ``/live-videos``, as its own client and players speak it.

Source: PeerTube 6.3. A client says ``subscribe {videoId}`` with the integer id of a video and hears ``views-change
{viewers}`` whenever the number moves, at most once a second, and ``force-end`` when the video is no longer to be seen.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import socketio
from aiohttp import web

from foundation.addresses import network_key
from foundation.clock import Clock
from foundation.ending import end
from foundation.errors import Refused, StorageUnavailable
from foundation.metrics import Metrics
from foundation.problems import refused
from views.catalog import Catalog
from views.model import Privacy, Video
from views.viewers import Viewers

_log = logging.getLogger(__name__)

NAMESPACE = "/live-videos"
PATH = "/socket.io/"
VIEWS_CHANGE = "views-change"
FORCE_END = "force-end"
GAP_MS = 1_000
"""At most one event per video in this time, with the newest number."""

MAX_MESSAGE_BYTES = 10_000
MAX_PER_CLIENT = 50
"""Connections of one client's network."""
MAX_VIDEOS = 50
"""Videos that one connection may listen to."""
CLOSE_WITHIN_S = 1.0

Elsewhere = Callable[[web.Request, str], Awaitable[web.StreamResponse | None]]
"""Answers for the process that a session (its id) belongs to; None: it is ours, or nobody's."""


class LiveVideos:
    """Owns every Socket.IO connection. ``process`` begins the ids of sessions, where several share a port."""

    def __init__(
        self,
        *,
        viewers: Viewers,
        catalog: Catalog,
        clock: Clock,
        metrics: Metrics,
        address_of: Callable[[web.Request], str],
        max_sockets: int = 5_000,
        process: str = "",
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._viewers = viewers
        self._catalog = catalog
        self._clock = clock
        self._address_of = address_of
        self._max_sockets = max_sockets
        self._elsewhere = elsewhere
        self._rooms: defaultdict[int, set[str]] = defaultdict(set)
        self._listening: dict[str, set[int]] = {}
        self._networks: dict[str, str] = {}
        self._per_network: Counter[str] = Counter()
        self._moved: dict[int, Video] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        metrics.gauge_from("fediviews_sockets", "Open Socket.IO connections.", lambda: len(self._listening))
        self._full = metrics.counter("fediviews_sockets_refused", "Socket.IO connections refused: too many are open.")
        self._sent = metrics.counter("fediviews_socket_events", "Numbers sent over Socket.IO, once per listener.")
        self._server = _server(process)
        self._server.on("connect", self._connected, namespace=NAMESPACE)
        self._server.on("disconnect", self._disconnected, namespace=NAMESPACE)
        self._server.on("subscribe", self._subscribed, namespace=NAMESPACE)
        self._server.on("unsubscribe", self._unsubscribed, namespace=NAMESPACE)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The endpoint of Engine.IO 4: polling and WebSocket."""
        session = request.query.get("sid", "")
        if session and self._elsewhere is not None:
            answer = await self._elsewhere(request, session)
            if answer is not None:
                return answer
        return await self.answer(request)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """As ``handle``, for a session of this process."""
        if request.content_length is not None and request.content_length > MAX_MESSAGE_BYTES:
            return refused(Refused("too_large", "a message of Socket.IO has 10 kB at most", 413))
        answer: web.StreamResponse = await self._server.handle_request(request)
        if request.method == "POST":
            self._let_go(request.query.get("sid", ""))
        return answer

    def _let_go(self, session: str) -> None:
        """A client that closed by polling has a poll open still: engine.io answers it only after 45 s."""
        socket = self._server.eio.sockets.get(session)
        if socket is not None and (socket.closed or socket.closing):
            socket.queue.put_nowait(None)

    # Life

    async def start(self) -> None:
        self._unsubscribe = self._viewers.subscribe(self._note)
        self._task = asyncio.create_task(self._run(), name="live videos")

    async def stop(self) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        await end(self._task)
        self._task = None
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._server.shutdown()
        except TimeoutError:
            _log.info("some Socket.IO connections did not end in time")

    def listened_to(self) -> Sequence[int]:
        """Numbers of the videos that have listeners."""
        return tuple(self._rooms)

    async def look_again(self, number: int | None) -> None:
        """What may be known of this video changed (None: of any): whoever may no longer hear of it is told so."""
        for of in self.listened_to() if number is None else (number,):
            if of in self._rooms and await self._public(of) is None:
                await self._server.emit(FORCE_END, room=str(of), namespace=NAMESPACE)
                for session in tuple(self._rooms.get(of, ())):
                    await self._leave(session, of)

    # What clients say

    async def _connected(self, session: str, environ: dict[str, Any], _auth: object = None) -> bool:
        network = network_key(self._address_of(environ["aiohttp.request"]))
        if len(self._listening) >= self._max_sockets or self._per_network[network] >= MAX_PER_CLIENT:
            self._full.inc()
            return False
        self._listening[session] = set()
        self._networks[session] = network
        self._per_network[network] += 1
        return True

    async def _disconnected(self, session: str, _reason: object = None) -> None:
        for number in self._listening.pop(session, ()):
            self._forget(session, number)
        network = self._networks.pop(session, None)
        if network is not None:
            self._per_network[network] -= 1
            if not self._per_network[network]:
                del self._per_network[network]

    async def _subscribed(self, session: str, said: object = None) -> None:
        number, listening = _video_id(said), self._listening.get(session)
        if number is None or listening is None or len(listening) >= MAX_VIDEOS:
            return
        if await self._public(number) is None:
            return
        listening.add(number)
        self._rooms[number].add(session)
        await self._server.enter_room(session, str(number), namespace=NAMESPACE)

    async def _unsubscribed(self, session: str, said: object = None) -> None:
        number = _video_id(said)
        if number is not None and number in self._listening.get(session, ()):
            await self._leave(session, number)

    async def _leave(self, session: str, number: int) -> None:
        self._listening.get(session, set()).discard(number)
        self._forget(session, number)
        await self._server.leave_room(session, str(number), namespace=NAMESPACE)

    def _forget(self, session: str, number: int) -> None:
        sessions = self._rooms.get(number)
        if sessions is not None:
            sessions.discard(session)
            if not sessions:
                del self._rooms[number]

    # What they hear

    def _note(self, video: Video, _number: int) -> None:
        if video.number in self._rooms:
            self._moved[video.number] = video
            self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            moved, self._moved = self._moved, {}
            try:
                await self._say(list(moved.values()))
            except StorageUnavailable:
                self._moved = moved | self._moved
                self._wake.set()
            except Exception:
                _log.exception("numbers could not be said over Socket.IO")
            await self._clock.sleep_ms(GAP_MS)

    async def _say(self, videos: Sequence[Video]) -> None:
        for video, shown in zip(videos, await self._viewers.shown_many(videos), strict=True):
            # Since it moved the video may have been hidden, and all its viewers forgotten: perhaps by another process.
            if await self._public(video.number, anew=not shown.viewers) is None:
                continue
            listeners = self._rooms.get(video.number)
            if listeners:
                self._sent.inc(len(listeners))
                said = {"viewers": shown.viewers}
                await self._server.emit(VIEWS_CHANGE, said, room=str(video.number), namespace=NAMESPACE)

    async def _public(self, number: int, *, anew: bool = False) -> Video | None:
        """The video, if everybody may hear of it."""
        look = self._catalog.by_number_anew if anew else self._catalog.by_number
        try:
            video = await look(number)
        except StorageUnavailable:
            return None
        return None if video is None or video.privacy is Privacy.PRIVATE else video


def _server(process: str) -> Any:
    server = socketio.AsyncServer(
        async_mode="aiohttp",
        cors_allowed_origins="*",
        cors_credentials=False,
        namespaces=[NAMESPACE],
        max_http_buffer_size=MAX_MESSAGE_BYTES,
        http_compression=False,
        logger=_quiet,
        engineio_logger=_quiet,
    )
    if process:
        engine = server.eio
        plain = engine.generate_id
        engine.generate_id = lambda: f"{process}.{plain()}"
    return server


_quiet = logging.getLogger("fediviews.socketio")
_quiet.setLevel(logging.CRITICAL)
"""What clients send wrong is theirs; the libraries would write it down line by line."""


def _video_id(said: object) -> int | None:
    """PeerTube's clients say the integer id; anything else is ignored."""
    number = said.get("videoId") if isinstance(said, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**53 else None


def setup(router: web.UrlDispatcher, live: LiveVideos) -> None:
    resource = router.add_resource(PATH)
    for method in ("GET", "POST", "OPTIONS"):
        resource.add_route(method, live.handle)
