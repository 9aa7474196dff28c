"""What every route needs from a request: who sent it, its body within bounds, what it wants to see, its token."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from foundation.addresses import Address, parse_address
from foundation.errors import Refused

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Of X-Forwarded-For only the end is looked at: so many characters, so many hops.
_MAX_FORWARDED_LENGTH = 1_024
_MAX_HOPS = 16
_MAX_ACCEPT_LENGTH = 1_024
_MAX_TOKEN_LENGTH = 4_096
_MAX_REMEMBERED = 8_192
_MAX_REMEMBERED_CHARS = 100
_NOTHING: list[str] = []

_JSON_TYPES = frozenset({"application/activity+json", "application/ld+json", "application/json"})
_QUALITY = re.compile(r"0(?:\.\d{0,3})?|1(?:\.0{0,3})?", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
_PORT_SUFFIX = re.compile(r":\d{1,5}", re.ASCII)


def client_address(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """The address of whoever sent the request, through the proxies that are trusted and no further.

    The connection's peer, unless it is trusted; then X-Forwarded-For (all its lines joined) is walked from its right
    end to the first address that is not trusted. Garbage ends the walk: the last good address stands. IPv4-mapped IPv6
    is folded to IPv4. A connection without an address (a Unix socket) gives the empty string and is never trusted.
    """
    hop = _parse((request.remote or "").partition("%")[0])
    if hop is None:
        return ""
    if _is_trusted(hop.address, trusted):
        for entry in _forwarded(request):
            before = _parse(_without_port(entry))
            if before is None:
                break
            hop = before
            if not _is_trusted(hop.address, trusted):
                break
    return hop.text


def is_through(request: web.BaseRequest, trusted: Sequence[Network]) -> bool:
    """Whether a trusted proxy handed the request on: the connection's peer is one."""
    hop = _parse((request.remote or "").partition("%")[0])
    return hop is not None and _is_trusted(hop.address, trusted)


_TRACES_OF_PROXIES = (
    "X-Forwarded-For",
    "X-Real-IP",
    "Forwarded",
    "Via",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
)


def is_local(request: web.BaseRequest) -> bool:
    """Whether it was asked on this machine of this machine: over loopback, for a loopback name (as Host says), and with
    no trace of a proxy. A proxy on this machine asks over loopback for everybody."""
    hop = _parse((request.remote or "").partition("%")[0])
    if hop is None or not hop.address.is_loopback or any(name in request.headers for name in _TRACES_OF_PROXIES):
        return False
    host = _without_port(request.headers.get("Host", "")).lower().removesuffix(".")
    named = _parse(host)
    return host == "localhost" if named is None else named.address.is_loopback


class ClientAddresses:
    """`client_address`, remembered: whoever reports every few seconds comes the same way each time.

    A request with several X-Forwarded-For lines, or a long one, is worked out anew.
    """

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)
        self._known: dict[tuple[str | None, str], str] = {}

    def __call__(self, request: web.BaseRequest) -> str:
        forwarded = request.headers.getall("X-Forwarded-For", _NOTHING)
        if len(forwarded) > 1:
            return client_address(request, self._trusted)
        key = (request.remote, forwarded[0] if forwarded else "")
        address = self._known.get(key)
        if address is None:
            address = client_address(request, self._trusted)
            if len(key[1]) <= _MAX_REMEMBERED_CHARS:
                if len(self._known) >= _MAX_REMEMBERED:
                    self._known.clear()
                self._known[key] = address
        return address


