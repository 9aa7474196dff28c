"""Messages as LiveKit's own protocol package writes them, and as nobody should."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToJson
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol.egress import EgressInfo, EgressStatus
from livekit.protocol.ingress import IngressInfo, IngressState
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.webhook import WebhookEvent
from support.livekit_server import LivekitServer

from foundation.errors import Refused
from inbox.livekit.messages import MAX_NAME, LivekitEvent, LivekitParticipant, LivekitRoom, parse
from inbox.livekit.participants import role_of
from views.telemetry.subjects import Track, TrackKind

SERVER = LivekitServer(now_s=1_800_000_000)


def parsed(body: bytes) -> LivekitEvent:
    event = parse(body)
    assert isinstance(event, LivekitEvent)
    return event


def test_who_came() -> None:
    event = parsed(SERVER.joined("anna", kind=ParticipantInfo.Kind.AGENT, hidden=True, is_publisher=True))
    assert (event.event, event.at_ms) == ("participant_joined", 1_800_000_000_000)
    assert event.id.startswith("EV_")
    assert event.room == LivekitRoom("RM_my-room_1", "my-room", 1_800_000_000_000)
    assert event.participant == LivekitParticipant(
        "PA_anna", "anna", "AGENT", hidden=True, publisher=True, joined_ms=1_800_000_000_000
    )


def test_what_is_left_out_has_its_default() -> None:
    event = parsed(SERVER.track("track_published", "anna"))
    assert event.participant == LivekitParticipant("PA_anna", "anna", "STANDARD")
    assert event.track == Track("TR_1", TrackKind.VIDEO, "video/vp8", 720)


@pytest.mark.parametrize("names", [True, False])
def test_recordings_and_streams(names: bool) -> None:
    """In both spellings of JSON that protobuf allows; instants of streams are nanoseconds."""
    egress = EgressInfo(egress_id="EG_1", room_name="my-room", status=EgressStatus.EGRESS_FAILED, error="no disk")
    egress.started_at = 1_800_000_000_123_456_789
    said = WebhookEvent(event="egress_ended", id="EV_1", egress_info=egress)
    event = parsed(MessageToJson(said, preserving_proto_field_name=names).encode())
    assert event.egress is not None
    assert (event.egress.egress_id, event.egress.room, event.egress.status) == ("EG_1", "my-room", "EGRESS_FAILED")
    assert (event.egress.started_ms, event.egress.error) == (1_800_000_000_123, "no disk")
    state = IngressState(status=IngressState.Status.ENDPOINT_PUBLISHING, started_at=1_800_000_000_123_456_789)
    ingress = WebhookEvent(event="ingress_started", ingress_info=IngressInfo(ingress_id="IN_1", state=state))
    event = parsed(MessageToJson(ingress, preserving_proto_field_name=names).encode())
    assert event.ingress is not None
    assert (event.ingress.status, event.ingress.started_ms) == ("ENDPOINT_PUBLISHING", 1_800_000_000_123)


def test_a_message_without_an_id_is_known_by_its_body() -> None:
    assert parsed(b'{"event": "room_started"}').id == parsed(b'{"event": "room_started"}').id
    assert parsed(b'{"event": "room_started"}').id != parsed(b'{"event": "room_started" }').id


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"7", b"{}", b'{"event": 7}', b'{"event": ""}', b"[" * 5_000, b'{"a":' * 9_000]
)
def test_what_is_no_message(body: bytes) -> None:
    verdict = parse(body)
    assert isinstance(verdict, Refused)
    assert (verdict.reason, verdict.status) == ("bad_webhook", 400)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_MEMBERS = [
    "sid",
    "identity",
    "name",
    "kind",
    "permission",
    "hidden",
    "joinedAt",
    "creationTime",
    "isPublisher",
    "state",
]
_TOP = ("id", "room", "participant", "track", "egressInfo", "ingressInfo", "createdAt")
_MESSAGE = st.dictionaries(st.sampled_from(_MEMBERS), _JSON) | _JSON


@given(
    st.fixed_dictionaries(
        {"event": st.just("participant_joined")},
        optional=dict.fromkeys(_TOP, _MESSAGE),
    )
)
def test_no_member_of_any_type_breaks_it(said: dict[str, Any]) -> None:
    event = parsed(json.dumps(said).encode())
    assert 0 < len(event.id) <= MAX_NAME
    for named in (event.room, event.participant):
        assert named is None or 0 < len(named.sid) <= MAX_NAME
    assert event.at_ms >= 0


@pytest.mark.parametrize(
    ("how", "role"),
    [
        ({}, ""),
        ({"is_publisher": True}, ""),
        ({"hidden": True}, "hidden"),
        ({"agent": True, "hidden": True}, "agents"),
        ({"recorder": True, "hidden": True}, "recorders"),
        ({"kind": ParticipantInfo.Kind.AGENT}, "agents"),
        ({"kind": ParticipantInfo.Kind.EGRESS}, "recorders"),
        ({"kind": ParticipantInfo.Kind.INGRESS}, "ingress"),
        ({"kind": ParticipantInfo.Kind.SIP}, "phones"),
        ({"kind": 8}, "phones"),
    ],
)
def test_what_somebody_is(how: dict[str, Any], role: str) -> None:
    participant = parsed(SERVER.joined("anna", **how)).participant
    assert participant is not None
    assert role_of(participant) == role
