"""The public summary of a site: what everybody may see of it, as REST answers it and as the page shows it."""

from __future__ import annotations

from typing import Any

from views.pages.active import Present
from views.pages.model import Site
from views.pages.places import locations
from views.pages.queries import PageViews
from views.pages.series import Kind
from views.pages.service import Pages

MAX_ACTIVE_PATHS = 1_000
MAX_COUNTRIES = 300
"""More than there are."""


async def summary(
    pages: Pages, site: Site, start_ms: int | None, limit: int, attribution: str | None
) -> dict[str, Any]:
    """``start_ms``: views since then, None for all; ``limit`` pages. ``attribution`` goes with places where there are
    any. Raises StorageUnavailable."""
    present = await pages.active.present(site.number)
    totals = await pages.queries.totals(site, start_ms)
    posts, published = await pages.queries.published(site)
    places = locations(present.spots, pages.location_minimum)
    homes = await pages.queries.top(site, Kind.HOME, start_ms, MAX_COUNTRIES)
    countries = [
        {"country": home.name, "visitors": home.views} for home in homes if home.views >= pages.location_minimum
    ]
    body: dict[str, Any] = {
        "activeVisitors": present.visitors,
        "activeByPath": await _active_by_path(pages, site, present),
        "totalPageViews": totals.views,
        "uniqueVisitors": totals.visitors,
        "uniquePaths": totals.paths,
        "publishedPosts": posts,
        "publishedPages": published,
        "trackingSince": totals.since_ms,
        "pageStats": [_page(one) for one in await pages.queries.top_pages(site, start_ms, limit)],
        "visitorLocations": [
            {
                "latitude": place.latitude,
                "longitude": place.longitude,
                **({} if place.city is None else {"city": place.city}),
                "country": place.country,
                "count": place.count,
            }
            for place in places
        ],
        "visitorCountries": countries,
    }
    if attribution is not None and (places or countries):
        body["attribution"] = attribution
    return body


async def _active_by_path(pages: Pages, site: Site, present: Present) -> list[dict[str, Any]]:
    most = sorted(present.paths.items(), key=lambda one: (-one[1], one[0]))[:MAX_ACTIVE_PATHS]
    whole = await pages.queries.paths_of(site, [key for key, _ in most])
    # A long path that nobody has viewed yet is known by its beginning alone.
    return [{"path": whole.get(key) or key.partition("#")[0], "count": count} for key, count in most]


def _page(page: PageViews) -> dict[str, Any]:
    return {"path": page.path, "title": page.title, "pageType": page.page_type, "views": page.views}
