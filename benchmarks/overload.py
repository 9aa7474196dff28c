"""Ten times as much as can be done, for as long as it is let: does memory stay bounded, and does it recover by itself?

First the rate of heartbeats that one process answers. As many clients as it answers in ``listen.overload_lag`` may ask
at once before pressure begins; ten times as many then do, and ask again at once whatever they are told. Nine in ten
report for viewers who are here, one in ten for a new one. Not part of ``python -m benchmarks``:
``python -m benchmarks.overload --seconds 300``.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import cast

import uvloop

from benchmarks.heartbeat import HEADERS, VIDEO
from benchmarks.house import MANY, running_service
from benchmarks.load import Server, answer_questions, post, serving
from service.config import Views
from service.web.listening import room_for
from views.model import VideoDraft

MOST = 9_500
"""Connections: below the bound of the service (``listen.max_connections``)."""

KNOWN = 2_000
MAX_VIEWERS = 20_000
TIMES = 10
LAG_S = 0.3
PAGE_BYTES = 4_096
LATE_S = 120
"""Longest wait for the recovery."""


async def serve(pipe: Connection) -> None:
    views = Views(rate_limit=MANY, sessions_per_address=None, max_viewers=MAX_VIEWERS)
    async with running_service(views) as service:
        await service.views.catalog.put_local(VideoDraft(VIDEO, "Benchmark", 0, is_live=True))
        shedder = service.ground.shedder
        pipe.send(service.config.listen.port)
        await answer_questions(
            pipe, {"memory": _memory_bytes, "level": lambda: shedder.level, "pressure": lambda: shedder.pressure}
        )


def _memory_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * PAGE_BYTES


class _Client(asyncio.Protocol):
    """Asks again as soon as it is answered."""

    def __init__(self, next_request: Callable[[], bytes], answers: Counter[bytes]) -> None:
        self._next_request = next_request
        self._answers = answers
        self.stopping = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def begin(self) -> None:
        if self.transport.is_closing():
            return  # It took so long to connect the others that this one was taken for silent.
        self.transport.write(self._next_request())

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 "):
            return  # The body of a refusal, behind its head.
        self._answers[data[9:12]] += 1
        if not self.stopping:
            self.transport.write(self._next_request())


def _requests() -> Callable[[], bytes]:
    path = f"/api/v1/videos/{VIDEO}/views"
    number = 0

    def next_request() -> bytes:
        nonlocal number
        number += 1
        name = f"new-{number}" if number % 10 == 0 else f"known-{number % KNOWN}"
        return post(path, b'{"currentTime":%d,"sessionId":"%s"}' % (number % 1_000, name.encode()), HEADERS)

    return next_request


async def _load(port: int, connections: int, seconds: float, watch: Callable[[], None]) -> Counter[bytes]:
    answers: Counter[bytes] = Counter()
    next_request = _requests()
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(lambda: _Client(next_request, answers), "127.0.0.1", port)
        clients.append(client)
    for client in clients:
        client.begin()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(min(1, seconds))
        await loop.run_in_executor(None, watch)
    for client in clients:
        client.stopping = True
        client.transport.abort()
    return answers


async def _once(port: int) -> tuple[int, float]:
    """Status and seconds of one heartbeat of a client that does as it is told."""
    started = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(f"/api/v1/videos/{VIDEO}/views", b'{"currentTime":1,"sessionId":"polite"}', HEADERS))
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status, time.monotonic() - started


async def _measure(server: Server, seconds: float) -> None:
    port, before = server.ready, server.ask("memory")
    calm = await _load(port, 32, 3, lambda: None)
    rate = calm.total() / 3
    wanted = round(TIMES * rate * LAG_S)
    connections = room_for(min(MOST, wanted))
    print(f"sustainable {rate:.0f}/s; {connections} clients ask at once (wanted {wanted}) for {seconds:.0f} s")
    memory, levels = [server.ask("memory")], [0]

    def watch() -> None:
        memory.append(server.ask("memory"))
        levels.append(server.ask("level"))

    answers = await _load(port, connections, seconds, watch)
    print(
        f"answers: {', '.join(f'{status.decode()} {count / seconds:.0f}/s' for status, count in answers.most_common())}"
    )
    third = max(1, len(memory) // 3)
    mb = [round(max(part) / 1e6) for part in (memory[:third], memory[third : 2 * third], memory[2 * third :])]
    print(f"memory: {before / 1e6:.0f} MB before, at most {mb} MB in the first, second and last third")
    print(f"level: at most {max(levels)}, at the end {levels[-1]}")
    ended = time.monotonic()
    while server.ask("level") and time.monotonic() - ended < LATE_S:  # noqa: ASYNC110 (another process)
        await asyncio.sleep(0.2)
    status, took_s = await _once(port)
    recovered = f"level {server.ask('level')} {time.monotonic() - ended:.0f} s after the end"
    print(f"recovery: {recovered}; the next report {status} in {took_s * 1000:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="length of the overload, 600 at most")
    options = parser.parse_args()
    with serving(serve) as server:
        uvloop.run(_measure(server, min(600, options.seconds)))


if __name__ == "__main__":
    main()
