"""What happens to tracks, to what comes into a room and what goes out of it, and to the house: written down."""

from __future__ import annotations

from views.telemetry.books import Books
from views.telemetry.events import EventKind
from views.telemetry.subjects import (
    ApiCallInfo,
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


class TrackBooks(Books):
    """Of one viewer's renditions, and of what it publishes."""

    def track_publish_requested(self, room: Room, participant: Participant, track: Track) -> None:
        self.record(EventKind.TRACK_PUBLISH_REQUESTED, room, participant, track=track)

    def track_published(
        self, room: Room, participant: Participant, track: Track, *, should_send_event: bool = True
    ) -> None:
        if should_send_event:
            self.record(EventKind.TRACK_PUBLISHED, room, participant, track=track)

    def track_unpublished(
        self, room: Room, participant: Participant, track: Track, *, should_send_event: bool = True
    ) -> None:
        if should_send_event:
            self.record(EventKind.TRACK_UNPUBLISHED, room, participant, track=track)

    def track_subscribe_requested(self, room: Room, participant: Participant, track: Track) -> None:
        self.record(EventKind.TRACK_SUBSCRIBE_REQUESTED, room, participant, track=track)

    def track_subscribed(
        self,
        room: Room,
        participant: Participant,
        track: Track,
        *,
        publisher: Participant | None = None,
        should_send_event: bool = True,
    ) -> None:
        if should_send_event:
            whose = "" if publisher is None else publisher.sid
            self.record(EventKind.TRACK_SUBSCRIBED, room, participant, track=track, publisher=whose)

    def track_unsubscribed(
        self, room: Room, participant: Participant, track: Track, *, should_send_event: bool = True
    ) -> None:
        if should_send_event:
            self.record(EventKind.TRACK_UNSUBSCRIBED, room, participant, track=track)

    def track_subscribe_failed(
        self, room: Room, participant: Participant, track: Track, *, error: str, user_error: bool
    ) -> None:
        self.record(
            EventKind.TRACK_SUBSCRIBE_FAILED, room, participant, track=track, reason=error, user_error=user_error
        )

    def track_muted(self, room: Room, participant: Participant, track: Track) -> None:
        self.record(EventKind.TRACK_MUTED, room, participant, track=track)

    def track_unmuted(self, room: Room, participant: Participant, track: Track) -> None:
        self.record(EventKind.TRACK_UNMUTED, room, participant, track=track)

    def track_published_update(self, room: Room, participant: Participant, track: Track) -> None:
        self.record(EventKind.TRACK_PUBLISHED_UPDATE, room, participant, track=track)

    def track_max_subscribed_video_quality(
        self, room: Room, participant: Participant, track: Track, *, quality: str
    ) -> None:
        self.record(EventKind.TRACK_MAX_SUBSCRIBED_VIDEO_QUALITY, room, participant, track=track, quality=quality)

    def track_publish_rtp_stats(self, room: Room, participant: Participant, track: Track, stats: RtpStats) -> None:
        self.record(EventKind.TRACK_PUBLISH_STATS, room, participant, track=track, info=stats)

    def track_subscribe_rtp_stats(self, room: Room, participant: Participant, track: Track, stats: RtpStats) -> None:
        self.record(EventKind.TRACK_SUBSCRIBE_STATS, room, participant, track=track, info=stats)


class HouseBooks(Books):
    """Of egress and ingress, and of the service itself."""

    def egress_started(self, info: EgressInfo, room: Room | None = None) -> None:
        self.record(EventKind.EGRESS_STARTED, room, info=info)

    def egress_updated(self, info: EgressInfo, room: Room | None = None) -> None:
        self.record(EventKind.EGRESS_UPDATED, room, info=info)

    def egress_ended(self, info: EgressInfo, room: Room | None = None) -> None:
        self.record(EventKind.EGRESS_ENDED, room, info=info)

    def ingress_created(self, info: IngressInfo, room: Room | None = None) -> None:
        self.record(EventKind.INGRESS_CREATED, room, info=info)

    def ingress_deleted(self, info: IngressInfo, room: Room | None = None) -> None:
        self.record(EventKind.INGRESS_DELETED, room, info=info)

    def ingress_started(self, info: IngressInfo, room: Room | None = None) -> None:
        self.record(EventKind.INGRESS_STARTED, room, info=info)

    def ingress_updated(self, info: IngressInfo, room: Room | None = None) -> None:
        self.record(EventKind.INGRESS_UPDATED, room, info=info)

    def ingress_ended(self, info: IngressInfo, room: Room | None = None) -> None:
        self.record(EventKind.INGRESS_ENDED, room, info=info)

    def notify_egress_event(self, event: str, info: EgressInfo) -> None:
        self.record(_EGRESS.get(event, EventKind.EGRESS_UPDATED), info=info)

    def local_room_state(self, states: NodeRooms) -> None:
        self.send_node_room_states(states)

    def report(self, report: ReportInfo) -> None:
        self.record(EventKind.REPORT, info=report)

    def api_call(self, call: ApiCallInfo) -> None:
        self.record(EventKind.API_CALL, info=call)

    def webhook(self, delivery: WebhookInfo) -> None:
        self.record(EventKind.WEBHOOK, info=delivery)


_EGRESS = {
    "egress_started": EventKind.EGRESS_STARTED,
    "egress_updated": EventKind.EGRESS_UPDATED,
    "egress_ended": EventKind.EGRESS_ENDED,
}
