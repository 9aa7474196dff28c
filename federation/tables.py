"""SQL of the protocol side: who we know, who follows whom, and which activities were already taken."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from foundation.database import metadata

# SQLite numbers rows by itself only in a column of exactly this type.
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")

instance = Table(
    "instance",
    metadata,
    # There is one row, with the key 1.
    Column("key", Integer, primary_key=True, autoincrement=False),
    Column("url", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
)
"""Whose database this is: every id of ours in it begins with ``url``."""

peers = Table(
    "peers",
    metadata,
    Column("host", String(300), primary_key=True),
    Column("software", String(100)),
    Column("version", String(100)),
    Column("capabilities", Text),
    Column("nodeinfo_checked_ms", BigInteger),
    Column("clock_offset_ms", BigInteger),
    Column("last_seen_ms", BigInteger),
    Column("verdict", String(10)),
    Column("signing", String(10)),
    Column("signing_ms", BigInteger),
)
"""Hosts we heard of. ``capabilities`` is JSON; ``verdict`` an administrator's ``blocked`` | ``allowed``, or NULL.
``signing``: ``rfc9421`` where knocking at ``signing_ms`` showed that the host wants it."""

peer_hours = Table(
    "peer_hours",
    metadata,
    Column("host", String(300), primary_key=True),
    # Hours since 1970.
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("viewers", BigInteger, nullable=False),
    Column("views", BigInteger, nullable=False),
    Index("peer_hours_hour", "hour"),
)
"""What a host sent within an hour: viewers that came, counted views."""

follows = Table(
    "follows",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    # SHA-256 of direction, actor and object: URLs of 2000 characters do not fit into an index row of PostgreSQL.
    Column("key", String(64), nullable=False, unique=True),
    Column("direction", String(3), nullable=False),
    Column("host", String(300), nullable=False),
    Column("actor", Text, nullable=False),
    Column("inbox", Text, nullable=False),
    Column("shared_inbox", Text),
    Column("follow_id", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Index("ix_follows_host", "host"),
)
"""``in``: the remote ``actor`` follows our ``object``; ``out``: our ``object`` follows the remote ``actor``."""

remote_keys = Table(
    "remote_keys",
    metadata,
    # SHA-256 of the keyId without its fragment.
    Column("digest", String(64), primary_key=True),
    Column("site", String(300), nullable=False),
    Column("document", Text, nullable=False),
    Column("fetched_ms", BigInteger, nullable=False),
    Column("saved_ms", BigInteger, nullable=False),
    Index("ix_remote_keys_saved", "saved_ms"),
)
"""Keys of others that made a signature. ``document``: JSON, what the actor's own host said of it at ``fetched_ms``."""
