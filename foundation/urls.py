"""Web addresses and the one meaning of *host*: the authority, in one spelling.

Wherever the product compares hosts it compares what `authority` returns: host **and** port, lower case, A-label
(IDNA 2008 after UTS 46 mapping), no trailing dot, default port removed, and nothing folded (``www.`` is another host).
A URL that two parsers might read differently has no authority at all.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeGuard
from urllib.parse import quote

import idna

from foundation.addresses import is_dotted_quad, is_odd_spelling
from foundation.errors import Refused

#: Longest URL that is looked at, in characters.
MAX_URL_LENGTH = 2000

DEFAULT_PORTS = {"http": 80, "https": 443}

# C0, space, DEL, C1, no-break space; Unicode's other blanks, zero-width and direction marks; lone surrogates; the
# backslash, which browsers take for a slash.
_BAD = "\\x00-\\x20\\x7f-\\xa0\\u1680\\u2000-\\u200f\\u2028-\\u202f\\u205f\\u2060\\u3000\\ufeff\\ud800-\\udfff\\\\"
_URL = re.compile(rf"(https?)://([^/?#{_BAD}]+)([/?#][^{_BAD}]*)?", re.IGNORECASE | re.ASCII)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,30}):", re.IGNORECASE | re.ASCII)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_PRINTABLE_ASCII = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class WebUrl:
    """An http(s) URL taken apart, with its authority in canonical form.

    ``host`` has no brackets and no port; ``port`` is always a number; ``target`` is path and query as they go on the
    wire (never empty, no fragment, percent-encoded where it was not ASCII).
    """

    scheme: str
    authority: str
    host: str
    port: int
    target: str

    @property
    def text(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


@dataclass(frozen=True, slots=True)
class _Netloc:
    authority: str
    host: str
    port: int


def _too_long(url: str) -> bool:
    """Letters beyond ASCII count as often as UTF-8 writes them: what is kept has to fit into an index of PostgreSQL,
    which takes 2704 bytes."""
    return len(url) > MAX_URL_LENGTH or (not url.isascii() and len(url.encode(errors="replace")) > MAX_URL_LENGTH)


def authority(url: str) -> str | None:
    """The host of a URL as it is compared everywhere; None when the text is no acceptable http(s) URL.

    ``HTTPS://Tube.Example.:443/w/1`` gives ``tube.example``; ``http://[2001:DB8::0:1]:8080/`` gives
    ``[2001:db8::1]:8080``. None for other schemes, user info, an empty or malformed host, an IPv4 address in an odd
    spelling, white space or control characters anywhere, and more than `MAX_URL_LENGTH` characters.
    """
    if _too_long(url):
        return None
    match = _URL.fullmatch(url)
    if match is None:
        return None
    netloc = _netloc(match[1], match[2])
    return None if isinstance(netloc, Refused) else netloc.authority


_remembered_authority = lru_cache(maxsize=2048)(authority)


def authority_of_known(url: str) -> str | None:
    """As `authority`, for URLs that come again and again (actors, keys, videos): the answer is remembered."""
    return None if _too_long(url) else _remembered_authority(url)


def is_web_url(text: object) -> TypeGuard[str]:
    """Whether a value out of somebody's document is a string that `authority` accepts."""
    return isinstance(text, str) and authority(text) is not None


def same_origin_authority(a: str, b: str) -> bool:
    """Whether both URLs have an authority and it is the same one."""
    host = authority(a)
    return host is not None and host == authority(b)


def canonical_url(url: str) -> str | None:
    """The URL with its authority in canonical form and without fragment, as `foundation.http` sends and reports it."""
    parsed = parse_url(url)
    return None if isinstance(parsed, Refused) else parsed.text


def parse_url(url: str) -> WebUrl | Refused:
    """Take a URL apart, or say why not: ``bad_url``, ``scheme_refused``, ``address_refused`` (an odd spelling)."""
    if _too_long(url):
        return Refused("bad_url", f"a URL of more than {MAX_URL_LENGTH} characters")
    match = _URL.fullmatch(url)
    if match is None:
        scheme = _SCHEME.match(url)
        if scheme is not None and scheme[1].lower() not in DEFAULT_PORTS:
            return Refused("scheme_refused", "only http and https")
        return Refused("bad_url", "not a web URL")
    netloc = _netloc(match[1], match[2])
    if isinstance(netloc, Refused):
        return netloc
    target = (match[3] or "").partition("#")[0]
    if not target.startswith("/"):
        target = "/" + target
    if not target.isascii():
        target = quote(target, safe=_PRINTABLE_ASCII)
    return WebUrl(match[1].lower(), netloc.authority, netloc.host, netloc.port, target)


def parse_host(text: str, *, scheme: str = "https") -> str:
    """The canonical authority of a configured ``host`` or ``host:port``; the scheme says which port is the default.

    Raises ValueError, with a sentence for an administrator, for anything else (a URL, user info, a path, blanks).
    """
    if "://" in text:
        raise ValueError("expected a host or host:port, not a URL")
    match = _URL.fullmatch(f"{scheme}://{text}") if 0 < len(text) <= 300 else None
    if match is None or match[3]:
        raise ValueError("expected a host or host:port, as in peertube.example or peertube.example:8443")
    netloc = _netloc(scheme, text)
    if isinstance(netloc, Refused):
        raise ValueError(f"not a host or host:port: {netloc.detail}")
    return netloc.authority


def _netloc(scheme: str, text: str) -> _Netloc | Refused:
    """The authority component, checked. Cached by itself: the paths of URLs differ, their hosts repeat."""
    if len(text) > 300:
        return Refused("bad_url", "the host is too long")
    return _cached_netloc(scheme, text)


@lru_cache(maxsize=4096)
def _cached_netloc(scheme: str, text: str) -> _Netloc | Refused:
    if "@" in text:
        return Refused("bad_url", "user info in a URL")
    if text.startswith("["):
        literal, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return Refused("bad_url", "malformed IPv6 address")
        host: str | Refused = _ipv6(literal)
        port_text = rest[1:] if rest else None
    else:
        name, colon, after = text.partition(":")
        host = _name(name)
        port_text = after if colon else None
    if isinstance(host, Refused):
        return host
    default = DEFAULT_PORTS[scheme.lower()]
    port = default
    if port_text is not None:
        if _PORT.fullmatch(port_text) is None or not 0 < int(port_text) < 65536:
            return Refused("bad_url", "malformed port")
        port = int(port_text)
    shown = f"[{host}]" if ":" in host else host
    return _Netloc(shown if port == default else f"{shown}:{port}", host, port)


def _ipv6(literal: str) -> str | Refused:
    if len(literal) > 45 or "%" in literal:
        return Refused("bad_url", "malformed IPv6 address")
    try:
        address = ipaddress.IPv6Address(literal)
    except ValueError:
        return Refused("bad_url", "malformed IPv6 address")
    mapped = address.ipv4_mapped
    if mapped is None:
        return address.compressed
    # Python 3.13 began to write these with dots; one spelling on every version.
    return f"::ffff:{int(mapped) >> 16:x}:{int(mapped) & 0xFFFF:x}"


def _name(text: str) -> str | Refused:
    """A name or dotted quad in lower-case A-label form, without its trailing dot."""
    name = text.lower() if text.isascii() else text
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode("ascii").lower()
        except (idna.IDNAError, UnicodeError):
            return Refused("bad_url", "malformed international host name")
    name = name.removesuffix(".")
    if is_dotted_quad(name):
        return name
    if is_odd_spelling(name):
        return Refused("address_refused", "an IPv4 address in an odd spelling")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        return Refused("bad_url", "malformed host name")
    return name
