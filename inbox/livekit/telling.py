"""What LiveKit says, handed on to telemetry, which speaks LiveKit's language."""

from __future__ import annotations

from foundation.clock import Clock
from inbox.livekit.messages import LivekitEvent
from inbox.livekit.participants import Change
from views.model import Video
from views.telemetry.interface import TelemetryService
from views.telemetry.names import SessionNames
from views.telemetry.subjects import EgressInfo, IngressInfo, Room


class RoomTelling:
    """That viewers came and went is told by watching; this tells the rest. Never blocks."""

    def __init__(self, telemetry: TelemetryService, names: SessionNames, clock: Clock) -> None:
        self._telemetry = telemetry
        self._names = names
        self._clock = clock

    def tell(self, event: LivekitEvent, video: Video, viewer: bytes, change: Change) -> None:
        """A message about a room, its participants or their tracks, that was taken."""
        telemetry, now_ms = self._telemetry, self._clock.now_ms()
        started_ms = 0 if event.room is None else event.room.created_ms
        room = Room(video, started_ms, "" if event.room is None else event.room.name)
        participant = self._names.participant(video.number, viewer, now_ms)
        match event.event:
            case "room_started":
                telemetry.room_started(room)
            case "room_finished":
                telemetry.room_ended(room)
            case "participant_connection_aborted" if not change.went:
                telemetry.participant_left(room, participant)
            case "track_published" if event.track is not None:
                telemetry.track_published(room, participant, event.track)
            case "track_unpublished" if event.track is not None:
                telemetry.track_unpublished(room, participant, event.track)

    def tell_stream(self, event: LivekitEvent, video: Video | None) -> None:
        """A message about a recording out of a room, or a stream into one."""
        telemetry = self._telemetry
        room = None if video is None else Room(video)
        match event.event, event.egress, event.ingress:
            case "egress_started", EgressInfo() as egress, _:
                telemetry.egress_started(egress, room)
            case "egress_updated", EgressInfo() as egress, _:
                telemetry.egress_updated(egress, room)
            case "egress_ended", EgressInfo() as egress, _:
                telemetry.egress_ended(egress, room)
            case "ingress_started", _, IngressInfo() as ingress:
                telemetry.ingress_started(ingress, room)
            case "ingress_ended", _, IngressInfo() as ingress:
                telemetry.ingress_ended(ingress, room)
