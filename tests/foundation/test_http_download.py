"""Documents too large for memory: handed on as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from foundation.clock import ManualClock
from foundation.errors import FetchFailed
from foundation.http import HttpClient
from foundation.metrics import Metrics

BODY = bytes(range(256)) * 4_000


@pytest.fixture
async def client(clock: ManualClock) -> AsyncIterator[HttpClient]:
    async with HttpClient(
        clock, Metrics(), allow_private_addresses=True, allow_http=True, user_agent="Test/1", max_document_bytes=10
    ) as made:
        yield made


class Sink:
    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, piece: bytes) -> None:
        self.pieces.append(piece)

    @property
    def whole(self) -> bytes:
        return b"".join(self.pieces)


@pytest.fixture
async def base(aiohttp_server: Any) -> str:
    async def file(_: web.Request) -> web.Response:
        return web.Response(body=BODY)

    async def chunked(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for at in range(0, len(BODY), 100_000):
            await response.write(BODY[at : at + 100_000])
        return response

    async def cut(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(BODY))})
        await response.prepare(request)
        await response.write(BODY[:1_000])
        assert request.transport is not None
        request.transport.close()
        return response

    async def moved(_: web.Request) -> web.Response:
        raise web.HTTPFound("/file")

    async def missing(_: web.Request) -> web.Response:
        return web.Response(status=404, body=BODY)

    async def packed(_: web.Request) -> web.Response:
        return web.Response(body=BODY, headers={"Content-Encoding": "gzip"})

    app = web.Application()
    for handler in (file, chunked, cut, moved, missing, packed):
        app.router.add_get(f"/{handler.__name__}", handler)
    server = await aiohttp_server(app)
    return f"http://{server.host}:{server.port}"


@pytest.mark.parametrize("path", ["file", "chunked", "moved"])
async def test_all_of_it_is_handed_on_in_pieces(client: HttpClient, base: str, path: str) -> None:
    sink = Sink()
    answer = await client.download(f"{base}/{path}", sink.write, accept="*/*", max_bytes=len(BODY))
    assert (answer.status, answer.body, answer.truncated) == (200, b"", False)
    assert sink.whole == BODY
    assert len(sink.pieces) > 1


@pytest.mark.parametrize("path", ["file", "chunked"])
async def test_never_more_than_asked_for(client: HttpClient, base: str, path: str) -> None:
    sink = Sink()
    with pytest.raises(FetchFailed) as failed:
        await client.download(f"{base}/{path}", sink.write, accept="*/*", max_bytes=len(BODY) - 1)
    assert failed.value.reason == "too_large"
    assert len(sink.whole) < len(BODY)


@pytest.mark.parametrize("path", ["cut", "packed"])
async def test_a_body_that_is_not_whole_or_coded_is_a_failure(client: HttpClient, base: str, path: str) -> None:
    with pytest.raises(FetchFailed) as failed:
        await client.download(f"{base}/{path}", Sink().write, accept="*/*", max_bytes=len(BODY))
    assert failed.value.reason == "protocol_error"


async def test_nothing_of_an_error_page_is_handed_on(client: HttpClient, base: str) -> None:
    sink = Sink()
    answer = await client.download(f"{base}/missing", sink.write, accept="*/*", max_bytes=len(BODY))
    assert (answer.status, answer.ok, sink.pieces) == (404, False, [])


async def test_other_documents_keep_their_bound(client: HttpClient, base: str) -> None:
    with pytest.raises(FetchFailed) as failed:
        await client.get(f"{base}/file", accept="*/*")
    assert failed.value.reason == "too_large"
