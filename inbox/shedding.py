"""Which messages of other instances are turned away, before they are verified, while there is too much to do."""

from __future__ import annotations

from federation.vocabulary import View, parse_activity
from foundation.errors import Refused
from foundation.shedding import Load, Shedder
from foundation.urls import authority
from inbox.viewing import viewer_key
from views.catalog.catalog import Catalog
from views.viewers import Viewers


class InboxShedding:
    """See ``foundation.shedding`` for the order. Ask only while ``busy``.

    What is looked at here is not proven yet: it decides nothing but whether the proof is worth its price now.
    """

    def __init__(self, shedder: Shedder, catalog: Catalog, viewers: Viewers) -> None:
        self._shedder = shedder
        self._catalog = catalog
        self._viewers = viewers

    @property
    def busy(self) -> bool:
        return self._shedder.level > 0

    def at_the_door(self) -> Refused | None:
        """Before the body is read."""
        return None if self._shedder.allows(Load.TOTAL) else self._shedder.refusal()

    async def unproven(self, body: bytes) -> Refused | None:
        """Turns away a viewer of another instance who is not here yet; whoever is here is extended.

        Raises StorageUnavailable.
        """
        if self._shedder.level < Load.NEW_VIEWER:
            return None
        view = parse_activity(body, max_items=1)
        if not isinstance(view, View) or view.expires_ms is None:
            return None
        video = self._catalog.peek_url(view.object)
        if video is None or not video.local:
            return None
        host = authority(view.actor)
        if host is not None and await self._viewers.stays(video, host, viewer_key(view.id)):
            return None
        return None if self._shedder.allows(Load.NEW_VIEWER) else self._shedder.refusal()
