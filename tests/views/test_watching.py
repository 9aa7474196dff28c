from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from foundation.clock import ManualClock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.counters.progress import ProgressStore
from views.model import Privacy, Video
from views.sections import begin, decode, encode
from views.stats.model import Traits
from views.stats.traits import unpack
from views.watching import Outcome, SeenViewer, Watching, WatchingRules

A, B = b"a" * 16, b"b" * 16
VIDEO = Video(
    number=1,
    uuid="9c9de5e8-0a1e-484a-b099-e80766180a6d",
    url="https://here.example/videos/watch/9c9de5e8-0a1e-484a-b099-e80766180a6d",
    origin="here.example",
    local=True,
    name="A video",
    duration_s=600,
    is_live=False,
    channel="main",
    privacy=Privacy.PUBLIC,
    published_ms=0,
    updated_ms=0,
)


@dataclass(frozen=True)
class Seen:
    viewer: bytes
    is_new: bool = False


@dataclass
class FakeViewers:
    here: set[bytes] = field(default_factory=set)

    async def watching(
        self, video: Video, viewer: bytes, alternate: bytes | None = None, now_ms: int | None = None
    ) -> SeenViewer:
        if alternate is not None and alternate in self.here:
            viewer = alternate
        is_new = viewer not in self.here
        self.here.add(viewer)
        return Seen(viewer, is_new)

    async def left(self, video: Video, viewer: bytes, alternate: bytes | None = None) -> bool:
        before = len(self.here)
        self.here -= {viewer, alternate}
        return len(self.here) < before


@dataclass
class FakeViews:
    """Says True once per viewer, after ``gate`` when there is one."""

    counted: list[bytes] = field(default_factory=list)
    asked: int = 0
    gate: asyncio.Event | None = None
    gone: bool = False

    async def count_local(self, video: Video, viewer: bytes) -> bool:
        self.asked += 1
        if self.gone:
            raise StorageUnavailable("gone")
        first = viewer not in self.counted
        if first:
            self.counted.append(viewer)
        if self.gate is not None:
            await self.gate.wait()
        return first


@pytest.fixture
def viewers() -> FakeViewers:
    return FakeViewers()


@pytest.fixture
def views() -> FakeViews:
    return FakeViews()


@pytest.fixture
def progress() -> ProgressStore:
    return ProgressStore()


@pytest.fixture
def watching(
    viewers: FakeViewers, views: FakeViews, progress: ProgressStore, clock: ManualClock, metrics: Metrics
) -> Watching:
    return Watching(viewers, views, progress, clock, metrics, WatchingRules())


async def test_a_plain_heartbeat_asks_for_no_view(watching: Watching, views: FakeViews, clock: ManualClock) -> None:
    for position in (0, 5):
        assert await watching.watched(VIDEO, A, None, position) is Outcome.WATCH_TIME
        clock.advance(5_000)
    assert views.asked == 0
    assert await watching.watched(VIDEO, A, None, 10) is Outcome.COUNTED
    for position in range(15, 600, 5):
        clock.advance(5_000)
        assert await watching.watched(VIDEO, A, None, position) is Outcome.ALREADY_COUNTED
    assert views.asked == 1


async def test_a_view_that_another_one_counted_is_not_asked_for_on_every_report(
    watching: Watching, views: FakeViews, clock: ManualClock
) -> None:
    views.counted.append(A)
    for position in range(0, 120, 5):
        await watching.watched(VIDEO, A, None, position)
        clock.advance(5_000)
    assert 1 <= views.asked <= 3


async def test_a_view_that_could_not_be_counted_is_asked_for_again(
    watching: Watching, views: FakeViews, clock: ManualClock
) -> None:
    await watching.watched(VIDEO, A, None, 0)
    clock.advance(10_000)
    views.gone = True
    with pytest.raises(StorageUnavailable):
        await watching.watched(VIDEO, A, None, 10)
    views.gone = False
    assert await watching.watched(VIDEO, A, None, 10) is Outcome.COUNTED


async def test_a_parallel_report_loses_no_progress(
    watching: Watching, views: FakeViews, progress: ProgressStore, clock: ManualClock
) -> None:
    await watching.watched(VIDEO, A, None, 0)
    clock.advance(10_000)
    views.gate = asyncio.Event()
    first = asyncio.ensure_future(watching.watched(VIDEO, A, None, 10))
    second = asyncio.ensure_future(watching.watched(VIDEO, A, None, 15))
    for _ in range(20):
        await asyncio.sleep(0)
    assert views.asked == 2
    views.gate.set()
    assert await asyncio.gather(first, second) == [Outcome.COUNTED, Outcome.ALREADY_COUNTED]
    blob = progress.get(1, A)
    assert blob is not None
    kept = decode(blob)
    assert kept is not None
    assert kept.watch_time_s == 15


