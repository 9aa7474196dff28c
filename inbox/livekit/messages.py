"""What a LiveKit server's webhook says (livekit/protocol, ``livekit_webhook.proto``), as far as it matters here.

JSON as protobuf writes it: camelCase or the names of the ``.proto`` file, 64-bit numbers as text or numbers, enums as
words or numbers, members with their default left out. Whatever else stands in it is passed over: versions differ.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import msgspec

from foundation.errors import Refused
from views.telemetry.subjects import EgressInfo, IngressInfo, Track, TrackKind

MAX_NAME = 256
"""Characters of ids, identities and room names that are looked at."""
_MAX_NUMBER = 2**62
_LATEST_MS = 10**14

STANDARD = "STANDARD"
KINDS = {0: STANDARD, 1: "INGRESS", 2: "EGRESS", 3: "SIP", 4: "AGENT", 7: "CONNECTOR", 8: "BRIDGE"}
"""``ParticipantInfo.Kind``."""
_TRACK_KINDS = {"AUDIO": TrackKind.AUDIO, "VIDEO": TrackKind.VIDEO, "DATA": TrackKind.DATA}
_TRACK_NUMBERS = {0: "AUDIO", 1: "VIDEO", 2: "DATA"}

EVENTS = (
    "room_started",
    "room_finished",
    "participant_joined",
    "participant_left",
    "participant_connection_aborted",
    "track_published",
    "track_unpublished",
    "egress_started",
    "egress_updated",
    "egress_ended",
    "ingress_started",
    "ingress_ended",
)


@dataclass(frozen=True, slots=True)
class LivekitRoom:
    """``sid`` is one opening of the room called ``name``; ``created_ms`` when that was, 0 if it does not say."""

    sid: str
    name: str
    created_ms: int = 0


@dataclass(frozen=True, slots=True)
class LivekitParticipant:
    """``sid`` is one connection, ``identity`` who the host application says it is. ``kind`` is LiveKit's word."""

    sid: str
    identity: str = field(repr=False, default="")
    kind: str = STANDARD
    hidden: bool = False
    recorder: bool = False
    agent: bool = False
    publisher: bool = False
    joined_ms: int = 0


@dataclass(frozen=True, slots=True)
class LivekitEvent:
    """``id`` is LiveKit's, or made of the body by a version that has none. ``at_ms`` 0: it does not say."""

    event: str
    id: str
    at_ms: int = 0
    room: LivekitRoom | None = None
    participant: LivekitParticipant | None = None
    track: Track | None = None
    egress: EgressInfo | None = None
    ingress: IngressInfo | None = None


def parse(body: bytes) -> LivekitEvent | Refused:
    """Refused: ``bad_webhook`` for what is no object with an ``event``."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Refused("bad_webhook", "not JSON", 400)
    if not isinstance(said, dict) or not _text(said, "event"):
        return Refused("bad_webhook", "no event is named", 400)
    message_id = _text(said, "id") or "SHA_" + hashlib.sha256(body).hexdigest()[:40]
    egress, ingress = _message(said, "egressInfo"), _message(said, "ingressInfo")
    return LivekitEvent(
        event=_text(said, "event"),
        id=message_id,
        at_ms=_instant_ms(said, "createdAt"),
        room=_room(_message(said, "room")),
        participant=_participant(_message(said, "participant")),
        track=_track(_message(said, "track")),
        egress=None if egress is None else _egress(egress),
        ingress=None if ingress is None else _ingress(ingress),
    )


def _room(said: dict[str, Any] | None) -> LivekitRoom | None:
    if said is None or not _text(said, "name"):
        return None
    created_ms = _instant_ms(said, "creationTime")
    return LivekitRoom(_text(said, "sid") or _text(said, "name"), _text(said, "name"), created_ms)


def _participant(said: dict[str, Any] | None) -> LivekitParticipant | None:
    if said is None or not _text(said, "sid"):
        return None
    permission = _message(said, "permission") or {}
    return LivekitParticipant(
        sid=_text(said, "sid"),
        identity=_text(said, "identity"),
        kind=_word(said, "kind", KINDS) or STANDARD,
        hidden=_flag(permission, "hidden"),
        recorder=_flag(permission, "recorder"),
        agent=_flag(permission, "agent"),
        publisher=_flag(said, "isPublisher"),
        joined_ms=_instant_ms(said, "joinedAt"),
    )


def _track(said: dict[str, Any] | None) -> Track | None:
    if said is None or not _text(said, "sid"):
        return None
    kind = _TRACK_KINDS.get(_word(said, "type", _TRACK_NUMBERS) or "AUDIO", TrackKind.DATA)
    height = min(_number(said, "height"), 100_000)
    return Track(_text(said, "sid"), kind, _text(said, "mimeType"), height, _flag(said, "muted"))


def _egress(said: dict[str, Any]) -> EgressInfo:
    """Its instants are nanoseconds."""
    return EgressInfo(
        egress_id=_text(said, "egressId"),
        room=_text(said, "roomName"),
        status=_text(said, "status"),
        error=_text(said, "error"),
        started_ms=_number(said, "startedAt") // 1_000_000,
        ended_ms=_number(said, "endedAt") // 1_000_000,
    )


def _ingress(said: dict[str, Any]) -> IngressInfo:
    state = _message(said, "state") or {}
    return IngressInfo(
        ingress_id=_text(said, "ingressId"),
        room=_text(said, "roomName"),
        status=_text(state, "status"),
        error=_text(state, "error"),
        started_ms=_number(state, "startedAt") // 1_000_000,
        ended_ms=_number(state, "endedAt") // 1_000_000,
    )


def _member(said: dict[str, Any], name: str) -> Any:
    """By its JSON name, or as the ``.proto`` file has it."""
    if name in said:
        return said[name]
    return said.get("".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name))


def _text(said: dict[str, Any], name: str) -> str:
    found = _member(said, name)
    return found[:MAX_NAME].replace("\0", "") if isinstance(found, str) else ""


def _number(said: dict[str, Any], name: str) -> int:
    """A count or an instant: 0 for anything else."""
    found = _member(said, name)
    if isinstance(found, str) and found.isascii() and found.isdecimal() and len(found) <= 19:
        found = int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < _MAX_NUMBER else 0


def _instant_ms(said: dict[str, Any], name: str) -> int:
    """In seconds, and by newer versions in milliseconds besides; 0 for what is no instant of ours."""
    instant_ms = _number(said, f"{name}Ms") or _number(said, name) * 1000
    return instant_ms if instant_ms < _LATEST_MS else 0


def _flag(said: dict[str, Any], name: str) -> bool:
    return _member(said, name) is True


def _word(said: dict[str, Any], name: str, numbers: dict[int, str]) -> str:
    found = _member(said, name)
    if isinstance(found, int) and not isinstance(found, bool):
        return numbers.get(found, "UNKNOWN")
    return _text(said, name)


def _message(said: dict[str, Any], name: str) -> dict[str, Any] | None:
    found = _member(said, name)
    return found if isinstance(found, dict) else None
