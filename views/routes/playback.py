"""``POST /api/v1/metrics/playback`` (PeerTube's) and ``POST /api/v1/videos/{id}/playback`` (ours): how it plays.

Order of judgement: rate limit 429, too much to do 503, body size 413, body 400, viewer token 401, video 404. Then 204.
Where telemetry is off PeerTube's is 204 and nothing of it is looked at; so is ours. What is said by nobody that watches
is 204, too, and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from foundation.errors import Refused
from foundation.principal import Principal, Role
from foundation.problems import invalid_params
from foundation.shedding import Load
from foundation.web import read_body
from views.ids import parse_video_ref
from views.model import LOCAL, Video
from views.routes.access import BAD_ID, Access
from views.routes.replies import add_resource, guarded, refusal
from views.routes.services import ViewsApi
from views.telemetry.desk import PlaybackDesk
from views.telemetry.playback import MAX_BODY, parse_metrics, parse_sample
from views.telemetry.samples import Sample
from views.telemetry.subjects import ReportInfo, Room


class PlaybackRoutes:
    def __init__(self, api: ViewsApi, access: Access, desk: PlaybackDesk) -> None:
        self._api = api
        self._access = access
        self._desk = desk
        self._strangers = api.metrics.counter(
            "fediviews_playback_unbelieved", "What was said of playing by nobody that watches there."
        )

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """PeerTube's body. It names no session: the viewer is the address, as in a report without one."""
        raw = await self._body(request)
        if raw is None or isinstance(raw, Refused):
            return _ignored() if raw is None else refusal(raw)
        said = parse_metrics(raw)
        if isinstance(said, dict):
            return invalid_params(said)
        if parse_video_ref(said.video_id) is None:
            return invalid_params({"videoId": BAD_ID.detail})
        video = await self._video(request, said.video_id, None)
        if isinstance(video, Refused):
            return refusal(video)
        if not await self._watches(request, video, None, None):
            return self._unbelieved()
        self._desk.series.add(video, said)
        if said.sampled:
            return _ignored()
        now_ms, interval_ms = self._api.clock.now_ms(), self._desk.interval_ms or 0
        self._keep(request, video, None, None, said.samples(now_ms, interval_ms))
        return _ignored()

    async def sample(self, request: web.Request) -> web.StreamResponse:
        """Our body, of a viewer that is named as in its reports."""
        raw = await self._body(request)
        if raw is None or isinstance(raw, Refused):
            return _ignored() if raw is None else refusal(raw)
        said = parse_sample(raw, self._api.clock.now_ms())
        if isinstance(said, dict):
            return invalid_params(said)
        token = self._access.viewer_token(request, said.viewer_token)
        video = await self._video(request, request.match_info["id"], said.viewer_token)
        if isinstance(video, Refused):
            return refusal(video)
        user = None if token is None or isinstance(token, Refused) else token.user
        if not await self._watches(request, video, said.session_id, user):
            return self._unbelieved()
        self._keep(request, video, said.session_id, user, [said.sample])
        return _ignored()

    async def _body(self, request: web.Request) -> bytes | Refused | None:
        """None: nobody wants it."""
        if self._desk.interval_ms is None:
            return None
        shedder = self._api.shedder
        if shedder is not None and not shedder.allows(Load.TELEMETRY):
            return shedder.refusal()
        return await read_body(request, MAX_BODY)

    async def _video(self, request: web.Request, named: str, said_token: str | None) -> Video | Refused:
        principal = self._access.principal(request)
        if isinstance(principal, Refused):
            return principal
        return await self._access.may_know(named, principal, self._access.viewer_token(request, said_token))

    async def _watches(self, request: web.Request, video: Video, session: str | None, user: str | None) -> bool:
        """Does whoever says it watch: this viewer, or one of its address? An application's word is taken."""
        address, audience = self._access.address(request), self._api.audience
        if audience is None or audience.knows(address, video.number):
            return True
        principal = self._access.principal(request)
        if isinstance(principal, Principal) and principal.may(Role.HOST):
            return True
        viewer, alternate = self._api.identity.viewer(session, user, address)
        for key in (viewer, alternate):
            if key is not None and await self._api.viewers.stays(video, LOCAL, key):
                return True
        return False

    def _unbelieved(self) -> web.Response:
        self._strangers.inc()
        return _ignored()

    def _keep(
        self, request: web.Request, video: Video, session: str | None, user: str | None, samples: Sequence[Sample]
    ) -> None:
        viewer, _ = self._api.identity.viewer(session, user, self._access.address(request))
        desk, room = self._desk, Room(video)
        participant = desk.names.participant(video.number, viewer, self._api.clock.now_ms())
        for sample in samples:
            desk.telemetry.track_stats(room, participant, sample)
            if sample.errors or sample.failed:
                numbers = {"errors": sample.errors, "failedSegments": sample.failed}
                desk.telemetry.report(ReportInfo("playback_errors", room.sid, participant.sid, numbers))


def _ignored() -> web.Response:
    return web.Response(status=204)


def setup(router: web.UrlDispatcher, api: ViewsApi, access: Access, desk: PlaybackDesk) -> None:
    routes = PlaybackRoutes(api, access, desk)
    add_resource(router, "/api/v1/metrics/playback", {"POST": guarded(access, routes.metrics)})
    add_resource(router, "/api/v1/videos/{id}/playback", {"POST": guarded(access, routes.sample)})
