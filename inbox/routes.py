"""Where other servers post: the shared inbox and the inbox of each of our actors. No middleware stands before them."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from foundation import problems
from inbox.pipeline import Pipeline

SHARED_INBOX = "/inbox"


def setup_routes(router: web.UrlDispatcher, pipeline: Pipeline, actor_exists: Callable[[str], bool]) -> None:
    """Register first: the dispatcher asks fixed paths by hash, and the shared inbox is the hottest of all.

    ``actor_exists`` is asked with the path of an actor (``/accounts/name``, ``/video-channels/name``).
    """

    async def actor_inbox(request: web.Request) -> web.Response:
        if not actor_exists(request.path.removesuffix("/inbox")):
            return problems.problem(404, "No such actor")
        return await pipeline.receive(request)

    router.add_post(SHARED_INBOX, pipeline.receive)
    router.add_post("/accounts/{name}/inbox", actor_inbox)
    router.add_post("/video-channels/{name}/inbox", actor_inbox)
