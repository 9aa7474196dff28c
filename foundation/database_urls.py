"""URLs of databases, as people write them and as drivers want them; pure."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from foundation.errors import ConfigError

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def driver_url(url: str) -> URL:
    """``url`` with the asynchronous driver named. Raises ConfigError for a database that is not supported."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError("storage.database", "not a database URL") from error
    except ValueError:
        # Without its cause, which quotes what stood there: perhaps a password.
        raise ConfigError("storage.database", "not a database URL: its port cannot be read") from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return _postgresql(parsed)
    if backend != "sqlite":
        raise ConfigError("storage.database", f"{backend} is not supported: use sqlite or postgresql")
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigError("storage.database", "SQLite needs a file: sqlite:///path")
    return parsed.set(drivername="sqlite+aiosqlite")


def place_of(url: URL) -> str:
    """What and where, for messages: a path, or an address without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    return url.set(drivername="postgresql").render_as_string(hide_password=True).replace("%2F", "/")


def _postgresql(url: URL) -> URL:
    """What libpq calls ``sslmode`` is ``ssl`` for the driver; it would stumble over names it does not know."""
    query: dict[str, str] = {}
    for name, value in url.query.items():
        if not isinstance(value, str) or name not in ("host", "port", "ssl", "sslmode"):
            raise ConfigError("storage.database", f"{name} is not understood: a URL takes host, port and sslmode once")
        query["ssl" if name == "sslmode" else name] = value
    if query.get("ssl", "prefer") not in SSL_MODES:
        raise ConfigError("storage.database", f"sslmode is none of {', '.join(SSL_MODES)}")
    if not query.get("port", "1").isdecimal():
        raise ConfigError("storage.database", "port is not a number")
    return url.set(drivername="postgresql+asyncpg", query=query)
