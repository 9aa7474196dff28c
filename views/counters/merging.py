"""Several segments of watch progress as one, with the newest record of every key."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from foundation.framing import DamagedFrameError, frame
from views.counters import codec
from views.counters.codec import CorruptBatchError, Decoder, Kind
from views.counters.progress import CLOSED
from views.counters.records import NullRecorder
from views.counters.segments import MAGIC, read_segment

_RECORD_BYTES = 300
"""What a kept record costs in memory beside its blob."""

_BATCH_RECORDS = 2_000

_MOST_SHARES = 1024


class MergeTerms(NamedTuple):
    """``base_ms``: when the newest batch of the sources was written. What ended ``over_ms`` or earlier is left out.

    ``complete``: no segment of the stream is older than the sources, so nothing has to be said about what is gone.
    ``memory_bytes``: about what one pass may keep in memory.
    """

    base_ms: int
    over_ms: int
    complete: bool
    memory_bytes: int


class _Record(NamedTuple):
    blob: bytes
    expires_ms: int
    anew: bool
    """Something before it in the sources dropped the key: what older segments say of it is void."""


class _Newest(NullRecorder):
    """The newest record of every key, of one share of the keys: told more than fits, it goes on with half the share.

    A key is that of a viewer or of a closed stay, never both.
    """

    def __init__(self, share: int, shares: int, memory_bytes: int) -> None:
        self.share = share
        self.shares = shares
        self.kept: dict[int, dict[bytes, _Record]] = {}
        self.forgotten: set[int] = set()
        self._bytes = 0
        self._most = memory_bytes

    def progress_put(self, video: int, viewer: bytes, blob: bytes, expires_ms: int) -> None:
        if self.shares > 1 and zlib.crc32(viewer) % self.shares != self.share:
            return
        records = self.kept.setdefault(video, {})
        old = records.get(viewer)
        anew = old is not None and (old.anew or not old.blob)
        if old is None:
            self._bytes += _RECORD_BYTES
        else:
            self._bytes -= len(old.blob)
            if blob and old.blob and expires_ms != CLOSED:
                # As in the store: an end only ever moves later.
                expires_ms = max(expires_ms, old.expires_ms)
        records[viewer] = _Record(blob, expires_ms, anew)
        self._bytes += len(blob)
        if self._bytes > self._most and self.share == 0 and self.shares < _MOST_SHARES:
            self._halve()

    def progress_forgotten(self, video: int) -> None:
        self.forgotten.add(video)
        self._bytes -= sum(_RECORD_BYTES + len(record.blob) for record in self.kept.pop(video, {}).values())

    def _halve(self) -> None:
        self.shares *= 2
        shares, kept, size = self.shares, self.kept, 0
        for video, records in list(kept.items()):
            left = {viewer: record for viewer, record in records.items() if not zlib.crc32(viewer) % shares}
            size += sum(_RECORD_BYTES + len(record.blob) for record in left.values())
            if left:
                kept[video] = left
            else:
                del kept[video]
        self._bytes = size


class Merge:
    """One merge, done in ``steps`` of some milliseconds each, so that its thread can write between them.

    It blocks on the disk. The result is at ``target`` and safe from a power cut when the steps have ended; putting it
    in the place of the sources is left to the caller. Abandoned, it takes its file away.
    """

    def __init__(self, sources: Sequence[Path], target: Path, terms: MergeTerms) -> None:
        self.size = 0
        self._sources = sources
        self._target = target
        self._terms = terms
        self._fd = -1

    def steps(self) -> Iterator[None]:
        """Raises OSError; FileNotFoundError also when a source has gone meanwhile."""
        self._fd = os.open(self._target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        done = False
        try:
            self._write(MAGIC)
            yield from self._shares()
            os.fsync(self._fd)
            done = True
        finally:
            os.close(self._fd)
            if not done:
                with contextlib.suppress(OSError):
                    self._target.unlink()

    def _shares(self) -> Iterator[None]:
        """The first pass finds out how many are needed, and everything that was forgotten, which has to stand first."""
        newest = _Newest(0, 1, self._terms.memory_bytes)
        yield from self._read(newest)
        forgotten = b""
        if not self._terms.complete:
            records = (codec.video_forgotten_record(Kind.PROGRESS_FORGOTTEN, video) for video in newest.forgotten)
            forgotten = b"".join(records)
        # Written even when empty: it says of when the segment is.
        self._write_batch(forgotten)
        yield from self._write_records(newest)
        shares = newest.shares
        for share in range(1, shares):
            newest = _Newest(share, shares, self._terms.memory_bytes)
            yield from self._read(newest)
            yield from self._write_records(newest)

    def _read(self, newest: _Newest) -> Iterator[None]:
        for path in self._sources:
            decoder = Decoder(newest)
            try:
                for payload in read_segment(path):
                    decoder.batch(payload)
                    yield
            except (DamagedFrameError, CorruptBatchError):
                # Replayed, it would have ended here as well.
                continue

    def _write_records(self, newest: _Newest) -> Iterator[None]:
        batch: list[tuple[int, bytes, bytes, int]] = []
        for video, records in newest.kept.items():
            known_older = not self._terms.complete and video not in newest.forgotten
            for viewer, record in records.items():
                over = not record.blob or CLOSED < record.expires_ms <= self._terms.over_ms
                if known_older and (over or record.anew):
                    batch.append((video, viewer, b"", 0))
                if not over:
                    batch.append((video, viewer, record.blob, record.expires_ms))
                if len(batch) >= _BATCH_RECORDS:
                    self._write_batch(codec.progress_records(batch))
                    # Little by little, or the last fsync would hold up the writes of the live state.
                    os.fsync(self._fd)
                    batch = []
                    yield
        if batch:
            self._write_batch(codec.progress_records(batch))

    def _write_batch(self, records: bytes) -> None:
        self._write(frame(codec.batch_start(self._terms.base_ms) + records))

    def _write(self, data: bytes) -> None:
        self.size += len(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
