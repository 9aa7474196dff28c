"""Live push of viewer numbers as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from aiohttp import web

from foundation.addresses import network_key
from foundation.clock import Clock
from foundation.errors import Refused, StorageUnavailable
from foundation.metrics import Metrics
from views.last_known import Known
from views.model import Privacy, Video
from views.ports import Listener
from views.routes.replies import CORS
from views.routes.rooms import AT_A_TIME, Room, Rooms, behind
from views.routes.video_json import viewers_json

_log = logging.getLogger(__name__)

EVENT = "views-change"
"""PeerTube's name of this event on its socket; the data is JSON."""

GAP_MS = 1_000
"""At most one event in this time, with the newest number."""

KEEP_ALIVE_MS = 15_000
"""Silence after which a comment goes out: proxies keep the connection, and a gone listener is noticed."""

ROOMS_AT_A_TIME = 50

_HEADERS = {**CORS, "Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_COMMENT = b": keep-alive\n\n"


class Audience(msgspec.Struct, frozen=True):
    """What a listener may hear: with ``insider`` what the number is made of; a private video, unless an insider, only
    before ``until_ms`` (Unix ms; None: not at all)."""

    insider: bool = False
    until_ms: int | None = None

    def may_hear_of(self, video: Video, now_ms: int) -> bool:
        opened = self.insider or (self.until_ms is not None and now_ms < self.until_ms)
        return opened or video.privacy is not Privacy.PRIVATE


class Finder(Protocol):
    """The part of ``views.catalog.catalog.Catalog`` that is needed here."""

    async def by_number(self, number: int) -> Video | None: ...

    async def by_number_anew(self, number: int) -> Video | None: ...


class Numbers(Protocol):
    """The part of ``views.last_known.LastKnown`` that is needed here."""

    async def shown(self, video: Video) -> Known: ...


@dataclass(slots=True, eq=False)
class _Stream:
    response: web.StreamResponse
    transport: asyncio.Transport
    audience: Audience
    ended: asyncio.Future[None]
    told: bool = False
    missed: bool = False
    """The newest number was not written: what was written before it has not been read yet."""
    behind_since_s: float | None = None

    def end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class _News:
    """What is to be said of a video now. Encoded once, however many listen."""

    def __init__(self, video: Video, known: Known) -> None:
        self.video = video
        self._known = known
        self._events: dict[bool, bytes] = {}

    def event(self, audience: Audience) -> bytes:
        event = self._events.get(audience.insider)
        if event is None:
            shown, as_of_ms = self._known
            data = msgspec.json.encode(viewers_json(shown, as_of_ms, breakdown=audience.insider))
            event = self._events[audience.insider] = b"event: %b\ndata: %b\n\n" % (EVENT.encode(), data)
        return event


class ViewerPush:
    """Owns every open stream. Listens to the viewers once, however many streams there are.

    One task writes to all of them: it reads the number of a video that moved once, and passes over whoever has not
    read what was written before. Who goes on not reading is cut off.
    """

    def __init__(
        self,
        subscribe: Callable[[Listener], Callable[[], None]],
        catalog: Finder,
        numbers: Numbers,
        clock: Clock,
        metrics: Metrics,
        max_streams: int = 5_000,
        max_per_address: int = 50,
    ) -> None:
        self._subscribe = subscribe
        self._unsubscribe: Callable[[], None] | None = None
        self._catalog = catalog
        self._numbers = numbers
        self._clock = clock
        self._max_streams = max_streams
        self._max_per_address = max_per_address
        self._rooms: Rooms[_Stream] = Rooms(GAP_MS / 1000, KEEP_ALIVE_MS / 1000)
        self._clients: Counter[str] = Counter()
        self._open = self._told = 0
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        metrics.gauge_from("fediviews_event_streams", "Open event streams.", lambda: self._open)
        self._full = metrics.counter("fediviews_event_streams_refused", "Event streams refused: too many are open.")
        self._cut = metrics.counter("fediviews_event_streams_cut_off", "Event streams ended: nobody read them.")
        self._sent = metrics.counter("fediviews_stream_events", "Numbers sent over event streams, once per listener.")

    async def stream(
        self, request: web.Request, number: int, client: str, audience: Audience
    ) -> web.StreamResponse | Refused:
        """Answer with events of one video until the client leaves, the video ends or the service does.

        Refused: ``too_many_streams`` (503 for the process, 429 for one client's network).
        """
        key = network_key(client)
        if self._closing or self._open >= self._max_streams:
            self._full.inc()
            return Refused("too_many_streams", "Too many event streams are open", 503, 30)
        if self._clients[key] >= self._max_per_address:
            self._full.inc()
            return Refused("too_many_streams", "Too many event streams of this client are open", 429, 30)
        self._begin()
        self._clients[key] += 1
        self._open += 1
        try:
            return await self._serve(request, number, audience)
        finally:
            self._open -= 1
            self._clients[key] -= 1
            if not self._clients[key]:
                del self._clients[key]

    def close(self) -> None:
        """End every stream; to be called when the server begins to shut down, before it waits for its handlers."""
        self._closing = True
        for stream in self._rooms.everybody():
            stream.end()
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def __len__(self) -> int:
        """How many streams are open."""
        return self._open

    def moved(self, video: Video, _number: int = 0) -> None:
        """The number, or what listeners may know of the video: streams end where they must."""
        self._rooms.moved(video.number)

    def look_again(self, number: int | None) -> None:
        """Another process changed what may be known of this video, or (None) of any."""
        for of in self._rooms.numbers() if number is None else (number,):
            self._rooms.moved(of)

    def listened_to(self) -> Sequence[int]:
        """Numbers of the videos that have streams."""
        return self._rooms.numbers()

    def _begin(self) -> None:
        if self._unsubscribe is None:
            self._unsubscribe = self._subscribe(self.moved)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="event streams")

    async def _serve(self, request: web.Request, number: int, audience: Audience) -> web.StreamResponse:
        response = web.StreamResponse(headers=_HEADERS)
        transport = request.transport
        if transport is None:
            return response
        stream = _Stream(response, transport, audience, asyncio.get_running_loop().create_future())
        try:
            await response.prepare(request)
            # Before the number is read: a move between the two is heard of.
            self._rooms.enter(number, stream)
            try:
                await self._greet(stream, number)
                await stream.ended
            finally:
                self._rooms.leave(number, stream)
            if request.transport is not None:
                await response.write_eof()
        except ConnectionError:
            # The listener has left; that is how streams end.
            pass
        return response

    async def _greet(self, stream: _Stream, number: int) -> None:
        if self._closing:
            stream.end()
            return
        news = await self._news(number)
        if news is None or not stream.audience.may_hear_of(news.video, self._clock.now_ms()):
            stream.end()
        elif not stream.told:
            self._sent.inc()
            await stream.response.write(news.event(stream.audience))

    async def _news(self, number: int) -> _News | None:
        """None: nothing may be said of it. Where the store is gone streams end; browsers come back by themselves."""
        try:
            video = await self._catalog.by_number(number)
            if video is None:
                return None
            known = await self._numbers.shown(video)
            # Meanwhile the video may have been hidden, and all its viewers forgotten: perhaps by another process.
            look = self._catalog.by_number if known.shown.viewers else self._catalog.by_number_anew
            video = await look(number)
        except StorageUnavailable:
            return None
        return None if video is None else _News(video, known)

    async def _run(self) -> None:
        while True:
            due = await self._rooms.due()
            for begin in range(0, len(due), ROOMS_AT_A_TIME):
                # Together, so that a store far away is asked for many at once.
                said = await asyncio.gather(
                    *map(self._say, due[begin : begin + ROOMS_AT_A_TIME]), return_exceptions=True
                )
                for problem in said:
                    if isinstance(problem, Exception):
                        _log.error("a number could not be said to event streams", exc_info=problem)

    async def _say(self, room: Room[_Stream]) -> None:
        moved = room.begin()
        news, now_ms = await self._news(room.number), self._clock.now_ms()
        for stream in room.listeners():
            if news is None or not stream.audience.may_hear_of(news.video, now_ms):
                stream.end()
            else:
                await self._write(stream, news.event(stream.audience) if moved or stream.missed else _COMMENT)
            self._told += 1
            if self._told % AT_A_TIME == 0:
                await self._clock.sleep_ms(0)

    async def _write(self, stream: _Stream, said: bytes) -> None:
        """Never waits for the listener: below so little that is unread, the transport takes it at once."""
        if stream.transport.is_closing():
            stream.end()
            return
        stream.behind_since_s, too_long = behind(stream.transport, stream.behind_since_s)
        if too_long:
            self._cut.inc()
            stream.transport.abort()
            stream.end()
        elif stream.behind_since_s is not None:
            stream.missed = True
        else:
            stream.told = True
            if said is not _COMMENT:
                stream.missed = False
                self._sent.inc()
            try:
                await stream.response.write(said)
            except ConnectionError:
                stream.end()
