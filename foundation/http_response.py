"""Answers of other hosts, and how much of them is read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDictProxy

from foundation.errors import FetchFailed
from foundation.httpdate import http_date_ms, retry_after_s

#: What is read of an answer that nobody needs as a document: to a POST, or with an error status.
MAX_ANSWER_BYTES = 8_192

#: Takes a piece of a document as it comes.
Write = Callable[[bytes], Awaitable[None]]

#: How long the rest of such an answer may take once its status is known.
ANSWER_WAIT_MS = 1_000


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer. ``url`` is the URL that gave it, in canonical form (`foundation.urls.canonical_url`).

    ``headers`` look up in any case; ``received_ms`` is the wall clock when they arrived; ``truncated`` says that
    ``body`` is only the beginning, which happens to answers to a POST and to error pages, never to a document.
    """

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    url: str
    received_ms: int
    truncated: bool = False

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def media_type(self) -> str:
        """The media type in lower case without parameters; empty when there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def date_ms(self) -> int | None:
        """The sender's clock: the ``Date`` header in Unix milliseconds (whole seconds)."""
        return http_date_ms(self.headers.get("Date", ""))

    @property
    def retry_after_s(self) -> int | None:
        """Seconds the sender asks to wait, between 0 and one day."""
        return retry_after_s(self.headers.get("Retry-After"), self.received_ms)


async def read_document(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """All of the body, uncoded; FetchFailed ``too_large`` or ``protocol_error``."""
    body = bytearray()

    async def keep(piece: bytes) -> None:
        body.extend(piece)

    await pass_on_document(answer, limit, keep)
    return bytes(body)


async def pass_on_document(answer: aiohttp.ClientResponse, limit: int, write: Write) -> bytes:
    """Hand all of the body to ``write``, never more than ``limit`` bytes; returns nothing of it. Fails as above."""
    if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise FetchFailed("protocol_error", "a content coding that was not asked for", status=answer.status)
    size = answer.content_length or 0
    if size <= limit:
        size = 0
        async for chunk in answer.content.iter_any():
            size += len(chunk)
            if size > limit:
                break
            await write(chunk)
        else:
            return b""
    raise FetchFailed("too_large", f"more than {limit} bytes", status=answer.status)


async def read_some(answer: aiohttp.ClientResponse) -> bytes:
    """Up to `MAX_ANSWER_BYTES`, as far as they come within `ANSWER_WAIT_MS`; a broken body counts as a short one."""
    if answer.content.at_eof():
        return b""
    body = bytearray()
    try:
        async with asyncio.timeout(ANSWER_WAIT_MS / 1000):
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    break
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass
    return bytes(body[:MAX_ANSWER_BYTES])
