"""Where a user stopped watching: the last position per user and video (PeerTube's user history, of players' reports).

A user is known here by 16 bytes out of an HMAC of its name alone. Positions are kept in memory and written every few
seconds, so that a report costs a dictionary entry; what a power cut takes are those few seconds.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import CursorResult, delete, select, tuple_

from foundation.clock import Clock
from foundation.database import Database, Transaction, upsert
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.tables import resume_positions, videos

HASH_BYTES = 16

WRITE_EVERY_MS = 10_000
"""How often a user's position at a video is written at most (a leave is written at once)."""

MAX_WAITING = 100_000
"""Positions in memory; beyond them new ones are not kept until the database has taken some."""

_BATCH = 500

log = logging.getLogger(__name__)

_Key = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Position:
    """Seconds into the video, and when the user was there."""

    position_s: int
    at_ms: int


class ResumePositions:
    """``flush`` and ``purge`` belong to the task table; everything else is called as reports and requests come."""

    def __init__(
        self,
        db: Database,
        secret: bytes,
        clock: Clock,
        metrics: Metrics,
        *,
        max_age_ms: int | None,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        """``secret`` is the viewer secret; ``max_age_ms`` is ``views.resume_max_age``, None keeps them for good."""
        self._db = db
        self._key = hmac.digest(secret, b"resume position", "sha256")
        self._clock = clock
        self._max_age_ms = max_age_ms
        self._max_waiting = max_waiting
        self._waiting: dict[_Key, Position] = {}
        metrics.gauge_from(
            "fediviews_resume_positions_waiting", "Resume positions not written yet.", lambda: len(self._waiting)
        )
        self._lost = metrics.counter(
            "fediviews_resume_positions_lost", "Resume positions not kept because too many waited to be written."
        )

    async def note(self, user: str, video: int, position_s: int, *, leave: bool = False) -> None:
        """The user is at ``position_s``. Waits for nothing, except on a ``leave``, which is written at once.

        Never fails: a position that cannot be written now stays in memory for the next ``flush``.
        """
        key = self._of(user), video
        if key not in self._waiting and len(self._waiting) >= self._max_waiting:
            self._lost.inc()
            return
        self._waiting[key] = Position(position_s, self._clock.now_ms())
        if leave:
            try:
                await self._write([key])
            except StorageUnavailable:
                log.debug("a resume position waits: the database does not answer")

    async def read(self, user: str, video: int) -> Position | None:
        """Raises StorageUnavailable."""
        key = self._of(user), video
        position = self._waiting.get(key)
        if position is None:
            statement = select(resume_positions.c.position_s, resume_positions.c.updated_ms).where(
                resume_positions.c.user_hash == key[0], resume_positions.c.video_number == video
            )
            async with self._db.read() as tx:
                row = (await tx.execute(statement)).one_or_none()
            position = None if row is None else Position(row.position_s, row.updated_ms)
        if position is None or self._is_old(position):
            return None
        return position

    async def forget(self, user: str, video: int) -> None:
        """Raises StorageUnavailable; what was written is there still then."""
        key = self._of(user), video
        self._waiting.pop(key, None)
        statement = delete(resume_positions).where(
            resume_positions.c.user_hash == key[0], resume_positions.c.video_number == video
        )
        await self._db.write(lambda tx: tx.execute(statement))

    def forget_video(self, number: int) -> None:
        """The video is gone; its rows go with it."""
        for key in [key for key in self._waiting if key[1] == number]:
            del self._waiting[key]

    async def flush(self) -> int:
        """Write what waits; returns how many positions. Raises StorageUnavailable; what was not written waits on."""
        written = 0
        for keys in _batches(list(self._waiting)):
            written += await self._write(keys)
        return written

    async def purge(self) -> int:
        """Forget positions older than the greatest age, some at a time; returns how many."""
        if self._max_age_ms is None:
            return 0
        before_ms, deleted = self._clock.now_ms() - self._max_age_ms, 0
        while True:
            batch = await self._db.write(partial(_delete_old, before_ms=before_ms))
            deleted += batch
            if batch < _BATCH:
                return deleted

    def _of(self, user: str) -> bytes:
        return hmac.digest(self._key, user.encode("utf-8", "surrogatepass"), "sha256")[:HASH_BYTES]

    def _is_old(self, position: Position) -> bool:
        return self._max_age_ms is not None and position.at_ms < self._clock.now_ms() - self._max_age_ms

    async def _write(self, keys: Sequence[_Key]) -> int:
        # Taken now, not when the flush began: a position forgotten meanwhile must not come back.
        batch = {key: position for key in keys if (position := self._waiting.get(key)) is not None}
        if not batch:
            return 0
        await self._db.write(partial(_put, batch=batch))
        for key, position in batch.items():
            if self._waiting.get(key) is position:
                del self._waiting[key]
        return len(batch)


async def _put(tx: Transaction, batch: dict[_Key, Position]) -> None:
    numbers = sorted({number for _, number in batch})
    # Locked: a video that is deleted right now would fail the whole batch by its foreign key.
    here = select(videos.c.number).where(videos.c.number.in_(numbers)).order_by(videos.c.number)
    kept = set((await tx.execute(here.with_for_update(read=True, key_share=True))).scalars())
    rows = [
        {
            "user_hash": user,
            "video_number": number,
            "position_s": position.position_s,
            "updated_ms": position.at_ms,
        }
        for (user, number), position in sorted(batch.items(), key=lambda item: item[0])
        if number in kept
    ]
    if not rows:
        return
    statement = upsert(tx, resume_positions)
    newest = {"position_s": statement.excluded.position_s, "updated_ms": statement.excluded.updated_ms}
    statement = statement.on_conflict_do_update(index_elements=["user_hash", "video_number"], set_=newest)
    await tx.execute(statement, rows)


async def _delete_old(tx: Transaction, before_ms: int) -> int:
    key = tuple_(resume_positions.c.user_hash, resume_positions.c.video_number)
    old = (
        select(resume_positions.c.user_hash, resume_positions.c.video_number)
        .where(resume_positions.c.updated_ms < before_ms)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    result = await tx.execute(delete(resume_positions).where(key.in_(old)))
    assert isinstance(result, CursorResult)
    return result.rowcount


def _batches(keys: Sequence[_Key]) -> Iterator[Sequence[_Key]]:
    for start in range(0, len(keys), _BATCH):
        yield keys[start : start + _BATCH]
