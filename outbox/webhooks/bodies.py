"""What a webhook says. The shape is documented in docs/webhooks.md.

Members that LiveKit's own events have too (``event``, ``id``, ``createdAt``, ``numDropped``) have LiveKit's types, so
that its receivers parse ours.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from foundation.clock import iso_ms
from outbox.webhooks.hooks import TEST_EVENT
from views.model import Video


@dataclass(frozen=True, slots=True)
class Event:
    """One event as every receiver is told it. ``body`` is its JSON without the closing brace."""

    id: str
    event: str
    resource: str
    at_ms: int
    body: bytes


def make_event(event: str, resource: str, at_ms: int, members: dict[str, Any]) -> Event:
    """``members`` go behind those that every event has."""
    event_id = f"EV_{uuid.uuid4().hex}"
    said = {"event": event, "id": event_id, "createdAt": at_ms // 1000, "at": iso_ms(at_ms), **members}
    return Event(event_id, event, resource, at_ms, msgspec.json.encode(said)[:-1])


def test_event(now_ms: int) -> Event:
    """What an administrator sends to see whether a receiver is there and believes us."""
    return make_event(TEST_EVENT, TEST_EVENT, now_ms, {})


def with_dropped(body: bytes, dropped: int) -> bytes:
    """The whole body; ``dropped`` events were not told to this receiver since the last one that arrived."""
    return body + b',"numDropped":%d}' % min(dropped, 2**31 - 1)


def video_json(video: Video) -> dict[str, Any]:
    """The video a host application registered, in the words of its own REST."""
    return {
        "id": video.number,
        "uuid": video.uuid,
        "url": video.url,
        "name": video.name,
        "channel": video.channel,
        "isLive": video.is_live,
        "isLocal": video.local,
        "privacy": video.privacy.value,
    }
