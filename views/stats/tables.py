"""Tables of viewer statistics: stays with their sections, and sums over them that answers are made of.

No foreign keys: rows of a deleted video go in small batches (``stats.cleaner``), not in one long transaction; the sums
are written together with the stays they are about.

Sums exist for videos of ours only: nobody can ask for others. Units of time are whole seconds that divide each other
(``stats.units``), aligned to 1970-01-01 UTC.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    false,
)

from foundation.database import metadata
from foundation.partitions import Monthly, by

stay_ids = Table(
    "stay_ids",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    # SHA-256 of the stay's URL, the id of its WatchAction: it is unique among all months, which no index of a table in
    # partitions can say.
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    # Where the stay is found: in the partition of this instant.
    Column("end_ms", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

viewer_stays = Table(
    "viewer_stays",
    metadata,
    # Of ``stay_ids``.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    # Is the video ours? Stays at remote videos are kept for another time, and no sums are kept of them.
    Column("local", Boolean, primary_key=True, autoincrement=False),
    Column("video_number", BigInteger, nullable=False),
    Column("uuid", String(36), nullable=False),
    Column("url", Text, nullable=False),
    # Host that told of the viewer; empty for a viewer of ours.
    Column("source", String(270), nullable=False),
    # The stay lasts from start to end, both included.
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("watch_time_s", BigInteger, nullable=False),
    # JSON: [start, end, start, end, ...] in seconds of the video, both included; sorted and disjoint.
    Column("sections", Text, nullable=False),
    Column("country", String(200)),
    Column("subdivision", String(200)),
    Column("client", String(200)),
    Column("device", String(200)),
    Column("operating_system", String(200)),
    Column("flagged", Boolean, nullable=False, server_default=false()),
    Index("ix_viewer_stays_start", "video_number", "start_ms", "watch_time_s"),
    Index("ix_viewer_stays_end", "video_number", "end_ms", "watch_time_s"),
    sqlite_with_rowid=False,
    postgresql_partition_by=by("local", "end_ms"),
)
STAYS = Monthly(viewer_stays, "local", ("remote", "local"), "end_ms")

stay_times = Table(
    "stay_times",
    metadata,
    Column("video_number", BigInteger, primary_key=True, autoincrement=False),
    Column("unit_s", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    # Stays that start, and that end, in this unit, and their watch time.
    Column("starts", BigInteger, nullable=False),
    Column("start_watch_s", BigInteger, nullable=False),
    Column("ends", BigInteger, nullable=False),
    Column("end_watch_s", BigInteger, nullable=False),
    # How many viewers more than at its beginning were there at most, and when first; NULL: not known yet.
    Column("rise", BigInteger),
    Column("rise_ms", BigInteger),
    Index(
        "ix_stay_times_unsettled",
        "unit_s",
        "video_number",
        "at_ms",
        sqlite_where=Column("rise").is_(None),
        postgresql_where=Column("rise").is_(None),
    ),
    sqlite_with_rowid=False,
)

stay_traits = Table(
    "stay_traits",
    metadata,
    Column("video_number", BigInteger, primary_key=True, autoincrement=False),
    # stats.traits.Kind
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("unit_s", Integer, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(200), primary_key=True),
    Column("starts", BigInteger, nullable=False),
    Column("ends", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

retention_steps = Table(
    "retention_steps",
    metadata,
    Column("video_number", BigInteger, primary_key=True, autoincrement=False),
    Column("second", BigInteger, primary_key=True, autoincrement=False),
    # Viewers that saw this second less those that saw the one before.
    Column("delta", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
