"""GeoIP databases on disk: brought in from a path or a URL, kept fresh, swapped while in use.

What is looked into is always a copy of our own under the storage directory, checked before it takes the place of the
one before (which stays whatever goes wrong). So an administrator may overwrite the original in place: a file that
shrinks under a memory map would end the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from foundation.clock import Clock, iso_ms
from foundation.ending import end
from foundation.errors import FetchFailed
from foundation.http_response import HttpResponse, Write
from foundation.metrics import Metrics
from views.geo.files import BadDatabaseError, Database, Incoming, Note, Store
from views.geo.places import Attribution, MmdbLocator, Reader

log = logging.getLogger("fediviews.geoip")

MAX_DOWNLOAD_BYTES = 200_000_000
"""DB-IP's city file, the largest in use, has 130 MB, compressed half of that."""

REFRESH_AFTER_MS = 30 * 86_400_000
"""Makers publish monthly (DB-IP) or twice a week (MaxMind)."""

_ACCEPT = "application/octet-stream, application/gzip;q=0.9, */*;q=0.5"


class Downloader(Protocol):
    """The part of `foundation.http.HttpClient` that is needed here."""

    async def download(self, url: str, write: Write, *, accept: str, max_bytes: int) -> HttpResponse: ...


@dataclass(frozen=True, slots=True)
class Source:
    """Where a database comes from: exactly one of a file and a URL.

    ``{year}`` and ``{month}`` in a URL are those of today, or of a month ago while there is none of today's.
    """

    path: Path | None = None
    url: str | None = None

    def urls(self, now_ms: int) -> tuple[str, ...]:
        """What to ask for, best first."""
        if self.url is None:
            return ()
        newest, before = (_dated(self.url, ms) for ms in (now_ms, now_ms - REFRESH_AFTER_MS))
        return (newest,) if newest == before else (newest, before)


class GeoFile:
    """One database: ``reader`` is the one in use, None while there is none."""

    def __init__(
        self, name: str, source: Source, store: Store, clock: Clock, metrics: GeoMetrics, http: Downloader | None
    ) -> None:
        self.name = name
        self._source = source
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._http = http
        self._database: Database | None = None
        self._note: Note | None = None
        self._alone = asyncio.Lock()

    @property
    def from_url(self) -> bool:
        return self._source.url is not None

    def reader(self) -> Reader | None:
        return None if self._database is None else self._database.reader

    @property
    def attribution(self) -> Attribution | None:
        return None if self._database is None else self._database.attribution

    def age_s(self) -> float:
        """Seconds since the database was built; not a number without one."""
        if self._database is None:
            return float("nan")
        return max(0.0, self._clock.now_ms() / 1000 - self._database.built_s)

    async def open(self) -> None:
        """Take what the last run left; nothing is fetched."""
        await asyncio.to_thread(self._store.tidy, self._clock.now_ms())
        await self._take()

    async def _take(self) -> None:
        found = await asyncio.to_thread(self._store.open)
        if isinstance(found, BadDatabaseError):
            log.warning("the %s database that was kept cannot be used: %s", self.name, found)
        elif found is not None:
            self._database, self._note = found

    async def refresh(self) -> bool:
        """Bring in a newer one if that is due; whether one came. Failures are logged and counted, never raised."""
        async with self._alone:
            origin = await self._due()
            if origin is None:
                return False
            outcome = "failed"
            try:
                await self._bring_in(origin)
                outcome = "refreshed"
            except FetchFailed as problem:
                log.warning("the %s database could not be fetched: %s", self.name, problem)
            except BadDatabaseError as problem:
                log.warning("the new %s database cannot be used: %s", self.name, problem)
            except OSError as problem:
                log.warning("the %s database could not be kept: %s", self.name, problem.strerror)
            finally:
                self._metrics.count(self.name, outcome)
            return outcome == "refreshed"

    async def _due(self) -> str | None:
        """What the source is now, when that is not what we have, or it is too long ago."""
        origin = self._store.origin_of(self._source.path, self._source.url)
        if await asyncio.to_thread(self._store.noted) != self._note:
            await self._take()
        note, now_ms = self._note, self._clock.now_ms()
        if origin is None:
            log.warning("the file for the %s database cannot be read", self.name)
            self._metrics.count(self.name, "failed")
            return None
        if self._database is None or note is None or note.origin != origin:
            return origin
        # A clock that was set back must not keep an old file for years.
        too_old = abs(now_ms - note.brought_ms) >= REFRESH_AFTER_MS
        return origin if self.from_url and too_old else None

    async def _bring_in(self, origin: str) -> None:
        with self._store.incoming() as incoming:
            if self._source.path is not None:
                await asyncio.to_thread(incoming.copy, self._source.path)
            else:
                await self._download(incoming)
            note = Note(origin, self._clock.now_ms())
            hint = str(self._source.path or self._source.url)
            # The old reader is let go, not closed: whoever is looking into it finishes.
            self._database, self._note = await asyncio.to_thread(incoming.install, note, hint)

    async def _download(self, incoming: Incoming) -> None:
        if self._http is None:
            raise FetchFailed("unreachable", "there is no client to fetch with")
        status = 0
        for url in self._source.urls(self._clock.now_ms()):
            answer = await self._http.download(url, incoming.write, accept=_ACCEPT, max_bytes=MAX_DOWNLOAD_BYTES)
            status = answer.status
            if answer.ok:
                return
        raise FetchFailed("unreachable", f"status {status}", status=status)


