"""How a peer wants our requests signed: as configured, or found out by knocking a second time and remembered. Pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass

HOUR_MS = 3_600_000
REMEMBERED_MS = 7 * 24 * HOUR_MS
"""A peer that wants RFC 9421 is asked again after this whether it takes the draft by now."""
OLD_KEY_MS = HOUR_MS
"""Likewise one that knows only our key of before."""
VAIN_MS = HOUR_MS
"""A peer that refused every way is not tried in a second way again for so long."""

_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN = 400, 401, 403
REFUSALS = frozenset({_BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN})


class Way(enum.StrEnum):
    """One way to sign."""

    CAVAGE = "cavage"
    RFC9421 = "rfc9421"
    ED25519 = "ed25519"
    """RFC 9421 by our Ed25519 key."""
    OLD_KEY = "old_key"
    """Draft-cavage by the key that the last rotation replaced."""


class SignatureMode(enum.Enum):
    """What the configuration says of a peer; AUTO: the draft, and what was found out."""

    AUTO = "auto"
    CAVAGE = "cavage"
    RFC9421 = "rfc9421"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class Found:
    """What knocking taught: the ``way`` that worked at ``at_ms`` (wall time), None when no second way did."""

    way: Way | None
    at_ms: int


def first_way(mode: SignatureMode, found: Found | None, now_ms: int) -> Way:
    """How the next request is signed."""
    if mode is not SignatureMode.AUTO:
        usual = Way(mode.value)
        return Way.OLD_KEY if usual is Way.CAVAGE and _holds(found, Way.OLD_KEY, now_ms) else usual
    if found is not None and found.way is not None and _holds(found, found.way, now_ms):
        return found.way
    return Way.CAVAGE


def other_ways(
    mode: SignatureMode,
    used: Way,
    status: int | None,
    found: Found | None,
    now_ms: int,
    *,
    old_key: bool,
    rotated_ms: int = 0,
) -> tuple[Way, ...]:
    """What to try after a refusal, in order; nothing when that was in vain lately, with the keys of now
    (``rotated_ms``: since when they are in use).

    400 and 401 may mean the scheme (Fedify answers either); 401 and 403 the key (PeerTube: 403), while ``old_key`` says
    that there is one before ours that a peer may still hold.
    """
    vain = found is not None and found.way is None and found.at_ms >= rotated_ms and _within(found, VAIN_MS, now_ms)
    if status not in REFUSALS or vain:
        return ()
    ways = []
    if old_key and status != _BAD_REQUEST and mode in (SignatureMode.AUTO, SignatureMode.CAVAGE):
        ways.append(Way.OLD_KEY)
    if used is Way.OLD_KEY or (status != _FORBIDDEN and mode is SignatureMode.AUTO):
        ways.append(Way.CAVAGE)
    if status != _FORBIDDEN and mode is SignatureMode.AUTO:
        ways.append(Way.RFC9421)
    return tuple(way for way in ways if way is not used)


def _within(found: Found, life_ms: int, now_ms: int) -> bool:
    return 0 <= now_ms - found.at_ms < life_ms


def _holds(found: Found | None, way: Way, now_ms: int) -> bool:
    life_ms = OLD_KEY_MS if way is Way.OLD_KEY else REMEMBERED_MS
    return found is not None and found.way is way and _within(found, life_ms, now_ms)
