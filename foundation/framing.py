"""Payloads in files, each with its length and a checksum, so that an end torn by a crash is told from a whole one."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

HEAD = struct.Struct("<II")
"""Length of the payload and its CRC-32; the CRC also covers the length."""

MAX_PAYLOAD = 2**30


class DamagedFrameError(Exception):
    """A frame is not what was written; what came before it was read. Never leaves whoever reads files."""


def frame(payload: bytes) -> bytes:
    """A payload as it stands in a file."""
    return HEAD.pack(len(payload), _crc(payload)) + payload


def read_frames(file: BinaryIO) -> Iterator[bytes]:
    """Payloads in order, from where the file stands. A torn end is the end; anything else that is wrong raises
    DamagedFrameError."""
    while len(head := file.read(HEAD.size)) == HEAD.size:
        length, crc = HEAD.unpack(head)
        if length > MAX_PAYLOAD:
            raise DamagedFrameError("impossible length")
        payload = file.read(length)
        if len(payload) < length:
            return
        if _crc(payload) != crc:
            raise DamagedFrameError("checksum")
        yield payload


def write_all(fd: int, data: bytes) -> int:
    """As ``os.write``, until everything is written; how many bytes that were. Raises OSError: a part may be written."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
    return len(data)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory survive a power cut."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _crc(payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(len(payload).to_bytes(4, "little")))
