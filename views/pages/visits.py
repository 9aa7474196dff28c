"""A report of a page becomes a counted view, or a sign of life; each at most as often as it should."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from foundation.clock import Clock
from foundation.database import Database, Transaction
from foundation.errors import StorageUnavailable
from foundation.metrics import Metrics
from views.pages.active import ActiveSessions
from views.pages.model import Outcome, Room, Site, Visit
from views.pages.paths import Path
from views.pages.places import Spot
from views.pages.sums import add_visits


class PageVisits:
    """Counts views and sees sessions.

    Views that arrive while a commit is under way share the next one (``Database.write_together``): the buffer is the
    queue of the writer, it is as long as one commit takes, and a view is acknowledged when it can be read. So a read
    is exact for everything that was acknowledged, by any process, and a kill loses nothing of it.
    """

    def __init__(self, db: Database, active: ActiveSessions, clock: Clock, metrics: Metrics, room: Room) -> None:
        self._db = db
        self._active = active
        self._clock = clock
        self._add = partial(_add, room=room)
        reports = metrics.counter(
            "fediviews_page_reports", "Accepted reports of pages, by what became of them.", ["kind", "outcome"]
        )
        self._views = {outcome: reports.labels("view", outcome.value).inc for outcome in Outcome}
        self._beats = {outcome: reports.labels("heartbeat", outcome.value).inc for outcome in Outcome}

    async def view(
        self,
        site: Site,
        path: Path,
        session: bytes,
        alternate: bytes | None,
        *,
        referrer: str | None = None,
        country: str | None = None,
        title: str | None = None,
        page_type: str | None = None,
    ) -> Outcome:
        """Count a view, unless this session's view of this page counted less than ``view_dedup`` ago.

        ``alternate`` is the key by which the visitor may have come before midnight. Returns once it is committed.
        Raises StorageUnavailable.
        """
        who = await self._who(site, session, alternate)
        claim = await self._active.claim(site.number, path, who)
        if claim is None:
            self._views[Outcome.ALREADY_COUNTED]()
            return Outcome.ALREADY_COUNTED
        visit = Visit(site.number, path, who, self._clock.now_ms(), referrer, country, title, page_type)
        try:
            await self._db.write_together(self._add, visit)
        except StorageUnavailable:
            await self._active.release(site.number, claim)
            raise
        self._views[Outcome.COUNTED]()
        return Outcome.COUNTED

    async def heartbeat(
        self, site: Site, path: Path, session: bytes, alternate: bytes | None, spot: Spot | None
    ) -> Outcome:
        """The session is on this page. Raises StorageUnavailable."""
        who = await self._who(site, session, alternate)
        seen = await self._active.seen(site.number, path, who, spot)
        outcome = Outcome.COUNTED if seen else Outcome.ALREADY_SEEN
        self._beats[outcome]()
        return outcome

    async def leave(self, site: Site, session: bytes, alternate: bytes | None) -> Outcome:
        """The session has left the site. Raises StorageUnavailable."""
        left = await self._active.leave(site.number, await self._who(site, session, alternate))
        outcome = Outcome.COUNTED if left else Outcome.NOT_HERE
        self._beats[outcome]()
        return outcome

    def ignored(self, outcome: Outcome, *, heartbeat: bool) -> Outcome:
        """Nobody did this: only counted as ignored."""
        (self._beats if heartbeat else self._views)[outcome]()
        return outcome

    async def _who(self, site: Site, session: bytes, alternate: bytes | None) -> bytes:
        """Whoever came before midnight and is still here keeps yesterday's key."""
        if alternate is None or await self._active.is_here(site.number, session):
            return session
        return alternate if await self._active.is_here(site.number, alternate) else session


async def _add(tx: Transaction, visits: Sequence[Visit], *, room: Room) -> Sequence[None]:
    await add_visits(tx, visits, room)
    return [None] * len(visits)
