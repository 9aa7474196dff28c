"""The one way to talk to other hosts: bounded in time, bytes, redirects and connections, and only to public addresses.

Every failure is `foundation.errors.FetchFailed`; its reasons:

==================== ==================================================================================================
bad_url              not an http(s) URL that every parser reads alike, or longer than 2000 characters
scheme_refused       another scheme, or http where https is required
address_refused      a non-public address (literal, or all a name resolves to), a special name, a port not allowed
unreachable          no address, no connection, or the connection ended before an answer
timeout              the whole exchange, redirects included, took longer than ``timeout_ms``
too_large            a document over its limit; the connection is closed, not drained
redirect_refused     a redirect from https to http, or without a Location
too_many_redirects   more than ``max_redirects``
tls_failed           no TLS, or a certificate that does not prove the host
protocol_error       not HTTP, a body cut short, or one in a content coding that was not asked for
==================== ==================================================================================================

An answer with an error status is an answer (`HttpResponse`), not a failure.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from types import TracebackType
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDict
from yarl import URL

from foundation.clock import Clock
from foundation.dialing import GuardedResolver, NotPublicError, guarded_socket, is_dialable
from foundation.errors import FetchFailed, Refused
from foundation.http_response import HttpResponse, Write, pass_on_document, read_document, read_some
from foundation.lookups import Lookups
from foundation.metrics import Metrics
from foundation.name_servers import NameServers
from foundation.urls import WebUrl, parse_url

__all__ = ["REASONS", "HttpClient", "HttpResponse", "Onward", "Sign"]

#: (method, URL as sent, body) -> the headers that sign it; called anew for every hop.
Sign = Callable[[str, str, bytes], Mapping[str, str]]

#: Hears the authority that a redirect leads to; FetchFailed when it must not be asked.
Onward = Callable[[str], None]

_Read = Callable[[aiohttp.ClientResponse], Awaitable[bytes]]

REASONS = (
    "bad_url",
    "scheme_refused",
    "address_refused",
    "unreachable",
    "timeout",
    "too_large",
    "redirect_refused",
    "too_many_redirects",
    "tls_failed",
    "protocol_error",
)

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OUTCOMES = ("1xx", "2xx", "3xx", "4xx", "5xx", *REASONS)
# Not carried along when a redirect leaves the host they were meant for.
_CREDENTIALS = ("authorization", "proxy-authorization", "cookie")


class HttpClient:
    """One connection pool. Made outside of a loop, used in one, closed once (or ``async with``).

    ``allowed_ports``: None means 80, 443 and everything from 1024 (any port where private addresses are allowed).
    ``resolver`` (closed with the client) and ``ssl_context`` replace the usual ones. ``name`` tells several clients'
    metrics apart.
    """

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        *,
        allow_private_addresses: bool,
        allow_http: bool,
        user_agent: str,
        timeout_ms: int = 7_000,
        max_document_bytes: int = 1_000_000,
        max_redirects: int = 2,
        allowed_ports: Collection[int] | None = None,
        connections: int = 100,
        connections_per_host: int = 8,
        resolver: AbstractResolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        name: str = "federation",
    ) -> None:
        self._clock = clock
        self._allow_private = allow_private_addresses
        self._allow_http = allow_http
        self._user_agent = user_agent
        self._timeout_s = timeout_ms / 1000
        self._max_bytes = max_document_bytes
        self._max_redirects = max_redirects
        self._ports = None if allowed_ports is None else frozenset(allowed_ports)
        self._connections = (connections, connections_per_host)
        self._resolver = resolver
        self._ssl = ssl_context
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        requests = metrics.counter(
            f"fediviews_{name}_requests_total", "Requests to other hosts by outcome", ("method", "outcome")
        )
        self._counts = {
            (method, outcome): requests.labels(method, outcome) for method in ("GET", "POST") for outcome in _OUTCOMES
        }

    async def get(
        self,
        url: str,
        *,
        accept: str,
        headers: Mapping[str, str] | None = None,
        sign: Sign | None = None,
        max_bytes: int | None = None,
        onward: Onward | None = None,
    ) -> HttpResponse:
        """Fetch a document, following at most ``max_redirects`` redirects, each checked and signed like the first.

        ``max_bytes`` overrides ``max_document_bytes``. ``onward`` is told of every hop on another authority than the
        first one before anything is sent there, and may raise `FetchFailed`. Raises `FetchFailed`.
        """
        limit = self._max_bytes if max_bytes is None else max_bytes
        read = partial(read_document, limit=limit)
        return await self._bounded("GET", self._get(url, {**(headers or {}), "Accept": accept}, sign, read, onward))

    async def download(self, url: str, write: Write, *, accept: str, max_bytes: int) -> HttpResponse:
        """Like ``get``, but the document goes to ``write`` as it comes, and the answer's ``body`` is empty.

        Nothing is written of an answer with an error status. What was written before a `FetchFailed` is worthless.
        """
        read = partial(pass_on_document, limit=max_bytes, write=write)
        return await self._bounded("GET", self._get(url, {"Accept": accept}, None, read))

    async def post(
        self, url: str, body: bytes, *, headers: Mapping[str, str], sign: Sign | None = None
    ) -> HttpResponse:
        """Deliver a body. A redirect is an answer like any other: nothing signed is sent elsewhere.

        Of the answer's body at most `MAX_ANSWER_BYTES` are read; once the status is known its body decides nothing: if
        it does not come, what came is returned, ``truncated``. Raises `FetchFailed`.
        """
        return await self._bounded("POST", self._post(url, body, headers, sign))

    async def close(self) -> None:
        """Close all connections; requests under way fail as ``unreachable``, later ones too."""
        self._closed = True
        if self._session is not None:
            await self._session.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def __aenter__(self) -> HttpClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _bounded(self, method: str, exchange: Awaitable[HttpResponse]) -> HttpResponse:
        """Run an exchange under the time-out for all of it, and count how it ended."""
        outcome = ""
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await exchange
            outcome = f"{response.status // 100}xx"
            return response
        except TimeoutError:
            outcome = "timeout"
            raise FetchFailed("timeout", f"no answer within {self._timeout_s:g} s") from None
        except FetchFailed as failure:
            outcome = failure.reason
            raise
        finally:
            count = self._counts.get((method, outcome))
            if count is not None:
                count.inc()

    async def _get(
        self, url: str, headers: Mapping[str, str], sign: Sign | None, read: _Read, onward: Onward | None = None
    ) -> HttpResponse:
        target = first = self._checked(url)
        for _ in range(self._max_redirects + 1):
            if onward is not None and target.authority != first.authority:
                onward(target.authority)
            answer = await self._exchange("GET", target, b"", headers, sign, read)
            if isinstance(answer, HttpResponse):
                return answer
            following = self._checked(answer)
            if target.scheme == "https" and following.scheme != "https":
                raise FetchFailed("redirect_refused", "from https to http")
            if following.authority != target.authority:
                headers = {name: value for name, value in headers.items() if name.lower() not in _CREDENTIALS}
            target = following
        raise FetchFailed("too_many_redirects", f"more than {self._max_redirects}")

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str], sign: Sign | None) -> HttpResponse:
        answer = await self._exchange("POST", self._checked(url), body, headers, sign, read_some)
        assert isinstance(answer, HttpResponse)
        return answer

    def _checked(self, url: str) -> WebUrl:
        """The URL taken apart; FetchFailed unless its scheme, host and port may be talked to."""
        target = parse_url(url)
        if isinstance(target, Refused):
            raise FetchFailed(target.reason, target.detail)
        if target.scheme == "http" and not self._allow_http:
            raise FetchFailed("scheme_refused", "only https")
        if self._ports is not None:
            allowed = target.port in self._ports
        else:
            allowed = self._allow_private or target.port in (80, 443) or target.port >= 1024
        if not allowed:
            raise FetchFailed("address_refused", "the port is not allowed")
        if not self._allow_private and not is_dialable(target.host):
            raise FetchFailed("address_refused", "not a public address")
        return target

    async def _exchange(
        self, method: str, target: WebUrl, body: bytes, headers: Mapping[str, str], sign: Sign | None, read: _Read
    ) -> HttpResponse | str:
        """One request and its answer; the absolute target instead when the answer to a GET is a redirect."""
        sent: CIMultiDict[str] = CIMultiDict(headers)
        sent["Accept-Encoding"] = "identity"
        if sign is not None:
            sent.update(sign(method, target.text, body))
        try:
            answer = await self._open().request(
                method,
                URL(target.text, encoded=True),
                data=body if method == "POST" else None,
                headers=sent,
                allow_redirects=False,
            )
            try:
                if method == "GET" and answer.status in _REDIRECTS:
                    return _location(answer, target)
                return await self._read(answer, target, read if answer.status < 400 else read_some)
            finally:
                # Nothing to do when all was read (the connection is back in the pool); else closed, not drained.
                answer.close()
        except (aiohttp.ClientError, OSError) as error:
            raise _failure(error) from error

    async def _read(self, answer: aiohttp.ClientResponse, target: WebUrl, read: _Read) -> HttpResponse:
        received_ms = self._clock.now_ms()
        body = await read(answer)
        truncated = not answer.content.at_eof()
        return HttpResponse(answer.status, answer.headers, body, target.text, received_ms, truncated)

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise FetchFailed("unreachable", "the client is closed")
        if self._session is None:
            self._resolver = self._resolver or Lookups(NameServers(), self._clock)
            total, per_host = self._connections
            connector = aiohttp.TCPConnector(
                resolver=self._resolver if self._allow_private else GuardedResolver(self._resolver),
                socket_factory=None if self._allow_private else guarded_socket,
                ssl=True if self._ssl is None else self._ssl,
                limit=total,
                limit_per_host=per_host,
                ttl_dns_cache=30,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                headers={"User-Agent": self._user_agent},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


def _location(answer: aiohttp.ClientResponse, target: WebUrl) -> str:
    location = answer.headers.get("Location")
    if not location:
        raise FetchFailed("redirect_refused", "without a Location", status=answer.status)
    try:
        return urljoin(target.text, location)
    except ValueError:
        raise FetchFailed("bad_url", "malformed Location", status=answer.status) from None


def _failure(error: aiohttp.ClientError | OSError) -> FetchFailed:
    """What aiohttp's error means here. Texts of the other side stay out of it: they are shown to people."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, NotPublicError):
        return FetchFailed("address_refused", "not a public address")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return FetchFailed("tls_failed", "the certificate does not prove the host")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return FetchFailed("tls_failed", "no TLS connection")
    if isinstance(error, aiohttp.InvalidURL):
        return FetchFailed("bad_url", "not a web URL")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return FetchFailed("unreachable", "the name cannot be resolved")
    if isinstance(error, aiohttp.ClientPayloadError):
        return FetchFailed("protocol_error", "the body was cut short or malformed")
    if isinstance(error, aiohttp.ClientResponseError):
        return FetchFailed("protocol_error", "not HTTP")
    return FetchFailed("unreachable", "no connection, or it ended before an answer")
