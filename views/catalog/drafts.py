"""What may be written into the catalog: rules for our own videos and bounds for what remote documents say. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlsplit

from foundation.errors import Refused
from foundation.plain_text import on_one_line, with_lines
from views.ids import canonical_uuid, is_uuid4
from views.model import RemoteVideo, VideoDraft

NAME_LENGTH = range(3, 121)
"""PeerTube 6.3 takes names of 3 to 120 characters from a Video document."""

MAX_DESCRIPTION = 10_000
"""PeerTube 6.3's limit for ``content``."""

MAX_URL = 2_000
"""PeerTube 6.3's limit for actor and object URLs."""

MAX_COUNT = 2**53 - 1
"""The largest integer every JSON reader keeps exactly (RFC 8259, 6); durations, instants and views stay below it."""

MAX_INSTANT_MS = 253_402_300_799_999
"""The last millisecond of the year 9999: what ISO 8601 can write."""

_CHANNEL = re.compile(r"[a-z0-9\-_.:]{1,50}", re.ASCII)
"""PeerTube 6.3: names of actors."""


def plain_draft(draft: VideoDraft) -> VideoDraft:
    """As it may be shown: hosts hand on what users wrote, and nobody is served by a film that is not counted."""
    return replace(draft, name=on_one_line(draft.name), description=_plain(draft.description))


def plain_remote(remote: RemoteVideo) -> RemoteVideo:
    """Likewise; one that has no name then goes by its UUID."""
    name = on_one_line(remote.name)
    return replace(remote, name=name if name.strip() else remote.uuid, description=_plain(remote.description))


def judge_draft(draft: VideoDraft) -> Refused | None:
    """Why a video of ours cannot be registered like that, if so."""
    if not is_uuid4(draft.uuid):
        return Refused("bad_uuid", "uuid must be a version 4 UUID in lower case")
    if len(draft.name) not in NAME_LENGTH or len(draft.name.strip()) not in NAME_LENGTH or not _storable(draft.name):
        return Refused("bad_name", "name must have 3 to 120 characters")
    if not 0 <= draft.duration_s <= MAX_COUNT:
        return Refused("bad_duration", "duration must be a number of seconds, 0 or more")
    if not _CHANNEL.fullmatch(draft.channel) or not draft.channel.strip(".-_:"):
        return Refused("bad_channel", "channel must have 1 to 50 of a-z, 0-9, '-', '_', '.', ':'")
    if draft.published_ms is not None and not 0 <= draft.published_ms <= MAX_INSTANT_MS:
        return Refused("bad_published", "publishedAt must lie between 1970 and 9999")
    if draft.page_url is not None and not _web_url(draft.page_url):
        return Refused("bad_url", f"url must be an http or https URL of at most {MAX_URL} characters")
    if draft.description is not None and not _fits(draft.description, MAX_DESCRIPTION):
        return Refused("bad_description", f"description must have at most {MAX_DESCRIPTION} characters")
    return None


def judge_remote(remote: RemoteVideo) -> Refused | None:
    """Why a remote video cannot be kept, if so: only what the tables could not hold, its meaning is judged before."""
    if canonical_uuid(remote.uuid) != remote.uuid:
        return Refused("bad_uuid", "uuid must be a UUID in lower case")
    numbers = (remote.duration_s, remote.views)
    instants = (remote.published_ms, remote.updated_ms)
    if not all(0 <= number <= MAX_COUNT for number in numbers):
        return Refused("bad_video", "a number of the video is out of range")
    if not all(0 <= instant <= MAX_INSTANT_MS for instant in instants):
        return Refused("bad_video", "a date of the video is out of range")
    texts = ((remote.url, MAX_URL), (remote.origin, 270), (remote.channel, 255), (remote.owner, MAX_URL))
    optional = ((remote.page_url, MAX_URL), (remote.description, MAX_DESCRIPTION))
    if not remote.url.startswith(("https://", "http://")):
        return Refused("bad_video", "the id of the video is no http or https URL")
    if (
        not _fits(remote.name, 500)
        or not _fits_index(remote.url)
        or not all(_fits(text, limit) for text, limit in texts)
    ):
        return Refused("bad_video", "a text of the video is too long or cannot be stored")
    if not all(text is None or _fits(text, limit) for text, limit in optional):
        return Refused("bad_video", "a text of the video is too long or cannot be stored")
    return None


def _plain(text: str | None) -> str | None:
    return None if text is None else with_lines(text)


def _fits(text: str, limit: int) -> bool:
    return len(text) <= limit and _storable(text)


def _fits_index(text: str) -> bool:
    """PostgreSQL indexes 2704 bytes at most."""
    return _fits(text, MAX_URL) and len(text.encode()) <= MAX_URL


def _storable(text: str) -> bool:
    """PostgreSQL keeps no NUL, and nobody can encode half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _web_url(url: str) -> bool:
    if not _fits(url, MAX_URL) or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
