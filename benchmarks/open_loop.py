"""Senders that do not wait: arrivals at a rate, over thousands of connections, each with a few requests on its way.

Light enough for one core to offer tens of thousands of requests a second: requests are put together from pieces made
before, several go out in one write, and of answers only the status lines are looked at.
"""

from __future__ import annotations

import asyncio
import enum
import itertools
import random
import re
import socket
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, cast

TICK_S = 0.01
BLOCK = 8
"""Requests of one write."""
ROOM_BYTES = 65_536
"""Unsent on a connection, from which on nothing more is put on it."""
KNOWN = 2_000
PAGES = 1_000
PER_ADDRESS = 100
SEND_BUFFER_BYTES = 16_384
_STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d)")
_SPLIT = 12
"""Bytes of a status line that may stand at the end of what came, and go on in what comes next."""


class Kind(enum.IntEnum):
    KNOWN = 0
    NEW = 1
    PAGE = 2
    BEAT = 3
    VIEW = 4


MIX = (Kind.KNOWN,) * 11 + (Kind.NEW,) * 2 + (Kind.PAGE,) * 2 + (Kind.BEAT,) * 2 + (Kind.VIEW,) * 3
"""Of twenty requests."""


@dataclass(slots=True)
class Here:
    """Viewers who were told that they count, and those who heard nothing."""

    acknowledged: set[int] = field(default_factory=set)
    unanswered: set[int] = field(default_factory=set)


class Requests:
    """``{address}``, ``{number}`` and ``{second}`` in the templates are replaced, always by as many characters."""

    def __init__(self, templates: Mapping[Kind, bytes], signed: Sequence[bytes]) -> None:
        self.here = Here()
        self._signed = signed
        self._pieces = {kind: _pieces(template) for kind, template in templates.items()}
        self._started = time.monotonic()
        self._turn = itertools.count()
        self._fresh = itertools.count()
        self._mix = random.Random(7).sample(MIX, len(MIX))

    def block(self, count: int, ids: deque[int]) -> bytes:
        """The next requests; what each is goes to the end of ``ids``."""
        second = b"%06d" % (100_000 + int(time.monotonic() - self._started))
        parts = []
        for _ in range(count):
            turn = next(self._turn)
            kind = self._mix[turn % len(MIX)]
            if kind is Kind.VIEW:
                number = turn // len(MIX) * 3 % len(self._signed) + turn % 3
                number %= len(self._signed)
                parts.append(self._signed[number])
            else:
                number = (
                    next(self._fresh) if kind is Kind.NEW else turn * 7919 % (KNOWN if kind is Kind.KNOWN else PAGES)
                )
                parts.append(self._pieces[kind](number, second))
            ids.append(number << 3 | kind)
        return b"".join(parts)


class _pieces:  # noqa: N801 (used as a function)
    def __init__(self, template: bytes) -> None:
        filled = (
            template.replace(b"{address}", b"%(a)s").replace(b"{number}", b"%(n)07d").replace(b"{second}", b"%(s)s")
        )
        head, _, body = filled.partition(b"\r\n\r\n")
        length = len(body % {b"n": 0, b"s": b"100000", b"a": b""})
        lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
        self._filled = b"\r\n".join([*lines, b"Content-Length: %d" % length, b"", b""]) + body

    def __call__(self, number: int, second: bytes) -> bytes:
        address = number // PER_ADDRESS
        text = b"10.%d.%d.1" % (address >> 8 & 255, address & 255)
        return self._filled % {b"a": text, b"n": number, b"s": second}


@dataclass(slots=True)
class Tally:
    """What was offered and what became of it."""

    offered: int = 0
    written: int = 0
    full: int = 0
    given_up: int = 0
    hung_up: int = 0
    closed: int = 0
    unconnected: int = 0
    came: int = 0
    retry_after: int = 0
    answers: Counter[bytes] = field(default_factory=Counter)
    taken: Counter[Kind] = field(default_factory=Counter)


