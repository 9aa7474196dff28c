"""Whose statistics a request is about: a video, a channel or all of ours, and whether the caller may ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from foundation.errors import Refused
from foundation.principal import Principal, Role
from views.channel_totals import Channels, Seen
from views.ids import parse_video_ref
from views.model import Privacy
from views.routes.access import BAD_ID, NOT_FOUND, Access
from views.stats.model import Scope

REMOTE = Refused("remote_video", "Cannot manage a video of another server.", 403)
"""PeerTube's sentence."""

NOT_YOURS = Refused("channel_not_yours", "This token does not reach this channel", 403)
NOT_EVERYTHING = Refused("channel_not_yours", "This token reaches some channels only", 403)
NO_CHANNEL = Refused("channel_not_found", "Channel not found", 404)

MAX_CHANNEL_CHARS = 300
EVERYTHING = Scope(None)


@dataclass(frozen=True, slots=True)
class Subject:
    """``since_ms``: when it began, None for a subject without any video. ``retention_of``: the length of the one video,
    in seconds; None where retention means nothing. ``name`` goes into file names."""

    name: str
    scope: Scope
    since_ms: int | None
    retention_of: int | None = None


class Finder(Protocol):
    """One kind of subject."""

    def judge_path(self, request: web.Request) -> Mapping[str, str]:
        """What is wrong with the path's parameters."""

    async def find(self, request: web.Request, principal: Principal) -> Subject | Refused:
        """404 before 403. Whoever may not know of something private is told that there is none."""


def reaches_everything(principal: Principal) -> bool:
    """Host and admin tokens, and ``stats`` tokens without a list of channels."""
    return principal.may(Role.HOST) or not principal.channels


def reaches(principal: Principal, channel: str) -> bool:
    return reaches_everything(principal) or channel in principal.channels


def seen_by(principal: Principal | None) -> Seen:
    """What sums over channels contain for this caller."""
    if principal is None:
        return Seen()
    return Seen(None if reaches_everything(principal) else principal.channels)


class VideoFinder:
    def __init__(self, access: Access) -> None:
        self._access = access

    def judge_path(self, request: web.Request) -> Mapping[str, str]:
        return {} if parse_video_ref(request.match_info["id"]) is not None else {"id": BAD_ID.detail}

    async def find(self, request: web.Request, principal: Principal) -> Subject | Refused:
        video = await self._access.find(request.match_info["id"])
        if video is None or isinstance(video, Refused):
            return video or NOT_FOUND
        allowed = video.local and reaches(principal, video.channel)
        if not allowed and video.privacy is Privacy.PRIVATE:
            return NOT_FOUND
        if not allowed:
            return NOT_YOURS if video.local else REMOTE
        duration_s = None if video.is_live else video.duration_s
        return Subject("video", Scope((video.number,)), video.published_ms, duration_s)


class ChannelFinder:
    """``{name}``, or ``{name}@our-host`` as PeerTube writes handles."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    def judge_path(self, request: web.Request) -> Mapping[str, str]:
        name = request.match_info["name"]
        plain = 1 <= len(name) <= MAX_CHANNEL_CHARS and name.isprintable()
        return {} if plain else {"name": "Should be the name of a channel"}

    async def find(self, request: web.Request, principal: Principal) -> Subject | Refused:
        name, _, host = request.match_info["name"].partition("@")
        allowed = reaches(principal, name)
        channel = await self._channels.find(name, Seen(None) if allowed else Seen())
        if channel is None or (host and host.lower() != channel.origin):
            return NO_CHANNEL
        if not allowed:
            return NOT_YOURS
        return Subject(name, Scope(await self._channels.numbers(name)), channel.created_ms)


class InstanceFinder:
    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    def judge_path(self, request: web.Request) -> Mapping[str, str]:
        return {}

    async def find(self, request: web.Request, principal: Principal) -> Subject | Refused:
        if not reaches_everything(principal):
            return NOT_EVERYTHING
        _, first = await self._channels.page(0, 1, "createdAt", Seen(None))
        return Subject("server", EVERYTHING, first[0].created_ms if first else None)
