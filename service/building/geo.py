"""Where viewers are, as configured by ``geoip``: the databases, the client that fetches them, the headers believed."""

from __future__ import annotations

from foundation.clock import Clock
from foundation.http import HttpClient
from foundation.metrics import Metrics
from service.building.lookups import lookups_of
from service.config import Config, FileOrUrl
from views.geo.databases import GeoDatabases, Source
from views.geo.places import City, Place, PlaceHeaders

DIRECTORY = "geoip"
"""Below ``storage.directory``."""

FETCH_TIMEOUT_MS = 15 * 60_000
"""For two hundred megabytes over a slow line."""


class Geo:
    """Without anything configured, everything is unknown and nothing runs."""

    def __init__(self, config: Config, clock: Clock, metrics: Metrics, user_agent: str) -> None:
        geoip, federation = config.geoip, config.federation
        self._http = HttpClient(
            clock,
            metrics,
            allow_private_addresses=federation.allow_private_addresses,
            allow_http=federation.allow_http,
            user_agent=user_agent,
            timeout_ms=FETCH_TIMEOUT_MS,
            connections=2,
            resolver=lookups_of(config, clock),
            name="geoip",
        )
        self._databases = GeoDatabases(
            config.storage.directory / DIRECTORY,
            country=_source(geoip.country),
            city=_source(geoip.city),
            http=self._http,
            clock=clock,
            metrics=metrics,
        )
        named = geoip.headers
        self.headers = None if named is None else PlaceHeaders(named.country, named.subdivision, named.city)
        """What is read of requests that come through a trusted proxy; None: nothing."""

    def locate(self, ip: str) -> Place:
        return self._databases.locate(ip)

    def city(self, ip: str) -> City | None:
        return self._databases.city(ip)

    def attribution(self) -> str | None:
        """What has to stand wherever countries or subdivisions are shown."""
        return "; ".join(f"{each.text} ({each.url})" for each in self._databases.attributions) or None

    async def start(self) -> None:
        await self._databases.start()

    async def refresh(self) -> None:
        """Bring in what is due, once an hour or so."""
        await self._databases.refresh()

    async def stop(self) -> None:
        await self._databases.stop()
        await self._http.close()


def _source(configured: FileOrUrl | None) -> Source | None:
    return None if configured is None else Source(configured.path, configured.url)
