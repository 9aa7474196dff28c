"""Who listens in ``benchmarks.listeners``: an event stream or a Socket.IO connection, as raw bytes on a connection."""

from __future__ import annotations

import abc
import asyncio
import time
from typing import cast

PER_ADDRESS = 50
"""As many listeners of one address as are let in by default."""


def uuid_of(index: int) -> str:
    return f"9c9de5e8-0a1e-484a-b099-{index:012d}"


class Listener(asyncio.Protocol, abc.ABC):
    """What it hears, and when. ``reads`` False: it asks, and never reads an answer."""

    def __init__(self, index: int, video: int, number: int, reads: bool = True) -> None:
        self.video = video
        self.times: list[float] = []
        self.numbers: list[int] = []
        self.refused = b""
        self.address = f"10.{index // PER_ADDRESS // 250}.{index // PER_ADDRESS % 250}.1"
        self._number = number
        self._reads = reads
        loop = asyncio.get_running_loop()
        self.listening: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if not self._reads:
            self.transport.pause_reading()
            self._listens()
        self.transport.write(self.request())

    def connection_lost(self, exc: Exception | None) -> None:
        self._listens()
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        at = data.rfind(b'"viewers":')
        if at >= 0:
            self.times.append(time.monotonic())
            digits = data[at + 10 : at + 20]
            self.numbers.append(int(digits[: next(i for i, c in enumerate(digits) if c not in b"0123456789")]))
        self.heard(data)

    @abc.abstractmethod
    def request(self) -> bytes:
        """What asks to listen."""

    @abc.abstractmethod
    def heard(self, data: bytes) -> None:
        """Some bytes of the answer came."""

    def _listens(self) -> None:
        if not self.listening.done():
            self.listening.set_result(None)


class Stream(Listener):
    """Server-sent events."""

    def request(self) -> bytes:
        return (
            f"GET /api/v1/videos/{uuid_of(self.video)}/viewers HTTP/1.1\r\nHost: localhost\r\n"
            f"Accept: text/event-stream\r\nX-Forwarded-For: {self.address}\r\n\r\n"
        ).encode()

    def heard(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 200"):
            self.refused = data[9:12]
        if self.numbers or self.refused:
            self._listens()


def subscribe(number: int) -> str:
    return f'42/live-videos,["subscribe",{{"videoId":{number}}}]'


class Socket(Listener):
    """Engine.IO 4 straight over a WebSocket; frames of a client are masked with zeros."""

    def request(self) -> bytes:
        return (
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
            f"X-Forwarded-For: {self.address}\r\n\r\n"
        ).encode()

    def heard(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 "):
            if data.startswith(b"HTTP/1.1 101"):
                self._say("40/live-videos,")
            else:
                self.refused = data[9:12]
                self._listens()
        if b"40/live-videos" in data:
            self._say(subscribe(self._number))
            self._listens()
        if b"44/live-videos" in data:
            self.refused = b"44"
            self._listens()
        if b"\x81\x012" in data:
            self._say("3")

    def _say(self, text: str) -> None:
        assert len(text) < 126
        self.transport.write(bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text.encode())


KINDS = {"SSE": Stream, "Socket.IO": Socket}
