"""What the forms of the dashboard do: what the admin REST does, by the same objects."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from foundation.decisions import By, Way
from foundation.errors import Refused
from service.admin.peer_desk import PeerDesk, Verdict
from service.dashboard.guard import Fields, Guard
from service.dashboard.pages import DashboardPages
from service.dashboard.sessions import Session

UNKNOWN = Refused("unknown_action", "There is nothing of that kind to be done.", 400)
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
        by, unknown = _by(session), False
        match verdict:
            case "block" | "unblock" | "allow" | "disallow":
                unknown = verdict == "block" and not await self.desk.knows(host)
                refusal = await self.desk.judge(host, Verdict(verdict), by)
            case "follow":
                refusal = await self.desk.follow(host, by)
            case "unfollow":
                refusal = await self.desk.unfollow(host, by)
            case _:
                refusal = UNKNOWN
        if refusal is not None:
            return await self.pages.refused_peer(request, session, host, refusal)
        return self.guard.done("/admin/peers", "blocked-unknown" if unknown else f"{verdict}ed")

    async def quarantine(self, request: web.Request, session: Session, fields: Fields) -> web.StreamResponse:
        host, reason = fields.get("host") or None, fields.get("reason") or None
        match fields.get("verdict"):
            case "replay":
                replayed = await self.desk.replay(host, reason, _by(session))
                return self.guard.done("/admin/inbox", "replayed", replayed["applied"])
            case "drop":
                dropped = await self.desk.forget(host, reason, _by(session))
                return self.guard.done("/admin/inbox", "forgotten", dropped["dropped"])
        return self.guard.trouble(request, session, UNKNOWN)

    async def delivery(self, request: web.Request, session: Session, fields: Fields) -> web.StreamResponse:
        verdict = fields.get("verdict", "")
        if verdict not in ("retry", "drop"):
            return self.guard.trouble(request, session, UNKNOWN)
        changed = await self.desk.judge_undelivered(
            fields.get("host", ""), fields.get("id") or None, _by(session), retry=verdict == "retry"
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


def _by(session: Session) -> By:
    return By("?" if session.principal is None else session.principal.name, Way.DASHBOARD)
