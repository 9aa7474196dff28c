"""One real service that listens, a peer that speaks to it, and a bystander whom nobody should ask for anything.

``from hostile.scene import Build, Scene``; the fixture ``build`` makes them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from hostile.peer import FakePeer
from support.wire import Answer, raw_request, send_raw

from foundation.clock import ManualClock
from foundation.errors import Refused
from service.app import Service
from service.commands.demo import free_port as free_port
from views.model import Privacy, RemoteVideo, Video, VideoDraft

UUID = "9c9de5e8-0a1e-484a-b099-e80766180a6d"
PRIVATE_UUID = "5b0e1c1a-3f53-4a2e-9a38-8a3f6c1d8d11"
REMOTE_UUID = "a44521d0-0fb8-4ade-8002-3385545c3318"
FOREIGN_UUID = "769a1aec-66f1-420f-a6ba-66e89a533026"
TOKEN = "an-administrators-token"
BODY_LIMIT = 200_000
BATCH = 5
VIEWERS, TOTAL, VIEWS = 2, 5, 12


@dataclass(frozen=True, slots=True)
class Numbers:
    """What no hostile message may move."""

    ours: int
    our_views: int
    theirs: int
    their_views: int
    followers: int
    following: int
    videos: int

    def moved(self, **by: int) -> Numbers:
        return dataclasses.replace(self, **{name: getattr(self, name) + step for name, step in by.items()})


class Scene:
    """``ours`` has two viewers of the bystander, ``theirs`` is the peer's video with a total of five."""

    def __init__(self, service: Service, clock: ManualClock, peer: FakePeer, bystander: FakePeer) -> None:
        self.service, self.clock, self.peer, self.bystander = service, clock, peer, bystander
        self.ours: Video
        self.private: Video
        self.theirs: Video

    @property
    def url(self) -> str:
        return self.service.url

    @property
    def inbox(self) -> str:
        return f"{self.url}/inbox"

    @property
    def actor(self) -> str:
        return f"{self.url}/accounts/peertube"

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def furnish(self) -> None:
        catalog, viewers = self.service.views.catalog, self.service.views.viewers
        self.ours = await self._put(VideoDraft(UUID, "Big Buck Bunny", 596))
        self.private = await self._put(VideoDraft(PRIVATE_UUID, "Secret", 60, privacy=Privacy.PRIVATE))
        url = self.peer.video_url(REMOTE_UUID)
        now_ms = self.clock.now_ms()
        then_ms = now_ms - 86_400_000
        owner = self.peer.account("root")
        remote = RemoteVideo(
            REMOTE_UUID,
            url,
            self.peer.host,
            "Sintel",
            888,
            False,
            "films",
            owner,
            Privacy.PUBLIC,
            then_ms,
            then_ms,
            VIEWS,
        )
        theirs = await catalog.put_remote(remote)
        assert isinstance(theirs, Video)
        self.theirs = theirs
        for number in range(VIEWERS):
            await viewers.remote_viewer(self.ours, self.bystander.host, bytes([number]) * 16, now_ms + 600_000)
        await viewers.remote_total(self.theirs, self.peer.host, TOTAL, now_ms + 600_000, now_ms - 10_000, now_ms, 0)

    async def _put(self, draft: VideoDraft) -> Video:
        verdict = await self.service.views.catalog.put_local(draft)
        assert not isinstance(verdict, Refused)
        return verdict[0]

    async def numbers(self) -> Numbers:
        views, peers = self.service.views, self.service.federation.peers
        ours, theirs = await views.viewers.shown_many([self.ours, self.theirs])
        counted = []
        for video in (self.ours, self.theirs):
            views.catalog.forget(video)
            found = await views.catalog.by_number(video.number)
            counted.append(-1 if found is None else found.views)
        page = await views.catalog.list_videos(include_private=True)
        assert not isinstance(page, Refused)
        return Numbers(
            ours.viewers,
            counted[0],
            theirs.viewers,
            counted[1],
            peers.follower_count(),
            len(peers.following()),
            page.total,
        )

    def view(self, name: str = "viewer", **how: Any) -> dict[str, Any]:
        """A viewer of the peer on our video."""
        return self.peer.view(self.ours.url, name, **how)

    def total(self, count: Any, **how: Any) -> dict[str, Any]:
        """A total of the peer for its video."""
        return self.peer.view(self.theirs.url, "total", count=count, **how)

    async def say(self, activity: object | None = None, *, to: str | None = None, **tampering: Any) -> Answer:
        """The peer says something to our inbox, tampered with as ``FakePeer.request`` does."""
        return await self.peer.post(to or self.inbox, self.view() if activity is None else activity, **tampering)

    async def raw(self, *pieces: bytes) -> Answer:
        return await send_raw("127.0.0.1", self.port, *pieces)

    async def rest(self, method: str, path: str, body: bytes = b"", *, headers: dict[str, str] | None = None) -> Answer:
        fields = {
            "Host": f"127.0.0.1:{self.port}",
            "Content-Length": str(len(body)),
            "Content-Type": "application/json",
        }
        return await self.raw(raw_request(method, path, (fields | (headers or {})).items(), body))

    @property
    def reasons(self) -> list[str]:
        """The quarantine, oldest first."""
        return [entry.reason for entry in reversed(self.service.entrance.quarantine.newest(10_000))]

    async def is_well(self) -> bool:
        return (await self.rest("GET", "/healthz")).status == 200


Build = Callable[..., Awaitable[Scene]]
"""``await build(listen={...}, **federation)``: a furnished scene with these settings."""