async def test_progress_follows_the_key_the_viewer_is_known_by(
    watching: Watching, viewers: FakeViewers, progress: ProgressStore, clock: ManualClock
) -> None:
    await watching.watched(VIDEO, A, None, 0)
    clock.advance(10_000)
    assert await watching.watched(VIDEO, B, A, 10) is Outcome.COUNTED
    assert progress.get(1, B) is None
    await watching.watched(VIDEO, B, A, 12, leave=True)
    assert progress.get(1, B) is None
    assert viewers.here == set()


async def test_leaving_may_still_be_a_view(watching: Watching, viewers: FakeViewers, clock: ManualClock) -> None:
    await watching.watched(VIDEO, A, None, 0)
    clock.advance(10_000)
    assert await watching.watched(VIDEO, A, None, 10, leave=True) is Outcome.COUNTED
    assert viewers.here == set()


async def test_a_seek_is_no_watch_time(watching: Watching, clock: ManualClock) -> None:
    await watching.watched(VIDEO, A, None, 0)
    clock.advance(60_000)
    assert await watching.watched(VIDEO, A, None, 60, seek=True) is Outcome.WATCH_TIME


async def test_unreadable_progress_starts_anew(watching: Watching, progress: ProgressStore, clock: ManualClock) -> None:
    progress.put(1, A, b"from another version", clock.now_ms() + 1)
    assert await watching.watched(VIDEO, A, None, 5) is Outcome.WATCH_TIME
    blob = progress.get(1, A)
    assert blob is not None
    assert decode(blob) is not None


@dataclass
class FakeCloser:
    closed: list[tuple[int, bytes]] = field(default_factory=list)

    def close(self, video: int, viewer: bytes) -> None:
        self.closed.append((video, viewer))


@dataclass(frozen=True)
class FakePlayer:
    client: str | None = None
    operating_system: str | None = None
    device: str | None = None


class TestStays:
    @pytest.fixture
    def closer(self) -> FakeCloser:
        return FakeCloser()

    @pytest.fixture
    def asked(self) -> list[str]:
        return []

    @pytest.fixture
    def watching(
        self,
        viewers: FakeViewers,
        views: FakeViews,
        progress: ProgressStore,
        clock: ManualClock,
        metrics: Metrics,
        closer: FakeCloser,
        asked: list[str],
    ) -> Watching:
        def locate(ip: str) -> tuple[str | None, str | None]:
            asked.append(ip)
            return "FR", "Paris"

        return Watching(viewers, views, progress, clock, metrics, locate=locate, closer=closer)

    async def test_who_the_viewer_is_like_is_looked_up_once(
        self, watching: Watching, progress: ProgressStore, asked: list[str], clock: ManualClock
    ) -> None:
        await watching.watched(VIDEO, A, None, 0, ip="192.0.2.1", player=FakePlayer("Fire\0fox", " ", "mobile"))
        clock.advance(5_000)
        await watching.watched(VIDEO, A, None, 5, ip="192.0.2.9", player=FakePlayer("Other"))
        assert asked == ["192.0.2.1"]
        blob = progress.get(1, A)
        kept = decode(blob or b"")
        assert kept is not None
        assert unpack(kept.traits) == Traits("FR", "Paris", "Firefox", "mobile", None)
        assert kept.watch_time_s == 5
        assert b"192.0.2" not in (blob or b"")

    async def test_leaving_and_ending_close_the_stay_and_being_at_the_end_does_not(
        self, watching: Watching, closer: FakeCloser, viewers: FakeViewers, clock: ManualClock
    ) -> None:
        await watching.watched(VIDEO, A, None, 590)
        clock.advance(10_000)
        await watching.watched(VIDEO, A, None, 600)
        assert closer.closed == []
        await watching.watched(VIDEO, A, None, 600, ended=True)
        assert (closer.closed, viewers.here) == ([(1, A)], {A})
        await watching.watched(VIDEO, B, A, 600, leave=True)
        assert (closer.closed, viewers.here) == ([(1, A), (1, A)], set())

    async def test_a_view_that_cannot_be_counted_keeps_no_stay_open(
        self, watching: Watching, closer: FakeCloser, views: FakeViews, clock: ManualClock
    ) -> None:
        await watching.watched(VIDEO, A, None, 0)
        clock.advance(20_000)
        views.gone = True
        with pytest.raises(StorageUnavailable):
            await watching.watched(VIDEO, A, None, 20, leave=True)
        assert closer.closed == [(1, A)]


async def test_a_deleted_video_takes_its_progress_along(watching: Watching, progress: ProgressStore) -> None:
    await watching.watched(VIDEO, A, None, 0)
    await watching.forget_video(1)
    assert progress.get(1, A) is None


def test_what_is_kept_of_a_viewer_is_small() -> None:
    assert len(encode(begin(0, 1_800_000_000_000, WatchingRules().sections))) == 49
