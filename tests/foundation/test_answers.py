"""The empty answer says on the wire what aiohttp's own would say."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from unittest.mock import Mock

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request

from foundation.answers import EmptyAnswers

HEADERS = {"Access-Control-Allow-Origin": "*", "X-Views": "counted"}
Started = Callable[[web.Application], Awaitable[TestServer]]


async def server_of(aiohttp_server: Started) -> TestServer:
    empty = EmptyAnswers(HEADERS)

    async def ours(_request: web.Request) -> web.Response:
        return empty()

    async def theirs(_request: web.Request) -> web.Response:
        return web.Response(status=204, headers=HEADERS)

    async def closing(_request: web.Request) -> web.Response:
        answer = empty()
        answer.force_close()
        return answer

    app = web.Application()
    app.router.add_post("/ours", ours)
    app.router.add_post("/theirs", theirs)
    app.router.add_post("/closing", closing)
    return await aiohttp_server(app)


async def lines(reader: asyncio.StreamReader) -> list[bytes]:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    return [line for line in head.split(b"\r\n") if line and not line.startswith(b"Date: ")]


async def exchange(server: TestServer, *requests: str) -> tuple[list[list[bytes]], bytes]:
    """The heads of the answers on one connection, and what was left when the server closed it (if it did)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    heads = []
    for request in requests:
        writer.write(request.encode())
        heads.append(await lines(reader))
    closes = "close" in requests[-1] or "HTTP/1.0" in requests[-1] or "/closing" in requests[-1]
    rest = await asyncio.wait_for(reader.read(), 5) if closes else b""
    writer.close()
    return heads, rest


def request_to(path: str, version: str = "1.1", connection: str = "") -> str:
    extra = f"Connection: {connection}\r\n" if connection else ""
    return f"POST {path} HTTP/{version}\r\nHost: localhost\r\n{extra}Content-Length: 2\r\n\r\n{{}}"


@pytest.mark.parametrize(("version", "connection"), [("1.1", ""), ("1.1", "close"), ("1.0", ""), ("1.0", "keep-alive")])
async def test_the_wire_shows_no_difference(aiohttp_server: Started, version: str, connection: str) -> None:
    server = await server_of(aiohttp_server)
    if (version, connection) == ("1.0", "keep-alive"):
        connection_after = [request_to(path, "1.0", "keep-alive") for path in ("/ours", "/theirs")]
        heads, _ = await exchange(server, *connection_after, request_to("/ours", "1.1", "close"))
        assert heads[0] == heads[1]
        return
    ours = await exchange(server, request_to("/ours", version, connection))
    theirs = await exchange(server, request_to("/theirs", version, connection))
    assert ours == theirs
    assert ours[0][0][0].endswith(b"204 No Content")
    assert b"X-Views: counted" in ours[0][0]


async def test_one_connection_serves_many(aiohttp_server: Started) -> None:
    server = await server_of(aiohttp_server)
    heads, rest = await exchange(server, *[request_to("/ours")] * 5, request_to("/theirs", "1.1", "close"))
    assert len(heads) == 6
    assert len({tuple(head) for head in heads[:5]}) == 1
    assert rest == b""


async def test_the_connection_can_be_closed(aiohttp_server: Started) -> None:
    server = await server_of(aiohttp_server)
    heads, rest = await exchange(server, request_to("/closing"))
    assert b"Connection: close" in heads[0]
    assert rest == b""


def test_the_date_moves_on(monkeypatch: pytest.MonkeyPatch) -> None:
    dates = iter(["Sun, 06 Nov 1994 08:49:37 GMT"] * 2 + ["Sun, 06 Nov 1994 08:49:38 GMT"])
    monkeypatch.setattr("foundation.answers.rfc822_formatted_time", lambda: next(dates))
    empty = EmptyAnswers(HEADERS)
    first = empty.head()
    assert empty.head() is first
    assert b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" in first
    assert b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n" in empty.head()


class _Full:
    """A connection whose other end does not read, as writer and transport."""

    def __init__(self) -> None:
        self.written = b""
        self.draining, self.room = asyncio.Event(), asyncio.Event()

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None:
        self.draining.set()
        await self.room.wait()


async def test_who_never_reads_is_not_answered_into_memory() -> None:
    connection = _Full()
    transport = Mock(write=connection.write, is_closing=connection.is_closing)
    request = make_mocked_request("POST", "/", writer=connection, transport=transport)  # type: ignore[arg-type]
    answering = asyncio.create_task(EmptyAnswers(HEADERS)().prepare(request))
    await asyncio.wait_for(connection.draining.wait(), 5)
    assert connection.written.startswith(b"HTTP/1.1 204")
    assert not answering.done()
    connection.room.set()
    await asyncio.wait_for(answering, 5)
