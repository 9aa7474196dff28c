"""Objects inside activities, and the document of a Video: decoded JSON in, typed values or a refusal out.

Bounds and accepted shapes follow what PeerTube 6.3 to 8.x write, and what PeerTube's own validators take.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypeGuard

from federation.vocabulary.activities import (
    AnyObject,
    Attribution,
    OtherObject,
    Section,
    VideoObject,
    WatchActionObject,
)
from federation.vocabulary.contexts import PUBLIC
from federation.vocabulary.strict import read_json
from foundation.clock import parse_iso_ms
from foundation.errors import Refused
from foundation.urls import is_web_url

MAX_SECTIONS = 10_000
"""Watch sections of one WatchAction; more is refused, not cut."""

MAX_ATTRIBUTIONS = 16
MAX_NAME = 255
MAX_DESCRIPTION = 10_000
MAX_SECONDS = 10_000_000
"""Longest duration believed, a hundred days and more."""

MAX_VIEWS = 2**53 - 1

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_NUMBER = r"(\d{1,8}(?:[.,]\d{1,9})?)"
_DURATION = re.compile(
    rf"P(?=[\dT])(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?=\d)(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?",
    re.ASCII,
)
_PERIODS_S = (365 * 86_400, 30 * 86_400, 7 * 86_400, 86_400, 3_600, 60, 1)
"""Years and months have no length of their own; these are the usual ones."""

_PUBLIC_NAMES = frozenset({PUBLIC, "as:Public", "Public"})


def read_uuid(value: Any) -> str | None:
    """A UUID in lower case; None for anything else."""
    return value.lower() if isinstance(value, str) and _UUID.fullmatch(value) else None


def read_duration_s(value: Any) -> int | None:
    """Whole seconds of an ISO 8601 duration (``PT60S``, ``PT1H2M3.5S``, ``P1W``), the rest cut; None for others."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) and len(value) <= 80 else None
    if match is None:
        return None
    parts = zip(match.groups(), _PERIODS_S, strict=True)
    total = sum(Fraction(part.replace(",", ".")) * length for part, length in parts if part is not None)
    return int(total) if total <= MAX_SECONDS else None


def read_instant_ms(value: Any) -> int | None:
    """Unix milliseconds of an ISO 8601 instant with a zone, not before 1970; None for anything else."""
    if not isinstance(value, str):
        return None
    instant = parse_iso_ms(value)
    return instant if instant is not None and instant >= 0 else None


def is_count(value: Any, ceiling: int) -> bool:
    """A JSON integer from 0 to ``ceiling``: no boolean, no fraction, no text."""
    return type(value) is int and 0 <= value <= ceiling


