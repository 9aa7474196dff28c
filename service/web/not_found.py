"""Paths and methods that do not exist, answered as everything else that is refused."""

from __future__ import annotations

from aiohttp import web

from foundation import problems


def setup_routes(router: web.UrlDispatcher) -> None:
    """Found after every other route, whenever it is registered: its path begins with nothing."""

    async def not_found(request: web.Request) -> web.Response:
        allowed: set[str] = set()
        for resource in router.resources():
            if resource is not here:
                allowed |= (await resource.resolve(request))[1]
        if allowed:
            headers = {"Allow": ", ".join(sorted(allowed))}
            return problems.problem(405, "Method Not Allowed", headers=headers)
        return problems.problem(404, "There is nothing here.")

    here = router.add_resource("/{path:.*}")
    here.add_route("*", not_found)
