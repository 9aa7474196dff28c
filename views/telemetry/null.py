"""Telemetry that is switched off."""

from __future__ import annotations

from collections.abc import Sequence

from views.telemetry.events import Event, StatRecord
from views.telemetry.guard import ReferenceGuard
from views.telemetry.samples import Sample
from views.telemetry.subjects import (
    ApiCallInfo,
    Client,
    EgressInfo,
    IngressInfo,
    NodeRooms,
    Participant,
    ReportInfo,
    Room,
    RtpStats,
    Track,
    WebhookInfo,
)


class NullTelemetry:
    """Keeps no books, tells nobody: for a house without telemetry, and for tests."""

    def send_stats(self, stats: Sequence[StatRecord]) -> None:
        return None

    def send_event(self, event: Event) -> None:
        return None

    def send_node_room_states(self, states: NodeRooms) -> None:
        return None

    def track_stats(self, room: Room, participant: Participant, sample: Sample) -> None:
        return None

    def room_started(self, room: Room) -> None:
        return None

    def room_ended(self, room: Room) -> None:
        return None

    def participant_joined(
        self,
        room: Room,
        participant: Participant,
        *,
        client: Client | None = None,
        should_send_event: bool = True,
        guard: ReferenceGuard | None = None,
    ) -> None:
        return None

    def participant_active(
        self,
        room: Room,
        participant: Participant,
        *,
        is_migration: bool = False,
        guard: ReferenceGuard | None = None,
    ) -> None:
        return None

    def participant_resumed(self, room: Room, participant: Participant, *, reason: str = "") -> None:
        return None

    def participant_left(
        self,
        room: Room,
        participant: Participant,
        *,
        should_send_event: bool = True,
        guard: ReferenceGuard | None = None,
    ) -> None:
        return None

    def track_publish_requested(self, room: Room, participant: Participant, track: Track) -> None:
        return None

    def track_published(
        self, room: Room, participant: Participant, track: Track, *, should_send_event: bool = True
    ) -> None:
        return None

    def track_unpublished(
        self, room: Room, participant: Participant, track: Track, *, should_send_event: bool = True
    ) -> None:
        return None

    def track_subscribe_requested(self, room: Room, participant: Participant, track: Track) -> None:
        return None

    def track_subscribed(
        self,
        room: Room,
        participant: Participant,
        track: Track,
        *,
        publisher: Participant | None = None,
        should_send_event: bool = True,
    ) -> None:
        return None

    def track_unsubscribed(
        self, room: Room, participant: Participant, track: Track, *, should_send_event: bool = True
    ) -> None:
        return None

    def track_subscribe_failed(
        self, room: Room, participant: Participant, track: Track, *, error: str, user_error: bool
    ) -> None:
        return None

    def track_muted(self, room: Room, participant: Participant, track: Track) -> None:
        return None

    def track_unmuted(self, room: Room, participant: Participant, track: Track) -> None:
        return None

    def track_published_update(self, room: Room, participant: Participant, track: Track) -> None:
        return None

    def track_max_subscribed_video_quality(
        self, room: Room, participant: Participant, track: Track, *, quality: str
    ) -> None:
        return None

    def track_publish_rtp_stats(self, room: Room, participant: Participant, track: Track, stats: RtpStats) -> None:
        return None

    def track_subscribe_rtp_stats(self, room: Room, participant: Participant, track: Track, stats: RtpStats) -> None:
        return None

    def egress_started(self, info: EgressInfo, room: Room | None = None) -> None:
        return None

    def egress_updated(self, info: EgressInfo, room: Room | None = None) -> None:
        return None

    def egress_ended(self, info: EgressInfo, room: Room | None = None) -> None:
        return None

    def ingress_created(self, info: IngressInfo, room: Room | None = None) -> None:
        return None

    def ingress_deleted(self, info: IngressInfo, room: Room | None = None) -> None:
        return None

    def ingress_started(self, info: IngressInfo, room: Room | None = None) -> None:
        return None

    def ingress_updated(self, info: IngressInfo, room: Room | None = None) -> None:
        return None

    def ingress_ended(self, info: IngressInfo, room: Room | None = None) -> None:
        return None

    def notify_egress_event(self, event: str, info: EgressInfo) -> None:
        return None

    def local_room_state(self, states: NodeRooms) -> None:
        return None

    def report(self, report: ReportInfo) -> None:
        return None

    def api_call(self, call: ApiCallInfo) -> None:
        return None

    def webhook(self, delivery: WebhookInfo) -> None:
        return None

    def flush_stats(self) -> None:
        return None
