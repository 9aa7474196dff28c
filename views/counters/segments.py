"""Files of CRC-framed batches: appended, cut into segments, deleted when too old, read back up to the first damage."""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

MAGIC = b"FVLIVE1\n"
_FRAME = struct.Struct("<II")
"""Length of the payload and its CRC-32; the CRC also covers the length."""

_MAX_PAYLOAD = 2**30


def _crc(payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(len(payload).to_bytes(4, "little")))


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
        self._closed: list[tuple[int, Path]] = []
        existing = segment_paths(directory, stream)
        self._number = _number_of(existing[-1]) if existing else 0

    def adopt(self, path: Path, last_ms: int) -> None:
        """A segment of an earlier run, to be deleted when its time has come."""
        self._closed.append((last_ms, path))

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
        self._size = self._write(MAGIC)
        self._delete_old(now_ms)

    def append(self, payload: bytes, now_ms: int) -> int:
        """Write one frame; its size in bytes. After an OSError the segment is closed: the frame may be torn."""
        try:
            size = self._write(_FRAME.pack(len(payload), _crc(payload)) + payload)
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
            self._closed.append((self._last_ms, self._path))

    def _write(self, data: bytes) -> int:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        return len(data)

    def _delete_old(self, now_ms: int) -> None:
        old = [path for last_ms, path in self._closed if last_ms + self._keep_ms <= now_ms]
        self._closed = [(last_ms, path) for last_ms, path in self._closed if last_ms + self._keep_ms > now_ms]
        for path in old:
            path.unlink(missing_ok=True)


def _number_of(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])


def segment_paths(directory: Path, stream: str) -> list[Path]:
    """The segments of a stream, oldest first."""
    name = re.compile(re.escape(stream) + r"-\d{10}\.log\Z")
    return sorted((path for path in directory.iterdir() if name.match(path.name)), key=_number_of)


class DamagedSegmentError(Exception):
    """A frame does not match its checksum; what came before it was read. Never leaves the journal."""


def read_segment(path: Path) -> Iterator[bytes]:
    """Payloads in order. A torn end is the end; anything else that is wrong raises DamagedSegmentError."""
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
        if magic != MAGIC:
            if MAGIC.startswith(magic):
                return
            raise DamagedSegmentError("not a segment")
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            length, crc = _FRAME.unpack(head)
            if length > _MAX_PAYLOAD:
                raise DamagedSegmentError("impossible length")
            payload = file.read(length)
            if len(payload) < length:
                return
            if _crc(payload) != crc:
                raise DamagedSegmentError("checksum")
            yield payload
