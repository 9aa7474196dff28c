"""What a host application says about a video of ours, judged parameter by parameter. Pure.

``{"name", "duration", "isLive"?, "channel"?, "privacy"?, "publishedAt"?, "url"?, "description"?}``; a PUT says the
whole video, so an absent member has its default (a live stream's duration is 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foundation.clock import parse_iso_ms
from foundation.errors import Refused
from views.catalog.drafts import MAX_COUNT
from views.model import Privacy, VideoDraft

_MEMBERS = frozenset({"uuid", "name", "duration", "isLive", "channel", "privacy", "publishedAt", "url", "description"})
_PARAMETERS = {
    "bad_uuid": "uuid",
    "bad_name": "name",
    "bad_duration": "duration",
    "bad_channel": "channel",
    "bad_published": "publishedAt",
    "bad_url": "url",
    "bad_description": "description",
}


def read_draft(uuid: str, body: Mapping[str, Any]) -> VideoDraft | dict[str, str]:
    """The draft, or a message for every parameter of the wrong type (or unknown: most likely misspelt)."""
    bad = {name[:50]: "Is no parameter of a video" for name in body if name not in _MEMBERS}
    name, duration, is_live = body.get("name"), body.get("duration"), body.get("isLive", False)
    channel, published = body.get("channel", "main"), body.get("publishedAt")
    url, description = body.get("url"), body.get("description")
    privacy = _privacy(body.get("privacy", "public"))
    published_ms = parse_iso_ms(published) if isinstance(published, str) else None
    if not isinstance(name, str):
        bad["name"] = "Should be a text"
    if not isinstance(is_live, bool):
        bad["isLive"] = "Should be true or false"
    duration_s = 0 if duration is None and is_live is True else _seconds(duration)
    if duration_s is None:
        bad["duration"] = "Should be a whole number of seconds, 0 or more"
    if not isinstance(channel, str):
        bad["channel"] = "Should be a text"
    if privacy is None:
        bad["privacy"] = "Should be public, unlisted or private"
    if published is not None and published_ms is None:
        bad["publishedAt"] = "Should be an ISO 8601 instant with its zone"
    for member, value in (("url", url), ("description", description)):
        if value is not None and not isinstance(value, str):
            bad[member] = "Should be a text"
    said = body.get("uuid", uuid)
    if not isinstance(said, str) or said.lower() != uuid:
        bad["uuid"] = "Should be the one of the path, or absent"
    if bad or privacy is None or duration_s is None or not isinstance(name, str):
        return bad
    return VideoDraft(uuid, name, duration_s, is_live, channel, privacy, published_ms, url, description)


def parameter_of(refused: Refused) -> str | None:
    """Which parameter a refusal of the catalog is about, if it is about one."""
    return _PARAMETERS.get(refused.reason)


def _privacy(value: object) -> Privacy | None:
    try:
        return Privacy(value)
    except ValueError:
        return None


def _seconds(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_COUNT:
        return None
    return int(value) if value == int(value) else None
