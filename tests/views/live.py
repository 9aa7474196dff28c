"""A house of live viewers for tests: everything real but the catalog and the outside."""

from __future__ import annotations

import dataclasses

from foundation.clock import ManualClock
from views.counters.memory import MemoryCounterStore
from views.model import Privacy, Video
from views.ports import NullAnnouncer, OriginTraits, Tell
from views.telling import Telling
from views.viewers import Lifetimes, Viewers

NOW = 1_800_000_000_000


def video(number: int, origin: str = "here.example", *, privacy: Privacy = Privacy.PUBLIC) -> Video:
    uuid = f"00000000-0000-4000-8000-{number:012d}"
    return Video(
        number=number,
        uuid=uuid,
        url=f"https://{origin}/videos/watch/{uuid}",
        origin=origin,
        local=origin == "here.example",
        name="A video",
        duration_s=60,
        is_live=False,
        channel="main",
        privacy=privacy,
        published_ms=NOW,
        updated_ms=NOW,
    )


class RecordingAnnouncer(NullAnnouncer):
    """Remembers what it was asked to announce."""

    def __init__(self) -> None:
        self.traits = OriginTraits()
        self.tells: list[Tell] = []
        self.moved: list[int] = []

    def origin_traits(self, origin: str) -> OriginTraits:
        return self.traits

    def tell_origin(self, tell: Tell) -> None:
        self.tells.append(tell)

    def number_moved(self, video: Video) -> None:
        self.moved.append(video.number)


class Shelf:
    """A catalog of what was put on it."""

    def __init__(self, *videos: Video) -> None:
        self.videos = {video.number: video for video in videos}

    def peek_number(self, number: int) -> Video | None:
        return None

    async def by_number(self, number: int) -> Video | None:
        return self.videos.get(number)


@dataclasses.dataclass
class House:
    """``Viewers`` and everything around it."""

    clock: ManualClock = dataclasses.field(default_factory=lambda: ManualClock(NOW))
    store: MemoryCounterStore = dataclasses.field(default_factory=MemoryCounterStore)
    announcer: RecordingAnnouncer = dataclasses.field(default_factory=RecordingAnnouncer)
    quota: int = 1_000
    secret: bytes = b"a secret of the house"
    shelf: Shelf = dataclasses.field(default_factory=Shelf)

    def __post_init__(self) -> None:
        self.telling = Telling(self.secret)
        self.viewers = Viewers(
            self.store,
            self.announcer,
            self.shelf,
            self.telling,
            self.clock,
            quota_of=lambda host: self.quota,
            lifetimes=Lifetimes(),
        )

    def put(self, video: Video) -> Video:
        self.shelf.videos[video.number] = video
        return video

    async def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1_000)
            await self.viewers.sweep()
