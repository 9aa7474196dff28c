"""A WatchAction of another instance: what one of its viewers watched of a video of ours. Judged, then kept once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from federation.peers import Peers
from federation.vocabulary import WatchActionObject
from foundation.clock import Clock
from foundation.errors import Refused
from foundation.urls import authority
from inbox.quotas import HostLimiter
from inbox.reasons import InboxReason, drop
from inbox.sender import Sender
from views.catalog.catalog import Catalog
from views.geo.places import clean_country
from views.model import Video
from views.stats.model import Stay, Traits

KIND = "views"
"""Which of ``peers[].accept`` it is: like a counted view it says, for good, that somebody watched."""

MAX_SENT = 1_000
"""Sections looked at; PeerTube sends at most 100 (its MAX_LOCAL_VIEWER_WATCH_SECTIONS)."""

MAX_KEPT = 100
"""Sections of one stay once merged."""

MAX_AGE_MS = 90 * 86_400_000
"""The oldest stay taken; PeerTube tells of one within two hours, and we retry for a week."""

MAX_STAY_MS = 7 * 86_400_000
"""The longest stay at a recorded video, pauses and loops included."""

_COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
_MAX_SUBDIVISION = 100


class RemoteStays(Protocol):
    """The part of the statistics that is needed here."""

    async def save_remote(self, stay: Stay) -> bool:
        """Keep it, committed on return; False when one of this ``url`` is known. Raises StorageUnavailable."""


@dataclass(frozen=True, slots=True)
class Plausibility:
    """What is believed: instants up to ``clock_skew_ms`` ahead, playback up to ``playback_rate`` times as fast."""

    clock_skew_ms: int = 1_800_000
    playback_rate: float = 2.0


class WatchActionHandler:
    """Callable: applies one WatchAction of a proven sender. Every refusal is a drop: repeating mends nothing.

    ``limiter`` bounds the rows that one host can make us keep; None: no bound.
    """

    def __init__(
        self,
        *,
        peers: Peers,
        catalog: Catalog,
        stays: RemoteStays,
        clock: Clock,
        rules: Plausibility | None = None,
        limiter: HostLimiter | None = None,
    ) -> None:
        self._limiter = limiter
        self._peers = peers
        self._catalog = catalog
        self._stays = stays
        self._clock = clock
        self._rules = rules or Plausibility()

    async def __call__(self, action: WatchActionObject, sender: Sender) -> Refused | None:
        if authority(action.id) != sender.host:
            return drop(InboxReason.FOREIGN_ID, "the WatchAction's id is on another host")
        if not action.completed:
            return drop(InboxReason.NOT_COMPLETED, "the WatchAction is not completed")
        video = self._catalog.peek_url(action.video) or await self._catalog.by_url(action.video)
        if video is None or not video.federated:
            return drop(InboxReason.UNKNOWN_VIDEO, "no such video here")
        if not video.local:
            return drop(InboxReason.UNKNOWN_OBJECT, "the video is another instance's")
        if not self._peers.accepts(sender.host, KIND):
            return drop(InboxReason.NOT_ACCEPTED, KIND)
        offset_ms = self._peers.clock_offset_ms(sender.host)
        if self._limiter is not None and self._limiter.hit(sender.host) is not None:
            return drop(InboxReason.TOO_MANY_STAYS, "more WatchActions than are taken of one host, or of one site")
        stay = judge(action, video, sender.host, self._clock.now_ms(), offset_ms, self._rules)
        if isinstance(stay, Refused):
            return stay
        kept = await self._stays.save_remote(stay)
        return None if kept else drop(InboxReason.DUPLICATE, "this WatchAction was taken before")


def judge(
    action: WatchActionObject, video: Video, host: str, now_ms: int, offset_ms: int, rules: Plausibility
) -> Stay | Refused:
    """The stay that a WatchAction describes, in instants of our own clock, or why it is not believed.

    Watch time above the sum of the sections as sent is cut to it. Watch time above what wall time allows is flagged,
    and counts up to what was covered at all: PeerTube 6.3 itself sends that, for its players may say they watched any
    stretch at once. Of a live stream, where covering has no end, it counts up to what wall time allows. Pure.
    """
    start_ms, end_ms = action.start_ms + offset_ms, action.end_ms + offset_ms
    if end_ms < start_ms or end_ms > now_ms + rules.clock_skew_ms or start_ms < now_ms - MAX_AGE_MS:
        return drop(InboxReason.IMPLAUSIBLE_DATES, "it ends before it began, lies ahead of us, or is too old")
    if end_ms - start_ms > MAX_STAY_MS and not video.is_live:
        return drop(InboxReason.IMPLAUSIBLE_DATES, "nobody stays at a recorded video for more than a week")
    sections = _sections(action, video)
    if isinstance(sections, Refused):
        return sections
    place = _place(action)
    if isinstance(place, Refused):
        return place
    watch_time_s = min(action.duration_s, sum(end - start for start, end in sections))
    merged = merge(sections)
    if not merged or watch_time_s <= 0:
        return drop(InboxReason.NOTHING_WATCHED, "no second of it was watched")
    if len(merged) > MAX_KEPT:
        return drop(InboxReason.IMPLAUSIBLE_SECTIONS, f"more than {MAX_KEPT} sections")
    start_ms, end_ms = min(start_ms, now_ms), min(end_ms, now_ms)
    # Whole seconds are what players report: the last one may have just begun.
    believed_s = (end_ms - start_ms) / 1000 * rules.playback_rate + 1
    covered_s = 0 if video.is_live else sum(end - start for start, end in merged)
    return Stay(
        video=video.number,
        uuid=action.uuid,
        url=action.id,
        start_ms=start_ms,
        end_ms=end_ms,
        watch_time_s=min(watch_time_s, max(1, int(believed_s), covered_s)),
        sections=merged,
        traits=Traits(*place),
        source=host,
        flagged=watch_time_s > believed_s,
    )


def merge(sections: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sorted, disjoint, none empty: what was seen at all, however often."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(sections):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _sections(action: WatchActionObject, video: Video) -> list[tuple[int, int]] | Refused:
    """In whole seconds, as players report them."""
    if len(action.sections) > MAX_SENT:
        return drop(InboxReason.IMPLAUSIBLE_SECTIONS, f"more than {MAX_SENT} sections")
    sections = [(int(section.start_s), int(section.end_s)) for section in action.sections]
    for start, end in sections:
        if start > end or (end > video.duration_s and not video.is_live):
            return drop(InboxReason.IMPLAUSIBLE_SECTIONS, "a section ends before it begins or beyond the video's end")
    return sections


def _place(action: WatchActionObject) -> tuple[str | None, str | None] | Refused:
    country, subdivision = action.country, action.subdivision
    if country is None:
        return None, None
    if _COUNTRY.fullmatch(country) is None:
        return drop(InboxReason.BAD_LOCATION, "a country is two capital letters (ISO 3166-1)")
    if clean_country(country) is None:
        return None, None
    if subdivision is not None and (len(subdivision) > _MAX_SUBDIVISION or not subdivision.isprintable()):
        return drop(InboxReason.BAD_LOCATION, f"a subdivision is a name of at most {_MAX_SUBDIVISION} characters")
    return country, subdivision
