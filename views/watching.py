"""One accepted report of a player, from its position to a viewer and perhaps a view."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from foundation.clock import Clock
from foundation.metrics import Metrics
from views.counters.progress import ProgressKeeper, ProgressStore, awaited
from views.counting import enough_watch_time
from views.geo.places import NOWHERE, Place, agreed
from views.model import Video
from views.sections import Progress, Rules, begin, decode, encode, plays, report, still_for_ms
from views.stats.model import Traits
from views.stats.traits import cleaned, pack

HOUR_MS = 3_600_000

SHORT_S = 60
"""A video that is no longer may play on and on and be at the same second at every report, whose interval is a multiple
of its length: there, the same position proves nothing."""


class Outcome(enum.Enum):
    """What became of a report, as a view. Every one of them is a success to the player."""

    COUNTED = "counted"
    WATCH_TIME = "watch_time"
    """Not watched long enough yet."""
    ALREADY_COUNTED = "already_counted"
    """This viewer's view of this video was counted within ``view_expiration``."""
    NO_PROGRESS = "no_progress"
    """Its position has been the same for ``still_after``: nobody watches, and it is no viewer any more."""
    BOT = "bot"
    """A crawler, by its User-Agent."""
    PREFETCH = "prefetch"
    """A browser fetched the page ahead of anybody's wish to see it."""
    TOO_MANY_SESSIONS = "too_many_sessions"
    """More viewers of one address at once than ``sessions_per_address``."""
    OWNER = "owner"
    """The viewer token says that the video is this viewer's own."""


@dataclass(frozen=True, slots=True)
class WatchingRules:
    """``views.*`` of the configuration; durations in milliseconds.

    ``view_expiration_ms`` only spares asking for a view that cannot be counted: the decision is the counter's.
    ``progress_lifetime_ms`` is how long a silent viewer's progress is kept in the live store (``stats_lifetime``).
    ``still_after_ms``: whoever reports the same position of a recorded video for so long is no viewer; None: it is.
    """

    sections: Rules = field(default_factory=Rules)
    count_view_after_ms: int = 10_000
    view_expiration_ms: int = HOUR_MS
    progress_lifetime_ms: int = HOUR_MS
    still_after_ms: int | None = None


class SeenViewer(Protocol):
    """A viewer that was just added or refreshed, and the key it is known by."""

    @property
    def viewer(self) -> bytes: ...

    @property
    def is_new(self) -> bool: ...


class LiveViewers(Protocol):
    """The part of ``views.viewers.Viewers`` that a report needs."""

    async def watching(
        self, video: Video, viewer: bytes, alternate: bytes | None = None, now_ms: int | None = None
    ) -> SeenViewer: ...

    async def left(self, video: Video, viewer: bytes, alternate: bytes | None = None) -> bool: ...


class LocalViews(Protocol):
    """The part of ``views.counting.ViewCounter`` that a report needs."""

    async def count_local(self, video: Video, viewer: bytes) -> bool: ...


class Closer(Protocol):
    """The part of ``views.stats.recorder.Recorder`` that a report needs."""

    def close(self, video: int, viewer: bytes) -> None:
        """This stay is over: save it as soon as possible. Must not block."""


class Feed(Protocol):
    """The part of ``views.telemetry.feed.ViewerFeed`` that a report needs. Must not block."""

    def reported(
        self, video: Video, viewer: bytes, now_ms: int, *, is_new: bool, played: bool, plays: bool, silent_ms: int
    ) -> None: ...

    def left(self, video: Video, viewer: bytes, now_ms: int, *, played: bool, since_ms: int) -> None: ...


class Player(Protocol):
    """What a report says of the player (PeerTube 7.2)."""

    @property
    def client(self) -> str | None: ...

    @property
    def operating_system(self) -> str | None: ...

    @property
    def device(self) -> str | None: ...


Locate = Callable[[str], tuple[str | None, str | None]]
"""From an address to a country (ISO 3166-1) and a subdivision, as far as known. Must neither raise nor block."""


def nowhere(_: str) -> tuple[str | None, str | None]:
    """For a house that looks nobody up."""
    return None, None


