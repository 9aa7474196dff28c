"""``POST /w/{id}``: the statistics of a video of ours for a browser without scripts, which sends its token in a form.

The token answers for this one request: it is in no cookie, no address and no page that is sent back, so nobody who
makes a browser send this form gets anything that they could not have asked for themselves. Order: rate limit 429, video
404, form 400 or 403, token 403.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from foundation.clock import iso_ms
from foundation.errors import Refused
from foundation.principal import Principal, Role
from foundation.tokens import BAD_TOKEN, lacks
from foundation.web import ClientAddresses, read_body
from outbox.routes import Render
from service.html.charts import HEIGHT, WIDTH, Chart, chart_of
from service.html.polite import polite
from service.html.world.map import name_of
from views.ids import canonical_uuid, long_uuid
from views.model import Video
from views.routes.access import NOT_FOUND
from views.routes.replies import refusal
from views.routes.services import ViewsApi
from views.routes.stats import since_ms
from views.routes.stats_body import (
    ELSEWHERE,
    Answer,
    agents_answer,
    crowded,
    overall_answer,
    retention_answer,
    timeseries_answer,
)
from views.routes.stats_subjects import NOT_YOURS, REMOTE, Subject, reaches
from views.stats.model import Metric, Scope, Statistics, Timeseries

MAX_FORM_BYTES = 8_000
_MAX_FIELDS = 10
LISTED = 20
FOREIGN = Refused("origin_refused", "This form was sent by another site.", 403)
BAD_FORM = Refused("bad_body", "The body is not a form", 400)

SHEETS = ("overall", "retention", "timeseries-viewers", "timeseries-aggregateWatchTime", "user-agent")
"""What ``show`` may ask for, as CSV; anything else is the page."""


class VideoStatistics:
    """Beside the page of the same address (``outbox.routes``)."""

    def __init__(self, api: ViewsApi, statistics: Statistics, render: Render) -> None:
        self._api = api
        self._statistics = statistics
        self._render = render
        address_of = ClientAddresses(api.settings.trusted_proxies)
        self._polite = polite(self._answer, api.limiter, address_of)

    def setup(self, router: web.UrlDispatcher) -> None:
        router.add_post("/w/{uuid}", self._polite)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        text = request.match_info["uuid"]
        uuid = canonical_uuid(text) or long_uuid(text)
        video = None if uuid is None else await self._api.catalog.by_uuid(uuid)
        if video is None or not video.federated:
            return refusal(NOT_FOUND)
        fields = await _fields(request)
        if isinstance(fields, Refused):
            return refusal(fields)
        principal = self._judge(video, fields.get("token", "").strip())
        if isinstance(principal, Refused):
            return await self._page(request, video, {"problem": principal.detail}, principal.status)
        answers, charts = await self._read(video)
        sheet = answers.get(fields.get("show", ""))
        if sheet is not None:
            return sheet.response(csv=True)
        return await self._page(request, video, {"shown": _shown(answers, charts)}, 200)

    def _judge(self, video: Video, token: str) -> Principal | Refused:
        principal = self._api.tokens.authenticate(token)
        if principal is None:
            return Refused(BAD_TOKEN.reason, BAD_TOKEN.detail, 403)
        refused = lacks(principal, Role.STATS)
        if refused is not None:
            return refused
        if not video.local:
            return REMOTE
        return principal if reaches(principal, video.channel) else NOT_YOURS

    async def _page(self, request: web.Request, video: Video, said: dict[str, Any], status: int) -> web.StreamResponse:
        viewers = (await self._api.viewers.shown(video)).viewers
        data = {"video": video, "viewers": viewers, "live": video.is_live, **said}
        response = self._render(request, "video.html", data)
        response.set_status(status)
        return response

    async def _read(self, video: Video) -> tuple[dict[str, Answer], dict[str, Chart | None]]:
        scope, now_ms = Scope((video.number,)), self._api.clock.now_ms()
        subject = Subject("video", scope, video.published_ms)
        start_ms = await since_ms(self._statistics, subject, now_ms)
        overall, agents, viewers, watched = await asyncio.gather(
            self._statistics.overall(scope, None, None),
            self._statistics.user_agents(scope, None, None),
            self._statistics.timeseries(scope, Metric.VIEWERS, start_ms, now_ms),
            self._statistics.timeseries(scope, Metric.AGGREGATE_WATCH_TIME, start_ms, now_ms),
        )
        overall = crowded(overall, self._api.settings.places_at_least)
        answers = {
            "overall": overall_answer(overall, self._api.geo_attribution()),
            "user-agent": agents_answer(agents),
            "timeseries-viewers": timeseries_answer(viewers, Metric.VIEWERS),
            "timeseries-aggregateWatchTime": timeseries_answer(watched, Metric.AGGREGATE_WATCH_TIME),
        }
        charts = {"viewers": _over_time(viewers, 1), "watched": _over_time(watched, 60)}
        if not video.is_live:
            retention = await self._statistics.retention(video.number, video.duration_s)
            answers["retention"] = retention_answer(retention)
            charts["retention"] = chart_of([(clock(at), percent) for at, percent in retention.points], top=100)
        return answers, charts


async def _fields(request: web.Request) -> dict[str, str] | Refused:
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return FOREIGN
    body = await read_body(request, MAX_FORM_BYTES)
    if isinstance(body, Refused):
        return body
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS))
    except ValueError:
        return BAD_FORM


def _shown(answers: dict[str, Answer], charts: dict[str, Chart | None]) -> dict[str, Any]:
    """What the template needs: numbers, rows of tables, pictures."""
    overall = answers["overall"].body
    return {
        "overall": overall,
        "average": clock(overall["averageWatchTime"]),
        "minutes": round(overall["totalWatchTime"] / 60),
        "agents": answers["user-agent"].body,
        "countries": [
            ("Elsewhere" if each["isoCode"] == ELSEWHERE else name_of(each["isoCode"]), each["viewers"])
            for each in overall["countries"][:LISTED]
        ],
        "retention": [
            (clock(each["second"]), each["retentionPercent"])
            for each in (answers["retention"].body["data"] if "retention" in answers else ())
        ],
        "over_time": [
            (_minute(viewers["date"]), viewers["value"], round(watched["value"] / 60, 1))
            for viewers, watched in zip(
                answers["timeseries-viewers"].body["data"],
                answers["timeseries-aggregateWatchTime"].body["data"],
                strict=False,
            )
        ],
        "charts": charts,
        "sheets": [name for name in SHEETS if name in answers],
        "width": WIDTH,
        "height": HEIGHT,
    }


def _over_time(series: Timeseries, unit: int) -> Chart | None:
    return chart_of([(_minute(iso_ms(at_ms)), value / unit) for at_ms, value in series.points])


def _minute(instant: str) -> str:
    return instant[:16].replace("T", " ")


def clock(second: float) -> str:
    """A position in a video: ``1:05``."""
    return f"{int(second) // 60}:{int(second) % 60:02}"
