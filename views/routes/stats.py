"""Viewer statistics over REST: PeerTube's paths, parameters, answers and order of checks; channels and the whole
instance besides.

Order: rate limit 429, token 401, parameters 400, unknown 404, not yours 403, what this one cannot answer 400. Host and
admin tokens ask about every video of ours, private ones too, a ``stats`` token about those of its channels.
``?format=csv`` answers as a spreadsheet.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from foundation.errors import Refused
from foundation.principal import Role
from foundation.problems import invalid_params
from views.channel_totals import Channels, Seen
from views.routes.access import Access
from views.routes.playback_body import playback_answer, whole_hours
from views.routes.replies import Handler, add_resource, guarded, refusal
from views.routes.services import ViewsApi
from views.routes.stats_body import agents_answer, crowded, overall_answer, retention_answer, timeseries_answer
from views.routes.stats_query import Bounds, read_bounds, read_metric
from views.routes.stats_subjects import (
    NO_CHANNEL,
    ChannelFinder,
    Finder,
    InstanceFinder,
    Subject,
    VideoFinder,
)
from views.stats.model import Metric, Statistics
from views.telemetry.quality_book import QualityBook

LIVE = Refused("live_video", "A live stream has no retention", 400)


class StatsRoutes:
    """Each method makes the handler of one question about one kind of subject."""

    def __init__(self, api: ViewsApi, access: Access, statistics: Statistics, channels: Channels) -> None:
        self._api = api
        self._access = access
        self._statistics = statistics
        self._channels = channels

    def overall(self, finder: Finder) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            judged = await self._judge(request, finder)
            if isinstance(judged, web.Response):
                return judged
            subject, bounds = judged
            overall = await self._statistics.overall(subject.scope, *bounds.within)
            overall = crowded(overall, self._api.settings.places_at_least)
            return overall_answer(overall, self._api.geo_attribution()).response(csv=bounds.csv)

        return handler

    def channel(self, finder: Finder) -> Handler:
        """The sums of a channel's videos, and PeerTube's overall statistics over them as over one video."""

        async def handler(request: web.Request) -> web.StreamResponse:
            judged = await self._judge(request, finder)
            if isinstance(judged, web.Response):
                return judged
            subject, bounds = judged
            channel = await self._channels.find(subject.name, Seen(None))
            if channel is None:
                return refusal(NO_CHANNEL)
            totals = {
                "totalVideos": channel.videos,
                "totalViews": channel.views,
                "viewers": await self._api.viewers.sums.of(subject.scope.videos or ()),
            }
            overall = await self._statistics.overall(subject.scope, *bounds.within)
            overall = crowded(overall, self._api.settings.places_at_least)
            answer = overall_answer(overall, self._api.geo_attribution(), totals=totals, name="channel")
            return answer.response(csv=bounds.csv)

        return handler

    def retention(self, finder: Finder) -> Handler:
        """Of all viewers of all time (PeerTube)."""

        async def handler(request: web.Request) -> web.StreamResponse:
            judged = await self._judge(request, finder, dates=False)
            if isinstance(judged, web.Response):
                return judged
            subject, bounds = judged
            if subject.retention_of is None or not subject.scope.videos:
                return refusal(LIVE)
            retention = await self._statistics.retention(subject.scope.videos[0], subject.retention_of)
            return retention_answer(retention).response(csv=bounds.csv)

        return handler

    def timeseries(self, finder: Finder) -> Handler:
        """Without dates from the subject's beginning (PeerTube: the video's creation) until now."""

        async def handler(request: web.Request) -> web.StreamResponse:
            bad: dict[str, str] = {}
            metric = read_metric(request.match_info["metric"], bad)
            judged = await self._judge(request, finder, bad)
            if isinstance(judged, web.Response):
                return judged
            subject, bounds = judged
            refused = bounds.judge_span()
            if refused is not None:
                return refusal(refused)
            return await self._series(subject, metric, bounds)

        return handler

    def user_agents(self, finder: Finder) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            judged = await self._judge(request, finder)
            if isinstance(judged, web.Response):
                return judged
            subject, bounds = judged
            agents = await self._statistics.user_agents(subject.scope, *bounds.within)
            return agents_answer(agents).response(csv=bounds.csv)

        return handler

    def playback(self, finder: Finder, book: QualityBook, *, is_on: bool) -> Handler:
        """How it plays for those whose players say so. Ours."""

        async def handler(request: web.Request) -> web.StreamResponse:
            judged = await self._judge(request, finder)
            if isinstance(judged, web.Response):
                return judged
            subject, bounds = judged
            assert subject.scope.videos is not None
            within = whole_hours(*bounds.within)
            quality = await book.quality(subject.scope.videos[0], *within)
            overall = await self._statistics.overall(subject.scope, *within)
            answer = playback_answer(quality, overall.total_viewers, book.as_of_ms, is_on=is_on)
            return answer.response(csv=bounds.csv)

        return handler

    async def _series(self, subject: Subject, metric: Metric, bounds: Bounds) -> web.Response:
        start_ms, end_ms = bounds.within
        if start_ms is None or end_ms is None:
            end_ms = self._api.clock.now_ms()
            start_ms = await since_ms(self._statistics, subject, end_ms)
        series = await self._statistics.timeseries(subject.scope, metric, start_ms, end_ms)
        return timeseries_answer(series, metric).response(csv=bounds.csv)

    async def _judge(
        self, request: web.Request, finder: Finder, bad: Mapping[str, str] | None = None, *, dates: bool = True
    ) -> tuple[Subject, Bounds] | web.Response:
        """What is asked about and for when, or the answer to whoever may not ask."""
        principal = self._access.require(request, Role.STATS)
        if isinstance(principal, Refused):
            return refusal(principal)
        wrong = {**finder.judge_path(request), **(bad or {})}
        bounds = read_bounds(request.query, wrong, dates=dates)
        if wrong:
            return invalid_params(wrong, location="query")
        subject = await finder.find(request, principal)
        return refusal(subject) if isinstance(subject, Refused) else (subject, bounds)


async def since_ms(statistics: Statistics, subject: Subject, end_ms: int) -> int:
    """When it was published, or its first stay where that is longer ago: of a replay, say. ``end_ms`` without any."""
    if subject.since_ms is None:
        return end_ms
    numbers = subject.scope.videos
    first_ms = await statistics.first_ms(numbers[0]) if numbers is not None and len(numbers) == 1 else None
    return max(0, min(subject.since_ms, end_ms, end_ms if first_ms is None else first_ms))


def setup(router: web.UrlDispatcher, api: ViewsApi, access: Access, statistics: Statistics, channels: Channels) -> None:
    routes = StatsRoutes(api, access, statistics, channels)
    video, channel, instance = VideoFinder(access), ChannelFinder(channels), InstanceFinder(channels)
    handlers = {
        "/api/v1/videos/{id}/stats/overall": routes.overall(video),
        "/api/v1/videos/{id}/stats/retention": routes.retention(video),
        "/api/v1/videos/{id}/stats/timeseries/{metric}": routes.timeseries(video),
        "/api/v1/videos/{id}/stats/user-agent": routes.user_agents(video),
        "/api/v1/channels/{name}/stats": routes.channel(channel),
        "/api/v1/channels/{name}/stats/timeseries/{metric}": routes.timeseries(channel),
        "/api/v1/channels/{name}/stats/user-agent": routes.user_agents(channel),
        "/api/v1/server/stats/timeseries/{metric}": routes.timeseries(instance),
        "/api/v1/server/stats/user-agent": routes.user_agents(instance),
    }
    if api.playback is not None:
        handlers["/api/v1/videos/{id}/stats/playback"] = routes.playback(
            video, api.playback.book, is_on=api.playback.interval_ms is not None
        )
    for path, handler in handlers.items():
        add_resource(router, path, {"GET": guarded(access, handler)})
