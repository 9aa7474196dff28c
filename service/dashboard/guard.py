"""The door of the dashboard: login and logout, and what every page and form of it has to pass."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp_jinja2
from aiohttp import web

from foundation.addresses import network_key
from foundation.clock import Clock
from foundation.errors import Refused, StorageUnavailable
from foundation.metrics import Metrics
from foundation.ratelimit import WindowLimiter
from foundation.web import read_body
from service.dashboard.return_to import HOME, LOGIN, login_for, own_page
from service.dashboard.sessions import LIFE_MS, Session, Sessions

COOKIE = "fediviews-admin"
LOGIN_COOKIE = "fediviews-login"
"""Another one: a login page that a link elsewhere leads to, where no Strict cookie comes along, must end no session."""
MAX_FORM_BYTES = 8_000
_MAX_FIELDS = 20
ATTEMPTS, ATTEMPTS_WITHIN_MS = 10, 300_000
"""Logins that one address may try; each process counts for itself."""
_MAX_ADDRESSES = 10_000

POLICY = (
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
)
HEADERS = {
    "Content-Security-Policy": "; ".join(POLICY),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would then say "Origin: null" of our own forms.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

Fields = Mapping[str, str]
PageHandler = Callable[[web.Request, Session], Awaitable[web.StreamResponse]]
FormHandler = Callable[[web.Request, Session, Fields], Awaitable[web.StreamResponse]]

BAD_ORIGIN = Refused("origin_refused", "This form was sent by another site.", 403)
BAD_CSRF = Refused("form_refused", "This form is not valid any more. Load the page again and repeat it.", 403)

log = logging.getLogger("fediviews.dashboard")


class Guard:
    """``secure``: whether a request came by https; ``address``: whose it is; ``origin``: that of our own URL;
    ``common``: what each template knows."""

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        metrics: Metrics,
        *,
        address: Callable[[web.Request], str],
        secure: Callable[[web.Request], bool],
        origin: str,
        common: Mapping[str, Any],
    ) -> None:
        self._sessions = sessions
        self._address = address
        self._secure = secure
        self._origin = origin
        self._common = common
        self._attempts: WindowLimiter[str] = WindowLimiter(clock, ATTEMPTS, ATTEMPTS_WITHIN_MS, _MAX_ADDRESSES)
        logins = metrics.counter("fediviews_dashboard_logins_total", "Logins to the dashboard, by outcome", ["outcome"])
        self._opened, self._refused, self._limited = (
            logins.labels(outcome) for outcome in ("opened", "refused", "limited")
        )

    def setup(self, router: web.UrlDispatcher) -> None:
        router.add_get(LOGIN, self.login_page)
        router.add_post(LOGIN, self.login)
        self.form(router, "/admin/logout", self.logout)

    def page(self, router: web.UrlDispatcher, path: str, handler: PageHandler) -> None:
        """A page for those who are logged in; everybody else gets to the login."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            session = self._sessions.read(request.cookies.get(COOKIE))
            if session is None or session.principal is None:
                return _to(login_for(request.raw_path))
            return await self._tried(request, session, lambda: handler(request, session))

        router.add_get(path, guarded)

    def form(self, router: web.UrlDispatcher, path: str, handler: FormHandler) -> None:
        """A form of such a page."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            session = self._sessions.read(request.cookies.get(COOKIE))
            if session is None or session.principal is None:
                return _to(login_for(path))
            fields = await self._fields(request, session)
            if isinstance(fields, Refused):
                return self.trouble(request, session, fields)
            return await self._tried(request, session, lambda: handler(request, session, fields))

        router.add_post(path, guarded)

    async def login_page(self, request: web.Request) -> web.StreamResponse:
        session = self._sessions.read(request.cookies.get(COOKIE))
        if session is not None and session.principal is not None:
            return _to(own_page(request.query.get("to")))
        return self._login(request)

    async def login(self, request: web.Request) -> web.StreamResponse:
        session = self._sessions.read(request.cookies.get(LOGIN_COOKIE))
        fields = BAD_CSRF if session is None else await self._fields(request, session)
        if isinstance(fields, Refused):
            # Not counted: else the page of another site could shut an administrator out.
            self._refused.inc()
            return self._login(request, fields.detail, fields.status)
        wait_s = self._attempts.hit(network_key(self._address(request)))
        if wait_s is not None:
            self._limited.inc()
            response = self._login(request, f"Too many attempts. Try again in {-(-wait_s // 60)} minutes.", 429)
            response.headers["Retry-After"] = str(wait_s)
            return response
        opened = self._sessions.open(fields.get("token", "").strip())
        if opened is None or opened.principal is None:
            self._refused.inc()
            log.warning("a login to the dashboard was refused")
            return self._login(request, "That is not the token of an administrator.", 403)
        self._opened.inc()
        log.info("%s logged in to the dashboard", opened.principal.name)
        return self._with_cookie(request, _to(own_page(request.query.get("to"))), COOKIE, opened)

    async def logout(self, _request: web.Request, _session: Session, _fields: Fields) -> web.StreamResponse:
        response = _to(LOGIN)
        response.del_cookie(COOKIE, path=HOME)
        return response

    def render(
        self, request: web.Request, session: Session, template: str, data: Mapping[str, Any], status: int = 200
    ) -> web.Response:
        context = {**self._common, "csrf": session.csrf, "who": session.principal, "path": request.path, **data}
        response = aiohttp_jinja2.render_template(f"admin/{template}", request, context, status=status)
        response.headers.update(HEADERS)
        return response

    def trouble(self, request: web.Request, session: Session, refusal: Refused) -> web.Response:
        """A page that says why something was not done, or cannot be shown."""
        data = {"refusal": refusal, "reading": request.method in ("GET", "HEAD")}
        return self.render(request, session, "trouble.html", data, refusal.status)

    def done(self, path: str, what: str, number: int | None = None) -> web.Response:
        """Back to a page, which says what was done: a form that was sent is never sent again by a reload."""
        return _to(f"{path}?done={what}" + ("" if number is None else f"&n={number}"))

    async def _tried(
        self, request: web.Request, session: Session, handle: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handle()
        except StorageUnavailable:
            refusal = Refused("storage_unavailable", "The database or the live store does not answer. Try again.", 503)
            return self.trouble(request, session, refusal)

    async def _fields(self, request: web.Request, session: Session) -> Fields | Refused:
        origin = request.headers.get("Origin")
        if origin is not None and origin != self._origin and not _is_own(origin, request.host):
            return BAD_ORIGIN
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return BAD_ORIGIN
        body = await read_body(request, MAX_FORM_BYTES)
        if isinstance(body, Refused):
            return body
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
        except ValueError:
            return Refused("bad_form", "This is no form.", 400)
        fields = dict(pairs)
        return fields if session.sent(fields.get("csrf", "")) else BAD_CSRF

    def _login(self, request: web.Request, problem: str = "", status: int = 200) -> web.Response:
        session = self._sessions.anonymous()
        to = own_page(request.query.get("to"))
        data = {"problem": problem, "to": to, "action": login_for(to)}
        response = self.render(request, session, "login.html", data, status)
        return self._with_cookie(request, response, LOGIN_COOKIE, session)

    def _with_cookie(self, request: web.Request, response: web.Response, name: str, session: Session) -> web.Response:
        response.set_cookie(
            name,
            session.cookie,
            path=LOGIN if name == LOGIN_COOKIE else HOME,
            max_age=LIFE_MS // 1000,
            httponly=True,
            samesite="Strict",
            secure=self._secure(request),
        )
        return response


def _to(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path, **HEADERS})


def _is_own(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower() and bool(host)
    except ValueError:
        return False
