"""What the benchmarks share: a server in a process of its own, keep-alive connections that load it, and result rows.

Rates depend on the machine and on who else uses it; ratios within one run much less. The ratio of two handlers is taken
from the CPU time that the serving process spent per request, measured in turns, so that a busy machine slows both.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, cast

import uvloop

CONNECTIONS = 32
STOP_WITHIN_S = 10


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. ``ratio`` is None where nothing is compared; ``goal`` is the least ratio wanted."""

    what: str
    measured: str
    against: str = ""
    ratio: float | None = None
    goal: float | None = None


# The server's side


Serve = Callable[[Connection], Awaitable[None]]


async def answer_questions(pipe: Connection, answers: Mapping[str, Callable[[], Any]] | None = None) -> None:
    """Serve until told to stop; ``cpu`` is answered with the CPU seconds this process has spent."""
    known = {"cpu": time.process_time, **(answers or {})}
    loop = asyncio.get_running_loop()
    while (question := await loop.run_in_executor(None, pipe.recv)) != "stop":
        pipe.send(known[question]())


def _child(serve: Serve, pipe: Connection) -> None:
    uvloop.run(serve(pipe))  # type: ignore[arg-type]


class Server:
    """The parent's view of the serving process. ``ready`` is what the child sent first."""

    def __init__(self, pipe: Connection, pid: int | None) -> None:
        self._pipe = pipe
        self._stopped = False
        self.pid = pid
        self.ready: Any = self._receive(60)

    def ask(self, question: str) -> Any:
        self._pipe.send(question)
        return self._receive(10)

    def stop(self) -> None:
        """Begins its end; asking is over."""
        if not self._stopped:
            self._stopped = True
            self._pipe.send("stop")

    def _receive(self, within_s: float) -> Any:
        if not self._pipe.poll(within_s):
            raise SystemExit("the serving process does not answer")
        return self._pipe.recv()


@contextmanager
def serving(serve: Serve) -> Iterator[Server]:
    """A process that runs ``serve`` (a function of a module) under uvloop."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_child, args=(serve, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        server = Server(ours, process.pid)
        yield server
        server.stop()
        process.join(STOP_WITHIN_S)
    finally:
        if process.is_alive():
            process.terminate()
            process.join(STOP_WITHIN_S)


# The sender's side


NextRequest = Callable[[], bytes]
"""The bytes of the next request of one connection."""


def post(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """A POST as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


class _Sender(asyncio.Protocol):
    """One keep-alive connection: the next request goes out when the answer is there."""

    def __init__(self, next_request: NextRequest) -> None:
        self._next_request = next_request
        self.answers = self.failures = 0
        self.failure = b""
        self.stopping = False
        self.stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport is no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._next_request())

    def data_received(self, data: bytes) -> None:
        self.answers += 1
        if not data.startswith(b"HTTP/1.1 204"):
            self.failures += 1
            self.failure = data
        if self.stopping:
            self._transport.close()
        else:
            self._transport.write(self._next_request())

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.stopped.done():
            self.stopped.set_result(None)


async def _send(port: int, next_requests: Sequence[NextRequest], seconds: float) -> int:
    loop = asyncio.get_running_loop()
    senders = [_Sender(next_request) for next_request in next_requests]
    for sender in senders:
        await loop.create_connection(lambda sender=sender: sender, "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.sleep(seconds)
    for sender in senders:
        sender.stopping = True
    await asyncio.wait_for(asyncio.gather(*(sender.stopped for sender in senders)), STOP_WITHIN_S)
    for sender in senders:
        if sender.failures:
            raise SystemExit(f"not every answer was 204: {sender.failure[:600]!r}")
    return sum(sender.answers for sender in senders)


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent to one handler: ``connection(n)`` makes the requests of the n-th connection."""

    name: str
    port: int
    connection: Callable[[int], NextRequest]


@dataclass(frozen=True, slots=True)
class Cost:
    """One handler: microseconds of the server's CPU per request, and requests per second, round by round."""

    name: str
    us: list[float]
    per_s: list[float]

    @property
    def text(self) -> str:
        return f"{statistics.median(self.us):6.1f} µs CPU, {statistics.median(self.per_s):7.0f}/s"

    def share_of(self, bare: Cost) -> float:
        """The median of what each round says: how many requests this one answers while ``bare`` answers one."""
        return statistics.median(theirs / ours for theirs, ours in zip(bare.us, self.us, strict=True))

    def per_round(self, bare: Cost) -> str:
        return ", ".join(f"{theirs / ours:.0%}" for theirs, ours in zip(bare.us, self.us, strict=True))


def compare(server: Server, loads: Sequence[Load], seconds: float, rounds: int, warm_up_s: float = 0.5) -> list[Cost]:
    """Load each in turn, ``rounds`` times, after a warm-up of each."""
    costs = [Cost(load.name, [], []) for load in loads]
    for turn in range(rounds + 1):
        for load, cost in zip(loads, costs, strict=True):
            next_requests = [load.connection(number) for number in range(CONNECTIONS)]
            before, since = server.ask("cpu"), time.monotonic()
            answers = uvloop.run(_send(load.port, next_requests, seconds if turn else warm_up_s))
            if turn:
                cost.per_s.append(answers / (time.monotonic() - since))
                cost.us.append((server.ask("cpu") - before) / answers * 1e6)
    return costs
