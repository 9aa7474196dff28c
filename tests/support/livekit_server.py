"""A LiveKit server as far as its webhooks go: messages of its own protocol package, signed with its own tokens."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from datetime import timedelta
from typing import Any

from google.protobuf.json_format import MessageToJson
from livekit.api import AccessToken
from livekit.protocol.models import ParticipantInfo, ParticipantPermission, Room, TrackInfo
from livekit.protocol.webhook import WebhookEvent

KEY, SECRET = "APIlivekit", "what-the-livekit-server-signs-with-is-long"
ROOM = "my-room"


def sign(body: bytes, key: str = KEY, secret: str = SECRET, ttl_s: int = 300) -> str:
    """As LiveKit's notifier does: a token without a scheme."""
    digest = b64encode(hashlib.sha256(body).digest()).decode()
    return AccessToken(key, secret).with_sha256(digest).with_ttl(timedelta(seconds=ttl_s)).to_jwt()


class LivekitServer:
    """Makes messages; ``sid`` is the present opening of its room."""

    def __init__(self, name: str = ROOM, now_s: int = 0) -> None:
        self.name = name
        self.now_s = now_s
        self.openings = 1
        self.messages = 0

    @property
    def sid(self) -> str:
        return f"RM_{self.name}_{self.openings}"

    def reopen(self, later_s: int = 0) -> None:
        self.openings += 1
        self.now_s += later_s

    def message(self, event: str, **members: Any) -> bytes:
        self.messages += 1
        members = {"room": Room(sid=self.sid, name=self.name, creation_time=self.now_s), **members}
        said = WebhookEvent(event=event, id=f"EV_{self.name}_{self.messages}", created_at=self.now_s, **members)
        return MessageToJson(said, indent=None).encode()

    def joined(self, identity: str, sid: str | None = None, **how: Any) -> bytes:
        return self.message("participant_joined", participant=self.participant(identity, sid, **how))

    def left(self, identity: str, sid: str | None = None) -> bytes:
        return self.message("participant_left", participant=self.participant(identity, sid))

    def track(self, event: str, identity: str, track: str = "TR_1") -> bytes:
        """Of a participant, as LiveKit has it in messages about tracks, only its names stand there."""
        who = ParticipantInfo(sid=f"PA_{identity}", identity=identity)
        return self.message(
            event, participant=who, track=TrackInfo(sid=track, type=1, mime_type="video/vp8", height=720)
        )

    def participant(self, identity: str, sid: str | None = None, **how: Any) -> ParticipantInfo:
        permission = ParticipantPermission(
            can_subscribe=True,
            can_publish=True,
            hidden=how.pop("hidden", False),
            recorder=how.pop("recorder", False),
            agent=how.pop("agent", False),
        )
        return ParticipantInfo(
            sid=sid or f"PA_{identity}", identity=identity, state=2, joined_at=self.now_s, permission=permission, **how
        )
