"""Admin REST about webhooks: how each receiver does, and a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from foundation import problems
from foundation.clock import iso_ms
from foundation.errors import Refused
from foundation.principal import Role
from foundation.tokens import TokenBook
from foundation.web import bearer_token, read_body
from outbox.waiting import available
from outbox.webhooks.hooks import Hook
from outbox.webhooks.notifier import EVENTS, Webhooks
from outbox.webhooks.queue import Depth, HookState, Settled
from outbox.webhooks.sender import Tried

_MAX_BODY = 10_000


class _Which(msgspec.Struct, forbid_unknown_fields=True):
    hook: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookRoutes:
    """Admins only: a receiver's URL is nobody else's business."""

    tokens: TokenBook
    webhooks: Webhooks

    def setup(self, router: web.UrlDispatcher) -> None:
        router.add_get("/api/v1/server/webhooks", available(self._list))
        router.add_post("/api/v1/server/webhooks/test", available(self._test))

    async def listed(self) -> dict[str, Any]:
        """Every receiver and how it does."""
        data = [_hook(hook, *await self.webhooks.state(hook)) for hook in self.webhooks.hooks]
        return {"total": len(data), "data": data}

    async def tested(self, hook_id: str | None) -> dict[str, Any] | None:
        """What became of a test that was sent to all, or to one; None when there is no such one."""
        hooks = [hook for hook in self.webhooks.hooks if hook_id in (None, hook.id)]
        if hook_id is not None and not hooks:
            return None
        data = [_tried(hook, await self.webhooks.test(hook)) for hook in hooks]
        return {"total": len(data), "data": data}

    async def _list(self, request: web.Request) -> web.Response:
        principal = self.tokens.require(bearer_token(request), Role.ADMIN)
        if isinstance(principal, Refused):
            return problems.refused(principal)
        return web.json_response(await self.listed())

    async def _test(self, request: web.Request) -> web.Response:
        principal = self.tokens.require(bearer_token(request), Role.ADMIN)
        if isinstance(principal, Refused):
            return problems.refused(principal)
        body = await read_body(request, _MAX_BODY)
        if isinstance(body, Refused):
            return problems.refused(body)
        try:
            which = msgspec.json.decode(body, type=_Which) if body else _Which()
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return problems.invalid_params({"hook": "is the id of a webhook, as GET /api/v1/server/webhooks lists it"})
        tried = await self.tested(which.hook)
        return problems.problem(404, "No such webhook") if tried is None else web.json_response(tried)


def _tried(hook: Hook, tried: Tried) -> dict[str, Any]:
    return {
        "id": hook.id,
        "url": hook.shown,
        "delivered": tried.delivered,
        "reason": tried.reason,
        "status": tried.status,
    }


def _hook(hook: Hook, state: HookState, depth: Depth) -> dict[str, Any]:
    return {
        "id": hook.id,
        "url": hook.shown,
        "key": hook.key,
        "events": [event for event in EVENTS if hook.wants(event)],
        "waiting": depth.waiting,
        "oldest": _instant(depth.oldest_ms),
        "sent": state.sent,
        "dropped": state.dropped,
        "failures": state.failures,
        "lastSuccess": _instant(state.success_ms),
        "lastError": None if state.error is None else {"reason": state.error, "at": _instant(state.error_ms)},
        "recent": [_settled(one) for one in state.recent],
    }


def _settled(one: Settled) -> dict[str, Any]:
    return {
        "event": one.event,
        "id": one.event_id,
        "outcome": one.outcome,
        "reason": one.reason,
        "status": one.status,
        "attempts": one.attempts,
        "queuedAt": iso_ms(one.queued_ms),
        "at": iso_ms(one.at_ms),
    }


def _instant(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso_ms(at_ms)
