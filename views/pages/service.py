"""Everything about pages that routes and the clock ask for, in one hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from views.geo.places import NOWHERE, City, Place
from views.pages.active import ActiveSessions
from views.pages.backfill import Backfill
from views.pages.catalog import PageCatalog
from views.pages.queries import PageQueries
from views.pages.retention import PageRetention
from views.pages.sites import Sites
from views.pages.visits import PageVisits


def _nowhere(_: str) -> Place:
    return NOWHERE


def _no_city(_: str) -> City | None:
    return None


@dataclass(frozen=True, slots=True)
class Pages:
    """``location_minimum``: fewer visitors are not shown at one place. ``locate`` and ``city`` find an address and
    neither raise nor wait."""

    sites: Sites
    active: ActiveSessions
    visits: PageVisits
    queries: PageQueries
    catalog: PageCatalog
    backfill: Backfill
    retention: PageRetention
    location_minimum: int = 3
    locate: Callable[[str], Place] = _nowhere
    city: Callable[[str], City | None] = _no_city
