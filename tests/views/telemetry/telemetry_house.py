"""Telemetry with everything around it real but the clock, and ears at both ends."""

from __future__ import annotations

from collections.abc import Sequence

from foundation.clock import ManualClock
from foundation.database import Database
from foundation.metrics import Metrics
from views.counters.memory import MemoryCounterStore
from views.counters.progress import ProgressStore
from views.model import Privacy, Video
from views.notices import Notice
from views.ports import NullAnnouncer
from views.telemetry.events import Event, StatRecord
from views.telemetry.feed import ViewerFeed
from views.telemetry.names import SessionNames
from views.telemetry.null import NullTelemetry
from views.telemetry.queue import OpsQueue
from views.telemetry.room_rows import RoomRows
from views.telemetry.rooms import Rooms
from views.telemetry.subjects import NodeRooms, Participant, Room
from views.telemetry.telemetry import Telemetry
from views.telling import Telling
from views.viewers import Lifetimes, Viewers
from views.watching import Watching

SECRET = b"a secret of the house"


def video(number: int = 1, *, is_live: bool = False) -> Video:
    uuid = f"00000000-0000-4000-8000-{number:012}"
    return Video(
        number=number,
        uuid=uuid,
        url=f"https://here.example/videos/watch/{uuid}",
        origin="here.example",
        local=True,
        name="A video",
        duration_s=0 if is_live else 600,
        is_live=is_live,
        channel="main",
        privacy=Privacy.PUBLIC,
        published_ms=0,
        updated_ms=0,
    )


class RecordingNotifier:
    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def notify(self, notice: Notice) -> None:
        self.notices.append(notice)

    def take(self) -> list[str]:
        notices, self.notices = self.notices, []
        return [notice.event for notice in notices]


class RecordingAnalytics(NullTelemetry):
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.batches: list[Sequence[StatRecord]] = []
        self.states: list[NodeRooms] = []

    def send_event(self, event: Event) -> None:
        self.events.append(event)

    def send_stats(self, stats: Sequence[StatRecord]) -> None:
        self.batches.append(stats)

    def send_node_room_states(self, states: NodeRooms) -> None:
        self.states.append(states)

    def take(self) -> list[str]:
        events, self.events = self.events, []
        return [event.kind.value for event in events]


class Desk:
    """One ``Telemetry`` and nothing else; ``run`` does what waits."""

    def __init__(self, clock: ManualClock, *, max_workers: int = 1_000) -> None:
        self.clock = clock
        self.metrics = Metrics()
        self.notifier = RecordingNotifier()
        self.analytics = RecordingAnalytics()
        self.queue = OpsQueue(clock, self.metrics)
        self.telemetry = Telemetry(
            self.queue, self.analytics, self.notifier, clock, self.metrics, node="ND_1", max_workers=max_workers
        )
        self.names = SessionNames(SECRET)
        self.room = Room(video())

    def who(self, name: str, *, active: bool = False) -> Participant:
        return self.names.participant(1, name.encode().ljust(16), self.clock.now_ms(), active=active)

    def run(self) -> None:
        while self.queue.run(1_000):
            pass

    def said(self) -> tuple[list[str], list[str]]:
        """Events and notices since the last time."""
        self.run()
        return self.analytics.take(), self.notifier.take()


class Shelf:
    def __init__(self) -> None:
        self.videos: dict[int, Video] = {}

    def peek_number(self, number: int) -> Video | None:
        return None

    async def by_number(self, number: int) -> Video | None:
        return self.videos.get(number)


class NoViews:
    async def count_local(self, video: Video, viewer: bytes) -> bool:
        return False


class Process(Desk):
    """One process of an instance. Those that share ``store``, ``progress`` and ``database`` are one instance."""

    def __init__(
        self,
        clock: ManualClock,
        database: Database,
        store: MemoryCounterStore | None = None,
        progress: ProgressStore | None = None,
        *,
        sole: bool = True,
        max_workers: int = 1_000,
    ) -> None:
        super().__init__(clock, max_workers=max_workers)
        self.store = MemoryCounterStore(keep_departed=True) if store is None else store
        self.progress = ProgressStore() if progress is None else progress
        self.shelf = Shelf()
        rows = RoomRows(database)
        self.rooms = Rooms(self.telemetry, lambda: self.viewers, self.shelf, rows, clock, sole=sole)
        self.telemetry.rooms = self.rooms
        self.feed = ViewerFeed(
            self.telemetry,
            self.rooms,
            self.names,
            self.store,
            self.progress,
            self.shelf,
            clock,
            resume_after_ms=60_000,
            max_held=max_workers,
        )
        self.viewers = Viewers(
            self.store,
            NullAnnouncer(),
            self.shelf,
            Telling(SECRET),
            clock,
            quota_of=lambda host: 1_000,
            lifetimes=Lifetimes(),
            notifier=self.notifier,
            touched=self.rooms.touched,
        )
        self.watching = Watching(self.viewers, NoViews(), self.progress, clock, Metrics(), feed=self.feed)

    def put(self, *videos: Video) -> None:
        self.shelf.videos |= {each.number: each for each in videos}

    async def start(self) -> None:
        await self.rooms.start(await self.store.watched(self.clock.now_ms()))

    async def report(self, name: str, at_s: int, *, at: Video | None = None, leave: bool = False) -> None:
        await self.watching.watched(at or video(), name.encode().ljust(16), None, at_s, leave=leave)

    async def look(self) -> None:
        """What the clock asks for once a second."""
        await self.viewers.sweep()
        await self.feed.look()
        await self.rooms.look()

    async def heard(self) -> list[str]:
        """Notices since the last time, after a look."""
        await self.look()
        return self.said()[1]
