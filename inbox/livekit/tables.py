"""SQL of LiveKit's rooms: who is in them, and which of its messages were taken."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, false, text

from foundation.database import metadata

livekit_participants = Table(
    "livekit_participants",
    metadata,
    Column("room_sid", String(256), primary_key=True),
    # Empty: the room itself, once it is finished.
    Column("sid", String(256), primary_key=True),
    Column("room", String(256), nullable=False),
    Column("viewer", LargeBinary, nullable=False),
    # NULL: nobody said yet that it came; a message about it, or that it left, was first.
    Column("joined_ms", BigInteger),
    Column("left_ms", BigInteger),
    # Where its position in the video counts from.
    Column("opened_ms", BigInteger, nullable=False),
    # What it is besides a viewer (a word), empty for somebody who only watches.
    Column("role", String(16), nullable=False, server_default=""),
    Column("publisher", Boolean, nullable=False, server_default=false()),
    # Tracks it publishes; messages may come in any order, so it may be below zero for a while.
    Column("tracks", Integer, nullable=False, server_default=text("0")),
    Column("seen_ms", BigInteger, nullable=False),
    Index("ix_livekit_participants_left_ms", "left_ms"),
    Index("ix_livekit_participants_room", "room", "opened_ms"),
    Index("ix_livekit_participants_viewer", "viewer"),
)
"""One row per connection. Those that left stay for a while, for messages that come late."""

livekit_messages = Table(
    "livekit_messages",
    metadata,
    Column("id", String(256), primary_key=True),
    Column("until_ms", BigInteger, nullable=False),
    Index("ix_livekit_messages_until_ms", "until_ms"),
)
"""Messages that were taken, for longer than their tokens live: said again they change nothing."""
