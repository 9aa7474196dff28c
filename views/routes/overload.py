"""Which reports of players are turned away while there is too much to do; see ``foundation.shedding`` for the order."""

from __future__ import annotations

from foundation.errors import Refused
from foundation.shedding import Load, Shedder
from views.model import LOCAL, Video
from views.routes.report_body import Report
from views.viewers import Viewers


class ReportShedding:
    """Ask only while ``busy``: a quiet service pays for one comparison."""

    def __init__(self, shedder: Shedder, viewers: Viewers) -> None:
        self._shedder = shedder
        self._viewers = viewers
        self._half_life_ms = viewers.lifetime_ms // 2

    @property
    def busy(self) -> bool:
        return self._shedder.level > 0

    def at_the_door(self) -> Refused | None:
        """Before anything of a report is looked at."""
        return None if self._shedder.allows(Load.TOTAL) else self._shedder.refusal()

    async def known(self, video: Video, viewer: bytes, alternate: bytes | None, said: Report) -> Refused | None:
        """Once it is known who reports what. Whoever leaves, ends or jumps is heard: the next report cannot say it.

        Raises StorageUnavailable.
        """
        if said.leave or said.ended or said.seek:
            return None
        stays = self._viewers.stays
        if await stays(video, LOCAL, viewer, self._half_life_ms):
            return None if self._shedder.allows(Load.REFRESH) else self._shedder.refusal()
        if self._shedder.level < Load.NEW_VIEWER or await stays(video, LOCAL, viewer):
            return None
        if alternate is not None and await stays(video, LOCAL, alternate):
            return None
        return None if self._shedder.allows(Load.NEW_VIEWER) else self._shedder.refusal()
