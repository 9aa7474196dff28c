"""Who is on which page now: sessions with an end each, in a counter store of their own.

Of a site (its number stands for the *video* of the store) every session is one viewer of ours, and one of its page and
one of its place: those are sources, told apart by their first letter. So every number is exact by the same expiry as
that of viewers, and shared between processes wherever they share theirs.

A session's page and place are kept beside it as watch progress is. Two signs of life of one session for two pages at
the same moment in two processes may leave it on both until it ends on the first; it is one visitor all the time.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from foundation.clock import Clock
from foundation.metrics import Metrics
from views.counters.base import CounterStore
from views.counters.progress import ProgressKeeper, ProgressStore, awaited
from views.model import LOCAL
from views.pages.model import Rules
from views.pages.paths import Path
from views.pages.places import Spot

_PLACE = "@"
"""How the name of a place begins; that of a page begins with a slash."""

_HEAD = struct.Struct("<qH")
"""When the session last gave a sign of life, and the length of its page's key; key and place follow."""


@dataclass(frozen=True, slots=True)
class Present:
    """Who is there: all sessions, and how many on each page (by key) and at each place."""

    visitors: int
    paths: Mapping[str, int]
    spots: Mapping[Spot, int]


@dataclass(frozen=True, slots=True)
class _Session:
    seen_ms: int
    key: str
    spot: str


class ActiveSessions:
    """Times are the caller's; every method may raise StorageUnavailable."""

    def __init__(
        self,
        counters: CounterStore,
        progress: ProgressStore | ProgressKeeper,
        clock: Clock,
        metrics: Metrics,
        rules: Rules,
    ) -> None:
        self._counters = counters
        self._sessions = awaited(progress)
        self._clock = clock
        self._rules = rules
        self._left = metrics.counter("fediviews_page_sessions_ended", "Sessions on pages that were cleared away.")

    async def seen(self, site: int, path: Path, session: bytes, spot: Spot | None) -> bool:
        """A sign of life on a page; False when the last one for the same page is less than the dedup ago.

        ``spot`` counts where the session begins and is not looked at again.
        """
        now_ms = self._clock.now_ms()
        before = await self._find(site, session, now_ms)
        moved = before is not None and before.key != path.key
        if before is not None and not moved and 0 <= now_ms - before.seen_ms < self._rules.heartbeat_dedup_ms:
            return False
        place = before.spot if before is not None else ("" if spot is None else _PLACE + spot.name)
        end_ms = now_ms + self._rules.session_timeout_ms
        names = [LOCAL, path.key, *([place] if place else [])]
        await asyncio.gather(*(self._counters.touch(site, name, session, end_ms, now_ms) for name in names))
        await self._sessions.put(site, session, _packed(_Session(now_ms, path.key, place)), end_ms)
        if before is not None and moved:
            await self._counters.leave(site, before.key, session, now_ms)
        return True

    async def leave(self, site: int, session: bytes) -> bool:
        """The session is gone now; True when it was here."""
        now_ms = self._clock.now_ms()
        before = await self._find(site, session, now_ms)
        if before is None:
            return False
        names = [LOCAL, before.key, *([before.spot] if before.spot else [])]
        await asyncio.gather(*(self._counters.leave(site, name, session, now_ms) for name in names))
        await self._sessions.pop(site, session)
        return True

    async def is_here(self, site: int, session: bytes) -> bool:
        return await self._counters.has(site, LOCAL, session, self._clock.now_ms())

    async def present(self, site: int) -> Present:
        """Exact at this moment."""
        reading = await self._counters.read(site, self._clock.now_ms())
        paths = {name: n for name, n in reading.peers.items() if not name.startswith(_PLACE)}
        spots = {Spot.named(name[1:]): n for name, n in reading.peers.items() if name.startswith(_PLACE)}
        return Present(reading.local, paths, spots)

    async def claim(self, site: int, path: Path, session: bytes) -> bytes | None:
        """The right to count this session's view of this page, to be given back with ``release``; None: it was counted
        less than ``view_dedup`` ago. Exactly that long ago counts again."""
        name = blake2b(session + path.key.encode(), digest_size=16).digest()
        now_ms = self._clock.now_ms()
        until_ms = now_ms + self._rules.view_dedup_ms
        return name if await self._counters.claim_view(site, name, until_ms, now_ms) else None

    async def release(self, site: int, claim: bytes) -> None:
        await self._counters.release_view(site, claim)

    async def sweep(self) -> None:
        """Clear away who has ended, all of them; several processes may do so at once."""
        now_ms = self._clock.now_ms()
        await self._counters.sweep(now_ms)
        self._left.inc(await self._sessions.hand_over(now_ms, _worth_nothing))

    async def _find(self, site: int, session: bytes, now_ms: int) -> _Session | None:
        blob = await self._sessions.get(site, session)
        known = None if blob is None else _unpacked(blob)
        if known is None or known.seen_ms + self._rules.session_timeout_ms <= now_ms:
            return None
        return known


def _worth_nothing(_video: int, _viewer: bytes, _blob: bytes) -> None:
    return None


def _packed(session: _Session) -> bytes:
    key = session.key.encode()
    return _HEAD.pack(session.seen_ms, len(key)) + key + session.spot.encode()


def _unpacked(blob: bytes) -> _Session | None:
    """None for what another version wrote."""
    try:
        seen_ms, length = _HEAD.unpack_from(blob)
        rest = blob[_HEAD.size :]
        return _Session(seen_ms, rest[:length].decode(), rest[length:].decode())
    except (struct.error, UnicodeDecodeError):
        return None
