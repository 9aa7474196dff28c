"""Where a request says that its client is, when somebody we trust has said it."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from foundation.web import Network, is_through
from views.geo.places import NOWHERE, City, Place, PlaceHeaders


class RequestPlaces:
    """Callable: the place named in a request's headers, as long as a trusted proxy handed the request on."""

    def __init__(self, headers: PlaceHeaders | None, trusted: Sequence[Network]) -> None:
        self._headers = headers
        self._trusted = tuple(trusted)

    def __call__(self, request: web.BaseRequest) -> Place:
        if self._headers is None or not is_through(request, self._trusted):
            return NOWHERE
        return self._headers.read(request.headers)

    def city(self, request: web.BaseRequest) -> City | None:
        """Likewise."""
        if self._headers is None or not is_through(request, self._trusted):
            return None
        return self._headers.read_city(request.headers)
