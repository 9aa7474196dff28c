"""Tables of the door out: what was said (one row per activity, whoever hears it) and how far each peer heard."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from foundation.database import metadata

activity_log = Table(
    "activity_log",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    # Its place in what is said. Cursors compare it, so a number once given is never given again, and none is given
    # that is lower than one which somebody may have seen: on PostgreSQL, where transactions end in any order, it comes
    # after the commit (`ActivityLog.number`); until then it is NULL.
    Column("seq", BigInteger, unique=True),
    Column("activity_id", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    # What it is about (a video's URL): a newer Update of it makes an older one pointless.
    Column("subject", Text, nullable=False),
    # Whose key signs it.
    Column("actor", Text, nullable=False),
    # ``*`` for followers, or the authority of the one host it is for.
    Column("audience", String(270), nullable=False),
    # The remote actor it is for; empty for followers.
    Column("recipient", Text, nullable=False, server_default=""),
    # The actor's own inbox, where it must go there (Follow and its answers); empty: the shared inbox.
    Column("inbox", Text, nullable=False, server_default=""),
    Column("body", LargeBinary, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    UniqueConstraint("activity_id", "audience"),
    Index("ix_activity_log_audience_seq", "audience", "seq"),
    Index("ix_activity_log_subject", "subject"),
    Index("ix_activity_log_created_ms", "created_ms"),
    Index("ix_activity_log_unnumbered", "id", sqlite_where=text("seq IS NULL"), postgresql_where=text("seq IS NULL")),
    sqlite_autoincrement=True,
)

peer_cursors = Table(
    "peer_cursors",
    metadata,
    Column("host", String(270), primary_key=True),
    # Everything for the host up to here was delivered, set aside, or stands in delivery_exceptions.
    Column("seq", BigInteger, nullable=False),
    # A follower hears what is said to followers after this; NULL for a host that does not follow us.
    Column("followed_seq", BigInteger),
    Column("success_ms", BigInteger, nullable=False, server_default=text("0")),
)

delivery_exceptions = Table(
    "delivery_exceptions",
    metadata,
    Column("host", String(270), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("next_try_ms", BigInteger, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("set_aside", Boolean, nullable=False, server_default=false()),
    Index("ix_delivery_exceptions_next_try_ms", "set_aside", "next_try_ms"),
)

delivery_health = Table(
    "delivery_health",
    metadata,
    Column("host", String(270), primary_key=True),
    # When it last took something, and the last thing that went wrong.
    Column("arrived_ms", BigInteger),
    Column("error", String(64), nullable=False),
    Column("error_ms", BigInteger),
    # The trouble it is in: ``outbox.health.Health`` says what each means.
    Column("failures", Integer, nullable=False),
    Column("days", Integer, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("failed_ms", BigInteger, nullable=False),
    Column("try_ms", BigInteger, nullable=False),
    Column("soft_try_ms", BigInteger, nullable=False),
    Column("asked_ms", BigInteger, nullable=False),
    Column("breaker", String(16), nullable=False),
    # Collections that it refused.
    Column("refusals", Integer, nullable=False),
    Column("singles_until_ms", BigInteger, nullable=False),
    # What was sent to it in the hour before.
    Column("posts", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("kept_ms", BigInteger, nullable=False),
    Index("ix_delivery_health_kept_ms", "kept_ms"),
)
