"""Engine.IO 4 as we run it: bounded before a session begins, uncompressed, and able to say one thing to thousands.

python-engineio gives each message to each session through a queue and a task of its own, and takes whatever is said to
a session until it is found dead: 45 s, or never where the client goes on answering pings without reading.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import Any

import socketio
from aiohttp import WSMsgType, web
from engineio.async_drivers.aiohttp import WebSocket
from engineio.packet import MESSAGE, Packet
from socketio.packet import EVENT

from foundation.addresses import network_key
from foundation.errors import Refused
from foundation.metrics import Metrics
from views.routes.rooms import behind

MAX_MESSAGE_BYTES = 10_000
MAX_QUEUED = 16
"""Messages that wait for the next poll of a session; one more ends it."""

_AGAIN_AFTER_S = 30

_quiet = logging.getLogger("fediviews.socketio")
_quiet.setLevel(logging.CRITICAL)
"""What clients send wrong is theirs; the libraries would write it down line by line."""


class _Wire(WebSocket):  # type: ignore[misc]
    """A WebSocket of a session. It never compresses: a compressor costs some 100 kB, and numbers are short."""

    def __init__(self, handler: Any, server: Any, wires: dict[str, _Wire]) -> None:
        super().__init__(handler, server)
        self._session: str = handler.__self__.sid
        self._wires = wires
        self._transport: Any = None
        self._behind_since_s: float | None = None

    async def __call__(self, environ: dict[str, Any]) -> web.WebSocketResponse:
        request: web.Request = environ["aiohttp.request"]
        self._sock = web.WebSocketResponse(max_msg_size=self.server.max_http_buffer_size, compress=False)
        await self._sock.prepare(request)
        self._transport = request.transport
        self._wires[self._session] = self
        try:
            await self.handler(self)
        finally:
            self._wires.pop(self._session, None)
        return self._sock

    async def send(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            await self._sock.send_bytes(message)
        else:
            await self._sock.send_str(message)

    async def say(self, text: bytes) -> bool:
        """Does not wait for a client that reads slowly: that is passed over. False: for too long, and it is cut off."""
        if self._transport is None or self._transport.is_closing():
            return True
        self._behind_since_s, too_long = behind(self._transport, self._behind_since_s)
        if too_long:
            self.abort()
            return False
        if self._behind_since_s is None:
            await self._sock.send_frame(text, WSMsgType.TEXT)
        return True

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Engine:
    """``server`` is python-socketio's; ``process`` begins the ids of sessions, where several share a port."""

    def __init__(
        self,
        namespace: str,
        metrics: Metrics,
        address_of: Callable[[web.Request], str],
        max_sockets: int,
        max_per_address: int,
        process: str = "",
    ) -> None:
        self._namespace = namespace
        self._address_of = address_of
        self._max_sockets = max_sockets
        self._max_per_address = max_per_address
        self._networks: dict[str, str] = {}
        self._per_network: Counter[str] = Counter()
        self._wires: dict[str, _Wire] = {}
        self._full = metrics.counter("fediviews_sockets_refused", "Socket.IO connections refused: too many are open.")
        self._cut = metrics.counter("fediviews_sockets_cut_off", "Socket.IO connections ended: nobody read them.")
        metrics.gauge_from("fediviews_sockets", "Open Socket.IO connections.", lambda: len(self._networks))
        self.server = server = _server(namespace)
        engine = server.eio
        engine._async = {**engine._async, "websocket": self._wire}
        engine.on("connect", self._opened)
        engine.on("disconnect", self._closed)
        if process:
            plain = engine.generate_id
            engine.generate_id = lambda: f"{process}.{plain()}"

    def __len__(self) -> int:
        """Sessions that are open."""
        return len(self._networks)

    def refusal(self, request: web.Request) -> Refused | None:
        """Before a session begins."""
        if len(self._networks) >= self._max_sockets:
            self._full.inc()
            return Refused("too_many_sockets", "Too many connections are open", 503, _AGAIN_AFTER_S)
        if self._per_network[network_key(self._address_of(request))] >= self._max_per_address:
            self._full.inc()
            return Refused("too_many_sockets", "Too many connections of this client are open", 429, _AGAIN_AFTER_S)
        return None

    def engine_session(self, session: str) -> str | None:
        """The id of the connection under a session of the namespace."""
        engine_id: str | None = self.server.manager.eio_sid_from_sid(session, self._namespace)
        return engine_id

    def encoded(self, event: str, *said: object) -> tuple[str, bytes]:
        """A message to everybody, made once: what `say` takes."""
        packet = self.server.packet_class(EVENT, namespace=self._namespace, data=[event, *said])
        text: str = packet.encode()
        return text, f"{MESSAGE}{text}".encode()

    async def say(self, engine_id: str, text: str, frame: bytes) -> None:
        """``text`` to one connection, ``frame`` being the same as a frame of a WebSocket. Waits for nobody."""
        socket = self.server.eio.sockets.get(engine_id)
        if socket is None or socket.closed or socket.closing:
            return
        wire = self._wires.get(engine_id)
        # What waits in the queue was said before.
        if wire is not None and socket.upgraded and socket.queue.empty():
            try:
                if not await wire.say(frame):
                    self._cut.inc()
            except ConnectionError:
                pass  # It is going; its handler sees to that.
        elif socket.queue.qsize() < MAX_QUEUED:
            socket.queue.put_nowait(Packet(MESSAGE, text))
        else:
            self._cut.inc()
            await self._end(engine_id, socket)

    def let_go(self, engine_id: str) -> None:
        """A client that closed by polling has a poll open still: engine.io answers it only after 45 s."""
        socket = self.server.eio.sockets.get(engine_id)
        if socket is not None and (socket.closed or socket.closing):
            socket.queue.put_nowait(None)

    async def stop(self) -> None:
        """Let everybody go: clients come back by themselves."""
        for engine_id, socket in tuple(self.server.eio.sockets.items()):
            await self._end(engine_id, socket)
        await self.server.shutdown()

    async def _end(self, engine_id: str, socket: Any) -> None:
        await socket.close(wait=False, abort=True, reason=self.server.reason.SERVER_DISCONNECT)
        socket.queue.put_nowait(None)
        wire = self._wires.get(engine_id)
        if wire is not None:
            wire.abort()

    def _wire(self, handler: Any, server: Any) -> _Wire:
        return _Wire(handler, server, self._wires)

    async def _opened(self, engine_id: str, environ: dict[str, Any]) -> None:
        network = network_key(self._address_of(environ["aiohttp.request"]))
        self._networks[engine_id] = network
        self._per_network[network] += 1
        await self.server._handle_eio_connect(engine_id, environ)

    async def _closed(self, engine_id: str, reason: object) -> None:
        network = self._networks.pop(engine_id, None)
        if network is not None:
            self._per_network[network] -= 1
            if not self._per_network[network]:
                del self._per_network[network]
        await self.server._handle_eio_disconnect(engine_id, reason)


def _server(namespace: str) -> Any:
    return socketio.AsyncServer(
        async_mode="aiohttp",
        cors_allowed_origins="*",
        cors_credentials=False,
        namespaces=[namespace],
        max_http_buffer_size=MAX_MESSAGE_BYTES,
        http_compression=False,
        logger=_quiet,
        engineio_logger=_quiet,
    )
