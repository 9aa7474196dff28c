"""What the forms of the dashboard do: what the admin REST does, by the same objects."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from foundation.errors import Refused
from service.admin.peer_desk import PeerDesk, Verdict
from service.dashboard.guard import Fields, Guard
from service.dashboard.pages import DashboardPages
from service.dashboard.sessions import Session

UNKNOWN = Refused("unknown_action", "There is nothing of that kind to be done.", 400)
NO_FOLLOW = Refused("no_follow", "We do not follow that host.", 404)
NO_HOOK = Refused("no_hook", "There is no such webhook.", 404)


@dataclass(frozen=True, slots=True)
class DashboardActions:
    guard: Guard
    pages: DashboardPages
    desk: PeerDesk

    def setup(self, router: web.UrlDispatcher) -> None:
        for path, handler in (
            ("/admin/peers", self.peer),
            ("/admin/inbox", self.quarantine),
            ("/admin/deliveries", self.delivery),
            ("/admin/webhooks", self.hook),
            ("/admin/doctor", self.doctor),
        ):
            self.guard.form(router, path, handler)

    async def peer(self, request: web.Request, session: Session, fields: Fields) -> web.StreamResponse:
        host, verdict = fields.get("host", "").strip(), fields.get("verdict", "")
        refusal: Refused | None
        match verdict:
            case "block" | "unblock" | "allow" | "disallow":
                refusal = await self.desk.judge(host, Verdict(verdict))
            case "follow":
                asked = await self.desk.following.follow_host(host)
                refusal = asked if isinstance(asked, Refused) else None
            case "unfollow":
                refusal = None if await self.desk.following.unfollow(host) else NO_FOLLOW
            case _:
                refusal = UNKNOWN
        if refusal is not None:
            return self.guard.trouble(request, session, refusal)
        return self.guard.done("/admin/peers", f"{verdict}ed")

    async def quarantine(self, request: web.Request, session: Session, fields: Fields) -> web.StreamResponse:
        host, reason = fields.get("host") or None, fields.get("reason") or None
        match fields.get("verdict"):
            case "replay":
                replayed = await self.desk.quarantine.replay(host, reason)
                return self.guard.done("/admin/inbox", "replayed", replayed["applied"])
            case "drop":
                dropped = await self.desk.quarantine.drop(host, reason)
                return self.guard.done("/admin/inbox", "forgotten", dropped["dropped"])
        return self.guard.trouble(request, session, UNKNOWN)

    async def delivery(self, request: web.Request, session: Session, fields: Fields) -> web.StreamResponse:
        verdict = fields.get("verdict", "")
        if verdict not in ("retry", "drop"):
            return self.guard.trouble(request, session, UNKNOWN)
        changed = await self.desk.judge_undelivered(
            fields.get("host", ""), fields.get("id") or None, retry=verdict == "retry"
        )
        if isinstance(changed, Refused):
            return self.guard.trouble(request, session, changed)
        return self.guard.done("/admin/deliveries", "retried" if verdict == "retry" else "dropped", changed["changed"])

    async def hook(self, request: web.Request, session: Session, fields: Fields) -> web.StreamResponse:
        tried = await self.pages.webhooks.tested(fields.get("hook") or None)
        if tried is None:
            return self.guard.trouble(request, session, NO_HOOK)
        return await self.pages.tested(request, session, tried["data"])

    async def doctor(self, request: web.Request, session: Session, _fields: Fields) -> web.StreamResponse:
        return await self.pages.examined(request, session)
