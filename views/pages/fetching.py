"""Fetches the catalogs that sites have lying about: their sitemaps and feeds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from foundation.clock import Clock
from foundation.errors import FetchFailed
from foundation.http import HttpClient
from foundation.metrics import Metrics
from foundation.urls import authority
from views.pages.catalog import MAX_PAGES, PageCatalog, Published
from views.pages.feeds import MAX_BYTES, BadFeedError, Feed, read_feed
from views.pages.model import Site
from views.pages.sites import Sites

log = logging.getLogger(__name__)

RETRY_MS = 600_000
"""After a failure, unless the period is shorter."""

_ACCEPT = "application/xml, text/xml, application/rss+xml, application/atom+xml;q=0.9, */*;q=0.1"


class CatalogFetcher:
    """``urls``: by host of the site. What cannot be fetched or read leaves the catalog before it."""

    def __init__(
        self,
        sites: Sites,
        catalog: PageCatalog,
        http: HttpClient,
        clock: Clock,
        metrics: Metrics,
        *,
        urls: Mapping[str, str],
        period_ms: int,
    ) -> None:
        self._sites = sites
        self._catalog = catalog
        self._http = http
        self._clock = clock
        self._urls = urls
        self._period_ms = period_ms
        self._due_ms: dict[str, int] = {}
        outcomes = metrics.counter("fediviews_page_catalogs", "Catalogs of sites fetched, or not.", ["outcome"])
        self._fetched, self._failed = outcomes.labels("fetched").inc, outcomes.labels("failed").inc

    async def fetch_due(self) -> None:
        """All that are due by this process's count. Raises StorageUnavailable."""
        for site in self._sites:
            url = self._urls.get(site.host)
            now_ms = self._clock.monotonic_ms()
            if url is None or self._due_ms.get(site.host, now_ms) > now_ms:
                continue
            self._due_ms[site.host] = now_ms + min(RETRY_MS, self._period_ms)
            if await self._fetch(site, url):
                self._due_ms[site.host] = now_ms + self._period_ms

    async def _fetch(self, site: Site, url: str) -> bool:
        try:
            pages = await self._read_all(site, url)
        except FetchFailed as problem:
            log.warning("the catalog of %s could not be fetched: %s", site.host, problem)
        except BadFeedError as problem:
            log.warning("the catalog of %s cannot be used: %s", site.host, problem)
        else:
            await self._catalog.replace(site, pages)
            self._fetched()
            return True
        self._failed()
        return False

    async def _read_all(self, site: Site, url: str) -> list[Published]:
        """A document, and those that an index names on the same host; these name no further ones."""
        feed = await self._read(site, url)
        pages = feed.pages
        for child in feed.children:
            if authority(child) == authority(url) and len(pages) < MAX_PAGES:
                pages += (await self._read(site, child)).pages
        return pages

    async def _read(self, site: Site, url: str) -> Feed:
        answer = await self._http.get(url, accept=_ACCEPT, max_bytes=MAX_BYTES)
        if answer.status != 200:
            raise FetchFailed("unreachable", f"status {answer.status}", status=answer.status)
        # Megabytes of XML take their time.
        return await asyncio.to_thread(read_feed, answer.body, url, site.host)