class Watching:
    """Joins live viewers, watch progress and counted views.

    A report that counts no view touches the live store only; one that does returns after its view is committed.
    """

    def __init__(
        self,
        viewers: LiveViewers,
        views: LocalViews,
        progress: ProgressStore | ProgressKeeper,
        clock: Clock,
        metrics: Metrics,
        rules: WatchingRules | None = None,
        *,
        locate: Locate = nowhere,
        closer: Closer | None = None,
        feed: Feed | None = None,
    ) -> None:
        self._feed = feed
        self._locate = locate
        self._closer = closer
        self._viewers = viewers
        self._views = views
        self._progress = awaited(progress)
        self._clock = clock
        self._rules = rules or WatchingRules()
        self._count_after_s = self._rules.count_view_after_ms / 1000
        self._ask_again_ms = max(1, min(60_000, self._rules.view_expiration_ms // 20))
        outcomes = metrics.counter(
            "fediviews_reports", "Accepted reports of players, by what became of them as a view.", ["outcome"]
        )
        # Bound here: the hot path looks nothing up.
        self._count = {outcome: outcomes.labels(outcome.value).inc for outcome in Outcome}

    async def watched(
        self,
        video: Video,
        viewer: bytes,
        alternate: bytes | None,
        position_s: int,
        *,
        seek: bool = False,
        leave: bool = False,
        ended: bool = False,
        ip: str = "",
        place: Place = NOWHERE,
        player: Player | None = None,
    ) -> Outcome:
        """A viewer of ours is at ``position_s``. ``alternate`` is the key it may have come under before midnight.

        ``leave``: this was its last report, it is no viewer from now on. ``ended``: it has played to the end and is
        still here. Both close its stay, which is saved at once; merely being at the end does not (it may loop).
        ``ip``, ``place`` (what somebody trusted says of it) and ``player`` are looked at when a stay begins, and the
        address is not kept. Raises StorageUnavailable.
        """
        now_ms = self._clock.now_ms()
        is_new = was_here = False
        if leave:
            viewer, was_here = await self._leave(video, viewer, alternate)
            blob = await self._progress.get(video.number, viewer)
        else:
            known, blob = await self._known(video, viewer, alternate)
            if blob is not None and self._stands_still(video, blob, position_s, now_ms):
                # Its stay goes on, so that it does not come back as another one.
                await self._progress.put(video.number, known, blob, now_ms + self._rules.progress_lifetime_ms)
                return self.ignored(Outcome.NO_PROGRESS)
            seen = await self._viewers.watching(video, viewer, alternate, now_ms)
            viewer, is_new = seen.viewer, seen.is_new
            if viewer != known:
                blob = await self._progress.get(video.number, viewer)
        progress, played, silent_ms = await self._advance(
            video, viewer, blob, position_s, seek, now_ms, ip, place, player
        )
        if self._feed is not None and (was_here or not leave):
            # That it goes proves nothing of a live stream without positions.
            playing = plays(progress, video.is_live and not leave) or played
            self._feed.reported(video, viewer, now_ms, is_new=is_new, played=played, plays=playing, silent_ms=silent_ms)
            if leave:
                self._feed.left(video, viewer, now_ms, played=playing, since_ms=progress.first_ms)
        try:
            outcome = self._no_view(video, progress, now_ms) or await self._view(video, viewer, progress, now_ms)
        finally:
            if (leave or ended) and self._closer is not None:
                self._closer.close(video.number, viewer)
        self._count[outcome]()
        return outcome

    def ignored(self, outcome: Outcome) -> Outcome:
        """Counts a report that counts for nothing, by why."""
        self._count[outcome]()
        return outcome

    async def forget_video(self, number: int) -> None:
        """The video is gone: so is how far anybody has seen it."""
        await self._progress.forget_video(number)

    async def _known(self, video: Video, viewer: bytes, alternate: bytes | None) -> tuple[bytes, bytes | None]:
        """The key under which there is progress (``viewer`` for none), and that."""
        blob = await self._progress.get(video.number, viewer)
        if blob is None and alternate is not None:
            earlier = await self._progress.get(video.number, alternate)
            if earlier is not None:
                return alternate, earlier
        return viewer, blob

    def _stands_still(self, video: Video, blob: bytes, position_s: int, now_ms: int) -> bool:
        """Of a live stream the position says nothing: some players have none there. Nor does it of a short loop."""
        limit_ms = self._rules.still_after_ms
        return (
            limit_ms is not None
            and not video.is_live
            and video.duration_s > SHORT_S
            and still_for_ms(blob, position_s, now_ms) >= limit_ms
        )

    async def _leave(self, video: Video, viewer: bytes, alternate: bytes | None) -> tuple[bytes, bool]:
        """Returns the key that the progress is kept under, and whether the viewer was here."""
        was_here = await self._viewers.left(video, viewer, alternate)
        if alternate is None or await self._progress.get(video.number, viewer) is not None:
            return viewer, was_here
        found = await self._progress.get(video.number, alternate) is not None
        return alternate if found else viewer, was_here

    async def _advance(
        self,
        video: Video,
        viewer: bytes,
        blob: bytes | None,
        position_s: int,
        seek: bool,
        now_ms: int,
        ip: str,
        place: Place,
        player: Player | None,
    ) -> tuple[Progress, bool, int]:
        """Where the viewer is now, after ``blob``; whether it had played before, and for how long it had been
        silent."""
        played, silent_ms = False, 0
        progress = None if blob is None else decode(blob)
        if progress is None:
            progress = begin(position_s, now_ms, self._rules.sections)
            progress.traits = self._traits(ip, place, player)
        else:
            played, silent_ms = plays(progress, video.is_live), now_ms - progress.last_ms
            report(progress, position_s, seek, now_ms, self._rules.sections)
        await self._keep(video, viewer, progress, now_ms)
        return progress, played, silent_ms

    def _traits(self, ip: str, place: Place, player: Player | None) -> bytes:
        country, subdivision = agreed(place, self._locate(ip) if ip else NOWHERE)
        if player is None:
            return pack(Traits(country, subdivision))
        client, system = cleaned(player.client), cleaned(player.operating_system)
        return pack(Traits(country, subdivision, client, player.device, system))

    def _no_view(self, video: Video, progress: Progress, now_ms: int) -> Outcome | None:
        """Why this report counts no view; None when it may."""
        if now_ms < progress.next_view_ms:
            return Outcome.ALREADY_COUNTED
        if not enough_watch_time(progress.watch_time_s, video.duration_s, video.is_live, self._count_after_s):
            return Outcome.WATCH_TIME
        return None

    async def _view(self, video: Video, viewer: bytes, progress: Progress, now_ms: int) -> Outcome:
        counted = await self._views.count_local(video, viewer)
        # A parallel report may have gone further meanwhile: its progress stands, only the instant is added.
        blob = await self._progress.get(video.number, viewer)
        newest = (None if blob is None else decode(blob)) or progress
        newest.next_view_ms = now_ms + (self._rules.view_expiration_ms if counted else self._ask_again_ms)
        await self._keep(video, viewer, newest, now_ms)
        return Outcome.COUNTED if counted else Outcome.ALREADY_COUNTED

    async def _keep(self, video: Video, viewer: bytes, progress: Progress, now_ms: int) -> None:
        await self._progress.put(video.number, viewer, encode(progress), now_ms + self._rules.progress_lifetime_ms)