class Line(asyncio.Protocol):
    """One connection. Knows what it asked, in order, and since when the oldest waits."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._ids: deque[int] = deque()
        self._sent: deque[tuple[float, int]] = deque()
        self._rest = b""
        self.open = False
        self.ours = False
        self._patience_s = random.uniform(*loop.PATIENCE_S)
        self.closed_loop = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=2 * ROOM_BYTES)
        self.open = True

    def connection_lost(self, exc: Exception | None) -> None:
        if self.open:
            self.open = False
            self._loop.lost(self, self._ids)

    def send(self, count: int) -> None:
        tally = self._loop.tally
        tally.offered += count
        if not self.open or self.transport.get_write_buffer_size() > ROOM_BYTES:
            tally.full += count
            return
        tally.written += count
        self._sent.append((time.monotonic(), count))
        self.transport.write(self._loop.requests.block(count, self._ids))

    def has_waited_enough(self, now_s: float) -> bool:
        return bool(self._sent) and now_s - self._sent[0][0] > self._patience_s

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        tally, here = self._loop.tally, self._loop.requests.here
        statuses = _STATUS.findall(data)
        at = data.rfind(b"HTTP", max(0, len(data) - _SPLIT))
        self._rest = data[at:] if at >= 0 and len(data) - at < _SPLIT else b""
        tally.retry_after += data.count(b"\nRetry-After:")
        for status in statuses:
            tally.answers[status] += 1
            if not self._ids:
                continue
            what = self._ids.popleft()
            if status == b"204":
                kind = Kind(what & 7)
                tally.taken[kind] += 1
                if kind in _VIEWERS:
                    here.acknowledged.add(what)
        self._answered(len(statuses))

    def _answered(self, count: int) -> None:
        sent = self._sent
        while count and sent:
            at, left = sent[0]
            if left > count:
                sent[0] = (at, left - count)
                return
            count -= left
            sent.popleft()
        if self.closed_loop and not sent and self.open:
            self.send(1)


_VIEWERS = frozenset({Kind.KNOWN, Kind.NEW, Kind.VIEW})


class Loop:
    """Every connection of the senders."""

    PATIENCE_S: ClassVar[tuple[float, float]] = (3.0, 10.0)
    """For an answer; not the same for everybody."""

    def __init__(self, port: int, requests: Requests) -> None:
        self.requests = requests
        self.tally = Tally()
        self.lines: list[Line] = []
        self._port = port
        self._coming: set[asyncio.Task[None]] = set()
        self._closing = False

    async def connect(self, count: int) -> None:
        self._closing = False
        turns = asyncio.Semaphore(200)

        async def one() -> None:
            async with turns:
                await self._come()

        await asyncio.gather(*(one() for _ in range(count)))

    async def closed(self, seconds: float) -> None:
        """Each asks again when it is answered."""
        for line in self.lines:
            line.closed_loop = True
            line.send(1)
        await asyncio.sleep(seconds)
        for line in self.lines:
            line.closed_loop = False
        await asyncio.sleep(0.2)

    async def once(self) -> float:
        started = time.monotonic()
        self.lines[0].send(1)
        while not self.tally.answers.total() and time.monotonic() < started + 10:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        return time.monotonic() - started

    def lost(self, line: Line, ids: deque[int]) -> None:
        """What waited there is unanswered; another connection takes its place."""
        self.tally.given_up += len(ids)
        self.requests.here.unanswered.update(what for what in ids if (what & 7) in _VIEWERS)
        if line in self.lines:
            self.lines.remove(line)
        if self._closing:
            return
        if not line.ours:
            self.tally.closed += 1
        task = asyncio.get_running_loop().create_task(self._come())
        self._coming.add(task)
        task.add_done_callback(self._coming.discard)

    def give_up(self, now_s: float) -> None:
        """Who waits for too long hangs up."""
        for line in tuple(self.lines):
            if line.has_waited_enough(now_s):
                line.ours = True
                self.tally.hung_up += 1
                line.transport.abort()

    def close(self) -> None:
        self._closing = True
        for line in tuple(self.lines):
            line.ours = True
            line.transport.abort()

    async def _come(self) -> None:
        made = socket.socket()
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        loop, line = asyncio.get_running_loop(), Line(self)
        try:
            async with asyncio.timeout(self.PATIENCE_S[1]):
                await loop.sock_connect(made, ("127.0.0.1", self._port))
            await loop.create_connection(lambda: line, sock=made)
        except (OSError, TimeoutError):
            made.close()
            self.tally.unconnected += 1
            return
        if self._closing:
            line.ours = True
            line.transport.abort()
        elif line.open:
            self.lines.append(line)


class Arrivals:
    """So many a second, evenly, over the connections in turns."""

    def __init__(self, loop: Loop, rate: float) -> None:
        self._loop = loop
        self._rate = rate
        self.seconds = 0.0

    async def run(self, seconds: float) -> None:
        started, turn, looked = time.monotonic(), 0, 0.0
        while (now := time.monotonic()) < started + seconds:
            due = int(self._rate * (now - started)) - self._loop.tally.offered
            for _ in range(min(due // BLOCK, 4_000)):
                lines = self._loop.lines
                if not lines:
                    self._loop.tally.offered += BLOCK
                    self._loop.tally.full += BLOCK
                    continue
                turn = (turn + 1) % len(lines)
                lines[turn].send(BLOCK)
            if now - looked > 0.5:
                looked = now
                self._loop.give_up(now)
            await asyncio.sleep(TICK_S)
        self.seconds = time.monotonic() - started


class Churn:
    """Beside the arrivals: connections that come and go, that send a byte a second, that never read."""

    COME_AND_GO_PER_S = 100
    SLOW = 200
    DEAF = 100

    def __init__(self, port: int, tally: Tally) -> None:
        self._port = port
        self._tally = tally

    async def run(self, loop: Loop, seconds: float) -> None:
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(self.SLOW):
                group.create_task(self._slow(loop.requests, until))
            for _ in range(self.DEAF):
                group.create_task(self._deaf(loop.requests, until))
            while time.monotonic() < until:
                group.create_task(self._passing(loop.requests, until))
                await asyncio.sleep(1 / self.COME_AND_GO_PER_S)

    async def _open(self, receive: int | None = None) -> socket.socket | None:
        made = socket.socket()
        made.setblocking(False)
        if receive is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        try:
            async with asyncio.timeout(Loop.PATIENCE_S[1]):
                await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", self._port))
        except (OSError, TimeoutError):
            self._tally.unconnected += 1
            made.close()
            return None
        self._tally.came += 1
        return made

    async def _passing(self, requests: Requests, until: float) -> None:
        """One report, one answer, gone; or gone without it."""
        made, ids, loop = await self._open(), deque[int](), asyncio.get_running_loop()
        if made is None:
            return
        with made:
            try:
                async with asyncio.timeout(min(2.0, max(0.1, until - time.monotonic()))):
                    await loop.sock_sendall(made, requests.block(1, ids))
                    status = (await loop.sock_recv(made, 4_096))[9:12]
            except (OSError, TimeoutError):
                requests.here.unanswered.update(what for what in ids if (what & 7) in _VIEWERS)
                return
            if status == b"204" and (ids[0] & 7) in _VIEWERS:
                requests.here.acknowledged.add(ids[0])
            elif not status:
                requests.here.unanswered.update(ids)

    async def _slow(self, requests: Requests, until: float) -> None:
        """A byte a second, until it is turned out; then again."""
        loop = asyncio.get_running_loop()
        while time.monotonic() < until:
            made = await self._open()
            if made is not None:
                with made:
                    ids: deque[int] = deque()
                    try:
                        for byte in requests.block(1, ids):
                            await loop.sock_sendall(made, bytes((byte,)))
                            await asyncio.sleep(1)
                            if time.monotonic() > until:
                                break
                    except OSError:
                        pass
            await asyncio.sleep(0.2)

    async def _deaf(self, requests: Requests, until: float) -> None:
        """Asks as fast as it is let, and never reads."""
        loop = asyncio.get_running_loop()
        while time.monotonic() < until:
            made = await self._open(receive=4_096)
            if made is not None:
                with made:
                    try:
                        while time.monotonic() < until:
                            ids: deque[int] = deque()
                            said = requests.block(BLOCK, ids)
                            requests.here.unanswered.update(what for what in ids if (what & 7) in _VIEWERS)
                            async with asyncio.timeout(max(0.1, until - time.monotonic())):
                                await loop.sock_sendall(made, said)
                            await asyncio.sleep(0.1)
                    except (OSError, TimeoutError):
                        pass
            await asyncio.sleep(0.2)
