"""Closed sets of words and the kinds of text that several keys share."""

from __future__ import annotations

import enum
from typing import Annotated

from service.config.spec import Parsed, Text, parse_uuid
from service.config.values import BaseUrl, Rate, parse_authority, parse_http_url, parse_origin, parse_rate

Host = Annotated[str, Parsed(parse_authority, "a host")]
HttpUrl = Annotated[str, Parsed(parse_http_url, "a URL")]
Origin = Annotated[BaseUrl, Parsed(parse_origin, "a URL")]
Uuid = Annotated[str, Parsed(parse_uuid, "a UUID")]
Limit = Annotated[Rate | None, Parsed(parse_rate, "a rate", never=True)]
Name = Annotated[str, Text(longest=64, pattern=r"[A-Za-z0-9][A-Za-z0-9._-]*", shape="a name of letters, digits, . _ -")]
Event = Annotated[str, Text(longest=64, pattern=r"[a-z][a-z0-9_]*", shape="an event's name, as in view_counted")]
Line = Annotated[str, Text()]
HeaderName = Annotated[str, Text(longest=64, pattern=r"[A-Za-z0-9-]+", shape="the name of a header")]


class WatchTime(enum.Enum):
    """STRICT bounds the gain of watch time by the wall clock; PEERTUBE counts as PeerTube does."""

    STRICT = "strict"
    PEERTUBE = "peertube"


class Resolver(enum.Enum):
    """Who looks up the names of other hosts: name servers, asked without threads, or the system's library."""

    DNS = "dns"
    SYSTEM = "system"


class ImportUnknown(enum.Enum):
    """Whose Views about a video unknown to us may make us fetch it."""

    NEVER = "never"
    FOLLOWED = "followed"
    OPEN = "open"


class AutoSwitch(enum.Enum):
    """AUTO: what the peer's software is known to understand decides."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


class Signatures(enum.Enum):
    """How requests to a peer are signed. AUTO: draft-cavage, and RFC 9421 where that is refused and this taken."""

    AUTO = "auto"
    CAVAGE = "cavage"
    RFC9421 = "rfc9421"
    ED25519 = "ed25519"


class Accept(enum.Enum):
    """Kinds of activities that are taken from a peer."""

    VIEWERS = "viewers"
    VIEWS = "views"
    TOTALS = "totals"
    ANNOUNCES = "announces"


class AlsoCount(enum.Enum):
    """Who in a LiveKit room is a viewer besides those who only watch."""

    PUBLISHERS = "publishers"
    HIDDEN = "hidden"
    PHONES = "phones"
    AGENTS = "agents"
    INGRESS = "ingress"
    RECORDERS = "recorders"


class LogLevel(enum.StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(enum.StrEnum):
    TEXT = "text"
    JSON = "json"