class GeoMetrics:
    """How old each database is, and how often one was brought in or could not be."""

    def __init__(self, metrics: Metrics) -> None:
        self._age = metrics.gauge(
            "fediviews_geoip_age_seconds", "Time since a GeoIP database was built; NaN without one", ["database"]
        )
        self._refreshes = metrics.counter(
            "fediviews_geoip_refreshes_total", "GeoIP databases brought in, or not", ["database", "outcome"]
        )

    def watch(self, file: GeoFile) -> None:
        self._age.labels(file.name).set_function(file.age_s)
        for outcome in ("refreshed", "failed"):
            self._refreshes.labels(file.name, outcome)

    def count(self, name: str, outcome: str) -> None:
        self._refreshes.labels(name, outcome).inc()


class GeoDatabases(MmdbLocator):
    """The databases of one service, and the `views.geo.Locator` over them. Without any, everything is unknown.

    ``http`` fetches; its time-out has to suit files of a hundred megabytes.
    """

    def __init__(
        self,
        directory: Path,
        *,
        country: Source | None,
        city: Source | None,
        http: Downloader | None,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        counts = GeoMetrics(metrics)
        self._files: dict[str, GeoFile] = {}
        for name, source in (("country", country), ("city", city)):
            if source is not None:
                file = GeoFile(name, source, Store(directory, name), clock, counts, http)
                self._files[name] = file
                counts.watch(file)
        super().__init__(self._reader_of("country"), self._reader_of("city"))
        self._first: asyncio.Task[None] | None = None

    def _reader_of(self, name: str) -> Callable[[], Reader | None]:
        file = self._files.get(name)
        return _no_reader if file is None else file.reader

    @property
    def attributions(self) -> Sequence[Attribution]:
        """What has to be shown wherever countries or subdivisions are; empty when nothing has to."""
        found = (file.attribution for file in self._files.values())
        return tuple(dict.fromkeys(each for each in found if each is not None))

    async def start(self) -> None:
        """Open what is there and copy what is local; what has to be fetched comes in the background."""
        for file in self._files.values():
            await file.open()
            if not file.from_url:
                await file.refresh()
        if any(file.from_url for file in self._files.values()):
            self._first = asyncio.create_task(self.refresh(), name="geoip")

    async def refresh(self) -> None:
        """Bring in what is due. To be called every hour or so: failures are tried again then."""
        for file in self._files.values():
            await file.refresh()

    async def stop(self) -> None:
        await end(self._first)
        self._first = None


def _no_reader() -> Reader | None:
    return None


def _dated(url: str, instant_ms: int) -> str:
    if "{" not in url:
        return url
    text = iso_ms(instant_ms)
    return url.replace("{year}", text[:4]).replace("{month}", text[5:7])
