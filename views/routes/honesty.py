"""Which reports of players are taken and count for nothing: no audience, or more of it than one address can have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from foundation.principal import Principal, Role
from views.bots import is_prefetch
from views.crowding import Crowding
from views.sessions import ViewerToken
from views.watching import Outcome


@dataclass(frozen=True, slots=True)
class ReportRules:
    """``views.*`` of the configuration. ``is_crawler`` is asked with the User-Agent; None: crawlers count.

    Host applications (tokens of role host and admin) report for whom they like: ``count_owner`` alone binds them.
    """

    is_crawler: Callable[[str], bool] | None = None
    ignore_prefetch: bool = False
    crowding: Crowding | None = None
    count_owner: bool = True

    def __call__(
        self,
        request: web.BaseRequest,
        principal: Principal | None,
        token: ViewerToken | None,
        address: str,
        viewer: bytes,
        video: int,
    ) -> Outcome | None:
        """Why this report counts for nothing; None when it counts."""
        if not self.count_owner and token is not None and token.owner:
            return Outcome.OWNER
        if principal is not None and principal.may(Role.HOST):
            return None
        headers = request.headers
        if self.ignore_prefetch and is_prefetch(headers):
            return Outcome.PREFETCH
        if self.is_crawler is not None and "User-Agent" in headers and self.is_crawler(headers["User-Agent"]):
            return Outcome.BOT
        if self.crowding is not None and not self.crowding.admits(address, viewer, video):
            return Outcome.TOO_MANY_SESSIONS
        return None

    def left(self, address: str, viewer: bytes, video: int) -> None:
        """It said so, or stands still: it is no viewer of its address any more."""
        if self.crowding is not None:
            self.crowding.left(address, viewer, video)
