"""Turns finished stays into rows: in bulk, each exactly once, and none lost while the database is gone."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec
from sqlalchemy import select

from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.ending import end
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from foundation.spool import Applied, Spool
from views.counters.progress import AwaitedProgress, ProgressKeeper, ProgressStore, awaited
from views.counters.progress import Progress as Kept
from views.model import Video
from views.ports import Announcer
from views.rows import COLUMNS, video_of
from views.sections import decode
from views.stats import rows
from views.stats.model import Stay
from views.stats.presence import PresentViewers
from views.stats.traits import unpack
from views.tables import videos

BATCH = 1_000
"""Stays that one transaction writes, so that counting never waits long behind it."""

MAX_CLOSING = 100_000
"""Stays that wait to be closed in a shared store; the oldest are left to end by silence."""

SPOOLED = "stay"
SHARE = 0.5
"""How much of the spool our own stays may take: they can wait in the live store, what others tell us cannot."""

_spooled = msgspec.msgpack.Decoder(Stay)

_log = logging.getLogger(__name__)


class Videos(Protocol):
    """The part of ``views.catalog.catalog.Catalog`` that is needed here."""

    async def by_number(self, number: int) -> Video | None: ...


class Recorder:
    """A closed stay waits in the progress store (and its journal) until its row is committed.

    Its uuid follows from viewer, video and beginning, by a secret: a stay that is saved again, because nobody heard
    that it was committed, meets its own URL and changes nothing. ``steady`` is held while rows are written and the
    store forgets them: whoever holds it sees every stay in exactly one of both. While the database is gone, stays go to
    the ``spool``, where nobody sees them until they are replayed.
    """

    def __init__(
        self,
        db: Database,
        progress: ProgressStore | ProgressKeeper,
        present: PresentViewers,
        announcer: Announcer,
        clock: Clock,
        metrics: Metrics,
        *,
        secret: bytes,
        stay_url: Callable[[str], str],
        spool: Spool | None = None,
    ) -> None:
        """``stay_url`` makes the global id of a stay of a viewer of ours from its uuid."""
        self.steady = asyncio.Lock()
        self._db = db
        self._progress = awaited(progress)
        self._closing: deque[tuple[int, bytes]] = deque(maxlen=MAX_CLOSING)
        self._present = present
        self._announcer = announcer
        self._clock = clock
        self._key = hashlib.sha256(b"stay\0" + secret).digest()
        self._stay_url = stay_url
        self._spool = spool
        if spool is not None:
            spool.replays(SPOOLED, self._replay)
        self._draining = asyncio.Lock()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        saved = metrics.counter("fediviews_stays_saved_total", "Finished stays of viewers saved.", ["viewer"])
        self._saved_local = saved.labels("local")
        self._saved_remote = saved.labels("remote")
        self._lost = metrics.counter("fediviews_stays_lost_total", "Finished stays that could not be made into a row.")

    # Life

    async def start(self) -> None:
        """From now on ``close`` has stays saved at once; without it they wait for the next ``sweep``."""
        self._task = asyncio.create_task(self._run(), name="stay-recorder")

    async def stop(self) -> None:
        """What waits is left to the next run. Harmless when not started."""
        await end(self._task)
        self._task = None

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self.drain()
            except StorageUnavailable as problem:
                _log.warning("stays wait for the database: %s", problem)
            except Exception:
                _log.exception("stays were not saved")

    # Viewers of ours

    def close(self, video: int, viewer: bytes) -> None:
        """The viewer is gone, or at the end: its stay is over now and saved as soon as possible."""
        if not isinstance(self._progress, AwaitedProgress):
            self._closing.append((video, viewer))
            self._wake.set()
        elif self._progress.store.close(video, viewer, self._name):
            self._wake.set()

    async def sweep(self) -> int:
        """Save the stays of all who have been silent for too long; how many. Raises StorageUnavailable: they wait."""
        await self._progress.hand_over(self._clock.now_ms(), self._name)
        return await self.drain()

    async def drain(self) -> int:
        """Save every closed stay; how many. Raises StorageUnavailable: the rest waits for the next time."""
        saved = 0
        async with self._draining:
            await self._close_asked()
            while batch := await self._progress.due(BATCH):
                saved += await self._settle(batch)
        return saved

    async def _close_asked(self) -> None:
        """In the store that is shared; where it does not answer they are asked about again, or end by silence."""
        while self._closing:
            await self._progress.close(*self._closing[0], self._name)
            self._closing.popleft()

    async def _settle(self, batch: Sequence[Kept]) -> int:
        try:
            return await self._keep(batch)
        except StorageUnavailable:
            raise
        except Exception:
            if len(batch) == 1:
                self._lost.inc()
                _log.exception("a stay at video %d cannot be saved", batch[0].video)
                await self._progress.saved(batch)
                return 0
        # One of them is at fault: the others must not wait for it for ever.
        return sum([await self._settle([kept]) for kept in batch])

    async def _keep(self, batch: Sequence[Kept]) -> int:
        stays = [stay for kept in batch if (stay := self._stay(kept)) is not None]
        async with self.steady:
            try:
                fresh = await self._db.write(partial(self._write, stays=stays), patience_ms=self._patience_ms)
            except StorageUnavailable:
                if self._spool is None or not stays:
                    raise
                await self._spool.add(SPOOLED, *map(msgspec.msgpack.encode, stays), share=SHARE)
                fresh = []
            await self._progress.saved(batch)
            self._present.forget({stay.video for stay in stays})
        self._committed(fresh)
        return len(fresh)

    @property
    def _patience_ms(self) -> int | None:
        return None if self._spool is None else self._spool.settings.after_ms

    async def _replay(self, tx: Transaction, payloads: Sequence[bytes]) -> Applied:
        return partial(self._committed, await self._write(tx, [_spooled.decode(payload) for payload in payloads]))

    def _committed(self, fresh: Sequence[Stay]) -> None:
        remote = sum(bool(stay.source) for stay in fresh)
        self._saved_remote.inc(remote)
        self._saved_local.inc(len(fresh) - remote)
        if fresh:
            self._announcer.committed()

    def _name(self, video: int, viewer: bytes, blob: bytes) -> bytes | None:
        progress = decode(blob)
        if progress is None or progress.watch_time_s <= 0:
            return None
        said = video.to_bytes(8, "big") + progress.first_ms.to_bytes(8, "big") + viewer
        return hashlib.blake2b(said, key=self._key, digest_size=16).digest()

    def _stay(self, kept: Kept) -> Stay | None:
        progress = decode(kept.blob)
        if progress is None:
            return None
        name = str(uuid.UUID(bytes=kept.viewer, version=4))
        return Stay(
            video=kept.video,
            uuid=name,
            url=self._stay_url(name),
            start_ms=progress.first_ms,
            end_ms=progress.last_ms,
            watch_time_s=progress.watch_time_s,
            sections=tuple(progress.sections()),
            traits=unpack(progress.traits),
        )

    # Any stays

    async def save(self, stays: Sequence[Stay]) -> int:
        """Write these, in as few transactions as is good for others; how many were not known before. Those without
        watch time, and those of a video that is gone, are not kept. Raises StorageUnavailable: a part may be written,
        and writing all of them again is harmless."""
        saved = 0
        for at in range(0, len(stays), BATCH):
            fresh = await self._db.write(partial(self._write, stays=stays[at : at + BATCH]))
            saved += len(fresh)
        if saved:
            self._announcer.committed()
        return saved

    async def save_remote(self, stay: Stay) -> bool:
        """Keep what another instance tells of its viewer (``stay.source``), durably; False when its URL is known
        already, when nothing was watched, or when the video is gone; in the spool that is not known yet. Raises
        StorageUnavailable."""
        try:
            fresh = await self._db.write_together(self._write_remote, stay, patience_ms=self._patience_ms)
        except StorageUnavailable:
            if self._spool is None:
                raise
            await self._spool.add(SPOOLED, msgspec.msgpack.encode(stay))
            return True
        if fresh:
            self._saved_remote.inc()
        return fresh

    async def find(self, url: str) -> Stay | None:
        """The kept stay of this global id."""
        async with self._db.read() as tx:
            return await rows.find(tx, url)

    async def _write_remote(self, tx: Transaction, stays: Sequence[Stay]) -> Sequence[bool]:
        fresh = {stay.url for stay in await self._write(tx, stays)}
        news = []
        for stay in stays:
            news.append(stay.url in fresh)
            fresh.discard(stay.url)
        return news

    async def _write(self, tx: Transaction, stays: Sequence[Stay]) -> list[Stay]:
        """Those that are new, after they are written; the origins of remote videos are told."""
        numbers = sorted({stay.video for stay in stays})
        asked = select(*COLUMNS).where(videos.c.number.in_(numbers))
        there = {row.number: video_of(row) for row in await tx.execute(asked)}
        wanted = [stay for stay in stays if stay.video in there and stay.watch_time_s > 0]
        fresh = await rows.insert(tx, wanted, ours=(number for number, video in there.items() if video.local))
        for stay in fresh:
            video = there[stay.video]
            if not video.local and video.federated and not stay.source:
                await self._announcer.watched(tx, video, stay)
        return fresh
