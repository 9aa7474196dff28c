"""Does in the database what entries of a spool say, each once: where a file stands is committed with what it said."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from foundation.spool import cursors
from foundation.spool.file import Placed, SpoolFile

_log = logging.getLogger(__name__)

BATCH = 200
"""Entries that one transaction replays, so that what comes in meanwhile never waits long behind it."""

Applied = Callable[[], None]
"""Called once after the commit: moves what is in memory."""

Replay = Callable[[Transaction, Sequence[bytes]], Awaitable[Applied]]
"""Does in a transaction what the payloads of one kind say, in their order; like every work it may run twice."""


def nothing_more() -> None:
    """An ``Applied`` for a replay that moves nothing in memory."""


@dataclass(slots=True)
class OpenFile:
    """A file, and how far it was replayed as far as is known here."""

    file: SpoolFile
    position: int


class Replayer:
    """``done(kind, count)`` is called for entries that need not be kept any more."""

    def __init__(self, database: Database, clock: Clock, metrics: Metrics, done: Callable[[str, int], None]) -> None:
        self._database = database
        self._clock = clock
        self._done = done
        self._replays: dict[str, tuple[Replay, int]] = {}
        self._replayed = metrics.counter("fediviews_spool_replayed", "Entries replayed.", ["kind"])
        self._failed = metrics.counter("fediviews_spool_failed", "Entries that could not be replayed.")

    def learn(self, kind: str, replay: Replay, together: int) -> None:
        """Who replays entries of this kind, at most ``together`` in one transaction."""
        self._replays[kind] = (replay, together)
        self._replayed.labels(kind)

    async def replay(self, head: OpenFile, batch: Sequence[Placed]) -> int:
        """The entries that follow where a file stands; how many were news. Raises StorageUnavailable: the file stands
        before what was not replayed."""
        replayed = 0
        at = 0
        while at < len(batch):
            kind = batch[at].entry.kind
            _, together = self._replays.get(kind, (None, 1))
            run = [batch[at]]
            for placed in batch[at + 1 : at + together]:
                if placed.entry.kind != kind:
                    break
                run.append(placed)
            replayed += await self._replay_run(head, run)
            at += len(run)
        return replayed

    async def _replay_run(self, head: OpenFile, run: Sequence[Placed]) -> int:
        """Entries of one kind, in one transaction."""
        kind = run[0].entry.kind
        try:
            fresh, applied = await self._database.write(partial(self._work, file=head.file, run=run))
        except StorageUnavailable:
            raise
        except Exception:
            if len(run) > 1:
                # One of them is at fault: the others must not wait for it for ever.
                return sum([await self._replay_run(head, [placed]) for placed in run])
            _log.exception("an entry of the spool (%s) cannot be replayed", kind)
            await self._database.write(partial(self._skip, file=head.file, end=run[0].end))
            self._failed.inc()
            head.file.suspect = True
            fresh, applied = 0, nothing_more
        head.position = run[-1].end
        self._done(kind, len(run))
        self._replayed.labels(kind).inc(fresh)
        applied()
        return fresh

    async def _work(self, tx: Transaction, *, file: SpoolFile, run: Sequence[Placed]) -> tuple[int, Applied]:
        # An earlier commit may have arrived although nobody heard of it.
        done = await cursors.position(tx, file.id)
        payloads = [placed.entry.payload for placed in run if placed.end > done]
        if not payloads:
            return 0, nothing_more
        await cursors.move(tx, file.id, run[-1].end, self._clock.now_ms())
        replay, _ = self._replays[run[0].entry.kind]
        return len(payloads), await replay(tx, payloads)

    async def _skip(self, tx: Transaction, *, file: SpoolFile, end: int) -> None:
        await cursors.move(tx, file.id, max(end, await cursors.position(tx, file.id)), self._clock.now_ms())
