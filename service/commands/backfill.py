"""``fediviews backfill``: history of web sites out of a file, or the sums of their visits anew, with a bar to look at.

It works on the database itself, whether a service runs or not, and may be stopped and started at any time. The database
has to be there, of this release and of ``instance.url``: only a start of the service changes that.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from foundation.clock import SystemClock
from foundation.database import Database
from foundation.errors import ConfigError, Refused
from foundation.metrics import Metrics
from service.building.geo import Geo
from service.building.user_agent import user_agent
from service.building.viewer_secret import viewer_secret
from service.building.websites import backfill_of, sites_of
from service.config import Config
from service.storage.stores import open_ours
from views.bots import Crawlers
from views.pages.backfill import Backfill, History
from views.pages.jobs import Job, Status
from views.pages.model import Site
from views.pages.sources.access_log import AccessLog
from views.pages.sources.record import Source
from views.pages.sources.table import Table
from views.sessions import Identity

BAR_WIDTH = 30
LEAST_LEGIBLE = 0.1
"""Share of the lines at the beginning of a file below which it is taken for something else."""
_FORMATS = {"log": "an access log", "csv": "a table with instant, path and session"}


@dataclass(frozen=True, slots=True)
class Wish:
    """``file`` None: what is not in the sums yet, or (``recount``) all of them anew. ``kind``: log, csv or auto."""

    file: Path | None = None
    site: str | None = None
    kind: str = "auto"
    recount: bool = False
    as_json: bool = False


async def backfill(config: Config, wish: Wish) -> int:
    """Raises ConfigError for a wish that cannot be granted, StorageUnavailable."""
    clock = SystemClock()
    database = await open_ours(config, clock, Metrics())
    geo = Geo(config, clock, Metrics(), user_agent(str(config.instance.url)))
    try:
        secret = viewer_secret(config.storage.directory)
        identity = Identity(secret, clock, config.views.trust_viewer_session_id)
        work = backfill_of(config, clock, database, identity, geo.locate)
        if wish.file is None:
            return await _follow(work.recount(anew=wish.recount), wish.as_json)
        site = await _site(config, database, wish.site)
        # All that is to be fetched is there before the first line: a job is never judged in two ways.
        await geo.start()
        await geo.refresh()
        return await _bring_in(work, site, wish.file, wish)
    finally:
        await geo.stop()
        await database.close()


async def _bring_in(work: Backfill, site: Site, path: Path, wish: Wish) -> int:
    source = _source(path, wish.kind)
    try:
        digest, size = await asyncio.to_thread(_measured, path)
        job = hashlib.sha256(f"{source.word}\n{site.host}\n{digest}".encode()).hexdigest()
        with _opened(path) as file:
            looked, legible = await asyncio.to_thread(source.legible, file)
            if legible < looked * LEAST_LEGIBLE:
                said = f"of the first {looked} lines of {path}, {legible} are of {_FORMATS[source.word]}"
                raise ConfigError("", f"{said}: nothing was brought in; --format says what it is")
            return await _follow(work.bring_in(History(job, site, source, file, size)), wish.as_json)
    except (OSError, EOFError) as problem:
        raise ConfigError("", f"{path} cannot be read: {getattr(problem, 'strerror', None) or problem}") from None


def _measured(path: Path) -> tuple[str, int]:
    """Digest and size; no size of a compressed file, whose records say how far they are within what is in it."""
    with path.open("rb") as raw:
        digest = hashlib.file_digest(raw, "sha256").hexdigest()
    return digest, 0 if path.suffix == ".gz" else path.stat().st_size


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def _source(path: Path, kind: str) -> Source:
    if kind == "csv" or (kind == "auto" and ".csv" in path.suffixes):
        return Table()
    return AccessLog(Crawlers())


async def _site(config: Config, database: Database, named: str | None) -> Site:
    sites = sites_of(config, database)
    await sites.load()
    found = sites.only() if named is None else sites.find(named)
    if found is None:
        raise ConfigError("pages.sites", "has several sites, or none: say which one with --site")
    if isinstance(found, Refused):
        raise ConfigError("pages.sites", f"names no {named}")
    return found


async def _follow(jobs: AsyncIterator[Job], as_json: bool) -> int:
    """Show how far it is, until it is through."""
    shown = sys.stderr.isatty()
    job: Job | None = None
    async for job in jobs:
        if shown:
            print(f"\r\x1b[K{bar(job)}", end="", file=sys.stderr, flush=True)
    if shown:
        print(file=sys.stderr)
    if job is None or job.status is not Status.DONE:
        return 1
    if as_json:
        print(json.dumps(progress(job)))
    else:
        # The bar is for who looks on while it moves.
        print(bar(job, drawn=sys.stdout.isatty()))
    return 0


def progress(job: Job) -> dict[str, object]:
    return {
        "status": job.status.value,
        "processed": job.processed,
        "uniqueSessions": job.unique_sessions,
        "cursor": job.cursor,
        "counted": job.counted,
        "skipped": job.skipped,
    }


def bar(job: Job, *, drawn: bool = True) -> str:
    """One line for people: how far (``drawn``), and what came of it."""
    share = 1.0 if job.status is Status.DONE else (job.cursor / job.size if job.size else None)
    picture = ""
    if drawn and share is not None:
        done = min(BAR_WIDTH, int(share * BAR_WIDTH))
        picture = f"[{'#' * done}{'.' * (BAR_WIDTH - done)}] {min(1.0, share):4.0%}  "
    return (
        f"{picture}{job.status.value}: {job.processed} processed, {job.counted} counted, {job.skipped} skipped,"
        f" {job.unique_sessions} new visitors"
    )
