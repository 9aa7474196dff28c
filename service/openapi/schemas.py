"""What answers and bodies look like. Members that are not named here may be added; those that are needed stay."""

from __future__ import annotations

from service.openapi.words import (
    COUNT,
    FLAG,
    INSTANT,
    NUMBER,
    TEXT,
    WHOLE,
    Schema,
    each,
    maybe,
    one_of,
    ref,
    struct,
)

SHARES = each(struct({"name": TEXT, "viewers": COUNT}))

_OVERALL = {
    "averageWatchTime": NUMBER,
    "totalWatchTime": NUMBER,
    "totalViewers": COUNT,
    "viewersPeak": COUNT,
    "viewersPeakDate": maybe(INSTANT),
    "countries": each(struct({"isoCode": TEXT, "viewers": COUNT})),
    "subdivisions": SHARES,
    "asOf": INSTANT,
}

_SCOPES = struct(dict.fromkeys(("localOnLocal", "remoteOnLocal", "localOnRemote", "remoteOnRemote"), COUNT))

SCHEMAS: dict[str, Schema] = {
    "Problem": struct(
        {"type": TEXT, "title": TEXT, "status": WHOLE, "detail": TEXT, "error": TEXT},
        code=TEXT,
        **{"invalid-params": {"type": "object"}},
    ),
    "Report": struct(
        {"currentTime": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}},
        viewEvent=one_of("seek", "leave", "ended"),
        sessionId={"type": "string", "pattern": "^[A-Za-z0-9-]{1,200}$"},
        client={"type": "string", "minLength": 1, "maxLength": 200},
        operatingSystem={"type": "string", "minLength": 1, "maxLength": 200},
        device=TEXT,
        viewerToken={"type": "string", "minLength": 1, "maxLength": 2048},
    ),
    "Actor": struct({"name": TEXT, "displayName": TEXT, "host": TEXT}),
    "Video": struct(
        {
            "id": WHOLE,
            "uuid": TEXT,
            "shortUUID": TEXT,
            "url": TEXT,
            "name": TEXT,
            "description": maybe(TEXT),
            "duration": COUNT,
            "isLive": FLAG,
            "isLocal": FLAG,
            "views": COUNT,
            "viewers": COUNT,
            "createdAt": INSTANT,
            "publishedAt": INSTANT,
            "updatedAt": INSTANT,
            "privacy": struct({"id": WHOLE, "label": TEXT}),
            "channel": ref("Actor"),
            "account": ref("Actor"),
        }
    ),
    "VideoDraft": struct(
        {"name": {"type": "string", "minLength": 1, "maxLength": 120}},
        duration={"type": "integer", "minimum": 0, "maximum": 31_536_000},
        isLive=FLAG,
        channel={"type": "string", "pattern": "^[a-z0-9_]{1,20}$"},
        privacy=one_of("public", "unlisted", "private"),
        publishedAt=INSTANT,
        url=TEXT,
        description={"type": "string", "maxLength": 10_000},
    ),
    "Viewers": struct(
        {"viewers": COUNT, "asOf": INSTANT},
        local=COUNT,
        peers={"type": "object", "additionalProperties": COUNT},
        unverified=COUNT,
        explain=struct({"remoteTotal": maybe(COUNT), "oursInRemoteTotal": COUNT, "elsewhere": COUNT}),
    ),
    "Overall": struct(_OVERALL, attribution=TEXT),
    "ChannelStatistics": struct(
        {**_OVERALL, "totalVideos": COUNT, "totalViews": COUNT, "viewers": COUNT}, attribution=TEXT
    ),
    "Retention": struct(
        {"data": each(struct({"second": NUMBER, "retentionPercent": NUMBER})), "asOf": INSTANT},
    ),
    "Timeseries": struct(
        {"groupInterval": TEXT, "data": each(struct({"date": INSTANT, "value": NUMBER})), "asOf": INSTANT}
    ),
    "UserAgents": struct({"clients": SHARES, "devices": SHARES, "operatingSystems": SHARES, "asOf": INSTANT}),
    "ServerStatistics": struct(
        {"totalLocalVideoViews": COUNT, "totalLocalVideos": COUNT, "totalVideos": COUNT, "viewers": _SCOPES}
    ),
    "Now": struct(
        {
            "viewers": struct(
                dict.fromkeys(("localOnLocal", "remoteOnLocal", "localOnRemote", "remoteOnRemote", "unverified"), COUNT)
            ),
            "videosWatched": COUNT,
            "peers": each(struct({"host": TEXT, "viewers": COUNT})),
            "pageVisitors": COUNT,
            "today": struct({"since": INSTANT, "views": COUNT, "pageViews": COUNT, "uniqueVisitors": COUNT}),
            "peersHealth": struct({"healthy": COUNT, "known": COUNT}),
            "delivery": struct({"delivered": COUNT, "lagP95Ms": maybe(WHOLE)}),
            "top": each(ref("Video")),
            "asOf": INSTANT,
        }
    ),
    "Channel": struct(
        {"name": TEXT, "displayName": TEXT, "host": TEXT, "isLocal": FLAG, "videosCount": COUNT},
        viewsPerDay=each(struct({"date": INSTANT, "views": COUNT})),
        totalViews=COUNT,
    ),
    "Follow": struct(
        {
            "id": WHOLE,
            "follower": struct({"url": TEXT, "name": TEXT, "host": TEXT}),
            "following": struct({"url": TEXT, "name": TEXT, "host": TEXT}),
            "state": one_of("pending", "accepted", "rejected"),
            "createdAt": INSTANT,
            "updatedAt": INSTANT,
        }
    ),
    "Peer": struct(
        {
            "host": TEXT,
            "kind": TEXT,
            "software": maybe(TEXT),
            "clockOffsetMs": WHOLE,
            "lastSeen": maybe(INSTANT),
            "blocked": FLAG,
            "verdict": maybe(one_of("blocked", "allowed")),
            "verdictBy": maybe(one_of("configuration", "hand")),
            "listed": FLAG,
            "follower": FLAG,
            "following": maybe(TEXT),
            "trouble": maybe(TEXT),
            "breaker": one_of("closed", "open", "half_open"),
            "failures": COUNT,
            "failureDays": COUNT,
            "delivery": {"type": "object"},
            "unusual": maybe(
                struct({"what": TEXT, "since": INSTANT, "count": COUNT, "usual": NUMBER, "score": NUMBER})
            ),
        }
    ),
    "Refusal": struct(
        {
            "number": WHOLE,
            "at": INSTANT,
            "host": TEXT,
            "verified": FLAG,
            "kind": TEXT,
            "reason": TEXT,
            "detail": TEXT,
            "status": WHOLE,
            "replayable": FLAG,
        }
    ),
    "PlaybackSample": struct(
        {"duration": {"type": "integer", "minimum": 1, "maximum": 300_000}},
        sessionId={"type": "string", "pattern": "^[A-Za-z0-9-]{1,200}$"},
        direction=one_of("down", "up"),
        **dict.fromkeys(("age", "height", "bitrate", "bytes", "segments", "stalls", "stalledTime", "errors"), COUNT),
    ),
    "PageReport": struct(
        {
            "site": {"type": "string", "maxLength": 300},
            "path": {"type": "string", "minLength": 1, "maxLength": 2_000},
        },
        pageType=TEXT,
        title=TEXT,
        referrer=TEXT,
        sessionId={"type": "string", "pattern": "^[A-Za-z0-9-]{1,200}$"},
        leave=FLAG,
    ),
}
