"""What every answer of the REST has in common: CORS, problem documents, methods that do not exist, bodies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import hdrs, web

from foundation.errors import Refused, StorageUnavailable
from foundation.principal import Principal
from foundation.problems import problem, refused
from foundation.web import read_body
from views.routes.access import Access

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CORS: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Disposition, Location, Retry-After, X-As-Of, X-Views",
}
"""Players are embedded anywhere (PeerTube: the whole API). No cookie counts here, so ``*`` gives nothing away."""

MAX_HOST_BODY = 64_000
"""Bytes of what host applications send: a description of 10 000 characters fits."""

_RETRY_AFTER_S = 2


def refusal(verdict: Refused) -> web.Response:
    """The problem document of a refusal; 401 names the scheme (RFC 9110 section 11.6.1)."""
    response = refused(verdict)
    if verdict.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def unavailable() -> web.Response:
    """A store does not answer: come back soon."""
    return problem(
        503,
        "A store does not answer at the moment",
        code="storage_unavailable",
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )


def json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        charset="utf-8",
        headers=dict(headers or {}),
    )


async def json_object(
    request: web.Request, *, empty: bool = False, limit: int = MAX_HOST_BODY
) -> dict[str, Any] | Refused:
    """The JSON object in a request's body of at most ``limit`` bytes; ``empty`` takes no body at all for ``{}``."""
    raw = await read_body(request, limit)
    if isinstance(raw, Refused):
        return raw
    if empty and not raw:
        return {}
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        value = None
    return value if isinstance(value, dict) else Refused("bad_body", "The body is not a JSON object")


def guarded(access: Access, handler: Handler) -> Handler:
    """The handler behind the rate limit, with CORS on whatever it answers and 503 when a store is gone."""

    async def answer(request: web.Request) -> web.StreamResponse:
        begun_ms = access.calls.begun_ms()
        limited = access.throttle(request, access.address(request))
        if limited is not None:
            response: web.StreamResponse = refusal(limited)
        else:
            try:
                response = await handler(request)
            except StorageUnavailable:
                response = unavailable()
        if not response.prepared:
            response.headers.update(CORS)
        if "Authorization" in request.headers:
            principal = access.principal(request)
            if isinstance(principal, Principal):
                access.calls.answered(request, principal, response.status, begun_ms)
        return response

    return answer


def add_resource(router: web.UrlDispatcher, path: str, handlers: Mapping[str, Handler]) -> None:
    """Routes of one path. GET answers HEAD too, OPTIONS answers a preflight, any other method 405 with Allow."""
    methods = dict(handlers)
    if hdrs.METH_GET in methods:
        methods.setdefault(hdrs.METH_HEAD, methods[hdrs.METH_GET])
    allow = ", ".join(sorted({*methods, hdrs.METH_OPTIONS}))

    async def preflight(_request: web.Request) -> web.Response:
        headers = {
            **CORS,
            "Allow": allow,
            "Access-Control-Allow-Methods": allow,
            "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Viewer-Token",
            "Access-Control-Max-Age": "86400",
        }
        return web.Response(status=204, headers=headers)

    async def not_allowed(_request: web.Request) -> web.Response:
        return problem(405, "Method Not Allowed", headers={**CORS, "Allow": allow})

    resource = router.add_resource(path)
    for method, handler in methods.items():
        resource.add_route(method, handler)
    resource.add_route(hdrs.METH_OPTIONS, preflight)
    resource.add_route("*", not_allowed)
