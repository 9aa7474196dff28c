"""Live push over Socket.IO: PeerTube's namespace ``/live-videos``, as its own client and players speak it.

Source: PeerTube 6.3. A client says ``subscribe {videoId}`` with the integer id of a video and hears ``views-change
{viewers}`` whenever the number moves, at most once a second, and ``force-end`` when the video is no longer to be seen.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from foundation.clock import Clock
from foundation.ending import end
from foundation.errors import Refused, StorageUnavailable
from foundation.metrics import Metrics
from foundation.problems import refused
from views.catalog.catalog import Catalog
from views.model import Privacy, Video
from views.routes.engine import MAX_MESSAGE_BYTES, Engine
from views.routes.replies import CORS
from views.routes.rooms import AT_A_TIME
from views.viewers import Viewers

_log = logging.getLogger(__name__)

NAMESPACE = "/live-videos"
PATH = "/socket.io/"
VIEWS_CHANGE = "views-change"
FORCE_END = "force-end"
GAP_MS = 1_000
"""At most one event per video in this time, with the newest number."""

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
        max_per_address: int = 50,
        process: str = "",
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._viewers = viewers
        self._catalog = catalog
        self._clock = clock
        self._elsewhere = elsewhere
        self._rooms: defaultdict[int, set[str]] = defaultdict(set)
        self._listening: dict[str, set[int]] = {}
        self._engine_ids: dict[str, str] = {}
        self._told = 0
        self._moved: dict[int, Video] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._sent = metrics.counter("fediviews_socket_events", "Numbers sent over Socket.IO, once per listener.")
        self._engine = Engine(NAMESPACE, metrics, address_of, max_sockets, max_per_address, process)
        self._server = self._engine.server
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
        if not session and request.method == "GET":
            full = self._engine.refusal(request)
            if full is not None:
                answer = refused(full)
                answer.headers.update(CORS)
                return answer
        return await self.answer(request)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """As ``handle``, for a session of this process."""
        if request.content_length is not None and request.content_length > MAX_MESSAGE_BYTES:
            return refused(Refused("too_large", "a message of Socket.IO has 10 kB at most", 413))
        answer: web.StreamResponse = await self._server.handle_request(request)
        if request.method == "POST":
            self._engine.let_go(request.query.get("sid", ""))
        return answer

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
                await self._engine.stop()
        except TimeoutError:
            _log.info("some Socket.IO connections did not end in time")

    def listened_to(self) -> Sequence[int]:
        """Numbers of the videos that have listeners."""
        return tuple(self._rooms)

    async def look_again(self, number: int | None) -> None:
        """What may be known of this video changed (None: of any): whoever may no longer hear of it is told so."""
        for of in self.listened_to() if number is None else (number,):
            if of in self._rooms and await self._public(of) is None:
                sessions = tuple(self._rooms.get(of, ()))
                for session in sessions:
                    self._leave(session, of)
                await self._tell(sessions, FORCE_END)

    # What clients say

    async def _connected(self, session: str, _environ: dict[str, Any], _auth: object = None) -> bool:
        engine_id = self._engine.engine_session(session)
        if engine_id is None:
            return False
        self._listening[session] = set()
        self._engine_ids[session] = engine_id
        return True

    async def _disconnected(self, session: str, _reason: object = None) -> None:
        self._engine_ids.pop(session, None)
        for number in self._listening.pop(session, ()):
            self._forget(session, number)

    async def _subscribed(self, session: str, said: object = None) -> None:
        number, listening = _video_id(said), self._listening.get(session)
        if number is None or listening is None or len(listening) >= MAX_VIDEOS:
            return
        if await self._public(number) is None:
            return
        listening.add(number)
        self._rooms[number].add(session)

    async def _unsubscribed(self, session: str, said: object = None) -> None:
        number = _video_id(said)
        if number is not None and number in self._listening.get(session, ()):
            self._leave(session, number)

    def _leave(self, session: str, number: int) -> None:
        self._listening.get(session, set()).discard(number)
        self._forget(session, number)

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
                await self._tell(tuple(listeners), VIEWS_CHANGE, {"viewers": shown.viewers})

    async def _tell(self, sessions: Sequence[str], event: str, *said: object) -> None:
        """All of them the same; between some and the next ones others have their turn."""
        text, frame = self._engine.encoded(event, *said)
        for session in sessions:
            engine_id = self._engine_ids.get(session)
            if engine_id is not None:
                await self._engine.say(engine_id, text, frame)
            self._told += 1
            if self._told % AT_A_TIME == 0:
                await self._clock.sleep_ms(0)

    async def _public(self, number: int, *, anew: bool = False) -> Video | None:
        """The video, if everybody may hear of it."""
        look = self._catalog.by_number_anew if anew else self._catalog.by_number
        try:
            video = await look(number)
        except StorageUnavailable:
            return None
        return None if video is None or video.privacy is Privacy.PRIVATE else video


def _video_id(said: object) -> int | None:
    """PeerTube's clients say the integer id; anything else is ignored."""
    number = said.get("videoId") if isinstance(said, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**53 else None


def setup(router: web.UrlDispatcher, live: LiveVideos) -> None:
    resource = router.add_resource(PATH)
    for method in ("GET", "POST", "OPTIONS"):
        resource.add_route(method, live.handle)
