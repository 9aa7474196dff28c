"""Brings history in and counts anew, chunk by chunk; each chunk and how far it has come are one transaction.

So a job that was killed goes on behind its last chunk, two processes at one job take turns, and whatever is started
again changes nothing. Sums are those of a full recount at any time, because both are made by ``sums.count``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import IO

from sqlalchemy import bindparam, delete, false, select, update

from foundation.addresses import parse_address
from foundation.clock import Clock
from foundation.database import Database, Transaction
from views.pages.jobs import RECOUNT, Job, Status, jobs, keep, take
from views.pages.merging import only_new
from views.pages.model import Room, Rules, Site, Visit
from views.pages.naming import lock_sites
from views.pages.paths import referrer_host
from views.pages.sources.record import Record, Source
from views.pages.sums import Kept, add_visits, count
from views.pages.tables import page_counts, page_series, page_sites, page_visitors, page_visits

Locate = Callable[[str], str | None]
"""The country (ISO 3166-1 alpha-2) of an address; it neither raises nor waits, and keeps nothing."""

SessionThen = Callable[[str, str | None, str, str, int], bytes]
"""``views.sessions.Identity.visitor_then``."""

_FUTURE_MS = 86_400_000
"""What is dated later than this from now was not written by a clock that is right."""


@dataclass(frozen=True, slots=True)
class History:
    """What is to be brought in, and the name that its job has for ever (a digest)."""

    job: str
    site: Site
    source: Source
    file: IO[bytes]
    size: int


def _unknown(_: str) -> str | None:
    return None


class Backfill:
    """``batch`` records or visits make one chunk. What is older than ``max_age_ms`` is not brought in. ``country_of``
    is asked about the addresses of records that name no country.

    Every method may raise StorageUnavailable; start again then.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        session_then: SessionThen,
        *,
        rules: Rules,
        room: Room,
        batch: int,
        max_age_ms: int | None,
        country_of: Locate = _unknown,
    ) -> None:
        self._db = db
        self._clock = clock
        self._session_then = session_then
        self._rules = rules
        self._room = room
        self._batch = batch
        self._max_age_ms = max_age_ms
        self._country_of = country_of

    async def jobs(self) -> list[Job]:
        return await jobs(self._db)

    async def bring_in(self, history: History) -> AsyncIterator[Job]:
        """The job after every chunk, until it is done. What was brought in before is not counted again."""
        job = await self._db.write(partial(self._begin_file, history=history))
        yield job
        while job.status is not Status.DONE:
            chunk = await asyncio.to_thread(self._read, history, job.cursor)
            job = await self._db.write(partial(self._file_chunk, history=history, expected=job, chunk=chunk))
            yield job

    async def recount(self, *, anew: bool = False) -> AsyncIterator[Job]:
        """Put every visit that is not in the sums into them. ``anew``: forget the sums first, unless that has been done
        and is not through yet. Numbers are too low meanwhile; views that come in are counted all the same.
        """
        job = await self._db.write(partial(self._begin_recount, anew=anew))
        yield job
        while job.status is not Status.DONE:
            job = await self._db.write(self._visits_chunk)
            yield job

    # Files

    async def _begin_file(self, tx: Transaction, history: History) -> Job:
        now_ms = self._clock.now_ms()
        new = Job(history.job, history.site.number, size=history.size, started_ms=now_ms, updated_ms=now_ms)
        return await take(tx, new)

    def _read(self, history: History, cursor: int) -> Sequence[tuple[int, Record | None]]:
        return list(islice(history.source.read(history.file, cursor), self._batch))

    async def _file_chunk(
        self, tx: Transaction, history: History, expected: Job, chunk: Sequence[tuple[int, Record | None]]
    ) -> Job:
        job = await take(tx, expected)
        if (job.cursor, job.status) != (expected.cursor, expected.status):
            # Another process has done this chunk; we go on behind it.
            return job
        now_ms = self._clock.now_ms()
        site = history.site
        oldest_ms = 0 if self._max_age_ms is None else now_ms - self._max_age_ms
        visits = [
            self._visit(site, record)
            for _, record in chunk
            if record is not None and oldest_ms <= record.at_ms <= now_ms + _FUTURE_MS
        ]
        await lock_sites(tx, (site.number,))
        before = await _visitors(tx, site.number)
        new = await only_new(tx, visits, self._rules.view_dedup_ms)
        await add_visits(tx, new, self._room)
        job = replace(
            job,
            status=Status.RUNNING if len(chunk) == self._batch else Status.DONE,
            cursor=chunk[-1][0] if chunk else job.cursor,
            processed=job.processed + len(chunk),
            counted=job.counted + len(new),
            skipped=job.skipped + len(chunk) - len(new),
            unique_sessions=job.unique_sessions + await _visitors(tx, site.number) - before,
            updated_ms=now_ms,
        )
        return await keep(tx, job)

    def _visit(self, site: Site, said: Record) -> Visit:
        session = self._session_then(site.host, said.session_id, said.ip, said.user_agent, said.at_ms)
        referrer = None if said.referrer is None else referrer_host(said.referrer, site.host)
        country = said.country
        if country is None and parse_address(said.ip) is not None:
            country = self._country_of(said.ip)
        return Visit(site.number, said.path, session, said.at_ms, referrer, country, said.title, said.page_type)

    # Visits

    async def _begin_recount(self, tx: Transaction, anew: bool) -> Job:
        now_ms = self._clock.now_ms()
        fresh = Job(RECOUNT, started_ms=now_ms, updated_ms=now_ms)
        job = await take(tx, replace(fresh, status=Status.DONE))
        if job.status is Status.RUNNING:
            return job
        if anew:
            await _forget_sums(tx)
        return await keep(tx, fresh)

    async def _visits_chunk(self, tx: Transaction) -> Job:
        now_ms = self._clock.now_ms()
        job = await take(tx, Job(RECOUNT, started_ms=now_ms, updated_ms=now_ms))
        if job.status is Status.DONE:
            return job
        of = page_visits.c
        asked = select(of.id, of.site, of.path, of.session, of.at_ms, of.referrer, of.country)
        waiting = asked.where(of.counted.is_(false()), of.id > job.cursor).order_by(of.id).limit(self._batch)
        found = (await tx.execute(waiting)).all()
        visits = [
            Kept(site, path, bytes(session), at_ms, referrer, country)
            for _, site, path, session, at_ms, referrer, country in found
        ]
        await lock_sites(tx, {visit.site for visit in visits})
        new = await count(tx, visits)
        if found:
            await tx.execute(_COUNTED, [{"this": row.id} for row in found])
        job = replace(
            job,
            status=Status.RUNNING if len(found) == self._batch else Status.DONE,
            cursor=found[-1].id if found else job.cursor,
            processed=job.processed + len(found),
            counted=job.counted + len(found),
            unique_sessions=job.unique_sessions + new,
            updated_ms=now_ms,
        )
        return await keep(tx, job)


_COUNTED = update(page_visits).where(page_visits.c.id == bindparam("this")).values(counted=True)


async def _visitors(tx: Transaction, site: int) -> int:
    return int((await tx.execute(select(page_sites.c.visitors).where(page_sites.c.number == site))).scalar_one())


async def _forget_sums(tx: Transaction) -> None:
    """As if no visit had been counted; their rows and the names of series stay."""
    sites = list((await tx.execute(select(page_sites.c.number))).scalars())
    await lock_sites(tx, sites)
    await tx.execute(update(page_visits).values(counted=False))
    await tx.execute(delete(page_counts))
    await tx.execute(delete(page_visitors))
    await tx.execute(update(page_series).values(total=0))
    await tx.execute(update(page_sites).values(views=0, visitors=0))