def read_reference(value: Any) -> str | None:
    """The id of something given as a URL or as an object with an ``id``; None when there is none."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if is_web_url(found) else None


def _audience(value: Any) -> bool:
    named = value if isinstance(value, list) else [value]
    return any(isinstance(entry, str) and entry in _PUBLIC_NAMES for entry in named)


def _attributions(value: Any) -> tuple[Attribution, ...]:
    found = []
    for entry in (value if isinstance(value, list) else [value])[:MAX_ATTRIBUTIONS]:
        reference = read_reference(entry)
        if reference is not None:
            kind = entry.get("type") if isinstance(entry, dict) else None
            found.append(Attribution(reference, kind if isinstance(kind, str) else ""))
    return tuple(found)


def _page_url(value: Any) -> str | None:
    """The page for people: a plain URL, or the first Link of type ``text/html`` (PeerTube puts it first)."""
    for entry in (value if isinstance(value, list) else [value])[:64]:
        href = entry
        if isinstance(entry, dict):
            href = entry.get("href") if entry.get("mediaType") == "text/html" else None
        if is_web_url(href):
            return str(href)
    return None


def _text(value: Any, longest: int) -> str | None:
    return (value[:longest].strip() or None) if isinstance(value, str) else None


def read_video(value: Any) -> VideoObject | Refused:
    """A Video from its decoded document: ``bad_video`` with the member at fault, 400.

    Needed: type, id, name, attributedTo, and a duration (a live stream may do without). Everything else that is absent
    or unreadable falls back to the struct's defaults, except a ``views`` that is no count.
    """
    if not isinstance(value, dict) or value.get("type") != "Video":
        return Refused("bad_video", "not a Video")
    is_live = value.get("isLiveBroadcast") is True
    name = _text(value.get("name"), MAX_NAME)
    duration_s = read_duration_s(value.get("duration"))
    if duration_s is None and is_live and value.get("duration") is None:
        duration_s = 0
    views = value.get("views")
    attributed_to = _attributions(value.get("attributedTo"))
    if not is_web_url(value.get("id")):
        return Refused("bad_video", "id")
    if name is None:
        return Refused("bad_video", "name")
    if duration_s is None:
        return Refused("bad_video", "duration")
    if views is not None and not is_count(views, MAX_VIEWS):
        return Refused("bad_video", "views")
    if not attributed_to:
        return Refused("bad_video", "attributedTo")
    public = _audience(value.get("to"))
    return VideoObject(
        id=value["id"],
        name=name,
        duration_s=duration_s,
        attributed_to=attributed_to,
        # ``identifier`` is what PeerTube called it before 6.1.
        uuid=read_uuid(value.get("uuid")) or read_uuid(value.get("identifier")),
        is_live=is_live,
        views=views,
        published_ms=read_instant_ms(value.get("published")),
        updated_ms=read_instant_ms(value.get("updated")),
        public=public,
        unlisted=not public and _audience(value.get("cc")),
        page_url=_page_url(value.get("url")),
        description=_text(value.get("content"), MAX_DESCRIPTION),
    )


def read_video_document(body: bytes) -> VideoObject | Refused:
    """A fetched Video document: what ``read_video`` says, or why it is no acceptable JSON."""
    value = read_json(body)
    return value if isinstance(value, Refused) else read_video(value)


def _is_second(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_SECONDS


def _sections(value: Any) -> tuple[Section, ...] | None:
    if not isinstance(value, list) or len(value) > MAX_SECTIONS:
        return None
    sections = []
    for entry in value:
        if not isinstance(entry, dict):
            return None
        start, end = entry.get("startTimestamp"), entry.get("endTimestamp")
        if not _is_second(start) or not _is_second(end):
            return None
        sections.append(Section(float(start), float(end)))
    return tuple(sections)


def _place(location: Mapping[str, Any], name: str) -> str | None:
    return _text(location.get(name), 100)


def read_watch_action(value: Mapping[str, Any]) -> WatchActionObject | Refused:
    """A WatchAction from its decoded object: ``bad_watch_action`` with the member at fault, 400."""
    uuid = read_uuid(value.get("uuid"))
    video = read_reference(value.get("object"))
    duration_s = read_duration_s(value.get("duration"))
    start_ms, end_ms = read_instant_ms(value.get("startTime")), read_instant_ms(value.get("endTime"))
    sections = _sections(value.get("watchSections"))
    location = value.get("location")
    if not is_web_url(value.get("id")):
        return Refused("bad_watch_action", "id")
    if uuid is None:
        return Refused("bad_watch_action", "uuid")
    if video is None:
        return Refused("bad_watch_action", "object")
    if duration_s is None:
        return Refused("bad_watch_action", "duration")
    if start_ms is None or end_ms is None:
        return Refused("bad_watch_action", "startTime or endTime")
    if sections is None:
        return Refused("bad_watch_action", "watchSections")
    if location is not None and not isinstance(location, dict):
        return Refused("bad_watch_action", "location")
    return WatchActionObject(
        id=value["id"],
        uuid=uuid,
        video=video,
        duration_s=duration_s,
        start_ms=start_ms,
        end_ms=end_ms,
        completed=value.get("actionStatus") == "CompletedActionStatus",
        sections=sections,
        country=_place(location or {}, "addressCountry"),
        subdivision=_place(location or {}, "addressRegion"),
    )


def read_object(value: Any) -> AnyObject | Refused:
    """Whatever a Create or Update is about: inline, or the URL it can be fetched from."""
    if is_web_url(value):
        return value
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return Refused("bad_object", "neither a URL nor an object with a type")
    if value["type"] == "Video":
        return read_video(value)
    if value["type"] == "WatchAction":
        return read_watch_action(value)
    return OtherObject(read_reference(value) or "", value["type"][:100])
