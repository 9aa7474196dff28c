from __future__ import annotations

import inspect

from views.notices import NOTICES
from views.telemetry.interface import TelemetryService
from views.telemetry.null import NullTelemetry

LIVEKIT = (
    "TrackStats",
    "RoomStarted",
    "RoomEnded",
    "ParticipantJoined",
    "ParticipantActive",
    "ParticipantResumed",
    "ParticipantLeft",
    "TrackPublishRequested",
    "TrackPublished",
    "TrackUnpublished",
    "TrackSubscribeRequested",
    "TrackSubscribed",
    "TrackUnsubscribed",
    "TrackSubscribeFailed",
    "TrackMuted",
    "TrackUnmuted",
    "TrackPublishedUpdate",
    "TrackMaxSubscribedVideoQuality",
    "TrackPublishRTPStats",
    "TrackSubscribeRTPStats",
    "EgressStarted",
    "EgressUpdated",
    "EgressEnded",
    "IngressCreated",
    "IngressDeleted",
    "IngressStarted",
    "IngressUpdated",
    "IngressEnded",
    "LocalRoomState",
    "Report",
    "APICall",
    "Webhook",
    "NotifyEgressEvent",
    "FlushStats",
    "SendStats",
    "SendEvent",
    "SendNodeRoomStates",
)


def snake(name: str) -> str:
    name = name.replace("RTP", "Rtp").replace("API", "Api")
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")


def methods(of: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(method)
        for name, method in inspect.getmembers(of, inspect.isfunction)
        if not name.startswith("_")
    }


def test_every_method_of_livekits_interface_is_there() -> None:
    assert {snake(name) for name in LIVEKIT} == methods(TelemetryService).keys()


def test_telemetry_that_is_off_takes_the_same_calls() -> None:
    assert methods(NullTelemetry) == methods(TelemetryService)


def test_notices_have_the_words_of_the_configuration() -> None:
    assert [notice.event for notice in NOTICES] == [
        "video_started",
        "video_finished",
        "viewer_joined",
        "viewer_left",
        "viewer_aborted",
        "viewers_peak",
        "view_counted",
        "total_received",
        "peer_down",
        "peer_up",
    ]
