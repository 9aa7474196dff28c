"""Live push of viewer numbers as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from aiohttp import web

from foundation.addresses import network_key
from foundation.errors import Refused, StorageUnavailable
from foundation.metrics import Metrics
from views.model import Video
from views.ports import Listener
from views.routes.replies import CORS

EVENT = "views-change"
"""PeerTube's name of this event on its socket; the data is JSON."""

GAP_MS = 1_000
"""At most one event in this time, with the newest number."""

KEEP_ALIVE_MS = 15_000
"""Silence after which a comment goes out: proxies keep the connection, and a gone listener is noticed."""

MAX_PER_CLIENT = 50

Body = Callable[[], Awaitable[object | None]]
"""What an event says now; None: this listener may not hear of the video any more, the stream ends."""


class ViewerPush:
    """Owns every open stream. Listens to the viewers once, however many streams there are.

    A moved number only wakes the streams of its video; each reads the number itself when its turn comes.
    """

    def __init__(
        self,
        subscribe: Callable[[Listener], Callable[[], None]],
        metrics: Metrics,
        max_streams: int = 1_000,
    ) -> None:
        self._subscribe = subscribe
        self._unsubscribe: Callable[[], None] | None = None
        self._max_streams = max_streams
        self._gap_s = GAP_MS / 1000
        self._keep_alive_s = KEEP_ALIVE_MS / 1000
        self._streams: dict[int, set[asyncio.Event]] = {}
        self._clients: Counter[str] = Counter()
        self._closing = asyncio.Event()
        metrics.gauge_from("fediviews_event_streams", "Open event streams.", lambda: self._clients.total())
        self._full = metrics.counter("fediviews_event_streams_refused", "Event streams refused: too many are open.")

    async def stream(self, request: web.Request, number: int, client: str, body: Body) -> web.StreamResponse | Refused:
        """Answer with events of one video until the client leaves, the video ends or the service does.

        Refused: ``too_many_streams`` (503 for the process, 429 for one client's network).
        """
        key = network_key(client)
        if self._closing.is_set() or self._clients.total() >= self._max_streams:
            self._full.inc()
            return Refused("too_many_streams", "Too many event streams are open", 503, 30)
        if self._clients[key] >= MAX_PER_CLIENT:
            self._full.inc()
            return Refused("too_many_streams", "Too many event streams of this client are open", 429, 30)
        if self._unsubscribe is None:
            self._unsubscribe = self._subscribe(self.moved)
        wake = asyncio.Event()
        self._clients[key] += 1
        self._streams.setdefault(number, set()).add(wake)
        try:
            return await self._serve(request, wake, body)
        finally:
            self._forget(number, wake, key)

    def close(self) -> None:
        """End every stream; to be called when the server begins to shut down, before it waits for its handlers."""
        self._closing.set()
        for wakes in self._streams.values():
            for wake in wakes:
                wake.set()
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def __len__(self) -> int:
        """How many streams are open."""
        return self._clients.total()

    def moved(self, video: Video, _number: int = 0) -> None:
        """The number, or what listeners may know of the video: each stream looks for itself, and ends where it must."""
        for wake in self._streams.get(video.number, ()):
            wake.set()

    def look_again(self, number: int | None) -> None:
        """Another process changed what may be known of this video, or (None) of any."""
        for of, wakes in self._streams.items():
            if number is None or of == number:
                for wake in wakes:
                    wake.set()

    def listened_to(self) -> Sequence[int]:
        """Numbers of the videos that have streams."""
        return tuple(self._streams)

    def _forget(self, number: int, wake: asyncio.Event, key: str) -> None:
        self._clients[key] -= 1
        if not self._clients[key]:
            del self._clients[key]
        wakes = self._streams[number]
        wakes.discard(wake)
        if not wakes:
            del self._streams[number]

    async def _serve(self, request: web.Request, wake: asyncio.Event, body: Body) -> web.StreamResponse:
        headers = {**CORS, "Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        try:
            await response.prepare(request)
            with contextlib.suppress(StorageUnavailable):
                # Where the store is gone the stream ends; the browser comes back by itself.
                await self._events(response, wake, body)
            if request.transport is not None:
                await response.write_eof()
        except ConnectionError:
            # The listener has left; that is how streams end.
            pass
        return response

    async def _events(self, response: web.StreamResponse, wake: asyncio.Event, body: Body) -> None:
        while not self._closing.is_set():
            wake.clear()
            said = await body()
            if said is None:
                return
            await response.write(b"event: %b\ndata: %b\n\n" % (EVENT.encode(), msgspec.json.encode(said)))
            if await _within(self._closing, self._gap_s):
                return
            while not await _within(wake, self._keep_alive_s):
                if await body() is None:
                    return
                await response.write(b": keep-alive\n\n")


async def _within(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    except TimeoutError:
        return False
