"""Tables of page visits. No foreign keys: what is old goes in small batches, and order of deletion is ours.

A *series* is anything that is counted by time: a site's views, one path, one referring host, one country, and three
that follow visitors (``series.Kind``). ``page_counts`` holds every series in buckets of growing length (``buckets``).
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, SmallInteger, String, Table, Text, text

from foundation.database import metadata

_ID = BigInteger().with_variant(Integer, "sqlite")
_ZERO = text("0")

page_sites = Table(
    "page_sites",
    metadata,
    Column("number", _ID, primary_key=True, autoincrement=True),
    Column("host", String(270), nullable=False, unique=True),
    # When the oldest view happened; NULL: there was none yet.
    Column("since_ms", BigInteger),
    # Of all time, also of what was forgotten for its age.
    Column("views", BigInteger, nullable=False, server_default=_ZERO),
    Column("visitors", BigInteger, nullable=False, server_default=_ZERO),
    # How many series there are, without the one for what found no room.
    Column("paths", BigInteger, nullable=False, server_default=_ZERO),
    Column("referrers", BigInteger, nullable=False, server_default=_ZERO),
    sqlite_autoincrement=True,
)

page_series = Table(
    "page_series",
    metadata,
    Column("number", _ID, primary_key=True, autoincrement=True),
    Column("site", BigInteger, nullable=False),
    # series.Kind
    Column("kind", SmallInteger, nullable=False),
    # Of a path its key (paths.Path), at most 200 bytes; a host; a country's code; empty where a site has one series.
    Column("name", String(270), nullable=False),
    Column("total", BigInteger, nullable=False, server_default=_ZERO),
    Column("last_ms", BigInteger, nullable=False, server_default=_ZERO),
    # Of paths: the whole of it, and what the last view said of the page.
    Column("path", Text),
    Column("title", Text),
    Column("page_type", String(40)),
    Index("uq_page_series_name", "site", "kind", "name", unique=True),
    Index("ix_page_series_total", "site", "kind", "total"),
    Index("ix_page_series_last", "site", "kind", "last_ms"),
    sqlite_autoincrement=True,
)

page_counts = Table(
    "page_counts",
    metadata,
    Column("series", BigInteger, primary_key=True, autoincrement=False),
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    # Number of the bucket since 1970 (UTC), in lengths of its level.
    Column("bucket", BigInteger, primary_key=True, autoincrement=False),
    Column("n", BigInteger, nullable=False),
    Index("ix_page_counts_old", "level", "bucket"),
    sqlite_with_rowid=False,
)

page_visits = Table(
    "page_visits",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("site", BigInteger, nullable=False),
    # Numbers of series.
    Column("path", BigInteger, nullable=False),
    Column("referrer", BigInteger),
    Column("country", BigInteger),
    # Out of an HMAC: a visitor's key, by default another one every day.
    Column("session", LargeBinary(16), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    # Whether it is in the sums.
    Column("counted", Boolean, nullable=False),
    Index("ix_page_visits_seen", "path", "session", "at_ms"),
    Index("ix_page_visits_at_ms", "at_ms"),
    Index(
        "ix_page_visits_uncounted",
        "id",
        sqlite_where=text("counted = false"),
        postgresql_where=text("counted = false"),
    ),
    sqlite_autoincrement=True,
)

page_visitors = Table(
    "page_visitors",
    metadata,
    Column("site", BigInteger, primary_key=True, autoincrement=False),
    Column("session", LargeBinary(16), primary_key=True),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    # Of the last view: the number of a series.
    Column("country", BigInteger),
    Index("ix_page_visitors_last_ms", "last_ms"),
    sqlite_with_rowid=False,
)

page_catalog = Table(
    "page_catalog",
    metadata,
    Column("site", BigInteger, primary_key=True, autoincrement=False),
    # The path's key, as the name of its series.
    Column("name", String(270), primary_key=True),
    Column("title", Text),
    Column("page_type", String(40), nullable=False),
    sqlite_with_rowid=False,
)

page_backfills = Table(
    "page_backfills",
    metadata,
    # What is taken in: the digest of a file, or the word for counting what is not counted.
    Column("job", String(80), primary_key=True),
    Column("site", BigInteger),
    Column("status", String(16), nullable=False),
    # How far it is: bytes of the file, or the id of the last visit.
    Column("cursor", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("processed", BigInteger, nullable=False),
    Column("counted", BigInteger, nullable=False),
    Column("skipped", BigInteger, nullable=False),
    Column("unique_sessions", BigInteger, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
)
