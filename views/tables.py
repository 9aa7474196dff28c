"""Tables of the domain: the catalog, counted views by the hour, and which remote views were counted already."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    false,
    text,
)

from foundation.database import metadata
from foundation.partitions import Monthly, by

videos = Table(
    "videos",
    metadata,
    # A number once given is never given again (AUTOINCREMENT, a sequence): clients and sockets keep it.
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("url", Text, nullable=False, unique=True),
    Column("origin", String(270), nullable=False),
    Column("local", Boolean, nullable=False),
    Column("name", Text, nullable=False),
    Column("duration_s", BigInteger, nullable=False),
    Column("is_live", Boolean, nullable=False, server_default=false()),
    Column("channel", String(255), nullable=False),
    Column("owner", Text, nullable=False, server_default=""),
    Column("privacy", String(16), nullable=False),
    Column("published_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("views", BigInteger, nullable=False, server_default=text("0")),
    # What ``views`` was when it was last told to others; the difference survives a restart.
    Column("views_announced", BigInteger, nullable=False, server_default=text("0")),
    Column("announced_ms", BigInteger, nullable=False, server_default=text("0")),
    Column("page_url", Text),
    Column("description", Text),
    Column("refreshed_ms", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("views >= 0", name="views"),
    CheckConstraint("duration_s >= 0", name="duration"),
    Index("ix_videos_local_published", "local", "published_ms"),
    Index("ix_videos_local_refreshed", "local", "refreshed_ms"),
    sqlite_autoincrement=True,
)

video_views = Table(
    "video_views",
    metadata,
    # No foreign key: to make a month would lock all videos. Whoever writes here has locked the row of the video.
    Column("video_number", BigInteger, primary_key=True, autoincrement=False),
    # Start of the hour in UTC, Unix milliseconds.
    Column("hour_ms", BigInteger, primary_key=True, autoincrement=False),
    # The video's own; hours of remote videos are kept for another time.
    Column("local", Boolean, primary_key=True, autoincrement=False),
    Column("views", BigInteger, nullable=False),
    Index("ix_video_views_hour_ms", "hour_ms"),
    postgresql_partition_by=by("local", "hour_ms"),
)
HOURS = Monthly(video_views, "local", ("remote", "local"), "hour_ms")

remote_views = Table(
    "remote_views",
    metadata,
    # SHA-256 of actor and activity id: fixed size whatever a sender invents.
    Column("activity", LargeBinary(32), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_remote_views_at_ms", "at_ms"),
)

resume_positions = Table(
    "resume_positions",
    metadata,
    # Out of an HMAC of the user's name: the table alone names nobody.
    Column("user_hash", LargeBinary(16), primary_key=True),
    Column("video_number", ForeignKey("videos.number", ondelete="CASCADE"), primary_key=True),
    Column("position_s", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Index("ix_resume_positions_video_number", "video_number"),
    Index("ix_resume_positions_updated_ms", "updated_ms"),
)
