"""``POST|PUT /api/v1/videos/{id}/views`` (alias ``/watching``): where a player says that somebody is watching.

This is the hot path: the first routes of the table, no wrapper, no log line; what a report that counts no view needs is
in memory.

Order of judgement: rate limit 429, overload 503, Authorization 401, body size 413, id and body 400, viewer token 401,
video 404, time beyond the end 400. Then 204, whatever became of the report: ``X-Views`` says it (``counted``,
``ignored: <reason>``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from foundation.answers import EmptyAnswers
from foundation.errors import Refused, StorageUnavailable
from foundation.problems import problem
from foundation.web import read_body
from views.ids import parse_video_ref
from views.model import Video
from views.routes.access import BAD_ID, Access
from views.routes.overload import ReportShedding
from views.routes.places import RequestPlaces
from views.routes.replies import CORS, add_resource, refusal, unavailable
from views.routes.report_body import MAX_BODY, BadBody, Report, parse_report
from views.routes.services import ViewsApi
from views.watching import Outcome

_ANSWERS = {
    outcome: {
        "Access-Control-Allow-Origin": "*",
        "X-Views": "counted" if outcome is Outcome.COUNTED else f"ignored: {outcome.value}",
    }
    for outcome in Outcome
}
"""Headers of the answers."""


REPORT_PREFIX = "/api/v1/videos/"
REPORT_NAMES = ("views", "watching")
REPORT_METHODS = ("POST", "PUT")

ReportHandler = Callable[[web.Request, str], Awaitable[web.Response]]
"""Answers a report about the video that the text names."""


class PlayerRoutes:
    """The handler and what it needs, looked up once."""

    def __init__(self, api: ViewsApi, access: Access) -> None:
        self._access = access
        self._watched = api.watching.watched
        self._viewer = api.identity.viewer
        self._place = RequestPlaces(api.place_headers, api.settings.trusted_proxies)
        self._answers = {outcome: EmptyAnswers(headers) for outcome, headers in _ANSWERS.items()}
        self._resume = api.resume
        self._shedding = None if api.shedder is None else ReportShedding(api.shedder, api.viewers)
        self._rules = api.rules
        self._ignored = api.watching.ignored
        self._seen = None if api.sharing is None else api.sharing.seen
        self._watches = None if api.audience is None else api.audience.seen
        answers = api.metrics.counter(
            "fediviews_reports_refused", "Reports of players that were refused, by status.", ["status"]
        )
        self._refused = {status: answers.labels(str(status)).inc for status in (400, 401, 404, 408, 413, 415, 429, 503)}

    async def report(self, request: web.Request, named: str) -> web.Response:
        """One report about the video that ``named`` names. PeerTube 6.3 and 7.2 bodies, see ``report_body``."""
        access = self._access
        address = access.address(request)
        limited = access.throttle(request, address)
        if limited is not None:
            return self._refuse(refusal(limited))
        shedding = self._shedding if self._shedding is not None and self._shedding.busy else None
        shed = None if shedding is None else shedding.at_the_door()
        if shed is not None:
            return self._refuse(refusal(shed))
        principal = access.principal(request) if "Authorization" in request.headers else None
        if isinstance(principal, Refused):
            return self._refuse(refusal(principal))
        raw = await read_body(request, MAX_BODY)
        if isinstance(raw, Refused):
            return self._refuse(refusal(raw))
        said = parse_report(raw)
        if isinstance(said, BadBody):
            return self._refuse(_bad_request(named, said))
        token = access.viewer_token(request, said.viewer_token)
        try:
            video: Video | Refused | None = None if token else access.peek(named)
            if video is None:
                video = await access.may_know(named, principal, token)
            if isinstance(video, Refused):
                return self._refuse(_bad_id() if video is BAD_ID else refusal(video))
            if said.position_s > video.duration_s and not video.is_live:
                return self._refuse(_beyond_the_end(video, said))
            token = None if isinstance(token, Refused) else token
            user = None if token is None else token.user
            viewer, alternate = self._viewer(said.session_id, user, address)
            ignored = None if said.leave else self._rules(request, principal, token, address, viewer, video.number)
            shed = None if shedding is None else await shedding.known(video, viewer, alternate, said)
            if shed is not None and ignored is None:
                return self._refuse(refusal(shed))
            if ignored is not None:
                outcome = self._ignored(ignored)
            else:
                outcome = await self._watched(
                    video,
                    viewer,
                    alternate,
                    said.position_s,
                    seek=said.seek,
                    leave=said.leave,
                    ended=said.ended,
                    ip=address,
                    place=self._place(request),
                    player=said,
                )
                if said.leave or outcome is Outcome.NO_PROGRESS:
                    self._rules.left(address, viewer, video.number)
                if self._watches is not None and outcome is not Outcome.NO_PROGRESS:
                    self._watches(address, video.number)
            if self._seen is not None:
                unbelieved = "X-Forwarded-For" in request.headers and address == request.remote
                self._seen(said.session_id or viewer, address, forwarded=unbelieved)
            if user is not None and self._resume is not None:
                await self._resume.note(user, video.number, said.position_s, leave=said.leave)
        except StorageUnavailable:
            return self._refuse(unavailable())
        return self._answers[outcome]()

    def _refuse(self, response: web.Response) -> web.Response:
        count = self._refused.get(response.status)
        if count is not None:
            count()
        response.headers.update(CORS)
        return response


def _bad_request(named: str, bad: BadBody) -> web.Response:
    """Names every parameter at fault at once, the id of the path among them."""
    params = dict(bad.params)
    if parse_video_ref(named) is None:
        params = {"id": BAD_ID.detail, **params}
    return problem(400, "Incorrect request parameters: " + ", ".join(params), invalid_params=params)


def _bad_id() -> web.Response:
    params = {"id": BAD_ID.detail}
    return problem(400, "Incorrect request parameters: id", invalid_params=params, location="params")


def _beyond_the_end(video: Video, said: Report) -> web.Response:
    detail = f"Current time {said.position_s} is invalid (video {video.uuid} duration: {video.duration_s})"
    return problem(400, detail, invalid_params={"currentTime": detail})


def setup(router: web.UrlDispatcher, api: ViewsApi, access: Access) -> ReportHandler:
    """Register these before any other route of the application. Returns what answers there, for whoever knows the id
    of the video without asking the router."""
    report = PlayerRoutes(api, access).report

    async def routed(request: web.Request) -> web.Response:
        return await report(request, request.match_info["id"])

    for name in REPORT_NAMES:
        add_resource(router, f"{REPORT_PREFIX}{{id}}/{name}", dict.fromkeys(REPORT_METHODS, routed))
    return report
