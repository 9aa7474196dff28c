"""The nouns of page visits. Instants are Unix milliseconds."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from views.pages.paths import Path


@dataclass(frozen=True, slots=True)
class Site:
    """A web site whose pages are counted. ``host`` is its key; browsers report from ``origins``.

    ``public``: everybody may see its summary. ``listed``: also who does not know its host.
    """

    number: int
    host: str
    origins: frozenset[str]
    public: bool = True
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Visit:
    """One page view that counts. ``referrer`` is a host, ``country`` ISO 3166-1 alpha-2."""

    site: int
    path: Path
    session: bytes
    at_ms: int
    referrer: str | None = None
    country: str | None = None
    title: str | None = None
    page_type: str | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """Most series of one site; what is beyond is counted together, under ``paths.OTHER``."""

    paths: int = 100_000
    referrers: int = 20_000


@dataclass(frozen=True, slots=True)
class Rules:
    """``pages.*`` of the configuration; durations in milliseconds."""

    view_dedup_ms: int = 1_800_000
    heartbeat_dedup_ms: int = 20_000
    session_timeout_ms: int = 120_000


class Outcome(enum.Enum):
    """What became of a report; all of them are a success to the browser."""

    COUNTED = "counted"
    ALREADY_COUNTED = "already_counted"
    """The session viewed this page less than ``view_dedup`` ago."""
    ALREADY_SEEN = "already_seen"
    """A sign of life for the same page less than ``heartbeat_dedup`` ago."""
    NOT_HERE = "not_here"
    """A session that was not active has left."""
    BOT = "bot"
    WEBDRIVER = "webdriver"
    """The browser says that a program drives it."""
    PREFETCH = "prefetch"
    """The browser, not a person, asked for the page."""
