"""How PeerTube behaves, as far as viewers go: written from what its versions were seen to do.

Every message is tried once. Totals leave with a sweep every two minutes and end with the next one. Views about its own
videos are forwarded to all its followers, signed by itself.
"""

from __future__ import annotations

import asyncio
import enum
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from federation.vocabulary.build import Document, encode, view_id
from foundation.clock import Clock, iso_ms, parse_iso_ms
from service.sim.network import Letter, Network
from views.model import Video

LIFE_MS = 120_000
SWEEP_MS = 120_000
TELL_AGAIN_MS = 90_000


class Version(enum.Enum):
    """As NodeInfo says it. 6.1 runs protocol v1 here, the others v2."""

    V6_1 = "6.1.0"
    V6_3 = "6.3.0"
    V7_1 = "7.1.0"
    V8_2 = "8.2.1"

    @property
    def says_totals(self) -> bool:
        return self is not Version.V6_1

    @property
    def appends(self) -> bool:
        """A viewer told again is a second one until the first telling ends."""
        return self in (Version.V6_1, Version.V6_3)

    @property
    def reads_forwarded_viewers(self) -> bool:
        """A forwarded View has lost its ``expires`` to ``expiration``, which 8.x no longer reads."""
        return self is not Version.V8_2


@dataclass(slots=True)
class _Entry:
    id: str
    expires_ms: int
    count: int
    told_ms: int = -TELL_AGAIN_MS - 1


@dataclass(slots=True)
class _Watched:
    """``known`` keeps what a total replaced: such a viewer is never added again, as long as the process lives."""

    video: Video
    entries: list[_Entry] = field(default_factory=list)
    known: dict[str, _Entry] = field(default_factory=dict)

    def add(self, entry: _Entry) -> None:
        self.entries.append(entry)
        self.known[entry.id] = entry

    def replace(self, entry: _Entry) -> None:
        self.entries.clear()
        self.add(entry)

    def sweep(self, now_ms: int) -> int:
        """How many are left."""
        for entry in self.entries:
            if entry.expires_ms <= now_ms and self.known.get(entry.id) is entry:
                del self.known[entry.id]
        self.entries = [entry for entry in self.entries if entry.expires_ms > now_ms]
        return sum(entry.count for entry in self.entries)


class PeerTube:
    """One instance; ``followers`` are hosts that follow it."""

    def __init__(
        self,
        host: str,
        version: Version,
        *,
        videos: Sequence[Video],
        network: Network,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self.host = host
        self.version = version
        self.clock = clock
        self.followers: Sequence[str] = ()
        self.actor = f"https://{host}/accounts/peertube"
        self.told: dict[str, int] = {}
        """The last total heard of each remote video."""
        self._network = network
        self._first_sweep_ms = chance.randint(1, SWEEP_MS)
        self._watched = {video.url: _Watched(video) for video in videos}
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def software(self) -> Document:
        return {"version": "2.0", "software": {"name": "peertube", "version": self.version.value}}

    # Viewers

    async def watch(self, video: Video, viewer: str) -> None:
        """The player reports."""
        now_ms, watched = self.clock.now_ms(), self._watched[video.url]
        id_ = f"{viewer}-{video.uuid}"
        entry = watched.known.get(id_)
        if entry is None:
            entry = _Entry(id_, 0, 1)
            watched.add(entry)
        entry.expires_ms = now_ms + LIFE_MS
        ours = video.origin == self.host
        if (ours and self.version.says_totals) or entry.told_ms > now_ms - TELL_AGAIN_MS:
            return
        entry.told_ms = now_ms
        count = 1 if self.version.says_totals else None
        body = encode(self._view(video, id_, entry.expires_ms, count))
        self._send(self.followers if ours else [video.origin], body)

    async def leave(self, video: Video, viewer: str) -> None:
        """It has no word for that: the viewer stays until the end of its life."""

    async def shown(self, video: Video) -> int:
        return sum(entry.count for entry in self._watched[video.url].entries)

    # Inbox

    async def receive(self, letter: Letter) -> int:
        document = msgspec.json.decode(letter.body)
        items = document["items"] if document["type"] == "Collection" else [document]
        for item in items:
            watched = self._watched.get(item["object"]) if item["type"] == "View" else None
            if watched is not None and "expires" in item:
                self._hear(watched, item, forwarded=item["actor"] != letter.actor)
                if watched.video.origin == self.host:
                    asked_by = (letter.sender, _host(item["actor"]))
                    self._send([one for one in self.followers if one not in asked_by], encode(item))
        return 204

    def _hear(self, watched: _Watched, view: Document, *, forwarded: bool) -> None:
        expires_ms = parse_iso_ms(view["expires"]) or 0
        if forwarded and not self.version.reads_forwarded_viewers:
            return
        if watched.video.origin == self.host:
            known = None if self.version.appends else watched.known.get(view["id"])
            if known is not None:
                known.expires_ms = expires_ms
            else:
                watched.add(_Entry(view["id"], expires_ms, 1))
        elif "result" in view:
            count = view["result"]["userInteractionCount"]
            watched.replace(_Entry(view["id"], expires_ms, count))
            if not forwarded:
                self.told[watched.video.url] = count
        else:
            watched.add(_Entry(view["id"], expires_ms, 1))

    # Time

    async def run(self) -> None:
        """Sweep for ever."""
        await self.clock.sleep_ms(self._first_sweep_ms)
        while True:
            self._sweep()
            await self.clock.sleep_ms(SWEEP_MS)

    def _sweep(self) -> None:
        now_ms = self.clock.now_ms()
        for watched in self._watched.values():
            video, total = watched.video, watched.sweep(now_ms)
            if total and video.origin == self.host and self.version.says_totals:
                self._send(self.followers, encode(self._view(video, video.uuid, now_ms + LIFE_MS, total)))

    def _view(self, video: Video, name: str, expires_ms: int, count: int | None) -> Document:
        view: Document = {
            "to": [f"{self.actor}/followers"],
            "cc": [],
            "id": view_id(self.actor, video.number, name),
            "type": "View",
            "actor": self.actor,
            "object": video.url,
            "expires": iso_ms(expires_ms),
        }
        if count is not None:
            counter = {"interactionType": "WatchAction", "type": "InteractionCounter", "userInteractionCount": count}
            view["result"] = counter
        return view

    def _send(self, hosts: Sequence[str], body: bytes) -> None:
        """Once, to each, all at the same time."""
        letter = Letter(self.host, self.actor, self.clock.now_ms() // 1_000 * 1_000, body)
        for host in hosts:
            task = asyncio.create_task(self._network.post(host, letter), name="peertube post")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _host(url: str) -> str:
    return url.split("/")[2]
