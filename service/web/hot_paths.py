"""The two requests that come thousands of times a second are answered before the router is asked.

A report of a player and a POST to the shared inbox are known by their path alone; aiohttp's way to their handlers
takes some microseconds of each. Whatever is not exactly one of them, and as plain as they are, goes the ordinary way
to the same handlers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache

from aiohttp import hdrs, web

from inbox.routes import SHARED_INBOX
from views.ids import parse_video_ref
from views.routes.player import REPORT_METHODS, REPORT_NAMES, REPORT_PREFIX, ReportHandler

_ENDS = tuple(f"/{name}" for name in REPORT_NAMES)
_LONGEST = len(REPORT_PREFIX) + 36 + max(map(len, _ENDS))
_MAX_REMEMBERED = 8_192

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@lru_cache(maxsize=_MAX_REMEMBERED)
def _named_in(path: str) -> str | None:
    """The id in the path of a report, when it is one that a path can hold as it is."""
    if not path.startswith(REPORT_PREFIX) or not path.endswith(_ENDS):
        return None
    named = path[len(REPORT_PREFIX) : path.rindex("/")]
    return None if parse_video_ref(named) is None else named


class HotPaths:
    """``inbox`` answers at the shared inbox, ``report`` what players say of a video."""

    def __init__(self, inbox: Handler, report: ReportHandler) -> None:
        self._inbox = inbox
        self._report = report

    def before(self, ordinary: Handler) -> Handler:
        """A handler that knows these two and asks ``ordinary`` for everything else."""
        inbox, report = self._inbox, self._report

        async def answer(request: web.Request) -> web.StreamResponse:
            path = request.raw_path
            # What it expects (100-continue) is aiohttp's to say.
            if request.method in REPORT_METHODS and hdrs.EXPECT not in request.headers:
                if path == SHARED_INBOX:
                    if request.method == hdrs.METH_POST:
                        return await inbox(request)
                elif len(path) <= _LONGEST:
                    named = _named_in(path)
                    if named is not None:
                        return await report(request, named)
            return await ordinary(request)

        return answer

    def install(self, runner: web.AppRunner) -> None:
        """After ``runner.setup()``, before its first connection."""
        server = runner.server
        assert server is not None
        server.request_handler = self.before(server.request_handler)  # type: ignore[assignment]
