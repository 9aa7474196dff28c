"""Scalar values of the configuration and the text they are written as.

Every ``parse_*`` takes the text of one scalar and raises ``ValueError`` with a sentence for the administrator; the
caller adds the key's path. No message repeats the text it was given: it may be a secret.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from foundation.errors import Refused
from foundation.urls import WebUrl, parse_host, parse_url

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NEVER = "never"
LONGEST_DURATION_MS = 3650 * 86_400_000
"""Ten years: nothing here waits longer, and sums of durations stay far from any integer column's edge."""

_UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_UNITS_BYTES = {"B": 1, "kB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2, "GB": 1000**3, "GiB": 1024**3}
_DURATION = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]{1,15})(B|kB|KiB|MB|MiB|GB|GiB)?")
_RATE = re.compile(r"([0-9]{1,9})/([0-9.]{1,20}(?:ms|s|m|h|d))")


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that is never shown: ``repr`` and ``str`` hide it, ``reveal`` gives it to whoever must use it."""

    value: str = field(repr=False)

    def reveal(self) -> str:
        return self.value

    def __str__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``limit`` occurrences within ``window_ms`` milliseconds; written ``50/10s``."""

    limit: int
    window_ms: int

    def __str__(self) -> str:
        return f"{self.limit}/{format_duration(self.window_ms)}"


@dataclass(frozen=True, slots=True)
class FileOrUrl:
    """Where something is read from: exactly one of a path and an http(s) URL."""

    path: Path | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """The origin every id of ours begins with: ``str()`` is ``scheme://authority``, nothing behind it.

    ``authority`` is lower case, an A-label, without a default port: what the rest of the product calls a host.
    ``hostname`` is that without its port and brackets; ``port`` is always a number.
    """

    scheme: str
    authority: str
    hostname: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether the name can only mean this machine."""
        if self.hostname == "localhost" or self.hostname.endswith(".localhost"):
            return True
        address = self._address
        return address is not None and address.is_loopback

    @property
    def is_local(self) -> bool:
        """Whether the name can only mean this machine or a private network, where plain http is harmless."""
        address = self._address
        return self.is_loopback or (address is not None and address.is_private and not address.is_unspecified)

    @property
    def _address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        try:
            return ipaddress.ip_address(self.hostname)
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_duration(text: str) -> int:
    """Milliseconds of ``500ms``, ``5s``, ``2m``, ``1h`` or ``30d``; ``1.5h`` where whole milliseconds come out."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(
            "is not a duration: write a number and a unit (ms, s, m, h, d), as in 500ms, 5s, 2m, 1h or 30d"
        )
    duration = Fraction(match[1]) * _UNITS_MS[match[2]]
    if duration.denominator != 1:
        raise ValueError("is finer than a millisecond")
    if duration > LONGEST_DURATION_MS:
        raise ValueError(f"is longer than {format_duration(LONGEST_DURATION_MS)}")
    return int(duration)


def format_duration(duration_ms: int | None) -> str:
    """The shortest text that ``parse_duration`` reads back as the same duration; None is ``never``."""
    if duration_ms is None:
        return NEVER
    for unit in ("d", "h", "m", "s"):
        if duration_ms and duration_ms % _UNITS_MS[unit] == 0:
            return f"{duration_ms // _UNITS_MS[unit]}{unit}"
    return f"{duration_ms}ms"


def parse_size(text: str) -> int:
    """Bytes of ``500kB``, ``1MB`` (powers of 1000), ``64KiB`` (powers of 1024) or a bare number of bytes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("is not a size: write bytes, or a number with kB, MB, GB, KiB, MiB or GiB, as in 500kB")
    return int(match[1]) * _UNITS_BYTES[match[2] or "B"]


def parse_rate(text: str) -> Rate:
    """``50/10s``: at most fifty in any ten seconds."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError("is not a rate: write a number, a slash and a duration, as in 50/10s")
    rate = Rate(int(match[1]), parse_duration(match[2]))
    if rate.limit < 1 or rate.window_ms < 1:
        raise ValueError('is a rate of nothing: use at least 1 in 1ms, or "never" for no limit')
    return rate


def parse_network(text: str) -> Network:
    """An address or a network in CIDR notation (RFC 4632), IPv4 or IPv6; no host bits behind the prefix."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError("has bits set behind its prefix length: is the prefix the one that was meant?") from None
        raise ValueError("is not a network: write 10.0.0.0/8, 192.0.2.1/32 or ::1/128") from None


def parse_name_server(text: str) -> str:
    """An IP address, with or without a port: ``192.0.2.53``, ``127.0.0.1:5353``, ``2001:db8::53`` or ``[::1]:5353``."""
    host, _, port = text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", "53")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        number = int(port) if port.isdecimal() else 0
    except ValueError:
        raise ValueError("is not the address of a name server: write 192.0.2.53 or [::1]:5353") from None
    if not 0 < number < 65_536:
        raise ValueError("has no port from 1 to 65535 behind its colon")
    return f"[{address}]:{number}" if address.version == 6 else f"{address}:{number}"


def parse_authority(text: str) -> str:
    """The authority ``host`` or ``host:port`` in the one form used everywhere (see ``foundation.urls``)."""
    try:
        return parse_host(text)
    except ValueError as error:
        raise ValueError(f"is not a host: {error}") from None


def parse_origin(text: str) -> BaseUrl:
    """A URL that ends behind its host: ``https://tube.example`` or ``http://127.0.0.1:8080/``."""
    url = _parse_web_url(text)
    if url.target != "/" or "?" in text or "#" in text:
        raise ValueError("has a path, a query or a fragment: it must end behind the host")
    return BaseUrl(url.scheme, url.authority, url.host, url.port)


def parse_http_url(text: str) -> str:
    """Any http or https URL without user information, its host in canonical form and without fragment."""
    return _parse_web_url(text).text


def parse_path(text: str) -> Path:
    """A path of this machine; a relative one is anchored by whoever loads the file."""
    if not text.strip() or not text.isprintable():
        raise ValueError("is not a path: it is empty or holds a character that cannot be printed")
    return Path(text)


def parse_file_or_url(text: str) -> FileOrUrl:
    """A path, or a URL when it begins with http:// or https://."""
    if text.startswith(("http://", "https://")):
        return FileOrUrl(url=parse_http_url(text))
    if "://" in text:
        raise ValueError("is neither a path nor an http(s) URL")
    return FileOrUrl(path=parse_path(text))


def _parse_web_url(text: str) -> WebUrl:
    url = parse_url(text)
    if isinstance(url, Refused):
        raise ValueError(f"is not a URL: it must be http(s)://host, as in https://tube.example ({url.detail})")
    return url