async def read_body(request: web.BaseRequest, limit: int, *, deadline_ms: int = 10_000) -> bytes | Refused:
    """The body as it was sent, at most ``limit`` bytes, within ``deadline_ms`` from now.

    Refused: ``content_encoding`` (415) for a compressed body, ``body_too_large`` (413, before anything is read when the
    length is announced, else as soon as it is exceeded), ``slow_body`` (408), ``body_incomplete`` (400).
    """
    headers = request.headers
    if "Content-Encoding" in headers and not all(map(_is_plain, headers.getall("Content-Encoding"))):
        return Refused("content_encoding", "compressed bodies are not taken", 415)
    stream = request.content
    try:
        if stream.is_eof():
            # All of it came with the headers, as small ones do.
            body = stream.read_nowait()
            return body if len(body) <= limit else _too_large(limit)
        announced = headers.get("Content-Length")
        if announced is not None and (len(announced) > 15 or not announced.isdecimal() or int(announced) > limit):
            return _too_large(limit)
        async with asyncio.timeout(deadline_ms / 1000):
            return await _read_stream(stream, limit)
    except TimeoutError:
        return Refused("slow_body", "the body did not arrive in time", 408)
    except (aiohttp.ClientError, web.RequestPayloadError, HttpProcessingError, OSError):
        return Refused("body_incomplete", "the body ended early or is malformed", 400)


def _is_plain(coding: str) -> bool:
    return coding.strip().lower() in ("", "identity")


async def _read_stream(stream: aiohttp.StreamReader, limit: int) -> bytes | Refused:
    body = bytearray()
    while chunk := await stream.readany():
        body += chunk
        if len(body) > limit:
            return _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> Refused:
    return Refused("body_too_large", f"more than {limit} bytes", 413)


@lru_cache(maxsize=256)
def _prefers_html(accept: str) -> bool:
    html, json = (0.0, 0), (0.0, 0)
    for position, item in enumerate(accept.split(",")):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                quality = float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
                break
        # Of two equal wishes the earlier one wins.
        if media_type in ("text/html", "application/xhtml+xml"):
            html = max(html, (quality, -position))
        elif media_type in _JSON_TYPES:
            json = max(json, (quality, -position))
    return html[0] > 0 and html > json


def prefers_html(accept: str | None) -> bool:
    """Whether an Accept header wants a page for people rather than a document for machines (RFC 9110 section 12.5.1).

    True only when HTML is named, and before or above every JSON type named; ``*/*`` or no header at all is False.
    """
    return accept is not None and len(accept) <= _MAX_ACCEPT_LENGTH and _prefers_html(accept)


def bearer_token(request: web.BaseRequest) -> str | None:
    """The token of ``Authorization: Bearer`` (RFC 6750 section 2.1); None without one, or with two headers."""
    values = request.headers.getall("Authorization", ())
    if len(values) != 1 or len(values[0]) > _MAX_TOKEN_LENGTH:
        return None
    scheme, _, token = values[0].partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or _TOKEN.fullmatch(token) is None:
        return None
    return token


@dataclass(frozen=True, slots=True)
class _Hop:
    address: Address
    text: str


@lru_cache(maxsize=4096)
def _parse_short(text: str) -> _Hop | None:
    address = parse_address(text)
    return None if address is None else _Hop(address, str(address))


def _parse(text: str) -> _Hop | None:
    return _parse_short(text) if len(text) <= 45 else None


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def _without_port(entry: str) -> str:
    """Some proxies write ``192.0.2.1:4711`` and ``[2001:db8::1]:4711``."""
    if entry.startswith("["):
        address, bracket, rest = entry[1:].partition("]")
        return address if bracket and (not rest or _PORT_SUFFIX.fullmatch(rest)) else ""
    if entry.count(":") == 1:
        address, _, port = entry.partition(":")
        return address if _PORT_SUFFIX.fullmatch(":" + port) else ""
    return entry


def _forwarded(request: web.BaseRequest) -> list[str]:
    """The entries of X-Forwarded-For, nearest hop first, bounded."""
    text = ",".join(request.headers.getall("X-Forwarded-For", ()))
    if not text:
        return []
    whole = len(text) <= _MAX_FORWARDED_LENGTH
    entries = text[-_MAX_FORWARDED_LENGTH:].split(",")
    if not whole:
        del entries[0]
    return [entry.strip(" \t") for entry in reversed(entries[-_MAX_HOPS:])]
