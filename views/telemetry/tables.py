"""Tables of telemetry. Nothing in them leads to a person: participants stand under their pseudonyms."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, false

from foundation.database import metadata

telemetry_rooms = Table(
    "telemetry_rooms",
    metadata,
    # Videos that are watched now, so that a start and an end are said once, whoever notices, over restarts too.
    Column("video_number", BigInteger, primary_key=True, autoincrement=False),
    Column("started_ms", BigInteger, nullable=False),
    # Somebody else (a media server) says when it ends: it stays open without viewers.
    Column("held", Boolean, nullable=False, server_default=false()),
    Column("peak", BigInteger, nullable=False),
)

playback_sums = Table(
    "playback_sums",
    metadata,
    # What one viewer said of playing one video at one height within one hour, summed.
    Column("video_number", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("participant", String(40), primary_key=True),
    Column("height", Integer, primary_key=True, autoincrement=False),
    *(
        Column(name, BigInteger, nullable=False)
        for name in (
            "span_ms",
            "stalls",
            "stall_ms",
            "switches",
            "errors",
            "frames",
            "dropped_frames",
            "latency_ms",
            "latencies",
            "startup_ms",
            "startups",
            "bytes",
        )
    ),
    Index("ix_playback_sums_at", "at_ms"),
    sqlite_with_rowid=False,
)

telemetry_records = Table(
    "telemetry_records",
    metadata,
    # Events and statistics as they were sent, in the order of their writing.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("record", String(24), nullable=False),
    # An event's kind, "stat" or "node_rooms".
    Column("kind", String(64), nullable=False),
    Column("room", String(36), nullable=False),
    Column("participant", String(40), nullable=False),
    # The whole of it, as JSON.
    Column("body", Text, nullable=False),
    Index("ix_telemetry_records_at", "at_ms"),
    Index("ix_telemetry_records_room", "room", "at_ms"),
)
