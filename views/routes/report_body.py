"""The body of one report of a player, judged field by field as PeerTube does. Pure.

| field | rule |
|---|---|
| ``currentTime`` | required; an integer, or a string that begins with one (PeerTube: ``toInt``); 0 or more |
| ``viewEvent`` | ``seek``; ours are ``leave`` (the viewer is gone now) and ``ended`` (it played to the end) |
| ``sessionId`` | 1..200 ASCII letters, digits and ``-`` (PeerTube 7.2; before, it took anything) |
| ``client``, ``operatingSystem`` | 1..200 characters (PeerTube 7.2) |
| ``device`` | never refused: an unknown one counts as none (PeerTube 7.2) |
| ``viewerToken`` | ours: the token a host application made for this video |

``leave`` and ``ended`` close the viewer's stay, which is saved at once. An optional field that is ``null`` counts as
absent; unknown fields are ignored.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from views.sections import MAX_POSITION_S
from views.sessions import MAX_TOKEN_CHARS, is_session_id

MAX_BODY = 8_192
"""Bytes of one report: several times what the largest valid one takes."""

DEVICES = frozenset({"console", "embedded", "mobile", "smarttv", "tablet", "wearable", "xr", "desktop"})
"""PeerTube 7.2's vocabulary (ua-parser-js)."""

EVENTS = ("seek", "leave", "ended")

_MAX_AGENT_CHARS = 200
_LEADING_INTEGER = re.compile(r"\s{0,16}([+-]?[0-9]{1,16})", re.ASCII)


class _Body(msgspec.Struct, rename="camel", gc=False):
    current_time: Any = None
    view_event: Any = None
    session_id: Any = None
    client: Any = None
    operating_system: Any = None
    device: Any = None
    viewer_token: Any = None


class Report(msgspec.Struct, frozen=True, gc=False):
    """One valid report. ``position_s`` still has to be held against the video's duration."""

    position_s: int
    seek: bool = False
    leave: bool = False
    ended: bool = False
    session_id: str | None = None
    client: str | None = None
    operating_system: str | None = None
    device: str | None = None
    viewer_token: str | None = None


class BadBody(msgspec.Struct, frozen=True):
    """What is wrong: a message for every parameter at fault; ``currentTime`` when it is no JSON object at all,
    which PeerTube takes for one without it."""

    params: dict[str, str]


_decode = msgspec.json.Decoder(_Body).decode


def parse_report(raw: bytes) -> Report | BadBody:
    """The report in a request's body."""
    try:
        body = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return BadBody({"currentTime": "The body is not a JSON object"})
    position_s = _position(body.current_time)
    event = body.view_event
    if position_s is not None and event is None and _is_plain(body):
        return Report(position_s, session_id=body.session_id)
    bad: dict[str, str] = {}
    if position_s is None:
        bad["currentTime"] = "Should be an integer of seconds, 0 or more"
    if event is not None and event not in EVENTS:
        bad["viewEvent"] = "Should be seek (or leave, or ended)"
    session_id = body.session_id
    if session_id is not None and not (isinstance(session_id, str) and is_session_id(session_id)):
        bad["sessionId"] = "Should have 1 to 200 ASCII letters, digits or hyphens"
    for name, value, limit in (
        ("client", body.client, _MAX_AGENT_CHARS),
        ("operatingSystem", body.operating_system, _MAX_AGENT_CHARS),
        ("viewerToken", body.viewer_token, MAX_TOKEN_CHARS),
    ):
        if value is not None and not (isinstance(value, str) and 1 <= len(value) <= limit):
            bad[name] = f"Should be a text of 1 to {limit} characters"
    if bad or position_s is None:
        return BadBody(bad)
    device = body.device if isinstance(body.device, str) and body.device in DEVICES else None
    return Report(
        position_s,
        event == "seek",
        event == "leave",
        event == "ended",
        session_id,
        body.client,
        body.operating_system,
        device,
        body.viewer_token,
    )


def _is_plain(body: _Body) -> bool:
    """What nearly every report of a player before 7.2 looks like: nothing but a position and a session."""
    session_id = body.session_id
    return (
        body.client is None
        and body.operating_system is None
        and body.device is None
        and body.viewer_token is None
        and (session_id is None or (type(session_id) is str and is_session_id(session_id)))
    )


def _position(value: Any) -> int | None:
    """Seconds; None where PeerTube's sanitizer leaves no integer."""
    if type(value) is int:
        return value if 0 <= value <= MAX_POSITION_S else None
    if isinstance(value, float) and value.is_integer() and 0 <= value <= MAX_POSITION_S:
        return int(value)
    if isinstance(value, str) and (match := _LEADING_INTEGER.match(value)) is not None:
        return _position(int(match[1]))
    return None
