"""What the journal's thread does for its files beside writing them: merging, and keeping within a bound of bytes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from foundation.metrics import Metrics
from views.counters.merging import Merge, MergeTerms
from views.counters.segments import Segment, SegmentWriter

logger = logging.getLogger(__name__)

_TEMPORARY = "merging.tmp"
"""A merge that is not finished; worth nothing after a crash."""

_SAY_AGAIN_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class UpkeepTerms:
    """``merge_segments`` neighbours become one; ``merge_memory`` and ``max_bytes`` in bytes. ``merged_keep_ms``: what
    ended longer ago is left out of merged segments."""

    directory: Path
    merge_segments: int
    merge_memory: int
    merged_keep_ms: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class _Running:
    merge: Merge
    steps: Iterator[None]
    sources: Sequence[Segment]


class Upkeep:
    """For the writing thread alone. A merge takes many steps, so that what is to be written waits for one at most."""

    def __init__(self, terms: UpkeepTerms, metrics: Metrics) -> None:
        self.wanted = True
        """True while there may be something for ``step``; set it when a segment was closed."""
        self._terms = terms
        self._merged: SegmentWriter | None = None
        self._writers: Sequence[SegmentWriter] = ()
        self._running: _Running | None = None
        self._held = 0
        self._said_ms: int | None = None
        self._merges = metrics.counter("fediviews_journal_merges", "Times that several segments were made one")
        self._failed = metrics.counter("fediviews_journal_merges_failed", "Merges that the disk did not allow")
        self._dropped = metrics.counter("fediviews_journal_dropped_bytes", "Bytes deleted early to keep the bound")
        metrics.gauge_from("fediviews_journal_held_bytes", "Bytes of all segments", lambda: self._held)

    def start(self, merged: SegmentWriter, others: Sequence[SegmentWriter]) -> None:
        """``merged``: of the stream to be merged, whose segments also are the first to go at the bound; then those of
        ``others``, in this order. Raises OSError."""
        (self._terms.directory / _TEMPORARY).unlink(missing_ok=True)
        self._merged = merged
        self._writers = (merged, *others)
        self.wanted = True

    def step(self, now_ms: int) -> bool:
        """Some milliseconds of merging; False when there is nothing to merge for now."""
        try:
            if self._running is None:
                self._running = self._begin(now_ms)
            if self._running is None:
                self.wanted = False
            elif next(self._running.steps, self) is self:
                self._finish(self._running)
        except OSError as error:
            self._running = None
            # Tried again when the next segment is closed. A source deleted meanwhile is no failure.
            self.wanted = False
            if not isinstance(error, FileNotFoundError):
                self._failed.inc()
                logger.error("the journal was not merged: %s", error.strerror)
        return self.wanted

    def abandon(self) -> None:
        """Leave a merge that is under way; its sources stay."""
        self._running = None
        self.wanted = False

    def keep_bound(self, now_ms: int) -> None:
        """Delete the oldest segments until all together are within the bound. Raises OSError."""
        held = sum(writer.held_bytes for writer in self._writers)
        excess = held + (self._running.merge.size if self._running is not None else 0) - self._terms.max_bytes
        dropped = 0
        for writer in self._writers:
            while dropped < excess and (size := writer.drop_oldest()):
                dropped += size
        self._held = held - dropped
        if dropped:
            self._dropped.inc(dropped)
            if self._said_ms is None or not 0 <= now_ms - self._said_ms < _SAY_AGAIN_MS:
                self._said_ms = now_ms
                logger.warning("the journal is at views.journal_max: its oldest segments are deleted before their time")

    def _begin(self, now_ms: int) -> _Running | None:
        terms = self._terms
        sources = self._merged.mergeable(terms.merge_segments) if self._merged is not None else ()
        if self._merged is None or not sources:
            return None
        merge = Merge(
            [source.path for source in sources],
            terms.directory / _TEMPORARY,
            MergeTerms(
                base_ms=max(source.last_ms for source in sources),
                over_ms=now_ms - terms.merged_keep_ms,
                complete=self._merged.is_oldest(sources[0]),
                memory_bytes=terms.merge_memory,
            ),
        )
        return _Running(merge, merge.steps(), sources)

    def _finish(self, running: _Running) -> None:
        self._running = None
        assert self._merged is not None
        temporary = self._terms.directory / _TEMPORARY
        if self._merged.replace(running.sources, temporary, running.merge.size):
            self._merges.inc()
        else:
            with suppress(FileNotFoundError):
                temporary.unlink()
