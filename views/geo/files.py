"""The files behind GeoIP databases: written aside, checked, swapped in; a note says where they came from.

Everything here blocks on the disk and belongs into a thread, except `Incoming.write`, which goes there by itself.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import random
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import maxminddb
import msgspec

from views.geo.places import NOWHERE, Attribution, Reader, attribution_of, read_place

MAX_DATABASE_BYTES = 500_000_000
"""Longest file that is kept, unpacked."""

LEFT_AFTER_MS = 86_400_000
"""No download takes a day."""

_PIECE = 1 << 20
_GZIP = b"\x1f\x8b"
_RECORDS_LOOKED_AT = 2_000
_ADDRESSES_TRIED = 256


class BadDatabaseError(Exception):
    """A file that is no database of places; the message says why and may be shown to administrators."""


class Note(msgspec.Struct, frozen=True):
    """What is remembered of a database between runs: a fingerprint of its source, and when it was brought in."""

    origin: str
    brought_ms: int
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Database:
    """An open database; ``built_s`` is when its maker built it, Unix seconds."""

    reader: Reader
    built_s: int
    attribution: Attribution | None


class Store:
    """The place of one database: ``<directory>/<name>.mmdb`` and its note beside it."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.file = directory / f"{name}.mmdb"
        self.note = directory / f"{name}.json"
        self._prefix = f"{name}.new-"

    def open(self) -> tuple[Database, Note] | BadDatabaseError | None:
        """What was brought in before, by this process or another one that shares the directory; if anything."""
        if not self.file.exists():
            return None
        note = self.noted()
        if note is None:
            return BadDatabaseError("its note cannot be read")
        try:
            return open_checked(self.file, note.hint), note
        except BadDatabaseError as problem:
            return problem

    def noted(self) -> Note | None:
        """What the note says now; None without a readable one."""
        try:
            return msgspec.json.decode(self.note.read_bytes(), type=Note)
        except (OSError, msgspec.DecodeError):
            return None

    def tidy(self, now_ms: int) -> None:
        """Throw away what runs that were killed left behind; what is new may be another process's work."""
        with suppress(OSError):
            for left in self.directory.glob(self._prefix + "*"):
                if abs(now_ms - left.stat().st_mtime * 1000) > LEFT_AFTER_MS:
                    left.unlink(missing_ok=True)

    @staticmethod
    def origin_of(path: Path | None, url: str | None) -> str | None:
        """A fingerprint that changes when the source does: of the URL (which may hold a licence key), or of the file's
        name, size and time. None when there is no such file."""
        if path is None:
            text = f"url {url}"
        else:
            try:
                found = path.stat()
            except OSError:
                return None
            text = f"path {path} {found.st_size} {found.st_mtime_ns}"
        return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()

    @contextmanager
    def incoming(self) -> Iterator[Incoming]:
        """A file to fill; whatever was not installed is gone afterwards."""
        self.directory.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=self._prefix, dir=self.directory)
        with os.fdopen(handle, "w+b") as file:
            incoming = Incoming(self, file, Path(name))
            try:
                yield incoming
            finally:
                incoming.discard()


class Incoming:
    """A database on its way in."""

    def __init__(self, store: Store, file: BinaryIO, path: Path) -> None:
        self._store = store
        self._file = file
        self._path = path
        self._pending = bytearray()

    async def write(self, piece: bytes) -> None:
        """The next piece. Raises BadDatabaseError when the disk does not take it."""
        self._pending += piece
        if len(self._pending) >= _PIECE:
            full, self._pending = self._pending, bytearray()
            await asyncio.to_thread(self._put, full)

    def copy(self, source: Path) -> None:
        """All of a local file. Raises BadDatabaseError."""
        try:
            with source.open("rb") as origin:
                self._pour(origin)
        except OSError as problem:
            raise BadDatabaseError(f"the file cannot be read or copied: {problem.strerror}") from None

    def install(self, note: Note, hint: str) -> tuple[Database, Note]:
        """Unpack, check, and let it take the place of the one before. Raises BadDatabaseError, OSError.

        ``hint`` tells whose data it is when the file itself does not; of a URL only what names the maker is kept.
        """
        self._put(bytes(self._pending))
        self._pending = bytearray()
        self._unpack()
        self._file.flush()
        os.fsync(self._file.fileno())
        known = attribution_of(hint)
        kept = Note(note.origin, note.brought_ms, "" if known is None else known.text)
        database = open_checked(self._path, kept.hint)
        os.replace(self._path, self._store.file)
        aside = self._path.with_suffix(".note")
        aside.write_bytes(msgspec.json.encode(kept))
        os.replace(aside, self._store.note)
        return database, kept

    def discard(self) -> None:
        self._path.unlink(missing_ok=True)

    def _put(self, piece: bytes | bytearray) -> None:
        try:
            self._file.write(piece)
        except OSError as problem:
            raise BadDatabaseError(f"the disk does not take it: {problem.strerror}") from None

    def _unpack(self) -> None:
        """If it is compressed by gzip, put what is inside in its place."""
        self._file.seek(0)
        if self._file.read(2) != _GZIP:
            return
        self._file.seek(0)
        with tempfile.TemporaryFile(dir=self._store.directory) as packed:
            while piece := self._file.read(_PIECE):
                packed.write(piece)
            packed.seek(0)
            self._file.seek(0)
            self._file.truncate()
            try:
                with gzip.open(packed) as inside:
                    self._pour(inside)
            except (EOFError, gzip.BadGzipFile, zlib.error):
                raise BadDatabaseError("its compression is damaged or cut short") from None

    def _pour(self, origin: Any) -> None:
        size = 0
        while piece := origin.read(_PIECE):
            size += len(piece)
            if size > MAX_DATABASE_BYTES:
                raise BadDatabaseError(f"more than {MAX_DATABASE_BYTES} bytes")
            self._put(piece)


def open_checked(path: Path, hint: str) -> Database:
    """Open a file after a look at its index and at its first records. Raises BadDatabaseError."""
    try:
        reader = maxminddb.open_database(path)
        described = reader.metadata()
        _try_addresses(reader)
        known = any(read_place(record) != NOWHERE for _, record in islice(reader, _RECORDS_LOOKED_AT))
        built_s, kind, texts = described.build_epoch, described.database_type, described.description
    except OSError as problem:
        raise BadDatabaseError(f"the file cannot be read: {problem.strerror}") from None
    except Exception as problem:
        # The reader raises whatever a damaged file makes it stumble over.
        raise BadDatabaseError(f"not an mmdb file, or a damaged one ({type(problem).__name__})") from None
    if not known:
        raise BadDatabaseError("there is no country and no subdivision in it")
    said = attribution_of(str(kind), *map(str, texts.values()))
    return Database(reader, int(built_s), said or attribution_of(hint))


def _try_addresses(reader: maxminddb.Reader) -> None:
    """Go down many branches of the index; where it is damaged, this stumbles."""
    chance = random.Random(0)  # noqa: S311
    for _ in range(_ADDRESSES_TRIED):
        reader.get(IPv4Address(chance.getrandbits(32)))
        if reader.metadata().ip_version == 6:
            reader.get(IPv6Address(chance.getrandbits(125) | 1 << 125))
