"""Files of CRC-framed batches: appended, cut into segments, deleted when too old, read back up to the first damage.

A segment is ``<stream>-<number>.log``. One that was merged from others says from which,
``<stream>-<first>-<last>.<rank>``, and stands for them from the moment it has that name: sources that a crash left
behind are not read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from foundation.framing import DamagedFrameError, frame, read_frames, sync_directory, write_all

MAGIC = b"FVLIVE1\n"

HIGHEST_RANK = 2
"""Merged segments are merged once more."""


class Segment(NamedTuple):
    """A closed segment; ``last_ms`` is the instant of its last batch."""

    path: Path
    last_ms: int
    size: int


class _Name(NamedTuple):
    first: int
    last: int
    rank: int


class SegmentWriter:
    """Appends to ``<stream>-<number>.log`` in ``directory``. Used by one thread at a time; blocks on the disk.

    A segment is closed after ``segment_ms`` or ``segment_bytes``, and deleted once its last batch is older than
    ``keep_ms``: by then everything it tells about is over. Segments found at start keep the age of their last write.
    """

    def __init__(
        self, directory: Path, stream: str, *, keep_ms: int, segment_ms: int, segment_bytes: int, fsync: bool = False
    ) -> None:
        self._directory = directory
        self._stream = stream
        self._keep_ms = keep_ms
        self._segment_ms = segment_ms
        self._segment_bytes = segment_bytes
        self._fsync = fsync
        self._fd = -1
        self._opened_ms = self._last_ms = self._size = 0
        self._path = directory
        self._closed: list[Segment] = []
        existing = segment_paths(directory, stream)
        self._number = _name_of(existing[-1]).last if existing else 0

    @property
    def held_bytes(self) -> int:
        """Of all segments together."""
        return sum(segment.size for segment in self._closed) + (self._size if self._fd >= 0 else 0)

    def adopt(self, path: Path, last_ms: int) -> None:
        """A segment of an earlier run, to be deleted when its time has come."""
        self._closed.append(Segment(path, last_ms, path.stat().st_size))

    def wants_segment(self, now_ms: int) -> bool:
        """True when the next append needs ``open_segment`` (and new source numbers) first."""
        return (
            self._fd < 0
            or self._size >= self._segment_bytes
            or not self._opened_ms <= now_ms < self._opened_ms + self._segment_ms
        )

    def open_segment(self, now_ms: int) -> None:
        self.close()
        self._number += 1
        self._path = self._directory / f"{self._stream}-{self._number:010d}.log"
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._opened_ms = self._last_ms = now_ms
        self._size = write_all(self._fd, MAGIC)
        self._delete_old(now_ms)

    def append(self, payload: bytes, now_ms: int) -> int:
        """Write one frame; its size in bytes. After an OSError the segment is closed: the frame may be torn."""
        try:
            size = write_all(self._fd, frame(payload))
            if self._fsync:
                os.fsync(self._fd)
        except OSError:
            self.close()
            raise
        self._size += size
        self._last_ms = now_ms
        return size

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._closed.append(Segment(self._path, self._last_ms, self._size))

    def _delete_old(self, now_ms: int) -> None:
        old = [segment for segment in self._closed if segment.last_ms + self._keep_ms <= now_ms]
        self._closed = [segment for segment in self._closed if segment.last_ms + self._keep_ms > now_ms]
        for segment in old:
            segment.path.unlink(missing_ok=True)

    def drop_oldest(self) -> int:
        """Delete the oldest closed segment before its time; its size in bytes, 0 when there is none."""
        if not self._closed:
            return 0
        oldest = self._closed[0]
        oldest.path.unlink(missing_ok=True)
        del self._closed[0]
        return oldest.size

    # Merging

    def mergeable(self, count: int) -> Sequence[Segment]:
        """The oldest ``count`` neighbours that were merged equally often, less than the most; or none."""
        for rank, same in groupby(self._closed, lambda segment: _name_of(segment.path).rank):
            segments = list(same)
            if rank < HIGHEST_RANK and len(segments) >= count:
                return segments[:count]
        return ()

    def is_oldest(self, segment: Segment) -> bool:
        return self._closed[0] == segment

    def replace(self, sources: Sequence[Segment], merged: Path, size: int) -> bool:
        """Put a finished file in the place of its sources; False when one of these has gone meanwhile.

        Killed before the rename, the sources are all there is; killed after it, they do not count any more.
        """
        if not set(sources) <= set(self._closed):
            return False
        first, last = _name_of(sources[0].path), _name_of(sources[-1].path)
        name = f"{self._stream}-{first.first:010d}-{last.last:010d}.{last.rank + 1}"
        path = merged.rename(self._directory / name)
        sync_directory(self._directory)
        at = self._closed.index(sources[0])
        self._closed[at : at + len(sources)] = [Segment(path, max(source.last_ms for source in sources), size)]
        for source in sources:
            source.path.unlink(missing_ok=True)
        return True


_NAME = re.compile(r"(?P<stream>[a-z]+)-(?P<first>\d{10})(?:\.log|-(?P<last>\d{10})\.(?P<rank>\d))\Z")


def _name_of(path: Path) -> _Name:
    match = _NAME.match(path.name)
    if match is None:
        raise ValueError("not the name of a segment")
    first = int(match["first"])
    return _Name(first, int(match["last"] or first), int(match["rank"] or 0))


def segment_paths(directory: Path, stream: str) -> list[Path]:
    """The segments of a stream that count, oldest first."""
    return _sorted_out(directory, stream)[0]


def delete_replaced(directory: Path, stream: str) -> None:
    """Finish what a crash interrupted: delete segments of which a merged one has taken the place."""
    for path in _sorted_out(directory, stream)[1]:
        path.unlink(missing_ok=True)


def _sorted_out(directory: Path, stream: str) -> tuple[list[Path], list[Path]]:
    """Segments that count, and those that were replaced."""
    found = ((path, _NAME.match(path.name)) for path in directory.iterdir())
    paths = [path for path, match in found if match is not None and match["stream"] == stream]
    paths.sort(key=lambda path: (_name_of(path).first, -_name_of(path).last, -_name_of(path).rank))
    counting: list[Path] = []
    replaced: list[Path] = []
    covered = 0
    for path in paths:
        last = _name_of(path).last
        (counting if last > covered else replaced).append(path)
        covered = max(covered, last)
    return counting, replaced


def read_segment(path: Path) -> Iterator[bytes]:
    """Payloads in order. A torn end is the end; anything else that is wrong raises DamagedFrameError."""
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
        if magic == MAGIC:
            yield from read_frames(file)
        elif not MAGIC.startswith(magic):
            raise DamagedFrameError("not a segment")
