"""The viewers still watching, as statistics see them: out of the live store, decoded once in a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from foundation.clock import Clock
from views.counters.progress import Progress as Kept
from views.counters.progress import ProgressKeeper, ProgressStore, awaited
from views.sections import Section, decode
from views.stats.model import Traits
from views.stats.traits import unpack

FRESH_MS = 2_000
"""How old what is known of one video may be."""

COST_FACTOR = 20
"""What took long to find out may be older: this many times as long as it took."""

_AT_ONCE = 1_000
"""Viewers decoded before others have their turn."""


class Present(NamedTuple):
    """One viewer who is still here, or whose stay is closed and not saved yet. It has watched for a second at least."""

    start_ms: int
    end_ms: int
    watch_time_s: int
    sections: tuple[Section, ...]
    traits: Traits


@dataclass(frozen=True, slots=True)
class Presence:
    """Viewers of one video, as they were at ``as_of_ms``; ``until_ms`` is how long that will do."""

    viewers: tuple[Present, ...]
    as_of_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was in the live store at one instant: some of it decoded before."""

    known: tuple[Presence, ...]
    raw: tuple[tuple[int, Sequence[Kept]], ...]
    taken_ms: int


class PresentViewers:
    """``take`` a snapshot while nothing is being saved, then ``look`` into it; ``forget`` when stays were saved."""

    def __init__(self, progress: ProgressStore | ProgressKeeper, clock: Clock) -> None:
        self._progress = awaited(progress)
        self._clock = clock
        self._known: dict[int, Presence] = {}
        self._generation = 0

    async def videos(self) -> Sequence[int]:
        return await self._progress.videos()

    def forget(self, videos: set[int]) -> None:
        """Some of their viewers are in the database from now on."""
        self._generation += 1
        for video in videos:
            self._known.pop(video, None)

    async def take(self, videos: Sequence[int]) -> Snapshot:
        now_ms = self._clock.now_ms()
        known, raw = [], []
        for video in videos:
            presence = self._known.get(video)
            if presence is not None and presence.as_of_ms <= now_ms < presence.until_ms:
                known.append(presence)
            else:
                raw.append((video, await self._progress.all_of(video)))
        return Snapshot(tuple(known), tuple(raw), now_ms)

    async def look(self, snapshot: Snapshot) -> tuple[list[Present], int]:
        """Everybody in it, and the instant as of which that is all true."""
        as_of_ms = min((each.as_of_ms for each in snapshot.known), default=snapshot.taken_ms)
        viewers = [viewer for each in snapshot.known for viewer in each.viewers]
        generation = self._generation
        for video, raw in snapshot.raw:
            began_ms = self._clock.monotonic_ms()
            found: list[Present] = []
            for at in range(0, len(raw), _AT_ONCE):
                found += [present for kept in raw[at : at + _AT_ONCE] if (present := _present(kept)) is not None]
                await asyncio.sleep(0)
            viewers += found
            if generation == self._generation:
                taken_ms = snapshot.taken_ms
                keep_ms = max(FRESH_MS, COST_FACTOR * (self._clock.monotonic_ms() - began_ms))
                self._remember(video, Presence(tuple(found), taken_ms, taken_ms + keep_ms))
        return viewers, as_of_ms

    def _remember(self, video: int, presence: Presence) -> None:
        if len(self._known) >= 1_000:
            self._known.pop(next(iter(self._known)))
        self._known[video] = presence


def _present(kept: Kept) -> Present | None:
    progress = decode(kept.blob)
    if progress is None or progress.watch_time_s <= 0:
        return None
    traits = unpack(progress.traits)
    sections = tuple(progress.sections())
    return Present(progress.first_ms, progress.last_ms, progress.watch_time_s, sections, traits)
