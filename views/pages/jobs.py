"""How far each backfill has come: one row, changed in the transaction of what was done."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from sqlalchemy import select

from foundation.database import Database, Transaction, upsert
from views.pages.tables import page_backfills

RECOUNT = "recount"
"""The job that puts visits into the sums; any other is the digest of what it brings in."""


class Status(enum.StrEnum):
    RUNNING = "running"
    """Also one whose process has ended before it was through: the next start goes on."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Job:
    """``cursor``: bytes of a file that were read, or the id of the last visit. ``size``: of the file, 0 when unknown.

    ``processed`` records or visits were looked at; of those ``counted`` became views, ``skipped`` were no page views or
    had been counted before. ``unique_sessions``: visitors that were new to their site.
    """

    name: str
    site: int | None = None
    status: Status = Status.RUNNING
    cursor: int = 0
    size: int = 0
    processed: int = 0
    counted: int = 0
    skipped: int = 0
    unique_sessions: int = 0
    started_ms: int = 0
    updated_ms: int = 0


_of = page_backfills.c
_COLUMNS = (
    _of.job,
    _of.site,
    _of.status,
    _of.cursor,
    _of.size,
    _of.processed,
    _of.counted,
    _of.skipped,
    _of.unique_sessions,
    _of.started_ms,
    _of.updated_ms,
)


async def take(tx: Transaction, new: Job) -> Job:
    """The job as it is, made when there is none. It is ours until we commit: another process waits here."""
    add = upsert(tx, page_backfills).on_conflict_do_nothing()
    await tx.execute(add.values(_row(new)))
    asked = select(*_COLUMNS).where(_of.job == new.name).with_for_update()
    return _job((await tx.execute(asked)).one())


async def keep(tx: Transaction, job: Job) -> Job:
    put = upsert(tx, page_backfills)
    row = _row(job)
    changed = {name: put.excluded[name] for name in row if name != "job"}
    await tx.execute(put.values(row).on_conflict_do_update(index_elements=["job"], set_=changed))
    return job


async def jobs(db: Database, limit: int = 100) -> list[Job]:
    """The latest first."""
    async with db.read() as tx:
        rows = await tx.execute(select(*_COLUMNS).order_by(_of.started_ms.desc(), _of.job).limit(limit))
        return [_job(row) for row in rows]


def _job(row: object) -> Job:
    job = Job(*row)  # type: ignore[misc]
    return replace(job, status=Status(job.status))


def _row(job: Job) -> dict[str, object]:
    return {
        "job": job.name,
        "site": job.site,
        "status": job.status.value,
        "cursor": job.cursor,
        "size": job.size,
        "processed": job.processed,
        "counted": job.counted,
        "skipped": job.skipped,
        "unique_sessions": job.unique_sessions,
        "started_ms": job.started_ms,
        "updated_ms": job.updated_ms,
    }
