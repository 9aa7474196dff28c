"""Events of a moment, put together before they are written: a thousand viewers who come at once are ten events.

Per resource the order is kept: an event is only merged into an earlier one across others that it does not depend on.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from foundation.clock import iso_ms
from outbox.webhooks.bodies import Event, make_event, video_json
from views.model import Video
from views.notices import (
    Notice,
    PeerDown,
    PeerUp,
    TotalReceived,
    VideoFinished,
    VideoStarted,
    ViewCounted,
    ViewerAborted,
    ViewerJoined,
    ViewerLeft,
    ViewersPeak,
)

MAX_VIEWERS = 100
"""Viewers in one event."""
MAX_GATHERED = 50_000
"""Viewers and other events held until the next write, of all videos."""
_LOOK_BACK = 8
"""Earlier events of a resource that are looked at for one to merge with."""

_OfViewer = ViewerJoined | ViewerLeft | ViewerAborted


@dataclass(slots=True)
class _Draft:
    event: str
    resource: str
    at_ms: int
    video: Video | None = None
    members: dict[str, Any] = field(default_factory=dict)
    viewers: list[dict[str, Any]] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)

    def finish(self) -> Event:
        members: dict[str, Any] = {} if self.video is None else {"video": video_json(self.video)}
        if self.viewers:
            members |= {"viewers": self.viewers, "count": len(self.viewers)}
        return make_event(self.event, self.resource, self.at_ms, members | self.members)


class Gatherer:
    """Holds at most ``limit``; ``len()`` is what it holds."""

    def __init__(self, limit: int = MAX_GATHERED) -> None:
        self._limit = limit
        self._held = 0
        self._drafts: dict[str, list[_Draft]] = {}

    def __len__(self) -> int:
        return self._held

    def add(self, notice: Notice) -> bool:
        """False when there is no room: the event is lost."""
        if self._held >= self._limit:
            return False
        match notice:
            case ViewerJoined() | ViewerLeft() | ViewerAborted():
                self._viewer(notice)
            case ViewersPeak():
                self._newest(notice, notice.video, {"viewersCount": notice.viewers})
            case TotalReceived():
                self._newest(notice, notice.video, {"viewersCount": notice.viewers, "host": notice.host})
            case ViewCounted():
                self._counted(notice)
            case VideoStarted():
                self._put(notice, notice.video, {})
            case VideoFinished():
                since = {"startedAt": iso_ms(notice.started_ms)} if notice.started_ms else {}
                self._put(notice, notice.video, since)
            case PeerDown():
                self._put(notice, None, {"host": notice.host, "reason": notice.reason})
            case PeerUp():
                self._put(notice, None, {"host": notice.host})
        return True

    def take(self) -> list[Event]:
        """Everything held, per resource in order; nothing is held afterwards."""
        drafts, self._drafts, self._held = self._drafts, {}, 0
        return [draft.finish() for of_one in drafts.values() for draft in of_one]

    def _viewer(self, notice: _OfViewer) -> None:
        said: dict[str, Any] = {"id": notice.viewer, "session": notice.session, "at": iso_ms(notice.at_ms)}
        if not isinstance(notice, ViewerJoined) and notice.joined_ms:
            said |= {"joinedAt": iso_ms(notice.joined_ms), "duration": max(0, notice.at_ms - notice.joined_ms) / 1000}
        for draft in self._earlier(notice.resource):
            if draft.event == notice.event and len(draft.viewers) < MAX_VIEWERS:
                break
            if notice.session in draft.sessions:
                draft = self._put(notice, notice.video, {})
                break
        else:
            draft = self._put(notice, notice.video, {})
        if draft.viewers:
            self._held += 1
        draft.viewers.append(said)
        draft.sessions.add(notice.session)

    def _newest(self, notice: ViewersPeak | TotalReceived, video: Video, members: dict[str, Any]) -> None:
        for draft in self._earlier(notice.resource):
            if draft.event == notice.event:
                draft.members, draft.at_ms = members, notice.at_ms
                return
        self._put(notice, video, members)

    def _counted(self, notice: ViewCounted) -> None:
        host = notice.source or None
        for draft in self._earlier(notice.resource):
            if draft.event == notice.event and draft.members["host"] == host:
                draft.members["count"] += 1
                draft.members["views"] = max(notice.views, draft.members["views"])
                return
        self._put(notice, notice.video, {"count": 1, "views": notice.views, "host": host})

    def _earlier(self, resource: str) -> Iterator[_Draft]:
        """What the resource has waiting, the newest first, up to a beginning or an end of its video."""
        for draft in self._drafts.get(resource, [])[: -_LOOK_BACK - 1 : -1]:
            if draft.event in (VideoStarted.event, VideoFinished.event):
                return
            yield draft

    def _put(self, notice: Notice, video: Video | None, members: dict[str, Any]) -> _Draft:
        draft = _Draft(notice.event, notice.resource, notice.at_ms, video, members)
        self._drafts.setdefault(notice.resource, []).append(draft)
        self._held += 1
        return draft
