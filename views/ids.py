"""The three names of a video in paths and bodies: integer, UUID, short UUID (PeerTube takes each everywhere)."""

from __future__ import annotations

import re

SHORT_ALPHABET = "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
"""Flickr's base 58, which the npm package ``short-uuid`` uses by default and PeerTube with it."""

SHORT_LENGTH = 22
"""Digits that 128 bits need in base 58; shorter numbers are padded with the alphabet's first character."""

VideoRef = int | str
"""What a client meant: the integer is ``Video.number``, the text a UUID in canonical form."""

_INTEGER = re.compile(r"[0-9]{1,18}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)
_DIGITS = {character: value for value, character in enumerate(SHORT_ALPHABET)}


def canonical_uuid(text: str) -> str | None:
    """The UUID in lower case with its four hyphens, of whatever version; None for anything else (RFC 9562, 4)."""
    return text.lower() if _UUID.fullmatch(text) else None


def is_uuid4(text: str) -> bool:
    """Is it a canonical UUID of version 4? PeerTube takes no other from a Video document."""
    return _UUID4.fullmatch(text) is not None


def short_uuid(uuid: str) -> str:
    """The short form of a canonical UUID, as in ``/w/{short}``."""
    number = int(uuid.replace("-", ""), 16)
    digits = []
    while number:
        number, digit = divmod(number, len(SHORT_ALPHABET))
        digits.append(SHORT_ALPHABET[digit])
    return "".join(reversed(digits)).rjust(SHORT_LENGTH, SHORT_ALPHABET[0])


def long_uuid(short: str) -> str | None:
    """The canonical UUID of a short form; None when it is none (length, alphabet, more than 128 bits)."""
    if len(short) != SHORT_LENGTH:
        return None
    number = 0
    for character in short:
        digit = _DIGITS.get(character)
        if digit is None:
            return None
        number = number * len(SHORT_ALPHABET) + digit
    if number >> 128:
        return None
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def parse_video_ref(text: str) -> VideoRef | None:
    """What ``text`` refers to, or None when it cannot be the name of any video."""
    if _INTEGER.fullmatch(text):
        return int(text)
    return canonical_uuid(text) or long_uuid(text)
