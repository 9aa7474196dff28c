"""SQL of webhooks: what waits for each receiver, what became of it, and how each receiver does."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, text

from foundation.database import metadata

_ROW_ID = BigInteger().with_variant(Integer, "sqlite")

webhook_queue = Table(
    "webhook_queue",
    metadata,
    Column("seq", _ROW_ID, primary_key=True, autoincrement=True),
    Column("hook", String(16), nullable=False),
    # What events are in order about: a video's uuid, or a peer's host.
    Column("resource", String(300), nullable=False),
    Column("event", String(32), nullable=False),
    Column("event_id", String(40), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Index("ix_webhook_queue_hook_seq", "hook", "seq"),
    sqlite_autoincrement=True,
)
"""One row per event and receiver, gone when it is settled. ``body`` is the JSON without its closing brace."""

webhook_outcomes = Table(
    "webhook_outcomes",
    metadata,
    Column("seq", _ROW_ID, primary_key=True, autoincrement=True),
    Column("hook", String(16), nullable=False),
    Column("event", String(32), nullable=False),
    Column("event_id", String(40), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("status", Integer),
    Column("attempts", Integer, nullable=False),
    Column("queued_ms", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_webhook_outcomes_hook_seq", "hook", "seq"),
    sqlite_autoincrement=True,
)
"""The newest few of each receiver."""

webhook_hooks = Table(
    "webhook_hooks",
    metadata,
    Column("hook", String(16), primary_key=True),
    Column("sent", BigInteger, nullable=False, server_default=text("0")),
    Column("dropped", BigInteger, nullable=False, server_default=text("0")),
    # Dropped since the last one that arrived, which it will be told.
    Column("untold", BigInteger, nullable=False, server_default=text("0")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("success_ms", BigInteger),
    Column("error", String(64)),
    Column("error_ms", BigInteger),
)
"""How a receiver does: whichever process delivers writes it, all of them show it. ``failures`` are those in a row."""
