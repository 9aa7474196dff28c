"""Tables of telemetry. Nothing in them leads to a person: participants stand under their pseudonyms."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Table, false

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
