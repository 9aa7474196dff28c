"""The interface of telemetry, method for method LiveKit's (``pkg/telemetry``); docs/telemetry.md says what feeds each.

A room is a video or live stream, a participant one stay of a viewer, a track a rendition. No method blocks, waits or
raises: each puts one operation on a queue, where operations run in their order. ``should_send_event`` False keeps the
books without telling anybody (no record, no notice). A ``guard`` is the hold of one source on the participant (see
``guard``); None only looks. ``user_error`` says that the viewer's side, not ours, was at fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

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


class AnalyticsService(Protocol):
    """Where records go. Neither blocks nor raises."""

    def send_stats(self, stats: Sequence[StatRecord]) -> None: ...

    def send_event(self, event: Event) -> None: ...

    def send_node_room_states(self, states: NodeRooms) -> None: ...


class TelemetryService(AnalyticsService, Protocol):
    """What happens to rooms, participants and tracks."""

    def track_stats(self, room: Room, participant: Participant, sample: Sample) -> None:
        """One sample of one track. Dropped when nobody knows the participant; the oldest go when too many wait."""

    # Rooms

    def room_started(self, room: Room) -> None:
        """Says ``video_started``."""

    def room_ended(self, room: Room) -> None:
        """Says ``video_finished``."""

    # Participants

    def participant_joined(
        self,
        room: Room,
        participant: Participant,
        *,
        client: Client | None = None,
        should_send_event: bool = True,
        guard: ReferenceGuard | None = None,
    ) -> None:
        """It was heard of; nothing proves yet that it plays. No notice."""

    def participant_active(
        self,
        room: Room,
        participant: Participant,
        *,
        is_migration: bool = False,
        guard: ReferenceGuard | None = None,
    ) -> None:
        """It plays. Says ``viewer_joined``, unless it plays on after another server or instance handed it over."""

    def participant_resumed(self, room: Room, participant: Participant, *, reason: str = "") -> None:
        """It was silent and is back before its time was over."""

    def participant_left(
        self,
        room: Room,
        participant: Participant,
        *,
        should_send_event: bool = True,
        guard: ReferenceGuard | None = None,
    ) -> None:
        """One source lets go; with the last hold (or with ``guard`` None, when nobody holds) it is gone. Says
        ``viewer_left``, or ``viewer_aborted`` of a participant that never became active."""

    # Tracks

    def track_publish_requested(self, room: Room, participant: Participant, track: Track) -> None: ...

    def track_published(
        self, room: Room, participant: Participant, track: Track, *, should_send_event: bool = True
    ) -> None: ...

    def track_unpublished(
        self, room: Room, participant: Participant, track: Track, *, should_send_event: bool = True
    ) -> None: ...

    def track_subscribe_requested(self, room: Room, participant: Participant, track: Track) -> None: ...

    def track_subscribed(
        self,
        room: Room,
        participant: Participant,
        track: Track,
        *,
        publisher: Participant | None = None,
        should_send_event: bool = True,
    ) -> None: ...

    def track_unsubscribed(
        self, room: Room, participant: Participant, track: Track, *, should_send_event: bool = True
    ) -> None: ...

    def track_subscribe_failed(
        self, room: Room, participant: Participant, track: Track, *, error: str, user_error: bool
    ) -> None: ...

    def track_muted(self, room: Room, participant: Participant, track: Track) -> None: ...

    def track_unmuted(self, room: Room, participant: Participant, track: Track) -> None: ...

    def track_published_update(self, room: Room, participant: Participant, track: Track) -> None: ...

    def track_max_subscribed_video_quality(
        self, room: Room, participant: Participant, track: Track, *, quality: str
    ) -> None: ...

    def track_publish_rtp_stats(self, room: Room, participant: Participant, track: Track, stats: RtpStats) -> None:
        """Summary of a published track that ended."""

    def track_subscribe_rtp_stats(self, room: Room, participant: Participant, track: Track, stats: RtpStats) -> None:
        """Summary of a played track that ended."""

    # Egress and ingress; ``room`` None: of no video of ours.

    def egress_started(self, info: EgressInfo, room: Room | None = None) -> None: ...

    def egress_updated(self, info: EgressInfo, room: Room | None = None) -> None: ...

    def egress_ended(self, info: EgressInfo, room: Room | None = None) -> None: ...

    def ingress_created(self, info: IngressInfo, room: Room | None = None) -> None: ...

    def ingress_deleted(self, info: IngressInfo, room: Room | None = None) -> None: ...

    def ingress_started(self, info: IngressInfo, room: Room | None = None) -> None: ...

    def ingress_updated(self, info: IngressInfo, room: Room | None = None) -> None: ...

    def ingress_ended(self, info: IngressInfo, room: Room | None = None) -> None: ...

    def notify_egress_event(self, event: str, info: EgressInfo) -> None:
        """``egress_started``, ``egress_updated`` or ``egress_ended`` by name, for who has only the name; any other word
        is an update."""

    # The house

    def local_room_state(self, states: NodeRooms) -> None:
        """What one process holds."""

    def report(self, report: ReportInfo) -> None:
        """A viewer reports trouble."""

    def api_call(self, call: ApiCallInfo) -> None:
        """A host application or administrator asked for something."""

    def webhook(self, delivery: WebhookInfo) -> None:
        """What became of a webhook."""

    def flush_stats(self) -> None:
        """Coalesce what players said since the last flush, send it, and forget participants that left long ago."""
