"""What an administrator sees beside who watches: page visits of today, and how deliveries to peers go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from outbox.lag import DeliveryLag, percentile_ms
from service.workers.siblings import Siblings
from views.pages.service import Pages

SHARE = 0.95
_PATH = "/lag"


@dataclass(frozen=True, slots=True)
class PagesToday:
    """Sums over all sites: somebody who visits two of them is two visitors, whom nothing tells from two people."""

    pages: Pages

    async def read(self, since_ms: int) -> dict[str, int]:
        """Raises StorageUnavailable."""
        now = views = visitors = 0
        for site in self.pages.sites:
            now += (await self.pages.active.present(site.number)).visitors
            totals = await self.pages.queries.totals(site, since_ms)
            views += totals.views
            visitors += totals.visitors
        return {"visitorsNow": now, "pageViews": views, "uniqueVisitors": visitors}


class Lags:
    """The lag of all processes; ``siblings`` None: of this one alone."""

    def __init__(self, own: DeliveryLag, siblings: Siblings | None) -> None:
        self._own = own
        self._siblings = siblings
        if siblings is not None:
            siblings.inner.router.add_get(_PATH, self._told)

    async def read(self) -> dict[str, Any]:
        """``lagP95Ms`` is the upper end of a bucket; null when nothing was delivered in the last hour."""
        counts = self._own.recent()
        for answer in [] if self._siblings is None else await self._siblings.ask_others("GET", _PATH):
            counts = [sum(pair) for pair in zip(counts, msgspec.json.decode(answer), strict=True)]
        return {"delivered": sum(counts), "lagP95Ms": percentile_ms(counts, SHARE)}

    async def _told(self, _: web.Request) -> web.Response:
        return web.json_response(self._own.recent())


def healthy(peers: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Of hosts that we talk with (follower, followed or listed) and that are not blocked; healthy ones take what they
    are sent, as far as anybody knows."""
    ours = [one for one in peers if not one["blocked"] and (one["listed"] or one["follower"] or one["following"])]
    well = [
        one for one in ours if one["breaker"] == "closed" and not one["trouble"] and not one["delivery"]["setAside"]
    ]
    return {"healthy": len(well), "known": len(ours)}
