"""Clients that hold connections: bounded, of one address too, and thrown out when they never say anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hostile.scene import Build, Scene

from service.web.listening import PIPELINED

GET = b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n"


class Caller:
    """One connection, kept open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, said: bytes = GET) -> str:
        """The status line of the answer; empty when the other side has closed without a word."""
        async with asyncio.timeout(20):
            try:
                self._writer.write(said)
                await self._writer.drain()
                head = await self._reader.readuntil(b"\r\n\r\n")
                length = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
                await self._reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
            except (asyncio.IncompleteReadError, ConnectionError):
                return ""
            return head.split(b"\r\n")[0].decode().partition(" ")[2]

    async def ended(self) -> bool:
        """Waits until the other side closes."""
        async with asyncio.timeout(20):
            try:
                await self._reader.read()
            except ConnectionError:
                return True
            return self._reader.at_eof()


@asynccontextmanager
async def calling(scene: Scene) -> AsyncIterator[Caller]:
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()


def refused(scene: Scene, bound: str) -> float | None:
    return scene.service.ground.metrics.registry.get_sample_value(
        "fediviews_connections_refused_total", {"bound": bound}
    )


@pytest.mark.parametrize(
    ("listen", "bound"),
    [
        ({"max_connections": 3}, "all"),
        ({"max_connections_per_address": 3, "trusted_proxies": ()}, "address"),
    ],
)
async def test_one_connection_too_many_is_told_to_come_again(build: Build, listen: dict, bound: str) -> None:
    scene = await build(listen=listen)
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(calling(scene)) for _ in range(3)]
        for caller in callers:
            assert await caller.ask() == "200 OK"
        async with calling(scene) as late:
            assert await late.ask() == "503 Service Unavailable"
        assert refused(scene, bound) == 1
        assert await callers[0].ask() == "200 OK", "those inside are served"
    async with calling(scene) as next_one:
        # The server hears a moment later that the others have gone: until then this one is too many.
        said = await next_one.ask()
    for _ in range(1_000):
        if said == "200 OK":
            break
        await asyncio.sleep(0.01)
        async with calling(scene) as next_one:
            said = await next_one.ask()
    assert said == "200 OK"


async def test_trusted_proxies_have_no_bound_of_their_own(build: Build) -> None:
    scene = await build(listen={"max_connections_per_address": 1})
    async with calling(scene) as first, calling(scene) as second:
        assert await first.ask() == await second.ask() == "200 OK"


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: he"])
async def test_who_never_finishes_a_first_request_is_thrown_out(build: Build, said: bytes) -> None:
    scene = await build(listen={"header_timeout_ms": 100})
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.port)
    writer.write(said)
    async with calling(scene) as busy:
        assert await busy.ask() == "200 OK"
        assert await Caller(reader, writer).ended()
        assert refused(scene, "silent") == 1
        assert await busy.ask() == "200 OK", "whoever has spoken once may be silent"
    writer.close()


async def test_a_header_beyond_the_bound_is_refused(build: Build) -> None:
    scene = await build(listen={"max_header_bytes": 2_000})
    async with calling(scene) as caller:
        assert (await caller.ask(GET[:-2] + b"X-Long: " + b"x" * 3_000 + b"\r\n\r\n")).startswith("400")
    async with calling(scene) as caller:
        assert await caller.ask(GET[:-2] + b"X-Long: " + b"x" * 1_000 + b"\r\n\r\n") == "200 OK"


async def test_few_requests_of_a_connection_are_read_ahead_and_all_are_answered(build: Build) -> None:
    scene = await build()
    async with calling(scene) as caller:
        assert await caller.ask(60 * GET) == "200 OK"
        runner = scene.service._runner
        assert runner is not None
        assert runner.server is not None
        assert max(len(handler._messages) for handler in runner.server.connections) <= PIPELINED
        for _ in range(59):
            assert await caller.ask(b"") == "200 OK"
