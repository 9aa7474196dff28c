"""One file of a spool: entries of one process, whose lock says that it lives. Everything here blocks on the disk.

``<created, Unix ms>-<id>.spool``: a magic, the id, then framed entries. The file of a process that is no more can be
locked by any other, which then replays it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import msgspec

from foundation.framing import HEAD, DamagedFrameError, frame, read_frames, sync_directory, write_all

MAGIC = b"FVSPOOL1"
ID_BYTES = 16
START = len(MAGIC) + ID_BYTES
"""Where the first entry begins."""


_AT_A_TIME = 1_000


class Entry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``kind`` says who replays it."""

    kind: str
    at_ms: int
    payload: bytes


class Placed(NamedTuple):
    """An entry, and where the next one begins."""

    entry: Entry
    end: int


_decoder = msgspec.msgpack.Decoder(Entry)


def framed(entry: Entry) -> bytes:
    """An entry as it stands in a file."""
    return frame(msgspec.msgpack.encode(entry))


class SpoolFile:
    """Locked by this process from ``create`` or ``take_over`` to ``close`` or ``remove``.

    ``size`` is where whole, synchronised entries end; ``suspect`` that something in it could not be read or replayed.
    """

    def __init__(self, path: Path, fd: int, name: bytes, size: int) -> None:
        self.path = path
        self.id = name
        self.size = size
        self.suspect = False
        self._fd = fd

    @classmethod
    def create(cls, directory: Path, now_ms: int) -> SpoolFile:
        """Raises OSError."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = secrets.token_bytes(ID_BYTES)
        path = directory / f"{now_ms:015d}-{name.hex()}.spool"
        # Locked before it can be seen: else somebody who looks for files left behind would take it for one.
        aside = path.with_suffix(".new")
        fd = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            write_all(fd, MAGIC + name)
            os.fsync(fd)
            aside.rename(path)
            sync_directory(directory)
        except OSError:
            os.close(fd)
            aside.unlink(missing_ok=True)
            raise
        return cls(path, fd, name, START)

    @classmethod
    def take_over(cls, path: Path) -> SpoolFile | None:
        """The file of a process that is no more; None while it lives, or when nothing is left of it. Raises OSError."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            head = os.pread(fd, START, 0)
            if not path.exists() or not os.path.samestat(os.fstat(fd), path.stat()):
                os.close(fd)
                return None
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError:
            os.close(fd)
            raise
        file = cls(path, fd, head[len(MAGIC) :], START)
        file.suspect = len(head) < START or not head.startswith(MAGIC)
        return file

    def scan(self) -> Counter[str]:
        """How many whole entries of each kind there are; ``size`` is where they end. What a crash tore off was
        acknowledged to nobody. Raises OSError."""
        kinds: Counter[str] = Counter()
        end, size = START, 0 if self.suspect else os.fstat(self._fd).st_size
        while entries := self._read(end, _AT_A_TIME, size):
            kinds.update(placed.entry.kind for placed in entries)
            end = entries[-1].end
        self.size = end
        return kinds

    def append(self, entries: bytes) -> None:
        """Write framed entries and make them survive a power cut. Raises OSError: none of them is in the file then."""
        try:
            write_all(self._fd, entries)
            os.fsync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise
        self.size += len(entries)

    def read(self, start: int, most: int) -> list[Placed]:
        """Entries from ``start`` on, at most so many. Raises OSError."""
        found = self._read(start, most, self.size)
        if not found and start < self.size:
            self.suspect = True
        return found

    def _read(self, start: int, most: int, size: int) -> list[Placed]:
        found: list[Placed] = []
        with open(os.dup(self._fd), "rb") as file:
            file.seek(start)
            try:
                for payload in read_frames(file):
                    end = start + HEAD.size + len(payload)
                    if end > size:
                        break
                    found.append(Placed(_decoder.decode(payload), end))
                    start = end
                    if len(found) == most:
                        break
            except (DamagedFrameError, msgspec.MsgspecError):
                self.suspect = True
        return found

    def remove(self) -> None:
        """Everything in it was replayed. What is suspect is put aside instead, for people."""
        if self.suspect:
            self.path.rename(self.path.with_suffix(".aside"))
        else:
            self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Leave it to whoever starts next."""
        os.close(self._fd)


def left_behind(directory: Path) -> list[Path]:
    """Names of spool files, the oldest first; whether their process lives is not known yet."""
    return sorted(directory.glob("*.spool")) if directory.is_dir() else []
