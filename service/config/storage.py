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
    """MEMORY, or REDIS / REDIS_CLUSTER with ``url`` as redis-py takes it (may carry a password: not shown)."""

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


def parse_live(text: str) -> Live:
    """``memory``, ``redis://host:6379/0``, ``rediss://...``, ``unix://path`` or ``redis+cluster://host:6379``."""
    if text == "memory":
        return Live()
    if text.startswith(("redis://", "rediss://")):
        _check(text)
        return Live(LiveKind.REDIS, text)
    if text.startswith("redis+cluster://"):
        _check(text)
        return Live(LiveKind.REDIS_CLUSTER, "redis://" + text.removeprefix("redis+cluster://"))
    if text.startswith("unix://"):
        if not urlsplit(text).path.startswith("/"):
            raise ValueError("names no socket: write unix:///path/to/redis.sock")
        return Live(LiveKind.REDIS, text)
    raise ValueError("is not a live store: write memory, redis://, rediss://, unix:// or redis+cluster://host:port")


def _check(text: str, *, name_needed: bool = False) -> None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL: its host or port cannot be read") from None
    if not text.isprintable() or " " in text or port == 0:
        raise ValueError("is not a URL: it holds a blank or an impossible port")
    if name_needed:
        # A socket directory may stand in the query (?host=/run/postgresql), so only the name is always there.
        if len(parts.path) < 2:
            raise ValueError("names no database: write postgresql://user@host/name")
    elif not parts.hostname:
        raise ValueError("names no host")
