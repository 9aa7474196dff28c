"""What players, host applications and readers of statistics ask."""

from __future__ import annotations

from service.openapi.words import (
    ANYTHING,
    COUNT,
    CSV,
    FLAG,
    INSTANT,
    JSON,
    NUMBER,
    TEXT,
    WHOLE,
    Schema,
    each,
    in_types,
    maybe,
    one_of,
    op,
    page,
    query,
    ref,
    struct,
)

_START = query("start", {"type": "integer", "minimum": 0, "maximum": 1_000_000})
_COUNT = query("count", {"type": "integer", "minimum": 1, "maximum": 100})
_SORT = query("sort", TEXT)
_SEARCH = query("search", {"type": "string", "maxLength": 120})
_DATES = (query("startDate", TEXT), query("endDate", TEXT))
_FORMAT = query("format", one_of("json", "csv"))
_SITE = query("site", TEXT)
_STATS = (*_DATES, _FORMAT)


def _table(name: str) -> Schema:
    return in_types(ref(name), JSON, CSV)


def _report(name: str) -> Schema:
    return op(name, "A player says where it is; X-Views says what it counted for", body=ref("Report"), s204=None)


HOST_PATHS: dict[str, Schema] = {
    "POST /api/v1/videos/{id}/views": _report("reportView"),
    "PUT /api/v1/videos/{id}/views": _report("putView"),
    "POST /api/v1/videos/{id}/watching": _report("reportWatching"),
    "PUT /api/v1/videos/{id}/watching": _report("putWatching"),
    "GET /api/v1/videos/{id}/viewers": op(
        "viewers",
        "How many are watching; a host token sees of whom it is made, Accept: text/event-stream whenever it moves",
        queries=[query("explain", one_of("1")), query("viewerToken", TEXT)],
        s200=in_types(ref("Viewers"), JSON, "text/event-stream"),
    ),
    "GET /api/v1/videos/{id}/resume": op(
        "resume",
        "Where the user of a viewer token stopped",
        who="viewer",
        s200=struct({"currentTime": maybe(COUNT), "updatedAt": maybe(INSTANT)}),
    ),
    "DELETE /api/v1/videos/{id}/resume": op("forgetResume", "Forget it", who="viewer", s204=None),
    "GET /api/v1/config": op(
        "config",
        "How often players report, in milliseconds",
        s200=struct({"instance": ANYTHING, "serverVersion": TEXT, "views": ANYTHING, "openTelemetry": ANYTHING}),
    ),
    "GET /api/v1/videos": op(
        "videos",
        "Public videos, ours and remote; a host token sees all",
        queries=[_START, _COUNT, _SORT, query("isLocal", FLAG), query("isLive", FLAG), _SEARCH],
        s200=page(ref("Video")),
    ),
    "POST /api/v1/videos": op(
        "importVideo",
        "Bring a remote video in by its ActivityPub id",
        who="host",
        body=struct({"url": {"type": "string", "minLength": 1, "maxLength": 2_000}}),
        s200=ref("Video"),
        s201=ref("Video"),
        s502=in_types(ref("Problem"), "application/problem+json"),
    ),
    "GET /api/v1/videos/{id}": op("video", "One video", queries=[query("viewerToken", TEXT)], s200=ref("Video")),
    "PUT /api/v1/videos/{id}": op(
        "putVideo", "Register a video of ours, or say it anew", who="host", body=ref("VideoDraft"),
        s200=ref("Video"), s201=ref("Video"),
    ),
    "DELETE /api/v1/videos/{id}": op("deleteVideo", "Forget a video", who="host", s204=None),
    "POST /api/v1/videos/{id}/replay": op(
        "carryToReplay",
        "Move views and viewers of a live stream to its replay",
        who="host",
        body=struct({"replay": TEXT}),
        s200=struct({"live": ANYTHING, "replay": ANYTHING, "moved": struct({"views": COUNT, "viewers": COUNT})}),
    ),
    "POST /api/v1/videos/{id}/viewer-tokens": op(
        "viewerToken",
        "A short-lived token for one browser and one video",
        who="host",
        body=struct(
            {},
            user={"type": "string", "minLength": 1, "maxLength": 200},
            ttl={"type": "integer", "minimum": 1, "maximum": 2_592_000},
            owner=FLAG,
        ),
        body_needed=False,
        s200=struct({"token": TEXT, "expiresAt": INSTANT}),
    ),
    "GET /api/v1/videos/{id}/stats/overall": op(
        "videoOverall", "Watch time, viewers, places", who="stats", queries=_STATS, s200=_table("Overall")
    ),
    "GET /api/v1/videos/{id}/stats/retention": op(
        "videoRetention", "How many percent saw each second", who="stats", queries=[_FORMAT], s200=_table("Retention")
    ),
    "GET /api/v1/videos/{id}/stats/timeseries/{metric}": op(
        "videoTimeseries", "Viewers or watch time over time", who="stats", queries=_STATS, s200=_table("Timeseries")
    ),
    "GET /api/v1/videos/{id}/stats/user-agent": op(
        "videoUserAgents", "Clients, devices, systems", who="stats", queries=_STATS, s200=_table("UserAgents")
    ),
    "GET /api/v1/videos/{id}/stats/playback": op(
        "videoPlayback", "How well it plays", who="stats", queries=_DATES, s200=ANYTHING
    ),
    "POST /api/v1/videos/{id}/playback": op(
        "playback", "One sample of how it plays", body=ref("PlaybackSample"), s204=None
    ),
    "POST /api/v1/metrics/playback": op("playbackMetrics", "PeerTube's playback metrics", body=ANYTHING, s204=None),
    "GET /api/v1/channels/{name}/stats": op(
        "channelOverall", "The same over a channel", who="stats", queries=_STATS, s200=_table("ChannelStatistics")
    ),
    "GET /api/v1/channels/{name}/stats/timeseries/{metric}": op(
        "channelTimeseries", "The same over a channel", who="stats", queries=_STATS, s200=_table("Timeseries")
    ),
    "GET /api/v1/channels/{name}/stats/user-agent": op(
        "channelUserAgents", "The same over a channel", who="stats", queries=_STATS, s200=_table("UserAgents")
    ),
    "GET /api/v1/server/stats": op(
        "serverStatistics",
        "Views, videos and viewers of the instance; a stats token of every channel sees more",
        queries=_STATS,
        s200=_table("ServerStatistics"),
    ),
    "GET /api/v1/server/stats/timeseries/{metric}": op(
        "serverTimeseries", "The same over all our videos", who="stats", queries=_STATS, s200=_table("Timeseries")
    ),
    "GET /api/v1/server/stats/user-agent": op(
        "serverUserAgents", "The same over all our videos", who="stats", queries=_STATS, s200=_table("UserAgents")
    ),
    "GET /api/v1/accounts/{name}/video-channels": op(
        "channels",
        "Channels of the one account",
        queries=[_START, _COUNT, _SORT, query("withStats", FLAG)],
        s200=page(ref("Channel")),
    ),
    "POST /api/v1/pages/views": op("pageView", "Somebody opened a page", body=ref("PageReport"), s204=None),
    "POST /api/v1/pages/heartbeat": op("pageHeartbeat", "Somebody is on a page", body=ref("PageReport"), s204=None),
    "GET /api/v1/pages/stats": op(
        "pageStatistics",
        "A web site's numbers",
        queries=[_SITE],
        s200=struct({"activeVisitors": COUNT, "totalPageViews": COUNT, "uniqueVisitors": COUNT, "uniquePaths": COUNT}),
    ),
    "GET /api/v1/pages/referrers": op(
        "pageReferrers", "Where visitors came from", who="stats", queries=[_SITE],
        s200=struct({"data": each(struct({"host": TEXT, "views": COUNT}))}),
    ),
    "GET /api/v1/pages/countries": op(
        "pageCountries", "Countries of visitors", who="stats", queries=[_SITE],
        s200=struct({"data": each(struct({"country": maybe(TEXT), "views": COUNT}))}),
    ),
    "GET /api/v1/pages/timeseries": op(
        "pageTimeseries",
        "Page views over time",
        who="stats",
        queries=[_SITE, *_DATES, query("interval", one_of("day", "hour")), query("path", TEXT)],
        s200=struct({"interval": TEXT, "data": each(struct({"views": NUMBER}))}),
    ),
    "GET /api/v1/pages/count": op(
        "pageCount", "Page views between two instants", who="stats", queries=[_SITE, *_DATES, query("path", TEXT)],
        s200=struct({"views": WHOLE}),
    ),
    "GET /api/v1/pages/sites": op("sites", "Every web site", who="stats", s200=ANYTHING),
    "PUT /api/v1/pages/catalog": op(
        "pageCatalog",
        "What a web site has published",
        who="host",
        body=struct({"site": TEXT, "pages": each(struct({"path": TEXT}, title=TEXT, type=TEXT))}),
        s200=ANYTHING,
    ),
    "GET /api/v1/pages/backfills": op("backfills", "How far backfills have come", who="admin", s200=ANYTHING),
}  # fmt: skip
