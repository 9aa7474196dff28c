"""``storage.database`` and ``storage.live``: which kind, and where."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


class DatabaseKind(enum.Enum):
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


class LiveKind(enum.Enum):
    MEMORY = "memory"
    REDIS = "redis"
    REDIS_CLUSTER = "redis+cluster"
    REDIS_SENTINEL = "redis+sentinel"


@dataclass(frozen=True, slots=True)
class Database:
    """SQLITE with ``path`` (None: ``fediviews.sqlite`` in the storage directory) or POSTGRESQL with ``url``.

    ``url`` may carry a password, so it is not shown.
    """

    kind: DatabaseKind = DatabaseKind.SQLITE
    path: Path | None = None
    url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Live:
    """MEMORY, or one of the others with ``url`` as ``foundation.redis.link`` takes it (may carry a password: not
    shown)."""

    kind: LiveKind = LiveKind.MEMORY
    url: str | None = field(default=None, repr=False)


SQLITE_FILE = "fediviews.sqlite"
"""The file in ``storage.directory`` when ``database`` is plain ``sqlite``."""


def parse_database(text: str) -> Database:
    """``sqlite``, ``sqlite:///relative``, ``sqlite:////absolute`` or ``postgresql://user@host/name``."""
    if text == "sqlite":
        return Database()
    if text.startswith("sqlite:///"):
        path = text.removeprefix("sqlite:///")
        if not path.strip() or not path.isprintable() or path.startswith(":memory:"):
            raise ValueError("names no file: write sqlite:///path")
        return Database(path=Path(path))
    if text.startswith("postgresql://"):
        _check(text, name_needed=True)
        return Database(DatabaseKind.POSTGRESQL, url=text)
    raise ValueError("is not a database: write sqlite, sqlite:///path or postgresql://user@host/name")


_LIVE_FORMS = "memory, redis://, rediss://, unix://, redis+cluster:// or redis+sentinel://host:port/service"


def parse_live(text: str) -> Live:
    """``memory``, ``redis://host:6379/0``, ``rediss://...`` (TLS), ``unix:///path`` (also ``redis+unix:///path``),
    ``redis+cluster://host:6379,host:6379`` or ``redis+sentinel://host:26379,host:26379/service/0``."""
    if text == "memory":
        return Live()
    if text.startswith(("redis://", "rediss://")):
        _check(text)
        _check_number(urlsplit(text).path)
        return Live(LiveKind.REDIS, text)
    if text.startswith(("redis+cluster://", "rediss+cluster://")):
        _check_each(text)
        return Live(LiveKind.REDIS_CLUSTER, text)
    if text.startswith(("redis+sentinel://", "rediss+sentinel://")):
        _check_each(text)
        if not urlsplit(text).path.strip("/"):
            raise ValueError("names no service: write redis+sentinel://host:port/service")
        _check_number(urlsplit(text).path.strip("/").partition("/")[2])
        return Live(LiveKind.REDIS_SENTINEL, text)
    if text.startswith(("unix://", "redis+unix://")):
        text = text.removeprefix("redis+")
        parts = urlsplit(text)
        if not parts.path.startswith("/") or parts.netloc.rpartition("@")[2]:
            raise ValueError("names no socket: write unix:///path/to/redis.sock")
        return Live(LiveKind.REDIS, text)
    raise ValueError(f"is not a live store: write {_LIVE_FORMS}")


_ENCODE = "in a password write % # / ? @ : as %25 %23 %2F %3F %40 %3A"


def _check_number(path: str) -> None:
    """The client would take database 0 instead, without a word."""
    number = path.strip("/")
    if number and not (number.isascii() and number.isdecimal()):
        raise ValueError("names no database: Redis numbers them, write redis://host:port/0")


def _check_each(text: str) -> None:
    """Of several hosts with commas between them."""
    if "#" in text:
        raise ValueError(f"is not a URL: it holds a # ({_ENCODE})")
    scheme, _, rest = text.partition("://")
    hosts, slash, path = rest.partition("/")
    user, at, hosts = hosts.rpartition("@")
    for host in hosts.split(","):
        _check(f"{scheme}://{user}{at}{host}{slash}{path}")


def _check(text: str, *, name_needed: bool = False) -> None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"is not a URL: its host or port cannot be read ({_ENCODE})") from None
    if not text.isprintable() or " " in text or port == 0:
        raise ValueError("is not a URL: it holds a blank or an impossible port")
    if "#" in text or "@" in parts.path + parts.query:
        # Whoever takes it apart would find the host, and messages their place, in the middle of a password.
        raise ValueError(f"is not a URL: it holds a # or a second @ ({_ENCODE})")
    if name_needed:
        # A socket directory may stand in the query (?host=/run/postgresql), so only the name is always there.
        if len(parts.path) < 2:
            raise ValueError("names no database: write postgresql://user@host/name")
    elif not parts.hostname:
        raise ValueError("names no host")
