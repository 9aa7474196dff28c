"""The empty answer that hot routes give thousands of times a second."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import ClientConnectionResetError, hdrs, http, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.helpers import rfc822_formatted_time
from multidict import CIMultiDict

_STATUS_LINE = "HTTP/1.1 204 No Content"


class EmptyAnswers:
    """Makes 204 answers that all have these headers. The head is put together once per second, not once per answer."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self.headers = CIMultiDict(headers or {})
        self._date = ""
        self._head = b""

    def __call__(self) -> web.Response:
        return _NoContent(self)

    def head(self) -> bytes:
        """The whole answer, with what aiohttp adds to one."""
        date = rfc822_formatted_time()
        if date != self._date:
            self._date = date
            headers = [*self.headers.items(), (hdrs.DATE, date), (hdrs.SERVER, http.SERVER_SOFTWARE)]
            lines = [_STATUS_LINE, *(f"{name}: {value}" for name, value in headers)]
            self._head = "\r\n".join([*lines, "", ""]).encode()
        return self._head


class _NoContent(web.Response):
    """Goes the short way on a connection of HTTP/1.1 that stays open, else aiohttp's.

    The short way knows no ``on_response_prepare``, compression or cookies: no route that uses this has any.
    """

    def __init__(self, answers: EmptyAnswers) -> None:
        super().__init__(status=204)
        self._answers = answers

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if self.prepared:
            return await super().prepare(request)
        if request.version != http.HttpVersion11 or not request.keep_alive or self._keep_alive is False:
            self.headers.extend(self._answers.headers)
            return await super().prepare(request)
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ClientConnectionResetError("Cannot write to closing transport")
        self._req = request
        self._keep_alive = True
        self._payload_writer = writer = request.writer
        transport.write(self._answers.head())
        # Nothing is left to write.
        self._eof_sent = True
        # Whoever asks and asks and never reads is answered no faster than it reads.
        await writer.drain()
        return writer
