"""Traits of a viewer as bytes that travel with its progress, and as the names that statistics count. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from views.stats.model import Traits

MAX_NAME = 200
"""Longest name kept, in characters (PeerTube 7.2 takes clients and systems of up to 200)."""

_Packed = tuple[str | None, str | None, str | None, str | None, str | None]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode
_UNKNOWN = Traits()


class Kind(enum.IntEnum):
    """What is counted by name; the numbers are in the database."""

    COUNTRY = 1
    SUBDIVISION = 2
    CLIENT = 3
    DEVICE = 4
    OPERATING_SYSTEM = 5


def named(traits: Traits) -> Iterator[tuple[Kind, str]]:
    """Those that are known."""
    for kind, name in zip(Kind, _fields(traits), strict=True):
        if name is not None:
            yield kind, name


def cleaned(text: str | None) -> str | None:
    """``text`` as it may be kept and shown: printable, bounded, None when nothing is left."""
    if text is None:
        return None
    if not text.isprintable():
        text = "".join(each for each in text if each.isprintable())
    return text.strip()[:MAX_NAME] or None


def pack(traits: Traits) -> bytes:
    """A few bytes; none when nothing is known."""
    return b"" if traits == _UNKNOWN else _encode(_fields(traits))


def unpack(packed: bytes) -> Traits:
    """What `pack` wrote; nothing known for anything else."""
    if not packed:
        return _UNKNOWN
    try:
        return Traits(*_decode(packed))
    except msgspec.MsgspecError:
        return _UNKNOWN


def _fields(traits: Traits) -> _Packed:
    return traits.country, traits.subdivision, traits.client, traits.device, traits.operating_system
