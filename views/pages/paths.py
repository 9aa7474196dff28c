"""What a path is: one spelling for one page, bounded, harmless to store and to show. Pure."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote

from foundation.urls import authority

MAX_PATH_BYTES = 1_024
"""Of a path in UTF-8; what is longer is cut."""

MAX_KEY_BYTES = 200
"""Of a path's key: it is a name in the live store and in an index."""

OTHER = "*"
"""Key and text of all paths (or hosts) together for which there was no room; no path is spelled like this."""

_MAX_LOOKED_AT = 16_384
_HEAD_BYTES = 160
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+", re.ASCII)
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})", re.ASCII)
_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://[^/?#]*", re.ASCII)
_CUT_ESCAPE = re.compile(r"%[0-9A-F]?\Z", re.ASCII)
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PLAIN = _UNRESERVED | frozenset("/!$&'()*+,;=:@%")
"""What may stand in a path as it is (RFC 3986 section 3.3), and the percent sign of an escape."""


@dataclass(frozen=True, slots=True)
class Path:
    """``text`` is for people, ``key`` names it: the same text, unless that is long, then its head and a digest."""

    text: str
    key: str


def normalised(said: str) -> Path | None:
    """The page a browser or a log names; None when nothing is left of it.

    Without scheme and host, query and fragment. Escapes of letters are resolved, in any language; all others are kept,
    in upper case; what may not stand in a path is escaped. Dot segments and empty segments are resolved, in NFC.
    """
    text = _ORIGIN.sub("", said[:_MAX_LOOKED_AT].strip(), count=1)
    text = re.split(r"[?#]", text, maxsplit=1)[0]
    if not text and not said.strip():
        return None
    text = _LONE_PERCENT.sub("%25", text)
    text = unicodedata.normalize("NFC", _ESCAPES.sub(_resolved, text))
    text = "".join(map(_spelled, text))
    text = _segments(_cut(_segments(text), MAX_PATH_BYTES))
    return Path(text, _key(text))


def referrer_host(said: str, own_host: str) -> str | None:
    """The host that a referrer names; None for the site itself, and for anything that is no web address."""
    host = authority(said)
    return None if host is None or host == own_host or host == f"www.{own_host}" else host


def _resolved(match: re.Match[str]) -> str:
    """A run of escapes: those that stand for letters become letters."""
    raw = bytes.fromhex(match[0].replace("%", ""))
    found: list[str] = []
    for piece in raw.decode("utf-8", "surrogateescape"):
        code = ord(piece)
        if 0xDC80 <= code <= 0xDCFF:
            found.append(f"%{code - 0xDC00:02X}")
        elif piece in _UNRESERVED or (code > 127 and _is_showable(piece)):
            found.append(piece)
        else:
            found.append(quote(piece, safe=""))
    return "".join(found)


def _spelled(character: str) -> str:
    if character in _PLAIN or (ord(character) > 127 and _is_showable(character)):
        return character
    return quote(character.encode("utf-8", "surrogatepass"), safe="")


def _is_showable(character: str) -> bool:
    """Neither a control, nor blank, nor invisible (which might turn text around on a page), nor half a character."""
    return character.isprintable() and not character.isspace()


def _segments(text: str) -> str:
    """Absolute, without ``.``, ``..`` (RFC 3986 section 5.2.4) and empty segments; a slash at the end stays."""
    kept: list[str] = []
    segments = text.split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    slash = "/" if kept and segments[-1] in ("", ".", "..") else ""
    return "/" + "/".join(kept) + slash


def _cut(text: str, most: int) -> str:
    raw = text.encode()
    if len(raw) <= most:
        return text
    return _CUT_ESCAPE.sub("", raw[:most].decode("utf-8", "ignore"))


def _key(text: str) -> str:
    raw = text.encode()
    if len(raw) <= MAX_KEY_BYTES:
        return text
    # A bare number sign is in no path: it is always escaped.
    return raw[:_HEAD_BYTES].decode("utf-8", "ignore") + "#" + hashlib.sha256(raw).hexdigest()[:32]
