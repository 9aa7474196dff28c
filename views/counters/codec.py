"""Changes of live state as bytes, and back; pure.

A batch is one payload: its base instant (int64, Unix ms), then records, each a kind byte and its fields, little endian.
Instants that belong to many (viewers, claims) are u32 offsets from the base, 0 = over. Sources are numbered per
segment; a batch that uses a new one names it first.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Mapping

from views.counters.base import MarkedTotal, Told, Total
from views.counters.records import Recorder


class Kind(enum.IntEnum):
    """What a record says. Numbers are written in files: never reuse one."""

    SOURCE = 1
    TOUCHED = 2
    TOTAL = 3
    TOLD = 4
    PROGRESS = 5
    CLAIMED = 6
    SOURCE_FORGOTTEN = 7
    VIDEO_FORGOTTEN = 8
    CLAIMS_FORGOTTEN = 9
    PROGRESS_FORGOTTEN = 10
    MARK = 11


_BASE = struct.Struct("<q")
_SOURCE = struct.Struct("<BIB")
_GROUP = struct.Struct("<BqII")
_LIFE = struct.Struct("<16sI")
_TOTAL = struct.Struct("<Bqqqqqq")
_TOLD = struct.Struct("<Bq16sqqq")
_PROGRESS = struct.Struct("<Bq16sqI")
_NUMBER = struct.Struct("<Bq")
_SOURCE_REF = struct.Struct("<BI")
_MARK = struct.Struct("<BqqqB")
_FINGERPRINT_BYTES = 8
_FARTHEST = 2**32 - 1


class CorruptBatchError(Exception):
    """The bytes are no batch of ours; never leaves the journal."""


class SourceTable:
    """Numbers of the sources named in one segment."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, source: str, out: list[bytes]) -> int:
        """The number of a source; a new one is named in ``out`` first."""
        number = self._numbers.get(source)
        if number is None:
            number = self._numbers[source] = len(self._numbers)
            name = source.encode()[:255]
            out.append(_SOURCE.pack(Kind.SOURCE, number, len(name)) + name)
        return number


def batch_start(base_ms: int) -> bytes:
    return _BASE.pack(base_ms)


def batch_base_ms(payload: bytes) -> int:
    """The instant at which a batch was written."""
    if len(payload) < _BASE.size:
        raise CorruptBatchError("short")
    return int(_BASE.unpack_from(payload)[0])


def lives_records(kind: Kind, base_ms: int, video: int, source: int, lives: Mapping[bytes, int]) -> bytes:
    """TOUCHED or CLAIMED: the ends of several viewers; an end of 0 says that the viewer is gone.

    They are written in the order in which they end, which is cheapest to put back.
    """
    pack = _LIFE.pack
    offsets = ((max(0, min(end - base_ms, _FARTHEST)), viewer) for viewer, end in lives.items())
    return _GROUP.pack(kind, video, source, len(lives)) + b"".join(pack(key, offset) for offset, key in sorted(offsets))


def total_record(video: int, total: Total) -> bytes:
    return _TOTAL.pack(Kind.TOTAL, video, total.count, total.expires_ms, total.order_ms, total.ours, total.granted_ms)


def mark_record(video: int, marked: MarkedTotal) -> bytes:
    head = _MARK.pack(Kind.MARK, video, marked.order_ms, marked.until_ms, len(marked.seen))
    return head + b"".join(map(bytes.fromhex, marked.seen))


def told_record(video: int, told: Told) -> bytes:
    return _TOLD.pack(Kind.TOLD, video, told.viewer, told.since_ms, told.told_expires_ms, told.acked_ms)


def progress_records(items: Iterable[tuple[int, bytes, bytes, int]]) -> bytes:
    """(video, viewer, blob, expires_ms) each; an empty blob says that it was dropped."""
    return b"".join(
        _PROGRESS.pack(Kind.PROGRESS, video, viewer, expires_ms, len(blob)) + blob
        for video, viewer, blob, expires_ms in items
    )


def source_forgotten_record(source: int) -> bytes:
    return _SOURCE_REF.pack(Kind.SOURCE_FORGOTTEN, source)


