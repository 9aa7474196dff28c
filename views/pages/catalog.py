"""What a site says it has published: titles and types of its pages, put in its place as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import delete

from foundation.database import Database, Transaction
from views.pages.model import Site
from views.pages.naming import lock_sites
from views.pages.paths import Path
from views.pages.tables import page_catalog
from views.stats.bulk import insert_rows

MAX_PAGES = 50_000
"""Of one catalog (as many as a sitemap may hold)."""


@dataclass(frozen=True, slots=True)
class Published:
    """One page of a site. ``page_type``: ``post`` and ``page`` are counted, see ``queries``."""

    path: Path
    title: str | None
    page_type: str


class PageCatalog:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def replace(self, site: Site, pages: Sequence[Published]) -> int:
        """Put these pages (at most ``MAX_PAGES``; of those with one path the last) in the place of what was there; how
        many they are. Safe to do twice at once. Raises StorageUnavailable."""
        unique = {page.path.key: page for page in pages[:MAX_PAGES]}
        rows = [(site.number, key, page.title, page.page_type) for key, page in sorted(unique.items())]
        await self._db.write(partial(_replace, site=site.number, rows=rows))
        return len(rows)


async def _replace(tx: Transaction, *, site: int, rows: Sequence[tuple[int, str, str | None, str]]) -> None:
    await lock_sites(tx, (site,))
    await tx.execute(delete(page_catalog).where(page_catalog.c.site == site))
    of = page_catalog.c
    await insert_rows(tx, (of.site, of.name, of.title, of.page_type), rows)
