"""What telemetry writes down: one record per event and per coalesced statistic, with ids of their own."""

from __future__ import annotations

import enum
import os
from base64 import b32encode
from typing import TypeAlias

import msgspec

from views.telemetry.samples import Stat
from views.telemetry.subjects import (
    ApiCallInfo,
    Client,
    EgressInfo,
    IngressInfo,
    ReportInfo,
    RtpStats,
    Track,
    WebhookInfo,
)


class EventKind(enum.Enum):
    """LiveKit's names of analytics events, in lower case."""

    ROOM_CREATED = "room_created"
    ROOM_ENDED = "room_ended"
    PARTICIPANT_JOINED = "participant_joined"
    PARTICIPANT_ACTIVE = "participant_active"
    PARTICIPANT_RESUMED = "participant_resumed"
    PARTICIPANT_LEFT = "participant_left"
    PARTICIPANT_CONNECTION_ABORTED = "participant_connection_aborted"
    TRACK_PUBLISH_REQUESTED = "track_publish_requested"
    TRACK_PUBLISHED = "track_published"
    TRACK_UNPUBLISHED = "track_unpublished"
    TRACK_PUBLISHED_UPDATE = "track_published_update"
    TRACK_SUBSCRIBE_REQUESTED = "track_subscribe_requested"
    TRACK_SUBSCRIBED = "track_subscribed"
    TRACK_UNSUBSCRIBED = "track_unsubscribed"
    TRACK_SUBSCRIBE_FAILED = "track_subscribe_failed"
    TRACK_MUTED = "track_muted"
    TRACK_UNMUTED = "track_unmuted"
    TRACK_MAX_SUBSCRIBED_VIDEO_QUALITY = "track_max_subscribed_video_quality"
    TRACK_PUBLISH_STATS = "track_publish_stats"
    TRACK_SUBSCRIBE_STATS = "track_subscribe_stats"
    EGRESS_STARTED = "egress_started"
    EGRESS_UPDATED = "egress_updated"
    EGRESS_ENDED = "egress_ended"
    INGRESS_CREATED = "ingress_created"
    INGRESS_DELETED = "ingress_deleted"
    INGRESS_STARTED = "ingress_started"
    INGRESS_UPDATED = "ingress_updated"
    INGRESS_ENDED = "ingress_ended"
    REPORT = "report"
    API_CALL = "api_call"
    WEBHOOK = "webhook"


Info: TypeAlias = EgressInfo | IngressInfo | RtpStats | ReportInfo | ApiCallInfo | WebhookInfo | Client


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One analytics event. ``room`` is a video's uuid, ``participant`` a stay (``VS_…``), ``reason`` a word or the text
    of an error, ``user_error`` says that the viewer's side was at fault, ``publisher`` whose track it subscribed to."""

    id: str
    kind: EventKind
    at_ms: int
    node: str = ""
    room: str = ""
    participant: str = ""
    identity: str = ""
    track: Track | None = None
    publisher: str = ""
    quality: str = ""
    reason: str = ""
    user_error: bool = False
    info: Info | None = None


class StatRecord(msgspec.Struct, frozen=True, gc=False):
    """One coalesced statistic of one track of one participant."""

    id: str
    at_ms: int
    node: str
    room: str
    number: int
    """The video's integer id."""
    participant: str
    stat: Stat


def event_id() -> str:
    """``AE_`` and 80 random bits, as LiveKit writes the ids of analytics events."""
    return "AE_" + _random()


def stat_id() -> str:
    """``AS_`` and 80 random bits."""
    return "AS_" + _random()


def _random() -> str:
    return b32encode(os.urandom(10)).decode("ascii")
