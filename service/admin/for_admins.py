"""What every route of the admin REST has before it: a token of role admin, and a line of what was called."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from foundation import problems
from foundation.errors import Refused
from foundation.principal import Role
from foundation.tokens import TokenBook
from foundation.web import bearer_token
from outbox.waiting import Handler, available
from views.telemetry.calls import ApiCalls


def for_admins(tokens: TokenBook, calls: ApiCalls) -> Callable[[Handler], Handler]:
    """What makes such a route of a handler; a store that is gone is 503."""

    def guard(handler: Handler) -> Handler:
        handler = available(handler)

        async def guarded(request: web.Request) -> web.StreamResponse:
            begun_ms = calls.begun_ms()
            principal = tokens.require(bearer_token(request), Role.ADMIN)
            if isinstance(principal, Refused):
                return problems.refused(principal)
            response = await handler(request)
            calls.answered(request, principal, response.status, begun_ms)
            return response

        return guarded

    return guard
