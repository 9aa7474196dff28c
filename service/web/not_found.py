"""Paths and methods that do not exist, answered as everything else that is refused."""

from __future__ import annotations

import re

from aiohttp import web

from foundation import problems

_SLASH = re.compile(r"(/(?:admin(?:/[a-z]+)?|stats|w/[A-Za-z0-9-]{1,64}))/", re.ASCII)
"""Pages for people, with a slash too many; what is led to is a path of ours and nothing else."""


def setup_routes(router: web.UrlDispatcher) -> None:
    """Found after every other route, whenever it is registered: its path begins with nothing."""

    async def not_found(request: web.Request) -> web.Response:
        for_people = _SLASH.fullmatch(request.path) if request.method in ("GET", "HEAD") else None
        if for_people is not None:
            query = request.rel_url.raw_query_string
            return web.Response(status=308, headers={"Location": for_people[1] + (f"?{query}" if query else "")})
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
