"""Who is watching: the service that everybody calls. Applies the four cases to the store and says what moved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from foundation.clock import Clock
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.counters.base import CounterStore, Reading, TellClaims, Total, TotalMark
from views.model import LOCAL, UNVERIFIED, Video
from views.notices import TotalReceived
from views.number_listeners import NumberListeners
from views.number_sums import NumberSums
from views.origin_tells import OriginTells
from views.ports import Announcer, Listener, Notifier, NullNotifier, Tell
from views.shown import Believed, Shown, count_ours, everybody, shown
from views.telling import Telling
from views.turns import AT_A_TIME, batches


class VideoLookup(Protocol):
    """The part of the catalog that is needed here."""

    def peek_number(self, number: int) -> Video | None: ...

    async def by_number(self, number: int) -> Video | None: ...


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """``viewer_ms``: silence after which a viewer of ours has left. ``max_expires_ms``: longest life of anything that a
    peer tells, from now."""

    viewer_ms: int = 120_000
    max_expires_ms: int = 600_000


@dataclass(frozen=True, slots=True)
class Seen:
    """The key a viewer is known by (its ``alternate`` when that was here already), and whether it just came."""

    viewer: bytes
    is_new: bool


class Viewers:
    """Live viewers of every video.

    ``claims`` is there where several processes hear of the same viewers.
    ``quota_of(host)`` is how many viewers of one video a peer is believed, ``believed`` how many several are together.
    Every method that touches the store may
    raise StorageUnavailable.
    """

    def __init__(
        self,
        store: CounterStore,
        announcer: Announcer,
        videos: VideoLookup,
        telling: Telling,
        clock: Clock,
        *,
        quota_of: Callable[[str], int],
        believed: Believed = everybody,
        lifetimes: Lifetimes | None = None,
        metrics: Metrics | None = None,
        notifier: Notifier | None = None,
        touched: Callable[[Video], None] | None = None,
        claims: TellClaims | None = None,
    ) -> None:
        """``touched`` hears of every video whose number may have moved; it must neither block nor raise."""
        self._touched = touched
        self._store = store
        self._notifier = notifier or NullNotifier()
        self._announcer = announcer
        self._videos = videos
        self._telling = telling
        self._clock = clock
        self._quota_of = quota_of
        self._believed = believed
        self._lifetimes = lifetimes or Lifetimes()
        self._listeners = NumberListeners()
        self.sums = NumberSums(store, self._video, self.shown_many, clock)
        metrics = metrics or Metrics()
        self._tells = OriginTells(store, announcer, telling, metrics, claims)
        self._stale_totals = metrics.counter("fediviews_totals_stale", "Totals of origins that came after a later one")

    # What is heard

    async def watching(
        self,
        video: Video,
        viewer: bytes,
        alternate: bytes | None = None,
        now_ms: int | None = None,
        expires_ms: int | None = None,
    ) -> Seen:
        """A viewer of ours gives a sign of life (cases A and B).

        ``alternate`` is the key it may have come under before midnight: when that one is here, it is extended instead.
        ``expires_ms`` is for who says how long the viewer lives; else it is ``lifetimes.viewer_ms`` from now.
        """
        now_ms = self._clock.now_ms() if now_ms is None else now_ms
        store, number = self._store, video.number
        if alternate is not None and await store.has(number, LOCAL, alternate, now_ms):
            viewer = alternate
        if expires_ms is None:
            expires_ms = now_ms + self._lifetimes.viewer_ms
        is_new = await store.touch(number, LOCAL, viewer, expires_ms, now_ms)
        if not video.local and video.federated:
            tell = self._telling.alive(video, viewer, expires_ms, now_ms, self._announcer.origin_traits(video.origin))
            if tell is not None:
                await self._tells.say(tell, now_ms)
        if is_new:
            await self._moved(video, now_ms)
        return Seen(viewer, is_new)

    async def left(self, video: Video, viewer: bytes, alternate: bytes | None = None) -> bool:
        """A viewer of ours has closed the page; True when it was here (under either key)."""
        now_ms = self._clock.now_ms()
        for key in (viewer, alternate):
            if key is not None and await self._store.leave(video.number, LOCAL, key, now_ms):
                self._telling.left(video, key)
                await self._moved(video, now_ms)
                return True
        return False

    async def stays(self, video: Video, source: str, viewer: bytes, within_ms: int = 0) -> bool:
        """Whether a viewer is here and will still be in ``within_ms``, should nobody hear of it again."""
        return await self._store.has(video.number, source, viewer, self._clock.now_ms() + within_ms)

    @property
    def lifetime_ms(self) -> int:
        """Silence after which a viewer of ours has left."""
        return self._lifetimes.viewer_ms

    async def remote_viewer(
        self, video: Video, host: str, viewer_key: bytes, expires_ms: int, *, verified: bool = True
    ) -> bool:
        """A peer tells of one viewer of its own (case C, or D of protocol v1); True when it was not here.

        ``expires_ms`` is in our clock; a life that is over changes nothing. Who is not ``verified`` is shown apart, and
        in no number.
        """
        source = host if verified else UNVERIFIED + host
        now_ms = self._clock.now_ms()
        expires_ms = min(expires_ms, now_ms + self._lifetimes.max_expires_ms)
        is_new = await self._store.touch(video.number, source, viewer_key, expires_ms, now_ms)
        if is_new and verified:
            await self._moved(video, now_ms)
        return is_new

    async def verified(self, video: Video, host: str, viewer_key: bytes) -> None:
        """A viewer of a peer counts from now on: it is no longer among those shown apart."""
        await self._store.leave(video.number, UNVERIFIED + host, viewer_key, self._clock.now_ms())

    async def remote_total(
        self,
        video: Video,
        host: str,
        count: int,
        expires_ms: int,
        order_ms: int,
        signed_ms: int,
        yours: int | None = None,
        granted_ms: int | None = None,
        mark: TotalMark | None = None,
    ) -> bool:
        """The origin (``host`` spoke for it) says how many watch its video (case D); False when that is out of date.

        ``signed_ms`` and ``expires_ms`` are in our clock, ``order_ms`` is only compared with others of that video.
        ``yours``: how many of ours the count contains, where the origin says so. ``granted_ms``: the life the total
        was given, by default what is left of it; a quarter of it is the grace.
        ``mark``: what is remembered of it when it is over.
        """
        now_ms = self._clock.now_ms()
        expires_ms = min(expires_ms, now_ms + self._lifetimes.max_expires_ms)
        if yours is None:
            signed_ms = min(signed_ms, now_ms)
            told = await self._store.told(video.number, signed_ms)
            yours = count_ours(told, signed_ms, self._announcer.origin_traits(host))
        granted_ms = expires_ms - now_ms if granted_ms is None else granted_ms
        granted_ms = max(0, min(granted_ms, self._lifetimes.max_expires_ms))
        total = Total(count, expires_ms, order_ms, max(0, min(yours, count)), granted_ms)
        if not await self._store.put_total(video.number, total, now_ms, mark):
            self._stale_totals.inc()
            return False
        self._notifier.notify(TotalReceived(video, now_ms, host, count))
        await self._moved(video, now_ms)
        return True

    def wire_id(self, video: Video, viewer: bytes) -> str:
        """The name under which this viewer is told of, now; of a video of ours, where nobody is told, one as good."""
        return self._telling.wire_id(video, viewer)

    async def told(self, tell: Tell, acked_ms: int) -> None:
        """The origin acknowledged a tell."""
        await self._tells.acknowledged(tell, acked_ms)

    # What is asked

    async def shown(self, video: Video) -> Shown:
        now_ms = self._clock.now_ms()
        return self._shown(video, await self._store.read(video.number, now_ms), now_ms)

    async def shown_many(self, videos: Sequence[Video]) -> Sequence[Shown]:
        """In the order of ``videos``."""
        now_ms = self._clock.now_ms()
        readings = await self._store.read_many([video.number for video in videos], now_ms)
        return [self._shown(video, reading, now_ms) for video, reading in zip(videos, readings, strict=True)]

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """``listener`` hears of every number that moved, until the function returned is called."""
        return self._listeners.subscribe(listener)

    # What time brings

    async def start(self) -> None:
        """After the store has its state back: know again what origins were told."""
        now_ms = self._clock.now_ms()
        for number in await self._tells.videos():
            video = await self._video(number)
            if video is not None and not video.local:
                await self._tells.restore(video, now_ms)

    async def sweep(self) -> int:
        """Forget who has left, say which numbers moved, tell what is due; called every second or so.

        Returns how many videos changed. What it costs is in proportion to what ended and what is due.
        """
        now_ms = self._clock.now_ms()
        changed = await self._store.sweep(now_ms)
        for batch in batches(changed):
            for number in batch:
                video = await self._video(number)
                if video is not None:
                    await self._moved(video, now_ms)
            await self._clock.sleep_ms(0)
        for count, tell in enumerate(self._telling.due(now_ms, self._announcer.origin_traits), 1):
            await self._tells.say(tell, now_ms)
            if count % AT_A_TIME == 0:
                await self._clock.sleep_ms(0)
        return len(changed)

    async def look(self, numbers: Collection[int]) -> None:
        """Tell listeners what moved of these videos in other processes; costs one question for all."""
        if not self._listeners:
            return
        videos = [video for number in numbers if (video := await self._video(number)) is not None]
        for video, each in zip(videos, await self.shown_many(videos), strict=True):
            self._listeners.say(video, each.viewers)

    async def forget_video(self, number: int) -> None:
        """The video is gone (or became private: then its remote viewers and tells go as well)."""
        self._telling.forget_video(number)
        self._listeners.forget(number)
        await self._store.forget_video(number)

    async def forget_peer(self, host: str) -> None:
        """A peer was blocked: its viewers vanish; the next sweep says which numbers moved."""
        await self._store.forget_source(host)
        await self._store.forget_source(UNVERIFIED + host)

    # Inside

    async def _video(self, number: int) -> Video | None:
        video = self._videos.peek_number(number)
        if video is not None:
            return video
        try:
            return await self._videos.by_number(number)
        except StorageUnavailable:
            return None

    async def _moved(self, video: Video, now_ms: int) -> None:
        if video.local and video.federated:
            self._announcer.number_moved(video)
        if self._touched is not None:
            self._touched(video)
        if not self._listeners:
            return
        reading = await self._store.read(video.number, now_ms)
        self._listeners.say(video, self._shown(video, reading, now_ms).viewers)

    def _shown(self, video: Video, reading: Reading, now_ms: int) -> Shown:
        return shown(video.local, reading, self._quota_of, now_ms, self._believed)
