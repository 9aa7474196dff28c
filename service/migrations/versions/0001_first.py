"""The schema of the first release (made by ``python -m service.migrations.regenerate``)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "activity_log",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("activity_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("audience", sa.String(length=270), nullable=False),
        sa.Column("recipient", sa.Text(), server_default="", nullable=False),
        sa.Column("inbox", sa.Text(), server_default="", nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activity_log")),
        sa.UniqueConstraint("activity_id", "audience", name=op.f("uq_activity_log_activity_id_audience")),
        sa.UniqueConstraint("seq", name=op.f("uq_activity_log_seq")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_activity_log_audience_seq", "activity_log", ["audience", "seq"], unique=False)
    op.create_index("ix_activity_log_created_ms", "activity_log", ["created_ms"], unique=False)
    op.create_index("ix_activity_log_subject", "activity_log", ["subject"], unique=False)
    op.create_index(
        "ix_activity_log_unnumbered",
        "activity_log",
        ["id"],
        unique=False,
        sqlite_where=sa.text("seq IS NULL"),
        postgresql_where=sa.text("seq IS NULL"),
    )
    op.create_table(
        "delivery_exceptions",
        sa.Column("host", sa.String(length=270), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_ms", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("set_aside", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("host", "seq", name=op.f("pk_delivery_exceptions")),
    )
    op.create_index(
        "ix_delivery_exceptions_next_try_ms", "delivery_exceptions", ["set_aside", "next_try_ms"], unique=False
    )
    op.create_table(
        "delivery_health",
        sa.Column("host", sa.String(length=270), nullable=False),
        sa.Column("arrived_ms", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(length=64), nullable=False),
        sa.Column("error_ms", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("failed_ms", sa.BigInteger(), nullable=False),
        sa.Column("try_ms", sa.BigInteger(), nullable=False),
        sa.Column("soft_try_ms", sa.BigInteger(), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("breaker", sa.String(length=16), nullable=False),
        sa.Column("refusals", sa.Integer(), nullable=False),
        sa.Column("singles_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("posts", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("kept_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_delivery_health")),
    )
    op.create_index("ix_delivery_health_kept_ms", "delivery_health", ["kept_ms"], unique=False)
    op.create_table(
        "follows",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("direction", sa.String(length=3), nullable=False),
        sa.Column("host", sa.String(length=300), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("inbox", sa.Text(), nullable=False),
        sa.Column("shared_inbox", sa.Text(), nullable=True),
        sa.Column("follow_id", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_follows")),
        sa.UniqueConstraint("key", name=op.f("uq_follows_key")),
    )
    op.create_index("ix_follows_host", "follows", ["host"], unique=False)
    op.create_table(
        "instance",
        sa.Column("key", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_instance")),
    )
    op.create_table(
        "livekit_messages",
        sa.Column("id", sa.String(length=256), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_livekit_messages")),
    )
    op.create_index("ix_livekit_messages_until_ms", "livekit_messages", ["until_ms"], unique=False)
    op.create_table(
        "livekit_participants",
        sa.Column("room_sid", sa.String(length=256), nullable=False),
        sa.Column("sid", sa.String(length=256), nullable=False),
        sa.Column("room", sa.String(length=256), nullable=False),
        sa.Column("viewer", sa.LargeBinary(), nullable=False),
        sa.Column("joined_ms", sa.BigInteger(), nullable=True),
        sa.Column("left_ms", sa.BigInteger(), nullable=True),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.String(length=16), server_default="", nullable=False),
        sa.Column("publisher", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("tracks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("room_sid", "sid", name=op.f("pk_livekit_participants")),
    )
    op.create_index("ix_livekit_participants_left_ms", "livekit_participants", ["left_ms"], unique=False)
    op.create_index("ix_livekit_participants_room", "livekit_participants", ["room", "opened_ms"], unique=False)
    op.create_index("ix_livekit_participants_viewer", "livekit_participants", ["viewer"], unique=False)
    op.create_table(
        "page_backfills",
        sa.Column("job", sa.String(length=80), nullable=False),
        sa.Column("site", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("processed", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        sa.Column("unique_sessions", sa.BigInteger(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_page_backfills")),
    )
    op.create_table(
        "page_catalog",
        sa.Column("site", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=270), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("page_type", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("site", "name", name=op.f("pk_page_catalog")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "page_counts",
        sa.Column("series", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("series", "level", "bucket", name=op.f("pk_page_counts")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_page_counts_old", "page_counts", ["level", "bucket"], unique=False)
    op.create_table(
        "page_series",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("site", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("name", sa.String(length=270), nullable=False),
        sa.Column("total", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("path", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("page_type", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_page_series")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_page_series_last", "page_series", ["site", "kind", "last_ms"], unique=False)
    op.create_index("ix_page_series_total", "page_series", ["site", "kind", "total"], unique=False)
    op.create_index("uq_page_series_name", "page_series", ["site", "kind", "name"], unique=True)
    op.create_table(
        "page_sites",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("host", sa.String(length=270), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=True),
        sa.Column("views", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("visitors", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("paths", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("referrers", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_page_sites")),
        sa.UniqueConstraint("host", name=op.f("uq_page_sites_host")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "page_visitors",
        sa.Column("site", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("session", sa.LargeBinary(length=16), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("country", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("site", "session", name=op.f("pk_page_visitors")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_page_visitors_last_ms", "page_visitors", ["last_ms"], unique=False)
    op.create_table(
        "page_visits",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("site", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.BigInteger(), nullable=False),
        sa.Column("referrer", sa.BigInteger(), nullable=True),
        sa.Column("country", sa.BigInteger(), nullable=True),
        sa.Column("session", sa.LargeBinary(length=16), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_page_visits")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_page_visits_at_ms", "page_visits", ["at_ms"], unique=False)
    op.create_index("ix_page_visits_seen", "page_visits", ["path", "session", "at_ms"], unique=False)
    op.create_index(
        "ix_page_visits_uncounted",
        "page_visits",
        ["id"],
        unique=False,
        sqlite_where=sa.text("counted = false"),
        postgresql_where=sa.text("counted = false"),
    )
    op.create_table(
        "peer_cursors",
        sa.Column("host", sa.String(length=270), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("followed_seq", sa.BigInteger(), nullable=True),
        sa.Column("success_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_peer_cursors")),
    )
    op.create_table(
        "peer_hours",
        sa.Column("host", sa.String(length=300), nullable=False),
        sa.Column("hour", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("viewers", sa.BigInteger(), nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", "hour", name=op.f("pk_peer_hours")),
    )
    op.create_index("peer_hours_hour", "peer_hours", ["hour"], unique=False)
    op.create_table(
        "peers",
        sa.Column("host", sa.String(length=300), nullable=False),
        sa.Column("software", sa.String(length=100), nullable=True),
        sa.Column("version", sa.String(length=100), nullable=True),
        sa.Column("capabilities", sa.Text(), nullable=True),
        sa.Column("nodeinfo_checked_ms", sa.BigInteger(), nullable=True),
        sa.Column("clock_offset_ms", sa.BigInteger(), nullable=True),
        sa.Column("last_seen_ms", sa.BigInteger(), nullable=True),
        sa.Column("verdict", sa.String(length=10), nullable=True),
        sa.Column("signing", sa.String(length=10), nullable=True),
        sa.Column("signing_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_peers")),
    )
    op.create_table(
        "playback_sums",
        sa.Column("video_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("participant", sa.String(length=40), nullable=False),
        sa.Column("height", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("span_ms", sa.BigInteger(), nullable=False),
        sa.Column("stalls", sa.BigInteger(), nullable=False),
        sa.Column("stall_ms", sa.BigInteger(), nullable=False),
        sa.Column("switches", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("dropped_frames", sa.BigInteger(), nullable=False),
        sa.Column("latency_ms", sa.BigInteger(), nullable=False),
        sa.Column("latencies", sa.BigInteger(), nullable=False),
        sa.Column("startup_ms", sa.BigInteger(), nullable=False),
        sa.Column("startups", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("video_number", "at_ms", "participant", "height", name=op.f("pk_playback_sums")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_playback_sums_at", "playback_sums", ["at_ms"], unique=False)
    op.create_table(
        "remote_keys",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("site", sa.String(length=300), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("fetched_ms", sa.BigInteger(), nullable=False),
        sa.Column("saved_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_remote_keys")),
    )
    op.create_index("ix_remote_keys_saved", "remote_keys", ["saved_ms"], unique=False)
    op.create_table(
        "remote_views",
        sa.Column("activity", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("activity", name=op.f("pk_remote_views")),
    )
    op.create_index("ix_remote_views_at_ms", "remote_views", ["at_ms"], unique=False)
    op.create_table(
        "retention_steps",
        sa.Column("video_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("second", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("delta", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("video_number", "second", name=op.f("pk_retention_steps")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "spool_cursors",
        sa.Column("spool", sa.LargeBinary(length=16), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("spool", name=op.f("pk_spool_cursors")),
    )
    op.create_index("ix_spool_cursors_updated_ms", "spool_cursors", ["updated_ms"], unique=False)
    op.create_table(
        "stay_ids",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stay_ids")),
        sa.UniqueConstraint("digest", name=op.f("uq_stay_ids_digest")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "stay_times",
        sa.Column("video_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("unit_s", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("starts", sa.BigInteger(), nullable=False),
        sa.Column("start_watch_s", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.Column("end_watch_s", sa.BigInteger(), nullable=False),
        sa.Column("rise", sa.BigInteger(), nullable=True),
        sa.Column("rise_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("video_number", "unit_s", "at_ms", name=op.f("pk_stay_times")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_stay_times_unsettled",
        "stay_times",
        ["unit_s", "video_number", "at_ms"],
        unique=False,
        sqlite_where=sa.text("rise IS NULL"),
        postgresql_where=sa.text("rise IS NULL"),
    )
    op.create_table(
        "stay_traits",
        sa.Column("video_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("unit_s", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("starts", sa.BigInteger(), nullable=False),
        sa.Column("ends", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("video_number", "kind", "unit_s", "at_ms", "name", name=op.f("pk_stay_traits")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "telemetry_records",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("room", sa.String(length=36), nullable=False),
        sa.Column("participant", sa.String(length=40), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_telemetry_records")),
    )
    op.create_index("ix_telemetry_records_at", "telemetry_records", ["at_ms"], unique=False)
    op.create_index("ix_telemetry_records_room", "telemetry_records", ["room", "at_ms"], unique=False)
    op.create_table(
        "telemetry_rooms",
        sa.Column("video_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("peak", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("video_number", name=op.f("pk_telemetry_rooms")),
    )
    op.create_table(
        "video_views",
        sa.Column("video_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hour_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("local", sa.Boolean(), autoincrement=False, nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("video_number", "hour_ms", "local", name=op.f("pk_video_views")),
        postgresql_partition_by="RANGE (local, hour_ms)",
    )
    op.create_index("ix_video_views_hour_ms", "video_views", ["hour_ms"], unique=False)
    op.create_table(
        "videos",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(length=270), nullable=False),
        sa.Column("local", sa.Boolean(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("duration_s", sa.BigInteger(), nullable=False),
        sa.Column("is_live", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.Text(), server_default="", nullable=False),
        sa.Column("privacy", sa.String(length=16), nullable=False),
        sa.Column("published_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("views", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("views_announced", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("announced_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("page_url", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("refreshed_ms", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("duration_s >= 0", name=op.f("ck_videos_duration")),
        sa.CheckConstraint("views >= 0", name=op.f("ck_videos_views")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_videos")),
        sa.UniqueConstraint("url", name=op.f("uq_videos_url")),
        sa.UniqueConstraint("uuid", name=op.f("uq_videos_uuid")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_videos_local_published", "videos", ["local", "published_ms"], unique=False)
    op.create_index("ix_videos_local_refreshed", "videos", ["local", "refreshed_ms"], unique=False)
    op.create_table(
        "viewer_stays",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("local", sa.Boolean(), autoincrement=False, nullable=False),
        sa.Column("video_number", sa.BigInteger(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=270), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("watch_time_s", sa.BigInteger(), nullable=False),
        sa.Column("sections", sa.Text(), nullable=False),
        sa.Column("country", sa.String(length=200), nullable=True),
        sa.Column("subdivision", sa.String(length=200), nullable=True),
        sa.Column("client", sa.String(length=200), nullable=True),
        sa.Column("device", sa.String(length=200), nullable=True),
        sa.Column("operating_system", sa.String(length=200), nullable=True),
        sa.Column("flagged", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("id", "local", "end_ms", name=op.f("pk_viewer_stays")),
        postgresql_partition_by="RANGE (local, end_ms)",
        sqlite_with_rowid=False,
    )
    op.create_index("ix_viewer_stays_end", "viewer_stays", ["video_number", "end_ms", "watch_time_s"], unique=False)
    op.create_index("ix_viewer_stays_start", "viewer_stays", ["video_number", "start_ms", "watch_time_s"], unique=False)
    op.create_table(
        "webhook_hooks",
        sa.Column("hook", sa.String(length=16), nullable=False),
        sa.Column("sent", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("dropped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("untold", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("success_ms", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(length=64), nullable=True),
        sa.Column("error_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("hook", name=op.f("pk_webhook_hooks")),
    )
    op.create_table(
        "webhook_outcomes",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("hook", sa.String(length=16), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("queued_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_webhook_outcomes")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_outcomes_hook_seq", "webhook_outcomes", ["hook", "seq"], unique=False)
    op.create_table(
        "webhook_queue",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("hook", sa.String(length=16), nullable=False),
        sa.Column("resource", sa.String(length=300), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_webhook_queue")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_queue_hook_seq", "webhook_queue", ["hook", "seq"], unique=False)
    op.create_table(
        "resume_positions",
        sa.Column("user_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("video_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position_s", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["video_number"], ["videos.number"], name=op.f("fk_resume_positions_video_number"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_hash", "video_number", name=op.f("pk_resume_positions")),
    )
    op.create_index("ix_resume_positions_updated_ms", "resume_positions", ["updated_ms"], unique=False)
    op.create_index("ix_resume_positions_video_number", "resume_positions", ["video_number"], unique=False)
