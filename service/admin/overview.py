"""What an administrator wants to see first: who watches what now, what came in, and what is configured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from prometheus_client.parser import text_string_to_metric_families

from foundation.clock import Clock, iso_ms
from foundation.metrics import STARTED
from service.admin.today import healthy
from views.last_known import Known
from views.model import Video
from views.routes.video_json import video_json, viewers_json
from views.shown import Shown

TOP = 20
"""Videos that are listed as those with the most viewers."""

FOR_MS = 2_000
"""How long one answer stands, however many look at it."""

_BATCH = 500
_DAY_MS = 86_400_000
_ACCEPTED, _REFUSED = "fediviews_inbox_accepted_total", "fediviews_inbox_refused_total"


class Numbers(Protocol):
    async def shown_many(self, videos: Sequence[Video]) -> Sequence[Shown]: ...


class Lookup(Protocol):
    async def by_number(self, number: int) -> Video | None: ...


@dataclass(slots=True)
class _Sums:
    """``unverified`` viewers are in no other number."""

    scopes: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("localOnLocal", "remoteOnLocal", "localOnRemote", "remoteOnRemote"), 0)
    )
    peers: dict[str, int] = field(default_factory=dict)
    unverified: int = 0
    videos: int = 0
    top: list[tuple[Video, Shown]] = field(default_factory=list)

    def add(self, video: Video, shown: Shown) -> None:
        where = "Local" if video.local else "Remote"
        self.scopes[f"localOn{where}"] += shown.local
        self.scopes[f"remoteOn{where}"] += shown.remote
        self.unverified += shown.unverified
        for host, viewers in shown.peers.items():
            self.peers[host] = self.peers.get(host, 0) + viewers
        if shown.viewers or shown.unverified:
            self.videos += 1
            self.top.append((video, shown))

    def cut(self) -> None:
        self.top.sort(key=lambda one: (-one[1].viewers, -one[1].unverified, one[0].number))
        del self.top[TOP:]


@dataclass(slots=True)
class Overview:
    """``watched`` names videos with anybody; ``metrics`` is the page of metrics, of all workers. ``pages``: visits
    since an instant; ``lag``: of deliveries; ``peers``: as REST lists them."""

    clock: Clock
    account: str
    watched: Callable[[int], Awaitable[Sequence[int]]]
    videos: Lookup
    numbers: Numbers
    views_since: Callable[[int], Awaitable[int]]
    metrics: Callable[[], Awaitable[bytes]]
    pages: Callable[[int], Awaitable[dict[str, int]]]
    lag: Callable[[], Awaitable[dict[str, Any]]]
    peers: Callable[[], Awaitable[dict[str, Any]]]
    _now: dict[str, Any] = field(default_factory=dict)
    _now_until_ms: int = -1

    async def now(self) -> dict[str, Any]:
        """Private videos are in it too: this is for administrators. Raises StorageUnavailable."""
        if self.clock.monotonic_ms() >= self._now_until_ms:
            self._now = await self._read()
            self._now_until_ms = self.clock.monotonic_ms() + FOR_MS
        return self._now

    async def inbox(self) -> dict[str, Any]:
        """Verdicts by reason, the most frequent first, of the processes that run: each counts since its own start, and
        what one counted goes with it."""
        accepted, refused, starts = 0, dict[str, int](), list[int]()
        page = (await self.metrics()).decode()
        wanted = "\n".join(line for line in page.splitlines() if line.startswith((_ACCEPTED, _REFUSED, STARTED)))
        for family in text_string_to_metric_families(wanted + "\n"):
            for sample in family.samples:
                if sample.name == _ACCEPTED:
                    accepted += int(sample.value)
                elif sample.name == STARTED:
                    starts.append(round(sample.value * 1000))
                elif sample.name == _REFUSED:
                    reason = sample.labels["reason"]
                    refused[reason] = refused.get(reason, 0) + int(sample.value)
        ordered = dict(sorted(refused.items(), key=lambda one: (-one[1], one[0])))
        since = [iso_ms(at_ms) for at_ms in sorted(starts)]
        return {"accepted": accepted, "refused": ordered, "since": since, "asOf": iso_ms(self.clock.now_ms())}

    async def _read(self) -> dict[str, Any]:
        now_ms, sums = self.clock.now_ms(), _Sums()
        numbers = await self.watched(now_ms)
        for start in range(0, len(numbers), _BATCH):
            batch = numbers[start : start + _BATCH]
            videos = [video for number in batch if (video := await self.videos.by_number(number)) is not None]
            for video, shown in zip(videos, await self.numbers.shown_many(videos), strict=True):
                sums.add(video, shown)
            sums.cut()
            await self.clock.sleep_ms(0)
        day_ms = now_ms - now_ms % _DAY_MS
        visits = await self.pages(day_ms)
        peers = sorted(sums.peers.items(), key=lambda one: (-one[1], one[0]))
        return {
            "viewers": sums.scopes | {"unverified": sums.unverified},
            "videosWatched": sums.videos,
            "peers": [{"host": host, "viewers": viewers} for host, viewers in peers if viewers],
            "pageVisitors": visits["visitorsNow"],
            "today": {
                "since": iso_ms(day_ms),
                "views": await self.views_since(day_ms),
                "pageViews": visits["pageViews"],
                "uniqueVisitors": visits["uniqueVisitors"],
            },
            "peersHealth": healthy((await self.peers())["data"]),
            "delivery": await self.lag(),
            "top": [
                video_json(video, Known(shown, now_ms), self.account) | viewers_json(shown, now_ms, breakdown=True)
                for video, shown in sums.top
            ],
            "asOf": iso_ms(now_ms),
        }