def video_forgotten_record(kind: Kind, video: int) -> bytes:
    return _NUMBER.pack(kind, video)


class Decoder:
    """Says the records of one segment's batches to a recorder."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._sources: dict[int, str] = {}
        self.records = 0

    def batch(self, payload: bytes) -> None:
        """Raises CorruptBatchError where the payload is not what the encoder writes."""
        try:
            self._batch(payload)
        except (struct.error, KeyError, UnicodeDecodeError, ValueError) as error:
            raise CorruptBatchError(str(error)) from error

    def _batch(self, payload: bytes) -> None:
        base_ms = batch_base_ms(payload)
        at = _BASE.size
        while at < len(payload):
            self.records += 1
            kind = Kind(payload[at])
            if kind in (Kind.TOUCHED, Kind.CLAIMED):
                at = self._lives(kind, payload, at, base_ms)
            elif kind is Kind.SOURCE:
                _, number, size = _SOURCE.unpack_from(payload, at)
                at += _SOURCE.size + size
                self._sources[number] = payload[at - size : at].decode()
            elif kind is Kind.PROGRESS:
                _, video, viewer, expires_ms, size = _PROGRESS.unpack_from(payload, at)
                at += _PROGRESS.size + size
                self._recorder.progress_put(video, viewer, payload[at - size : at], expires_ms)
            elif kind is Kind.MARK:
                at = self._mark(payload, at)
            else:
                at = self._fixed(kind, payload, at)

    def _lives(self, kind: Kind, payload: bytes, at: int, base_ms: int) -> int:
        _, video, source_number, count = _GROUP.unpack_from(payload, at)
        at += _GROUP.size
        end: int = at + count * _LIFE.size
        if end > len(payload):
            raise CorruptBatchError("short")
        recorder = self._recorder
        source = self._sources[source_number] if kind is Kind.TOUCHED else ""
        self.records += count
        for viewer, offset in _LIFE.iter_unpack(payload[at:end]):
            if kind is Kind.CLAIMED:
                if offset:
                    recorder.view_claimed(video, viewer, base_ms + offset)
                else:
                    recorder.view_released(video, viewer)
            elif offset:
                recorder.viewer_touched(video, source, viewer, base_ms + offset)
            else:
                recorder.viewer_left(video, source, viewer)
        return end

    def _mark(self, payload: bytes, at: int) -> int:
        _, video, order_ms, until_ms, count = _MARK.unpack_from(payload, at)
        at += _MARK.size
        end: int = at + count * _FINGERPRINT_BYTES
        if end > len(payload) or not count:
            raise CorruptBatchError("short")
        seen = tuple(payload[one : one + _FINGERPRINT_BYTES].hex() for one in range(at, end, _FINGERPRINT_BYTES))
        self._recorder.total_marked(video, MarkedTotal(order_ms, until_ms, seen))
        return end

    def _fixed(self, kind: Kind, payload: bytes, at: int) -> int:
        recorder = self._recorder
        if kind is Kind.TOTAL:
            _, video, count, expires_ms, order_ms, ours, granted_ms = _TOTAL.unpack_from(payload, at)
            recorder.total_put(video, Total(count, expires_ms, order_ms, ours, granted_ms))
            return at + _TOTAL.size
        if kind is Kind.TOLD:
            _, video, viewer, since_ms, told_expires_ms, acked_ms = _TOLD.unpack_from(payload, at)
            recorder.viewer_told(video, Told(viewer, since_ms, told_expires_ms, acked_ms))
            return at + _TOLD.size
        if kind is Kind.SOURCE_FORGOTTEN:
            recorder.source_forgotten(self._sources[_SOURCE_REF.unpack_from(payload, at)[1]])
            return at + _SOURCE_REF.size
        video = int(_NUMBER.unpack_from(payload, at)[1])
        if kind is Kind.CLAIMS_FORGOTTEN:
            recorder.claims_forgotten(video)
        elif kind is Kind.PROGRESS_FORGOTTEN:
            recorder.progress_forgotten(video)
        else:
            recorder.video_forgotten(video)
        return at + _NUMBER.size
